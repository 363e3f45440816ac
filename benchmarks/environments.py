"""Environments of their own for what the benchmarks compare with, each made once.

Other tools want other releases than wbc, so none shares its environment.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from wbc.utils.files import file_hash


class EnvironmentUnavailableError(Exception):
    """The environment cannot be made here; the message is short enough for a table's footnote."""


def environment_python(folder: Path, requirements: Sequence[str], constraints: Path | None = None) -> Path:
    """The interpreter of an environment with `requirements`; made on the first call, pip's words on stderr.

    constraints: a file of releases for pip, where the environment is to have the same.

    A virtual environment holds its own path and cannot be renamed into place, so a marker is written last:
    without it, or with other releases in it, the folder is made anew.  Raises EnvironmentUnavailableError,
    which ends with the last line that pip said.
    """
    marker = folder / "complete.txt"
    lines = [platform.python_version(), *requirements]
    if constraints is not None:
        lines.append(f"{constraints.name} {file_hash(constraints)}")
    wanted = "\n".join(lines) + "\n"
    if not marker.is_file() or marker.read_text(encoding="utf-8") != wanted:
        print(f"making {folder.name} with {', '.join(requirements)} (once, some minutes)", file=sys.stderr)
        _make(folder, requirements, constraints)
        marker.write_text(wanted, encoding="utf-8")
    return _interpreter(folder)


def _make(folder: Path, requirements: Sequence[str], constraints: Path | None) -> None:
    _run("no virtual environment", [sys.executable, "-m", "venv", "--clear", str(folder)])
    install = [str(_interpreter(folder)), "-m", "pip", "install", "--progress-bar", "off"]
    if constraints is not None:
        install += ["-c", str(constraints)]
    _run(f"pip could not install {' '.join(requirements)}", [*install, *requirements])


def _run(complaint: str, command: list[str]) -> None:
    """Run with output on stderr, so that a table on stdout stays alone."""
    last = ""
    try:
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                sys.stderr.write(line)
                last = line.strip() or last
    except OSError as error:
        raise EnvironmentUnavailableError(f"{complaint}: {error}") from error
    if process.returncode:
        raise EnvironmentUnavailableError(f"{complaint}: {last}")


def _interpreter(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if platform.system() == "Windows" else "bin/python")
