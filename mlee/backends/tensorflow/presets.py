"""Which preprocessing a model gets, at training and afterwards."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from mlee.backends.tensorflow.framework import keras
from mlee.backends.tensorflow.models import ModelSource, find_model
from mlee.backends.tensorflow.preprocessing import Preprocessing
from mlee.backends.trained import TrainedModel
from mlee.backends.training_base import TrainingRequest
from mlee.datasets.training import TrainingData

#: Values, size and crop that are usual for ImageNet, whatever the model.
_CUSTOM = Preprocessing(
    crop_size=224,
    resize_size=256,
    interpolation="bilinear",
    values=partial(keras.applications.imagenet_utils.preprocess_input, mode="torch"),
)


def _find(name: str, source: ModelSource) -> Preprocessing:
    if name == "custom":
        return _CUSTOM
    return (source if name == "builtin" else find_model(name)).preprocessing()


def training_preset(source: ModelSource, request: TrainingRequest, data: TrainingData) -> Preprocessing:
    """Return the preprocessing for the images to validate with; raises `ConfigError`."""
    preset = _find(request.preprocessing, source).with_size(request.image_size or data.image_size)
    if data.whole:
        preset = replace(preset, resize_size=preset.crop_size)
    return replace(preset, interpolation=request.interpolation or preset.interpolation)


def trained_preset(source: ModelSource, trained: TrainedModel) -> Preprocessing:
    """Return the preprocessing that a training validated with."""
    return replace(
        _find(trained.preprocessing, source),
        crop_size=trained.image_size,
        resize_size=trained.resize_size,
        interpolation=trained.interpolation,
    )
