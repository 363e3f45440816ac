"""Keys that people type out of habit from other programs, and the settings that are meant."""

from __future__ import annotations

from wbc.settings.keys import OF_PRESETS, ending_in, is_known
from wbc.settings.quoting import mended

# Typed -> the last part of the key that is meant, in whichever command has one.
_SAME = {
    **dict.fromkeys(("epochs", "epoch", "num_epochs", "n_epochs"), "max_epochs"),
    **dict.fromkeys(("learning_rate", "learningrate", "rate"), "lr"),
    **dict.fromkeys(("batch", "batchsize", "bs"), "batch_size"),
    **dict.fromkeys(("num_workers", "n_workers", "threads"), "workers"),
    **dict.fromkeys(("image_size", "img_size", "imgsz", "size", "resolution"), "image_size_px"),
    **dict.fromkeys(("class_names", "class", "labels"), "classes"),
    **dict.fromkeys(("pretrained", "pretrained_weights"), "weights"),
    **dict.fromkeys(("weight_decay", "wd"), "l2"),
    **dict.fromkeys(("resume", "continue"), "resume_from"),
    **dict.fromkeys(("ckpt", "model", "model_path", "weights", "init_from"), "checkpoint"),
    **dict.fromkeys(("method", "explainer"), "methods"),
    **dict.fromkeys(("random_seed", "random_state"), "seed"),
    **dict.fromkeys(("out", "output_dir", "save_dir"), "output"),
}
_IMAGES = (
    *("images", "image", "input", "inputs", "data", "dataset"),
    *("source", "folder", "path", "data_dir", "root"),
)
_DEVICE = ("device", "gpu", "accelerator", "cuda")
_RUN_FOLDER = dict.fromkeys(("output", "out", "output_dir", "save_dir"), "hydra.run.dir={value}")
_MEASURING = {
    **dict.fromkeys(_IMAGES, "data={value}"),
    **dict.fromkeys(_DEVICE, "device={device}"),
    **_RUN_FOLDER,
}
# Where more than the key changes, or where a word means something else than above, for each command.
_SPECIAL = {
    "train": {
        **dict.fromkeys(("backbone", "arch", "network", "model_name"), "model=timm model.backbone={value}"),
        **dict.fromkeys(_IMAGES, "data=folder data.root={value}"),
        **dict.fromkeys(("checkpoint", "ckpt"), "init_from={value}"),
        **dict.fromkeys(_DEVICE, "trainer={device}"),
        **dict.fromkeys(("gpus", "devices"), "trainer=ddp trainer.devices={value}"),
        **_RUN_FOLDER,
    },
    "predict": {
        **dict.fromkeys(_IMAGES, "images={value}"),
        **dict.fromkeys(_DEVICE, "accelerator={device}"),
    },
    "review": {
        **dict.fromkeys((*_IMAGES, "prediction", "answers"), "predictions={value}"),
        **dict.fromkeys(("name", "user"), "reviewer={value}"),
        **dict.fromkeys(("address", "bind", "ip"), "host={value}"),
    },
    "serve": {
        **dict.fromkeys(("address", "bind", "ip"), "host={value}"),
        **dict.fromkeys(_DEVICE, "device={device}"),
        **dict.fromkeys(("max_upload", "max_upload_mb", "max_size"), "upload_mb={value}"),
        **_RUN_FOLDER,
    },
    "explain": {
        **dict.fromkeys(_IMAGES, "images={value}"),
        **dict.fromkeys(_DEVICE, "device={device}"),
        **_RUN_FOLDER,
    },
    "export": {
        **dict.fromkeys(_IMAGES, "images={value}"),
        **_RUN_FOLDER,
    },
    "evaluate": _MEASURING,
    "adapt": _MEASURING,
}
# What train does not have, by the last part of the key, and why.
_LOSSES = "loss", "loss_fn", "focal", "focal_loss", "class_weights", "class_weight"
_NO_OTHER_LOSS = (
    "the loss is cross-entropy, for class weights and focal loss gained nothing (docs/results/tried.md). "
    "Rare classes are drawn more often by training.balance=1"
)


def absent(verb: str, key: str) -> str:
    """Why a command has no such setting, where people look for one; "" where nothing is known of it."""
    section, _, name = key.replace("-", "_").lower().rpartition(".")
    return _NO_OTHER_LOSS if verb == "train" and section in ("", "training") and name in _LOSSES else ""


def meant(verb: str, kind: type, key: str, value: str) -> list[str]:
    """The words that say with `verb` what `key=value` was to say, as typed into a shell; [] if not known.

    verb: a command, whose settings are `kind`.  key: as typed, and no setting of it.
    """
    word = key.replace("-", "_").lower()
    section, _, name = word.rpartition(".")
    same = _SAME.get(name, "")
    if section and is_known(kind, f"{section}.{same}"):
        meant_key = OF_PRESETS.get(f"{section}.{same}", f"{section}.{same}")
        return [mended(f"{meant_key}={value}")]
    if special := _SPECIAL[verb].get(word):
        device = value if value in ("auto", "cpu") else ("gpu" if verb == "train" else "cuda")
        return [mended(one.format(value=value, device=device)) for one in special.split()]
    return [mended(f"{one}={value}") for one in ending_in(kind, name) or ending_in(kind, same)]
