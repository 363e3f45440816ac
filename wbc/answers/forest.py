"""A forest of decision trees as tensors: fitted by scikit-learn, kept and read without it or its pickles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from wbc.plain.second_opinion import forest_shares


class Learning(NamedTuple):
    """What _TREES of a forest learn from: `columns` of the samples, in the `rows` (N,) bool; None: in all."""

    columns: Sequence[int]
    rows: Tensor | None = None


@dataclass(frozen=True)
class Forest:
    """T trees of up to M nodes, whose leaves' shares of C classes are averaged.

    feature (T, M) int64: the column that a node asks about, threshold (T, M) float64: up to it the path goes
    to the node `left` (T, M) int64, else to `right`; a leaf is its own.  shares (T, M, C) float32.
    """

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    shares: Tensor

    @classmethod
    def fit(
        cls, samples: Tensor, labels: Tensor, classes: int, learning: Sequence[Learning], seed: int
    ) -> Forest:
        """Extremely randomised trees (Geurts 2006), _TREES for each of `learning`.

        samples (N, F) float32, labels (N,) int64.  Classes weigh alike.
        """
        from sklearn.ensemble import ExtraTreesClassifier  # takes a second to import

        trees = []
        for number, (chosen, rows) in enumerate(learning):
            seen, named = (samples, labels) if rows is None else (samples[rows], labels[rows])
            leaf = max(_LEAST_IN_LEAF, len(seen) // _MOST_LEAVES)
            forest = ExtraTreesClassifier(
                _TREES, min_samples_leaf=leaf, class_weight="balanced", random_state=(seed + number) % 2**32
            )
            forest.fit(seen[:, list(chosen)].numpy(), named.numpy())
            trees += [(tree.tree_, np.array(chosen), forest.classes_) for tree in forest.estimators_]
        nodes = (len(trees), max(tree.node_count for tree, _, _ in trees))
        feature, threshold = np.zeros(nodes, np.int64), np.zeros(nodes)
        left, right = (np.tile(np.arange(nodes[1]), (nodes[0], 1)) for _ in range(2))  # all are leaves as yet
        shares = np.zeros((*nodes, classes), np.float32)
        for row, (tree, own, present) in enumerate(trees):
            inner = np.flatnonzero(tree.children_left >= 0)  # scikit-learn's leaves have -1
            feature[row, inner] = own[tree.feature[inner]]
            threshold[row, inner] = tree.threshold[inner]
            left[row, inner] = tree.children_left[inner]
            right[row, inner] = tree.children_right[inner]
            value = tree.value[:, 0]  # weights of classes or, in newer releases, their shares
            shares[row, : tree.node_count, present] = (value / value.sum(axis=1, keepdims=True)).T
        return cls(*map(torch.from_numpy, (feature, threshold, left, right, shares)))

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The tensors as numpy has them; nothing is copied."""
        return {name: tensor.numpy() for name, tensor in vars(self).items()}

    def probabilities(self, samples: Tensor) -> Tensor:
        """(N, F) float32 to (N, C) float32."""
        return torch.from_numpy(forest_shares(self.arrays, samples.numpy()))

    def state(self) -> dict[str, Tensor]:
        """Tensors, as a checkpoint may hold them."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: dict[str, Any], features: int, classes: int) -> Forest:
        """The forest that `state` came from, of samples with so many features.

        Raises KeyError, TypeError or ValueError for anything else, such as paths that would not end.
        """
        forest = cls(**state)
        shape = tuple(getattr(forest.feature, "shape", ()))
        expected = {
            "feature": (torch.int64, shape),
            "threshold": (torch.float64, shape),
            "left": (torch.int64, shape),
            "right": (torch.int64, shape),
            "shares": (torch.float32, (*shape, classes)),
        }
        for name, (kind, extent) in expected.items():
            values = getattr(forest, name)
            if not isinstance(values, Tensor) or values.dtype != kind or tuple(values.shape) != extent:
                raise ValueError(f"a forest whose {name} is not {kind} of {extent}")
        if len(shape) != 2 or not (0 < shape[0] <= _MOST_TREES and 0 < shape[1] <= _MOST_NODES):
            raise ValueError(f"a forest of {shape} trees and nodes")
        nodes = torch.arange(shape[1])
        for following in (forest.left, forest.right):
            if not ((nodes <= following) & (following < shape[1])).all():
                raise ValueError("a forest with paths that do not end")
        if not ((forest.feature >= 0) & (forest.feature < features)).all():
            raise ValueError(f"a forest of other than {features} features")
        if not ((forest.shares >= 0) & (forest.shares <= 1)).all():
            raise ValueError("a forest whose shares are none")
        return forest


_TREES = 100
_LEAST_IN_LEAF = 5  # samples
_MOST_LEAVES = 600  # of a tree, about, however many samples: bounds the file
_MOST_TREES, _MOST_NODES = 1000, 4 * _MOST_LEAVES  # that a file may hold: more than were ever fitted
