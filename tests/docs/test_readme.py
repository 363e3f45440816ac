"""Every command of the README, typed as it stands there into a folder that holds what it names.

ADDED is all that these tests append to a command. It shortens runs of hours and spares downloads.
Nothing in it sets where a command reads or writes.
"""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.documentation import README, blocks, lines
from tests.helpers.places import ROOT
from tests.helpers.trees import write_image
from wbc.labels import CLASSES
from wbc.synthetic.draw import LABS, draw_cell

SMALL = (
    "model.image_size_px=64 training.batch_size=8 phase.head.max_epochs=1 phase.finetune.max_epochs=1 "
    "phase.head.min_steps=0 phase.finetune.min_steps=0"
)
NONE = f"{SMALL} model.weights=none report=false trainer.precision=32-true"
ADDED = {  # by the words with which a command starts; the first that fits
    "wbc train data=folder": SMALL,
    # none: the default is a download; a precision: three networks would each be timed in two
    # and smaller networks of the families that are named
    "wbc train data=manifest": f"{NONE} model.backbone=resnet18.a1_in1k",
    "wbc train -m data=manifest": f"{NONE} model.backbone=resnet18.a1_in1k,vit_tiny_patch16_224",
    "wbc train data.root=Raabin-WBC": (  # EfficientNetV2-L has 34 times the weights
        f"{SMALL} model.weights=none model.backbone=tf_efficientnet_lite0.in1k report=false"
    ),
    "wbc explain checkpoint=<run>/model.ckpt images=test_a": "lime_samples=50",
    "make demo": f"{SMALL} data.images_per_class=8",
    "make test": "tests/test_labels.py",  # the whole suite would run itself
}
NOT_TYPED = {"VENV", "PYTHON", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES"}
WINDOWS_ONLY = {"py -m venv .venv", r".venv\Scripts\Activate.ps1"}
SECTIONS = {
    "Two commands",
    "Install",
    "At once, without training",
    "A lab with a folder of crops",
    "An engineer with a data set and several backbones",
    "A student with the paper",
}


def commands(heading: str, language: str = "sh") -> list[str]:
    of_section = [one for one in blocks(README) if (one.heading, one.language) == (heading, language)]
    return [line for block in of_section for line in lines(block)]


def test_no_section_with_commands_goes_untested():
    assert {block.heading for block in blocks(README)} == SECTIONS


class Terminal:
    """A terminal in `folder`, in which `wbc`, `make` and the others are found."""

    def __init__(self, folder: Path, programs: dict[str, str]) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        for name, script in programs.items():
            self._program(self.bin / name, script)

    def _program(self, path: Path, script: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def type(self, text: str, **environment: str) -> str:
        """Type `text`, which must succeed; returns what it prints.

        What chooses another environment or folder (VENV, under which CI runs this) is not passed on.
        """
        done = subprocess.run(
            ["bash", "-euc", text],
            cwd=self.folder,
            env={key: value for key, value in os.environ.items() if key not in NOT_TYPED}
            | {"PATH": f"{self.bin}:{os.environ['PATH']}", "WBC_CACHE": str(self.folder / "checked")}
            | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, f"{text}\n\n{done.stdout[-4000:]}"
        return done.stdout


WBC = f'PYTHONPATH={ROOT} exec {sys.executable} -m wbc "$@"'
if not (ROOT / "wbc" / "__main__.py").exists():  # until the command is there: the scripts take the same words
    WBC = f'verb=$1; shift; exec {sys.executable} {ROOT}/"$verb".py "$@"'


@pytest.fixture
def terminal(tmp_path):
    return Terminal(tmp_path, {"wbc": WBC, "python": f'exec {sys.executable} "$@"'})


def typed(terminal: Terminal, command: str, **places: Path) -> str:
    """Type a command of the README with what ADDED has for it; `places` are its words in angle brackets."""
    added = next((words for start, words in ADDED.items() if command.startswith(start)), "")
    for word, place in places.items():
        command = command.replace(f"<{word}>", str(place.relative_to(terminal.folder)))
    assert "<" not in command
    return terminal.type(f"{command} {added}")


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def draw_cells(
    folder: Path, each: int, lab: str = "lab_a", classes=CLASSES, names: str = "{}.png"
) -> list[Path]:
    """`folder`/<class>/<number>.png, or as `names` has the number, small drawn cells."""
    rng = np.random.default_rng([each, len(folder.name), *folder.name.encode()])
    return [
        write_image(folder / name / names.format(number), draw_cell(name, LABS[lab], rng, 64)[0])
        for name in classes
        for number in range(each)
    ]


def test_a_first_look_without_training(terminal):
    here = terminal.folder
    draw_cells(here / "new_cells", 2, lab="lab_e")
    (look,) = commands("At once, without training")
    # Drawn cells are of another world than that of its validation images.
    assert "The promise is not valid here" in typed(terminal, look)
    rows = (here / "first_look" / "predictions.csv").read_text().splitlines()[1:]
    assert len(rows) == 2 * len(CLASSES)
    assert not [row for row in rows if ",answered," in row]


def test_the_walk_through_of_a_lab(terminal):
    here = terminal.folder
    draw_cells(here / "my_cells", 8)
    draw_cells(here / "other_lab", 12, lab="lab_e")
    for number, cell in enumerate(draw_cells(here / "drawn", 1)):
        cell.rename(write_image(here / "new_cells" / f"{number}.png", np.zeros((2, 2, 3), np.uint8)))
    train, predict, explain, evaluate, adapt = commands("A lab with a folder of crops")
    typed(terminal, train)
    run = only(here, "outputs/folder_efficientnet_lite0/*")  # as the README says
    assert (run / "report.html").is_file()
    typed(terminal, predict, run=run)
    assert (here / "answers" / "predictions.csv").is_file()
    assert (here / "answers" / "differential.json").is_file()
    typed(terminal, explain, run=run)
    assert only(here, "outputs/explain/*/gallery.html")
    typed(terminal, evaluate, run=run)
    assert only(here, "outputs/evaluate/*/report.html")
    typed(terminal, adapt, run=run)
    assert only(here, "outputs/adapt/*/model.ckpt")


ENGINEER = "An engineer with a data set and several backbones"


def table_of_cells(here: Path) -> list[Path]:
    cells = [path.relative_to(here) for path in draw_cells(here / "cells", 8)]
    rows = [f"{path},{path.parent.name}\n" for path in cells]
    (here / "cells.csv").write_text("path,label\n" + "".join(rows))
    return cells


def test_the_walk_through_of_an_engineer(terminal):
    here = terminal.folder
    cells = table_of_cells(here)
    train, _, _, resume, export = commands(ENGINEER)
    typed(terminal, train)
    run = only(here, "outputs/manifest_timm/*")
    assert "finished before" in typed(terminal, resume, run=run)
    typed(terminal, export, run=run)
    assert only(here, "outputs/export/*/model/classify.py")
    for number in (1, 2):
        shutil.copy(here / cells[number], here / f"cell_{number}.png")
    (program,) = [block.text for block in blocks(README) if block.language == "python"]
    said = terminal.type(f"python - <<'END'\n{program.replace('<run>', str(run))}END", PYTHONPATH=str(ROOT))
    assert sum(said.count(label) for label in CLASSES) >= 2


@pytest.mark.slow  # two trainings more; tests/test_cli.py has a sweep, tests/evaluating compared models
def test_the_sweep_of_an_engineer(terminal):
    here = terminal.folder
    table_of_cells(here)
    _, sweep, compare, _, _ = commands(ENGINEER)
    typed(terminal, sweep)
    table = only(
        here, "outputs/manifest_timm/*/sweep.md"
    )  # the default folder of a sweep, as the README says
    assert sum(line.startswith("|") for line in table.read_text().splitlines()) == 4
    typed(terminal, compare, sweep=table.parent)


def test_the_walk_through_of_a_student(terminal):
    here = terminal.folder
    draw_cells(here / "Raabin-WBC" / "Train", 8, names="95-8-{}-1_12_1.png")  # eight slides
    draw_cells(here / "Raabin-WBC" / "TestA", 3, lab="lab_b")
    draw_cells(here / "Raabin-WBC" / "TestB", 3, lab="lab_c", classes=("Lymphocyte", "Neutrophil"))
    recipe, explain, to_the_letter = commands("A student with the paper")
    typed(terminal, recipe)
    run = only(here, "outputs/raabin_efficientnetv2_l/*")
    assert "without fine-tuning" in (run / "results.md").read_text()
    typed(terminal, explain, run=run)
    explanations = only(here, "outputs/explain/*/explanations.csv").read_text()
    assert "gradcam" in explanations
    assert "lime" in explanations
    typed(terminal, to_the_letter)


@pytest.fixture
def project(tmp_path):
    """A copy of the project, as a reader has it."""
    there = tmp_path / "project"
    shutil.copytree(ROOT, there, ignore=_what_no_reader_has)
    return there


def _what_no_reader_has(folder: str, names: list[str]) -> set[str]:
    made_here = {"outputs", "multirun", "data", "build"} if Path(folder) == ROOT else set()
    unwanted = made_here | {"__pycache__", "wbc.egg-info"}
    return {name for name in names if name.startswith(".") or name in unwanted}


def test_make_demo_and_make_test(project):
    terminal = Terminal(project, {})
    demo, test = commands("Two commands")
    # An environment that is set up already: its interpreter is this one, with what ADDED has.
    cases = f'case "$*" in *pytest*) added="{ADDED[test]}";; *) added="{ADDED[demo]}";; esac'
    terminal._program(project / ".venv" / "bin" / "python", f'{cases}\nexec {sys.executable} "$@" $added')
    (project / ".venv" / ".ready").touch()
    terminal.type(demo)
    assert only(project, "outputs/demo/*/report.html")
    said = terminal.type(test, PYTEST_XDIST_AUTO_NUM_WORKERS="1")
    assert "passed" in said


def test_install(project):
    # Dependencies are those of this environment, and no index is asked for them or for setuptools.
    terminal = Terminal(project, {"python3": f'exec {sys.executable} "$@"'})
    here = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    typed_lines = commands("Install")
    if "[project.scripts]" not in (ROOT / "pyproject.toml").read_text():  # until the command is there
        typed_lines.remove("wbc --help")
    terminal.type(
        "\n".join(typed_lines).replace("activate\n", f"activate\nexport PYTHONPATH='{here}'\n"),
        PIP_NO_DEPS="1",
        PIP_NO_BUILD_ISOLATION="0",  # pip's way to say: without
        PIP_NO_INDEX="1",
    )
    assert list(project.glob(".venv/lib/python*/site-packages/wbc/__init__.py"))


def test_windows_differs_from_the_rest_in_two_lines():
    windows = commands("Install", "powershell")
    elsewhere = {*commands("Install"), "wbc train experiment=demo"}  # which is what make demo runs
    assert set(windows) - elsewhere == WINDOWS_ONLY
    assert "train.py experiment=demo" in (ROOT / "Makefile").read_text()


def test_the_readme_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 250
