"""The rows of predictions.csv."""

from __future__ import annotations

import pandas as pd
from torch import Tensor

SET_SEPARATOR = " | "


def predictions_table(rows: pd.DataFrame, logits: Tensor, classes: list[str]) -> pd.DataFrame:
    """One row an image: path, split, label, prediction, and one probability per class named after it."""
    probabilities = logits.softmax(dim=1)
    table = rows[["path", "split", "label"]].reset_index(drop=True)
    table["prediction"] = [classes[index] for index in probabilities.argmax(dim=1).tolist()]
    return pd.concat([table, pd.DataFrame(probabilities.numpy(), columns=classes)], axis=1)
