"""Drawn photographs of fields: cells where the boxes say, the same each time."""

import numpy as np
import pytest

from wbc.images.white_cells import find_white_cells
from wbc.labels import CLASSES
from wbc.synthetic.field import DrawnField, draw_field
from wbc.synthetic.labs import LABS


def field(seed: int, labels: list[str], **options: object) -> DrawnField:
    return draw_field(labels, LABS["lab_b"], np.random.default_rng(seed), **options)


def test_the_same_random_numbers_give_the_same_bytes():
    one, other = field(3, list(CLASSES)), field(3, list(CLASSES))
    assert np.array_equal(one.picture, other.picture)
    assert one.boxes == other.boxes
    assert not np.array_equal(one.picture, field(4, list(CLASSES)).picture)


def test_every_cell_lies_apart_from_the_others_and_within_the_picture():
    drawn = field(0, list(CLASSES) * 2, size_px=(600, 420), px_per_um=6.0)
    assert drawn.picture.shape == (420, 600, 3)
    assert drawn.labels == list(CLASSES) * 2
    for box in drawn.boxes:
        assert 0 < box.x0 < box.x1 < 600
        assert 0 < box.y0 < box.y1 < 420
    centres = np.array([((b.x0 + b.x1) / 2, (b.y0 + b.y1) / 2) for b in drawn.boxes])
    apart = np.linalg.norm(centres[:, None] - centres, axis=2) + 1e3 * np.eye(10)
    assert apart.min() > 6.0 * (4.0 + 4.0)  # two of the smallest cells


def test_in_pairs_every_second_cell_touches_the_one_before():
    drawn = field(5, ["Lymphocyte"] * 6, px_per_um=6.0, in_pairs=True)
    assert len(drawn.boxes) == 6
    centres = np.array([((b.x0 + b.x1) / 2, (b.y0 + b.y1) / 2) for b in drawn.boxes])
    sides = np.array([max(b.x1 - b.x0, b.y1 - b.y0) for b in drawn.boxes])
    apart = np.linalg.norm(centres[::2] - centres[1::2], axis=1)
    assert (apart / ((sides[::2] + sides[1::2]) / 2)).tolist() == pytest.approx([1, 1, 1], abs=0.15)


def test_what_should_touch_a_cell_without_a_place_is_left_out_too():
    drawn = field(0, ["Monocyte", "Lymphocyte"] * 12, size_px=(320, 240), in_pairs=True)
    assert drawn.labels.count("Lymphocyte") <= drawn.labels.count("Monocyte") < 12


def test_cells_that_find_no_place_are_left_out():
    drawn = field(0, ["Monocyte"] * 40, size_px=(320, 240))
    assert 0 < len(drawn.boxes) == len(drawn.labels) < 40
    assert field(0, ["Monocyte"], size_px=(64, 64)).boxes == []


def test_a_label_that_is_none_is_refused():
    with pytest.raises(KeyError):
        field(0, ["Blast"])


def test_the_boxes_are_where_the_finder_sees_the_cells():
    drawn = field(1, ["Lymphocyte", "Monocyte", "Neutrophil"])
    middles = [((b.x0 + b.x1) / 2, (b.y0 + b.y1) / 2) for b in drawn.boxes]
    found = [cell.box for cell in find_white_cells(drawn.picture)]
    assert len(found) == 3
    for x, y in middles:
        assert sum(b.x0 < x < b.x1 and b.y0 < y < b.y1 for b in found) == 1
