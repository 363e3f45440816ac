"""Lobes of one nucleus are joined; platelets beside it are not."""

import cv2
import numpy as np

from wbc.images.lobes import nuclei

RADIUS = 20.0  # of a red cell, px


def discs(*circles: tuple[int, int, int]) -> np.ndarray:
    """(160, 200) uint8 of 0 and 1: discs by x, y and radius."""
    mask = np.zeros((160, 200), np.uint8)
    for x, y, radius in circles:
        cv2.circle(mask, (x, y), radius, 1, cv2.FILLED)
    return mask


def sizes(nuclear: np.ndarray, cytoplasm: np.ndarray) -> list[int]:
    return sorted(len(points) for points in nuclei(nuclear, cytoplasm > 0, RADIUS))


NUCLEUS = (70, 80, 22)
PLATELET = (112, 80, 7)  # 13 px from the nucleus
LOBES = (60, 80, 12), (92, 80, 12)  # 8 px apart, each a third of a red cell


def test_a_platelet_beside_a_nucleus_is_by_itself():
    nuclear = discs(NUCLEUS, PLATELET)
    assert sizes(nuclear, nuclear) == [discs(PLATELET).sum(), discs(NUCLEUS).sum()]


def test_as_small_a_piece_within_the_cytoplasm_is_a_lobe():
    nuclear = discs(NUCLEUS, PLATELET)
    assert sizes(nuclear, discs((85, 80, 45))) == [nuclear.sum()]


def test_lobes_are_joined_through_clear_cytoplasm():
    nuclear = discs(*LOBES)
    assert sizes(nuclear, nuclear) == [nuclear.sum()]


def test_pieces_that_are_far_apart_or_nuclei_by_themselves_are_not_joined():
    everywhere = np.ones((160, 200), np.uint8)
    far = discs((30, 80, 12), (90, 80, 12))
    assert len(sizes(far, everywhere)) == 2
    large = discs((60, 80, 19), (102, 80, 19))
    assert len(sizes(large, everywhere)) == 2
    in_a_row = discs((20, 80, 12), (60, 80, 12), (100, 80, 12), (140, 80, 12))  # too long together
    assert len(sizes(in_a_row, everywhere)) == 2


def test_specks_are_no_pieces():
    nuclear = discs(NUCLEUS, (110, 60, 1))
    assert sizes(nuclear, np.ones_like(nuclear)) == [discs(NUCLEUS).sum()]
