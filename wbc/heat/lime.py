"""LIME (Ribeiro 2016): which parts of one image speak for a class, and which against it.

The image is cut into superpixels (SLIC, Achanta 2012). The network answers copies of it in which a few of
them are hidden, and a linear model is fitted to the answers, nearer copies counting more.

The paper's package hides each superpixel in half of the copies.  So far from the image the answers are no sum
of parts: a linear model explains a third of them, and what one seed tells another does not.  Here superpixels
are dealt into 8, 10 or 12 parts in turn, and each copy hides one part (docs/results/explanations.md).

captum draws, batches and weighs the samples. It is given one switch a superpixel in place of the pixels, so
that copies are drawn a batch at a time, at a few per cent of what a small network takes for them. The
`lime` package of the paper draws each alone, superpixel by superpixel, and was last released in 2020; kernel,
width and ridge regression are as there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import captum.attr
import numpy as np
import pandas as pd
import torch
from captum.attr._core.lime import get_exp_kernel_similarity_function
from skimage.segmentation import slic
from sklearn.linear_model import Ridge
from torch import Tensor
from torch.utils.data import DataLoader

LADDER = (100, 250, 500, 1000, 2000)  # numbers of samples at which stability is measured
_PARTS = (8, 10, 12)  # of several sizes: else what all superpixels add together could not be told
STABLE = 0.95  # rank correlation from which two seeds tell the same story


class LimeExplanation(NamedTuple):
    """What each superpixel adds to one class's logit.

    segments: (H, W) int64, each pixel's superpixel, 0..S-1.
    weights: (S,) float64, by how much showing the superpixel raises the logit.
    r2: how much of the logits' variance the linear model explains, at most 1; 0 if nothing could be hidden.
    """

    segments: np.ndarray
    weights: np.ndarray
    r2: float

    @property
    def signed(self) -> np.ndarray:
        """(H, W) float32: the weight of each pixel's superpixel."""
        return self.weights.astype(np.float32)[self.segments]

    @property
    def heat(self) -> np.ndarray:
        """(H, W) float32: what speaks for the class; zero everywhere if all superpixels speak against it."""
        return self.signed.clip(min=0)


class Stability(NamedTuple):
    """How well the explanations of several seeds agree.

    correlations: number of samples to the mean Spearman correlation of the weights over all pairs of seeds;
    NaN if a seed's weights are all equal.  samples: the fewest that reach STABLE, None if none do.
    """

    correlations: dict[int, float]
    samples: int | None


