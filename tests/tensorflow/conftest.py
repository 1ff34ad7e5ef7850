"""These tests load TensorFlow and therefore run in a process of their own, which `tests/unit/test_frameworks.py` starts.

By hand: `MLEE_TEST_FRAMEWORK=tensorflow python -m pytest tests/tensorflow`. PyTorch cannot be imported in that process: that
nothing here needs it is one of the things that are tested.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from importlib.machinery import PathFinder
from typing import Any

import pytest

HERE = os.environ.get("MLEE_TEST_FRAMEWORK") == "tensorflow"
collect_ignore_glob = [] if HERE else ["test_*.py"]


if HERE:
    _find = PathFinder.find_spec

    def _find_without_torch(name: str, path: Any = None, target: Any = None) -> Any:
        """Make PyTorch look as if it were not installed."""
        return None if name.split(".")[0] in ("torch", "torchvision") else _find(name, path, target)

    PathFinder.find_spec = _find_without_torch  # type: ignore[method-assign,assignment]
    os.environ["OMP_NUM_THREADS"] = "1"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlee.backends.tensorflow.framework import tf

    # A second device, so that distribution over devices can be tested without GPUs.
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture(autouse=True, scope="session")
def _torch_is_never_loaded() -> Iterator[None]:
    yield
    assert not {"torch", "torchvision"} & sys.modules.keys()
