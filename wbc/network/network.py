"""The network: raw images in, logits out; preprocessing, frozen or trained backbone, dense head."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from wbc.images.file_limits import MAX_PIXELS
from wbc.images.prepare import Prepare
from wbc.images.standardised import VERSION
from wbc.network.backbone import Backbone

DESCRIPTION_KEY = "wbc"  # under it, in every checkpoint, lies what `Network.describe` tells
_FORMAT = 2  # of the files that hold it; raise it when older ones can no longer be read


class Head(nn.Sequential):
    """The recipe's dense head: Dense, ReLU and Dropout for each of `units`, then Dense to `classes`.

    Kernels start glorot-uniform and biases at zero, as Keras's Dense does; PyTorch's own default is narrower.
    """

    def __init__(self, features: int, units: Sequence[int], classes: int, dropout: float) -> None:
        layers: list[nn.Module] = []
        width = features
        for unit in units:
            layers += [nn.Linear(width, unit), nn.ReLU(), nn.Dropout(dropout)]
            width = unit
        super().__init__(*layers, nn.Linear(width, classes))
        for module in self.kernels:
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)

    @property
    def kernels(self) -> list[nn.Linear]:
        """The dense layers in order, the one to the classes last."""
        return [module for module in self if isinstance(module, nn.Linear)]

    def l2_penalty(self, strength: float) -> Tensor:
        """`strength * sum(w**2)` over all kernels but the last: Keras's `kernel_regularizer=l2(strength)`.

        Added to the loss; biases, last layer and backbone are not touched.  Returns a scalar.
        """
        squares = [kernel.weight.square().sum() for kernel in self.kernels[:-1]]
        return strength * torch.stack(squares).sum() if squares else torch.zeros(())


class Network(nn.Module):
    """White blood cell classifier: (N, 3, H, W) images of 0..255 to (N, classes) logits.

    The images are what `prepare` makes of decoded pictures, of the side `image_size_px`; scaling to what the
    backbone's weights expect happens inside.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: Backbone,
        classes: Sequence[str],
        head_units: Sequence[int] = (128, 256),
        dropout: float = 0.45,
        standardise: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.prepare = Prepare(backbone.image_size_px, standardise)
        self.backbone = backbone
        self.classes = list(classes)
        self.head_units = list(head_units)
        self.dropout = dropout
        self.head = Head(backbone.features, head_units, len(classes), dropout)
        self.to(memory_format=torch.channels_last)
        # Not in the state dict: the description carries them, so weights of any origin fit.
        self.register_buffer("mean", 255 * torch.tensor(backbone.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(backbone.std).view(1, 3, 1, 1), persistent=False)

    @property
    def image_size_px(self) -> int:
        """Side of the square images the network was made for."""
        return self.backbone.image_size_px

    @property
    def device(self) -> torch.device:
        """Where the weights lie, and where images have to go."""
        return self.mean.device

    def preprocess(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) of 0..255, uint8 or float, to the backbone's range, channels last."""
        images = images.to(
            torch.float32, memory_format=torch.channels_last
        )  # the faster layout on CPU and GPU
        return (images - self.mean) / self.std

    def pixels(self, values: Tensor) -> Tensor:
        """What `preprocess` made of (N, 3, H, W) of 0..255, or changed since, back to that scale, float32."""
        return values * self.std + self.mean

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) of 0..255 to (N, classes) logits."""
        return self.from_frozen(self.frozen(images))

    def frozen(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) of 0..255 to the values of the backbone's frozen part, without a graph."""
        return self.backbone.frozen_part(self.preprocess(images))

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) of 0..255 to the backbone's (N, features), which `classify` takes."""
        return self.backbone.trainable_part(self.frozen(images))

    def from_frozen(self, values: Tensor) -> Tensor:
        """What `frozen` computed, now or in an earlier epoch, to (N, classes) logits."""
        return self.classify(self.backbone.trainable_part(values))

    def classify(self, features: Tensor) -> Tensor:
        """(N, features) to (N, classes) logits, in float32: bf16 would leave probabilities three digits."""
        with torch.autocast(features.device.type, enabled=False):
            return self.head(features.float())

    def describe(self) -> dict[str, Any]:
        """What it takes to build this network again, as plain values and tensors; weights come on top."""
        return {
            "format": _FORMAT,
            "backbone": self.backbone.name,
            "image_size_px": self.image_size_px,
            "drop_path_rate": self.backbone.drop_path_rate,
            "mean": (self.mean.flatten() / 255).tolist(),
            "std": (self.std.flatten() / 255).tolist(),
            "classes": self.classes,
            "head_units": self.head_units,
            "dropout": self.dropout,
            "standardise": list(self.prepare.standardise),
            "standardise_version": VERSION,
        }

    @classmethod
    def from_description(cls, description: dict[str, Any]) -> Network:
        """A network as `describe` told, with fresh weights.

        Raises KeyError, TypeError or ValueError for anything else, and ValueError where it learnt from
        pictures standardised otherwise than they now are.
        """
        if description.get("format") != _FORMAT:
            raise ValueError("it was written by another version of wbc, before or after this: train it anew")
        learnt = description["standardise_version"]
        if description["standardise"] and learnt != VERSION:
            raise ValueError(
                f"it learnt from cells as version {learnt} of model.standardise finds and shows them, and "
                f"this is version {VERSION}: train it anew"
            )
        size_px = description["image_size_px"]
        if type(size_px) is not int or not 0 < size_px <= math.isqrt(MAX_PIXELS):
            raise ValueError(f"image_size_px {size_px!r}: expected a whole number of pixels")
        backbone = Backbone(description["backbone"], size_px, description["drop_path_rate"])
        classes, mean, std = (description[key] for key in ("classes", "mean", "std"))
        if len(set(classes)) != len(classes) or not all(isinstance(name, str) for name in classes):
            raise ValueError(f"classes {classes}: expected names, each once")
        for key, values in (("mean", mean), ("std", std)):
            if len(values) != 3 or not all(math.isfinite(value) for value in values):
                raise ValueError(f"{key} {values}: expected a number for each of three channels")
        if min(std) <= 0:
            raise ValueError(f"std {std}: expected numbers above 0, for pixels are divided by them")
        network = cls(
            backbone,
            classes,
            description["head_units"],
            description["dropout"],
            description["standardise"],
        )
        network.mean = 255 * torch.tensor(mean).view(1, 3, 1, 1)
        network.std = 255 * torch.tensor(std).view(1, 3, 1, 1)
        return network
