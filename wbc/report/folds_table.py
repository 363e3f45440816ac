"""The table of a cross-validation: each fold, mean and spread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wbc.utils.text_tables import percent


def folds_table(record: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Headers and rows: a fold each, their mean with standard deviation, and all images together.

    record: `cross_validation` of metrics.json.  A class of which a fold holds nothing out has a dash there.
    """
    names = list(record["together"]["recall"])
    images = f"{record['together']['images']:,}"
    rows = [
        [f"fold {one['fold']}", f"{one['images']:,}", *map(percent, _values(one))] for one in record["each"]
    ]
    spread = zip(_values(record["mean"]), _values(record["spread"]), strict=True)
    rows.append(["mean ± spread", images, *(_with_spread(*pair) for pair in spread)])
    rows.append(["all together", images, *map(percent, _values(record["together"]))])
    return ["", "images", "accuracy", "macro F1", *(f"{name} recall" for name in names)], rows


def what_folds_are(record: Mapping[str, Any]) -> str:
    """What stands above the table."""
    return (
        f"Each of {record['together']['images']:,} training and validation images was answered by one of "
        f"{record['folds']} models that neither learnt from it nor were chosen by it; the spread is the "
        "standard deviation of the folds. The final model learnt from more images than each of them. Its "
        "temperature, the probability from which it answers and the limit of its sets were fitted on these."
    )


def _values(figures: Mapping[str, Any]) -> list[float | None]:
    return [figures["accuracy"], figures["macro_f1"], *figures["recall"].values()]


def _with_spread(mean: float | None, spread: float | None) -> str:
    return percent(mean) if mean is None or spread is None else f"{100 * mean:.1f} ± {100 * spread:.1f} %"
