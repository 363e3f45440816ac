"""Whether an exported folder answers as the model that it was made of, by running what it holds."""

from __future__ import annotations

import csv
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

from wbc.answers.predictor import Predictor
from wbc.errors import ConfigError
from wbc.plain.answers import Answers
from wbc.plain.prediction_rows import PREDICTION, SET_SEPARATOR

log = logging.getLogger(__name__)

BOUND = 1e-4  # of a probability, absolute


def compared(predictor: Predictor, paths: list[str], folder: Path) -> dict[str, Any]:
    """How the answers of both differ on the files at `paths`; nothing else of `folder` is changed.

    Raises ConfigError where they are not the same: class, set and status, and probabilities within BOUND.
    """
    _, answers, _ = predictor.answer_files(paths, 32, None, "by this model")
    log.info("answering %d images by the exported model", len(paths))
    rows = _rows_of(folder, paths)
    gap = 0.0
    for number, (path, row) in enumerate(zip(paths, rows, strict=True)):
        found = [float(value) for value in row[PREDICTION + 1 : PREDICTION + 1 + len(predictor.classes)]]
        gap = max(
            gap, *(abs(a - float(b)) for a, b in zip(found, answers.probabilities[number], strict=True))
        )
        said = (row[PREDICTION], *row[PREDICTION + 1 + len(predictor.classes) :][:2])
        expected = _said(answers, number)
        if said != expected or not gap <= BOUND:
            raise ConfigError(
                f"the exported model does not answer as this one does: of {path} it says {' / '.join(said)}, "
                f"this one {' / '.join(expected)}; probabilities differ by up to {gap:.2g}. Nothing was "
                "exported: give another format="
            )
    return {"images": len(paths), "probability_gap": gap, "probability_bound": BOUND}


def _said(answers: Answers, number: int) -> tuple[str, str, str]:
    return answers.labels[number], SET_SEPARATOR.join(answers.sets[number]), answers.status[number]


def _rows_of(folder: Path, paths: list[str]) -> list[list[str]]:
    """What classify.py in `folder` writes, in a process of its own."""
    listed, table = folder.with_name(".compared.txt"), folder.with_name(".compared.csv")
    try:
        listed.write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
        command = [
            sys.executable,
            "-B",
            "-E",
            "-s",
            "classify.py",
            "--list",
            str(listed),
            "--table",
            str(table),
        ]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ConfigError(f"the exported model failed: {done.stderr.strip()[-500:]}")
        with table.open(encoding="utf-8", newline="") as file:
            return list(csv.reader(file))[1:]
    finally:
        listed.unlink(missing_ok=True)
        table.unlink(missing_ok=True)
