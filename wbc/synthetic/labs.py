"""Laboratories of the synthetic cells: how glass, dyes, microscope and camera differ between places.

Dyes follow Beer-Lambert: one unit of a dye dims red, green and blue light by `exp(-absorbance)`. Their
values were chosen by eye to look like smears of the kind that each comment names, not measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from wbc.errors import ConfigError

RGB = tuple[float, float, float]


@dataclass(frozen=True)
class Lab:
    """What one laboratory's images have in common.

    Absorbances are per unit of dye; `background` is the colour of empty glass in 0-255. `field_um` is the
    width of the image on the slide, `blur_um` the sigma of the focus, both in micrometres. `noise` is the
    standard deviation of the camera in grey levels.
    """

    name: str
    azure: RGB  # thiazine bound to DNA and to basophil granules: purple
    eosin: RGB  # red cells, eosinophil granules: pink to orange
    blue: RGB  # thiazine bound to RNA, the cytoplasm of lymphocytes and monocytes: grey-blue
    background: RGB
    field_um: float
    blur_um: float
    noise: float
    jpeg_quality: int


def smear_of(lab: Lab, rng: np.random.Generator) -> Lab:
    """One slide of `lab`: the same laboratory a little off in dyes, glass and focus, as from day to day."""

    def shifted(colour: RGB, spread: float) -> RGB:
        red, green, blue = np.asarray(colour) * np.exp(rng.normal(0.0, spread, 3))
        return float(red), float(green), float(blue)

    return replace(
        lab,
        azure=shifted(lab.azure, 0.06),
        eosin=shifted(lab.eosin, 0.08),
        blue=shifted(lab.blue, 0.08),
        background=shifted(lab.background, 0.02),
        blur_um=lab.blur_um * float(np.exp(rng.normal(0.0, 0.15))),
    )


def random_lab(rng: np.random.Generator) -> Lab:
    """A laboratory like no other: dyes between and beyond those of `TRAIN_LABS`, any glass and camera.

    Wider than what laboratories do, green and pink glass among it: what a network learns from such pictures
    has to hold whatever the colours (domain randomisation, Tobin 2017).
    """
    labs = [LABS[name] for name in TRAIN_LABS]

    def dye(name: str) -> RGB:
        mixed = rng.dirichlet(np.full(len(labs), 0.7)) @ np.log([getattr(lab, name) for lab in labs])
        red, green, blue = np.exp(mixed + rng.normal(0.0, 0.18, 3))
        return float(red), float(green), float(blue)

    azure, eosin, blue = dye("azure"), dye("eosin"), dye("blue")
    glass = rng.uniform(205, 252) * np.exp(-np.abs(rng.normal(0.0, 0.10, 3)))
    if rng.random() < 0.25:  # tungsten light, or an old stain
        glass[2] *= rng.uniform(0.6, 0.9)
    return Lab(
        name="random",
        azure=azure,
        eosin=eosin,
        blue=blue,
        background=(float(glass[0]), float(glass[1]), float(glass[2])),
        field_um=rng.uniform(22, 44),
        blur_um=float(np.exp(rng.uniform(np.log(0.08), np.log(0.28)))),
        noise=rng.uniform(1, 6),
        jpeg_quality=int(rng.integers(60, 96)),
    )


def lab_named(name: str) -> Lab:
    """The laboratory called `name`; raises ConfigError with the known names for any other."""
    if name not in LABS:
        raise ConfigError(f"unknown synthetic lab {name!r}: choose from {', '.join(LABS)}")
    return LABS[name]


TRAIN_LABS = ("lab_a", "lab_b", "lab_c", "lab_d")  # the others are kept for tests: nothing is made like them

LABS: dict[str, Lab] = {
    lab.name: lab
    for lab in (
        # May-Gruenwald-Giemsa, slide scanner: warm glass, sharp, as in the Barcelona PBC set.
        Lab(
            name="lab_a",
            azure=(1.25, 1.75, 0.60),
            eosin=(0.18, 0.72, 0.66),
            blue=(0.80, 0.66, 0.20),
            background=(252, 230, 206),
            field_um=33.0,
            blur_um=0.09,
            noise=2.0,
            jpeg_quality=92,
        ),
        # Wright, cool white light: pinker nuclei and red cells.
        Lab(
            name="lab_b",
            azure=(0.95, 1.80, 0.42),
            eosin=(0.10, 0.80, 0.45),
            blue=(0.75, 0.64, 0.22),
            background=(238, 236, 240),
            field_um=30.0,
            blur_um=0.11,
            noise=3.0,
            jpeg_quality=85,
        ),
        # Giemsa at an alkaline pH: blue-grey glass, greyish red cells.
        Lab(
            name="lab_c",
            azure=(1.55, 1.50, 0.50),
            eosin=(0.30, 0.64, 0.52),
            blue=(0.90, 0.68, 0.24),
            background=(214, 220, 230),
            field_um=36.0,
            blur_um=0.12,
            noise=3.5,
            jpeg_quality=80,
        ),
        # Telephone on the eyepiece, as in Raabin-WBC: tungsten light, noise, coarse JPEG.
        Lab(
            name="lab_d",
            azure=(1.05, 1.55, 0.70),
            eosin=(0.12, 0.60, 0.80),
            blue=(0.75, 0.66, 0.30),
            background=(224, 204, 176),
            field_um=28.0,
            blur_um=0.16,
            noise=5.0,
            jpeg_quality=70,
        ),
        # Rapid stain with an old camera: yellow glass, red nuclei, soft, as in Jiangxi Tecom's images.
        Lab(
            name="lab_e",
            azure=(0.80, 1.85, 0.75),
            eosin=(0.22, 0.58, 0.95),
            blue=(0.70, 0.60, 0.45),
            background=(246, 236, 150),
            field_um=25.0,
            blur_um=0.22,
            noise=4.0,
            jpeg_quality=75,
        ),
        # Leishman, low magnification: violet stain, small cells in a wide field.
        Lab(
            name="lab_f",
            azure=(1.35, 1.60, 0.35),
            eosin=(0.14, 0.56, 0.40),
            blue=(0.85, 0.72, 0.22),
            background=(226, 216, 232),
            field_um=42.0,
            blur_um=0.14,
            noise=2.5,
            jpeg_quality=88,
        ),
    )
}
