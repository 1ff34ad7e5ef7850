"""Models by name: Keras' classifiers, and QuickNet of larq."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path
from typing import Any

from mlee.backends.base import PublishedAccuracy
from mlee.backends.tensorflow.framework import keras
from mlee.backends.tensorflow.preprocessing import Preprocessing
from mlee.backends.tensorflow.published import PUBLISHED, QUICKNET, Published
from mlee.catalogue import match_name
from mlee.errors import BackendError, BackendUnavailable, ConfigError

IMAGENET_CLASSES = 1000
_URL = re.compile(r"https?://\S+?(?=:? )")


class ModelSource(ABC):
    """One model that can be built: name, weights, preprocessing. All models take images (n, size, size, 3) to logits."""

    name: str
    published: Published

    @property
    @abstractmethod
    def weights_name(self) -> str:
        """Name of the published weights this source would load."""

    @abstractmethod
    def build(self, size: int, pretrained: bool, classes: int = IMAGENET_CLASSES) -> Any:
        """Build the network for images of `size` px, with the published weights or random ones; raises `BackendError`.

        Only random weights know other classes than those of ImageNet.
        """

    @abstractmethod
    def _values(self) -> Any:
        """Return the function that maps pixels 0..255 to the range of the weights."""

    def preprocessing(self) -> Preprocessing:
        """Return the preprocessing that belongs to the published weights."""
        size, crop = self.published.size, self.published.crop
        resize = {"7/8": round(size / 0.875), "margin": size + 32, "whole": None}[crop]
        return Preprocessing(
            crop_size=size, resize_size=resize, interpolation=self.published.interpolation, values=self._values()
        )

    def published_accuracy(self) -> PublishedAccuracy | None:
        """Accuracy that is published with the weights."""
        found = self.published
        if found.top1 is None:
            return None
        top5 = None if found.top5 is None else found.top5 / 100
        return PublishedAccuracy(top1=found.top1 / 100, top5=top5, source=found.accuracy_source)


class KerasModel(ModelSource):
    """A classifier of `keras.applications`."""

    def __init__(self, name: str) -> None:
        """Choose it by Keras' name."""
        self.name = name
        self.published = PUBLISHED[name]

    @property
    def weights_name(self) -> str:
        """Keras has one set of weights for each classifier."""
        return f"keras.applications {self.name} imagenet"

    def build(self, size: int, pretrained: bool, classes: int = IMAGENET_CLASSES) -> Any:
        """Build the network; published weights are downloaded once and cached by Keras."""
        if not pretrained:
            return self._build(size, None, classes)
        model = self._download()
        if size == self.published.size:
            return model
        resized = self._build(size, None)
        try:
            resized.set_weights(model.get_weights())
        except ValueError as error:
            raise ConfigError(
                f"The weights of {self.name} are for images of {self.published.size} px only.", "leave --image-size out"
            ) from error
        return resized

    def _build(self, size: int, weights: str | None, classes: int = IMAGENET_CLASSES) -> Any:
        try:
            # Logits, as PyTorch's models give: the loss is computed from them, and softmax hides infinities.
            make = getattr(keras.applications, self.name)
            return make(weights=weights, classifier_activation=None, input_shape=(size, size, 3), classes=classes)
        except ValueError as error:
            raise ConfigError(
                f"{self.name} cannot be built for images of {size} px: {str(error).splitlines()[0]}",
                f"pass another --image-size, such as {self.published.size}",
            ) from error

    def _download(self) -> Any:
        try:
            return self._build(self.published.size, "imagenet")
        except ConfigError:
            raise
        except Exception as error:  # Keras raises a bare Exception when a download fails
            url = _URL.search(str(error))
            cache = Path(os.environ.get("KERAS_HOME", "~/.keras")) / "models"
            hint = "pass --weights random, or a file of weights"
            if url is not None:
                hint = f"download {url[0]} elsewhere and put it into {cache}, or {hint}"
            raise BackendError(f"The weights of {self.name} could not be downloaded ({error}).", hint) from error

    def _values(self) -> Any:
        return getattr(keras.applications, self.published.module).preprocess_input


class QuickNet(ModelSource):
    """A binarised network of larq_zoo, which needs TensorFlow 2.19 and tf-keras and therefore an environment of its own."""

    def __init__(self, name: str) -> None:
        """Choose it by larq's name."""
        self.name = name
        self.published = QUICKNET[name]

    @property
    def weights_name(self) -> str:
        """Larq has one set of weights for each of them."""
        return f"larq_zoo.sota {self.name} imagenet"

    def build(self, size: int, pretrained: bool, classes: int = IMAGENET_CLASSES) -> Any:
        """Build the network without its softmax; larq downloads published weights from GitHub."""
        try:
            import larq_zoo
            import tf_keras
        except (ImportError, AttributeError) as error:
            raise BackendUnavailable(
                f"{self.name} needs larq, which cannot be imported ({error}).",
                "larq works with TensorFlow 2.19 or older: make an environment for it alone and run "
                '`pip install -e . "tensorflow-cpu==2.19.*" "tf-keras==2.19.*" larq larq-zoo scikit-image scikit-learn`',
            ) from error
        make = partial(getattr(larq_zoo.sota, self.name), input_shape=(size, size, 3), num_classes=classes)
        try:
            model = make(weights="imagenet" if pretrained else None)
        except Exception as error:
            raise BackendError(
                f"{self.name} cannot be built: {error}", "pass --weights random, or leave --image-size out"
            ) from error
        return tf_keras.Model(model.inputs, model.layers[-2].output)

    def _values(self) -> Any:
        return partial(keras.applications.imagenet_utils.preprocess_input, mode="torch")


def model_names() -> tuple[str, ...]:
    """Names of all models of this environment: QuickNet only where larq is installed."""
    from importlib.util import find_spec

    return (*PUBLISHED, *(QUICKNET if find_spec("larq_zoo") else ()))


def find_model(name: str, weights: str | None = None) -> ModelSource:
    """Find a model by its name, that of 2022 or Keras' own; raises `ConfigError` that offers the closest names."""
    found = match_name(name, (*PUBLISHED, *QUICKNET))
    if weights not in (None, "imagenet"):
        raise ConfigError(
            f"--weights '{weights}' is neither a file nor published weights of {found}.", "use pretrained, random, or a file"
        )
    return QuickNet(found) if found in QUICKNET else KerasModel(found)


def load_weights_file(model: Any, path: Path) -> None:
    """Load a file of weights (`.weights.h5` or `.h5`); raises `BackendError` naming it."""
    try:
        model.load_weights(path)
    except Exception as error:  # h5py and Keras raise half a dozen kinds for a damaged file; each means the same here
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise BackendError(
            f"--weights {path} does not hold weights of this model: {reason}",
            "give a file written by model.save_weights('....weights.h5') of the same architecture",
        ) from error
