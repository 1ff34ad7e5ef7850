"""The only place that imports TensorFlow and Keras: `from mlee.backends.tensorflow.framework import keras, tf`."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

from mlee.backends.gpus import count_like_the_driver

count_like_the_driver()
os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever ~/.keras/keras.json says: another one may load torch
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if find_spec("larq_zoo") is not None:
    os.environ["TF_USE_LEGACY_KERAS"] = (
        "1"  # larq is made for Keras 2, under TensorFlow's name for it; we never use that name
    )
with suppress(ImportError):
    # Triton, which comes with PyTorch, crashes a process that loaded TensorFlow before it (tensorflow/tensorflow#124205).
    import triton  # noqa: F401

import keras as _keras  # noqa: E402
import tensorflow as _tensorflow  # noqa: E402

# Neither has types that a checker could use.
keras: Any = _keras
tf: Any = _tensorflow

tf.get_logger().setLevel("ERROR")
keras.config.disable_interactive_logging()  # it prints progress bars to stdout
keras.config.set_image_data_format("channels_last")
