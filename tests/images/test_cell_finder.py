"""The cell finder against the masks of drawn smears, and against pictures with nothing to find."""

import cv2
import numpy as np
import pytest

from wbc.images.cell_finder import find_cell
from wbc.images.masks import MASK_NUCLEUS
from wbc.labels import CLASSES
from wbc.synthetic.draw import LABS, draw_cell


def dice(found, mask) -> float:
    found = cv2.resize(found.astype(np.uint8), mask.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT) > 0
    return 2 * (found & mask).sum() / (found.sum() + mask.sum())


@pytest.fixture(scope="module")
def drawn():
    """Two cells a class and lab: lab, image, mask."""
    rng = np.random.default_rng(3)
    return [(lab, *draw_cell(name, lab, rng)) for lab in LABS.values() for name in CLASSES for _ in range(2)]


def test_nucleus_and_cell_are_those_that_were_drawn(drawn):
    scores = []
    for _, image, mask in drawn:
        cell = find_cell(image)
        assert cell is not None
        scores.append((dice(cell.nucleus, mask == MASK_NUCLEUS), dice(cell.cell, mask > 0)))
        assert cell.cell[cell.nucleus].all()
    nucleus, whole = np.mean(scores, axis=0)
    assert nucleus > 0.85
    assert whole > 0.9
    assert np.mean([score[1] > 0.8 for score in scores]) > 0.9


def test_centre_diameter_and_field_are_in_the_pictures_own_units(drawn):
    offsets, ratios, colours = [], [], []
    for lab, image, mask in drawn:
        cell = find_cell(image)
        y, x = np.argwhere(mask > 0).mean(axis=0) + 0.5
        offsets.append(np.hypot(cell.centre[0] - x, cell.centre[1] - y) / len(mask))
        ratios.append(cell.diameter / (2 * np.sqrt((mask > 0).sum() / np.pi)))
        colours.append(np.abs(cell.background - np.clip(lab.background, 0, 255)).max())
    assert np.median(offsets) < 0.01
    assert np.median(ratios) == pytest.approx(1, abs=0.05)
    assert np.median(colours) < 15  # exposure varies by 5 %


def test_size_follows_the_picture(drawn):
    _, image, _ = drawn[0]
    large = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    assert find_cell(large).diameter == pytest.approx(2 * find_cell(image).diameter, rel=0.03)


def test_tight_crops_have_a_cell_but_need_not_have_a_field(drawn):
    scores, without = [], 0
    for _, image, mask in drawn:
        rows, columns = np.nonzero(mask)
        box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
        cell = find_cell(np.ascontiguousarray(image[box]))
        assert cell is not None
        scores.append(dice(cell.cell, mask[box] > 0))
        inner = slice(rows.min() + np.ptp(rows) // 4, rows.max() - np.ptp(rows) // 4)
        middle = find_cell(np.ascontiguousarray(image[inner, box[1]]))
        without += middle is None or middle.background is None
    assert np.mean(scores) > 0.9
    assert without > 0


def red_cells() -> np.ndarray:
    image = np.full((200, 200, 3), (250, 230, 206), np.uint8)
    for x, y in ((50, 60), (140, 50), (100, 110), (40, 150), (160, 160)):
        cv2.circle(image, (x, y), 28, (205, 165, 165), -1)
    return image


@pytest.mark.parametrize(
    "image",
    [
        np.full((120, 120, 3), 240, np.uint8),
        np.zeros((120, 120, 3), np.uint8),
        np.random.default_rng(0).normal(230, 3, (200, 150, 3)).astype(np.uint8),
        red_cells(),
        np.full((1, 1, 3), 7, np.uint8),
        np.full((3, 500, 3), 200, np.uint8),
    ],
    ids=["white", "black", "empty field", "red cells", "a pixel", "a line"],
)
def test_without_a_nucleus_nothing_is_found(image):
    assert find_cell(image) is None


def test_red_cells_that_touch_are_not_taken_for_cytoplasm():
    image = red_cells()
    cv2.circle(image, (100, 110), 30, (170, 160, 205), -1)
    cv2.circle(image, (100, 110), 20, (80, 40, 130), -1)
    cv2.circle(image, (157, 110), 28, (205, 165, 165), -1)  # touches on the right
    cell = find_cell(image)
    assert cell.diameter == pytest.approx(60, rel=0.15)
    assert cell.centre == pytest.approx((100, 110), abs=4)
