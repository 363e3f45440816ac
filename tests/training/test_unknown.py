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
from wbc.training.job import train


def found(unknown, known=None, **changed):
    data = replace(composed("data=synthetic").data, unknown=str(unknown), **changed)
    return unknown_cells(data, KNOWN if known is None else known)


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
    rows = found(write_unknown(tmp_path / "other"))
    assert rows.groupby("kind")["measured"].sum().to_dict() == {"clump": 3, "smudge": 3}
    again = found(tmp_path / "other")
    pd.testing.assert_frame_equal(rows, again)
    other = found(tmp_path / "other", split_seed=1)
    assert not rows["measured"].equals(other["measured"])


def test_what_cannot_be_unknown_is_refused_with_the_mend(tmp_path):
    place = write_unknown(tmp_path / "other")
    with pytest.raises(DataError, match=r"data\.unknown=.*nowhere: no such file or folder; give a folder"):
        found(tmp_path / "nowhere")
    known = KNOWN.copy()
    known.loc[0] = [str(place / "clump" / "3.png"), "Monocyte", ""]
    with pytest.raises(DataError, match=r"1 images are known cells of data\.root too, e\.g\. .*3\.png"):
        found(place, known)
    known.loc[0, "excluded"] = "unreadable: cut off"
    assert len(found(place, known)) == 30
    (place / "Monocyte").mkdir()
    shutil.move(place / "clump" / "3.png", place / "Monocyte" / "3.png")
    with pytest.raises(DataError, match=r"1 images lie in folders that spell a class \(Monocyte\)"):
        found(place)
    few = write_unknown(tmp_path / "few", ["smudge"], 9)
    with pytest.raises(DataError, match="9 images are too few to learn from; give 10 or more"):
        found(few)


def test_copies_and_pictures_of_known_cells_are_left_out_and_named(tmp_path, caplog):
    place = write_unknown(tmp_path / "other")
    shutil.copy(place / "clump" / "3.png", place / "clump" / "copy.png")
    shutil.copy(place / "smudge" / "5.png", tmp_path / "cell.png")
    known = KNOWN.copy()
    known.loc[0] = [str(tmp_path / "cell.png"), "Monocyte", ""]
    rows = found(place, known)
    assert len(rows) == 29
    assert f"left out {place / 'clump' / 'copy.png'}: a copy of another" in caplog.text
    assert f"left out {place / 'smudge' / '5.png'}: the picture of a known cell" in caplog.text


def test_where_too_few_can_be_read_nothing_is_trained(tmp_path):
    place = write_unknown(tmp_path / "other", ["smudge"])
    for number in range(6):
        (place / "smudge" / f"{number}.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="9 images are too few to learn from"):
        found(place)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no images in the folder"):
        found(tmp_path / "empty")


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
