"""How right words are on labelled cells: each attribute, and the class by the words alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from scipy.special import softmax

from wbc.metrics.calibration import expected_calibration_error
from wbc.metrics.classification import classification_metrics
from wbc.plain.words import FittedWords
from wbc.utils.text_tables import percent
from wbc.words.attribute_table import MISSING


def measured_words(
    words: FittedWords, features: np.ndarray, targets: np.ndarray, labels: np.ndarray, classes: Sequence[str]
) -> dict[str, Any]:
    """Of N cells: features (N, D), numbers of values (N, A) with MISSING, classes (N,).

    For each attribute accuracy, macro F1 over the values that occur, calibration error, the share that is
    answered, the accuracy of that, and each value by itself; their means; and accuracy and macro F1 of the
    class by the words alone.
    """
    probabilities = words.probabilities(features)
    attributes = {}
    for place, (name, values, part) in enumerate(zip(words.names, words.values, words.parts(), strict=True)):
        known = targets[:, place] != MISSING
        if not known.any():
            continue
        own = torch.from_numpy(probabilities[known, part]).double()
        truth = torch.from_numpy(targets[known, place])
        found = classification_metrics(own, truth, values)
        confidence, best = own.max(dim=1)
        answered = confidence >= words.thresholds[place]
        right = (best == truth)[answered].double()
        attributes[name] = {
            "images": int(known.sum()),
            "accuracy": found["accuracy"],
            "macro_f1": found["macro_f1"],
            "ece": expected_calibration_error(own.float(), truth),
            "answered": answered.double().mean().item(),
            "accuracy_when_answered": right.mean().item() if len(right) else None,
            "max_error": float(words.max_errors[place]),
            "values": {
                value: {key: one[key] for key in ("support", "recall", "f1")}
                for value, one in found["per_class"].items()
            },
        }
    told = torch.from_numpy(softmax(words.class_logits(probabilities), axis=1)).double()
    by_words = classification_metrics(told, torch.from_numpy(labels), classes)
    means = {
        key: float(np.mean([one[key] for one in attributes.values()]))
        for key in ("accuracy", "macro_f1", "ece", "answered")
    }
    return {
        "attributes": attributes,
        "mean": means,
        "class_by_words": {key: by_words[key] for key in ("accuracy", "macro_f1")},
    }


def words_table(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows, one an attribute and their mean, of what `measured_words` found."""
    rows = []
    for name, one in [*found["attributes"].items(), ("mean", found["mean"])]:
        right = one.get("accuracy_when_answered")
        shares = [percent(one[key]) for key in ("accuracy", "macro_f1", "ece", "answered")]
        rows.append([name.replace("_", " "), *shares, "" if right is None else percent(right)])
    return ["attribute", "accuracy", "macro F1", "ECE", "answered", "accuracy when answered"], rows
