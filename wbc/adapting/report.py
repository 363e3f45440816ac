"""What `adapt.py` says: how the old and the new head did on cells that neither had learnt from."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from wbc.adapting.cross_validation import cell_losses
from wbc.answers.abstention import fewest_images
from wbc.answers.rule import AnswerRule
from wbc.metrics.classification import classification_metrics
from wbc.metrics.intervals import Interval, bootstrap_interval
from wbc.plain.answers import UNCERTAIN
from wbc.settings import layout
from wbc.settings.adapt import AdaptConfig
from wbc.utils.files import write_json, write_text
from wbc.utils.text_tables import markdown_table, percent

log = logging.getLogger(__name__)

HELPED, DID_NOT_HELP = "helped", "did not help: the old head is kept"
NO_WORSE = "did no harm that so few cells could show: the new head is taken"


class Comparison(NamedTuple):
    """The same N cells by the old head and by a new one: logits (N, C) before and after, labels (N,).

    mix (C,): shares of the classes in the lab, at which accuracy and macro F1 are told; None: those of the
    cells.
    """

    before: Tensor
    after: Tensor
    labels: Tensor
    classes: list[str]
    mix: Tensor | None = None

    def helps(self) -> bool:
        """Whether accuracy rises, or stays below 1 and the loss, each at its own temperature, falls.

        The better head is taken, however slightly; how sure that is, the intervals tell.  To ask for more
        than the standard error of forty cells refused a head that had a fifth more of the lab's other cells
        right.  Macro F1 is not asked: a class of one cell, judged by a head that saw none, would decide.

        A head that knows the lab's mix is taken unless accuracy falls by more than the standard error: it is
        better in nearly all samples of cells, of which as few can seldom tell (docs/results/adapting.md).
        """
        before, after = (self._accuracy(logits) for logits in (self.before, self.after))
        if self.mix is not None and before < 1 and after - before >= -self._error_of_gain():
            return True
        if before != after:
            return bool(after > before)
        if before == 1:  # nothing to gain; each is the better calibrated the surer it is
            return False
        loss_before, loss_after = (cell_losses(one, self.labels).mean() for one in (self.before, self.after))
        return bool(loss_after < loss_before)

    def record(self) -> dict[str, Any]:
        """As metrics.json holds it: every metric before and after; accuracy and macro F1 with intervals."""
        return {
            "intervals": {
                name: {key: _plain(one) for key, one in row.items()} for name, row in self.intervals().items()
            },
            "before": classification_metrics(self.before.softmax(dim=1), self.labels, self.classes),
            "after": classification_metrics(self.after.softmax(dim=1), self.labels, self.classes),
        }

    def intervals(self) -> dict[str, dict[str, Interval]]:
        """Accuracy and macro F1 before, after, and their gain, by a bootstrap over cells."""
        cells = len(self.labels)
        found: dict[str, dict[str, Interval]] = {"before": {}, "after": {}, "gain": {}}
        for name, measure in (("accuracy", self._accuracy), ("macro_f1", self._macro_f1)):
            for when, logits in (("before", self.before), ("after", self.after)):
                found[when][name] = bootstrap_interval(cells, partial(measure, logits))
            found["gain"][name] = bootstrap_interval(cells, partial(self._gain, measure))
        return found

    def _gain(self, measure: Callable[[Tensor, np.ndarray], float], rows: np.ndarray) -> float:
        return measure(self.after, rows) - measure(self.before, rows)

    def _right(self, logits: Tensor) -> np.ndarray:
        return (logits.argmax(dim=1) == self.labels).double().numpy()

    def _weights(self, labels: np.ndarray) -> np.ndarray:
        """(N,) how often the lab has each of these cells' classes, a cell."""
        if self.mix is None:
            return np.ones(len(labels))
        counts = np.bincount(labels, minlength=len(self.classes))
        return self.mix.numpy()[labels] / counts[labels]

    def _error_of_gain(self) -> float:
        """The standard error of the gain in accuracy."""
        weights = self._weights(self.labels.numpy())
        gains = self._right(self.after) - self._right(self.before)
        away = weights / weights.sum() * (gains - np.average(gains, weights=weights))
        return float(np.sqrt((away**2).sum()))

    def gains(self) -> bool:
        """Whether accuracy rises."""
        return self._accuracy(self.after) > self._accuracy(self.before)

    def _accuracy(self, logits: Tensor, rows: np.ndarray | None = None) -> float:
        if rows is None:
            rows = np.arange(len(self.labels))
        return float(np.average(self._right(logits)[rows], weights=self._weights(self.labels.numpy()[rows])))

    def _macro_f1(self, logits: Tensor, rows: np.ndarray) -> float:
        """Over the classes among `rows`, as `classification_metrics`, but fast enough to bootstrap."""
        labels, predicted = self.labels.numpy()[rows], logits.argmax(dim=1).numpy()[rows]
        count = len(self.classes)
        confusion = np.bincount(
            count * labels + predicted, self._weights(labels), minlength=count * count
        ).reshape(count, count)
        support = confusion.sum(axis=1)
        present = support > 0
        f1 = 2 * confusion.diagonal()[present] / (support + confusion.sum(axis=0))[present]
        return float(f1.mean())


