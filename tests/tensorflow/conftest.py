"""These tests load TensorFlow and therefore run in a process of their own, which `tests/unit/test_frameworks.py` starts.

By hand: `MLEE_TEST_FRAMEWORK=tensorflow python -m pytest tests/tensorflow`. PyTorch cannot be imported in that process: that
nothing here needs it is one of the things that are tested.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from typing import Any

import pytest

HERE = os.environ.get("MLEE_TEST_FRAMEWORK") == "tensorflow"
collect_ignore_glob = [] if HERE else ["test_*.py"]


class _Without(MetaPathFinder):
    """Makes packages look as if they were not installed."""

    def __init__(self, *packages: str) -> None:
        self.packages = packages

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.split(".")[0] in self.packages:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)


if HERE:
    sys.meta_path.insert(0, _Without("torch", "torchvision"))
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
