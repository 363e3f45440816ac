"""How fast synthetic cells are drawn, and how far colour alone tells their classes apart.

    python benchmarks/synthetic.py

A data set that colour histograms solve teaches nothing about networks: their macro-F1 should stay below
0.75. Draws the default laboratories' cells in memory, prints a table, writes
outputs/benchmarks/synthetic.json.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from wbc.labels import CLASSES
from wbc.synthetic import LABS, draw_cell
from wbc.synthetic_labs import smear_of
from wbc.synthetic_plan import class_counts

TRAIN_LABS = ("lab_a", "lab_b", "lab_c", "lab_d")
SMEARS_PER_LAB = {"train": 6, "test": 2}
OUTPUT = Path("outputs/benchmarks/synthetic.json")


def images_per_second(images: int = 300) -> float:
    rng = np.random.default_rng(0)
    labels = [CLASSES[i % len(CLASSES)] for i in range(images)]
    labs = [LABS[TRAIN_LABS[i % len(TRAIN_LABS)]] for i in range(images)]
    draw_cell(labels[0], labs[0], rng)  # the first call loads libraries
    start = time.process_time()  # of the processor, so that other programs do not count
    for label, lab in zip(labels, labs, strict=True):
        draw_cell(label, lab, rng)
    return images / (time.process_time() - start)


def features(image: NDArray[np.uint8]) -> dict[str, NDArray]:
    """What colour says without any shape: of the whole image, and of the middle where the cell lies."""
    small = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    quarter = len(small) // 4
    middle = small[quarter:-quarter, quarter:-quarter]
    return {
        "mean colour": image.reshape(-1, 3).mean(axis=0),
        "histograms": np.concatenate([_histograms(small), _histograms(middle)]),
        "joint histogram, middle": _joint_histogram(middle),
    }


def _histograms(image: NDArray[np.uint8]) -> NDArray:
    """32 bins of each of R, G, B, hue, saturation and value, square-rooted so that small areas count."""
    both = np.dstack([image, cv2.cvtColor(image, cv2.COLOR_RGB2HSV)])
    channels = cv2.split(both)
    return np.sqrt(np.concatenate([cv2.calcHist([c], [0], None, [32], [0, 256]).ravel() for c in channels]))


def _joint_histogram(image: NDArray[np.uint8]) -> NDArray:
    return np.sqrt(cv2.calcHist([image], [0, 1, 2], None, [8] * 3, [0, 256] * 3).ravel())


def draw(split: str, counts: dict[str, int], seed: int) -> tuple[dict[str, NDArray], NDArray]:
    """Features and labels of cells from smears that only this split has."""
    rng = np.random.default_rng([seed, len(split)])
    smears = [smear_of(LABS[name], rng) for name in TRAIN_LABS for _ in range(SMEARS_PER_LAB[split])]
    labels = np.repeat(np.arange(len(CLASSES)), [counts[name] for name in CLASSES])
    rows = [
        features(draw_cell(CLASSES[label], smears[i % len(smears)], rng)[0]) for i, label in enumerate(labels)
    ]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}, labels


def main() -> None:
    cv2.setNumThreads(1)
    speed = images_per_second()
    train, train_labels = draw("train", class_counts(150, 37), seed=0)
    test, test_labels = draw("test", class_counts(50, 25), seed=0)
    models = {
        "logistic regression": make_pipeline(
            StandardScaler(), LogisticRegression(C=0.1, max_iter=500, class_weight="balanced")
        ),
        "random forest": RandomForestClassifier(300, class_weight="balanced", random_state=0),
        "gradient boosting": HistGradientBoostingClassifier(
            max_iter=100, class_weight="balanced", random_state=0
        ),
    }
    rows = []
    for model_name, model in models.items():
        for feature_name in train:
            predicted = model.fit(train[feature_name], train_labels).predict(test[feature_name])
            score = float(f1_score(test_labels, predicted, average="macro"))
            rows.append({"features": feature_name, "model": model_name, "macro_f1": round(score, 3)})
    print(f"{'features':26}{'model':22}macro-F1")
    for row in rows:
        print(f"{row['features']:26}{row['model']:22}{row['macro_f1']:.3f}")
    print(f"drawn on one core: {speed:.0f} images/s at 224 px")
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps({"images_per_second": round(speed), "colour_alone": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
