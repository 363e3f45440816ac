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
    nucleus = np.zeros((200, 260), np.uint8)
    cv2.rectangle(nucleus, (40, 70), (160, 130), 1, cv2.FILLED)
    for y in (82, 100, 118):
        cv2.circle(nucleus, (100, y), 8, 0, cv2.FILLED)  # vacuoles, between which bridges are thin
    assert len(parted(points(nucleus), RADIUS)) == 1
    cv2.rectangle(nucleus, (92, 70), (108, 90), 0, cv2.FILLED)
    cv2.rectangle(nucleus, (92, 110), (108, 130), 0, cv2.FILLED)  # open now: a neck
    assert len(parted(points(nucleus), RADIUS)) == 2


def test_a_platelet_on_one_of_two_nuclei_does_not_join_them():
    parts = parted(piece(*TWO, (152, 100, 18)), RADIUS)
    assert [len(piece(TWO[0]))] == pytest.approx([min(map(len, parts))], rel=0.05)
    assert len(parts) == 2


def test_a_frame_is_no_cell_and_takes_no_time(monkeypatch):
    """Each of its depths was looked at, which took minutes in a large photograph."""
    monkeypatch.setattr("wbc.images.touching._middles", lambda *_: pytest.fail("it was looked at"))
    frame = np.zeros((900, 900), np.uint8)
    cv2.rectangle(frame, (5, 5), (895, 895), 1, 6)
    assert len(parted(points(frame), RADIUS)) == 1
