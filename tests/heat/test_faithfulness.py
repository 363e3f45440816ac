import cv2
import numpy as np
import pytest
import torch
from scipy import ndimage

from wbc.heat.faithfulness import _blurred, deletion_insertion, edge_map, random_map

SIDE = 32
PATCH = (slice(8, 24), slice(8, 24))  # a quarter of the pixels: 5 of 20 steps


class Watcher:
    """Probability of class 1: the share of the region's pixels that are the image's own.

    The image is a checkerboard of 0 and 255, whose blurred copy is grey.
    """

    def __init__(self, region=(slice(None), slice(None))):
        self.region = region
        self.batches = []

    def __call__(self, images):
        assert torch.is_inference_mode_enabled()
        self.batches.append(images.shape)
        own = ((images - 127.5).abs() > 100).float()[(..., *self.region)].mean((1, 2, 3))
        return torch.stack([1 - own, own], dim=1).log()


def checkerboards(count=1):
    board = torch.from_numpy(np.indices((SIDE, SIDE)).sum(0) % 2 * 255).to(torch.uint8)
    return board.expand(count, 3, SIDE, SIDE)


def patch_map():
    heat = torch.zeros(1, SIDE, SIDE)
    heat[(0, *PATCH)] = 1 + torch.rand(16, 16, generator=torch.Generator().manual_seed(1))
    return heat


ONES = torch.ones(1, dtype=torch.int64)


@pytest.mark.parametrize(
    ("heat", "deletion", "insertion"),
    [
        # The patch is gone, or there, after a quarter of the way, and in between it changes evenly.
        (patch_map(), 1 / 8, 7 / 8),
        (2 - patch_map(), 7 / 8, 1 / 8),
    ],
)
def test_areas_are_those_of_the_closed_form(heat, deletion, insertion):
    areas = deletion_insertion(Watcher(PATCH), checkerboards(), heat, ONES)
    assert [area.item() for area in areas] == pytest.approx([deletion, insertion], abs=1e-5)
    assert all(area.shape == (1,) and area.dtype == torch.float32 for area in areas)


@pytest.mark.parametrize("seed", range(3))
def test_a_classifier_that_sees_all_pixels_alike_gives_half_to_every_map(seed):
    heat = torch.from_numpy(random_map((SIDE * 7, SIDE * 7), seed)[None, ::7, ::7].copy())
    areas = deletion_insertion(Watcher(), checkerboards(), heat, ONES)
    assert [area.item() for area in areas] == pytest.approx([0.5, 0.5], abs=1e-3)  # counts are rounded


def test_the_target_is_each_images_own():
    heat = patch_map().expand(2, -1, -1)
    deletion, insertion = deletion_insertion(Watcher(PATCH), checkerboards(2), heat, torch.tensor([0, 1]))
    assert deletion.tolist() == pytest.approx([7 / 8, 1 / 8], abs=1e-5)
    assert insertion.tolist() == pytest.approx([1 / 8, 7 / 8], abs=1e-5)


@pytest.mark.parametrize("half", [slice(0, 16), slice(16, 32)])
@pytest.mark.parametrize("side", [0, 1])
def test_equal_heat_favours_no_part_of_the_image(half, side):
    """In raster order, a blank map would give 0.25 for the upper half and 0.75 for the lower."""
    region = (half, slice(None)) if side == 0 else (slice(None), half)
    blank = torch.zeros(1, SIDE, SIDE)
    areas = deletion_insertion(Watcher(region), checkerboards(), blank, ONES)
    assert [area.item() for area in areas] == pytest.approx([0.5, 0.5], abs=0.04)
    again = deletion_insertion(Watcher(region), checkerboards(), blank + 3, ONES)
    assert areas == again