class Lime:
    """Explains a classifier's answers, one image at a time.

    classify: (N, 3, H, W) uint8 images of 0..255 on the CPU to (N, C) logits; called without gradients, with
    at most `batch_size` images.  Logits rather than probabilities, which hardly move where a network is sure.
    samples: the copies of the image to classify.  superpixels: about how many; on cells, SLIC makes 40 of 50.
    An equal seed gives equal samples; the random state of torch and numpy is neither used nor changed.
    """

    def __init__(
        self,
        classify: Callable[[Tensor], Tensor],
        samples: int = 2000,
        batch_size: int = 32,
        seed: int = 0,
        superpixels: int = 50,
    ) -> None:
        self.classify = classify
        self.samples = samples
        self.batch_size = batch_size
        self.seed = seed
        self.superpixels = superpixels

    def explain(self, image: np.ndarray, target: int) -> LimeExplanation:
        """Why the image (H, W, 3) uint8 RGB got its logit of class number `target`.

        Raises ValueError for an array of another kind.
        """
        return self.explain_at(image, target, [self.samples], self.seed)[0]

    def explain_at(
        self, image: np.ndarray, target: int, counts: Sequence[int], seed: int
    ) -> list[LimeExplanation]:
        """As `explain`, an explanation for each of `counts`: from the first so many of the same samples."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                f"an array of {image.dtype} {image.shape} is no image: expected uint8 (height, width, 3) RGB"
            )
        # Of even sizes and a tenth of the time of quickshift, lime's default. Smoothed by a pixel: camera
        # noise would fray the superpixels and, where strong, join all of them into one.
        segments = slic(image, n_segments=self.superpixels, sigma=1, start_label=0)
        switches = int(segments.max()) + 1
        pixels = torch.from_numpy(image.transpose(2, 0, 1).copy())
        # The image's mean, a colour the network knows. The mean of each superpixel, lime's default, would
        # leave a dark nucleus dark: superpixels are of one colour each. A blurred copy keeps it as a shadow.
        hidden = pixels.float().mean(dim=(1, 2), keepdim=True).round().to(torch.uint8)  # (3, 1, 1)
        if (pixels == hidden).all():  # else rounding errors would be fitted and shown as heat
            return [LimeExplanation(segments, np.zeros(switches), r2=0.0) for _ in counts]
        places = torch.from_numpy(segments)

        def classify_shown(shown: Tensor) -> Tensor:
            visible = shown.bool()[:, places].unsqueeze(1)  # (N, 1, H, W)
            return self.classify(torch.where(visible, pixels, hidden))

        def samples(_: Tensor, **__: Any) -> Iterator[Tensor]:
            generator = torch.Generator().manual_seed(seed)
            all_shown = torch.ones(1, switches, dtype=torch.int64)
            yield all_shown  # the image itself
            for parts in itertools.cycle(_PARTS):
                order = torch.randperm(switches, generator=generator)
                for hidden in order.tensor_split(min(parts, switches)):
                    yield all_shown.index_fill(1, hidden, 0)

        fits = _RidgeFits(counts)
        # lime's kernel and width; on switches, the cosine distance is lime's too.
        similarity = get_exp_kernel_similarity_function("cosine", kernel_width=0.25)
        engine = captum.attr.Lime(classify_shown, fits, similarity, samples)
        with torch.inference_mode():
            engine.attribute(
                torch.ones(1, switches),
                target=target,
                n_samples=max(counts),
                perturbations_per_eval=self.batch_size,
                return_input_shape=False,
            )
        return [LimeExplanation(segments, *fit) for fit in fits.representation()]


def stability(
    lime: Lime, image: np.ndarray, target: int, seeds: int = 5, ladder: Sequence[int] = LADDER
) -> Stability:
    """How far explanations depend on chance: `seeds` of them, from `lime.seed` on, at each of `ladder`.

    Costs `seeds * max(ladder)` forward passes.  Raises ValueError for fewer than 5 seeds.
    """
    if seeds < 5:
        raise ValueError(f"seeds={seeds}: a mean over so few pairs is chance itself; use at least 5")
    runs = [lime.explain_at(image, target, ladder, lime.seed + offset) for offset in range(seeds)]
    pairs = np.triu_indices(seeds, k=1)
    correlations = {}
    for samples, explanations in zip(ladder, zip(*runs, strict=True), strict=True):
        weights = pd.DataFrame([explanation.weights for explanation in explanations])  # (seeds, S)
        correlations[samples] = float(weights.T.corr(method="spearman").to_numpy()[pairs].mean())
    stable = [samples for samples, correlation in correlations.items() if correlation >= STABLE]
    return Stability(correlations, min(stable, default=None))


class _RidgeFits:
    """The linear model in the form captum asks for; lime's ridge regression, once for each of `counts`."""

    def __init__(self, counts: Sequence[int]) -> None:
        self.counts = counts
        self.fits: list[tuple[np.ndarray, float]] = []

    def fit(self, samples: DataLoader[Any]) -> None:
        """Weigh and fit the first so many samples; captum hands over shown, logits, similarities."""
        # Past the loader, which would draw from torch's random state.
        shown, logits, similarity = (part.cpu().double().numpy() for part in samples.dataset[:])
        for count in self.counts:
            data = shown[:count], logits[:count], similarity[:count]
            ridge = Ridge(alpha=1.0).fit(*data)
            self.fits.append((ridge.coef_, float(ridge.score(*data))))

    def representation(self) -> list[tuple[np.ndarray, float]]:
        """Weights (S,) and R2, for each of `counts`."""
        return self.fits
