"""Drawn cells join training alone, once, under the names of the user's own classes."""

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from tests.helpers.configs import composed
from tests.helpers.small_runs import SMALL
from tests.helpers.trees import data_config, write_splits
from wbc.answers.checkpoint import load_provenance
from wbc.datasets.manifest import DRAWN, build_manifest, read_manifest, write_manifest
from wbc.datasets.synthetic_extra import drawn_cells, with_drawn_cells
from wbc.errors import ConfigError, DataError
from wbc.labels import CLASSES
from wbc.synthetic.plan import class_counts
from wbc.training.job import train


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


@pytest.mark.parametrize("source", ["manifest", "labs"])
def test_those_of_an_earlier_run_are_not_read_as_images(tmp_path, real, source):
    """They would be split, and left out as a lab; with other settings there would be two kinds."""
    both = with_drawn_cells(real, drawn_cells(drawing(tmp_path, drawn_per_class=2), 64))
    table = tmp_path / "manifest.csv"
    write_manifest(both, table)
    given = {"root": str(table)} if source == "manifest" else {"root": ".", "labs": {"tree": str(table)}}
    again = build_manifest(replace(data_config(tmp_path), source=source, **given), seed=0)
    assert again["path"].tolist() == real["path"].tolist()
    write_manifest(both[len(real) :], table)
    with pytest.raises(DataError, match="holds drawn cells alone"):
        build_manifest(replace(data_config(tmp_path), source=source, **given), seed=0)


def test_aliases_in_usual_spellings_say_what_classes_stand_for(tmp_path):
    aliases = {"neu": "Poly", "eos": "Poly", "baso": "Poly", "lympho": "Mono nuclear", "mono": "Mono nuclear"}
    config = drawing(tmp_path, drawn_per_class=2, classes=["Poly", "Mono nuclear"], aliases=aliases)
    assert drawn_cells(config, 64)["label"].value_counts().to_dict() == {"Poly": 12, "Mono nuclear": 8}


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


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:100])])
def test_a_kept_drawing_that_is_gone_or_damaged_is_named(tmp_path, damage):
    config = drawing(tmp_path, drawn_per_class=2)
    path = Path(drawn_cells(config, 64)["path"].iloc[3])
    damage(path)
    with pytest.raises(
        DataError, match=rf"{path.name}: .*1 such drawn cells.*; delete .*, and all are drawn"
    ):
        drawn_cells(config, 64)


def test_a_run_trains_on_them_and_tells(tmp_path):
    """None of them is measured, and those deleted since are drawn again by a run that goes on."""
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
    shutil.rmtree(tmp_path / "drawn")
    (tmp_path / "run" / "logs" / "head" / "result.json").unlink()  # as if it had been killed, then cleaned up
    train(config, tmp_path / "run")
    assert all(map(Path.is_file, map(Path, manifest.loc[drawn, "path"])))
    assert drawn.sum() == 20  # no class has fewer than four
    assert set(manifest.loc[drawn, "split"]) == {"train"}
    measured = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert set(measured["path"]) == set(manifest.loc[manifest["split"] != "train", "path"])
    counts = load_provenance(tmp_path / "run" / "model.ckpt")["images"]["splits"]
    assert counts[f"train, {DRAWN}"] == dict.fromkeys(CLASSES, 4)
    assert sum(counts["train"].values()) == (manifest["split"] == "train").sum() - 20
