"""The caches within a run: same results, never stale, never half."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.helpers.small_runs import settings
from wbc.runtime.runtime import BOUND
from wbc.training import caching
from wbc.training.job import train


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cells")


ONE_EPOCH = ["phase.head.max_epochs=1", "phase.finetune.max_epochs=1"]


def metrics_of(config, folder) -> dict:
    metrics = train(config, folder)
    for record in metrics["phases"].values():
        del record["seconds"], record["cache_seconds"]
        record.pop("linear_classifier", None)  # it sees as many draws as are cached
    return metrics


@pytest.fixture(scope="module")
def uncached(root, tmp_path_factory):
    """Images computed anew everywhere."""
    folder = tmp_path_factory.mktemp("uncached")
    return folder, metrics_of(settings(root, "cache_limit_gb=0"), folder)


@pytest.mark.parametrize(
    "trainer",
    [[], pytest.param([*ONE_EPOCH, "trainer.precision=bf16-mixed"], marks=pytest.mark.slow)],
    ids=["float32", "bf16"],
)
def test_cached_and_uncached_evaluation_are_identical(root, tmp_path, trainer):
    runs = {}
    for name, limit in (("cached", 5), ("uncached", 0)):
        config = settings(root, f"cache_limit_gb={limit}", "cache_views=0", *trainer)
        runs[name] = metrics_of(config, tmp_path / name)
        log = [
            pd.read_csv(tmp_path / name / "logs" / phase / "history.csv") for phase in ("head", "finetune")
        ]
        runs[name]["history"] = pd.concat(log).drop(columns="seconds").to_dict("list")
    assert runs["cached"] == runs["uncached"]
    predictions = [(tmp_path / name / "predictions.csv").read_text() for name in runs]
    assert predictions[0] == predictions[1]


def test_one_view_for_one_epoch_is_what_augmenting_anew_gives(root, tmp_path):
    """With a view for each of the four epochs nothing is seen twice: training must be the same."""
    runs = [metrics_of(settings(root, f"cache_views={views}"), tmp_path / str(views)) for views in (0, 4)]
    assert runs[0] == runs[1]


def test_caches_are_gone_after_the_run_and_kept_on_request(root, tmp_path):
    train(settings(root, *ONE_EPOCH), tmp_path / "run")
    assert not (tmp_path / "run" / "cache").exists()
    train(
        settings(root, *ONE_EPOCH, "cache_keep=true", f"cache_dir={tmp_path / 'kept'}"), tmp_path / "keeping"
    )
    assert len(list((tmp_path / "kept").glob("*.values"))) == 4  # val and train, in both phases


HEAD = [*ONE_EPOCH, "phase=head", "cache_keep=true"]


@pytest.fixture(scope="module")
def kept(root, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kept")
    train(settings(root, *HEAD, f"cache_dir={folder}"), tmp_path_factory.mktemp("keeping"))
    return folder


@pytest.mark.parametrize(
    ("change", "reused"),
    [
        ([], {"val", "train"}),
        (["seed=1"], set()),  # other initial weights
        (["augment=none"], {"val"}),
        pytest.param(["cache_views=1"], {"val"}, marks=pytest.mark.slow),
        (["data.synthetic_seed=1"], set()),  # other images
        pytest.param(["model.image_size_px=96"], set(), marks=pytest.mark.slow),
        (["model.standardise=[field]"], set()),
        pytest.param(["trainer.precision=bf16-mixed"], set(), marks=pytest.mark.slow),
    ],
)
def test_a_store_is_used_again_only_where_nothing_differs(root, kept, tmp_path, caplog, change, reused):
    shutil.copytree(kept, tmp_path / "kept")
    with caplog.at_level("INFO", logger="wbc.training.caching"):
        train(settings(root, *HEAD, f"cache_dir={tmp_path / 'kept'}", *change), tmp_path / "second")
    assert {record.args[0] for record in caplog.records if "found in" in record.msg} == reused


@pytest.mark.slow  # tests/campaign/test_kills.py kills at random moments
def test_a_kill_during_the_build_leaves_nothing_that_is_trusted(root, tmp_path, monkeypatch):
    whole = metrics_of(settings(root, *ONE_EPOCH), tmp_path / "whole")
    put = caching.ActivationStore.put
    calls = []

    def killed(self, rows, values):
        calls.append(1)
        if len(calls) == 3:
            raise KeyError("killed")
        put(self, rows, values)

    monkeypatch.setattr(caching.ActivationStore, "put", killed)
    with pytest.raises(KeyError, match="killed"):
        train(settings(root, *ONE_EPOCH), tmp_path / "killed")
    assert list((tmp_path / "killed" / "cache").glob("*.part"))
    monkeypatch.setattr(caching.ActivationStore, "put", put)
    assert metrics_of(settings(root, *ONE_EPOCH), tmp_path / "killed") == whole
    assert not list((tmp_path / "killed").rglob("*.part"))


@pytest.mark.slow  # tests/campaign/test_disks.py fills others
def test_a_full_disk_goes_on_without_the_cache(root, tmp_path, monkeypatch, uncached, caplog):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    metrics = metrics_of(settings(root), tmp_path)
    assert metrics == uncached[1]
    assert "No space left" in caplog.text


@pytest.mark.slow
def test_too_little_room_is_said(uncached, root, tmp_path, caplog):
    train(settings(root, *ONE_EPOCH, "cache_limit_gb=0.001"), tmp_path)
    assert "are not cached" in caplog.text


@pytest.mark.slow
def test_the_second_phase_finds_what_the_first_computed_on_its_way(root, tmp_path, caplog):
    with caplog.at_level("INFO", logger="wbc.training.caching"):
        train(settings(root, *ONE_EPOCH), tmp_path)
    found = [record.args[0] for record in caplog.records if "found in" in record.msg]
    assert sorted(found) == ["train", "val"]


@pytest.mark.slow
def test_draws_that_openvino_cached_train_as_those_of_torch(root, tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setenv("WBC_CACHE", str(tmp_path / "kept"))
    history = {}
    for runtime in ("torch", "openvino"):
        own = ("phase=head", "phase.head.max_epochs=2", f"runtime={runtime}", "report=false")
        train(settings(root, *own), tmp_path / runtime)
        log = pd.read_csv(tmp_path / runtime / "logs" / "head" / "history.csv")
        history[runtime] = log[["train_loss", "val_loss"]].to_numpy()
    assert list((tmp_path / "kept" / "runtime").iterdir())
    # The sixth digit of a cached value differs, and each step of a training makes more of it.
    assert history["torch"] == pytest.approx(history["openvino"], rel=5e-3)
    assert abs(history["torch"][0] - history["torch"][1]).min() > 0.05


@pytest.mark.slow
def test_openvino_caches_draws_in_bf16_too(root, tmp_path, monkeypatch, caplog):
    pytest.importorskip("openvino")
    monkeypatch.setenv("WBC_CACHE", str(tmp_path / "kept"))
    sizes = {}
    with caplog.at_level("INFO", logger="wbc.runtime.runtime"):
        for runtime in ("torch", "openvino"):
            own = ("phase=head", "phase.head.max_epochs=1", f"runtime={runtime}", "report=false")
            kept = (f"cache_dir={tmp_path / runtime}", "cache_keep=true", "trainer.precision=bf16-mixed")
            train(settings(root, *own, *kept), tmp_path / f"run_{runtime}")
            sizes[runtime] = sorted(
                file.stat().st_size for file in (tmp_path / runtime).glob("frozen-*.values")
            )
    of_cache, of_tests = [record.args[-1] for record in caplog.records if "computes" in record.msg]
    assert of_cache > of_tests == BOUND  # in bf16, and in float32
    assert sizes["torch"]
    assert sizes["torch"] == sizes["openvino"]
