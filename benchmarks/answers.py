"""How far answers can be believed: calibration, abstention and outliers, in the model's lab and beyond it.

    python benchmarks/answers.py <run folder> --labs <jtsc>/images --others <pbc_other>

The run folder's model meets its own test set, cells of other labs (folders of class folders) and pictures of
something else (a folder).  Rules are fitted on the run's validation images, one for each outlier score; and
20 times on a random half of validation and test images together, to be tried on the other half.  Prints
Markdown tables, writes answers.json and answers.png to outputs/benchmarks.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc
from tqdm import tqdm

import wbc
from wbc.answers.outliers import METHODS
from wbc.answers.predictor import Predictor
from wbc.answers.rule import AnswerRule, fit_rule
from wbc.datasets.find_images import find_images
from wbc.labels import ClassNames
from wbc.metrics.calibration import expected_calibration_error
from wbc.metrics.classification import classification_metrics
from wbc.pages.figure_style import line_style, save_figure
from wbc.plain.answers import ANSWERED, UNKNOWN
from wbc.settings.abstain import AbstainConfig
from wbc.settings.layout import MODEL
from wbc.settings.run_folder import versions
from wbc.utils.files import write_json
from wbc.utils.text_tables import markdown_table

OUTPUT = Path("outputs/benchmarks")
SPLITS = 20
BATCH_SIZE = 32


class Outputs(NamedTuple):
    """Features (N, D), logits (N, C) and labels (N,); -1 where the picture is of no class."""

    features: Tensor
    logits: Tensor
    labels: Tensor

    def rows(self, index: Tensor) -> Outputs:
        return Outputs(*(values[index] for values in self))


def outputs(predictor: Predictor, run: Path, images: str) -> Outputs:
    """What the network makes of `images`, given as to explain.py."""
    rows = find_images(images, ClassNames(predictor.classes), run / MODEL)
    found, _ = predictor.answer_files(rows["path"].tolist(), BATCH_SIZE, None, images)
    labels = [predictor.classes.index(label) if label else -1 for label in rows["label"]]
    return Outputs(found.features, found.logits, torch.tensor(labels))


def measured(rule: AnswerRule, cells: Outputs, classes: list[str]) -> dict[str, Any]:
    """Figures of one set; those that need labels are None where there are none."""
    answers = rule.answer(cells.features, cells.logits, classes)
    status = np.array(answers.status)
    answered = status == ANSWERED
    found: dict[str, Any] = {
        "images": len(status),
        "answered": float(answered.mean()),
        "not_a_known_cell": float((status == UNKNOWN).mean()),
    }
    if bool((cells.labels < 0).any()):
        return found
    true = [classes[label] for label in cells.labels.tolist()]
    right = np.array([label == name for label, name in zip(answers.labels, true, strict=True)])
    inside = [name in names for name, names in zip(true, answers.sets, strict=True)]
    return found | {
        "accuracy": float(right.mean()),
        "macro_f1": classification_metrics(torch.from_numpy(answers.probabilities), cells.labels, classes)[
            "macro_f1"
        ],
        "accuracy_of_answered": float(right[answered].mean()) if answered.any() else None,
        "ece_before": expected_calibration_error(cells.logits.softmax(dim=1), cells.labels),
        "ece_after": expected_calibration_error(torch.from_numpy(answers.probabilities), cells.labels),
        "set_coverage": float(np.mean(inside)),
        "set_size": float(np.mean([len(names) for names in answers.sets])),
    }


def tried(pool: Outputs, settings: AbstainConfig, classes: list[str]) -> list[dict[str, Any]]:
    """A rule fitted on one random half, measured on the other, SPLITS times."""
    found = []
    for seed in tqdm(range(SPLITS), "splits"):
        order = torch.randperm(len(pool.labels), generator=torch.Generator().manual_seed(seed))
        fitted, held_out = (pool.rows(half) for half in order.chunk(2))
        found.append(measured(fit_rule(*fitted, settings), held_out, classes))
    return found


def figure(splits: list[dict[str, Any]], settings: AbstainConfig) -> Any:
    """Error among the answered and coverage of the sets, split by split, beside what was promised."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    drawn = Figure(figsize=(8.0, 3.6), dpi=180, layout="constrained")
    panels = drawn.subplots(1, 2)
    answering = [one for one in splits if one["accuracy_of_answered"] is not None]
    errors = [100 * (1 - one["accuracy_of_answered"]) for one in answering]
    covered = [100 * one["set_coverage"] for one in splits]
    for axes, values, limit, name, promise in (
        (panels[0], errors, 100 * settings.max_error, "wrong among answered, %", "at most"),
        (panels[1], covered, 100 * settings.set_coverage, "sets that hold the true class, %", "on average"),
    ):
        axes.plot(range(1, len(values) + 1), values, marker="o", **line_style(0) | {"linestyle": "none"})
        axes.axhline(limit, label=f"promised: {promise} {limit:g} %", **line_style(1))
        axes.axhline(np.mean(values), label=f"mean {np.mean(values):.2f} %", **line_style(2))
        axes.set(xlabel="random split", ylabel=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--labs", nargs="*", default=[])
    parser.add_argument("--others", nargs="*", default=[])
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    predictor = wbc.load(options.run / MODEL)
    if predictor.rule is None:
        parser.error(f"{options.run / MODEL} has no rule of answers: train it again")
    rule, classes = predictor.rule, predictor.classes
    settings = AbstainConfig(rule.max_error, rule.set_coverage, "", rule.acceptance)
    val, test = (outputs(predictor, options.run, split) for split in ("val", "test"))
    labs = {name: outputs(predictor, options.run, name) for name in options.labs}
    others = {name: outputs(predictor, options.run, name) for name in options.others}

    sets: dict[str, Any] = {
        _title(name): measured(rule, cells, classes)
        for name, cells in {"test": test, **labs, **others}.items()
    }
    scores: dict[str, dict[str, float]] = {}
    for method in METHODS:
        settings.outlier_score = method
        score = fit_rule(*val, settings).outlier_score
        inside = score.score(test.features, test.logits)
        for name, cells in {**labs, **others}.items():
            both = torch.cat([inside, score.score(cells.features, cells.logits)]).double()
            outside = torch.cat([torch.zeros(len(inside)), torch.ones(len(cells.labels))]).long()
            ranks = both.argsort().argsort() / len(both)  # binary_auroc would squash what is not in [0, 1]
            scores.setdefault(method, {})[_title(name)] = float(binary_auroc(ranks, outside))
    settings.outlier_score = rule.outlier_score.method
    pool = Outputs(*(torch.cat(parts) for parts in zip(val, test, strict=True)))
    splits = tried(pool, settings, classes)

    keys = ["images", "accuracy", "ece_before", "ece_after", "answered", "accuracy_of_answered"]
    keys += ["not_a_known_cell", "set_coverage", "set_size"]
    rows = [[name, *(_written(key, one.get(key)) for key in keys)] for name, one in sets.items()]
    print("\n" + markdown_table(["set", *(key.replace("_", " ") for key in keys)], rows) + "\n")
    names = [_title(name) for name in (*labs, *others)]
    rows = [[method, *(f"{found[name]:.3f}" for name in names)] for method, found in scores.items()]
    print(markdown_table(["AUROC against the test set", *names], rows) + "\n")
    save_figure(figure(splits, settings), OUTPUT / "answers.png")
    answering = [one for one in splits if one["accuracy_of_answered"] is not None]
    kept = 1 - np.array([one["accuracy_of_answered"] for one in answering]) <= settings.max_error
    covered = np.mean([one["set_coverage"] for one in splits])
    print(
        f"{SPLITS} splits, {SPLITS - len(answering)} could promise nothing and answered nothing: error "
        f"bound of {settings.max_error:g} kept in {kept.sum()} of the others; "
        f"sets hold the true class in {covered:.4f} on average, promised {settings.set_coverage:g}; answered "
        f"{np.mean([one['answered'] for one in splits]):.3f} on average"
    )
    write_json(
        OUTPUT / "answers.json", {"versions": versions(), "sets": sets, "auroc": scores, "splits": splits}
    )


def _title(images: str) -> str:
    path = Path(images)
    return path.parent.name if path.name == "images" else path.name


def _written(key: str, value: float | None) -> str:
    if value is None:
        return "–"
    if key == "images":
        return f"{value:,}"
    return f"{value:.2f}" if key == "set_size" else f"{100 * value:.1f} %"


if __name__ == "__main__":
    main()
