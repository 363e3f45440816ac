"""Pictures of cells and photographs as the page shows them: made when asked for, and kept for a while."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import cv2
import numpy as np

from wbc.errors import ImageError
from wbc.images.boxes import photograph_and_box
from wbc.images.decode import decode
from wbc.images.slides import is_slide, open_slide
from wbc.reviewing.cells import Cells
from wbc.utils.machine import available_cores

THUMBNAIL_PX, PICTURE_PX, PHOTOGRAPH_PX = 176, 720, 1600  # the longer side
_QUALITY = 88  # of JPEG
_KEPT_PIXELS, _KEPT_FILES = 256 * 2**20, 64 * 2**20  # bytes of decoded photographs, and of encoded pictures
_MOST_ENLARGED = 2.0  # times a small picture is enlarged at most

Value = TypeVar("Value")


class Pictures:
    """JPEG files of cells and of their photographs, by the cell's number; from any thread.

    All raise ImageError, with the reason, for what cannot be read.
    """

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._photographs: _Kept[np.ndarray] = _Kept(_KEPT_PIXELS, lambda pixels: pixels.nbytes)
        self._files: _Kept[bytes] = _Kept(_KEPT_FILES, len)
        self._decoding = threading.Semaphore(available_cores())

    def thumbnail(self, cell: int) -> bytes:
        """Small, for the grid."""
        return self._files.get(("thumbnail", cell), lambda: _jpeg(self.small(cell)))

    def small(self, cell: int) -> np.ndarray:
        """The pixels of that, (H, W, 3) uint8."""
        return _fitted(self._pixels(cell), THUMBNAIL_PX)

    def picture(self, cell: int) -> bytes:
        """Large, to look at closely."""
        return self._files.get(("picture", cell), lambda: _jpeg(_fitted(self._pixels(cell), PICTURE_PX)))

    def photograph(self, cell: int) -> bytes:
        """The whole photograph that the cell is in; of a slide its overview."""
        path = self._cells.photograph_path(cell)
        return self._files.get(("photograph", path), lambda: _jpeg(_fitted(self._whole(path), PHOTOGRAPH_PX)))

    def size(self, cell: int) -> tuple[int, int]:
        """Width and height of that photograph, or of the slide itself."""
        path = self._cells.photograph_path(cell)
        if is_slide(path):
            slide = open_slide(path)
            return slide.width, slide.height
        height, width = self._whole(path).shape[:2]
        return width, height

    def _pixels(self, cell: int) -> np.ndarray:
        path = self._cells.path(cell)
        photograph, box = photograph_and_box(path)
        if box is None or is_slide(photograph):
            with self._decoding:
                return decode(path)
        whole = self._whole(photograph)
        inside = box.within(whole.shape[1], whole.shape[0])
        if inside != box or box.is_empty:
            return decode(path)  # says what is wrong with the box
        return whole[box.y0 : box.y1, box.x0 : box.x1]

    def _whole(self, photograph: str) -> np.ndarray:
        """Decoded once for all its cells, as long as there is room."""

        def decoded() -> np.ndarray:
            with self._decoding:
                if not is_slide(photograph):
                    return decode(photograph)
                overview = open_slide(photograph).overview(PHOTOGRAPH_PX)
                if overview is None:
                    raise ImageError(photograph, "the slide has no small copy of itself to be shown")
                return overview

        return self._photographs.get(("photograph", photograph), decoded)


class _Kept(Generic[Value]):
    """What was made last, up to so many bytes; a value that several ask for at once is made once."""

    def __init__(self, limit: int, size: Callable[[Value], int]) -> None:
        self._limit, self._size = limit, size
        self._values: OrderedDict[tuple[str, object], Value] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._making: dict[tuple[str, object], threading.Lock] = {}

    def get(self, key: tuple[str, object], make: Callable[[], Value]) -> Value:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._values:
                    return self._values[key]
            try:
                value = make()
            finally:
                with self._lock:
                    self._making.pop(key, None)
            with self._lock:
                self._keep(key, value)
            return value

    def _keep(self, key: tuple[str, object], value: Value) -> None:
        if key not in self._values:
            self._values[key] = value
            self._bytes += self._size(value)
        while self._bytes > self._limit and len(self._values) > 1:
            _, oldest = self._values.popitem(last=False)
            self._bytes -= self._size(oldest)


def _fitted(rgb: np.ndarray, side: int) -> np.ndarray:
    """Brought to `side` pixels at its longer one, but not enlarged beyond what there is to see."""
    height, width = rgb.shape[:2]
    scale = min(side / max(height, width), _MOST_ENLARGED)
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(rgb), shape, interpolation=how)


def _jpeg(rgb: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
