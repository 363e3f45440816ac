"""wbc.train, wbc.load, wbc.predict, wbc.evaluate: their examples, their results, and what they refuse."""

import doctest
import importlib.metadata
import importlib.resources
import json
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import wbc
from tests.helpers.places import ROOT
from tests.helpers.small_runs import SMALL
from wbc.errors import CheckpointError, ConfigError, ImageError, WbcError


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The folder in which the examples of the docstrings have run, and what they said."""
    folder = tmp_path_factory.mktemp("example")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("WBC_CACHE", str(folder / "checked"))
        names: dict = {}
        finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner()
        said: list[str] = []
        for function in (wbc.train, wbc.load, wbc.predict, wbc.evaluate):  # train first: the others go on
            (test,) = finder.find(function, globs=names)
            assert test.examples, f"{function.__name__} has no example"
            test.globs = names
            runner.run(test, out=said.append, clear_globs=False)
    return folder, names, runner.failures, "".join(said)


def test_every_example_of_a_docstring_says_what_it_says(example):
    _, _, failures, said = example
    assert not failures, said


def test_results_are_those_of_the_run_folder(example):
    folder, names, _, _ = example
    result, measured = names["result"], names["measured"]
    told = json.loads((folder / "runs" / "tiny" / "metrics.json").read_text())
    assert result.metrics == told
    assert result.folder == folder / "runs" / "tiny"
    head = told["phases"]["head"]["sets"]
    assert {name: one.macro_f1 for name, one in result.sets.items()} == {
        name: one["macro_f1"] for name, one in head.items()
    }
    assert result.sets["test"].per_class["Monocyte"] == head["test"]["per_class"]["Monocyte"]["recall"]
    assert (measured.folder / "report.html").is_file()
    assert measured.unreadable == 0
    assert measured.sets["test"].images == result.sets["test"].images


def test_a_folder_that_holds_a_run_is_refused_and_gone_on_with(example, monkeypatch):
    folder, names, _, _ = example
    monkeypatch.setenv("WBC_CACHE", str(folder / "checked"))
    with pytest.raises(ConfigError, match=r"holds a run already: continue it with resume_from="):
        wbc.train(*SMALL, f"data.root={folder}/data/synthetic", folder=folder / "runs" / "tiny")
    again = wbc.train(f"resume_from={folder / 'runs' / 'tiny'}")
    assert again.sets["val"].macro_f1 == names["result"].sets["val"].macro_f1
    with pytest.raises(ConfigError, match="leave the others out"):
        wbc.train(f"resume_from={folder / 'runs' / 'tiny'}", "seed=1")


def test_a_loaded_model_answers_as_its_file(example):
    folder, _, _, _ = example
    file = folder / "runs" / "tiny" / "model.ckpt"
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    by_file, by_model = (wbc.predict(one, [picture]) for one in (file, wbc.load(file)))
    np.testing.assert_array_equal(by_file.probabilities, by_model.probabilities)
    with pytest.raises(ImageError):
        wbc.predict(file, [folder / "nowhere.png"])
    (status,) = wbc.predict(file, [folder / "nowhere.png"], keep_unreadable=True).status
    assert status.startswith("unreadable: ")


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: wbc.train("epochs=3"), ConfigError, r"here it is|Here it is"),
        (lambda: wbc.train("-m", "seed=1,2"), ConfigError, r"settings are given as key=value"),
        (lambda: wbc.train("phase=heed"), ConfigError, r"is phase=head meant\?"),
        (lambda: wbc.train("seed=-1", "data=synthetic"), ConfigError, r"seed=-1: expected 0 to"),
        (lambda: wbc.load("nowhere.ckpt"), CheckpointError, r"no file .*nowhere\.ckpt"),
        (lambda: wbc.predict("nowhere.ckpt", []), CheckpointError, r"no file .*nowhere\.ckpt"),
        (lambda: wbc.evaluate("nowhere.ckpt", []), WbcError, r"data is empty"),
        (lambda: wbc.evaluate("nowhere.ckpt", "test", "divice=cpu"), ConfigError, r"device"),
    ],
)
def test_what_cannot_be_done_says_the_mend(tmp_path, monkeypatch, call, error, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=said):
        call()
    assert not list(tmp_path.iterdir())


def test_it_trains_in_a_thread_and_leaves_handlers_of_signals_as_they_were(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    results = []
    words = [*SMALL, "phase=head", f"data.root={tmp_path / 'cells'}", f"data.checks_dir={tmp_path}"]
    thread = threading.Thread(target=lambda: results.append(wbc.train(*words, folder=tmp_path / "run")))
    thread.start()
    thread.join()
    assert results[0].model.is_file()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_it_imports_in_a_moment_and_tells_its_types():
    code = "import sys, wbc; print('torch' in sys.modules, wbc.__all__)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert said.stdout.startswith("False")
    assert importlib.resources.files("wbc").joinpath("py.typed").is_file()


def test_the_release_is_that_of_the_package_and_other_names_are_not_there():
    assert wbc.__version__ == importlib.metadata.version("wbc")
    with pytest.raises(AttributeError, match=r"^module 'wbc' has no attribute 'versio'$"):
        wbc.versio  # noqa: B018
