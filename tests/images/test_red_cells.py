"""Red cells as the scale bar: on drawn cells, whose scale is known, and on pictures without any."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from wbc.images.cell_finder import find_nucleus
from wbc.images.red_cells import nucleus_in_red_cells, red_cell_diameter
from wbc.labels import CLASSES
from wbc.synthetic.draw import LABS, draw_cell

RED_CELL_UM = 7.2  # the mean diameter that is drawn
LAB = replace(next(iter(LABS.values())), field_um=36)


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(3)
    return [draw_cell(name, LAB, rng)[0] for name in CLASSES for _ in range(6)]


def diameter(picture):
    return red_cell_diameter(picture, find_nucleus(picture))


def test_they_are_as_large_as_they_were_drawn(drawn):
    found = [diameter(picture) for picture in drawn]
    measured = [one for one in found if one is not None]
    assert len(measured) >= 0.6 * len(drawn)  # in some, hardly any is drawn
    # The scale of each picture is drawn too, by a fifth either way.
    expected = RED_CELL_UM * 224 / LAB.field_um
    assert np.median(measured) == pytest.approx(expected, rel=0.1)
    assert np.abs(np.log(np.array(measured) / expected)).max() < 0.22 + 0.2


def test_a_nucleus_in_red_cells_does_not_depend_on_the_magnification(drawn):
    ratios, larger = [], []
    for picture in drawn:
        twice = cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
        ratios.append(nucleus_in_red_cells(picture, find_nucleus(picture)))
        larger.append(nucleus_in_red_cells(twice, find_nucleus(twice)))
    both = np.isfinite(ratios) & np.isfinite(larger)
    assert both.sum() >= 0.6 * len(drawn)
    change = np.abs(np.log(np.array(larger)[both] / np.array(ratios)[both]))
    assert np.median(change) < 0.03


def test_nothing_is_told_without_red_cells_or_without_a_nucleus():
    picture = np.full((120, 120, 3), (235, 225, 235), np.uint8)
    assert math.isnan(nucleus_in_red_cells(picture, find_nucleus(picture)))
    cv2.circle(picture, (60, 60), 22, (110, 60, 150), -1)
    nucleus = find_nucleus(picture)
    assert nucleus is not None
    assert red_cell_diameter(picture, nucleus) is None
    assert math.isnan(nucleus_in_red_cells(picture, nucleus))


def test_rims_of_red_cells_that_a_stain_has_lysed_are_none():
    picture = np.full((160, 160, 3), (240, 230, 190), np.uint8)
    cv2.circle(picture, (80, 80), 25, (110, 60, 150), -1)
    whole = picture.copy()
    for centre in ((25, 30), (135, 40), (30, 130), (130, 130)):
        cv2.circle(picture, centre, 18, (205, 190, 150), 1)
        cv2.circle(whole, centre, 18, (215, 150, 130), -1)
    assert diameter(picture) is None
    assert diameter(whole) == pytest.approx(36, rel=0.1)


def test_a_red_cell_that_the_edge_cuts_is_measured_by_its_arc():
    picture = np.full((160, 160, 3), (240, 230, 235), np.uint8)
    cv2.circle(picture, (80, 80), 25, (110, 60, 150), -1)
    for centre in ((5, 30), (155, 120), (30, 155)):
        cv2.circle(picture, centre, 20, (215, 150, 130), -1)
    assert diameter(picture) == pytest.approx(40, rel=0.12)