def test_batches_stay_small_and_do_not_change_the_areas():
    images, heat, targets = checkerboards(3), torch.rand(3, SIDE, SIDE), torch.ones(3, dtype=torch.int64)
    whole, small = Watcher(PATCH), Watcher(PATCH)
    expected = deletion_insertion(whole, images, heat, targets, steps=10)
    areas = deletion_insertion(small, images, heat, targets, steps=10, batch_size=7)
    torch.testing.assert_close(areas, expected)
    assert max(shape[0] for shape in small.batches) == 7
    assert sum(shape[0] for shape in small.batches) == 3 * 20  # both ends serve both curves
    assert torch.is_inference_mode_enabled() is False


def test_both_ends_are_the_whole_image_and_the_whole_copy():
    seen = []

    def classify(images):
        seen.append(images.clone())
        return torch.zeros(len(images), 2)

    image = torch.randint(0, 256, (1, 3, SIDE, SIDE), dtype=torch.uint8)
    areas = deletion_insertion(classify, image, torch.rand(1, SIDE, SIDE), ONES, steps=2)
    pictures = torch.cat(seen)
    assert torch.equal(pictures[0], image[0].float())
    assert torch.equal(pictures[2], _blurred(image[0].float()))
    assert [area.item() for area in areas] == [0.5, 0.5]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_heat_without_an_order_is_refused(bad):
    heat = patch_map()
    heat[0, 3, 3] = bad
    with pytest.raises(ValueError, match="not finite"):
        deletion_insertion(Watcher(), checkerboards(), heat, ONES)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 7, 7\)"):
        deletion_insertion(Watcher(), checkerboards(), torch.zeros(1, 7, 7), ONES)
    with pytest.raises(ValueError, match=r"targets \(2,\)"):
        deletion_insertion(Watcher(), checkerboards(), patch_map(), torch.ones(2, dtype=torch.int64))


def test_the_baseline_is_a_gaussian_of_a_tenth_of_the_side():
    image = np.random.default_rng(0).uniform(0, 255, (3, 60, 80)).astype(np.float32)
    expected = [ndimage.gaussian_filter(plane, 6.0, mode="mirror", truncate=3.0) for plane in image]
    np.testing.assert_allclose(_blurred(torch.from_numpy(image)), np.stack(expected), atol=0.01)


def test_the_baseline_keeps_no_lobes():
    stripes = (255 * (np.arange(224) // 20 % 2)).astype(np.float32)  # repeating every 40 px
    image = torch.from_numpy(np.broadcast_to(stripes, (3, 224, 224)).copy())
    middle = _blurred(image)[:, 80:140, 80:140]
    assert float(middle.max() - middle.min()) < 2  # of 255 grey values


def test_random_map_is_seven_by_seven_at_224():
    heat = random_map((224, 224), 0)
    assert heat.dtype == np.float32
    assert heat.min() >= 0
    centres = heat[15::32, 15::32]  # half a pixel from the 49 values
    assert centres.shape == (7, 7)
    np.testing.assert_allclose(cv2.resize(centres, (224, 224)), heat, atol=0.05)
    assert heat.std() > 0.15
    assert np.array_equal(heat, random_map((224, 224), 0))
    assert not np.array_equal(heat, random_map((224, 224), 1))
    assert random_map((64, 96), 0).shape == (64, 96)


def test_edge_map_marks_the_edge_alone_and_in_every_direction():
    image = np.zeros((40, 50, 3), np.uint8)
    image[:, 25:] = 200
    heat = edge_map(image)
    assert heat.shape == (40, 50)
    assert heat.dtype == np.float32
    assert set(heat.argmax(axis=1)) <= {24, 25}
    assert not heat[:, :18].any()
    assert not heat[:, 32:].any()
    np.testing.assert_allclose(edge_map(image.transpose(1, 0, 2).copy()), heat.T, atol=1e-3)
    np.testing.assert_allclose(edge_map(255 - image), heat, atol=1e-3)
    assert edge_map(np.full((40, 50, 3), 90, np.uint8)).max() < 1e-3
