"""What a file of Keras holds, read as data: no layer is built and no code in it is run.

Three kinds are known: `.keras` (a zip of config.json and model.weights.h5), Keras 3's `.weights.h5`, and the
older `.h5` of a whole model or its weights.
"""

from __future__ import annotations

import importlib.util
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wbc.errors import CheckpointError

SUFFIXES = (".keras", ".h5", ".hdf5")

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"  # in a .keras archive
_MOST_BYTES = 8 * 2**30  # of the unpacked weights; EfficientNetV2-L has half a gigabyte
_OPTIMIZER = ("optimizer", "optimizer_weights")
# Keras 3 numbers the arrays of a layer; here is what they are, by its kind.
_ROLES = {
    "conv2d": ("kernel", "bias"),
    "depthwise_conv2d": ("kernel", "bias"),
    "dense": ("kernel", "bias"),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "normalization": ("mean", "variance", "count"),
}

# What h5py, zipfile and json say to content that is damaged or of another kind.
_MISREAD = (OSError, KeyError, ValueError, TypeError, RuntimeError, RecursionError, AttributeError)

Arrays = dict[str, np.ndarray]  # by role: kernel, bias, gamma, ...


@dataclass(frozen=True)
class KerasLayer:
    """One layer as the configuration tells it."""

    name: str
    kind: str  # Conv2D, ...
    settings: Mapping[str, Any]


@dataclass
class KerasFile:
    """Arrays of each layer that has some, and the layers in order, where the file tells them.

    named: layer -> its arrays.  numbered: likewise where the file has no names: kind and number -> its
    arrays, as ("conv2d", 0).  order: names of layers with arrays, as far as the file tells their order.
    """

    path: Path
    named: dict[str, Arrays] = field(default_factory=dict)
    numbered: dict[tuple[str, int], Arrays] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    layers: list[KerasLayer] | None = None


def is_keras(path: str | Path) -> bool:
    """Whether the name is that of a file of Keras."""
    return str(path).lower().endswith(SUFFIXES)


