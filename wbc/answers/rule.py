"""The rule behind the answers: fitted on validation images when training ends, it travels in model.ckpt."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from wbc.answers import outliers
from wbc.answers.abstention import ERRORS, best_promise, fewest_images, why_nothing_is_answered
from wbc.answers.conformal import conformal_limit
from wbc.answers.outliers import OutlierScore, Unknown, outlier_score_from_state
from wbc.answers.temperature import fit_temperature
from wbc.hierarchy import Hierarchy
from wbc.plain.answers import UNCERTAIN, Answers, FittedRule
from wbc.settings.abstain import AbstainConfig

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AnswerRule:
    """Turns features and logits into answers.

    temperature: what logits are divided by (Guo 2017).  threshold: the probability from which an image is
    answered, infinite where the validation images promise no such error.  set_limit: of conformal sets.
    outlier_score above outlier_threshold: not a known cell.  superclasses: name -> members, as `Hierarchy`
    takes them; where the class is below the threshold, the smallest that reaches it is answered.
    """

    temperature: float
    threshold: float
    set_limit: float
    outlier_score: OutlierScore
    outlier_threshold: float
    max_error: float  # what `threshold` promises
    asked_error: float  # what was asked for; `max_error` is larger where the images cannot promise that
    set_coverage: float  # what `set_limit` promises
    acceptance: float  # share of known cells that `outlier_threshold` lets pass
    images: int  # it was fitted on
    folds: int = 0  # of the models that had not seen these images; 0: they are validation images
    superclasses: dict[str, list[str]] = field(default_factory=dict)  # {}: of models from before, too

    def promise(self) -> dict[str, float | None]:
        """What is promised of errors, for records; max_error None where nothing is answered."""
        kept = None if math.isinf(self.threshold) else self.max_error
        return {"max_error": kept, "asked_error": self.asked_error, "images": self.images}

    def promises_nothing(self, images: str) -> str:
        """What is said where the threshold is infinite.  images: what the rule was fitted on, in words."""
        least = max(self.max_error, ERRORS[-1])
        return (
            f"It answers nothing: the {images} were too few, or too often wrong, to promise even that at "
            f"most {100 * least:g} % of its answers are wrong."
        )

    def shortfall(self, images: str) -> str:
        """That the error that was asked for cannot be promised, and what is instead; "" where it is.

        images: what the rule was fitted on, in words.
        """
        if self.max_error <= self.asked_error:
            return ""
        fewest = fewest_images(self.asked_error)
        why = (
            f"it takes {fewest}, all of them right" if self.images < fewest else "too many of them are wrong"
        )
        return (
            f"It promises that at most {100 * self.max_error:g} % of its answers are wrong, not the "
            f"{100 * self.asked_error:g} % that was asked for (abstain.max_error): the {images} cannot "
            f"promise that, for {why}."
        )

    def full_sets(self, images: str) -> str:
        """That every set holds every class, and why; "" where sets tell something.

        images: what the rule was fitted on, in words.
        """
        if self.set_limit < 1:
            return ""
        return (
            f"The {images} are too few for sets that hold the true class in {100 * self.set_coverage:g} % of "
            "cases: every set holds every class. A smaller abstain.set_coverage takes fewer."
        )

    def state(self) -> dict[str, Any]:
        """Plain numbers, strings and tensors, as a checkpoint may hold them."""
        return vars(self) | {"outlier_score": self.outlier_score.state()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> AnswerRule:
        """The rule that `state` came from.  Raises KeyError, TypeError or ValueError for anything else."""
        asked = {"asked_error": state["max_error"]}  # of rules of before it they were one
        rule = cls(**asked | state | {"outlier_score": outlier_score_from_state(state["outlier_score"])})
        for name, value in vars(rule).items():
            if name in ("outlier_score", "superclasses"):
                continue
            if type(value) not in (int, float) or math.isnan(value):
                raise ValueError(f"{name} {value!r}: expected a number")
        if not 0 < rule.temperature < math.inf:
            raise ValueError(f"temperature {rule.temperature}: expected a number above 0")
        for name in ("max_error", "asked_error", "set_coverage", "acceptance"):
            if not 0 <= getattr(rule, name) <= 1:
                raise ValueError(f"{name} {getattr(rule, name)}: expected a share, from 0 to 1")
        if not all(torch.isfinite(one).all() for one in rule.outlier_score.tensors.values()):
            raise ValueError("outlier_score holds values that are not finite numbers")
        return rule

    def fitted(self) -> FittedRule:
        """Its numbers alone, which tell what to answer without torch."""
        return FittedRule(
            self.temperature,
            self.threshold,
            self.set_limit,
            self.outlier_score.method,
            self.outlier_score.arrays,
            self.outlier_threshold,
            self.superclasses,
        )

    def hierarchy(self, classes: Sequence[str]) -> Hierarchy:
        """Its superclasses over the model's classes.  Raises ValueError where they do not fit these."""
        return Hierarchy(self.superclasses, classes)

    def answer(self, features: Tensor, logits: Tensor, classes: Sequence[str]) -> Answers:
        """Features (N, D), logits (N, C), on the CPU."""
        return self.fitted().answer(features.numpy(), logits.numpy(), classes)


