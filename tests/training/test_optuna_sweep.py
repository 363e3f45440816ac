"""`-m hydra/sweeper=optuna`: the search space, which trials run, what is pruned, resumed and left behind."""

import json
import signal
import sys

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from hydra_plugins.wbc_optuna import OptunaSweeper
from tests.helpers.commands import Started, typed
from tests.helpers.places import CONF
from tests.helpers.small_runs import SMALL
from wbc.errors import ConfigError
from wbc.settings.train import parse

optuna = pytest.importorskip("optuna", reason="optuna not installed")

from wbc.training import optuna_page, optuna_sweep  # noqa: E402
from wbc.training.search_space import search_space  # noqa: E402

LOG = "tag(log, interval(1e-5, 1e-2))"


def test_each_word_of_hydra_is_a_distribution():
    space, fixed = search_space(
        {"phase.head.lr": LOG, "seed": "range(0, 10, 3)", "model.dropout": 0.3},
        [
            "model=efficientnet_lite0,timm",
            "model.dropout=interval(0.1,0.5)",
            "name=x",
            "data.workers=null,2",
            "phase.head.patience=int(interval(1, 9))",
        ],
    )
    assert space["phase.head.lr"] == optuna.distributions.FloatDistribution(1e-5, 1e-2, log=True)
    assert space["seed"] == optuna.distributions.IntDistribution(0, 9, step=3)
    assert space["model.dropout"] == optuna.distributions.FloatDistribution(0.1, 0.5)
    assert space["model"].choices == ("efficientnet_lite0", "timm")
    assert space["data.workers"].choices == (None, 2)
    assert space["phase.head.patience"] == optuna.distributions.IntDistribution(1, 9)
    assert [one.input_line for one in fixed] == ["name=x"]


@pytest.mark.parametrize(
    ("params", "words", "said"),
    [
        (
            {"phase.head.lr": "intervall(1, 2"},
            [],
            r"phase\.head\.lr=intervall.*does not parse: expected .*choice",
        ),
        ({}, ["phase.head.lr=interval(1,"], r"does not parse: expected choice\(a, b\).*in quotes"),
        ({"phase.head.lrr": LOG}, [], r"phase\.head\.lrr is not a setting; the nearest .* phase\.head\.lr"),
        ({"phase.head.lr": "interval(1e-2, 1e-5)"}, [], r"interval\(1e-2, 1e-5\): .*expected choice"),
        ({"phase.head.lr": "tag(log, interval(0, 1))"}, [], r"low.*expected choice"),
        ({"data.root": "glob(*)"}, [], r"by Optuna is one of choice"),
        ({}, ["seed=1"], r"nothing to search: give a setting several values, as 'phase\.finetune"),
    ],
)
def test_a_space_that_does_not_hold_is_answered_with_one_that_does(params, words, said):
    with pytest.raises(ConfigError, match=said):
        search_space(params, words)


class Pretended:
    """A trial that takes three looks; what it comes to is told by its words, as `becomes` says."""

    started: list = []  # noqa: RUF012
    becomes = staticmethod(lambda words: 0.5)

    def __init__(self, folder, words, threads):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.words, self.threads, self.looks = folder, words, threads, 0
        self.told = self.becomes({key: value for key, _, value in (word.partition("=") for word in words)})
        self.stopped = False
        self.started.append(self)

    @property
    def exit_code(self):
        self.looks += 1
        return None if self.looks < 4 else int(self.told is None)

    @property
    def value(self):
        return self.told

    last_words = "it was not to be"

    def new_epochs(self):
        return [] if self.told is None else [(self.looks, self.told)]

    def stop(self):
        self.stopped = True


@pytest.fixture
def pretended(monkeypatch):
    kind = type("Kind", (Pretended,), {"started": []})
    monkeypatch.setattr(optuna_sweep, "TrialRun", kind)
    monkeypatch.setattr(optuna_sweep, "_LOOK_EVERY_S", 0)
    return kind


@pytest.fixture
def no_figures(monkeypatch):
    """They take a second a trial."""
    monkeypatch.setattr(optuna_page, "_figures", lambda *arguments: [])


