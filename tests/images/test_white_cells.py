"""White cells in photographs: drawn ones in known places, and annotated ones where they are at hand."""

import csv
from collections import defaultdict

import cv2
import numpy as np
import pytest

from tests.helpers.drawn_fields import RADIUS, field
from tests.helpers.places import DATA
from wbc.images.boxes import Box
from wbc.images.decode import decode
from wbc.images.white_cells import find_white_cells
from wbc.labels import CLASSES
from wbc.synthetic.field import draw_field
from wbc.synthetic.labs import LABS, random_lab, smear_of
from wbc.synthetic.varied import VARIANTS


def overlap(one: Box, other: tuple[float, ...]) -> float:
    """Of two boxes: the common area over that of both together."""
    across = min(one.x1, other[2]) - max(one.x0, other[0])
    down = min(one.y1, other[3]) - max(one.y0, other[1])
    common = max(across, 0) * max(down, 0)
    areas = (one.x1 - one.x0) * (one.y1 - one.y0) + (other[2] - other[0]) * (other[3] - other[1])
    return common / (areas - common)


@pytest.mark.parametrize("zoom", [0.5, 1, 2, 4])
@pytest.mark.parametrize("lobes", [1, 3])
def test_each_is_found_once_at_any_magnification(zoom, lobes):
    places = [(90, 80), (300, 120), (390, 290)]
    picture = cv2.resize(field(places, lobes=lobes), None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
    found = sorted(find_white_cells(picture), key=lambda cell: cell.box.x0)
    assert len(found) == 3
    for cell, (x, y) in zip(found, places, strict=True):
        reach = 1.5 * RADIUS
        true = tuple(zoom * edge for edge in (x - reach, y - reach, x + reach, y + reach))
        assert overlap(cell.box, true) > 0.6
        assert not cell.at_border
        assert 0.7 * RADIUS * zoom < cell.nucleus_diameter / 2 < 1.1 * RADIUS * zoom


def test_one_at_the_border_is_said_to_be_there():
    (cell,) = find_white_cells(field([(10, 180)]))
    assert cell.at_border
    assert cell.box.x0 == 0


def test_there_are_none_in_red_cells_empty_ground_black_and_noise():
    rng = np.random.default_rng(0)
    pictures = [
        field([]),
        np.full((200, 300, 3), 230, np.uint8),
        np.zeros((200, 300, 3), np.uint8),
        np.full((1, 1, 3), 200, np.uint8),
        rng.integers(200, 240, (200, 300, 3), dtype=np.uint8),
    ]
    assert [find_white_cells(picture) for picture in pictures] == [[]] * len(pictures)


def test_letters_and_pointers_are_none():
    picture = field([(240, 180)])
    cv2.putText(picture, "20 um", (30, 340), cv2.FONT_HERSHEY_SIMPLEX, 2, (0, 255, 0), 6)
    cv2.line(picture, (470, 10), (380, 60), (20, 20, 20), 8)
    assert len(find_white_cells(picture)) == 1


@pytest.mark.parametrize("px_per_um", [(5, 10), (11, 16)])
@pytest.mark.parametrize("name", ["lab_d", "lab_e", "lab_f", "random"])
def test_in_any_stain_of_the_drawn_labs(name, px_per_um):
    """Pale red cells on yellow glass, pink ones, small cells in a wide field, platelets beside them."""
    true = found = hits = 0
    for number in range(12):
        rng = np.random.default_rng([number, 77])
        lab = random_lab(rng) if name == "random" else smear_of(LABS[name], rng)
        labels = rng.choice(CLASSES, 4).tolist()
        drawn = draw_field(labels, lab, rng, px_per_um=float(rng.uniform(*px_per_um)), drawings=VARIANTS)
        boxes = [cell.box for cell in find_white_cells(drawn.picture)]
        true, found = true + len(drawn.boxes), found + len(boxes)
        hits += sum(any(overlap(box, one) > 0.4 for box in boxes) for one in drawn.boxes)
    assert hits / true >= 0.94
    assert hits / found >= 0.94


@pytest.mark.parametrize("name", ["lab_d", "lab_e", "lab_f", "random"])
def test_cells_that_touch_are_two(name):
    """Half of such pairs were one box: cytoplasm that is as dark as nuclei made them one piece."""
    true = found = hits = 0
    for number in range(12):
        rng = np.random.default_rng([number, 78])
        lab = random_lab(rng) if name == "random" else smear_of(LABS[name], rng)
        labels = rng.choice(["Lymphocyte", "Monocyte", "Neutrophil"], 4).tolist()
        drawn = draw_field(labels, lab, rng, drawings=VARIANTS, in_pairs=True)
        boxes = [cell.box for cell in find_white_cells(drawn.picture)]
        true, found = true + len(drawn.boxes), found + len(boxes)
        hits += sum(any(overlap(box, one) > 0.5 for box in boxes) for one in drawn.boxes)
    assert hits / true >= 0.88
    assert hits / found >= 0.88


@pytest.mark.skipif(not (DATA / "fields").is_dir(), reason="the photographs of fields are not at hand")
def test_on_annotated_photographs():
    true = defaultdict(list)
    with (DATA / "fields" / "aslan" / "boxes.csv").open() as file:
        for row in csv.DictReader(file):
            if row["label"] == "white":
                true[row["file"]].append(tuple(float(row[name]) for name in ("x0", "y0", "x1", "y1")))
    hits = found = 0
    for path in sorted((DATA / "fields" / "aslan").glob("*.jpg")):
        left = list(true[path.name])
        for cell in find_white_cells(decode(path)):
            found += 1
            best = max(left, key=lambda box: overlap(cell.box, box), default=None)
            if best is not None and overlap(cell.box, best) >= 0.5:
                left.remove(best)
                hits += 1
    assert hits / sum(map(len, true.values())) >= 0.97
    assert hits / found >= 0.95
    red_cells = sorted((DATA / "fields" / "red_cells_only").iterdir())
    assert not any(find_white_cells(decode(path)) for path in red_cells)
