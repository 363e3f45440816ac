"""Measurements of drawn cells, against scikit-image and against what was drawn."""

import cv2
import numpy as np
import pytest
from skimage.measure import regionprops

from wbc.images.morphometry import NAMES, SHAPES, _form, measure
from wbc.images.standardised import standardised
from wbc.labels import CLASSES
from wbc.synthetic.draw import LABS, draw_cell


def views(name, count=6):
    rng = np.random.default_rng(5)
    lab = next(iter(LABS.values()))
    return [standardised(draw_cell(name, lab, rng)[0], 160, stain=True).pixels for _ in range(count)]


def median_of(name, what):
    return np.median([measure(view)[NAMES.index(what)] for view in views(name)])


@pytest.mark.parametrize("angle", [0, 30, 90])
def test_forms_are_those_of_scikit_image(angle):
    mask = np.zeros((200, 200), np.uint8)
    cv2.ellipse(mask, (90, 110), (60, 30), angle, 0, 360, 1, -1)
    cv2.circle(mask, (90, 80), 18, 0, -1)
    (theirs,) = regionprops(mask.astype(int))
    _, area, (x, y), solidity, eccentricity = _form(mask)
    assert area == theirs.area
    assert (y, x) == pytest.approx(theirs.centroid)
    assert solidity == pytest.approx(theirs.solidity, rel=0.03)  # OpenCV's hull joins the pixels' centres
    assert eccentricity == pytest.approx(theirs.eccentricity, rel=1e-3)


def test_what_tells_the_classes_apart_is_measured():
    assert median_of("Lymphocyte", "nucleus_share") > median_of("Monocyte", "nucleus_share") + 0.03
    assert median_of("Lymphocyte", "nucleus_solidity") > median_of("Neutrophil", "nucleus_solidity") + 0.1
    assert median_of("Neutrophil", "nucleus_outline") > 1.5 * median_of("Lymphocyte", "nucleus_outline")
    assert median_of("Eosinophil", "cytoplasm_a") > median_of("Lymphocyte", "cytoplasm_a")
    assert median_of("Eosinophil", "cytoplasm_grain_green") > median_of("Lymphocyte", "cytoplasm_grain_green")


@pytest.mark.parametrize("name", CLASSES)
def test_turning_and_mirroring_change_little(name):
    for view in views(name, 3):
        found, turned = measure(view), measure(np.ascontiguousarray(np.rot90(view)[::-1]))
        assert found.dtype == np.float32
        assert found.shape == (len(NAMES),)
        assert np.isfinite(found).all()
        difference = np.abs(found - turned) / np.maximum(np.abs(found), 0.05)
        assert np.median(difference) < 0.05


def test_measurements_do_not_depend_on_the_size_of_the_picture():
    for view in views("Monocyte", 3):
        large = measure(cv2.resize(view, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR))
        shape = np.array([name in SHAPES and name != "nucleus_lobes" for name in NAMES])
        np.testing.assert_allclose(measure(view)[shape], large[shape], rtol=0.15, atol=0.03)


def test_nothing_is_measured_where_there_is_no_cell():
    assert measure(np.full((96, 96, 3), 240, np.uint8)) is None
    assert measure(np.zeros((64, 64, 3), np.uint8)) is None