def read_keras(path: str | Path) -> KerasFile:
    """The content of a file that Keras wrote.

    Raises CheckpointError, with the mend, for a file that is missing, damaged or none of Keras; for a Lambda
    and every other layer that holds code; and where h5py is not installed.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise CheckpointError(f"no file {path}: give a .keras, .h5 or .weights.h5 file that Keras wrote")
    if importlib.util.find_spec("h5py") is None:
        raise CheckpointError(f'{path}: files of Keras are read by h5py: pip install "wbc[keras]"')
    found = KerasFile(path)
    try:
        if zipfile.is_zipfile(path):
            _read_archive(found)
        else:
            _read_hdf5(found, path)
    except (
        OSError,
        KeyError,
        ValueError,
        TypeError,
        RuntimeError,
        RecursionError,
        zipfile.BadZipFile,
    ) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"{path} cannot be read as a file of Keras ({type(error).__name__}: {reason}): save it again, by "
            "model.save('model.keras') or model.save_weights('model.weights.h5')"
        ) from error
    if not found.named and not found.numbered:
        raise CheckpointError(f"{path} holds no weights: save it again, by model.save('model.keras')")
    return found


def _read_archive(found: KerasFile) -> None:
    with zipfile.ZipFile(found.path) as archive:
        names = set(archive.namelist())
        if not {_CONFIG, _WEIGHTS} <= names:
            raise ValueError(f"it holds {', '.join(sorted(names)[:5])}, and not {_CONFIG} and {_WEIGHTS}")
        if archive.getinfo(_WEIGHTS).file_size > _MOST_BYTES or archive.getinfo(_CONFIG).file_size > 2**28:
            raise ValueError("it unpacks to more than any network takes")
        found.layers = _layers(json.loads(archive.read(_CONFIG)), found.path)
        _read_hdf5(found, io.BytesIO(archive.read(_WEIGHTS)))


def _read_hdf5(found: KerasFile, source: Path | io.BytesIO) -> None:
    import h5py

    with h5py.File(source, "r") as file:
        if "model_config" in file.attrs:
            found.layers = _layers(json.loads(_text(file.attrs["model_config"])), found.path)
        root = file.get("model_weights", file)
        if "layer_names" in root.attrs:
            _read_by_names(found, root)
        else:
            _read_store(found, root)


def _read_by_names(found: KerasFile, root: Any) -> None:
    """The older layout: .../<layer>/<role>, in groups whose order an attribute tells."""
    for group in map(_text, root.attrs["layer_names"]):
        listed = [_text(name) for name in _attribute_parts(root[group], "weight_names")]
        arrays = {name: array for name, array in _arrays(root[group])}
        for name in listed:
            layer, role = name.split("/")[-2:]
            if layer not in found.named:
                found.order.append(layer)
            role = role.partition(":")[0].removeprefix("depthwise_")
            found.named.setdefault(layer, {})[role] = arrays[name]


def _attribute_parts(group: Any, name: str) -> list[Any]:
    """An attribute, which Keras cuts into <name>0, <name>1, ... where it is too long for HDF5."""
    if name in group.attrs:
        return list(group.attrs[name])
    parts: list[Any] = []
    while f"{name}{len(parts)}" in group.attrs:
        parts.append(group.attrs[f"{name}{len(parts)}"])
    return [one for part in parts for one in part]


def _read_store(found: KerasFile, root: Any) -> None:
    """Keras 3's layout: .../<kind>_<number>/vars/<array's number>, the layer's name as an attribute."""
    stored: dict[str, dict[int, np.ndarray]] = {}
    for name, array in _arrays(root):
        place, _, index = name.rpartition("/vars/")
        stored.setdefault(place, {})[int(index)] = array
    numbers = {place: _kind_and_number(place) for place in stored}
    for place in sorted(stored, key=lambda place: numbers[place]):
        kind, number = numbers[place]
        arrays = [stored[place][index] for index in sorted(stored[place])]
        by_role = dict(zip(_ROLES.get(kind, map(str, range(len(arrays)))), arrays, strict=False))
        name = root[f"{place}/vars"].attrs.get("name")
        if name is None:
            found.numbered[kind, number] = by_role
        else:
            found.named[_text(name)] = by_role
            found.order.append(_text(name))


def _kind_and_number(place: str) -> tuple[str, int]:
    found = re.fullmatch(r"(.*?)(?:_(\d+))?", place.rpartition("/")[2])
    assert found is not None
    return found[1], int(found[2] or 0)


def _arrays(root: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Every array below `root` with its path, but the optimizer's; ValueError for one that lies elsewhere."""
    import h5py

    def walk(group: Any, prefix: str) -> Iterator[tuple[str, np.ndarray]]:
        for name in group:
            if not prefix and name in _OPTIMIZER:
                continue
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{prefix}{name} is a link to elsewhere")
            item = group[name]
            if isinstance(item, h5py.Group):
                yield from walk(item, f"{prefix}{name}/")
                continue
            if item.external or item.is_virtual:
                raise ValueError(f"{prefix}{name} lies in another file")
            if item.dtype.kind not in "fiu" or item.size * item.dtype.itemsize > _MOST_BYTES:
                raise ValueError(f"{prefix}{name} is no array of numbers")
            yield f"{prefix}{name}", np.asarray(item)

    yield from walk(root, "")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _layers(config: Any, path: Path) -> list[KerasLayer]:
    """All layers in order, those of nested models in their place."""
    kind, settings = config["class_name"], config["config"]
    name = settings.get("name", kind)
    if kind == "Lambda":
        raise CheckpointError(
            f"{path}: layer {name} is a Lambda, which holds code, and code of a file is not run: build "
            "the model without it, such as by a Rescaling layer, load its weights there, and save it again"
        )
    module = config.get("module")
    if module is not None and not str(module).startswith("keras"):
        raise CheckpointError(
            f"{path}: layer {name} is {module}.{kind}, whose code is not here: build the model of "
            "Keras's own layers, load its weights there, and save it again"
        )
    if "layers" not in settings:
        return [KerasLayer(name, kind, settings)]
    return [layer for inner in settings["layers"] for layer in _layers(inner, path)]
