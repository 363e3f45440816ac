"""Samples of 16 bits as 8: by the high byte of those bits that the camera used.

Worker processes import this module, so it stays free of torch and pandas.
"""

from __future__ import annotations

import numpy as np

_DEPTHS = (8, 10, 12, 14, 16)  # of cameras


def eight_bit(samples: np.ndarray, announced: int | None = None) -> np.ndarray:
    """Samples of 0..65535, of any shape, as uint8.

    Cameras of 10, 12 and 14 bits are often written into 16 as they are, which leaves a picture nearly black.
    How many bits were used, the file may say (`announced`, its largest possible sample); else the brightest
    sample tells, since through a bright-field microscope something is always bright.
    """
    peak = max(int(samples.max()), 1)
    largest = announced if announced is not None and peak <= announced < 65535 else peak
    depth = next(bits for bits in _DEPTHS if largest < 1 << bits)
    return (samples >> (depth - 8)).astype(np.uint8)
