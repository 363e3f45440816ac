"""The model card: what a model was made of, what it is for, and where it must not be believed."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from wbc.answers.predictor import Predictor
from wbc.answers.rule import AnswerRule
from wbc.images.morphometry import NAMES
from wbc.pages.html import Section, side_by_side, table
from wbc.plain.answers import ANSWERED, UNCERTAIN, UNKNOWN
from wbc.report.learnt_from import fitted_on, training_counts
from wbc.report.recipe_rows import settings_rows, version_rows
from wbc.utils.text_tables import percent, with_interval

log = logging.getLogger(__name__)

_TITLE = "Model card"


def model_card(
    checkpoint: Path,
    predictor: Predictor,
    provenance: Mapping[str, Any],
    sets: Mapping[str, Mapping[str, Any]],
) -> Section:
    """The section of a page.

    provenance: what the file tells of itself; where that is damaged, the section says so and nothing else.
    sets: what was measured of the model, as `set_record`.
    """
    try:
        return Section(_TITLE, _parts(checkpoint, predictor, provenance, sets))
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        said = f"{checkpoint}: its record of how it was made is damaged ({type(error).__name__}: {error})"
        log.warning("%s; the model card is left out of the page", said)
        return Section(_TITLE, [f"{said}; copy it again from its origin."])


def _parts(
    checkpoint: Path,
    predictor: Predictor,
    provenance: Mapping[str, Any],
    sets: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    config = dict(provenance.get("config", {}))
    if config and "adapted" in provenance:
        config["abstain"] = provenance["adapted"]["config"]["abstain"]  # of the rule that it has now
    parts: list[str] = [_what(checkpoint, predictor, provenance)]
    parts += [f"Intended use: {_use(predictor.classes)}", f"Limits: {_limits(predictor.rule, provenance)}"]
    parts.append(f"Figures: {_figures(sets)}")
    parts += _data(checkpoint, provenance, predictor.classes)
    if predictor.rule is not None:
        parts.append(_rule(predictor.rule, provenance))
    made: list[Markup] = []
    if config:
        rows = settings_rows({**provenance, "config": config})
        made.append(table(["setting", "value"], rows, "Settings that made the model"))
    if versions := provenance.get("versions"):
        made.append(table(["", "release"], version_rows(versions), "Versions that made the model"))
    parts.append(side_by_side(made))
    return parts


def _what(checkpoint: Path, predictor: Predictor, provenance: Mapping[str, Any]) -> str:
    network = predictor.network
    weights = sum(parameter.numel() for parameter in network.parameters())
    text = (
        f"Model: {checkpoint}. A {network.backbone.name} with a dense head, {weights:,} weights, for images "
        f"of {network.image_size_px} x {network.image_size_px} pixels that each show one white blood "
        f"cell of a stained smear. It tells apart {', '.join(network.classes)}, and nothing else."
    )
    if predictor.second_opinion is not None:
        trees = len(predictor.second_opinion.forest.feature)
        text += (
            f" Beside it a forest of {trees} trees judges {len(NAMES)} measurements of the cell; its log "
            f"probabilities, {predictor.second_opinion.weight:g} times, are added to the network's logits."
        )
    if predictor.size is not None:
        text += " How large the nucleus is beside the red cells around it speaks too, where there are any."
    phase = {"head": "the frozen backbone's head alone", "finetune": "the head, then the last layers"}
    if provenance.get("phases") == ["finetune"]:  # the head came trained
        phase["finetune"] = "the last layers under a trained head"
    adapted, trained = provenance.get("adapted"), provenance.get("phase")
    if adapted is not None:
        text += f" It was {_adapted(adapted)}"
    what = "The file" if adapted is None else "What it was adapted from"
    if trained is None:
        return f"{text} {what} is a training checkpoint, which does not tell how the model was made."
    when = "Trained" if adapted is None else "Before that it was trained"
    config = provenance.get("config", {})
    how = phase.get(trained, trained)
    if config.get("init_from") is not None:
        how += f", from the weights of {config['init_from']}"
    return f"{text} {when}: {how}" + (f"; seed {config['seed']}." if "seed" in config else ".")


def _adapted(adapted: Mapping[str, Any]) -> str:
    """What adapt.py did, the last time first.  adapted: its record in the model's provenance."""
    cells = len(adapted["cells"]["path"])
    how = "its head was refitted to them" if adapted["helped"] else "its head is that model's, for refitting"
    text = f"adapted from {adapted['from']} by {cells:,} cells of a lab, {adapted['config']['data']}: {how}"
    text += "." if adapted["helped"] else " did not help."
    return text if "before" not in adapted else f"{text} That model was {_adapted(adapted['before'])}"


