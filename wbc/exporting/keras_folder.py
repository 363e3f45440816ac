"""A network as a state that Keras loads, with the code that builds its model there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from wbc.errors import CheckpointError
from wbc.network.keras_file import read_keras
from wbc.network.keras_weights import TWINS, Weight, backbone_weights, numbered
from wbc.network.network import Network

WEIGHTS = "model.weights.h5"
_CODE = "keras_model.py"
_PIXELS = 255.0
_ROLES = {"kernel": 0, "bias": 1, "gamma": 0, "beta": 1, "moving_mean": 2, "moving_variance": 3}


def write_keras_folder(network: Network, folder: Path) -> None:
    """Write weights, what tells the model, and the code that builds it; the weights are read back, compared.

    Raises CheckpointError for a network that keras.applications does not have.
    """
    import h5py

    arrays = dict(_arrays(network))
    with h5py.File(folder / WEIGHTS, "w") as file:
        for place, array in arrays.items():
            file.create_dataset(place, data=array)
    told = _told(network)
    (folder / "network.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    code = (Path(__file__).parent / "templates" / _CODE).read_text(encoding="utf-8")
    (folder / _CODE).write_text(code, encoding="utf-8")
    back = read_keras(folder / WEIGHTS)
    for weight, number in numbered(backbone_weights(network)):
        kept = back.numbered[weight.kind, number][weight.role]
        if not np.array_equal(kept, arrays[_place(weight, number)]):
            raise CheckpointError(
                f"{folder / WEIGHTS}: {weight.layer} was not written whole; export it again"
            )


def _told(network: Network) -> dict[str, Any]:
    ours = network.backbone.name.split(".")[0]
    application = next(theirs for theirs, twin in TWINS.items() if twin == ours)
    mean, std = (values.flatten().double().numpy() for values in (network.mean, network.std))
    return {
        "application": application,
        "image_size_px": network.image_size_px,
        "classes": network.classes,
        "head_units": network.head_units,
        "dropout": network.dropout,
        # The older networks keep the scale of pixels in a layer with weights.
        "rescaling": _rescaling(mean, std) if "V2" in application else None,
    }


def _rescaling(mean: np.ndarray, std: np.ndarray) -> dict[str, list[float]]:
    return {"scale": (1 / std).tolist(), "offset": (-mean / std).tolist()}


def _arrays(network: Network) -> Iterator[tuple[str, np.ndarray]]:
    """Path in the file and array, in the layout of Keras 3, of the model that the code builds."""
    state = network.state_dict()
    for weight, number in numbered(backbone_weights(network)):
        yield _place(weight, number), weight.to_keras(state[weight.ours])
    if "v2" not in network.backbone.name:
        mean, std = (values.flatten().cpu().numpy() / _PIXELS for values in (network.mean, network.std))
        for index, array in enumerate((mean, std**2, np.zeros((), np.int64))):
            yield f"layers/functional/layers/normalization/vars/{index}", array
    for number, kernel in enumerate(network.head.kernels):
        place = f"layers/dense{f'_{number}' if number else ''}/vars"
        yield f"{place}/0", np.ascontiguousarray(kernel.weight.detach().cpu().numpy().T)
        yield f"{place}/1", kernel.bias.detach().cpu().numpy()


def _place(weight: Weight, number: int) -> str:
    layer = f"{weight.kind}_{number}" if number else weight.kind
    return f"layers/functional/layers/{layer}/vars/{_ROLES[weight.role]}"
