"""Twenty jobs of the demo's search: what they take, what pruning ends, what the best gains on the defaults.

    python benchmarks/search.py [--trials 20] [--folder outputs/benchmarks/search] [key=value ...]

Trains the demo's recipe on drawn cells once with the defaults, then searches with the space of
conf/train/experiment/demo_search.yaml, both with the settings of SMALL and those that are typed.  Amid the
search, once trial --kill-at trains, its process is killed (SIGKILL), and the same command goes on: no file of
a trial that had ended may change, and no trial may be counted twice.  The folder must be empty or not there.
Prints two Markdown tables and writes outputs/benchmarks/search.json; <folder>/search/sweep.html is the page.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.text_tables import markdown_table, percent

OUTPUT = Path("outputs/benchmarks/search.json")
SMALL = [
    "data.images_per_class=60",
    "model.image_size_px=96",
    "phase.head.max_epochs=3",
    "phase.finetune.max_epochs=6",
    "report=false",
]
PATIENCE_S = 3600  # for the trial at which the search is killed


def train(words: list[str], more: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "wbc", "train", *words, *SMALL, *more])


def ended_well(process: subprocess.Popen[bytes]) -> None:
    if process.wait() != 0:
        sys.exit(f"{process.args!r} ended with {process.returncode}")


def killed_at(process: subprocess.Popen[bytes], epochs: Path) -> None:
    """Kill it once the trial whose table of epochs this is has trained one."""
    deadline = time.monotonic() + PATIENCE_S
    while not epochs.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            sys.exit(f"{epochs} did not come; the search is not killed")
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()


def contents(folder: Path, trials: int) -> dict[str, str]:
    """The SHA-256 of each file of the first `trials` run folders."""
    files = (file for number in range(trials) for file in sorted((folder / str(number)).rglob("*")))
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if file.is_file()
    }


def scores(run: Path) -> dict[str, float]:
    """Macro F1 of the model that the run kept, by set."""
    told = json.loads((run / "metrics.json").read_text())
    sets = told["phases"][told["kept"]["phase"]]["sets"]
    return {name: values["macro_f1"] for name, values in sets.items()}


def seconds(trial: optuna.trial.FrozenTrial) -> float:
    assert trial.duration is not None
    return trial.duration.total_seconds()


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--kill-at", type=int, default=10, help="the trial during which the search is killed")
    parser.add_argument("--folder", type=Path, default=Path("outputs/benchmarks/search"))
    arguments, more = parser.parse_known_args()
    folder: Path = arguments.folder.absolute()
    if folder.exists() and any(folder.iterdir()):
        sys.exit(f"{folder} is not empty: give another --folder, or remove it")
    more.append(f"data.root={folder / 'cells'}")  # drawn once, by the first

    started = time.monotonic()
    ended_well(train(["experiment=demo", f"hydra.run.dir={folder / 'default'}"], more))
    default_s = time.monotonic() - started

    search = folder / "search"
    words = ["-m", "experiment=demo_search", f"hydra.sweeper.n_trials={arguments.trials}"]
    words.append(f"hydra.sweep.dir={search}")
    started = time.monotonic()
    killed_at(train(words, more), search / str(arguments.kill_at) / "logs" / "head" / "history.csv")
    before, before_s = contents(search, arguments.kill_at), time.monotonic() - started
    started = time.monotonic()
    ended_well(train(words, more))
    after_s = time.monotonic() - started

    afterwards = contents(search, arguments.kill_at)
    changed = [name for name, digest in before.items() if afterwards.get(name) != digest]
    study = optuna.load_study(study_name="wbc", storage=f"sqlite:///{search / 'study.db'}")
    left = {int(name.split()[1]) for name in study.user_attrs if name.startswith("left ")}
    trials = [trial for trial in study.trials if trial.number not in left]
    folders = [str(trial.user_attrs["folder"]) for trial in trials]
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    best = search / str(study.best_trial.user_attrs["folder"])
    found: dict[str, Any] = {
        "trials": len(trials),
        "trials that share a folder": len(folders) - len(set(folders)),
        "done": len(complete),
        "pruned": len(pruned),
        "failed": len(trials) - len(complete) - len(pruned),
        "killed during trial": arguments.kill_at,
        "files of ended trials at the kill": len(before),
        "of these changed afterwards": len(changed),
        "s to the kill": before_s,
        "s from going on to the end": after_s,
        "median s of a trial that was done": median([seconds(trial) for trial in complete]),
        "median s of a pruned trial": median([seconds(trial) for trial in pruned]),
        "s of the run with the defaults": default_s,
    }
    print(markdown_table(["", "twenty jobs"], [[key, _short(value)] for key, value in found.items()]))
    by_set = {"default": scores(folder / "default"), "best": scores(best)}
    names = list(by_set["default"])
    rows = [[key, *(percent(values[name]) for name in names)] for key, values in by_set.items()]
    print(markdown_table(["macro F1", *names], rows))
    print("best:", ", ".join(f"{key}={_short(value)}" for key, value in study.best_params.items()))
    content = {
        "found": found,
        "macro_f1": by_set,
        "best": study.best_params,
        "settings": [*SMALL, *more],
        "versions": versions(),
    }
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    write_json(OUTPUT, content)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) and value < 1 else str(round(value, 1))


if __name__ == "__main__":
    main()
