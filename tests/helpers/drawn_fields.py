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


def smear(white: list[Place], shape: Place, seed: int = 0) -> np.ndarray:
    """As `field`, of red cells that differ in place, form and pallor: no part is like another."""
    rng = np.random.default_rng(seed)
    picture = np.full((*shape, 3), GROUND, np.uint8)
    for y in range(-20, shape[0] + 52, 52):
        for x in range(-20, shape[1] + 52, 52):
            middle = (x + int(rng.integers(-14, 15)), y + int(rng.integers(-14, 15)))
            axes = (int(rng.integers(16, 23)), int(rng.integers(17, 22)))
            pale = tuple(int(tone * rng.uniform(0.95, 1.1)) for tone in PALE)
            turn, small = int(rng.integers(0, 180)), int(rng.integers(3, 10))
            if all(np.hypot(middle[0] - a, middle[1] - b) > 3 * RADIUS for a, b in white):
                cv2.ellipse(picture, middle, axes, turn, 0, 360, RED, cv2.FILLED, cv2.LINE_AA)
                cv2.circle(picture, middle, small, pale, cv2.FILLED, cv2.LINE_AA)
    for x, y in white:
        cv2.circle(picture, (x, y), round(1.5 * RADIUS), PLASMA, cv2.FILLED, cv2.LINE_AA)
        cv2.circle(picture, (x, y), round(0.95 * RADIUS), NUCLEUS, cv2.FILLED, cv2.LINE_AA)
    return cv2.GaussianBlur(picture, (3, 3), 0)


def photographed(part: np.ndarray, seed: int) -> np.ndarray:
    """A part of a smear in other light, with a camera's noise and JPEG's loss."""
    rng = np.random.default_rng(seed)
    seen = part * rng.uniform(0.94, 1.03) + rng.normal(0, 2, part.shape)
    _, coded = cv2.imencode(".jpg", np.clip(seen, 0, 255).astype(np.uint8), (cv2.IMWRITE_JPEG_QUALITY, 85))
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)


def scattered_places(shape: Place, count: int, seed: int = 0) -> list[Place]:
    """Centres (x, y) of white cells, no two of which touch, whole within (H, W)."""
    rng = np.random.default_rng(seed)
    places: list[Place] = []
    while len(places) < count:
        x, y = (int(rng.integers(2 * RADIUS, side - 2 * RADIUS)) for side in reversed(shape))
        if all(np.hypot(x - a, y - b) > 5 * RADIUS for a, b in places):
            places.append((x, y))
    return places
