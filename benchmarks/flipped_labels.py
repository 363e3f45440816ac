"""Labels that are wrong on purpose: how many of them stand among the first of those that look wrong.

    python benchmarks/flipped_labels.py <pbc>/train --weights <file> --per-class 400

In each of `--draws` draws a share of the labels (`--flipped`) is changed: to any other class, or, with
`--near`, to the class that the cell is most often taken for, which is harder.  Out-of-fold probabilities come
from logistic regression on the frozen network's features, 5 folds, trained on the labels with the flips.
Orders that are compared:
  self-confidence      the probability of the label, the least first; what doubtful_labels.csv is sorted by
  normalised margin    that, less the greatest probability of another class
  confident learning   first those that the confident joint counts as another class, by self-confidence
Prints a Markdown table: the share of the flipped labels among the first 1, 3 and 5 % of the images, mean and
spread over draws.  Writes outputs/benchmarks/flipped_labels.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from wbc.answers.predictor import Predictor
from wbc.datasets.find_images import find_images
from wbc.labels import CLASSES, ClassNames
from wbc.network.backbone import Backbone
from wbc.network.network import Network
from wbc.network.pretrained import load_pretrained
from wbc.settings.run_folder import versions
from wbc.utils.files import replacing, write_json
from wbc.utils.machine import default_workers
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks/flipped_labels.json")
SIDE = 224
FOLDS = 5
FIRST = 0.01, 0.03, 0.05
BATCH_SIZE = 64


def features_of(paths: list[str], weights: str) -> np.ndarray:
    """(N, D) of the frozen network, kept beside the results so that they are computed once."""
    file = OUTPUT.with_name(f"flipped_labels_features_{len(paths)}.npy")
    if file.exists():
        return np.load(file)
    backbone = Backbone("tf_efficientnet_lite0", SIDE)
    load_pretrained(backbone, weights)
    predictor = Predictor(Network(backbone, list(CLASSES)).eval())
    outputs, _, _ = predictor.answer_files(paths, BATCH_SIZE, default_workers(), "features")
    features = outputs.features.numpy()
    with replacing(file) as beside:
        np.save(beside, features)
    return features


def out_of_fold(features: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """(N, C) probabilities, each by a regression without the image."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    return cross_val_predict(model, features, labels, cv=folds, method="predict_proba")


def flipped(
    labels: np.ndarray, share: float, rng: np.random.Generator, near: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Labels with `share` of them changed, and which (N,) bool.  near: (N,) the class each is taken for."""
    chosen = np.zeros(len(labels), bool)
    chosen[rng.choice(len(labels), round(share * len(labels)), replace=False)] = True
    count = labels.max() + 1
    other = (labels + rng.integers(1, count, len(labels))) % count if near is None else near
    return np.where(chosen, other, labels), chosen


def orders(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Name of the order -> rows, the most doubtful label first."""
    every = np.arange(len(labels))
    confidence = probabilities[every, labels]
    others = probabilities.copy()
    others[every, labels] = -1
    return {
        "self-confidence": np.argsort(confidence, kind="stable"),
        "normalised margin": np.argsort(confidence - others.max(axis=1), kind="stable"),
        "confident learning": np.lexsort((confidence, ~off_diagonal(probabilities, labels))),
    }


def off_diagonal(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N,) bool: counted by the confident joint as another class (Northcutt 2021, section 3.1)."""
    count = probabilities.shape[1]
    thresholds = np.array([probabilities[labels == one, one].mean() for one in range(count)])
    confident = np.where(probabilities >= thresholds, probabilities, -1)
    return (confident.max(axis=1) >= 0) & (confident.argmax(axis=1) != labels)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images")
    parser.add_argument("--weights", default="timm")
    parser.add_argument("--flipped", type=float, default=0.03)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--per-class", type=int, default=None)
    parser.add_argument("--near", action="store_true")
    arguments = parser.parse_args()
    names = ClassNames(list(CLASSES))
    table = find_images(arguments.images, names, Path(arguments.images))
    if arguments.per_class:
        table = table.groupby("label").sample(arguments.per_class, random_state=0)
    labels = np.array([CLASSES.index(label) for label in table["label"]])
    features = features_of(table["path"].tolist(), arguments.weights)
    near = None
    if arguments.near:
        probabilities = out_of_fold(features, labels, 0)
        probabilities[np.arange(len(labels)), labels] = -1
        near = probabilities.argmax(axis=1)
    found: dict[str, dict[float, list[float]]] = {}
    for draw in range(arguments.draws):
        changed, chosen = flipped(labels, arguments.flipped, np.random.default_rng(draw), near)
        for name, order in orders(out_of_fold(features, changed, draw), changed).items():
            for first in FIRST:
                share = float(chosen[order[: round(first * len(order))]].sum() / chosen.sum())
                found.setdefault(name, {}).setdefault(first, []).append(share)
    rows = [
        [
            name,
            *(f"{100 * np.mean(of[one]):.1f} ± {100 * np.std(of[one]):.1f} %" for one in FIRST),
        ]
        for name, of in found.items()
    ]
    print(f"{len(labels)} images, {round(arguments.flipped * len(labels))} labels flipped")
    print(markdown_table(["order", *(f"first {100 * first:g} %" for first in FIRST)], rows))
    write_json(OUTPUT, {"found": found, "arguments": vars(arguments), "versions": versions()})


if __name__ == "__main__":
    main()
