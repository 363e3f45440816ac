"""Damaged checkpoints: refused in one sentence that names them, or as good as whole."""

import functools
import random
from pathlib import Path

import numpy as np
import pytest
import torch

import wbc
from tests.helpers.apart import complaints
from tests.helpers.mutations import damaged, odd
from wbc.answers.checkpoint import load_provenance
from wbc.answers.origins import origins
from wbc.errors import WbcError
from wbc.labels import names_of_model
from wbc.report.model_card import model_card

pytestmark = pytest.mark.slow

FILES, FIELDS = 60, 140
LIMIT_S, LIMIT_GIB = 60, 2
IMAGE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def used(file: Path) -> str | None:
    """What the verbs ask of a model; what is wrong with its answers, or with the words of its refusal."""
    try:
        predictor = wbc.load(file)
        answers = predictor.predict([IMAGE])
        provenance = load_provenance(file)
        names_of_model(predictor.classes, provenance)
        origins(file)
    except WbcError as error:
        return None if file.name in str(error) else f"which file? {error}"
    model_card(file, predictor, provenance, {})
    right = np.isfinite(answers.probabilities).all() and set(answers.labels) <= set(predictor.classes)
    return None if right else str(answers)


def with_bytes(model: Path, folder: Path, number: int) -> str | None:
    file = folder / f"bytes_{number}.ckpt"
    file.write_bytes(damaged(model.read_bytes(), random.Random(f"file {number}")))
    complaint = used(file)
    file.unlink()
    return complaint


def with_field(model: Path, folder: Path, number: int) -> str | None:
    file = folder / f"field_{number}.ckpt"
    changed, what = odd(torch.load(model, weights_only=True), random.Random(f"field {number}"))
    torch.save(changed, file)
    try:
        complaint = used(file)
    except Exception as error:
        error.args = (f"{error.args}, where {what}",)
        raise
    file.unlink()
    return complaint and f"{what}: {complaint}"


@pytest.mark.parametrize("of", ["run", "adapted"])
@pytest.mark.parametrize(("damage", "cases"), [(with_bytes, FILES), (with_field, FIELDS)])
def test_a_damaged_model_is_refused_or_as_good_as_whole(place, tmp_path, damage, cases, of):
    model = place / of / "model.ckpt"
    job = functools.partial(damage, model, tmp_path)
    found = complaints(job, cases // 2, LIMIT_S, LIMIT_GIB)
    assert not found, "\n".join(found)
