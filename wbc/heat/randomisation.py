"""Do heat maps change when the network forgets what it learnt?  Cascading randomisation (Adebayo 2018)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity
from torch import nn

from wbc.network.backbone import Backbone
from wbc.network.network import Network

_FLAT_STAGES = 8  # at most so many where the units are one chain without stages, as in a transformer


class Stage(NamedTuple):
    """Parameters that are randomised together."""

    name: str
    parameters: list[nn.Parameter]


def cascade(network: Network, explain: Callable[[Network], np.ndarray], seed: int = 0) -> pd.DataFrame:
    """How alike the heat maps stay while the network is randomised, head first, then stage by stage down.

    Maps that explain the network must lose their likeness; maps that keep it show the image, as an edge
    detector does. Each parameter is drawn anew from a normal distribution of its own mean and spread,
    batch-norm's included, where Adebayo 2018 initialises afresh: it forgets as much, and the activations
    keep a scale that fits the running statistics, which stay. A constant tensor (a fresh bias) stays too.

    explain: from a network, unfrozen and in inference mode, to maps (N, H, W) >= 0 of always the same
    images, 7 px or more a side. It gets a copy; the network given is not touched.
    Returns a row for each stage and image: `stage`, the last one randomised; `image`, its index;
    `rank_correlation`, Spearman's, with the map of the network as given; `ssim`, structural similarity
    with it, both scaled by their maximum to 0..1. A constant map has no ranks: if it is the randomised
    network's its correlation counts as 0, if it is the given network's both numbers are NaN, for there is
    nothing to be like.
    """
    copy = _unfrozen_copy(network)
    originals = explain(copy)
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for stage in _cascade_stages(copy):
        _draw_anew(stage.parameters, generator)
        for index, (original, heat) in enumerate(zip(originals, explain(copy), strict=True)):
            rows.append((stage.name, index, *likeness(original, heat)))
    return pd.DataFrame(rows, columns=["stage", "image", "rank_correlation", "ssim"])


def likeness(original: np.ndarray, heat: np.ndarray) -> tuple[float, float]:
    """Spearman's rank correlation and SSIM of two maps (H, W), as `cascade` reports them."""
    if np.ptp(original) == 0:
        return math.nan, math.nan
    ranks = 0.0 if np.ptp(heat) == 0 else float(spearmanr(original, heat, axis=None).statistic)
    return ranks, float(structural_similarity(_scaled(original), _scaled(heat), data_range=1.0))


def backbone_stages(backbone: Backbone) -> list[Stage]:
    """The backbone's parameters from the first to the last, in the stages its units are named after.

    Units of one stage share their name but for the last number: blocks.6.0, blocks.6.1. Where that tells
    hardly any apart, as in a transformer (embed, blocks, top), neighbours are taken together.
    """
    units = [Stage(name, parameters) for name, parameters in backbone.unit_parameters if parameters]
    stages: dict[str, list[nn.Parameter]] = {}
    for name, parameters in units:
        stages.setdefault(name.rpartition(".")[0] or name, []).extend(parameters)
    if len(stages) > 3:
        return [Stage(*stage) for stage in stages.items()]
    size = math.ceil(len(units) / _FLAT_STAGES)
    return [_joined(units[start : start + size]) for start in range(0, len(units), size)]


def _cascade_stages(network: Network) -> Iterator[Stage]:
    yield Stage("head", list(network.head.parameters()))
    yield from reversed(backbone_stages(network.backbone))


def _joined(units: Sequence[Stage]) -> Stage:
    names = dict.fromkeys([units[0].name, units[-1].name])  # one name where there is one unit
    return Stage(" to ".join(names), [parameter for unit in units for parameter in unit.parameters])


def _unfrozen_copy(network: Network) -> Network:
    # Built anew: a copy would keep what is frozen, through which no gradient passes.
    copy = Network.from_description(network.describe())
    copy.load_state_dict(network.state_dict())
    return copy.to(network.device).eval()


@torch.no_grad()
def _draw_anew(parameters: Sequence[nn.Parameter], generator: torch.Generator) -> None:
    for parameter in parameters:
        # On the CPU, where the generator gives the same numbers for every device.
        noise = torch.randn(parameter.shape, generator=generator).to(parameter.device)
        parameter.copy_(parameter.mean() + parameter.std(correction=0) * noise)


def _scaled(heat: np.ndarray) -> np.ndarray:
    top = heat.max()
    return heat / top if top > 0 else heat
