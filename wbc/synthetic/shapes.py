"""Shapes in micrometres on a square sheet of glass: closed outlines, discs, lines and grain."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (N, 2) x and y in micrometres, (0, 0) in the middle of the sheet
Layer = NDArray[np.uint8]  # (side, side) coverage: 0 none, 255 full
Field = NDArray[np.float32]  # (side, side)

_SHIFT = 4  # OpenCV's fixed point: corners to a sixteenth of a pixel, so that small cells stay round


@dataclass(frozen=True)
class Sheet:
    """A square of `side_px` pixels drawn at `px_per_um` pixels a micrometre."""

    side_px: int
    px_per_um: float

    def blank(self) -> Layer:
        """An empty layer of the sheet's size."""
        return np.zeros((self.side_px, self.side_px), np.uint8)

    def fill(self, layer: Layer, outline: Points, value: int = 255) -> None:
        """Fill a closed outline with `value`, edges smooth."""
        cv2.fillPoly(layer, [self._fixed_point(outline)], (value,), cv2.LINE_AA, _SHIFT)

    def line(self, layer: Layer, points: Points, width_um: float) -> None:
        """A line through `points`; at least one pixel wide."""
        width_px = max(1, round(width_um * self.px_per_um))
        cv2.polylines(layer, [self._fixed_point(points)], False, (255,), width_px, cv2.LINE_AA, _SHIFT)

    def discs(self, layer: Layer, centres: Points, radii_um: NDArray, values: NDArray | int = 255) -> None:
        """Filled discs, later ones over earlier ones; radii_um: (N,); values: (N,) or one for all."""
        radii = np.maximum(1, np.rint(radii_um * self.px_per_um * (1 << _SHIFT))).astype(int)
        brightness = np.broadcast_to(values, radii.shape)
        fixed = self._fixed_point(centres).tolist()
        for centre, radius, value in zip(fixed, radii.tolist(), brightness.tolist(), strict=True):
            cv2.circle(layer, centre, radius, (value,), cv2.FILLED, cv2.LINE_AA, _SHIFT)

    def grain(self, rng: np.random.Generator, size_um: float) -> Field:
        """Smooth Gaussian noise of unit-like spread whose bumps are about `size_um` across."""
        cells = max(4, min(self.side_px, round(self.side_px / (size_um * self.px_per_um))))
        coarse = rng.standard_normal((cells, cells), np.float32)
        fine = cv2.resize(coarse, (self.side_px, self.side_px), interpolation=cv2.INTER_CUBIC)
        return np.asarray(fine, np.float32)

    def _fixed_point(self, points: Points) -> NDArray[np.int32]:
        return np.rint((points * self.px_per_um + self.side_px / 2) * (1 << _SHIFT)).astype(np.int32)


def blob(rng: np.random.Generator, radius_um: float, wobble: float, stretch: float = 1.0) -> Points:
    """A rounded outline about (0, 0): a circle bent by four slow waves, then stretched and turned.

    wobble: size of the waves relative to the radius; stretch: long axis over short axis, area kept.
    """
    angle = np.linspace(0.0, 2 * np.pi, 36, endpoint=False)
    waves = np.arange(2, 6)
    # Higher waves are weaker, or the outline turns into a saw.
    height = rng.normal(0.0, wobble, 4) / (waves - 1)
    radius = radius_um * (1 + height @ np.cos(waves[:, None] * angle + rng.uniform(0, 2 * np.pi, (4, 1))))
    points = np.stack([radius * np.cos(angle) * stretch**0.5, radius * np.sin(angle) / stretch**0.5], axis=1)
    return turned(points, rng.uniform(0, 2 * np.pi))


def arc(radius_um: float, angles: NDArray) -> Points:
    """Points on a circle about (0, 0) at `angles` in radians."""
    return radius_um * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def turned(points: Points, angle: float) -> Points:
    """`points` turned about (0, 0) by `angle` in radians."""
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]])


def scattered(rng: np.random.Generator, count: int, radius_um: float) -> Points:
    """`count` points spread evenly over a disc about (0, 0)."""
    return arc(1.0, rng.uniform(0, 2 * np.pi, count)) * (radius_um * np.sqrt(rng.random((count, 1))))


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """A number drawn evenly from [low, high)."""
    return float(rng.uniform(low, high))
