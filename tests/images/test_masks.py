import math
import pickle

import numpy as np
import pytest
from PIL import Image

from tests.helpers.places import DATA
from wbc.images.decode import decode
from wbc.images.masks import MaskError, localisation, mask_path, read_mask
from wbc.synthetic.dataset import write_dataset

KEYS = {
    f"{measure.format(part)}"
    for part in ("cell", "nucleus", "cytoplasm")
    for measure in ("heat_in_{}", "heat_in_{}_over_area", "hit_{}")
}


def small_mask():
    """(8, 8): a cell of 16 pixels, 4 of them nucleus."""
    mask = np.zeros((8, 8), np.uint8)
    mask[2:6, 2:6] = 128
    mask[3:5, 3:5] = 255
    return mask


def save(folder, pixels, name="mask.png", **options):
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(folder / name, **options)
    return folder / name


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_the_longest_path_that_exists_is_the_masks(tmp_path):
    image = tmp_path / "images" / "train" / "Neutrophil" / "001.JPG"
    masks = tmp_path / "masks"
    touch(masks / "Monocyte" / "001.png")
    for end in ("001.png", "Neutrophil/001.png", "train/Neutrophil/001.png"):
        longest = touch(masks / end)
        assert mask_path(image, masks) == longest


def test_a_relative_path_finds_what_its_absolute_one_does(tmp_path, monkeypatch):
    mask = touch(tmp_path / "masks" / "Neutrophil" / "001.png")
    touch(tmp_path / "masks" / "001.png")
    (tmp_path / "images" / "Neutrophil").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "images" / "Neutrophil")
    assert mask_path("001.jpg", tmp_path / "masks") == mask
    assert mask_path("../Neutrophil/001.jpg", tmp_path / "masks") == mask


def test_an_image_without_mask_is_named_with_the_places(tmp_path):
    touch(tmp_path / "masks" / "Monocyte" / "001.png")
    with pytest.raises(MaskError, match=r"expected 001\.png, Neutrophil/001\.png") as caught:
        mask_path(tmp_path / "images" / "Neutrophil" / "001.jpg", tmp_path / "masks")
    assert caught.value.path == str(tmp_path / "images" / "Neutrophil" / "001.jpg")
    assert str(tmp_path / "masks") in caught.value.reason


def test_drawn_cells_have_their_masks(tmp_path):
    manifest = write_dataset(tmp_path, 4, ["lab_a"], [], seed=0, size_px=48, workers=0)
    images = sorted((manifest.parent / "images").glob("*/*/*.png"))
    found = [mask_path(image, manifest.parent / "masks") for image in images]
    assert sorted(found) == sorted((manifest.parent / "masks").glob("*/*/*.png"))
    for image, path in zip(images, found, strict=True):
        assert path.parts[-3:] == image.parts[-3:]
        assert (read_mask(path, decode(image).shape) == 255).any()


@pytest.mark.skipif(not (DATA / "jtsc").is_dir(), reason=f"no real cells: {DATA}/jtsc is absent")
def test_real_cells_have_their_masks():
    images = [path for path in sorted((DATA / "jtsc" / "images").rglob("*")) if path.is_file()]
    assert len(images) == 300
    darker = []
    for path in images:
        image = decode(path)
        mask = read_mask(mask_path(path, DATA / "jtsc" / "masks"), image.shape)
        darker.append(image[mask == 255].mean() < image[mask == 0].mean())
    assert all(darker)  # a stained nucleus takes light, so each mask lies on its own image


def test_a_mask_is_read_as_it_was_drawn(tmp_path):
    path = save(tmp_path, small_mask()[:, :7])
    for shape in ((8, 7), (8, 7, 3)):
        mask = read_mask(path, shape)
        assert mask.dtype == np.uint8
        assert np.array_equal(mask, small_mask()[:, :7])


def changed(value):
    mask = small_mask()
    mask[0, 0] = value
    return mask


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.full((4, 9), 128, np.uint8), "9 x 4 pixels where its image has 8 x 8"),
        (changed(1), "holds the values 1; "),
        (np.arange(64, dtype=np.uint8).reshape(8, 8), r"1, 2, 3, 4, 5, 6, 7, 8, \.\.\.; "),
        (np.zeros((8, 8), np.uint8), "holds no cell"),
        (np.stack([small_mask()] * 3, axis=-1), "pixels are RGB"),
        (small_mask().astype(np.uint16), "pixels are I;16"),
        (Image.fromarray(small_mask()).convert("P"), "pixels are P"),
        (Image.fromarray(small_mask()).convert("1"), "pixels are 1"),
    ],
)
def test_unfit_masks_are_refused(tmp_path, pixels, reason):
    path = save(tmp_path, pixels)
    with pytest.raises(MaskError, match=reason) as caught:
        read_mask(path, (8, 8, 3))
    assert caught.value.path == str(path)


