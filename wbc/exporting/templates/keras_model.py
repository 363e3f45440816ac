"""The network of model.weights.h5 in Keras 3: `python keras_model.py cell.png ...`, or `build()`.

It says what the network alone says: class and probability, uncalibrated.  Rule of answers, prediction sets
and whatever else the model has beside its network stay with wbc.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

HERE = Path(__file__).resolve().parent
TOLD = json.loads((HERE / "network.json").read_text(encoding="utf-8"))


def build(activation: str = "softmax") -> keras.Model:
    """The model with its weights: (N, size, size, 3) pixels of 0..255, RGB, to (N, classes).

    activation: of the last layer; "linear" gives logits.
    """
    size = TOLD["image_size_px"]
    pixels = keras.Input((size, size, 3))
    application = getattr(keras.applications, TOLD["application"])
    options = {"include_top": False, "weights": None, "input_shape": (size, size, 3)}
    values = pixels
    if TOLD["rescaling"]:
        values = keras.layers.Rescaling(**TOLD["rescaling"])(values)
        options["include_preprocessing"] = False
    values = keras.layers.GlobalAveragePooling2D()(application(**options)(values))
    for units in TOLD["head_units"]:
        values = keras.layers.Dense(units, activation="relu")(values)
        values = keras.layers.Dropout(TOLD["dropout"])(values)
    model = keras.Model(pixels, keras.layers.Dense(len(TOLD["classes"]), activation=activation)(values))
    model.load_weights(HERE / "model.weights.h5")
    return model


def main() -> None:
    """A line a picture: its name, class and probability."""
    size = TOLD["image_size_px"]
    model = build()
    for name in sys.argv[1:]:
        picture = keras.utils.load_img(name, target_size=(size, size), interpolation="bilinear")
        chances = model.predict(np.asarray(picture, dtype="float32")[None], verbose=0)[0]
        print(f"{name},{TOLD['classes'][int(chances.argmax())]},{chances.max():.4f}")


if __name__ == "__main__":
    main()
