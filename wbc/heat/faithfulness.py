"""Does the classifier depend on what a heat map marks?  Deletion, insertion, and maps that cannot know."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

# Standard deviation of the baseline's blur as a share of the image's shorter side: 22 px of 224. Structure
# that repeats every 40 px, as the lobes of a neutrophil do, keeps 0.2 % of its contrast; the cell's place and
# tint remain. RISE's own 5 px would leave 70 %, enough to count the lobes.
_BLUR = 0.1

_STRIDE_PX = 32  # image pixels to a value of the last feature map, in nearly every CNN


def deletion_insertion(
    classify: Callable[[Tensor], Tensor],
    images: Tensor,
    heat: Tensor,
    targets: Tensor,
    steps: int = 20,
    batch_size: int = 64,
) -> tuple[Tensor, Tensor]:
    """Areas under the target's probability while the hottest pixels are blurred, or shown (Petsiuk 2018).

    Deletion starts with the image and replaces its pixels, hottest first, by those of a heavily blurred
    copy; a map that marks what counts has a low area. Insertion starts with the copy and shows the image's
    pixels, hottest first; such a map has a high area. Both are measured at `steps` + 1 equal fractions from
    0 to 1 and joined by straight lines. Pixels of equal heat come in one random order, the same for every
    image and call: in the order of rows, a blank map would measure the image's upper edge.

    classify: at most `batch_size` float32 images (B, 3, H, W) of 0..255 to logits (B, C), in evaluation
    mode; it runs in inference mode.  images: (N, 3, H, W) of 0..255.  heat: (N, H, W).  targets: (N,) int64.
    Returns deletion and insertion, each (N,) float32 in [0, 1], on the images' device.
    Raises ValueError for shapes that do not fit, and for heat that is not finite.
    """
    if heat.shape != (len(images), *images.shape[2:]) or targets.shape != images.shape[:1]:
        raise ValueError(
            f"heat {tuple(heat.shape)} and targets {tuple(targets.shape)} do not fit images "
            f"{tuple(images.shape)}: expected (N, H, W) and (N,) beside (N, 3, H, W)"
        )
    if not heat.isfinite().all():
        raise ValueError("heat is not finite, so its pixels have no order")
    pixels = images.shape[2] * images.shape[3]
    counts = torch.linspace(0, pixels, steps + 1, device=images.device).round()
    areas = torch.empty(2, len(images), device=images.device)
    with torch.inference_mode():
        for number, (image, target) in enumerate(zip(images, targets.tolist(), strict=True)):
            hottest = _ranks(heat[number].to(images.device)) < counts.view(-1, 1, 1)  # (steps + 1, H, W)
            # Deletion from end to end; insertion without its ends, which are deletion's.
            blurred = torch.cat([hottest, ~hottest[1:-1]])
            original = image.float()
            copy = _blurred(original)
            logits = [
                classify(torch.where(some.unsqueeze(1), copy, original)) for some in blurred.split(batch_size)
            ]
            probabilities = torch.cat(logits).float().softmax(dim=1)[:, target]
            inserted = torch.cat([probabilities[steps:], probabilities[:1]])
            areas[0, number] = torch.trapezoid(probabilities[: steps + 1], counts / pixels)
            areas[1, number] = torch.trapezoid(inserted, counts / pixels)
    return areas[0], areas[1]


def random_map(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Heat that knows nothing: uniform noise, one value for every 32 px, enlarged linearly as a CAM is.

    At 224 px it is 7 x 7 values. Noise of single pixels would be no fair opponent: replaced pixel by pixel,
    an image breaks down everywhere at once, whatever the classifier looks at.
    shape: (H, W).  Returns (H, W) float32 in [0, 1].
    """
    height, width = shape
    cells = (-(-height // _STRIDE_PX), -(-width // _STRIDE_PX))
    noise = np.random.default_rng(seed).random(cells, dtype=np.float32)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)


def edge_map(image: np.ndarray) -> np.ndarray:
    """Heat that knows the image but no classifier: Sobel gradient of the grey picture.

    Edges alone look like an explanation (Adebayo 2018), so a map has to do better than they do.
    image: (H, W, 3) uint8 RGB.  Returns (H, W) float32, >= 0.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.0)  # px; camera noise and JPEG blocks have edges too
    return np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))


def _ranks(heat: Tensor) -> Tensor:
    """(H, W) heat to (H, W) int64 ranks, 0 the hottest."""
    order = torch.randperm(heat.numel(), generator=torch.Generator().manual_seed(0)).to(heat.device)
    order = order[heat.flatten()[order].argsort(descending=True, stable=True)]
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order), device=heat.device)
    return ranks.view(heat.shape)


def _blurred(image: Tensor) -> Tensor:
    """The baseline of (3, H, W) float: what is left of it without detail."""
    sigma = _BLUR * min(image.shape[1:])
    side = 2 * int(3 * sigma) + 1
    # Columns, then rows: at 224 px one square kernel would cost some 70 times as much.
    columns = gaussian_blur(image, [1, side], [sigma, sigma])
    return gaussian_blur(columns, [side, 1], [sigma, sigma])
