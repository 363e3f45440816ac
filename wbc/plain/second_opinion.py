"""What a forest of trees says of a cell by its measurements; `wbc.answers.second_opinion` tells why."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from wbc.images.morphometry import measure

_SMOOTHING = 0.1  # share of the forest's opinion spread over all classes: it too may err


def opinion(images: np.ndarray, weight: float, forest: Mapping[str, np.ndarray]) -> np.ndarray:
    """What is added to the network's logits, (N, C) float32, of the (N, S, S, 3) uint8 that it sees.

    weight: of the logarithm of the forest's probabilities.  At most 0: a class that the forest expects too
    loses little.  Where no cell is found, all lose alike, which leaves probabilities as they are and raises
    an outlier score of logits.
    """
    classes = forest["shares"].shape[2]
    said = np.full((len(images), classes), 1 / classes, np.float32)
    measured = [measure(image) for image in images]
    there = [index for index, values in enumerate(measured) if values is not None]
    if there:
        said[there] = forest_shares(forest, np.stack([one for one in measured if one is not None]))
    return np.float32(weight) * np.log((1 - _SMOOTHING) * said + np.float32(_SMOOTHING / classes))


def forest_shares(forest: Mapping[str, np.ndarray], samples: np.ndarray) -> np.ndarray:
    """(N, F) float32 to the probabilities (N, C) float32 of the trees, as `wbc.answers.forest` keeps them."""
    trees, rows = np.arange(len(forest["feature"])), np.arange(len(samples))[:, None]
    node = np.zeros((len(samples), len(trees)), np.int64)
    while True:
        asked = samples[rows, forest["feature"][trees, node]]
        left, right = forest["left"][trees, node], forest["right"][trees, node]
        following = np.where(asked <= forest["threshold"][trees, node], left, right)
        if np.array_equal(following, node):
            return np.asarray(forest["shares"][trees, node].mean(axis=1))
        node = following
