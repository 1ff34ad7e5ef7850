"""Backends by name; a framework is imported only when its backend is opened: one process, one framework."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import NamedTuple

from mlee.backends.base import InferenceBackend
from mlee.errors import BackendError, BackendUnavailable, ConfigError


class _Entry(NamedTuple):
    """Where a backend is, which framework it loads, and the extras of this project that install what it needs."""

    module: str
    class_name: str
    framework: str | None = None
    extras: str = ""


_BACKENDS: dict[str, _Entry] = {
    "pytorch": _Entry("mlee.backends.pytorch.inference", "PyTorchInference", "torch", "pytorch"),
    "tensorflow": _Entry("mlee.backends.tensorflow.inference", "TensorFlowInference", "tensorflow", "tensorflow"),
    "onnx_pytorch": _Entry("mlee.backends.onnx.from_pytorch", "OnnxFromPyTorch", "torch", "pytorch,onnx"),
    "onnx_tensorflow": _Entry("mlee.backends.onnx.from_tensorflow", "OnnxFromTensorFlow", "tensorflow", "tensorflow,onnx"),
    "simulated": _Entry("mlee.backends.simulated", "SimulatedInference"),
}
BACKEND_NAMES = tuple(_BACKENDS)
#: Loaded into one process they crash each other on some machines.
_FRAMEWORKS = {"torch": "PyTorch", "tensorflow": "TensorFlow"}


def inference_backend(name: str) -> type[InferenceBackend]:
    """Return a backend's class.

    Raises `BackendUnavailable` naming the install command when its framework is missing, and `BackendError` in a process
    that has loaded another framework.
    """
    if name not in _BACKENDS:
        raise ConfigError(f"Unknown backend '{name}'.", f"use one of {', '.join(BACKEND_NAMES)}")
    entry = _BACKENDS[name]
    for framework, title in _FRAMEWORKS.items():
        if entry.framework not in (None, framework) and framework in sys.modules:
            raise BackendError(
                f"Backend {name} cannot be opened in a process that has loaded {title}.",
                "measure it in a process of its own",
            )
    try:
        backend: type[InferenceBackend] = getattr(import_module(entry.module), entry.class_name)
    except ImportError as error:
        raise BackendUnavailable(
            f"Backend {name} needs {error.name or 'a package'}, which cannot be imported ({error}).",
            f'run `pip install -e ".[{entry.extras}]"` in the folder of this project',
        ) from error
    return backend
