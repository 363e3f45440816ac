"""What augment=recipe would cost by torchvision.transforms.v2 or kornia instead of albumentations.

    pip install kornia
    python benchmarks/augmentation.py

Speed: the whole recipe and each of its steps, by each library, on drawn cells of 224 px.  Rounds alternate
between the libraries; the median of the rounds counts, on one thread, as loader processes compute.  Every
library starts from uint8 (H, W, 3) as decoded and ends with uint8; kornia takes 32 images at once, its best
case.  Equality: one step with the same numbers by each, against albumentations, in grey levels of 0..255.
Twins: which transforms of augment=other_labs the others have, looked up by name.
Prints Markdown tables.  Writes outputs/benchmarks/augmentation.json.
"""

from __future__ import annotations

import os
import re
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A
import cv2
import hydra.utils
import kornia
import kornia.augmentation as K
import numpy as np
import torch
import yaml
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from wbc.labels import CLASSES
from wbc.synthetic.draw import LABS, draw_cell
from wbc.utils.files import write_json
from wbc.utils.machine import default_workers
from wbc.utils.text_tables import NOT_MEASURED, markdown_table

OUTPUT = Path("outputs/benchmarks/augmentation.json")
RECIPE = Path(__file__).parents[1] / "conf" / "train" / "augment" / "recipe.yaml"
OTHER_LABS = RECIPE.with_name("other_labs.yaml")
SIDE, IMAGES, BATCH, ROUNDS = 224, 64, 32, 15
LIBRARIES = "albumentations", "torchvision", "kornia"
MARGIN = 76  # px: a corner of a turned picture, shrunk to 0.85, is so far outside: 112 * 2**0.5 / 0.85 - 112
KERNEL = 11  # px of a blur of sigma 1.5, which albumentations takes for it
ANGLE, SCALE, SIGMA, LIGHTER, STRONGER = 30.0, 1.1, 1.0, 0.1, 0.1

Chain = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


def by_albumentations(*transforms: A.BasicTransform) -> Chain:
    chain = A.Compose(transforms, seed=0)
    return lambda images: [chain(image=image)["image"] for image in images]


def by_torchvision(*transforms: torch.nn.Module) -> Chain:
    chain = v2.Compose(transforms)

    def apply(images: Sequence[np.ndarray]) -> list[np.ndarray]:
        views = (chain(torch.from_numpy(image).permute(2, 0, 1).contiguous()) for image in images)
        return [view.permute(1, 2, 0).contiguous().numpy() for view in views]

    return apply


