"""What a report opens with: how good the model is, what to know before believing it, what is not known."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from wbc.answers.predictor import Predictor
from wbc.answers.rule import AnswerRule
from wbc.pages.html import fragment
from wbc.plain.lab_check import said_of_lab
from wbc.report.learnt_from import fitted_on, training_counts
from wbc.report.training_caveats import training_caveats
from wbc.utils.text_tables import percent, with_interval

_FEW = 20  # images of a class: with all of them right, the exact interval of its recall still starts at 83 %
_NAMED = 8  # classes in a sentence; of more the others are counted


def verdict(
    sets: Mapping[str, Mapping[str, Any]],
    checkpoint: Path,
    predictor: Predictor,
    provenance: Mapping[str, Any],
) -> Markup:
    """The opening of a page.

    sets: as `wbc.report.record.set_record`, of the model in `checkpoint`, whose `provenance` its file tells.
    """
    main = main_set(sets)
    return fragment(
        "verdict.html",
        lead=_how_good(main, sets[main]),
        sentences=[*_elsewhere(main, sets), _trained(checkpoint, predictor, provenance)],
        warnings=list(caveats(sets, predictor.rule, provenance)),
        limits=list(_limits(main, sets, predictor.rule, provenance)),
    )


def main_set(sets: Mapping[str, Mapping[str, Any]]) -> str:
    """The set that the verdict is about: the first of the model's own lab that does not flatter, or the first
    that does not flatter, or the first.
    """
    honest = [name for name, record in sets.items() if not record["note"]]
    own = [name for name in honest if sets[name]["in_lab"]]
    return next(iter(own or honest or sets))


def _how_good(name: str, record: Mapping[str, Any]) -> str:
    text = (
        f"Right in {with_interval(record['accuracy'], record['intervals']['accuracy'])} of the "
        f"{record['images']:,} images of {name} ({_lab(record)}), with a macro F1 of "
        f"{with_interval(record['macro_f1'], record['intervals']['macro_f1'])}."
    )
    found = {label: row for label, row in record["per_class"].items() if row["support"]}
    worst = min(found, key=lambda label: found[label]["recall"])
    if found[worst]["recall"] < 1 and len(found) > 1:
        recall = with_interval(found[worst]["recall"], record["intervals"]["recall"][worst])
        text += f" Worst class: {worst}, of whose {found[worst]['support']:,} images {recall} are recognised."
    if record["answers"] is not None and record["answers"]["answered"]:
        answers = record["answers"]
        right = with_interval(answers["answered_accuracy"], answers["answered_accuracy_interval"])
        text += f" It answers {percent(answers['answered_share'])} of them; {right} of its answers are right."
    if record["levels"] is not None and record["levels"]["together"]["images"]:
        levels = record["levels"]
        more = levels["together"]["share"] - levels["classes"]["share"]
        right = with_interval(levels["together"]["accuracy"], levels["together"]["accuracy_interval"])
        text += f" Of {percent(more)} more it answers a superclass; {right} of all answers are right."
    return f"{text} (95 % intervals in brackets.)"


def _elsewhere(main: str, sets: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    others = [
        f"{with_interval(record['accuracy'], record['intervals']['accuracy'])} on {name} ({_lab(record)})"
        for name, record in sets.items()
        if name != main and not record["note"]
    ]
    if others:
        yield f"Accuracy on the other sets: {'; '.join(others)}."


def _lab(record: Mapping[str, Any]) -> str:
    return "of the lab it was trained on" if record["in_lab"] else "of another lab"


def _trained(checkpoint: Path, predictor: Predictor, provenance: Mapping[str, Any]) -> str:
    counts = training_counts(checkpoint, provenance)
    classes = f"{len(predictor.classes)} classes ({_listed(predictor.classes)})"
    if counts is None:
        text = f"The model tells apart {classes}; what it was trained on is not known."
    else:
        images = sum(
            count
            for split, by_class in counts["splits"].items()
            if split.startswith("train")
            for count in by_class.values()
        )
        text = f"The model was trained on {images:,} images of {classes}"
        data = provenance.get("config", {}).get("data")
        text += f" from the data set {data['name']}." if data else "."
    if adapted := provenance.get("adapted"):
        cells = len(adapted["cells"]["path"])
        text += f" It was adapted to another lab by {cells:,} cells of {adapted['config']['data']}."
    return text


def caveats(
    sets: Mapping[str, Mapping[str, Any]], rule: AnswerRule | None, provenance: Mapping[str, Any]
) -> Iterator[str]:
    """What to know before believing the figures of `sets`, a sentence or two each; none where all is well."""
    if rule is None:
        yield (
            "It is not calibrated: its probabilities do not tell how often it is right, and it holds no "
            "answer back. model.ckpt of a run folder is calibrated; the checkpoints of a training are not."
        )
    elif math.isinf(rule.threshold):
        yield f"{rule.promises_nothing(fitted_on(rule, provenance))} Every image is held back."
    elif said := rule.shortfall(fitted_on(rule, provenance)):
        yield said
    yield from training_caveats(provenance)
    for name, record in sets.items():
        if record["note"]:
            yield f"{name}: {record['note']}. Its figures flatter."
        yield from _no_better_than_a_guess(name, record)
        if rule is not None and not math.isinf(rule.threshold):
            yield from _not_kept(name, record, rule)


def _no_better_than_a_guess(name: str, record: Mapping[str, Any]) -> Iterator[str]:
    largest = max(record["per_class"], key=lambda label: record["per_class"][label]["support"])
    share = record["per_class"][largest]["support"] / record["images"]
    guess = f"always naming {largest}, which {percent(share)} of the images of {name} show"
    low = record["intervals"]["accuracy"]["low"]
    if len(record["classes_present"]) < 2:
        return  # what always names the one class is always right
    if record["accuracy"] <= share:
        yield f"It is no better than {guess}."
    elif low is not None and low <= share:
        yield f"It may be no better than {guess}: the interval of its accuracy reaches down to that."


def _not_kept(name: str, record: Mapping[str, Any], rule: AnswerRule) -> Iterator[str]:
    answers = record["answers"]
    if held_back := answers["withheld"]:
        yield (
            f"{name}: {said_of_lab(record['lab'])}. Else it would answer "
            f"{percent(held_back['share'])} of the images of {name}, and "
            f"{percent(held_back['accuracy'])} of these answers would be right."
        )
        return
    if answers["answered"] == 0:
        yield f"It answers none of the images of {name}."
        return
    high = answers["answered_accuracy_interval"]["high"]
    if high is not None and high < 1 - rule.max_error:
        yield (
            f"Its promise does not hold on {name}: {percent(1 - answers['answered_accuracy'])} of its "
            f"answers are wrong there, where it promises at most {100 * rule.max_error:g} %."
        )


def _limits(
    main: str,
    sets: Mapping[str, Mapping[str, Any]],
    rule: AnswerRule | None,
    provenance: Mapping[str, Any],
) -> Iterator[str]:
    if rule is not None and not math.isinf(rule.threshold):
        yield (
            f"Whether its promise (at most {100 * rule.max_error:g} % of answers wrong) holds in other labs: "
            f"it is made for cells like the {fitted_on(rule, provenance)} only."
        )
    if all(record["in_lab"] for record in sets.values()):
        yield "How good it is in another lab, with another microscope, camera or stain: none was measured."
    else:
        yield "How good it is in labs that are not among these sets."
    for name, record in sets.items():
        absent = [label for label, row in record["per_class"].items() if row["support"] == 0]
        if absent:
            yield f"How well it recognises {_listed(absent)} in {name}, which has no image of them."
    support = {label: row["support"] for label, row in sets[main]["per_class"].items()}
    few = [f"{label} ({count})" for label, count in support.items() if 0 < count < _FEW]
    if few:
        yield f"Exactly how well it recognises classes of which {main} has few images: {_listed(few)}."
    if provenance.get("config", {}).get("data", {}).get("source") == "synthetic":
        yield "Anything of real smears: the cells that it was trained on are drawn by a program."
    yield "What it makes of cells of other kinds, and anything about a patient: it is not for diagnosis."


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
