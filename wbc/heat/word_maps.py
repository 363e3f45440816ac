"""Where a word comes from: Grad-CAM on the head of its attribute, in place of the head of the classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from wbc.errors import ConfigError
from wbc.heat.cams import LAST, ClassActivationMap
from wbc.heat.views import VIEWS, SteadyMap
from wbc.network.network import Network
from wbc.plain.words import CellWords, FittedWords, Word

METHODS = ("gradcam", "gradcam++", "hirescam", "layercam")  # what depends on a head, and takes one pass


class WordMap:
    """Heat for what a model says of one attribute; name: what it is called beside methods.

    Raises ConfigError for an attribute that the words do not have, and as `ClassActivationMap` does.
    """

    def __init__(
        self,
        network: Network,
        words: FittedWords,
        attribute: str,
        method: str = "gradcam",
        layer: str = LAST,
        views: int = VIEWS,
    ) -> None:
        if attribute not in words.names:
            raise ConfigError(f"attribute {attribute!r}: the model tells {', '.join(words.names)}")
        self.attribute = attribute
        self.name = f"{attribute} by {method}{'' if layer == LAST else f':{layer}'}"
        place = words.names.index(attribute)
        self._values = words.values[place]
        head = _head(words, words.parts()[place], network)
        self._map = SteadyMap(ClassActivationMap(network, method, layer, head=head), views)
        self.layers = self._map.layers

    def word(self, cell: CellWords) -> Word:
        """What is said of the attribute."""
        return next(word for word in cell.words if word.attribute == self.attribute)

    def heat(self, images: Tensor, cells: Sequence[CellWords]) -> Tensor:
        """What speaks for the most probable value of each of N cells, answered or not, over its others.

        images: (N, 3, H, W) of 0..255.  Returns (N, H, W) float32 on the CPU, 0 or more.
        """
        numbers = [self._values.index(self.word(cell).value) for cell in cells]
        return self._map(images, torch.tensor(numbers))


def _head(words: FittedWords, part: slice, network: Network) -> nn.Linear:
    """Features (N, D) to a logit for each value of one attribute, above the mean of them all: of a softmax
    only differences count.
    """
    weight, bias = torch.from_numpy(words.weight[:, part]), torch.from_numpy(words.bias[part])
    head = nn.Linear(len(weight), weight.shape[1], device=network.device).requires_grad_(False)
    head.weight.copy_((weight - weight.mean(dim=1, keepdim=True)).T)
    head.bias.copy_(bias - bias.mean())
    return head