def write_comparison(
    config: AdaptConfig,
    folder: Path,
    comparison: Comparison,
    rule: AnswerRule,
    helps: bool,
    on_rest: Comparison | None,
) -> None:
    """metrics.json and report.md.  on_rest: the same for the cells that were not drawn, if measured."""
    verdict = HELPED if helps else DID_NOT_HELP
    if helps and comparison.mix is not None and not comparison.gains():
        verdict = NO_WORSE
    counts = np.bincount(comparison.labels.numpy(), minlength=len(comparison.classes)).tolist()
    cells = dict(zip(comparison.classes, counts, strict=True))
    mix = comparison.mix
    metrics = {
        "model": config.checkpoint,
        "data": config.data,
        "verdict": verdict,
        "strength": config.strength if helps else None,
        "promise": rule.promise(),
        "cells": cells,
        "mix": None if mix is None else dict(zip(comparison.classes, mix.tolist(), strict=True)),
        "cross_validation": comparison.record(),
        "rest": None if on_rest is None else on_rest.record(),
    }
    write_json(folder / layout.METRICS, metrics)
    tables = [_table("By cross-validation", comparison)]
    if on_rest is not None:
        tables.append(_table("The cells that were not drawn (rest.csv), by the model written", on_rest))
    for table in tables:
        log.info("%s\n", table)
    log.info("refitting the head %s", verdict)
    unkept = list(_not_promised(rule))
    if full := rule.full_sets(f"{rule.images} cells"):  # of the threshold, fitting the rule has warned
        log.warning("%s", full)
    page = _page(config, verdict, helps, cells, mix, tables, unkept)
    write_text(folder / "report.md", "\n\n".join(page) + "\n")


def _not_promised(rule: AnswerRule) -> Iterator[str]:
    """What the cells were too few for, a sentence each."""
    if math.isinf(rule.threshold):
        fewest = fewest_images(rule.max_error)
        why = (
            f"it takes {fewest}, all of them right"
            if rule.images < fewest
            else "too many of them are wrong for any confidence to keep errors so low"
        )
        yield (
            f"{rule.images} cells cannot promise that at most {100 * rule.max_error:g} % of answers are "
            f"wrong, for {why}: every answer will be {UNCERTAIN!r}. Add cells, or give a larger "
            "abstain.max_error."
        )
    elif said := rule.shortfall(f"{rule.images} cells"):
        yield said
    if full := rule.full_sets(f"{rule.images} cells"):
        yield full


def _page(
    config: AdaptConfig,
    verdict: str,
    helps: bool,
    cells: dict[str, int],
    mix: Tensor | None,
    tables: list[str],
    unkept: list[str],
) -> list[str]:
    rows: list[list[str | int]] = [[name, count] for name, count in cells.items()]
    if mix is not None:
        for row, share in zip(rows, mix.tolist(), strict=True):
            row.append(percent(share))
    return [
        "# Settling into a new lab",
        f"Model: `{config.checkpoint}`  \nCells: `{config.data}`",
        f"**Refitting the head {verdict}.**",
        markdown_table(["class", "cells", *([] if mix is None else ["of the lab's cells"])], rows),
        *tables,
        "Before: the model as it was. After: each cell by a head that was refitted without its fold. "
        "Intervals: 95 %, bootstrap over cells; a gain whose interval holds 0 may be chance. Refitting helps "
        "where accuracy rises, or where some cells are wrong, stays and the loss falls."
        + (
            ""
            if mix is None
            else " Accuracy and macro F1 are those expected at the lab's mix of classes, and a head that "
            "knows the mix is taken unless accuracy falls by more than its standard error."
        ),
        f"The head tried was held to the old one with a strength of {config.strength:g}. The network's "
        "features are as they were. What an answer promises was fitted on these cells, each by a head that "
        "had not learnt from it."
        + (" The model is made for this lab: in its own it may do worse." if helps else ""),
        *unkept,
    ]


def _table(title: str, comparison: Comparison) -> str:
    rows = [
        [name, *(_percent(row[key]) for key in ("accuracy", "macro_f1"))]
        for name, row in comparison.intervals().items()
    ]
    caption = f"**{title}**: {len(comparison.labels):,} cells"
    return f"{caption}\n\n{markdown_table(['', 'accuracy', 'macro F1'], rows)}"


def _percent(one: Interval) -> str:
    return f"{100 * one.estimate:.1f} % ({100 * one.low:.1f} to {100 * one.high:.1f})"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _plain(interval: Interval) -> dict[str, float | None]:
    return {key: _finite(value) for key, value in interval._asdict().items()}