def _use(classes: list[str]) -> str:
    return (
        "research on the classification of white blood cells, and measuring how models carry over to other "
        "laboratories. It is no medical device and not for diagnosis: no patient may be treated on its "
        "answers. It takes crops of single cells, as predict.py cuts them out of photographs, and knows "
        f"{len(classes)} classes."
    )


def _limits(rule: AnswerRule | None, provenance: Mapping[str, Any]) -> str:
    text = (
        "another microscope, camera or stain changes its answers; the table by data set shows by how much "
        "where other labs were measured, and where none was, nothing is known. Cells of other kinds, "
        "such as immature granulocytes, erythroblasts and platelets, are sorted into one of its classes "
        "unless their outlier score is high. "
        + _unknown(provenance.get("unknown"))
        + "Labels are taken as they came: their errors count as the model's."
    )
    if rule is None:
        return f"{text} Its probabilities are not calibrated, and it holds no answer back."
    others = "not for other labs"
    if "adapted" in provenance:
        others += ", that of its training among them"
    return (
        f"{text} What its answers promise holds for cells like the {fitted_on(rule, provenance)}, {others}."
    )


def _unknown(measured: Mapping[str, Any] | None) -> str:
    """What it learnt of cells that are none of its classes."""
    if measured is None:
        return ""
    told = "; ".join(
        f"{kind} {percent(one['not_a_known_cell'])} of {one['images']}, {percent(one['answered'])} answered"
        for kind, one in measured["kinds"].items()
    )
    return (
        f"It was shown {measured['learnt']:,} cells that are none of its classes, and of others like them it "
        f"calls no known cell: {told or 'none was left to measure by'}. "
    )


def _figures(sets: Mapping[str, Mapping[str, Any]]) -> str:
    told = [
        f"{name}, {record['images']:,} images: accuracy "
        f"{with_interval(record['accuracy'], record['intervals']['accuracy'])}, macro F1 "
        f"{with_interval(record['macro_f1'], record['intervals']['macro_f1'])}"
        + (f" ({record['note']})" if record["note"] else "")
        for name, record in sets.items()
    ]
    return "; ".join(told) + ". All others stand above."


def _data(checkpoint: Path, provenance: Mapping[str, Any], classes: list[str]) -> list[str]:
    """The images of the run that trained the model: as it tells, or as the manifest beside it does."""
    counts = training_counts(checkpoint, provenance)
    if counts is None:
        return ["The images it was trained on are not known: the file does not tell, nor a manifest.csv."]
    data = provenance.get("config", {}).get("data", {})
    rows = [
        [split, *(f"{by_class.get(name, 0):,}" for name in classes), f"{sum(by_class.values()):,}"]
        for split, by_class in counts["splits"].items()
    ]
    run = "run that trained the model" if "adapted" in provenance else "model's run"
    caption = f"Images of the {run} by split and class"
    if data:
        caption += f": {data['name']}, from {data['root']}"
    left_out = "; ".join(f"{reason}: {count:,}" for reason, count in counts["left_out"].items())
    return [
        table(["", *classes, "all"], rows, caption),
        f"Left out before training: {left_out or 'no image'}. The run's manifest.csv names each.",
    ]


def _rule(rule: AnswerRule, provenance: Mapping[str, Any]) -> str:
    rows = [
        ["temperature", f"{rule.temperature:.4g}", "divides the logits (Guo 2017)"],
        [
            f"probability of {ANSWERED!r}",
            "none" if math.isinf(rule.threshold) else f"{rule.threshold:.4g}",
            f"from which at most {100 * rule.max_error:g} % of answers are wrong (Clopper-Pearson, 95 %); "
            f"below, {UNCERTAIN!r}"
            + (f"; asked for: {100 * rule.asked_error:g} %" if rule.asked_error < rule.max_error else ""),
        ],
        *(
            [
                f"superclass {name}",
                ", ".join(members),
                "is answered where it is that probable and no class of it nor a smaller superclass is",
            ]
            for name, members in rule.superclasses.items()
        ),
        [
            "limit of sets",
            f"{rule.set_limit:.4g}",
            f"sets hold the true class in {100 * rule.set_coverage:g} % of cells (split conformal)"
            + (". " + full if (full := rule.full_sets(fitted_on(rule, provenance))) else ""),
        ],
        [
            f"{rule.outlier_score.method} score of {UNKNOWN!r}",
            f"{rule.outlier_threshold:.4g}",
            f"above it; {100 * rule.acceptance:g} % of known cells stay below",
        ],
    ]
    caption = f"The rule of its answers, fitted on {fitted_on(rule, provenance)}"
    return table(["", "value", "meaning"], rows, caption)
