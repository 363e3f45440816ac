"""Words of two attributes that are easy to compute by hand, for a network with three features."""

import numpy as np

from wbc.plain.words import FittedWords

CLASSES = ("Eosinophil", "Monocyte", "Neutrophil")


def fitted_words(threshold: float = 0.9) -> FittedWords:
    """granules: pink or red, by feature 0; nucleus: bilobed, kidney or round, by features 1 and 2.

    Red speaks for eosinophils, a kidney for monocytes; nothing speaks of the third class.
    """
    return FittedWords(
        names=("granules", "nucleus"),
        values=(("pink", "red"), ("bilobed", "kidney", "round")),
        weight=np.array([[-1, 1, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]], np.float32),
        bias=np.zeros(5, np.float32),
        thresholds=np.array([threshold, threshold]),
        max_errors=np.array([0.05, 0.05]),
        shares=np.array([0.5, 0.5, 0.4, 0.2, 0.4]),
        class_weight=np.array([[0.0, 0, 0], [4, 0, 0], [0, 0, 0], [0, 6, 0], [0, 0, 0]]),
        class_bias=np.zeros(3),
    )
