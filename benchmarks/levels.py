"""What superclasses gain at each promised error, by the predictions that a run left.

    python benchmarks/levels.py <run> --errors 0.01 0.02 0.05 0.1

run: of a model with superclasses (data.hierarchy).  The threshold is fitted anew on its validation images,
with the superclasses and without, and measured on its test images.  Prints a Markdown table, and writes
levels.json to outputs/benchmarks.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wbc.answers.abstention import best_promise
from wbc.answers.checkpoint import load_model
from wbc.hierarchy import Hierarchy
from wbc.plain.answers import ANSWERED, UNCERTAIN, superclass_of
from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.text_tables import markdown_table, percent

OUTPUT = Path("outputs/benchmarks/levels.json")


def held_back(status: str) -> bool:
    """Whether an image is not answered for another reason than its probability."""
    return status not in (ANSWERED, UNCERTAIN) and not superclass_of(status)


def measured(rows: pd.DataFrame, hierarchy: Hierarchy, max_error: float) -> dict[str, Any]:
    """Shares of the test images that are answered, by class and by superclass, and how many wrongly."""

    def levels(split: str) -> tuple[np.ndarray, np.ndarray]:
        of_split = rows[rows["data"] == split]
        nodes, confidences = hierarchy.ladder(of_split[hierarchy.classes].to_numpy())
        labels = np.array([hierarchy.classes.index(label) for label in of_split["label"]])
        return confidences, hierarchy.right(nodes, labels)

    promise = best_promise(*levels("val"), max_error)
    confidences, right = levels("test")
    known = np.array([not held_back(status) for status in rows.loc[rows["data"] == "test", "status"]])
    sure = (confidences >= promise.threshold) & known[:, None]
    smallest = sure & (np.cumsum(sure, axis=1) == 1)
    by_class, above = smallest[:, 0], smallest[:, 1:]
    return {
        "promised": promise.max_error,
        "threshold": promise.threshold,
        "images": len(known),
        "by_class": int(by_class.sum()),
        "by_class_wrong": int((by_class & ~right[:, 0]).sum()),
        "by_superclass": int(above.sum()),
        "by_superclass_wrong": int((above & ~right[:, 1:]).sum()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--errors", type=float, nargs="+", default=[0.01, 0.02, 0.05, 0.1])
    asked = parser.parse_args()
    predictor = load_model(asked.run / "model.ckpt")
    assert predictor.hierarchy is not None
    rows = pd.read_csv(asked.run / "predictions.csv")
    kinds = {"no": Hierarchy({}, predictor.classes), "yes": predictor.hierarchy}
    found = [
        {"asked": error, "superclasses": kind} | measured(rows, hierarchy, error)
        for error in asked.errors
        for kind, hierarchy in kinds.items()
    ]
    write_json(OUTPUT, {"run": str(asked.run), "rows": found, "versions": versions()})
    print(
        markdown_table(
            [
                *("asked", "promised", "superclasses", "threshold"),
                *("the class", "wrong", "a superclass", "wrong", "answered", "wrong of all answers"),
            ],
            [
                [
                    percent(one["asked"]),
                    percent(one["promised"]),
                    one["superclasses"],
                    f"{one['threshold']:.3f}",
                    percent(one["by_class"] / one["images"]),
                    one["by_class_wrong"],
                    percent(one["by_superclass"] / one["images"]),
                    one["by_superclass_wrong"],
                    percent((one["by_class"] + one["by_superclass"]) / one["images"]),
                    percent(_share(one)),
                ]
                for one in found
            ],
        )
    )


def _share(one: dict[str, Any]) -> float | None:
    answered = one["by_class"] + one["by_superclass"]
    return (one["by_class_wrong"] + one["by_superclass_wrong"]) / answered if answered else None


if __name__ == "__main__":
    main()
