"""A small grey copy of a picture, by which resized, recompressed and slightly cropped copies are known again.

Worker processes import this module, so it stays free of torch and pandas.
"""

from __future__ import annotations

import cv2
import numpy as np

from wbc.images.decode import resize

SIDE_PX = 48
# What thumbnails depend on beside the decoder; raise the number whenever `thumbnail` gives other ones.
KIND = f"1/{SIDE_PX}"

_CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 10, 1e-3)
_EVERYWHERE = np.full((SIDE_PX, SIDE_PX), 255, np.uint8)
_SMOOTHED_PX = 3  # gradients of the search for the best fit
_BLUR_PX = 2.0  # what is smoother, as a round cell on a pale ground is, counts for nothing
_EDGE_PX = 3  # beyond a cropped picture there is nothing to compare
_MAX_BENT = 0.2  # of a scale or a shear: a copy is cropped by less, another cell can be bent to fit


def thumbnail(rgb: np.ndarray) -> bytes:
    """SIDE_PX x SIDE_PX grey pixels, row by row, of (H, W, 3) uint8."""
    return resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), SIDE_PX).tobytes()


def turned(square: np.ndarray, turn: int) -> np.ndarray:
    """One of the eight copies of (N, N) by quarter turns and mirror images; 0 is the picture itself.

    Bits of `turn`: 1 mirrors left and right, 2 top and bottom, 4 rows and columns.
    """
    if turn & 4:
        square = square.T
    return np.ascontiguousarray(square[:: -1 if turn & 2 else 1, :: -1 if turn & 1 else 1])


def likeness(first: bytes, second: bytes, turn: int = 0) -> float:
    """How much the fine detail of two thumbnails agrees once the second is laid over the first: at most 1.

    turn: how the second is turned beforehand.  The fit is affine, by enhanced correlation (Evangelidis 2008);
    then detail, what a blur takes away, is compared by normalised correlation.  0 where nothing fits.
    """
    fixed, moving = _pixels(first), turned(_pixels(second), turn)
    start = np.eye(2, 3, dtype=np.float32)
    try:
        _, warp = cv2.findTransformECC(
            fixed, moving, start, cv2.MOTION_AFFINE, _CRITERIA, _EVERYWHERE, _SMOOTHED_PX
        )
    except cv2.error:  # it does not converge: the pictures have nothing in common
        return 0.0
    if np.abs(warp[:, :2] - np.eye(2)).max() > _MAX_BENT:
        return 0.0
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid_over = cv2.warpAffine(moving, warp, (SIDE_PX, SIDE_PX), flags=how, borderMode=cv2.BORDER_REPLICATE)
    return _correlation(_detail(fixed), _detail(laid_over))


def _pixels(thumb: bytes) -> np.ndarray:
    return np.frombuffer(thumb, np.uint8).reshape(SIDE_PX, SIDE_PX).astype(np.float32)


def _detail(pixels: np.ndarray) -> np.ndarray:
    detail = pixels - cv2.GaussianBlur(pixels, (0, 0), _BLUR_PX)
    return detail[_EDGE_PX:-_EDGE_PX, _EDGE_PX:-_EDGE_PX]


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    first, second = first - first.mean(), second - second.mean()
    spread = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / spread if spread else 0.0
