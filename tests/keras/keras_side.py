"""What plain Keras does in the tests of its files; run by the Python of `benchmarks/keras_environment.py`.

    keras_side.py models <folder> <application> <size_px> <structure>  random weights, in every form of file
    keras_side.py answers <exported folder> <pixels.npy> <logits.npy>  what an exported folder says in Keras
    keras_side.py layouts <file.json.gz>                               what files hold, without their weights

structure: flat, nested or sequential, as people build on keras.applications.
"""

import gzip
import json
import sys
import tempfile
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
from keras import layers

UNITS = (16, 8)
CLASSES = 5


def build(application: str, size_px: int, structure: str) -> keras.Model:
    """The notebook's model: backbone, pooling, Dense and Dropout; its answers are probabilities."""
    shape = (size_px, size_px, 3)
    pooling = "avg" if structure == "sequential" else None
    base = getattr(keras.applications, application)(
        include_top=False, weights=None, input_shape=shape, pooling=pooling
    )
    head = [
        one
        for units in UNITS
        for one in (
            layers.Dense(units, activation="relu", kernel_regularizer=keras.regularizers.l2(1e-4)),
            layers.Dropout(0.45),
        )
    ]
    head.append(layers.Dense(CLASSES, activation="softmax"))
    if structure == "sequential":
        return keras.Sequential([base, *head])
    pixels = base.input if structure == "flat" else keras.Input(shape)
    values = layers.GlobalAveragePooling2D()(base.output if structure == "flat" else base(pixels))
    for layer in head:
        values = layer(values)
    return keras.Model(pixels, values)


def scramble(model: keras.Model) -> None:
    """Weights and statistics that are neither 0 nor 1.

    Statistics are those of a batch, as after training: with made-up ones values grow a thousandfold on their
    way through hundreds of layers, and with them what float32 rounds.
    """
    rng = np.random.default_rng(0)
    norms = []
    for layer in model._flatten_layers(include_self=False, recursive=True):
        if isinstance(layer, layers.BatchNormalization):
            width = layer.gamma.shape
            layer.gamma.assign(rng.uniform(0.8, 1.2, width))
            layer.beta.assign(rng.normal(0, 0.1, width))
            norms.append((layer, layer.momentum))
            layer.momentum = 0.0
        elif isinstance(layer, layers.Normalization) and layer.variables:
            layer.variables[0].assign(np.array([0.485, 0.456, 0.406]))
            layer.variables[1].assign(np.array([0.229, 0.224, 0.225]) ** 2)
            layer.finalize_state()
        elif isinstance(layer, layers.Dense):
            layer.bias.assign(rng.normal(0, 0.1, layer.bias.shape))
    model(rng.integers(0, 256, (8, *model.input_shape[1:])).astype(np.float32), training=True)
    for layer, momentum in norms:
        layer.momentum = momentum


def logits(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    """(N, size, size, 3) to what comes before the softmax, (N, classes)."""
    *_, before, last = [layer for layer in model.layers if not isinstance(layer, layers.Dropout)]
    values = keras.Model(model.inputs, before.output)(pixels, training=False)
    return np.asarray(values) @ np.asarray(last.kernel) + np.asarray(last.bias)


def save(model: keras.Model, folder: Path) -> None:
    model.save(folder / "model.keras")
    model.save(folder / "model.h5")
    model.save_weights(folder / "model.weights.h5")


def models(folder: Path, application: str, size_px: int, structure: str) -> None:
    model = build(application, size_px, structure)
    scramble(model)
    save(model, folder)
    pixels = np.random.default_rng(1).integers(0, 256, (20, size_px, size_px, 3)).astype(np.float32)
    np.savez(folder / "answers.npz", pixels=pixels, logits=logits(model, pixels))


def answers(exported: Path, pixels: Path, into: Path) -> None:
    sys.path.insert(0, str(exported))
    import keras_model

    np.save(into, keras_model.build("linear").predict(np.load(pixels), verbose=0))


def layouts(into: Path) -> None:
    told = {}
    for structure in ("flat", "nested"):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            save(build("EfficientNetB0", 64, structure), folder)
            with zipfile.ZipFile(folder / "model.keras") as archive:
                archive.extract("model.weights.h5", folder / "inside")
                config = archive.read("config.json").decode()
            told[structure] = {
                "keras": keras.__version__,
                "config": config,
                "model.keras": layout(folder / "inside" / "model.weights.h5"),
                "model.h5": layout(folder / "model.h5"),
                "model.weights.h5": layout(folder / "model.weights.h5"),
            }
    into.write_bytes(gzip.compress(json.dumps(told).encode(), mtime=0))


def layout(file: Path) -> dict:
    """Shapes of arrays and attributes of groups, by path."""
    found: dict = {"shapes": {}, "attributes": {}}

    def note(path: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            found["shapes"][path] = item.shape
        if item.attrs:
            found["attributes"][path] = {
                name: value.tolist() if isinstance(value, np.ndarray) else value
                for name, value in item.attrs.items()
            }

    with h5py.File(file) as opened:
        note("/", opened)
        opened.visititems(note)
    return found


if __name__ == "__main__":
    verb, *words = sys.argv[1:]
    if verb == "models":
        models(Path(words[0]), words[1], int(words[2]), words[3])
    elif verb == "answers":
        answers(*map(Path, words))
    else:
        layouts(Path(words[0]))
