"""Pictures that show one photograph, found among others of the same kind."""

import numpy as np
import pytest

from tests.helpers.copies import cell, cropped, recompressed, resized
from tests.helpers.places import DATA
from wbc.datasets import near_copies as module
from wbc.datasets.near_copies import SURE, UNSURE, Pair, clusters, near_copies, near_copies_of
from wbc.images.decode import decode
from wbc.images.thumbnail import SIDE_PX, likeness, thumbnail, turned

CELLS = 40
COPIES = {
    "half the size": lambda rgb: resized(rgb, 0.5),
    "twice the size": lambda rgb: resized(rgb, 2),
    "JPEG 50": recompressed,
    "cropped": cropped,
    "all three": lambda rgb: recompressed(resized(cropped(rgb), 0.7)),
    "turned": lambda rgb: recompressed(np.ascontiguousarray(np.rot90(cropped(rgb))[:, ::-1])),
}


@pytest.fixture(scope="module")
def cells():
    return {f"{seed}": thumbnail(cell(seed)) for seed in range(CELLS)}


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_found_and_nothing_else(cells, kind):
    copies = {f"{seed}'": thumbnail(COPIES[kind](cell(seed))) for seed in range(10)}
    pairs = near_copies(cells | copies)
    assert {frozenset(pair[:2]) for pair in pairs} == {
        frozenset((f"{seed}", f"{seed}'")) for seed in range(10)
    }
    assert all(pair.is_sure for pair in pairs)
    of_others = near_copies_of(cells, copies)
    assert sorted(pair[:2] for pair in of_others) == [(f"{seed}'", f"{seed}") for seed in range(10)]


def test_what_is_blurred_beyond_sure_is_listed(cells):
    worse = {"0'": thumbnail(recompressed(resized(cell(0), 0.4)))}
    (pair,) = near_copies(cells | worse)
    assert UNSURE <= pair.likeness < SURE
    assert not pair.is_sure


@pytest.mark.parametrize("turn", range(8))
def test_the_hash_knows_how_a_picture_is_turned(turn):
    thumb = thumbnail(cell(3))
    square = np.frombuffer(thumb, np.uint8).reshape(SIDE_PX, SIDE_PX)
    back = turned(square, turn).tobytes()
    hashes = module._hashes([thumb, back])
    distance, found = module._nearest_turn(hashes[1:], hashes[:1])
    assert distance[0] == pytest.approx(0, abs=1e-3)
    assert found[0] == turn
    assert likeness(back, thumb, turn) == pytest.approx(1, abs=1e-3)


def test_pictures_of_one_grey_are_no_copies(cells):
    blank = {f"grey {value}": bytes([value]) * SIDE_PX**2 for value in (0, 100, 255)}
    assert near_copies(cells | blank) == []
    assert near_copies_of({}, cells) == near_copies_of(cells, {}) == near_copies({}) == []


def test_of_many_alike_few_are_compared(cells, monkeypatch):
    """Else a film of one cell, or a set of round ones, would take hours."""
    seen = []
    monkeypatch.setattr(module, "likeness", lambda *pair: seen.append(pair) or 0.0)
    noise = np.random.default_rng(0).integers(0, 2, (400, SIDE_PX**2), dtype=np.uint8)
    base = np.frombuffer(cells["0"], np.uint8).clip(0, 250)
    near_copies({f"{row}": (base + one).tobytes() for row, one in enumerate(noise)})
    assert 0 < len(seen) <= 8 * 400


def test_clusters_join_by_way_of_others():
    pairs = [Pair("a", "b", 0.99), Pair("c", "d", 0.95), Pair("b", "d", 0.93), Pair("d", "e", 0.9)]
    found = clusters([*pairs, Pair("y", "x", 1.0)])
    assert len({found[name] for name in "abcd"}) == 1
    assert found["x"] == found["y"] != found["a"]
    assert "e" not in found


RAABIN = DATA / "raabin" / "train"


@pytest.mark.skipif(not RAABIN.is_dir(), reason=f"no real cells: {RAABIN} is absent")
@pytest.mark.parametrize(
    ("first", "second", "is_copy"),
    [
        ("Lymphocyte/95-5-10-1_375_1", "Monocyte/95-8-12-4_164_1", True),  # photographed twice, two labels
        ("Basophil/20190527_114739_0", "Basophil/20190531_114008_0", True),
        ("Lymphocyte/95-5-10-1_375_1", "Lymphocyte/95-5-10-1_893_1", False),
        ("Neutrophil/95-5-10-1_849_1", "Neutrophil/95-5-10-1_469_1", False),
    ],
)
def test_one_cell_photographed_twice_is_found_among_real_ones(first, second, is_copy):
    thumbs = {name: thumbnail(decode(RAABIN / f"{name}.jpg")) for name in (first, second)}
    assert [pair.is_sure for pair in near_copies(thumbs)] == [True] * is_copy
