"""Photographs of fields, drawn: red cells with pale centres, and white cells whose places are known."""

import cv2
import numpy as np

GROUND, RED, PALE = (226, 216, 206), (205, 148, 150), (218, 180, 178)
PLASMA, NUCLEUS = (205, 196, 216), (92, 58, 140)
RADIUS = 20  # of a red cell, px
Place = tuple[int, int]


def field(white: list[Place], shape: Place = (360, 480), lobes: int = 1, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8 RGB with white cells of 1.5 times a red cell's size at these centres (x, y)."""
    rng = np.random.default_rng(seed)
    picture = np.full((*shape, 3), GROUND, np.uint8)
    for y in range(30, shape[0], 52):
        for x in range(30, shape[1], 52):
            if all(np.hypot(x - a, y - b) > 3 * RADIUS for a, b in white):
                centre = (x + int(rng.integers(-4, 5)), y + int(rng.integers(-4, 5)))
                cv2.circle(picture, centre, RADIUS, RED, cv2.FILLED, cv2.LINE_AA)
                cv2.circle(picture, centre, RADIUS // 3, PALE, cv2.FILLED, cv2.LINE_AA)
    for x, y in white:
        cv2.circle(picture, (x, y), round(1.5 * RADIUS), PLASMA, cv2.FILLED, cv2.LINE_AA)
        for lobe in range(lobes):
            turn = 2 * np.pi * lobe / lobes
            away = 0 if lobes == 1 else 0.8 * RADIUS
            place = (round(x + away * np.cos(turn)), round(y + away * np.sin(turn)))
            size = round((0.95 if lobes == 1 else 0.5) * RADIUS)
            cv2.circle(picture, place, size, NUCLEUS, cv2.FILLED, cv2.LINE_AA)
    noise = rng.normal(0, 2, picture.shape)
    return np.clip(cv2.GaussianBlur(picture, (3, 3), 0) + noise, 0, 255).astype(np.uint8)
