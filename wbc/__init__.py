"""White blood cells from stained smears: trained, measured, explained."""

import importlib.metadata

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


def __getattr__(name: str) -> str:
    """`__version__`, looked up when asked for: a source tree that is not installed has none."""
    if name == "__version__":
        return importlib.metadata.version("wbc")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
