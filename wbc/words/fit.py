"""Fits what is said in words: heads on features, when they keep silent, and the class by the words alone."""

from __future__ import annotations

import logging
import math
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from wbc.answers.abstention import best_promise
from wbc.answers.temperature import fit_temperature
from wbc.plain.words import FittedWords
from wbc.words.attribute_table import MISSING, Vocabulary

log = logging.getLogger(__name__)

# Of half the squared weights, beside the mean loss.  Of heads 0.05 to 0.5 are alike (docs/results/words.md).
_HEAD_L2, _CLASS_L2 = 0.2, 2e-4
_STEPS = 200  # more change no figure


def fit_words(
    vocabulary: Vocabulary,
    train: tuple[np.ndarray, np.ndarray, np.ndarray],
    val: tuple[np.ndarray, np.ndarray],
    classes: int,
    max_error: float,
) -> FittedWords:
    """Heads and links fitted on training cells, calibrated and bounded on validation cells.

    train: features (N, D), numbers of values (N, A) with MISSING, classes (N,); val: the first two.
    max_error: of the answers of each attribute; what its cells cannot promise is replaced as for classes, by
    the smallest error that they can.
    """
    features, codes, labels = train
    weights, biases, thresholds, errors, shares = [], [], [], [], []
    for place, name in enumerate(vocabulary.names):
        known = codes[:, place] != MISSING
        shown = features[known]
        centre, spread = shown.mean(axis=0), np.maximum(shown.std(axis=0), 1e-6)
        values = len(vocabulary.values[place])
        weight, bias = _logistic((shown - centre) / spread, codes[known, place], values, _HEAD_L2)
        weight = weight / spread[:, None]
        bias = bias - centre @ weight
        told = val[1][:, place] != MISSING
        logits = torch.from_numpy(val[0][told] @ weight + bias)
        truth = torch.from_numpy(val[1][told, place])
        temperature = fit_temperature(logits, truth) if len(truth) else 1.0
        confidences, best = (logits.double() / temperature).softmax(dim=1).max(dim=1)
        promise = best_promise(confidences.numpy(), (best == truth).numpy(), max_error)
        if math.isinf(promise.threshold):
            log.warning("attribute %s: never answered, too few validation images or too many wrong", name)
        weights.append(weight / temperature)
        biases.append(bias / temperature)
        thresholds.append(promise.threshold)
        errors.append(promise.max_error)
        shares.append(np.bincount(codes[known, place], minlength=values) / known.sum())
    named = (codes != MISSING).all(axis=1)
    class_weight, class_bias = _logistic(
        _one_hot(codes[named], vocabulary), labels[named], classes, _CLASS_L2
    )
    return FittedWords(
        vocabulary.names,
        vocabulary.values,
        np.concatenate(weights, axis=1).astype(np.float32),
        np.concatenate(biases).astype(np.float32),
        np.array(thresholds),
        np.array(errors),
        np.concatenate(shares),
        class_weight,
        class_bias,
    )


def _one_hot(codes: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """(N, A) numbers of values to (N, V) of 0 and 1."""
    parts = [np.eye(size)[codes[:, place]] for place, size in enumerate(vocabulary.sizes)]
    return np.concatenate(parts, axis=1)


def _logistic(
    inputs: np.ndarray, numbers: np.ndarray, count: int, l2: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weight (D, count) and bias (count,) of a logistic regression; what no row shows is never likely."""
    model = LogisticRegression(C=1 / (l2 * len(inputs)), max_iter=_STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(inputs, numbers)
    weight, bias = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # of two scikit-learn keeps the difference
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    whole, offsets = np.zeros((inputs.shape[1], count)), np.full(count, bias.min() - 30)
    whole[:, model.classes_] = weight.T
    offsets[model.classes_] = bias
    return whole, offsets
