"""Images that a model has seen, in its own run and in those that it comes from."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.helpers.copies import cell, cropped, recompressed, resized
from tests.helpers.trees import picture, write_image
from wbc.answers.origins import origins
from wbc.datasets.checks import examine_images
from wbc.datasets.manifest import COLUMNS, write_manifest
from wbc.evaluating.leaks import TrainingImages
from wbc.labels import CLASSES


@pytest.fixture
def place(tmp_path) -> Path:
    """Ten images; image 9 shows what image 0 does."""
    for number in range(10):
        write_image(tmp_path / f"{number}.png", picture(number % 9))
    return tmp_path


def write_run(place: Path, name: str, provenance: dict, **splits: str) -> str:
    """A run's model and manifest: split="04" puts images 0 and 4 there."""
    rows = [
        {"path": str(place / f"{number}.png"), "split": split}
        for split, numbers in splits.items()
        for number in numbers
    ]
    write_manifest(
        pd.DataFrame(rows, columns=COLUMNS, dtype=object).fillna(""), place / name / "manifest.csv"
    )
    torch.save({"provenance": provenance, "wbc": {"classes": CLASSES}}, place / name / "model.ckpt")
    return str(place / name / "model.ckpt")


def left_out(place: Path, models: list[str], named: str = "") -> dict[str, str]:
    """Number of the image -> why it is left out."""
    paths = [str(place / f"{number}.png") for number in range(10)]
    examined = examine_images(paths, str(place / "cache"), 0)
    reasons = TrainingImages(models, str(place / "cache"), 0).reasons(paths, examined, named)
    return {Path(path).stem: why for path, why in zip(paths, reasons, strict=True) if why}


def test_the_model_and_the_split_are_named(place):
    model = write_run(place, "a", {}, train="0", val="1", test="2")
    assert left_out(place, [model]) == {
        "0": f"in train of {model}",
        "1": f"in val of {model}",
        "9": f"same pixels as {place / '0.png'} in train of {model}",
    }


def test_another_box_of_a_photograph_that_trained(place):
    """Boxes of one photograph share light and stain, and overlap."""
    field = str(write_image(place / "field.png", picture(20, 40)))
    rows = [
        {"path": f"{field}#xywh=0,0,9,9", "split": "train"},
        {"path": str(place / "1.png"), "split": "val"},
    ]
    frame = pd.DataFrame(rows, columns=COLUMNS, dtype=object).fillna("")
    write_manifest(frame, place / "run/manifest.csv")
    torch.save({"provenance": {}, "wbc": {"classes": CLASSES}}, place / "run/model.ckpt")
    seen = TrainingImages([str(place / "run/model.ckpt")], str(place / "cache"), 0)
    paths = [f"{field}#xywh=0,0,9,9", f"{field}#xywh=3,3,9,9", field, f"{place}/2.png#xywh=0,0,4,4"]
    examined = examine_images(paths, str(place / "cache"), 0)
    there = f"in train of {place / 'run/model.ckpt'}"
    other = f"same photograph as {field}#xywh=0,0,9,9 {there}"
    assert seen.reasons(paths, examined, "") == [there, other, other, ""]


@pytest.mark.parametrize("how", ["adapted", "adapted twice", "init_from", "settings beside it", "both"])
def test_what_a_model_comes_from_has_seen_its_images_too(place, how):
    old = write_run(place, "old", {}, train="0", val="1", test="2")
    provenance: dict = {
        "adapted": {"adapted": {"from": old}},
        "adapted twice": {"adapted": {"from": str(place / "gone.ckpt"), "before": {"from": old}}},
        "init_from": {"config": {"init_from": old}},
        "settings beside it": {},
    }.get(how, {})
    if how == "both":
        between = write_run(place, "between", {"config": {"init_from": old}}, train="3")
        provenance = {"adapted": {"from": between}}
    new = write_run(place, "new", provenance, train="4")
    if how == "settings beside it":
        (place / "new" / "config.yaml").write_text(f"init_from: {old}\n")
    expected = {"0", "1", "4", "9"} | ({"3"} if how == "both" else set())
    assert set(left_out(place, [new])) == expected
    assert left_out(place, [new])["0"] == f"in train of {old}"


def test_where_a_model_it_comes_from_is_gone_this_is_said(place, caplog):
    new = write_run(place, "new", {"adapted": {"from": str(place / "gone" / "model.ckpt")}}, train="4")
    assert set(left_out(place, [new])) == {"4"}
    assert f"{new} comes from {place / 'gone' / 'model.ckpt'}, which is gone" in caplog.text


def test_models_that_come_from_each_other_end(place):
    paths = [str(place / name / "model.ckpt") for name in "ab"]
    for name, other in zip("ab", reversed(paths), strict=True):
        write_run(place, name, {"config": {"init_from": other}})
    assert origins(Path(paths[0])) == [Path(paths[1])]


def test_each_model_keeps_its_own_splits(place):
    """Named, the reported model's validation images are wanted, but not those that the other trained on."""
    a = write_run(place, "a", {}, train="01", val="2")
    b = write_run(place, "b", {}, train="3", val="012", test="4")
    assert left_out(place, [a, b], "val") == {
        "0": f"in train of {a}",
        "1": f"in train of {a}",
        "3": f"in train of {b}",
        "9": f"same pixels as {place / '0.png'} in train of {a}",
    }


def test_a_near_copy_of_what_trained(tmp_path, caplog):
    """A resized copy was measured as if the model had not seen it."""
    seen, chosen, new = (write_image(tmp_path / f"{number}.png", cell(number)) for number in range(3))
    copy = write_image(tmp_path / "copy.png", resized(cropped(cell(0)), 0.6))
    vague = write_image(tmp_path / "vague.png", recompressed(resized(cell(0), 0.4)))
    of_chosen = write_image(tmp_path / "of_chosen.png", resized(cell(1), 0.5))
    rows = [{"path": str(seen), "split": "train"}, {"path": str(chosen), "split": "val"}]
    frame = pd.DataFrame(rows, columns=COLUMNS, dtype=object).fillna("")
    write_manifest(frame, tmp_path / "run/manifest.csv")
    torch.save({"provenance": {}, "wbc": {"classes": CLASSES}}, tmp_path / "run/model.ckpt")
    model = str(tmp_path / "run/model.ckpt")
    paths = [str(path) for path in (copy, new, vague, of_chosen)]
    training = TrainingImages([model], str(tmp_path / "cache"), 0)
    reasons = training.reasons(paths, examine_images(paths, str(tmp_path / "cache"), 0), "val")
    assert reasons[0].startswith("near-copy (likeness 0.9")
    assert reasons[0].endswith(f"of {seen} in train of {model}")
    assert reasons[1:] == ["", "", ""]
    assert (
        "1 of 4 images may be near-copies of training images (likeness 0.85 to 0.92) and are kept"
        in caplog.text
    )
    assert f"{vague} of {seen}" in caplog.text
