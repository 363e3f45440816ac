"""How fast synthetic cells are drawn, and how far colour alone tells their classes apart.

    python benchmarks/synthetic.py

A data set that colour histograms solve teaches nothing about networks.  Takes the set that `make demo` trains
on, prints a Markdown table, writes outputs/benchmarks/synthetic.json.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from omegaconf import OmegaConf
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from wbc.datasets.manifest import read_csv
from wbc.images.decode import decode
from wbc.labels import CLASSES, ClassNames
from wbc.settings.run_folder import versions
from wbc.synthetic.dataset import write_dataset
from wbc.synthetic.draw import LABS, draw_cell
from wbc.utils.files import write_json
from wbc.utils.text_tables import markdown_table

CONF = Path(__file__).resolve().parents[1] / "conf"
OUTPUT = Path("outputs/benchmarks/synthetic.json")


def images_per_second(labs: Sequence[str], images: int = 300) -> float:
    rng = np.random.default_rng(0)
    labels = [CLASSES[i % len(CLASSES)] for i in range(images)]
    drawn = [LABS[labs[i % len(labs)]] for i in range(images)]
    draw_cell(labels[0], drawn[0], rng)  # the first call loads libraries
    start = time.process_time()  # of the processor, so that other programs do not count
    for label, lab in zip(labels, drawn, strict=True):
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


def read_split(manifest: pd.DataFrame, split: str) -> tuple[dict[str, NDArray], NDArray]:
    """Features and labels of one split of the drawn set."""
    chosen = manifest[manifest["split"] == split]
    rows = [features(decode(path)) for path in tqdm(chosen["path"], split)]
    labels = np.array([CLASSES.index(label) for label in chosen["label"]])
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}, labels


def main() -> None:
    cv2.setNumThreads(1)
    settings = OmegaConf.load(CONF / "train" / "data" / "synthetic.yaml")
    speed = images_per_second(settings.train_labs)
    table = write_dataset(
        Path(settings.root),
        settings.images_per_class,
        settings.train_labs,
        settings.unseen_labs,
        settings.synthetic_seed,
    )
    manifest = read_csv(table, ClassNames(CLASSES), "synthetic")
    train, train_labels = read_split(manifest, "train")
    test, test_labels = read_split(manifest, "test")
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
    for feature_name in train:
        for model_name, model in models.items():
            predicted = model.fit(train[feature_name], train_labels).predict(test[feature_name])
            score = float(f1_score(test_labels, predicted, average="macro"))
            rows.append([feature_name, model_name, f"{100 * score:.1f} %"])
    print(markdown_table(["colour features", "classifier", "macro F1 on test"], rows))
    print(f"\ndrawn on one core: {speed:.0f} images/s at 224 px")
    write_json(OUTPUT, {"versions": versions(), "images_per_second": round(speed), "colour_alone": rows})


if __name__ == "__main__":
    main()
