"""How well a classifier did: one JSON-ready record a test set, and the meters of a validation epoch."""

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score
from torchmetrics.functional.classification import (
    binary_auroc,
    binary_average_precision,
    multiclass_accuracy,
    multiclass_cohen_kappa,
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_precision,
    multiclass_recall,
)


def classification_metrics(probabilities: Tensor, labels: Tensor, classes: Sequence[str]) -> dict[str, Any]:
    """Accuracy, macro averages, kappa and AUROC, with a row per class and the confusion matrix.

    probabilities: (N, C), rows summing to 1; the prediction is the largest, of equal ones the first.
    labels: (N,) in [0, C).  classes: the C names.

    Macro averages run over the classes that occur in `labels`, listed in `classes_present`, as
    scikit-learn's do with `labels=present`: a test set without basophils says nothing about them, and
    counting them as 0 would make its averages a measure of what was photographed. A basophil predicted
    there still costs the recall of the class it was taken from.

    Values are plain Python, rounded to six decimals (torchmetrics computes in float32). `None` stands
    where nothing can be measured: all scores of a class without images, the AUROC of a class that has
    all the images, and kappa when labels and predictions are all of one class. A class that occurs and
    is never predicted has precision 0, as in scikit-learn.
    Raises ValueError as `checked_scores` does.
    """
    probabilities, labels = checked_scores(probabilities, labels, classes)
    count = len(classes)
    predictions = probabilities.argmax(dim=1)
    confusion = multiclass_confusion_matrix(predictions, labels, count)  # (C, C), rows true
    support = confusion.sum(dim=1)
    present = support > 0
    scores = {
        "precision": multiclass_precision(predictions, labels, count, average="none"),
        "recall": multiclass_recall(predictions, labels, count, average="none"),
        "f1": multiclass_f1_score(predictions, labels, count, average="none"),
    }
    aurocs = one_vs_rest_auroc(probabilities, labels)
    defined_aurocs = [auroc for auroc in aurocs if auroc is not None]
    return {
        "images": len(labels),
        "classes_present": [name for name, occurs in zip(classes, present.tolist(), strict=True) if occurs],
        "accuracy": _number(multiclass_accuracy(predictions, labels, count, average="micro")),
        "macro_recall": _number(scores["recall"][present].mean()),
        "macro_precision": _number(scores["precision"][present].mean()),
        "macro_f1": _number(scores["f1"][present].mean()),
        "cohen_kappa": _number(multiclass_cohen_kappa(predictions, labels, count)),
        "macro_auroc": _number(sum(defined_aurocs) / len(defined_aurocs)) if defined_aurocs else None,
        "per_class": {
            name: {
                **{key: _number(score[index]) if present[index] else None for key, score in scores.items()},
                "support": int(support[index]),
                "auroc": _number(aurocs[index]),
            }
            for index, name in enumerate(classes)
        },
        "confusion": confusion.tolist(),
    }


def one_vs_rest_auroc(probabilities: Tensor, labels: Tensor) -> list[float | None]:
    """Area under each class's ROC curve against all other classes, ties counting half.

    probabilities: (N, C) in [0, 1].  labels: (N,).  Returns C areas in [0, 1], None for a class with no
    image or with all of them: one of the curve's two rates is then 0 / 0.
    """
    return _one_vs_rest(binary_auroc, probabilities, labels)


def one_vs_rest_average_precision(probabilities: Tensor, labels: Tensor) -> list[float | None]:
    """Precision of each class, averaged over the recall that each image of it adds; no interpolation.

    As scikit-learn's average_precision_score; shapes and None as for `one_vs_rest_auroc`.  Guessing gives
    the class's share of the images.
    """
    return _one_vs_rest(binary_average_precision, probabilities, labels)


def _one_vs_rest(
    score: Callable[[Tensor, Tensor], Tensor], probabilities: Tensor, labels: Tensor
) -> list[float | None]:
    values: list[float | None] = []
    for index in range(probabilities.shape[1]):
        is_class = labels == index
        defined = bool(is_class.any()) and not bool(is_class.all())
        values.append(score(probabilities[:, index], is_class.long()).item() if defined else None)
    return values


def checked_scores(probabilities: Tensor, labels: Tensor, classes: Sequence[str]) -> tuple[Tensor, Tensor]:
    """The same probabilities and labels on the CPU, as float64 (N, C) and int64 (N,), once they make sense.

    torchmetrics turns rows outside [0, 1] into softmaxes of themselves and does not check labels, so
    wrong input would become a wrong number instead of an error.
    Raises ValueError for no images, fewer than two classes, repeated names, shapes that do not fit,
    labels that are no class, and rows that are no probabilities, naming the first row at fault.
    """
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise ValueError(f"metrics need two or more different class names, got {list(classes)}")
    if probabilities.ndim != 2 or probabilities.shape[1] != len(classes):
        raise ValueError(
            f"probabilities have shape {tuple(probabilities.shape)}: expected one row an image and "
            f"{len(classes)} columns, one for each of {', '.join(classes)}"
        )
    if labels.shape != probabilities.shape[:1]:
        raise ValueError(
            f"labels have shape {tuple(labels.shape)} beside {len(probabilities)} rows of probabilities: "
            "expected one label a row"
        )
    if len(labels) == 0:
        raise ValueError("no images to measure: probabilities and labels are empty")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise ValueError(f"labels are {labels.dtype}: expected class numbers as int64")

    probabilities, labels = probabilities.detach().cpu().double(), labels.detach().cpu().long()
    foreign = (labels < 0) | (labels >= len(classes))
    if foreign.any():
        row = int(foreign.nonzero()[0])
        raise ValueError(f"label {int(labels[row])} in row {row} is outside 0..{len(classes) - 1}")
    # NaN compares false, so it is caught by asking for what is right. 0.02: a softmax kept in bfloat16.
    in_range = ((probabilities >= 0) & (probabilities <= 1)).all(dim=1)
    wrong = ~(in_range & ((probabilities.sum(dim=1) - 1).abs() <= 0.02))
    if wrong.any():
        row = int(wrong.nonzero()[0])
        values = [round(value, 4) for value in probabilities[row].tolist()]
        raise ValueError(
            f"row {row} holds no probabilities: {values}; "
            "expected numbers in [0, 1] that sum to 1 (apply softmax to logits first)"
        )
    return probabilities, labels


class PresentMacroF1(MulticlassF1Score):
    """Mean F1 over the classes that occurred in the labels, as `classification_metrics` averages it.

    torchmetrics' own macro average also counts classes that were only predicted, each with F1 = 0.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes=num_classes, average="none")

    def compute(self) -> Tensor:
        """Returns a scalar in [0, 1]; NaN before the first image."""
        occurred = cast(Tensor, self.tp) + cast(Tensor, self.fn) > 0  # (C,)
        return super().compute()[occurred].mean()


def epoch_metrics(num_classes: int, prefix: str) -> MetricCollection:
    """Meters for one split: `<prefix>accuracy` and `<prefix>macro_f1`, summed over batches and processes.

    prefix: for example "val_"; no slash, which would make folders out of checkpoint names.
    The meters take logits or probabilities (N, C), and labels (N,).
    """
    return MetricCollection(
        {
            "accuracy": MulticlassAccuracy(num_classes=num_classes, average="micro"),
            "macro_f1": PresentMacroF1(num_classes),
        },
        prefix=prefix,
    )


def _number(value: Tensor | float | None) -> float | None:
    # Six decimals: beyond them float32 is noise, and 0.98 would be written as 0.9800000190734863.
    if value is None or math.isnan(value):
        return None
    return round(float(value), 6)
