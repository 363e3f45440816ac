"""Shifts between photographs of one slide: drawn ones of known shift, and real ones."""

from itertools import combinations

import cv2
import numpy as np
import pytest

from tests.helpers.drawn_fields import field, photographed, scattered_places, smear
from tests.helpers.places import DATA
from wbc.images.decode import decode
from wbc.images.registration import features_of, shift_between

PLACES = scattered_places((700, 1100), 8)
SMEAR = smear(PLACES, (700, 1100))


def shift_of(one, other):
    return shift_between(features_of(one), features_of(other))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("down", [-40, 0, 25])
def test_parts_of_one_smear_are_shifted_as_they_were_cut(share, down):
    across = round(480 * (1 - share))
    one = photographed(SMEAR[100:460, 60:540], 1)
    other = photographed(SMEAR[100 + down : 460 + down, 60 + across : 540 + across], 2)
    found = shift_of(one, other)
    assert found.x == pytest.approx(across, abs=2)
    assert found.y == pytest.approx(down, abs=2)
    back = shift_of(other, one)
    assert (back.x, back.y) == pytest.approx((-across, -down), abs=2)


def test_photographs_may_differ_in_size_and_be_large():
    large = cv2.resize(SMEAR, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    one, other = photographed(large[:1500, :2400], 1), photographed(large[300:1900, 900:2500], 2)
    assert shift_of(one, other)[:2] == pytest.approx((900, 300), abs=6)


def test_what_is_the_same_in_every_photograph_of_a_camera_does_not_join_them():
    others = [smear(scattered_places((480, 640), 3, seed), (480, 640), seed) for seed in (5, 6, 7)]
    for picture in others:
        cv2.putText(picture, "20 um", (480, 440), cv2.FONT_HERSHEY_SIMPLEX, 1, (0, 0, 0), 2, cv2.LINE_AA)
        cv2.rectangle(picture, (470, 452), (620, 460), (0, 0, 0), cv2.FILLED)
        cv2.line(picture, (320, 240), (639, 0), (20, 20, 20), 6, cv2.LINE_AA)
    assert [shift_of(*pair) for pair in combinations(others, 2)] == [None] * 3


def test_pictures_without_features_are_not_joined():
    blank = np.full((300, 300, 3), 220, np.uint8)
    assert shift_of(blank, blank) is None
    assert shift_of(blank, field([])) is None
    assert shift_of(np.zeros((1, 1, 3), np.uint8), SMEAR) is None


@pytest.mark.skipif(not (DATA / "fields").is_dir(), reason="the photographs of fields are not at hand")
def test_real_photographs():
    red_cells = sorted((DATA / "fields" / "red_cells_only").iterdir())[:12]
    apart = [features_of(decode(path)) for path in red_cells]
    assert not any(shift_between(*pair) for pair in combinations(apart, 2))
    aslan = DATA / "fields" / "aslan"
    numbers = (106, 60, 73, 93, 1, 2)  # the first two, and the next, show one cell
    seen = {number: features_of(decode(aslan / f"image-{number}.jpg")) for number in numbers}
    joined = [pair for pair in combinations(numbers, 2) if shift_between(*(seen[one] for one in pair))]
    assert joined == [(106, 60), (73, 93)]
