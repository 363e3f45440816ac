"""Plain Keras, as the study's notebook trains; a row of `peers.py`."""

from __future__ import annotations

import time

import keras
import tensorflow as tf
from keras_recipe import EpochTimer, images
from keras_step import build
from peers_job import PHASES, Answer, read_arguments


def main() -> None:
    job, answer_file = read_arguments()
    keras.utils.set_random_seed(0)
    train, val = (
        images(f"{job.images}/{split}", job.batch_size, job.image_size_px, train=split == "train")
        for split in ("train", "val")
    )
    answer = Answer("32-true", {"keras": keras.__version__, "tensorflow": tf.__version__})
    for phase in PHASES:
        timer = EpochTimer()
        model = build(phase, job.image_size_px, job.backbone)
        model.fit(train, validation_data=val, epochs=job.epochs, verbose=0, callbacks=[timer])
        answer.phases[phase] = {"epoch_seconds": timer.seconds, "cache_seconds": 0.0}
    answer.trained_s = time.time() - job.started

    started = time.perf_counter()
    files = keras.utils.image_dataset_from_directory(
        job.predict,
        labels=None,
        batch_size=job.predict_batch_size,
        image_size=(job.image_size_px, job.image_size_px),
        shuffle=False,
    )
    found = model.predict(files, verbose=0).argmax(axis=1)
    answer.labels = {path: job.classes[label] for path, label in zip(files.file_paths, found, strict=True)}
    answer.predict_s = time.perf_counter() - started
    answer.write(answer_file)


if __name__ == "__main__":
    main()
