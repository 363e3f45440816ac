import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tests.helpers.commands import typed
from tests.helpers.configs import composed_for
from wbc.answers.checkpoint import load_network, save_model
from wbc.answers.predictor import Predictor
from wbc.errors import CheckpointError, ConfigError, DataError
from wbc.explaining import batch, job
from wbc.explaining.job import explain
from wbc.heat.cams import ClassActivationMap
from wbc.heat.lime import stability
from wbc.heat.views import SteadyMap
from wbc.images.decode import decode, resize
from wbc.images.masks import localisation
from wbc.images.standardised import placed_mask
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.settings.explain import ExplainConfig
from wbc.synthetic.draw import LABS, draw_cell

CLASSES = ["Basophil", "Monocyte", "Neutrophil"]


def settings(*overrides: str) -> ExplainConfig:
    return composed_for("explain", ExplainConfig, *overrides)


def write_image(path: Path, seed: int, side: int = 80) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (side // 8, side // 8, 3), np.uint8)
    Image.fromarray(pixels).resize((side, side)).save(path)


def write_mask(path: Path, side: int = 80) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((side, side), np.uint8)
    mask[20:60, 20:60] = 128
    mask[30:50, 30:50] = 255
    Image.fromarray(mask).save(path)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A model and five cells of two classes with their masks."""
    folder = tmp_path_factory.mktemp("place")
    torch.manual_seed(0)
    network = Network(Backbone("tf_efficientnet_lite0", 64), CLASSES)
    save_model(Predictor(network), folder / "model.ckpt", {})
    for number in range(5):
        name = f"{CLASSES[number % 2]}/{number}"
        write_image(folder / "images" / f"{name}.png", number)
        write_mask(folder / "masks" / f"{name}.png")
    return folder


def given(place: Path, *overrides: str) -> ExplainConfig:
    common = ["batch_size=2", "sanity_images=2", "stability_images=1", "steps=2"]
    files = [f"checkpoint={place / 'model.ckpt'}", f"images={place / 'images'}"]
    unless_given = [one for one in files if not any(o.startswith(one.split("=")[0] + "=") for o in overrides)]
    return settings(*common, *unless_given, *overrides)


@pytest.fixture(scope="module")
def run(place, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    masks = f"masks={place / 'masks'}"
    unreadable = explain(
        given(place, "methods=[gradcam,layercam:fused]", "measure=true", "save_maps=true", masks), folder
    )
    return folder, unreadable


def test_a_run_leaves_everything(run):
    folder, unreadable = run
    assert unreadable == 0
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "images.csv",
        "explanations.csv",
        "summary.json",
        "gallery.html",
        "contact_sheet.png",
        "figures/randomisation.png",
        "figures/randomisation.svg",
        *(f"panels/{number:06d}.jpg" for number in range(5)),
        *(f"maps/{number:06d}.npz" for number in range(5)),
    }


def test_there_is_a_row_for_each_image_and_method_with_every_measure(run):
    frame = pd.read_csv(run[0] / "explanations.csv", keep_default_na=False)
    counts = frame["method"].value_counts().to_dict()
    assert counts == {"gradcam": 5, "layercam:fused": 5, "random map": 5, "edge map": 5}
    layers = dict(zip(frame["method"], frame["layer"], strict=True))
    assert layers["gradcam"] == "top"
    assert layers["layercam:fused"] == "blocks.2.1 blocks.4.2 top"
    with_heat = frame[frame["note"] == ""].replace("", np.nan)
    measures = ["deletion", "insertion", "heat_in_cell", "heat_in_nucleus", "hit_cell", "hit_nucleus"]
    assert with_heat[measures].astype(float).apply(lambda column: column.between(0, 1)).all(axis=None)
    assert (frame["target"] == frame["predicted"]).all()
    assert set(frame["label"]) == {"Basophil", "Monocyte"}


def test_the_summary_says_for_each_method_what_the_rows_come_to(run):
    frame = pd.read_csv(run[0] / "explanations.csv")
    summary = json.loads((run[0] / "summary.json").read_text())
    rows = frame[frame["method"] == "random map"]
    assert summary["all"]["random map"]["images"] == 5
    assert summary["all"]["random map"]["deletion"]["estimate"] == pytest.approx(
        rows["deletion"].mean(), abs=1e-4
    )
    stages = [row["stage"] for row in summary["randomisation"] if row["method"] == "gradcam"]
    assert stages[0] == "head"
    assert stages[-1] == "stem"


def test_raw_maps_are_the_methods_own(run, place):
    frame = pd.read_csv(run[0] / "explanations.csv")
    row = frame[(frame["method"] == "gradcam") & (frame["number"] == 0)].iloc[0]
    network = load_network(place / "model.ckpt")
    pixels = resize(decode(row["path"]), 64)
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    target = torch.tensor([CLASSES.index(row["target"])])
    heat = SteadyMap(ClassActivationMap(network, "gradcam"))(images, target)
    with np.load(run[0] / "maps" / "000000.npz") as maps:
        assert set(maps) == {"gradcam", "layercam:fused"}
        assert np.allclose(maps["gradcam"], heat[0].numpy(), atol=1e-5)


def test_the_gallery_asks_nobody_else(run):
    text = (run[0] / "gallery.html").read_text()
    assert "http" not in text.replace("http-equiv", "")
    assert text.count("<article") == 5


def test_an_unreadable_image_is_a_named_row_and_costs_no_other(place, tmp_path):
    images = tmp_path / "images"
    for number in range(3):
        write_image(images / f"Monocyte/{number}.png", number)
    (images / "Monocyte/1.png").write_bytes(b"no image")
    assert explain(given(place, f"images={images}", "methods=[gradcam]"), tmp_path / "run") == 1
    frame = pd.read_csv(tmp_path / "run" / "explanations.csv", keep_default_na=False)
    bad = frame[frame["path"].str.endswith("1.png")].iloc[0]
    assert len(frame) == 3
    assert bad["method"] == ""
    assert "no JPEG" in bad["note"]
    assert "could not be explained" in (tmp_path / "run" / "gallery.html").read_text()


def test_a_folder_of_unreadable_images_still_says_why(place, tmp_path):
    path = tmp_path / "images" / "Monocyte" / "0.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert explain(given(place, f"images={tmp_path / 'images'}"), tmp_path / "run") == 1
    assert "empty" in (tmp_path / "run" / "explanations.csv").read_text()


def test_a_stopped_run_goes_on_where_it_was(place, tmp_path, monkeypatch):
    config = given(place, "methods=[gradcam]")
    explain(config, tmp_path / "whole")
    seen: list[list[int]] = []
    plain = job.explain_batch

    def stopping(rows, *others):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(list(rows.index))
        return plain(rows, *others)

    monkeypatch.setattr(job, "explain_batch", stopping)
    with pytest.raises(KeyboardInterrupt):
        explain(config, tmp_path / "stopped")
    assert not (tmp_path / "stopped" / "explanations.csv").exists()
    monkeypatch.setattr(
        job, "explain_batch", lambda rows, *o: seen.append(list(rows.index)) or plain(rows, *o)
    )
    explain(config, tmp_path / "stopped")
    assert seen == [[0, 1], [2, 3], [4]]
    names = [{path.name for path in (tmp_path / name).rglob("*")} for name in ("whole", "stopped")]
    assert names[0] == names[1]
    sheets = [(tmp_path / name / "contact_sheet.png").read_bytes() for name in ("whole", "stopped")]
    assert sheets[0] == sheets[1]
    assert explain(config, tmp_path / "stopped") == 0  # finished: nothing is done again
    assert len(seen) == 3
    whole, stopped = (
        pd.read_csv(tmp_path / name / "explanations.csv").drop(columns="seconds")
        for name in ("whole", "stopped")
    )
    pd.testing.assert_frame_equal(whole, stopped)


def test_a_run_whose_images_were_replaced_does_not_go_on_until_they_are_back(
    place, tmp_path, monkeypatch, caplog
):
    """Rows of the old image stood beside a heat map of the new one."""
    shutil.copytree(place / "images", tmp_path / "images")
    config = given(place, "methods=[gradcam]", f"images={tmp_path / 'images'}")
    with monkeypatch.context() as patch:
        patch.setattr(job, "explain_batch", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            explain(config, tmp_path / "run")
    image = tmp_path / "images" / CLASSES[0] / "0.png"
    image.rename(tmp_path / "away.png")
    write_image(image, 9)
    said = rf"1 of 5 images changed since the run in .*run began, e\.g\. {image}\. Put them back as they were"
    with pytest.raises(DataError, match=said):
        explain(config, tmp_path / "run")
    (tmp_path / "away.png").rename(image)
    assert explain(config, tmp_path / "run") == 0
    # A list of a release that did not note them.
    with monkeypatch.context() as patch:
        patch.setattr(job, "explain_batch", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            explain(config, tmp_path / "old")
    listed = tmp_path / "old" / "images.csv"
    pd.read_csv(listed).drop(columns=["bytes", "mtime_ns"]).to_csv(listed, index=False)
    assert explain(config, tmp_path / "old") == 0
    assert "whether images changed since the run began is not known" in caplog.text


def test_a_mask_that_does_not_fit_is_named_and_the_others_are_measured(place, tmp_path):
    for number in range(5):
        write_mask(tmp_path / f"{CLASSES[number % 2]}/{number}.png", 64 if number == 3 else 80)
    (tmp_path / "Basophil/0.png").unlink()
    config = given(place, "methods=[gradcam]", "measure=true", "sanity_images=0", f"masks={tmp_path}")
    explain(config, tmp_path / "run")
    frame = pd.read_csv(tmp_path / "run" / "explanations.csv", keep_default_na=False)
    notes = frame[frame["method"] == "edge map"].set_index("number")["note"]
    assert "no mask for it" in notes[0]  # numbers follow the paths: basophils 0, 2, 4, monocytes 1, 3
    assert "64 x 64" in notes[4]
    assert (notes[1:3] == "").all()
    assert (frame["heat_in_cell"] != "").sum() > 0


def test_masks_move_with_the_cell_and_a_picture_without_one_is_noted(place, tmp_path, monkeypatch):
    network = Network(Backbone("tf_efficientnet_lite0", 64), CLASSES, standardise=["size"]).eval()
    save_model(Predictor(network), tmp_path / "model.ckpt", {})
    image, mask = draw_cell("Monocyte", LABS["lab_f"], np.random.default_rng(0), 96)
    pictures = {"images/cell": image, "images/empty": np.full_like(image, 230), "masks/cell": mask}
    for name, pixels in pictures.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    seen = []
    monkeypatch.setattr(
        batch, "localisation", lambda heat, mask: seen.append(mask) or localisation(heat, mask)
    )
    files = [f"{key}={tmp_path / name}" for key, name in (("images", "images"), ("masks", "masks"))]
    files.append(f"checkpoint={tmp_path / 'model.ckpt'}")
    explain(given(place, "methods=[gradcam]", "measure=true", "sanity_images=0", *files), tmp_path / "run")
    moved = placed_mask(mask, network.prepare.picture(image).placement, 64)
    assert moved.shape == (64, 64)
    for one in seen:
        np.testing.assert_array_equal(one, moved)
    frame = pd.read_csv(tmp_path / "run" / "explanations.csv", keep_default_na=False)
    noted = frame[frame["note"].str.contains("no cell found")]
    assert {Path(path).stem for path in noted["path"]} == {"empty"}


@pytest.mark.parametrize("masks", ["nowhere", "empty"])
def test_masks_of_no_image_are_an_error_and_not_a_run_without_measures(place, tmp_path, masks):
    (tmp_path / "empty").mkdir()
    config = given(place, "measure=true", f"masks={tmp_path / masks}")
    with pytest.raises(DataError, match="no mask for any of 5 images"):
        explain(config, tmp_path / "run")


def test_heat_that_is_not_finite_is_a_named_row(place, tmp_path, monkeypatch):
    def broken(self, images, targets):
        heat = torch.ones(len(images), 64, 64)
        heat[0] = torch.nan
        return heat

    monkeypatch.setattr(ClassActivationMap, "__call__", broken)
    config = given(place, "methods=[gradcam]", "measure=true", "sanity_images=0", f"masks={place / 'masks'}")
    explain(config, tmp_path)
    frame = pd.read_csv(tmp_path / "explanations.csv", keep_default_na=False)
    rows = frame[frame["method"] == "gradcam"].set_index("number")
    assert rows.loc[[0, 2, 4], "note"].eq("heat is not finite").all()  # the first of each batch of two
    assert rows.loc[[0, 2, 4], "deletion"].eq("").all()
    assert rows.loc[[1, 3], "deletion"].ne("").all()


def test_two_images_cannot_share_a_mask(place, tmp_path):
    write_image(tmp_path / "images/Monocyte/1.png", 1)
    write_image(tmp_path / "images/Basophil/1.png", 2)
    write_mask(tmp_path / "masks/1.png")
    config = given(place, f"images={tmp_path / 'images'}", "measure=true", f"masks={tmp_path / 'masks'}")
    with pytest.raises(DataError, match="both lead to the mask"):
        explain(config, tmp_path / "run")


def test_a_model_that_nothing_speaks_for_shows_no_heat_instead_of_a_blank_picture(place, tmp_path):
    network = Network(Backbone("tf_efficientnet_lite0", 64), CLASSES).eval()
    torch.nn.init.zeros_(network.head.kernels[-1].weight)
    save_model(Predictor(network), tmp_path / "model.ckpt", {})
    explain(given(place, f"checkpoint={tmp_path / 'model.ckpt'}", "methods=[gradcam]"), tmp_path / "run")
    frame = pd.read_csv(tmp_path / "run" / "explanations.csv")
    assert (frame["note"] == "no positive heat").all()


@pytest.mark.slow
def test_empty_maps_of_one_method_beside_another_are_measured(place, tmp_path, monkeypatch):
    plain = ClassActivationMap.__call__

    def empty(self, images, targets):
        heat = plain(self, images, targets)
        return heat if self.layers == ["top"] else torch.zeros_like(heat)

    monkeypatch.setattr(ClassActivationMap, "__call__", empty)
    explain(given(place, "methods=[layercam,layercam:blocks.4.2]", "measure=true"), tmp_path)
    randomised = json.loads((tmp_path / "summary.json").read_text())["randomisation"]
    assert {row["method"] for row in randomised if row["rank_correlation"] is None} == {"layercam:blocks.4.2"}
    assert "layercam:blocks.4.2: no positive heat" in (tmp_path / "gallery.html").read_text()


@pytest.mark.slow
def test_a_random_model_whose_maps_are_all_empty_is_measured_all_the_same(place, tmp_path):
    network = Network(Backbone("tf_efficientnet_lite0", 64), CLASSES).eval()
    torch.nn.init.zeros_(network.head.kernels[-1].weight)
    save_model(Predictor(network), tmp_path / "model.ckpt", {})
    config = given(place, f"checkpoint={tmp_path / 'model.ckpt'}", "methods=[gradcam]", "measure=true")
    explain(config, tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["all"]["gradcam"]["without_heat"] == 5
    assert all(row["rank_correlation"] is None for row in summary["randomisation"])


def test_targets(place, tmp_path):
    explain(given(place, "target=true", "methods=[gradcam]"), tmp_path / "true")
    frame = pd.read_csv(tmp_path / "true" / "explanations.csv")
    assert (frame["target"] == frame["label"]).all()
    explain(given(place, "target=Neutrophil", "methods=[gradcam]", "per_class=1"), tmp_path / "named")
    frame = pd.read_csv(tmp_path / "named" / "explanations.csv")
    assert set(frame["target"]) == {"Neutrophil"}
    assert sorted(frame["label"]) == ["Basophil", "Monocyte"]


@pytest.mark.slow
def test_lime_is_measured_for_its_stability(place, tmp_path, monkeypatch):
    short = functools.partial(stability, ladder=(20, 40))
    monkeypatch.setattr("wbc.explaining.report.stability", short)
    config = given(place, "methods=[lime]", "lime_samples=20", "measure=true", "per_class=1")
    explain(config, tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert set(summary["lime_stability"]["rank_correlation"]) == {"20", "40"}
    assert "randomisation" not in summary
    assert "Not randomised" in (tmp_path / "gallery.html").read_text()


@pytest.mark.parametrize(
    ("overrides", "error", "complaint"),
    [
        (["target=Blast"], ConfigError, "Blast"),
        (["methods=[shap]"], ConfigError, "shap"),
        (["methods=[lime:top]"], ConfigError, "lime"),
        (["methods=[gradcam:blocks.9]"], ConfigError, "blocks.9"),
        (["images=nowhere"], DataError, "nowhere"),
        (["checkpoint=nowhere.ckpt"], CheckpointError, "nowhere.ckpt"),
        (["device=xpu9"], ConfigError, "device=xpu9"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(place, tmp_path, overrides, error, complaint):
    with pytest.raises(error, match=complaint):
        explain(given(place, *overrides), tmp_path)


def test_true_targets_need_true_classes(place, tmp_path):
    write_image(tmp_path / "images" / "0.png", 0)
    with pytest.raises(DataError, match="true class is not known"):
        explain(given(place, "target=true", f"images={tmp_path / 'images'}"), tmp_path / "run")


@pytest.mark.parametrize(
    "override",
    ["methods=[]", "methods=[gradcam,gradcam]", "batch_size=0", "masks=here", "per_class=0", "steps=1"],
)
def test_settings_out_of_range_are_refused(override):
    with pytest.raises(ConfigError, match=override.partition("=")[0]):
        settings("checkpoint=a", "images=b", override)


def test_the_command(place, tmp_path):
    files = [f"checkpoint={place / 'model.ckpt'}", f"images={place / 'images'}"]
    run = f"hydra.run.dir={tmp_path / 'run'}"
    done = typed("explain.py", *files, run, "methods=[gradcam]")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "config.yaml").is_file()
    assert json.loads((tmp_path / "run" / "versions.json").read_text())["seed"] == 0
    again = typed("explain.py", *files, run, "methods=[layercam]")
    assert again.returncode == 1
    assert "holds a run already" in again.stderr + again.stdout
    misspelt = typed("explain.py", *files, "methds=[gradcam]")
    assert misspelt.returncode == 1
    assert "methds" in misspelt.stderr
