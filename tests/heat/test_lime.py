import itertools

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from wbc.heat.lime import Lime, stability

SIDE_PX = 48
BLOCK = slice(0, 16)  # rows and columns of the one part of the image that counts


@pytest.fixture
def image() -> np.ndarray:
    """Dark noise, bright in BLOCK."""
    noise = np.random.default_rng(0).integers(0, 60, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    noise[BLOCK, BLOCK] += 180
    return noise


def brightness(images: torch.Tensor) -> torch.Tensor:
    """Class 1: mean brightness in BLOCK; class 0: against it."""
    mean = images[:, :, BLOCK, BLOCK].float().mean(dim=(1, 2, 3))
    return torch.stack([-mean, mean], dim=1)


def contrast(images: torch.Tensor) -> torch.Tensor:
    """Not linear in what is shown."""
    return images.float().std(dim=(2, 3)).square()


def test_a_linear_classifier_is_explained_exactly(image):
    found = Lime(brightness, superpixels=20).explain(image, target=1)
    surplus = (image - image.mean(axis=(0, 1)).round()).mean(axis=2)[BLOCK, BLOCK] / 16**2
    expected = np.bincount(found.segments[BLOCK, BLOCK].ravel(), surplus.ravel(), len(found.weights))
    np.testing.assert_allclose(found.weights, expected, atol=0.02 * expected.max())
    assert found.r2 == pytest.approx(1, abs=1e-3)


def test_heat_lies_where_the_classifier_looks(image):
    found = Lime(brightness, samples=300).explain(image, target=1)
    assert found.heat.shape == (SIDE_PX, SIDE_PX)
    assert found.heat.dtype == np.float32
    assert found.weights.argmax() in found.segments[BLOCK, BLOCK]
    looked_at = np.isin(found.segments, found.segments[BLOCK, BLOCK])
    assert looked_at.mean() < 0.25
    assert found.heat[looked_at].sum() > 0.95 * found.heat.sum()
    np.testing.assert_array_equal(found.signed, found.weights.astype(np.float32)[found.segments])


def test_fit_is_the_weighted_ridge_regression_of_the_lime_package(image):
    seen = []
    lime = Lime(lambda images: seen.append(images) or contrast(images), samples=70, superpixels=9)
    found = lime.explain(image, target=0)
    copies = torch.cat(seen).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(copies[0], image)
    shown = np.stack(
        [
            (copies == image).all(axis=3)[:, found.segments == part].all(axis=1)
            for part in np.unique(found.segments)
        ],
        1,
    ).astype(float)
    assert shown[1:].mean() == pytest.approx(0.88, abs=0.01)  # of 9, in 8 and 9 parts
    logits = contrast(torch.cat(seen))[:, 0].double().numpy()
    distance = 1 - np.sqrt(shown.mean(axis=1))  # cosine distance from all ones
    near = np.sqrt(np.exp(-(distance**2) / 0.25**2))
    x = shown - np.average(shown, axis=0, weights=near)
    y = logits - np.average(logits, weights=near)
    expected = np.linalg.solve(x.T * near @ x + np.eye(x.shape[1]), x.T * near @ y)
    np.testing.assert_allclose(found.weights, expected, rtol=1e-4)
    unexplained = np.average((y - x @ expected) ** 2, weights=near) / np.average(y**2, weights=near)
    assert found.r2 == pytest.approx(1 - unexplained, abs=1e-4)
    assert found.r2 < 0.99


def test_each_superpixel_is_hidden_once_in_each_deal(image):
    seen = []
    lime = Lime(lambda images: seen.append(images) or contrast(images), samples=31, superpixels=40)
    segments = lime.explain(image, target=0).segments
    copies = torch.cat(seen).permute(0, 2, 3, 1).numpy()
    differs = (copies != image).any(axis=3)
    hidden = np.stack([differs[:, segments == part].any(axis=1) for part in range(segments.max() + 1)], 1)
    assert not hidden[0].any()  # the image itself
    for start, parts in ((1, 8), (9, 10), (19, 12)):
        np.testing.assert_array_equal(hidden[start : start + parts].sum(axis=0), 1)


def test_seed_decides_and_global_random_state_stays(image):
    def weights(seed: int) -> np.ndarray:
        return Lime(contrast, samples=100, seed=seed).explain(image, target=0).weights

    torch.manual_seed(1)
    np.random.seed(1)
    states = torch.get_rng_state(), np.random.get_state()[1]
    first = weights(0)
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])
    torch.manual_seed(2)
    assert np.array_equal(first, weights(0))
    assert not np.allclose(first, weights(1))


