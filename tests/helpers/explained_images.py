"""A made-up image with its heat, and what was decided of it."""

import numpy as np

from wbc.heat.panels import Decision

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
RIGHT = Decision("Monocyte", 0.9, "Monocyte")
WRONG = Decision("Monocyte", 0.9, "Lymphocyte")
LONG = "Immature granulocyte (promyelocyte, myelocyte, metamyelocyte) of uncertain kind, toxic form"


def spot(row: int, column: int, side: int = 40) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side]
    return np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 30).astype(np.float32)
