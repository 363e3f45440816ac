"""The standard view: cell size and place, field colour, and pictures that pass as they are."""

import pickle

import cv2
import numpy as np
import pytest

from wbc.images.cell_finder import find_cell
from wbc.images.decode import resize
from wbc.images.prepare import Prepare
from wbc.images.standard_colour import NUCLEUS, WHITE, restaining
from wbc.images.standardised import CELL_SHARE, ZOOM, placed_mask, standardised

YELLOW = (246, 236, 150)


def smear(diameter=60, centre=(100, 100), side=200, field=YELLOW) -> tuple[np.ndarray, np.ndarray]:
    """A cell on empty glass, and its mask."""
    image, mask = np.full((side, side, 3), field, np.uint8), np.zeros((side, side), np.uint8)
    for share, colour, value in ((1, (190, 160, 140), 128), (0.6, (90, 40, 90), 255)):
        for picture, paint in ((image, colour), (mask, value)):
            cv2.circle(picture, centre, round(share * diameter / 2), paint, -1)
    return image, mask


@pytest.mark.parametrize(("diameter", "side"), [(50, 200), (100, 150), (130, 400)])
def test_cells_come_to_the_standard_size_in_the_middle(diameter, side):
    image, _ = smear(diameter, (side // 2 + 12, side // 2 - 9), side)
    view = standardised(image, 224)
    assert view.found
    found = find_cell(view.pixels)
    assert found.diameter / 224 == pytest.approx(CELL_SHARE, rel=0.05)
    assert found.centre == pytest.approx((112, 112), abs=2)


def test_small_and_large_cells_become_of_one_size():
    small, large = (find_cell(standardised(smear(d)[0], 224).pixels).diameter for d in (60, 100))
    assert large / small == pytest.approx(1, rel=0.06)


def test_zoom_is_limited():
    view = standardised(smear(20)[0], 224)
    assert view.placement.width == round(ZOOM[1] * 224)


def test_the_field_becomes_white_also_beyond_the_pictures_edge():
    image, _ = smear(150)
    view = standardised(image, 224)
    corners = view.pixels[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert np.abs(corners.astype(int) - WHITE).max() <= 1
    plain = standardised(image, 224, field=False)
    assert np.abs(plain.pixels[0, 0].astype(int) - YELLOW).max() <= 1


def test_gain_is_one_of_linear_light():
    image, _ = smear(field=(200, 200, 200))
    pixels = standardised(image, 200, size=False).pixels

    def light(value):
        return ((value / 255 + 0.055) / 1.055) ** 2.4

    expected = light(np.array([90, 40, 90])) * light(WHITE) / light(200)
    assert light(pixels[100, 100].astype(float)) == pytest.approx(expected, rel=0.02)


def test_nuclei_of_two_stains_come_to_one_colour_and_the_field_stays_white():
    views = []
    for nucleus, cytoplasm, field in (
        ((90, 40, 90), (190, 160, 140), YELLOW),
        ((60, 30, 140), (150, 140, 190), (255,) * 3),
    ):
        image = np.full((200, 200, 3), field, np.uint8)
        cv2.circle(image, (100, 100), 30, cytoplasm, -1)
        cv2.circle(image, (100, 100), 20, nucleus, -1)
        views.append(standardised(image, 200, stain=True).pixels.astype(int))
    for pixels in views:
        assert pixels[100, 100] == pytest.approx(NUCLEUS, abs=3)
        assert np.abs(pixels[5, 5] - WHITE).max() <= 1


def test_densities_are_multiplied_within_limits():
    table = restaining(np.array([80, 42, 238 * (160 / 238) ** 0.8]))[:, 0].astype(float)
    assert table[:239, :2] == pytest.approx(np.arange(239)[:, None].repeat(2, 1), abs=1)
    assert table[100, 2] == pytest.approx(WHITE * (100 / WHITE) ** 1.25, abs=1)
    black = restaining(np.array([1, 1, 1]))[:, 0].astype(float)
    assert black[60] == pytest.approx(WHITE * (60 / WHITE) ** 0.5, abs=1)


def test_without_size_the_picture_is_squashed_as_ever():
    image, _ = smear(side=240, field=(238, 238, 238))
    view = standardised(image, 224, size=False)
    assert view.placement is None
    np.testing.assert_array_equal(view.pixels, resize(image, 224))


def test_a_picture_without_a_field_keeps_its_colours():
    image, _ = smear(400, field=YELLOW)  # cytoplasm up to the edges
    cv2.circle(image, (100, 100), 70, (90, 40, 90), -1)
    view = standardised(image, 200, size=False)
    assert view.found
    np.testing.assert_array_equal(view.pixels, image)


@pytest.mark.parametrize("standardise", [["size"], ["field"], ["size", "field", "stain"]])
def test_without_a_cell_the_picture_passes_as_it_is(standardise):
    empty = np.random.default_rng(0).normal(230, 3, (90, 120, 3)).astype(np.uint8)
    view = Prepare(64, standardise).picture(empty)
    assert view.found is False
    np.testing.assert_array_equal(view.pixels, resize(empty, 64))
    mask = np.zeros((90, 120), np.uint8)
    assert placed_mask(mask, view.placement, 64) is mask


def test_none_looks_for_nothing():
    view = Prepare(64).picture(smear()[0])
    assert view.found is None
    np.testing.assert_array_equal(view.pixels, resize(smear()[0], 64))


@pytest.mark.parametrize("diameter", [40, 60, 150])
def test_masks_move_with_their_pictures(diameter):
    image, mask = smear(diameter, (110, 95))
    view = standardised(image, 224, field=False)
    moved = placed_mask(mask, view.placement, 224)
    assert moved.shape == (224, 224)
    assert set(np.unique(moved)) == {0, 128, 255}
    nucleus = view.pixels[..., 1] < 100  # between its green and the cytoplasm's
    assert 2 * (nucleus & (moved == 255)).sum() / (nucleus.sum() + (moved == 255).sum()) > 0.97


def test_each_setting_has_a_key_of_its_own_and_travels_to_processes():
    settings = [Prepare(64), Prepare(96), Prepare(64, ["size", "field"]), Prepare(64, ["size"])]
    assert len({tuple(one.key) for one in settings}) == len(settings)
    assert Prepare(64, ["field", "size"]) == settings[2]
    assert pickle.loads(pickle.dumps(settings[-1])) == settings[-1]
