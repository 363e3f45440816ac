"""A name for what a part of a network computes, by which values that it made are known again."""

from __future__ import annotations

import hashlib

import torch

from wbc.network.backbone import Backbone


def weights_key(backbone: Backbone, stop: int) -> str:
    """A name for what the units before number `stop` compute: the bytes of their weights and statistics."""
    digest = hashlib.sha256(f"{backbone.name} {stop}".encode())
    for name, value in sorted(backbone.unit_state(stop).items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:32]