def test_unreadable_masks_are_refused(tmp_path):
    whole = save(tmp_path, np.random.default_rng(0).choice([0, 128, 255], (64, 64)).astype(np.uint8))
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(whole.read_bytes()[:300])
    empty = tmp_path / "empty.png"
    empty.touch()
    jpeg = save(tmp_path, small_mask(), "jpeg.png", format="JPEG")
    for path, reason in [
        (tmp_path / "none.png", "no such mask"),
        (tmp_path, "mend the path"),
        (damaged, "cannot be read"),
        (empty, "cannot be read"),
        (jpeg, "cannot be read"),
    ]:
        with pytest.raises(MaskError, match=reason):
            read_mask(path, (64, 64))


def test_the_error_survives_a_process_boundary():
    error = pickle.loads(pickle.dumps(MaskError("a.png", "holds no cell")))
    assert str(error) == "a.png: holds no cell"
    assert (error.path, error.reason) == ("a.png", "holds no cell")


def test_even_heat_is_shared_out_by_area():
    assert localisation(np.full((8, 8), 0.5, np.float32), small_mask()) == pytest.approx(
        {
            "heat_in_cell": 16 / 64,
            "heat_in_nucleus": 4 / 64,
            "heat_in_cytoplasm": 12 / 64,
            "heat_in_cell_over_area": 1.0,
            "heat_in_nucleus_over_area": 1.0,
            "heat_in_cytoplasm_over_area": 1.0,
            "hit_cell": 16 / 64,  # all pixels are hottest
            "hit_nucleus": 4 / 64,
            "hit_cytoplasm": 12 / 64,
        }
    )


def test_shares_computed_by_hand():
    heat = np.zeros((8, 8), np.float32)
    heat[0, 0] = 5  # background
    heat[2, 2] = 10  # cytoplasm, as hot as
    heat[3, 3] = 10  # nucleus
    assert localisation(heat, small_mask()) == pytest.approx(
        {
            "heat_in_cell": 20 / 25,
            "heat_in_nucleus": 10 / 25,
            "heat_in_cytoplasm": 10 / 25,
            "heat_in_cell_over_area": 20 / 25 * 4,
            "heat_in_nucleus_over_area": 10 / 25 * 16,
            "heat_in_cytoplasm_over_area": 10 / 25 * 64 / 12,
            "hit_cell": 1.0,
            "hit_nucleus": 0.5,
            "hit_cytoplasm": 0.5,
        }
    )


def test_no_heat_measures_nothing():
    measures = localisation(np.zeros((8, 8), np.float32), small_mask())
    assert set(measures) == KEYS
    assert all(math.isnan(value) for value in measures.values())


def test_a_mask_without_nucleus_measures_the_cell_alone():
    measures = localisation(np.ones((8, 8), np.float32), np.minimum(small_mask(), 128))
    undefined = {key for key, value in measures.items() if math.isnan(value)}
    assert undefined == {key for key in KEYS if "nucleus" in key}
    assert measures["heat_in_cell"] == 16 / 64


@pytest.mark.parametrize("scale", [2, 3, 28])
def test_the_mask_is_brought_to_the_heats_size(scale):
    small = np.random.default_rng(0).random((8, 8)).astype(np.float32)
    large = np.kron(small, np.ones((scale, scale), np.float32))
    assert localisation(large, small_mask()) == pytest.approx(localisation(small, small_mask()))


def test_shrinking_takes_the_pixel_in_the_middle():
    mask = np.zeros((9, 9), np.uint8)
    mask[1::3, 1::3] = small_mask()[2:5, 2:5]
    heat = np.ones((3, 3), np.float32)
    assert localisation(heat, mask)["heat_in_cell"] == 1.0


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf])
def test_heat_without_shares_is_refused(bad):
    heat = np.ones((8, 8), np.float32)
    heat[1, 1] = bad
    with pytest.raises(ValueError, match="negative or not finite"):
        localisation(heat, small_mask())
