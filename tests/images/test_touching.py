"""Nuclei that touch are told apart where both are as deep as nuclei are, and joined by a neck."""

import cv2
import numpy as np
import pytest

from wbc.images.touching import parted

RADIUS = 20.0  # of a red cell, px


def points(mask: np.ndarray) -> np.ndarray:
    """(N, 2) int32, x and y."""
    return np.argwhere(mask)[:, ::-1].astype(np.int32)


def piece(*circles: tuple[int, int, int]) -> np.ndarray:
    """The points of discs by x, y and radius, as one."""
    mask = np.zeros((200, 260), np.uint8)
    for x, y, radius in circles:
        cv2.circle(mask, (x, y), radius, 1, cv2.FILLED)
    return points(mask)


TWO = (60, 100, 26), (110, 100, 26)  # they touch


def test_two_nuclei_with_a_neck_are_two_and_nothing_is_lost():
    whole = piece(*TWO)
    parts = parted(whole, RADIUS)
    assert sorted(round(float(part[:, 0].mean())) for part in parts) == [60, 110]
    assert sorted(map(tuple, np.concatenate(parts))) == sorted(map(tuple, whole))


def test_three_in_a_row_are_three():
    assert len(parted(piece(*TWO, (160, 100, 26)), RADIUS)) == 3


@pytest.mark.parametrize(
    ("circles", "what"),
    [
        (((60, 100, 26),), "one"),
        (((60, 100, 40),), "a large one"),
        (((60, 100, 14), (86, 100, 14), (112, 100, 14), (138, 100, 14)), "lobes"),
        (((60, 100, 26), (85, 100, 26)), "no neck: a kidney"),
        (((60, 100, 34), (100, 100, 12)), "a bulge"),
    ],
)
def test_what_is_one_nucleus_stays_one(circles, what):
    assert len(parted(piece(*circles), RADIUS)) == 1, what


def test_holes_are_no_necks():
    ring = np.zeros((200, 260), np.uint8)
    cv2.circle(ring, (100, 100), 40, 1, cv2.FILLED)
    cv2.circle(ring, (100, 100), 12, 0, cv2.FILLED)  # a vacuole
    assert len(parted(points(ring), RADIUS)) == 1