def searched(folder, *words, **settings):
    """What `sweep` returns, with settings of hydra.sweeper."""
    given = OmegaConf.load(CONF / "train" / "hydra" / "sweeper" / "optuna.yaml")
    given.pop("_target_")
    config = OmegaConf.create(
        {
            "seed": 0,
            "hydra": {"sweep": {"dir": str(folder)}, "launcher": {"_target_": "x.BasicLauncher"}},
        }
    )
    return optuna_sweep.sweep(OmegaConf.to_container(given) | settings, config, list(words))


def test_the_best_is_shown_and_kept_as_a_preset_that_composes(pretended, tmp_path):
    pretended.becomes = staticmethod(lambda words: 1 - abs(float(words["model.dropout"]) - 0.3))
    best = searched(
        tmp_path,
        "experiment=demo_search",
        "trainer=cpu",
        "data.root='my cells'",
        "model.dropout=interval(0,0.6)",
        "training.batch_size=choice(8,16)",
        n_trials=6,
    )
    assert len(pretended.started) == 6
    jobs = json.loads((tmp_path / "sweep.json").read_text())
    assert jobs[0]["val_macro_f1"] == best == max(job["val_macro_f1"] or 0 for job in jobs)
    page = (tmp_path / "sweep.html").read_text()
    assert page.count("<img") == 3
    assert "://" not in page  # it opens without a network
    with initialize_config_dir(str(CONF / "train"), version_base="1.3"):
        words = ["experiment=best", f"hydra.searchpath=[file://{tmp_path / 'best'}]"]
        config = parse(compose("config", overrides=words))
    assert (config.data.source, config.data.root, config.model.weights) == (
        "synthetic",
        "my cells",
        "package",
    )
    assert f"model.dropout={config.model.dropout}" in pretended.started[jobs[0]["job"]].words
    said = (tmp_path / "best" / "experiment" / "best.yaml").read_text()
    assert f"wbc train --config-dir {tmp_path / 'best'} experiment=best" in said
    assert yaml.safe_load(said)["defaults"] == ["demo_search", {"override /trainer": "cpu"}, "_self_"]


def test_trials_run_side_by_side_and_share_the_cores(pretended, no_figures, tmp_path, monkeypatch):
    monkeypatch.setattr(optuna_sweep, "available_cores", lambda: 8)
    searched(tmp_path, f"phase.head.lr={LOG}", n_trials=5, n_jobs="auto")
    assert [run.threads for run in pretended.started] == [2] * 5
    assert pretended.started[3].looks == 4  # with the first three, before the fifth


def test_what_is_below_the_median_at_its_epoch_ends_early(pretended, no_figures, tmp_path):
    pretended.becomes = staticmethod(lambda words: float(words["model.dropout"]))
    searched(tmp_path, "model.dropout=interval(0,0.6)", n_trials=9)
    jobs = json.loads((tmp_path / "sweep.json").read_text())
    pruned = [job["job"] for job in jobs if job["ended"] == "pruned"]
    assert pruned
    assert all(pretended.started[number].stopped for number in pruned)
    assert min(pruned) >= 4  # the warm-up
    assert "pruned" in (tmp_path / "sweep.md").read_text()


def test_a_failed_trial_is_told_and_the_others_go_on(pretended, no_figures, tmp_path):
    pretended.becomes = staticmethod(lambda words: None if words["seed"] == "1" else 0.5)
    with pytest.raises(SystemExit, match=r"error: \d of 4 trials failed; each has its output in job\.txt"):
        searched(tmp_path, "seed=choice(0,1)", n_trials=4, sampler="random")
    assert len(pretended.started) == 4


def test_where_all_fail_it_stops_and_says_why(pretended, no_figures, tmp_path):
    pretended.becomes = staticmethod(lambda words: None)
    with pytest.raises(SystemExit, match=r"the first 3 trials failed, the last with: it was not to be"):
        searched(tmp_path, "seed=choice(0,1)", n_trials=20)
    assert len(pretended.started) == 3


