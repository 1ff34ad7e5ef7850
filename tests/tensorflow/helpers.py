"""What the tests of TensorFlow and of its exports share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

from mlee.backends.base import InferenceRequest
from mlee.backends.tensorflow.inference import TensorFlowInference
from mlee.datasets.imagenet import wordnet_ids

SMALL = "MobileNet"
LABELS = (5, 5, 5, 281, 281, 999, 999)


def request(**fields: Any) -> InferenceRequest:
    defaults: dict[str, Any] = {
        "model": SMALL,
        "data_path": "sample:6",
        "weights": "random",
        "device": "cpu",
        "batch_size": 4,
        "workers": 0,
        "image_size": 32,
        "seed": 3,
    }
    return InferenceRequest(**{**defaults, **fields})


def backend(**fields: Any) -> TensorFlowInference:
    return TensorFlowInference(request(**fields))


def nothing(samples: int) -> None:
    pass


def write_photographs(folder: Path) -> Path:
    """Seven images in three class folders, in ImageNet's layout."""
    draw = np.random.default_rng(0)
    for number, label in enumerate(LABELS):
        place = folder / "val" / wordnet_ids()[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(place / f"{number}.png")
    return folder


def tiny_network(self: Any, size: int, weights: str | None, classes: int = 1000) -> Any:
    """Stands in for `KerasModel._build` where it does not matter which network runs: made in a moment."""
    images = keras.Input((size, size, 3))
    features = keras.layers.Conv2D(8, 4, strides=4, activation="relu", name="conv")(images)
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization()(features))
    return keras.Model(images, keras.layers.Dense(classes, name="predictions")(features))


def favour(model: Any, *classes: int) -> None:
    """Lift some classes above all others, the last the highest, so that hits happen."""
    kernel, bias = model.get_layer("predictions").weights
    kernel.assign(0.001 * kernel)
    lifted = np.zeros(1000, dtype=np.float32)
    lifted[list(classes)] = 1 + np.arange(len(classes))
    bias.assign(lifted)


def truth(logits: np.ndarray[Any, Any], labels: tuple[tuple[int, ...], ...]) -> tuple[float, float]:
    order = np.argsort(-logits, axis=1)
    top1 = np.mean([order[row, 0] in right for row, right in enumerate(labels)])
    top5 = np.mean([bool(set(order[row, :5]) & set(right)) for row, right in enumerate(labels)])
    return float(top1), float(top5)