def test_classifier_is_given_batches_without_gradients(image):
    sizes = []

    def classify(images: torch.Tensor) -> torch.Tensor:
        assert torch.is_inference_mode_enabled()
        assert images.dtype == torch.uint8
        assert images.shape[1:] == (3, SIDE_PX, SIDE_PX)
        sizes.append(len(images))
        return contrast(images)

    Lime(classify, samples=70, batch_size=32).explain(image, target=2)
    assert sizes == [32, 32, 6]


def test_fewer_samples_are_the_first_of_more(image):
    few, more = Lime(contrast).explain_at(image, 0, [60, 200], seed=3)
    np.testing.assert_array_equal(few.weights, Lime(contrast, samples=60, seed=3).explain(image, 0).weights)
    assert not np.allclose(few.weights, more.weights)


def test_heat_is_zero_if_everything_speaks_against_the_class(image):
    mean = torch.from_numpy(image.mean(axis=(0, 1)).round()).view(1, 3, 1, 1)
    found = Lime(lambda images: -(images - mean).abs().mean(dim=(2, 3)), samples=300).explain(image, target=0)
    assert found.weights.max() < 0
    assert not found.heat.any()


@pytest.mark.parametrize("side_px", [1, 48])
def test_an_image_of_one_colour_has_no_heat(side_px):
    found = Lime(brightness, samples=10).explain(np.full((side_px, side_px, 3), 200, np.uint8), target=1)
    assert found.heat.shape == (side_px, side_px)
    assert not found.signed.any()
    assert found.r2 == 0


def test_a_single_superpixel_is_explained(image):
    found = Lime(brightness, samples=100, superpixels=1).explain(image, target=1)
    assert len(found.weights) == 1
    assert (found.heat > 0).all()


@pytest.mark.parametrize(
    "wrong", [np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), np.uint8), np.zeros((3, 8, 8), np.uint8)]
)
def test_arrays_that_are_no_images_are_refused(wrong):
    with pytest.raises(ValueError, match="expected uint8"):
        Lime(brightness).explain(wrong, target=0)


def test_explanations_of_a_linear_classifier_are_stable(image):
    everywhere = torch.rand(3, SIDE_PX, SIDE_PX, generator=torch.Generator().manual_seed(0))
    lime = Lime(lambda images: (images * everywhere).mean(dim=(2, 3)), superpixels=20, seed=1)
    found = stability(lime, image, target=0, ladder=(50, 500, 1000))
    assert found.correlations[1000] > 0.97
    assert found.correlations[50] < 0.9 <= found.correlations[500]
    assert found.samples == 500
    weights = [lime.explain_at(image, 0, [500], seed)[0].weights for seed in range(1, 6)]
    pairs = [spearmanr(*pair).statistic for pair in itertools.combinations(weights, 2)]
    assert found.correlations[500] == pytest.approx(np.mean(pairs))


def test_explanations_of_noise_are_not_stable(image):
    generator = torch.Generator().manual_seed(0)
    lime = Lime(lambda images: torch.rand(len(images), 2, generator=generator))
    found = stability(lime, image, target=0, ladder=(100, 200))
    assert max(found.correlations.values()) < 0.5
    assert found.samples is None


def test_stability_asks_for_five_seeds(image):
    with pytest.raises(ValueError, match="at least 5"):
        stability(Lime(brightness), image, target=0, seeds=4)
