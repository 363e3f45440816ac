"""White blood cells from stained smears: trained, measured, explained."""

from wbc.library import (
    EvaluationResult,
    SetFigures,
    TrainingResult,
    evaluate,
    load,
    predict,
    train,
)

__all__ = ["EvaluationResult", "SetFigures", "TrainingResult", "evaluate", "load", "predict", "train"]
