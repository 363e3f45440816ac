"""An environment of its own for plain Keras, made once; what the benchmarks compare with runs in it.

TensorFlow caps packages that wbc wants newer, so the two do not share one.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / ".venv-keras"
TENSORFLOW = "2.21.0"
KERAS = "3.15.1"


class KerasUnavailableError(Exception):
    """The environment cannot be made here; the message is short enough for a table's footnote."""


def keras_python() -> Path:
    """The environment's interpreter; made on the first call, with pip's progress on the terminal.

    A virtual environment holds its own path and cannot be renamed into place, so a marker is written last:
    without it, or with other releases in it, the folder is made anew.  Raises KerasUnavailableError.
    """
    marker = FOLDER / "complete.txt"
    wanted = "\n".join([platform.python_version(), *requirements()]) + "\n"
    if not marker.is_file() or marker.read_text(encoding="utf-8") != wanted:
        print(f"making {FOLDER.name} with {', '.join(requirements())} (once, some minutes)", file=sys.stderr)
        _make()
        marker.write_text(wanted, encoding="utf-8")
    return _interpreter()


def requirements() -> list[str]:
    """What is installed: the tested releases, without GPU libraries where such a build exists."""
    has_cpu_build = (platform.system(), platform.machine()) == ("Linux", "x86_64")
    package = "tensorflow-cpu" if has_cpu_build else "tensorflow"
    return [f"{package}=={TENSORFLOW}", f"keras=={KERAS}"]


def _make() -> None:
    _run("no virtual environment", [sys.executable, "-m", "venv", "--clear", str(FOLDER)])
    install = [str(_interpreter()), "-m", "pip", "install", "--progress-bar", "off"]
    _run(f"pip could not install {' '.join(requirements())}", [*install, *requirements()])


def _run(complaint: str, command: list[str]) -> None:
    """Run with output on stderr, so that a table on stdout stays alone."""
    try:
        subprocess.run(command, check=True, stdout=sys.stderr)
    except (OSError, subprocess.CalledProcessError) as error:
        raise KerasUnavailableError(f"{complaint} (its output is above)") from error


def _interpreter() -> Path:
    return FOLDER / ("Scripts/python.exe" if platform.system() == "Windows" else "bin/python")
