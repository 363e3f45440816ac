"""A training step of the study in plain Keras, as its notebook does it; a child of `train_step.py`.

    .venv-keras/bin/python benchmarks/keras_step.py head|finetune <batch size> <image size>

Imports nothing of wbc: it runs in the environment of `keras_environment.py`.  The weights are random, which
changes no time.
"""

from __future__ import annotations

import sys
import time

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from step_child import Requests

UNFREEZE_LAST = 50
CLASSES = 5


class StepTimer(keras.callbacks.Callback):
    """Seconds of each step of the last fit."""

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.seconds: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        self._start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.seconds.append(time.perf_counter() - self._start)


def build(phase: str, image_size_px: int, backbone: str = "EfficientNetV2L") -> keras.Model:
    """The study's network, or the same head on another of keras.applications, compiled for `phase`."""
    shape = (image_size_px, image_size_px, 3)
    base = getattr(keras.applications, backbone)(
        weights=None, include_top=False, pooling="avg", input_shape=shape
    )
    base.trainable = phase == "finetune"
    if phase == "finetune":
        for layer in base.layers[:-UNFREEZE_LAST]:
            layer.trainable = False
    l2 = keras.regularizers.l2(1e-4)
    model = keras.Sequential(
        [
            base,
            layers.Dense(128, activation="relu", kernel_regularizer=l2),
            layers.Dropout(0.45),
            layers.Dense(256, activation="relu", kernel_regularizer=l2),
            layers.Dropout(0.45),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(1e-5 if phase == "finetune" else 1e-4, epsilon=1e-7),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
        metrics=["accuracy"],
    )
    return model


def main(phase: str, batch_size: int, image_size_px: int) -> None:
    requests = Requests()
    keras.utils.set_random_seed(0)
    model = build(phase, image_size_px)
    timer = StepTimer()
    rng = np.random.default_rng(0)
    for steps in requests:
        images = rng.uniform(0, 255, (steps * batch_size, image_size_px, image_size_px, 3)).astype("float32")
        labels = keras.utils.to_categorical(rng.integers(0, CLASSES, len(images)), CLASSES)
        model.fit(images, labels, batch_size=batch_size, verbose=0, callbacks=[timer])
        requests.answer(
            timer.seconds,
            device="gpu" if tf.config.list_physical_devices("GPU") else "cpu",
            precision="float32",
            trainable_parameters=sum(int(np.prod(weight.shape)) for weight in model.trainable_weights),
            versions={"keras": keras.__version__, "tensorflow": tf.__version__},
        )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
