"""From an image to what a network is trained on, and validated on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torchvision import transforms
from torchvision.transforms import AutoAugmentPolicy, InterpolationMode
from torchvision.transforms._presets import ImageClassification

from mlee.backends.pytorch.models import find_model, with_image_size
from mlee.backends.trained import TrainedModel
from mlee.backends.training_base import AUTO_AUGMENT, TrainingRequest
from mlee.datasets.training import TrainingData
from mlee.errors import ConfigError

#: `--preprocessing custom`: size, crop, mean and deviation that torchvision trains with (its references/classification).
_CUSTOM = ImageClassification(crop_size=224, interpolation=InterpolationMode.BILINEAR)


def base_preset(preprocessing: str, model: str) -> ImageClassification:
    """Return the preprocessing that `--preprocessing` names: `builtin`, `custom`, or another model."""
    if preprocessing == "custom":
        return _CUSTOM
    return find_model(model if preprocessing == "builtin" else preprocessing).preprocessing()


def validation_preset(request: TrainingRequest, data: TrainingData) -> ImageClassification:
    """Return the preprocessing of the images for validation: resize and centre crop; `data.whole` is resized only."""
    preset = with_image_size(base_preset(request.preprocessing, request.model), request.image_size or data.image_size)
    return adapt(
        preset,
        interpolation=request.interpolation,
        resize_size=preset.crop_size[0] if data.whole else None,
    )


def trained_preset(trained: TrainedModel) -> ImageClassification:
    """Return the preprocessing of the images that a training validated with."""
    preset = with_image_size(base_preset(trained.preprocessing, trained.model), trained.image_size)
    return adapt(preset, interpolation=trained.interpolation, resize_size=trained.resize_size)


def adapt(
    preset: ImageClassification, *, interpolation: str | None = None, resize_size: int | None = None
) -> ImageClassification:
    """Return the same preprocessing with another interpolation or resize [px]."""
    return ImageClassification(
        crop_size=preset.crop_size[0],
        resize_size=resize_size or preset.resize_size[0],
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        interpolation=preset.interpolation if interpolation is None else InterpolationMode(interpolation),
    )


def training_transform(request: TrainingRequest, data: TrainingData, preset: ImageClassification) -> Callable[[Any], Any]:
    """Return what an image goes through at training: crop and mirror at random, then what the user adds.

    Random numbers are torch's; raises `ConfigError` for an unknown policy.
    """
    size, interpolation = preset.crop_size[0], preset.interpolation
    steps: list[Any] = []
    if data.whole:
        steps.append(transforms.Resize((size, size), interpolation=interpolation))
    else:
        steps.append(transforms.RandomResizedCrop(size, interpolation=interpolation))
        steps.append(transforms.RandomHorizontalFlip())
    if request.auto_augment is not None:
        steps.append(_policy(request.auto_augment, interpolation))
    steps += [
        transforms.PILToTensor(),
        transforms.ConvertImageDtype(torch.float32),
        transforms.Normalize(mean=tuple(preset.mean), std=tuple(preset.std)),
    ]
    if request.random_erase > 0:
        steps.append(transforms.RandomErasing(p=request.random_erase))
    composed: Callable[[Any], Any] = transforms.Compose(steps)
    return composed


def _policy(name: str, interpolation: InterpolationMode) -> Any:
    match name:
        case "ra":
            return transforms.RandAugment(interpolation=interpolation)
        case "ta_wide":
            return transforms.TrivialAugmentWide(interpolation=interpolation)
        case "augmix":
            return transforms.AugMix(interpolation=interpolation)
        case "imagenet" | "cifar10" | "svhn":
            return transforms.AutoAugment(AutoAugmentPolicy(name), interpolation=interpolation)
    raise ConfigError(f"Unknown --auto-augment '{name}'.", f"use one of {', '.join(AUTO_AUGMENT)}, or leave it out")
