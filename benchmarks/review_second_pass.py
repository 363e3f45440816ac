"""Whether a model settled into the lab by what was reviewed on one slide names the next one better.

    python benchmarks/review_second_pass.py <run>/model.ckpt <pbc>/val

`benchmarks/review_session.py` many times over, without photographs and browser.  The crops, whose folders
spell their true classes, are in the colours of another stain (STAIN).  Of each session two slides of --cells
crops are sampled, in shares even or of a healthy adult; the first so many cells of the first slide, in the
order of the page or as sampled, get their true class, and the head is refitted to them as by `wbc adapt`, by
each of three ways of telling it the lab's mix.  Then the other slide is named by both heads.

Prints a Markdown table and writes outputs/benchmarks/review_second_pass.json.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from collections import defaultdict
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image
from review_session import ALONE, REVIEWED, SHARES, STAIN, UNLABELLED
from sklearn.metrics import f1_score
from torch import Tensor

from wbc.adapting.cross_validation import LabCells, out_of_fold, refitted
from wbc.adapting.lab_cells import lab_cells
from wbc.adapting.lab_mix import estimated_mix, mix_shift
from wbc.adapting.report import Comparison
from wbc.answers.checkpoint import load_model
from wbc.answers.temperature import fit_temperature
from wbc.datasets.class_folders import image_files
from wbc.images.decode import decode
from wbc.labels import CLASSES
from wbc.network.device import one_thread
from wbc.network.network import Head
from wbc.plain.answers import ANSWERED
from wbc.reviewing.order import DOUBT, FILE, review_order
from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.progress import progress
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks/review_second_pass.json")
STRENGTH, FOLDS = 0.01, 5  # of conf/adapt/config.yaml
COPIES = 2


def stained(crops: Path, folder: Path) -> tuple[list[str], Tensor]:
    """The crops in the other colours, as files in `folder`; and their classes (N,)."""
    paths, labels = [], []
    for label, name in enumerate(CLASSES):
        for number, file in enumerate(image_files(crops / name)):
            rgb = 255 * (decode(file) / 255.0) ** np.array(STAIN)
            path = folder / f"{name}_{number}.png"
            Image.fromarray(rgb.round().astype(np.uint8)).save(path, compress_level=1)
            paths.append(str(path))
            labels.append(label)
    return paths, torch.tensor(labels)


def two_slides(
    labels: np.ndarray, shares: tuple[float, ...], cells: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Places of the cells of both; none is in both."""
    slides: tuple[list[int], list[int]] = ([], [])
    for label, share in enumerate(shares):
        count = round(share * cells)
        of_class = rng.permutation(np.flatnonzero(labels == label))[: 2 * count]
        slides[0].extend(of_class[: len(of_class) // 2])
        slides[1].extend(of_class[len(of_class) // 2 :])
    return rng.permutation(slides[0]), rng.permutation(slides[1])


def ordered(order: str, slide: np.ndarray, answers: Any) -> np.ndarray:
    """The cells of a slide as a reviewer meets them."""
    if order == FILE:
        return slide
    probabilities = answers.probabilities[slide]
    prediction = probabilities.argmax(axis=1)
    page = SimpleNamespace(
        probabilities=probabilities,
        prediction=prediction,
        confidence=probabilities.max(axis=1),
        answered=np.array([answers.status[place] == ANSWERED for place in slide]),
    )
    return slide[review_order(page, order)]  # type: ignore[arg-type]


def second_pass(
    old: Head, lab: LabCells, slide: np.ndarray, decided: np.ndarray, prediction: np.ndarray
) -> dict[str, tuple[Head, Comparison]]:
    """By each way the head that was tried, and what cross-validation says of it."""
    cells = lab.part(torch.from_numpy(decided))
    honest = out_of_fold(old, cells, STRENGTH, FOLDS, 0)
    new = refitted(old, cells, STRENGTH)
    temperature = fit_temperature(honest.double(), cells.labels)
    reviewed = prediction.copy()
    reviewed[decided] = cells.labels.numpy()
    counts = np.bincount(reviewed[slide], minlength=len(CLASSES))
    mixes = {
        ALONE: None,
        UNLABELLED: estimated_mix(lab.part(torch.from_numpy(slide)).logits(new), cells.labels, temperature),
        REVIEWED: torch.from_numpy(counts / counts.sum()),
    }
    found = {}
    for way, mix in mixes.items():
        head, logits = copy.deepcopy(new).requires_grad_(False), honest
        if mix is not None:
            shift = mix_shift(mix, cells.labels, temperature).float()
            head.kernels[-1].bias.data.add_(shift)
            logits = honest + shift
        found[way] = (head, Comparison(cells.logits(old), logits, cells.labels, list(CLASSES), mix))
    return found


def figures(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """Accuracy and macro F1."""
    predicted = logits.argmax(dim=1)
    present = labels.unique().tolist()
    macro = f1_score(labels, predicted, labels=present, average="macro", zero_division=0)
    return float((predicted == labels).double().mean()), float(macro)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("crops", type=Path)
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--cells", type=int, default=120, help="of each slide")
    parser.add_argument("--decisions", type=int, nargs="+", default=[30, 60])
    parser.add_argument("--shares", nargs="+", default=list(SHARES), choices=SHARES)
    given = parser.parse_args()
    predictor = load_model(given.checkpoint)
    old = copy.deepcopy(predictor.network.head).requires_grad_(False)
    with tempfile.TemporaryDirectory() as folder:
        paths, labels = stained(given.crops, Path(folder))
        lab, _ = lab_cells(predictor, paths, labels, COPIES, 32)
    assert predictor.rule is not None
    answers = predictor.rule.answer(lab.features[:, 0], lab.logits(old), predictor.classes)
    prediction = answers.probabilities.argmax(axis=1)
    results: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for seed in progress(range(given.sessions), "sessions", "session"):
        for shares, order in product(given.shares, (DOUBT, FILE)):
            rng = np.random.default_rng(seed)
            first, second = two_slides(labels.numpy(), SHARES[shares], given.cells, rng)
            queue = ordered(order, first, answers)
            other = lab.part(torch.from_numpy(second))
            before = figures(other.logits(old), other.labels)
            for decisions in given.decisions:
                with one_thread():
                    tried = second_pass(old, lab, first, queue[:decisions], prediction)
                    for way, (head, comparison) in tried.items():
                        after = figures(other.logits(head), other.labels)
                        told = {"before": before, "after": after, "helps": comparison.helps()}
                        told["gains"] = comparison.gains()
                        results[shares, order, decisions, way].append(told)
    report(results, given.sessions)


def report(results: dict[tuple[Any, ...], list[dict[str, Any]]], sessions: int) -> None:
    """The table, and all of it as JSON."""
    rows = []
    for (shares, order, decisions, way), told in results.items():
        before, after = (np.array([one[when] for one in told]) for when in ("before", "after"))
        gain = 100 * (after - before)
        taken = np.array([one["helps"] for one in told])
        kept = np.where(taken[:, None], gain, 0)
        rows.append(
            [
                shares,
                order,
                decisions,
                way,
                f"{100 * before[:, 0].mean():.1f}",
                f"{gain[:, 0].mean():+.1f}",
                f"{gain[:, 1].mean():+.1f}",
                f"{100 * (gain[:, 0] > 0).mean():.0f} / {100 * (gain[:, 0] < 0).mean():.0f}",
                f"{100 * taken.mean():.0f}",
                f"{kept[:, 0].mean():+.1f}",
            ]
        )
    header = ["slides", "order", "decisions", "mix", "% right", "gain", "gain in macro F1"]
    header += ["% better / worse", "% taken", "gain if taken so"]
    print(markdown_table(header, rows))
    record = {" ".join(map(str, key)): told for key, told in results.items()}
    write_json(OUTPUT, {"sessions": sessions, "results": record, "versions": versions()})


if __name__ == "__main__":
    main()
