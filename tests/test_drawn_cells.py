"""Drawn cells join training alone, once, under the names of the user's own classes."""

from pathlib import Path

import pandas as pd
import pytest
from small_runs import SMALL
from test_config import composed
from trees import data_config, write_splits

from wbc.checkpoint import load_provenance
from wbc.drawn_cells import drawn_cells, with_drawn_cells
from wbc.errors import ConfigError
from wbc.labels import CLASSES
from wbc.manifest import DRAWN, build_manifest, read_manifest
from wbc.synthetic_plan import class_counts
from wbc.training import train


@pytest.fixture
def real(tmp_path):
    write_splits(tmp_path / "real", train=2, val=1, test=1)
    return build_manifest(data_config(tmp_path / "real"), seed=0)


def drawing(tmp_path, **settings):
    return data_config(tmp_path, drawn_dir=str(tmp_path / "drawn"), workers=0, **settings)


def test_they_join_training_alone(tmp_path, real):
    both = with_drawn_cells(real, drawn_cells(drawing(tmp_path, drawn_per_class=8), 64))
    pd.testing.assert_frame_equal(both[: len(real)], real)
    drawn = both[len(real) :]
    assert drawn["label"].value_counts().to_dict() == class_counts(8, 4)
    assert (set(drawn["split"]), set(drawn["source"]), set(drawn["excluded"])) == ({"train"}, {DRAWN}, {""})
    assert all(Path(path).is_absolute() and Path(path).is_file() for path in drawn["path"])


def test_a_manifest_that_has_them_does_not_get_them_twice(tmp_path, real):
    cells = drawn_cells(drawing(tmp_path, drawn_per_class=2), 64)
    both = with_drawn_cells(real, cells)
    pd.testing.assert_frame_equal(with_drawn_cells(both, cells), both)


def test_they_have_the_names_of_your_classes(tmp_path):
    granulocytes = dict.fromkeys(["Basophil", "Eosinophil", "Neutrophil"], "Granulocyte")
    config = drawing(
        tmp_path, drawn_per_class=2, classes=["Granulocyte", "lymphocytes", "Monocyte"], aliases=granulocytes
    )
    drawn = drawn_cells(config, 64)
    assert drawn["label"].value_counts().to_dict() == {"Granulocyte": 12, "lymphocytes": 4, "Monocyte": 4}


def test_a_class_that_cannot_be_drawn_is_refused(tmp_path):
    config = drawing(tmp_path, drawn_per_class=2, classes=[*CLASSES, "Blast"])
    with pytest.raises(ConfigError, match=r"no cells can be drawn of Blast.*data.drawn_per_class=0"):
        drawn_cells(config, 64)
    assert not (tmp_path / "drawn").exists()


def test_a_run_trains_on_them_and_tells(tmp_path):
    """Validation and test sets stay as they are without them."""
    config = composed(
        *SMALL,
        f"data.root={tmp_path}",
        f"data.checks_dir={tmp_path}",
        f"data.drawn_dir={tmp_path / 'drawn'}",
        "data.drawn_per_class=2",
        "phase=head",
    )
    train(config, tmp_path / "run")
    manifest = read_manifest(tmp_path / "run" / "manifest.csv")
    drawn = manifest["source"] == DRAWN
    assert drawn.sum() == 20  # no class has fewer than four
    assert set(manifest.loc[drawn, "split"]) == {"train"}
    measured = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert set(measured["path"]) == set(manifest.loc[manifest["split"] != "train", "path"])
    counts = load_provenance(tmp_path / "run" / "model.ckpt")["images"]["splits"]
    assert counts["train, drawn"] == dict.fromkeys(CLASSES, 4)
    assert sum(counts["train"].values()) == (manifest["split"] == "train").sum() - 20