class OutOfFold(NamedTuple):
    """Logits (N, C) and labels (N,) of images by `folds` networks of one recipe, each without its own."""

    logits: Tensor
    labels: Tensor
    folds: int


def fit_rule(
    features: Tensor,
    logits: Tensor,
    labels: Tensor,
    settings: AbstainConfig,
    out_of_fold: OutOfFold | None = None,
    hierarchy: Hierarchy | None = None,
    unknown: Unknown = None,
) -> AnswerRule:
    """The rule for a network by its outputs on validation images, which must not have trained it.

    features (N, D), logits (N, C), labels (N,).  out_of_fold: what all but the outlier score is fitted on,
    where there is a cross-validation; `wbc.training.folds` says why that may be.  The outlier threshold comes
    from scores of images that the score was not fitted on; see `outliers.held_out_scores`.
    hierarchy: whose superclasses may be answered; `best_promise` says what is promised of them.
    unknown: features of cells that are none of the classes, or what a model before learnt of such.
    """
    assert settings.outlier_score is not None
    answered = OutOfFold(logits, labels, 0) if out_of_fold is None else out_of_fold
    temperature = fit_temperature(answered.logits, answered.labels)
    probabilities = (answered.logits.double() / temperature).softmax(dim=1)
    levels = hierarchy or Hierarchy({}, list(map(str, range(probabilities.shape[1]))))
    nodes, confidences = levels.ladder(probabilities.numpy())
    right = levels.right(nodes, answered.labels.numpy())
    promise = best_promise(confidences, right, settings.max_error)
    if math.isinf(promise.threshold):
        log.warning(
            "the model answers nothing, every image will be %r: %s",
            UNCERTAIN,
            why_nothing_is_answered(confidences, right, settings.max_error),
        )
    held_out = outliers.held_out_scores(settings.outlier_score, features, logits, labels, unknown)
    rule = AnswerRule(
        temperature=temperature,
        threshold=promise.threshold,
        set_limit=conformal_limit(probabilities, answered.labels, settings.set_coverage),
        outlier_score=outliers.fit(settings.outlier_score, features, logits, labels, unknown),
        outlier_threshold=outliers.acceptance_threshold(held_out, settings.acceptance),
        max_error=promise.max_error,
        asked_error=settings.max_error,
        set_coverage=settings.set_coverage,
        acceptance=settings.acceptance,
        images=len(answered.labels),
        folds=answered.folds,
        superclasses=levels.superclasses,
    )
    if said := rule.shortfall(f"{rule.images} images"):
        log.warning("%s", said)
    return rule
