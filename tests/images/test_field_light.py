"""The empty field absorbs nothing, however the light falls and however much of it is covered."""

import cv2
import numpy as np
import pytest

from wbc.images.empty_field import absorbance
from wbc.images.field_light import _field_colour, field_absorbance

FIELD, RED_CELL = (228, 224, 210), (206, 188, 184)  # pale ones: an absorbance of 0.18 in green light


def photograph(covered: float, darker: float) -> tuple[np.ndarray, np.ndarray]:
    """Discs of RED_CELL over about so much of (240, 320, 3) uint8; corners have `darker` less light.

    And (240, 320) bool, where they lie.
    """
    rng = np.random.default_rng(0)
    red = np.zeros((240, 320), np.uint8)
    while red.mean() < covered:
        cv2.circle(red, rng.integers(0, (320, 240)).tolist(), 22, 1, cv2.FILLED)
    picture = np.where(red[..., None] > 0, np.float64(RED_CELL), np.float64(FIELD))
    y, x = np.mgrid[-1:1:240j, -1:1:320j]
    picture *= (1 - darker * (x**2 + y**2) / 2)[..., None]
    picture += rng.normal(0, 2, picture.shape)
    return picture.clip(0, 255).astype(np.uint8), red > 0


@pytest.mark.parametrize("darker", [0.0, 0.15])
@pytest.mark.parametrize("covered", [0.1, 0.4, 0.7])
def test_field_absorbs_nothing_and_pale_red_cells_do(covered, darker):
    picture, red = photograph(covered, darker)
    green = cv2.GaussianBlur(field_absorbance(picture)[..., 1], (5, 5), 0)
    clear = ~cv2.dilate(red.view(np.uint8), np.ones((7, 7))).astype(bool)
    inside = cv2.erode(red.view(np.uint8), np.ones((7, 7))).astype(bool)
    assert np.abs(green[clear]).max() < 0.09
    assert green[inside].min() > green[clear].max()
    assert abs(np.median(green[inside]) - np.log(FIELD[1] / RED_CELL[1])) < 0.03


def test_light_is_taken_to_be_even_where_there_is_hardly_any_field():
    picture = np.full((100, 100, 3), 60, np.uint8)
    picture[:3] = np.linspace(214, 226, 100).astype(np.uint8)[None, :, None]
    assert np.array_equal(field_absorbance(picture), absorbance(picture, _field_colour(picture)))


@pytest.mark.parametrize("value", [0, 128, 255])
def test_one_colour_alone_is_field(value):
    assert np.abs(field_absorbance(np.full((1, 5, 3), value, np.uint8))).max() == 0
