"""A box in a photograph is an image like any other."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.trees import picture, write_image
from wbc.datasets.check_cache import stamp
from wbc.images import decode as decode_module
from wbc.images.boxes import Box, crop_name, photograph_and_box, photograph_of
from wbc.images.decode import ImageError, decode, pixel_hash, upright_size
from wbc.images.examine import examine
from wbc.images.masks import MaskError, mask_path, read_mask


@pytest.fixture
def field(tmp_path) -> str:
    return str(write_image(tmp_path / "field.png", picture(1, 40)))


def test_a_name_leads_back_to_file_and_box(field):
    box = Box(3, 5, 20, 11)
    assert crop_name(field, box) == f"{field}#xywh=3,5,17,6"
    assert photograph_and_box(f"{field}#xywh=3,5,17,6") == (field, box)
    assert photograph_and_box(crop_name("a\nb.png", Box(-4, 0, -9, 2))) == ("a\nb.png", Box(-4, 0, -9, 2))
    for whole in (field, f"{field}#xywh=1,2,3", f"{field}#xywh=1,2,3,x"):
        assert photograph_and_box(whole) == (whole, None)


def test_its_pixels_are_those_of_the_place(field):
    name = f"{field}#xywh=3,5,17,6"
    crop = decode(name)
    np.testing.assert_array_equal(crop, picture(1, 40)[5:11, 3:20])
    assert crop.base is None  # the photograph's pixels are not kept with it
    assert examine(name)[:2] == (pixel_hash(crop), "")
    assert stamp(name) == stamp(field)


def test_a_file_of_the_very_name_wins(field):
    name = f"{field}#xywh=3,5,17,6"
    os.rename(write_image(f"{field}.bmp", picture(2)), name)
    np.testing.assert_array_equal(decode(name), picture(2))
    assert photograph_of(name) == name


@pytest.mark.parametrize(
    ("box", "complaint"),
    [
        ("5,5,0,9", "has no area"),
        ("5,5,9,-1", "has no area"),
        ("40,0,5,5", "lies outside the picture of 40 x 40 pixels"),
        ("-9,0,9,5", "lies outside the picture"),
        ("38,0,5,5", "reaches over the edge of 40 x 40"),
    ],
)
def test_a_box_without_a_picture_is_named(field, box, complaint):
    with pytest.raises(ImageError, match=complaint) as caught:
        decode(f"{field}#xywh={box}")
    assert caught.value.path.endswith(f"#xywh={box}")


def test_boxes_that_follow_each_other_decode_their_photograph_once(field, tmp_path, monkeypatch):
    opened = []
    right = decode_module._opened
    monkeypatch.setattr(decode_module, "_opened", lambda file, path: opened.append(path) or right(file, path))
    other = write_image(tmp_path / "other.png", picture(2, 40))
    for photograph, number in ((field, 1), (field, 1), (other, 2), (field, 1)):
        crop = decode(f"{photograph}#xywh=3,5,17,6")
        np.testing.assert_array_equal(crop, picture(number, 40)[5:11, 3:20])
    assert len(opened) == 3
    write_image(Path(field), picture(3, 40))  # another picture in its place
    np.testing.assert_array_equal(decode(f"{field}#xywh=3,5,17,6"), picture(3, 40)[5:11, 3:20])


def test_a_box_in_no_photograph(tmp_path):
    assert "No such file" in examine(f"{tmp_path}/gone.png#xywh=1,2,3,4")[1]
    assert upright_size(f"{tmp_path}/gone.png") is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_the_size_is_that_of_the_upright_picture(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    file = str(tmp_path / f"turned{suffix}")
    Image.fromarray(picture(3, 40)[:20]).save(file, exif=exif)
    assert upright_size(file) == decode(file).shape[1::-1]
    assert upright_size(file) == ((40, 20) if orientation < 5 else (20, 40))


def test_a_mask_of_the_photograph_is_cut_too(field, tmp_path):
    mask = np.zeros((40, 40), np.uint8)
    mask[8:, 10:] = 255
    (tmp_path / "masks").mkdir()
    Image.fromarray(mask).save(tmp_path / "masks/field.png")
    name = f"{field}#xywh=3,5,17,6"
    found = mask_path(name, tmp_path / "masks")
    box = photograph_and_box(name)[1]
    np.testing.assert_array_equal(read_mask(found, decode(name).shape, box), mask[5:11, 3:20])
    with pytest.raises(MaskError, match="40 x 40 pixels where its image has 6 x 6"):
        read_mask(found, (6, 6), Box(36, 36, 42, 42))
