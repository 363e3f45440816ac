"""Near-copies: pictures of one photograph, resized, recompressed, slightly cropped, turned or mirrored.

Candidates are neighbours by a perceptual hash; each is then confirmed by a closer comparison of thumbnails
(`wbc.images.thumbnail`).  The hash is that of pHash (Zauner 2010), the low frequencies of a cosine transform,
but kept as numbers instead of one bit each: crops of cells are so alike that bits cannot tell them apart
(docs/results/near_copies.md).

All hashes are compared with all, 36 numbers each, as products of matrices: of 100,000 pictures that takes a
minute or two, and trees of so many dimensions take longer.  What is dearer is done for a limited number of
neighbours of each picture, so that it grows with the pictures alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from wbc.images.thumbnail import SIDE_PX, likeness
from wbc.utils.progress import progress

SURE = 0.92  # likeness: of 6,169 crops of pbc/train no two cells reach 0.7, and copies lie above 0.9
UNSURE = 0.85  # likeness from which a pair is worth a look

_LOW = 8  # frequencies along each axis
_RADIUS = 0.25  # of hashes that do not tell turns apart, of length 1
_RADIUS_TURNED = 0.42  # of hashes, the second turned as the first: a crop by 3 % moves them by 0.2 to 0.4
_LOOKED_AT = 256  # neighbours of each picture, however many are nearer than _RADIUS
_COMPARED = 8  # of these, however many are nearer than _RADIUS_TURNED
_AT_ONCE = 20_000_000  # distances: 80 MB
_BITS = np.arange(4)  # of a turn, beside the exchange of rows and columns


class Pair(NamedTuple):
    """Two pictures by their pixel hashes, and their likeness, UNSURE or more."""

    first: str
    second: str
    likeness: float

    @property
    def is_sure(self) -> bool:
        """Whether it may be acted on without a look."""
        return self.likeness >= SURE


def near_copies(thumbnails: Mapping[str, bytes]) -> list[Pair]:
    """The pairs among pictures, given as pixel hash -> thumbnail; the most alike first."""
    names = list(thumbnails)
    hashes = _hashes(list(thumbnails.values()))
    return _confirmed(names, names, thumbnails, thumbnails, _neighbours(hashes, hashes, same=True))


def near_copies_of(known: Mapping[str, bytes], others: Mapping[str, bytes]) -> list[Pair]:
    """The pairs of a picture of `others`, first, with one of `known`; both as pixel hash -> thumbnail."""
    found = _neighbours(_hashes(list(others.values())), _hashes(list(known.values())), same=False)
    return _confirmed(list(others), list(known), others, known, found)


def clusters(pairs: Sequence[Pair]) -> dict[str, str]:
    """Pixel hash -> the one that stands for all that sure pairs join it with, also by way of others."""
    stands_for: dict[str, str] = {}

    def root(name: str) -> str:
        while (above := stands_for.setdefault(name, name)) != name:
            name = above
        return name

    for pair in pairs:
        if pair.is_sure:
            low, high = sorted((root(pair.first), root(pair.second)))
            stands_for[high] = low
    return {name: root(name) for name in stands_for}


def _hashes(thumbs: Sequence[bytes]) -> np.ndarray:
    """(N, 8, 8): low frequencies without the mean, of length 1; NaN of a picture that is all one grey."""
    found = np.full((len(thumbs), _LOW, _LOW), np.nan, np.float32)
    for index, thumb in enumerate(thumbs):
        pixels = np.frombuffer(thumb, np.uint8).reshape(SIDE_PX, SIDE_PX).astype(np.float32)
        low = cv2.dct(pixels)[:_LOW, :_LOW]
        low[0, 0] = 0
        length = float(np.linalg.norm(low))
        if length > 1:  # grey levels; below there is rounding alone
            found[index] = low / length
    return found


def _alike_turned(hashes: np.ndarray) -> np.ndarray:
    """(N, 36): the same for a picture and its turned copies.  Distances are at most those of the hashes.

    Mirroring changes signs, and exchanging rows and columns transposes.
    """
    rows, columns = np.triu_indices(_LOW)
    both = np.hypot(hashes[:, rows, columns], hashes[:, columns, rows])
    return np.where(rows == columns, np.abs(hashes[:, rows, columns]), both)


def _neighbours(first: np.ndarray, second: np.ndarray, same: bool) -> list[tuple[int, int, int]]:
    """(index in first, index in second, turn) of hashes that are near; of one set (`same`) each pair once."""
    plain, others = _alike_turned(first), _alike_turned(second)
    squares = (others**2).sum(axis=1)
    found: list[tuple[int, int, int]] = []
    step = max(1, _AT_ONCE // max(1, len(others)))
    for start in range(0, len(plain), step):
        block = plain[start : start + step]
        begin = start if same else 0
        apart = (block**2).sum(axis=1)[:, None] + squares[begin:] - 2 * block @ others[begin:].T
        if same:
            apart[np.tril_indices(len(block), 0, apart.shape[1])] = np.inf
        near = apart <= _RADIUS**2  # never of NaN
        for row in np.flatnonzero(near.sum(axis=1) > _LOOKED_AT):
            far = np.argpartition(np.where(near[row], apart[row], np.inf), _LOOKED_AT)[_LOOKED_AT:]
            near[row, far] = False
        rows, columns = np.nonzero(near)
        rows, columns = rows + start, columns + begin
        distances, turns = _nearest_turn(first[rows], second[columns])
        by_distance = np.lexsort((distances, rows))
        rows, columns, turns = rows[by_distance], columns[by_distance], turns[by_distance]
        place = np.arange(len(rows)) - np.searchsorted(rows, rows)  # 0 is a row's nearest
        chosen = (distances[by_distance] <= _RADIUS_TURNED) & (place < _COMPARED)
        found += zip(rows[chosen].tolist(), columns[chosen].tolist(), turns[chosen].tolist(), strict=True)
    return found


def _nearest_turn(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of N pairs of hashes the distance, the second turned as fits best, and how (`thumbnail.turned`).

    Mirroring changes the signs of odd frequencies, along either axis.
    """
    odd = np.arange(_LOW) % 2
    signs = [np.where((odd[:, None] * (bits >> 1) + odd * (bits & 1)) % 2, -1, 1) for bits in _BITS]
    table = np.stack([sign.ravel() for sign in signs], axis=1).astype(np.float32)  # (64, 4)
    products = [
        (first * turned).reshape(len(first), _LOW**2) @ table
        for turned in (second, second.transpose(0, 2, 1))
    ]
    alike = np.concatenate(products, axis=1)  # (N, 8)
    return np.sqrt(np.maximum(0, 2 - 2 * alike.max(axis=1))), alike.argmax(axis=1)


def _confirmed(
    first: Sequence[str],
    second: Sequence[str],
    thumbs: Mapping[str, bytes],
    others: Mapping[str, bytes],
    candidates: Sequence[tuple[int, int, int]],
) -> list[Pair]:
    pairs = []
    for a, b, turn in progress(candidates, "comparing look-alikes", "pair", len(candidates)):
        alike = likeness(thumbs[first[a]], others[second[b]], turn)
        if alike >= UNSURE:
            pairs.append(Pair(first[a], second[b], alike))
    return sorted(pairs, key=lambda pair: -pair.likeness)
