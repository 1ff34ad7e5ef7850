"""Models of TensorFlow in ONNX Runtime."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mlee.backends.base import InferenceRequest
from mlee.backends.onnx.inference import Images, OnnxInference, Source
from mlee.backends.tensorflow.framework import keras, tf
from mlee.backends.tensorflow.inference import TensorFlowInference
from mlee.backends.tensorflow.trouble import expected_trouble

# isort: split
# Keras imports it late, and says less clearly that it is missing. It imports TensorFlow: the guard above must come first.
import tf2onnx  # noqa: F401


class OnnxFromTensorFlow(OnnxInference):
    """A classifier of Keras, exported by `tf2onnx`."""

    name = "onnx_tensorflow"

    def _open(self, request: InferenceRequest) -> Source:
        self._tensorflow = TensorFlowInference(request)
        return self._tensorflow

    @staticmethod
    def model_names() -> tuple[str, ...]:
        """Names of all models: those of TensorFlow but QuickNet, whose binary layers ONNX has no operators for."""
        return tuple(name for name in TensorFlowInference.model_names() if not name.startswith("QuickNet"))

    def _export(self, path: Path) -> None:
        model, size = self._tensorflow.model, self._tensorflow.resolved.image_size
        images = tf.TensorSpec((None, size, size, 3), tf.float32, name="images")
        logger = logging.getLogger("tf2onnx")
        level = logger.level
        logger.setLevel(logging.CRITICAL)  # it shows the traceback of an optimisation that it then leaves out
        try:
            with warnings.catch_warnings(), _exportable(model):
                warnings.simplefilter("ignore")
                model.export(str(path), format="onnx", input_signature=[images], verbose=False)
        finally:
            logger.setLevel(level)

    def _original(self, images: Images) -> Images:
        return np.asarray(self._tensorflow.forward(tf.constant(images)))

    def _examples(self, count: int) -> Images:
        draw = np.random.default_rng(0)
        size = self._tensorflow.resolved.image_size
        pixels = [draw.integers(0, 256, (size, size, 3), dtype=np.uint8) for _ in range(count)]
        prepare = self._tensorflow.preset.prepare
        return np.stack([np.asarray(prepare(tf.constant(one))) for one in pixels])

    def _loading(self) -> Any:
        return expected_trouble("A batch of images")


@contextmanager
def _exportable(model: Any) -> Iterator[None]:
    """Have layers say what they compute in terms that tf2onnx knows; what they compute stays the same.

    * Constants of a normalisation: as tensors they would become inputs of the exported model, as arrays they are part of it.
    * Convolutions with a group for each channel (ConvNeXt): Keras compiles them with XLA, which hides them.
    * GELU: TensorFlow computes it with erfc, which tf2onnx does not know.
    """
    convolutions, gelus = [], []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.mean, layer.variance = np.asarray(layer.mean), np.asarray(layer.variance)
        elif isinstance(layer, keras.layers.Conv2D) and 1 < layer.groups == layer.filters == layer.input.shape[-1]:
            layer.convolution_op = partial(_convolve_channels, strides=layer.strides, padding=layer.padding)
            convolutions.append(layer)
        elif isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.gelu:
            layer.activation = _gelu
            gelus.append(layer)
    try:
        yield
    finally:
        for layer in convolutions:
            del layer.convolution_op  # that of the class shows again
        for layer in gelus:
            layer.activation = keras.activations.gelu


def _gelu(features: Any) -> Any:
    return 0.5 * features * (1.0 + tf.math.erf(features * math.sqrt(0.5)))


def _convolve_channels(images: Any, kernel: Any, *, strides: tuple[int, int], padding: str) -> Any:
    """Convolve each channel with its own kernel (height, width, 1, channels)."""
    return tf.nn.depthwise_conv2d(images, tf.transpose(kernel, (0, 1, 3, 2)), (1, *strides, 1), padding.upper())
