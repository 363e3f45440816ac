"""A few epochs of both phases in plain Keras, as the study's notebook trains; a child of `recipe.py`.

    .venv-keras/bin/python benchmarks/keras_recipe.py <folder> <batch> <image size> <epochs> <answer.json>

<folder> holds train/<class> and val/<class>.  Imports nothing of wbc.  The weights are random, which changes
no time.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import keras
import tensorflow as tf
from keras import layers
from keras_step import CLASSES, build
from step_child import peak_memory_mib


class EpochTimer(keras.callbacks.Callback):
    """Seconds of each epoch, validation included."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.seconds.append(time.perf_counter() - self._start)


def images(folder: Path, batch_size: int, image_size_px: int, *, train: bool) -> tf.data.Dataset:
    """Batches from disk; the training images augmented as the study says."""
    found = keras.utils.image_dataset_from_directory(
        folder,
        label_mode="categorical",
        batch_size=batch_size,
        image_size=(image_size_px, image_size_px),
        shuffle=train,
    )
    if train:
        augment = keras.Sequential(
            [
                layers.RandomFlip(),
                layers.RandomRotation(0.5),
                layers.RandomZoom(0.15),
                layers.RandomBrightness(0.15),
                layers.RandomContrast(0.15),
                layers.RandomGaussianBlur(0.3),
            ]
        )
        found = found.map(lambda x, y: (augment(x, training=True), y), num_parallel_calls=tf.data.AUTOTUNE)
    return found.prefetch(tf.data.AUTOTUNE)


def main(folder: Path, batch_size: int, image_size_px: int, epochs: int, answer: Path) -> None:
    keras.utils.set_random_seed(0)
    train = images(folder / "train", batch_size, image_size_px, train=True)
    val = images(folder / "val", batch_size, image_size_px, train=False)
    assert train.element_spec[1].shape[1] == CLASSES
    content: dict[str, object] = {}
    for phase in ("head", "finetune"):
        timer = EpochTimer()
        build(phase, image_size_px).fit(
            train, validation_data=val, epochs=epochs, verbose=0, callbacks=[timer]
        )
        content[phase] = {"epoch_seconds": timer.seconds, "cache_seconds": 0.0}
        keras.backend.clear_session()
    content["peak_memory_mib"] = peak_memory_mib()
    answer.write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