def test_a_stopped_search_goes_on_with_its_trials_in_their_folders(pretended, tmp_path):
    def interrupted(words):
        if len(pretended.started) == 2:
            raise KeyboardInterrupt
        return 0.5

    pretended.becomes = staticmethod(interrupted)
    words = (f"phase.head.lr={LOG}",)
    with pytest.raises(SystemExit) as stopped:
        searched(tmp_path, *words, n_trials=4)
    assert stopped.value.code == 130
    before = [run.folder for run in pretended.started]
    pretended.becomes = staticmethod(Pretended.becomes)
    searched(tmp_path, *words, n_trials=4)
    study = optuna.load_study(study_name="wbc", storage=f"sqlite:///{tmp_path / 'study.db'}")
    complete = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
    assert len(complete) == 4
    assert pretended.started[2].folder == tmp_path / "2"  # the one that was under way
    assert pretended.started[2].folder not in before
    assert len({run.folder for run in pretended.started}) == 4
    searched(tmp_path, "training.batch_size=choice(8,16)", n_trials=5)
    with pytest.raises(SystemExit, match=r"begun with other choices .* or another hydra\.sweep\.dir="):
        searched(tmp_path, "training.batch_size=choice(8,32)", n_trials=6)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"n_trials": 0}, r"n_trials=0: expected 1 or more"),
        ({"n_jobs": "all"}, r"n_jobs='all': expected 1 or more, or auto"),
        ({"n_trails": 5}, r"n_trails is not a setting; the nearest that exists is n_trials"),
        ({"sampler": "grid"}, r"sampler='grid': expected one of"),
        (
            {"storage": "sqlite:////nowhere/at/all/x.db"},
            r"hydra\.sweeper\.storage=.*expected sqlite:///<file>",
        ),
    ],
)
def test_a_wrong_setting_of_the_sweeper_is_named(tmp_path, settings, said):
    with pytest.raises(SystemExit, match=said):
        searched(tmp_path, f"phase.head.lr={LOG}", **settings)


@pytest.mark.slow  # eight trainings
def test_a_search_as_it_is_typed_is_killed_and_goes_on(tmp_path):
    words = [
        "train",
        "-m",
        *SMALL,
        "phase=head",
        "phase.head.max_epochs=3",
        f"data.root={tmp_path / 'cells'}",
    ]
    words += ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=2"]
    words += [f"phase.head.lr={LOG}", "training.label_smoothing=choice(0.0,0.1)"]
    words += [f"hydra.sweep.dir={tmp_path / 'search'}"]
    started = Started("wbc", *words, cwd=tmp_path)
    started.wait_until((tmp_path / "search/1/logs/head/history.csv").exists)
    started.send(signal.SIGKILL)
    started.ended()
    done = typed("wbc", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = json.loads((tmp_path / "search" / "sweep.json").read_text())
    assert len(jobs) == 4
    assert all(job["val_macro_f1"] is not None for job in jobs)
    assert {path.name for path in (tmp_path / "search").glob("[0-9]")} >= {"0", "1"}
    best = typed(
        "wbc",
        "train",
        "--config-dir",
        str(tmp_path / "search" / "best"),
        "experiment=best",
        "hydra.run.dir=again",
        cwd=tmp_path,
    )
    assert best.returncode == 0, best.stdout + best.stderr
    told = json.loads((tmp_path / "again" / "metrics.json").read_text())
    sets = told["phases"][told["kept"]["phase"]]["sets"]
    assert sets["val"]["macro_f1"] == jobs[0]["val_macro_f1"]


def test_another_launcher_is_refused(tmp_path):
    given = {"params": {}, "n_trials": 1, "n_jobs": 1, "sampler": "tpe", "pruner": "none", "pruner_warmup": 1}
    config = OmegaConf.create(
        {"hydra": {"sweep": {"dir": str(tmp_path)}, "launcher": {"_target_": "x.JoblibLauncher"}}}
    )
    with pytest.raises(SystemExit, match=r"leave hydra/launcher out, and give hydra\.sweeper\.n_jobs="):
        optuna_sweep.sweep(given | {"storage": None, "study_name": "wbc"}, config, [])


def test_without_optuna_the_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SystemExit, match=r'needs optuna: pip install "wbc\[search\]"'):
        OptunaSweeper().sweep([])