def by_kornia(*transforms: torch.nn.Module) -> Chain:
    chain = K.ImageSequential(*transforms)

    def apply(images: Sequence[np.ndarray]) -> list[np.ndarray]:
        views = []
        for start in range(0, len(images), BATCH):
            batch = (
                torch.from_numpy(np.stack(images[start : start + BATCH])).permute(0, 3, 1, 2).float() / 255
            )
            made = (chain(batch).clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
            views += list(made.contiguous().numpy())
        return views

    return apply


def steps() -> dict[str, dict[str, list]]:
    """Step -> library -> its transforms, with the ranges and probabilities of augment=recipe."""
    ours = [hydra.utils.instantiate(one) for one in yaml.safe_load(RECIPE.read_text())["transforms"]]
    turned = v2.RandomAffine(180, scale=(0.85, 1.15), interpolation=InterpolationMode.BILINEAR)
    return {
        "flips": {
            "albumentations": ours[:2],
            "torchvision": [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()],
            "kornia": [K.RandomHorizontalFlip(), K.RandomVerticalFlip()],
        },
        "rotation and zoom, mirrored border": {
            "albumentations": ours[2:3],
            # its warp knows no mirrored border: a wider picture is turned and cut
            "torchvision": [v2.Pad(MARGIN, padding_mode="reflect"), turned, v2.CenterCrop(SIDE)],
            "kornia": [K.RandomAffine(180.0, scale=(0.85, 1.15), padding_mode="reflection", p=1.0)],
        },
        "brightness and contrast": {
            "albumentations": ours[3:4],
            "torchvision": [v2.RandomApply([v2.ColorJitter(brightness=0.15, contrast=0.15)], p=0.7)],
            "kornia": [
                K.RandomContrast((0.85, 1.15), clip_output=False, p=0.7),
                K.RandomBrightness((0.85, 1.15), p=0.7),
            ],
        },
        "blur": {
            "albumentations": ours[4:],
            "torchvision": [v2.RandomApply([v2.GaussianBlur(KERNEL, (0.1, 1.5))], p=0.3)],
            "kornia": [K.RandomGaussianBlur((KERNEL, KERNEL), (0.1, 1.5), p=0.3)],
        },
    }


def milliseconds(chains: dict[str, Chain], images: Sequence[np.ndarray]) -> dict[str, float]:
    """Of one core for an image, by each chain: the median of rounds that alternate.

    Processor time, which other programs beside this one disturb less than the clock.
    """
    taken: dict[str, list[float]] = {name: [] for name in chains}
    for number in range(ROUNDS + 1):  # the first warms up
        for name, chain in chains.items():
            started = time.process_time()
            chain(images)
            if number:
                taken[name].append(1e3 * (time.process_time() - started) / len(images))
    return {name: statistics.median(one) for name, one in taken.items()}


def same_numbers(image: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """Step -> library -> what it makes of `image` with one set of numbers."""
    whole = torch.from_numpy(image).permute(2, 0, 1)
    unit = whole[None].float() / 255

    def ours(transform: A.BasicTransform) -> np.ndarray:
        return A.Compose([transform])(image=image)["image"]

    def out(tensor: torch.Tensor) -> np.ndarray:
        if tensor.ndim == 4:
            tensor = (tensor[0].clamp(0, 1) * 255).round().to(torch.uint8)
        return tensor.permute(1, 2, 0).numpy()

    wide = F.pad(whole, [MARGIN], padding_mode="reflect")
    turned = F.affine(wide, -ANGLE, [0, 0], SCALE, [0.0, 0.0], interpolation=InterpolationMode.BILINEAR)
    matrix = kornia.geometry.get_rotation_matrix2d(
        torch.tensor([[(SIDE - 1) / 2] * 2]), torch.tensor([ANGLE]), torch.tensor([[SCALE, SCALE]])
    )
    warped = kornia.geometry.warp_affine(unit, matrix, (SIDE, SIDE), padding_mode="reflection")
    always = {"p": 1.0}
    return {
        "horizontal flip": {
            "albumentations": ours(A.HorizontalFlip(**always)),
            "torchvision": out(F.horizontal_flip(whole)),
            "kornia": out(kornia.geometry.hflip(unit)),
        },
        f"rotation by {ANGLE:.0f} degrees, zoom {SCALE}": {
            "albumentations": ours(
                A.Affine(
                    rotate=(ANGLE, ANGLE), scale=(SCALE, SCALE), border_mode=cv2.BORDER_REFLECT_101, **always
                )
            ),
            "torchvision": out(F.center_crop(turned, [SIDE, SIDE])),
            "kornia": out(warped),
        },
        f"brightness +{LIGHTER}": {
            "albumentations": ours(A.RandomBrightnessContrast((LIGHTER, LIGHTER), (0.0, 0.0), **always)),
            "torchvision": out(F.adjust_brightness(whole, 1 + LIGHTER)),
            "kornia": out(kornia.enhance.adjust_brightness(unit, LIGHTER)),
        },
        f"contrast +{STRONGER}": {
            "albumentations": ours(A.RandomBrightnessContrast((0.0, 0.0), (STRONGER, STRONGER), **always)),
            "torchvision": out(F.adjust_contrast(whole, 1 + STRONGER)),
            "kornia": out(kornia.enhance.adjust_contrast(unit, 1 + STRONGER)),
        },
        f"blur of sigma {SIGMA}": {
            "albumentations": ours(A.GaussianBlur(blur_limit=0, sigma_limit=(SIGMA, SIGMA), **always)),
            "torchvision": out(F.gaussian_blur(whole, [KERNEL, KERNEL], [SIGMA, SIGMA])),
            "kornia": out(kornia.filters.gaussian_blur2d(unit, (KERNEL, KERNEL), (SIGMA, SIGMA))),
        },
    }


TWINS = {  # transform of augment=other_labs -> what torchvision.transforms.v2 and kornia.augmentation call it
    "Affine": ("RandomAffine", "RandomAffine"),
    "ColorJitter": ("ColorJitter", "ColorJitter"),
    "Downscale": (None, None),
    "GaussianBlur": ("GaussianBlur", "RandomGaussianBlur"),
    "GaussNoise": ("GaussianNoise", "RandomGaussianNoise"),
    "HorizontalFlip": ("RandomHorizontalFlip", "RandomHorizontalFlip"),
    "Illumination": (None, "RandomLinearIllumination"),
    "ImageCompression": ("JPEG", "RandomJPEG"),
    "MultiplicativeNoise": (None, None),
    "OneOf": ("RandomChoice", "ImageSequential"),  # with random_apply=1
    "RandomGamma": (None, "RandomGamma"),
    "RandomToneCurve": (None, None),
    "UnsharpMask": (None, None),
    "VerticalFlip": ("RandomVerticalFlip", "RandomVerticalFlip"),
}


def twins() -> dict[str, tuple[str | None, str | None]]:
    """TWINS, after a look whether they are those of the preset and are there."""
    named = set(re.findall(r"albumentations\.(\w+)", OTHER_LABS.read_text()))
    if named != set(TWINS):
        raise SystemExit(f"TWINS and {OTHER_LABS} differ: {sorted(named ^ set(TWINS))}")
    for torchvision, kornia_ in TWINS.values():
        for library, name in ((v2, torchvision), (K, kornia_)):
            if name is not None and not hasattr(library, name):
                raise SystemExit(f"{library.__name__} has no {name}")
    return TWINS


def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    labs = list(LABS.values())
    images = [draw_cell(CLASSES[n % len(CLASSES)], labs[n % len(labs)], rng, SIDE)[0] for n in range(IMAGES)]
    makers = {"albumentations": by_albumentations, "torchvision": by_torchvision, "kornia": by_kornia}
    parts = steps()
    whole = {name: [one for part in parts.values() for one in part[name]] for name in LIBRARIES}
    speed = {
        step: milliseconds({name: makers[name](*of[name]) for name in LIBRARIES}, images)
        for step, of in {**parts, "the whole recipe": whole}.items()
    }
    differences: dict[str, dict[str, list[float]]] = {}
    for image in images[:16]:
        for step, views in same_numbers(image).items():
            for name in LIBRARIES[1:]:
                gap = np.abs(views[name].astype(int) - views["albumentations"].astype(int))
                differences.setdefault(step, {}).setdefault(name, []).append(float(gap.mean()))
    equality = {step: {name: float(np.mean(of[name])) for name in of} for step, of in differences.items()}
    releases = {name: version(name) for name in LIBRARIES}
    write_json(
        OUTPUT,
        {
            "milliseconds": speed,
            "difference": equality,
            "twins": twins(),
            "releases": releases,
            "cores": default_workers(),
        },
    )
    print(
        markdown_table(
            ["ms an image", *LIBRARIES],
            [[step, *(f"{of[n]:.2f}" for n in LIBRARIES)] for step, of in speed.items()],
        )
    )
    print()
    print(
        markdown_table(
            ["mean difference from albumentations, of 255", *LIBRARIES[1:]],
            [[step, *(f"{of[n]:.3f}" for n in LIBRARIES[1:])] for step, of in equality.items()],
        )
    )
    print()
    print(
        markdown_table(
            ["albumentations", *LIBRARIES[1:]],
            [[name, *(one or NOT_MEASURED for one in of)] for name, of in twins().items()],
        )
    )
    print(releases)


if __name__ == "__main__":
    main()
