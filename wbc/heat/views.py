"""One heat map as the mean over several views of a picture: turned, mirrored, moved, and enlarged.

A map of the last layer has five to seven places across.  It changes where the picture is turned, or moved by
less than a place: that is chance, not reason, and the mean over such views is rid of it.  In an enlarged
picture a place is smaller beside the cell, so less heat runs over its edge.  docs/results/explanations.md has
what each is worth.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from scipy.stats import qmc
from torch import Tensor

from wbc.heat.cams import ClassActivationMap
from wbc.network.network import Network

VIEWS = 8  # each turn and mirror once
_ENLARGED = 1.4  # times the side that the network was made for


class SteadyMap:
    """The mean heat of `views` views of each picture, brought back to it; of one, the picture as it is.

    Called as `cam` is, with square images.
    """

    def __init__(self, cam: ClassActivationMap, views: int = VIEWS) -> None:
        self.layers = cam.layers
        self._cam = cam
        self._looks: list[tuple[Tensor, Tensor]] = []
        self._side = 0
        if views > 1:
            place_px = cam.network.image_size_px / cam.places_across
            self._side = _side_px(cam.network, place_px)
            self._looks = _looks(views, place_px / self._side)

    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        """(N, 3, S, S) of 0..255 and (N,) numbers of logits to heat (N, S, S) float32 >= 0 on the CPU."""
        if not self._looks:
            return self._cam(images, targets)
        heat = torch.zeros(images.shape[0], *images.shape[2:])
        for there, back in self._looks:
            seen = self._cam(_placed(images.float(), there, self._side), targets)
            heat += _placed(seen[:, None], back, images.shape[-1])[:, 0]
        return heat / len(self._looks)


def _side_px(network: Network, place_px: float) -> int:
    """Of the pictures that are looked at, in whole places.

    Only a network that shows each cell at one size has seen it larger than that in training.
    """
    side = network.image_size_px
    if network.backbone.takes_one_size or "size" not in network.prepare.standardise:
        return side
    return round(round(_ENLARGED * side / place_px) * place_px)


def _looks(views: int, place: float) -> list[tuple[Tensor, Tensor]]:
    """Where each view looks, and the way back: (2, 3) each, in halves of the picture's side.

    place: its share of the side.  Moves are spread evenly over one place.
    """
    spots = qmc.Sobol(2, scramble=False).random_base2(math.ceil(math.log2(views)))[:views]
    moves = torch.from_numpy(spots - spots.mean(axis=0)).float() * 2 * place
    looks = []
    for number, move in enumerate(moves):
        angle = number % 4 * math.pi / 2
        turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        if number % 8 >= 4:
            turn = turn @ torch.diag(torch.tensor([-1.0, 1.0]))
        looks.append((torch.column_stack([turn, move]), torch.column_stack([turn.T, -turn.T @ move])))
    return looks


def _placed(maps: Tensor, look: Tensor, side: int) -> Tensor:
    """(N, C, S, S) seen by `look`, (N, C, side, side); outside the picture its border goes on."""
    looks = look.to(maps.device).expand(len(maps), 2, 3)
    grid = F.affine_grid(looks, [len(maps), maps.shape[1], side, side], align_corners=False)
    return F.grid_sample(maps, grid, padding_mode="border", align_corners=False)
