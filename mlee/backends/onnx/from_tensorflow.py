"""Models of TensorFlow in ONNX Runtime."""

from __future__ import annotations

import logging
import warnings
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
        """Names of all models."""
        return TensorFlowInference.model_names()

    def _export(self, path: Path) -> None:
        model, size = self._tensorflow.model, self._tensorflow.resolved.image_size
        for layer in model.layers:
            if isinstance(layer, keras.layers.Normalization):
                # As tensors these constants would become inputs of the exported model; as arrays they are part of it.
                layer.mean, layer.variance = np.asarray(layer.mean), np.asarray(layer.variance)
        images = tf.TensorSpec((None, size, size, 3), tf.float32, name="images")
        logger = logging.getLogger("tf2onnx")
        level = logger.level
        logger.setLevel(logging.CRITICAL)  # it shows the traceback of an optimisation that it then leaves out
        try:
            with warnings.catch_warnings():
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
