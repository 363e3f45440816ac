"""notebooks/original_study.ipynb: it runs from its first cell to its last, and finds what to install."""

import importlib.metadata
import os
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
from hydra import compose, initialize_config_dir
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient

from tests.helpers.configs import composed
from tests.helpers.documentation import links
from tests.helpers.places import CONF, ROOT
from tests.helpers.small_runs import SMALL

NOTEBOOK = ROOT / "notebooks" / "original_study.ipynb"
SHORTER = [one for one in SMALL if one.startswith(("data.", "model.image", "phase.", "training.", "trainer"))]


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOK, 4)


def cell(notebook, tag: str) -> str:
    (found,) = [one.source for one in notebook.cells if tag in one.metadata.get("tags", [])]
    return found


def test_it_is_stored_without_what_its_cells_said(notebook):
    nbformat.validate(notebook)
    assert not [one for one in notebook.cells if one.get("outputs") or one.get("execution_count")]


def test_its_links_lead_somewhere(notebook, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("\n".join(one.source for one in notebook.cells if one.cell_type == "markdown"))
    found = links(page)
    assert found
    assert not [one for one in found if not (NOTEBOOK.parent / one).exists()]


def test_its_cells_are_python_and_its_words_are_known(notebook):
    for one in notebook.cells:
        if one.cell_type == "code":
            compile(TransformerManager().transform_cell(one.source), NOTEBOOK.name, "exec")
    composed("experiment=demo")  # as its settings have it
    composed("experiment=raabin", "data.root=Raabin-WBC")
    (line,) = [one for one in cell(notebook, "explain").splitlines() if one.startswith("!")]
    _, module, wbc, verb, *words = shlex.split(line)
    assert (module, wbc) == ("-m", "wbc")
    with initialize_config_dir(str(CONF / verb), version_base="1.3"):
        compose("config", overrides=[word.replace("{", "").replace("}", "") for word in words])


@pytest.mark.parametrize("place", ["checkout", "beside", "zip", "named", "address"])
def test_it_installs_from_a_checkout_a_zip_or_an_address(notebook, place, tmp_path, monkeypatch):
    folder = tmp_path / "wbc-main"
    (folder / "wbc").mkdir(parents=True)
    (folder / "wbc" / "library.py").touch()
    archive = tmp_path / "other" / "wbc-main.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("wbc-main/wbc/library.py", "")
    asked: list[list[str]] = []

    def not_there(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", not_there)
    monkeypatch.setattr(subprocess, "check_call", asked.append)
    here, project, expected = {
        "checkout": (folder, None, folder.as_uri()),
        "beside": (tmp_path, None, folder.as_uri()),  # as `git clone` leaves it on Colab
        "zip": (archive.parent, None, archive.as_uri()),
        "named": (archive.parent, "../wbc-main", folder.as_uri()),
        "address": (archive.parent, "git+https://example.org/wbc", "git+https://example.org/wbc"),
    }[place]
    monkeypatch.chdir(here)
    exec(cell(notebook, "install"), {"PROJECT": project})
    assert asked == [[sys.executable, "-m", "pip", "install", "-q", f"wbc[demo] @ {expected}"]]


def test_it_says_what_to_set_where_there_is_nothing_to_install(notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="set PROJECT to its folder, zip or address"):
        exec(cell(notebook, "install") + "\nproject()", {"PROJECT": "nowhere"})


def run(notebook, folder: Path, further: list[str]) -> dict[str, str]:
    """What its cells said, by their tags and numbers; every cell must succeed."""
    for one in notebook.cells:
        if "parameters" in one.metadata.get("tags", []):
            one.source += f"\nFURTHER = {further}"
    # The kernel's folder is not the project's: it finds this project's wbc as if it were installed.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "WBC_CACHE": str(folder / "checked")}
    client = NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(folder)}})
    client.execute(env=environment)
    return {one.id: str(one.get("outputs")) for one in notebook.cells if one.cell_type == "code"}


@pytest.mark.slow  # a kernel, a training of both phases and LIME of five cells
def test_it_runs_small(notebook, tmp_path):
    for one in notebook.cells:
        one.source = one.source.replace("per_class=1", "per_class=1 lime_samples=50")
    said = run(notebook, tmp_path, SHORTER)
    assert any("without fine-tuning" in text for text in said.values())
    assert not [text for text in said.values() if "Traceback" in text]
    (table,) = tmp_path.glob("outputs/demo/*/explanations/explanations.csv")
    assert {row.split(",")[7] for row in table.read_text().splitlines()[1:]} == {"gradcam", "lime"}


@pytest.mark.slow  # four minutes on two cores
def test_it_runs_as_it_stands(notebook, tmp_path):
    said = run(notebook, tmp_path, [])
    assert sum(text.count("image/png") for text in said.values()) >= 8
    (report,) = tmp_path.glob("outputs/demo/*/report.html")
    assert report.is_file()
