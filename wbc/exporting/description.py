"""What an exported folder says of its model: settings and arrays for its code, and a page for its readers."""

from __future__ import annotations

import importlib.metadata
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from torch import nn

from wbc.answers.predictor import Predictor
from wbc.exporting.standalone.classifier import ARRAYS, SETTINGS
from wbc.report.learnt_from import fitted_on
from wbc.settings.export import FORMATS

# What the copied code imports beside the engine.
_PACKAGES = ("numpy", "scipy", "pillow", "opencv-python-headless")


def write_description(predictor: Predictor, folder: Path) -> None:
    """Write what `Classifier` reads."""
    network, rule, opinion = predictor.network, predictor.rule, predictor.second_opinion
    told = {
        "wbc": importlib.metadata.version("wbc"),
        "backbone": network.backbone.name,
        "classes": network.classes,
        "prepare": {"size_px": network.image_size_px, "standardise": list(network.prepare.standardise)},
        "rule": None,
        "pictures": None if predictor.pictures is None else predictor.pictures.state(),
        "second_opinion_weight": None if opinion is None else opinion.weight,
        "size_opinion": None if predictor.size is None else predictor.size.state(),
        "views": predictor.views.state(),
        "words": None,
    }
    arrays: dict[str, np.ndarray] = {}
    if rule is not None:
        fitted = dict(vars(rule.fitted()))
        arrays |= {f"outlier.{name}": values for name, values in fitted.pop("outlier_arrays").items()}
        told["rule"] = fitted | {"threshold": None if math.isinf(rule.threshold) else rule.threshold}
    if opinion is not None:
        arrays |= {f"forest.{name}": values for name, values in opinion.forest.arrays.items()}
    if predictor.words is not None:
        state = predictor.words.state()
        arrays |= {f"words.{name}": value for name, value in state.items() if isinstance(value, np.ndarray)}
        told["words"] = {name: value for name, value in state.items() if not isinstance(value, np.ndarray)}
    for number, layer in enumerate(network.head.kernels):
        arrays |= {f"head.{number}.{name}": _array(layer, name) for name in ("weight", "bias")}
    text = json.dumps(told, indent=2, allow_nan=False) + "\n"
    (folder / SETTINGS).write_text(text, encoding="utf-8")
    np.savez(folder / ARRAYS, allow_pickle=False, **arrays)


def write_readme(
    predictor: Predictor, provenance: Mapping[str, Any], kind: str, compared: Mapping[str, Any], folder: Path
) -> None:
    """Write README.md and requirements.txt.

    provenance: what model.ckpt tells of itself.  compared: `wbc.exporting.sameness.compared`.
    """
    engine = {"onnx": ["onnxruntime"], "torch": ["torch"]}.get(kind, FORMATS[kind])
    packages = [*_PACKAGES, *engine, *(["albumentations"] if predictor.views.draws else [])]
    pins = "".join(f"{_pinned(name)}\n" for name in packages)
    (folder / "requirements.txt").write_text(pins, encoding="utf-8")
    (folder / "README.md").write_text(_readme(predictor, provenance, kind, compared), encoding="utf-8")


def _pinned(package: str) -> str:
    """With the release that is here; without where it came under another name, as builds for GPUs do."""
    try:
        return f"{package}=={importlib.metadata.version(package).partition('+')[0]}"
    except importlib.metadata.PackageNotFoundError:
        return package


def _array(layer: nn.Linear, name: str) -> np.ndarray:
    return np.asarray(layer.get_parameter(name).detach().cpu().numpy())


def _readme(
    predictor: Predictor, provenance: Mapping[str, Any], kind: str, compared: Mapping[str, Any]
) -> str:
    plain = ["how a picture is read and resized", "the rule of answers"]
    if predictor.pictures is not None:
        plain.append("the check whether a picture shows one cell")
    if predictor.prepare.standardise:
        plain.append("the standard view of a cell")
    if predictor.second_opinion is not None:
        plain.append("the second opinion by measurements of the cell")
    if predictor.size is not None:
        plain.append("what the size of the nucleus in red cells says")
    if predictor.words is not None:
        plain.append(f"the words for {len(predictor.attributes)} attributes of a cell, and its reasons")
    if predictor.views.draws:
        plain.append(f"the {predictor.views.draws} test-time views")
    template = (Path(__file__).parent / "templates" / "README.md").read_text(encoding="utf-8")
    return jinja2.Template(template, keep_trailing_newline=True).render(
        compared,
        backbone=predictor.network.backbone.name,
        classes=predictor.classes,
        kind=kind,
        wbc=importlib.metadata.version("wbc"),
        promise=_promise(predictor, provenance),
        size_px=predictor.network.image_size_px,
        plain=plain,
    )


def _promise(predictor: Predictor, provenance: Mapping[str, Any]) -> str:
    rule = predictor.rule
    if rule is None:
        return "Nothing: it has no rule of answers. Its probabilities are not calibrated."
    if math.isinf(rule.threshold):
        return "Nothing: it answers no picture, for too many of those that it was measured by were wrong."
    also = " The same holds of all answers, superclasses among them, together." if rule.superclasses else ""
    return (
        f"At most {100 * rule.max_error:g} % of the classes that it answers are wrong, for cells like the "
        f"{fitted_on(rule, provenance)}.{also} In a lab that it never saw this does not hold: measure it "
        "there."
    )
