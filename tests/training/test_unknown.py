"""data.unknown: cells of no class teach a run what to refuse; bad input is named before training."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.helpers.configs import composed
from tests.helpers.small_runs import SMALL
from wbc.answers.checkpoint import load_model, load_provenance
from wbc.datasets.unknown_cells import unknown_cells
from wbc.errors import DataError
from wbc.labels import CLASSES
from wbc.training.job import train

KNOWN = pd.DataFrame({"path": [], "label": [], "excluded": []}, dtype=str)


def write_unknown(folder, kinds=("smudge", "clump"), count=15):
    """Blots that no class looks like."""
    rng = np.random.default_rng(0)
    for kind in kinds:
        place = folder / kind
        place.mkdir(parents=True)
        for number in range(count):
            picture = np.full((96, 96, 3), (236, 226, 232), np.uint8)
            for _ in range(6 if kind == "clump" else 1):
                x, y = rng.integers(20, 70, 2)
                size = 8 if kind == "clump" else 26
                picture[y : y + size, x : x + size] = (90 + 30 * (kind == "clump"), 60, 150)
            noisy = picture + rng.normal(0, 4, picture.shape)
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(place / f"{number}.png")
    return folder


def test_a_fifth_of_each_kind_is_held_out(tmp_path):
    rows = unknown_cells(str(write_unknown(tmp_path / "other")), CLASSES, KNOWN, 0)
    assert rows.groupby("kind")["measured"].sum().to_dict() == {"clump": 3, "smudge": 3}
    again = unknown_cells(str(tmp_path / "other"), CLASSES, KNOWN, 0)
    pd.testing.assert_frame_equal(rows, again)
    other = unknown_cells(str(tmp_path / "other"), CLASSES, KNOWN, 1)
    assert not rows["measured"].equals(other["measured"])


def test_what_cannot_be_unknown_is_refused_with_the_mend(tmp_path):
    place = write_unknown(tmp_path / "other")
    with pytest.raises(DataError, match=r"data\.unknown=.*nowhere: no such file or folder; give a folder"):
        unknown_cells(str(tmp_path / "nowhere"), CLASSES, KNOWN, 0)
    known = KNOWN.copy()
    known.loc[0] = [str(place / "clump" / "3.png"), "Monocyte", ""]
    with pytest.raises(DataError, match=r"1 images are known cells of data\.root too, e\.g\. .*3\.png"):
        unknown_cells(str(place), CLASSES, known, 0)
    known.loc[0, "excluded"] = "unreadable: cut off"
    assert len(unknown_cells(str(place), CLASSES, known, 0)) == 30
    (place / "Monocyte").mkdir()
    shutil.move(place / "clump" / "3.png", place / "Monocyte" / "3.png")
    with pytest.raises(DataError, match=r"1 images lie in folders that spell a class \(Monocyte\)"):
        unknown_cells(str(place), CLASSES, KNOWN, 0)
    few = write_unknown(tmp_path / "few", ["smudge"], 9)
    with pytest.raises(DataError, match="9 images are too few to learn from; give 10 or more"):
        unknown_cells(str(few), CLASSES, KNOWN, 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("unknown")
    other = write_unknown(place / "other")
    (other / "smudge" / "broken.png").write_bytes(b"no picture")
    cells = tmp_path_factory.getbasetemp() / "unknown_cells"
    config = composed(
        *SMALL,
        "phase=head",
        "abstain.max_error=0.5",
        f"data.root={cells}",
        f"data.checks_dir={cells}",
        f"data.unknown={other}",
        "+trainer.enable_progress_bar=false",
    )
    train(config, place / "run")
    return place, config


def test_a_run_tells_how_it_refuses_others_of_their_kinds(run):
    place, _ = run
    told = json.loads((place / "run" / "metrics.json").read_text())["unknown"]
    assert told["kinds"].keys() == {"clump", "smudge"}
    assert (
        told["learnt"] + sum(one["images"] for one in told["kinds"].values()) == 30
    )  # the broken one is not
    for one in told["kinds"].values():
        assert 0 <= one["not_a_known_cell"] <= 1 - one["answered"] <= 1
    assert load_provenance(place / "run" / "model.ckpt")["unknown"] == told


def test_the_model_finds_them_stranger_than_by_its_score_alone(run):
    place, _ = run
    predictor = load_model(place / "run" / "model.ckpt")
    paths = sorted((place / "other" / "smudge").glob("[0-9]*.png"))
    with_kinds = predictor.predict(paths)
    bare = replace(
        predictor.rule.outlier_score, tensors={"bank": predictor.rule.outlier_score.tensors["bank"]}
    )
    predictor.rule = replace(predictor.rule, outlier_score=bare)
    without = predictor.predict(paths)
    assert (with_kinds.scores > without.scores).all()


def test_an_unreadable_one_is_named(run, caplog, tmp_path):
    place, config = run
    train(replace(config, report=False), tmp_path / "again")
    assert f"data.unknown: left out {place / 'other' / 'smudge' / 'broken.png'}" in caplog.text
