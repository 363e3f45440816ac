"""Whole slides: which files are some, and what is read of them."""

import builtins

import numpy as np
import pytest
from PIL import Image

from tests.helpers.drawn_slides import slide_pixels, write_slide
from tests.helpers.trees import write_image
from wbc.errors import ImageError
from wbc.images.boxes import Box, crop_name
from wbc.images.decode import decode
from wbc.images.slide_tiles import MARGIN_UM, UM_PER_PX, tiles_of
from wbc.images.slides import is_slide, open_slide

pytest.importorskip("openslide")

PIXELS = slide_pixels([(300, 300), (900, 700)], (1500, 5000), 1800)


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    return str(write_slide(tmp_path_factory.mktemp("slides") / "a.tif", PIXELS, 0.2))


class Glass:
    """A slide without a file.  levels: whether it has a small copy."""

    width, height = 30_000, 20_000

    def __init__(self, um_per_px=0.25, levels=True, red=()):
        self.um_per_px, self.levels, self.red = um_per_px, levels, red

    def region(self, box, px=1.0):
        return np.full((round((box.y1 - box.y0) / px), round((box.x1 - box.x0) / px), 3), 225, np.uint8)

    def overview(self, longest):
        if not self.levels:
            return None
        px = self.width / longest
        seen = self.region(Box(0, 0, self.width, self.height), px)
        for x, y in self.red:
            seen[round(y / px) : round(y / px) + 3, round(x / px) : round(x / px) + 3] = (205, 148, 150)
        return seen


def test_what_is_a_slide(slide, tmp_path):
    assert is_slide(slide)
    assert all(is_slide(f"x/{name}") for name in ("a.svs", "b.NDPI", "c.mrxs"))
    one_page = write_image(tmp_path / "photograph.tif", np.zeros((40, 40, 3), np.uint8))
    pages = tmp_path / "pages.tif"  # not tiled
    Image.new("RGB", (40, 40)).save(pages, save_all=True, append_images=[Image.new("RGB", (40, 40))])
    damaged = tmp_path / "damaged.tif"
    damaged.write_bytes(b"II*\0")
    for path in (one_page, pages, damaged, tmp_path / "missing.tiff", tmp_path / "a.jpg"):
        assert not is_slide(str(path))


def test_a_region_is_what_was_written_also_at_lower_resolution(slide):
    opened = open_slide(slide)
    assert (opened.width, opened.height, opened.um_per_px) == (5000, 1500, pytest.approx(0.2))
    box = Box(250, 240, 650, 640)
    np.testing.assert_array_equal(opened.region(box), PIXELS[240:640, 250:650])
    half = opened.region(box, 2.0)
    assert half.shape == (200, 200, 3)
    assert np.abs(half.astype(int) - PIXELS[240:640:2, 250:650:2]).mean() < 3
    overview = opened.overview(500)
    assert overview.shape == (150, 500, 3)
    beside = opened.region(Box(4990, 1490, 5010, 1510))
    assert (beside[10:, 10:] == 255).all()


def test_a_box_in_a_slide_is_decoded_as_one_in_a_photograph(slide):
    box = Box(250, 240, 350, 340)
    np.testing.assert_array_equal(decode(crop_name(slide, box)), PIXELS[240:340, 250:350])
    for wrong in (Box(4990, 0, 5001, 10), Box(5, 5, 5, 9)):
        with pytest.raises(ImageError, match="the box is empty or reaches over the slide of 5000 x 1500"):
            decode(crop_name(slide, wrong))
    with pytest.raises(ImageError, match="a whole slide; its cells are found by wbc predict fields=true"):
        decode(slide)


def test_what_cannot_be_read_is_told(tmp_path):
    with pytest.raises(ImageError, match="No such file"):
        decode(str(tmp_path / "missing.svs"))
    damaged = tmp_path / "damaged.svs"
    damaged.write_bytes(b"no slide")
    with pytest.raises(ImageError, match="no slide that OpenSlide reads"):
        decode(str(damaged))


def test_without_openslide_it_is_said_what_to_install(slide, monkeypatch, tmp_path):
    there = builtins.__import__

    def without(name, *rest):
        if name == "openslide":
            raise ImportError(name)
        return there(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    other = write_slide(tmp_path / "b.tif", PIXELS, 0.2)
    with pytest.raises(ImageError, match="pip install openslide-python openslide-bin"):
        decode(crop_name(str(other), Box(0, 0, 9, 9)))


def test_tiles_cover_what_is_stained_and_leave_bare_glass_out(slide):
    tiles = tiles_of(open_slide(slide), slide)
    assert tiles.px == pytest.approx(2)
    assert 0 < len(tiles.boxes) < tiles.grid
    covered = np.zeros(PIXELS.shape[:2], bool)
    for x0, y0, x1, y1 in tiles.boxes:
        covered[y0:y1, x0:x1] = True
    assert covered[:, :1800].all()
    assert not covered[:, -600:].any()


def test_neighbours_have_more_than_a_cell_in_common():
    tiles = tiles_of(Glass(levels=False), "x")
    assert len(tiles.boxes) == tiles.grid  # without a small copy nothing is known to be empty
    margin = MARGIN_UM / 0.25
    for first, second, x, y in tiles.overlaps:
        one, other = tiles.boxes[first], tiles.boxes[second]
        assert (x, y) == (0, 0)
        assert one.x1 - max(one.x0, other.x0) >= margin - 1 or other.x1 - max(one.x0, other.x0) >= margin - 1
        assert one.y1 - other.y0 >= margin - 1
    last = tiles.boxes[-1]
    assert (last.x1, last.y1) == (Glass.width, Glass.height)
    assert tiles.px == UM_PER_PX / 0.25


def test_a_few_red_cells_make_a_tile_be_looked_at():
    tiles = tiles_of(Glass(red=[(15_000, 9_000)]), "x")
    assert 1 <= len(tiles.boxes) <= 4
    assert all(box.x0 <= 15_000 < box.x1 and box.y0 <= 9_000 < box.y1 for box in tiles.boxes)


def test_red_cells_give_the_scale_that_the_file_does_not(tmp_path):
    path = str(write_slide(tmp_path / "untold.tif", PIXELS))
    assert open_slide(path).um_per_px is None
    assert tiles_of(open_slide(path), path).px == pytest.approx(UM_PER_PX / (3.75 / 20), rel=0.15)
    with pytest.raises(ImageError, match="says not how large a pixel is, and no red cells are found"):
        tiles_of(Glass(um_per_px=None, levels=False), "x")
