"""Backends by name; a framework is imported only when its backend is opened: one process, one framework."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from mlee.backends.base import InferenceBackend
from mlee.backends.training_base import TrainingBackend
from mlee.errors import BackendError, BackendUnavailable, ConfigError


class _Entry(NamedTuple):
    """Where a backend is, which packages it loads (its framework first), and the extras of this project with them."""

    module: str
    class_name: str
    packages: tuple[str, ...] = ()
    extras: str = ""


_ONNX = ("onnxruntime", "onnx")
_BACKENDS: dict[str, _Entry] = {
    "pytorch": _Entry("mlee.backends.pytorch.inference", "PyTorchInference", ("torch", "torchvision"), "pytorch"),
    "tensorflow": _Entry("mlee.backends.tensorflow.inference", "TensorFlowInference", ("tensorflow", "keras"), "tensorflow"),
    "onnx_pytorch": _Entry(
        "mlee.backends.onnx.from_pytorch", "OnnxFromPyTorch", ("torch", "torchvision", *_ONNX, "onnxscript"), "pytorch,onnx"
    ),
    "onnx_tensorflow": _Entry(
        "mlee.backends.onnx.from_tensorflow",
        "OnnxFromTensorFlow",
        ("tensorflow", "keras", *_ONNX, "tf2onnx"),
        "tensorflow,onnx",
    ),
    "simulated": _Entry("mlee.backends.simulated", "SimulatedInference"),
}
BACKEND_NAMES = tuple(_BACKENDS)
_TRAINING: dict[str, tuple[str, str]] = {
    "pytorch": ("mlee.backends.pytorch.training", "PyTorchTraining"),
    "tensorflow": ("mlee.backends.tensorflow.training", "TensorFlowTraining"),
    "simulated": ("mlee.backends.simulated_training", "SimulatedTraining"),
}
TRAINING_BACKEND_NAMES = tuple(_TRAINING)
#: Loaded into one process they crash each other on some machines.
_FRAMEWORKS = {"torch": "PyTorch", "tensorflow": "TensorFlow"}


def inference_backend(name: str) -> type[InferenceBackend]:
    """Return a backend's class.

    Raises `BackendUnavailable` naming the install command when its framework is missing, and `BackendError` in a process
    that has loaded another framework.
    """
    _check_name(name, BACKEND_NAMES)
    entry = _BACKENDS[name]
    backend: type[InferenceBackend] = _load(name, entry.module, entry.class_name)
    return backend


def training_backend(name: str) -> type[TrainingBackend]:
    """Return a backend's class for training; raises as `inference_backend` does."""
    _check_name(name, TRAINING_BACKEND_NAMES)
    backend: type[TrainingBackend] = _load(name, *_TRAINING[name])
    return backend


def _check_name(name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise ConfigError(f"Unknown backend '{name}'.", f"use one of {', '.join(known)}")


def _load(name: str, module: str, class_name: str) -> Any:
    entry = _BACKENDS[name]
    for framework, title in _FRAMEWORKS.items():
        if entry.packages and framework not in entry.packages and framework in sys.modules:
            raise BackendError(
                f"Backend {name} cannot be opened in a process that has loaded {title}.",
                "measure it in a process of its own",
            )
    try:
        return getattr(import_module(module), class_name)
    except ImportError as error:
        raise BackendUnavailable(
            f"Backend {name} needs {error.name or 'a package'}, which cannot be imported ({error}).",
            install_command(name),
        ) from error


def missing_packages(name: str) -> tuple[str, ...]:
    """Name the packages of a backend that are not installed; none is loaded to find out."""
    return tuple(package for package in _BACKENDS[name].packages if find_spec(package) is None)


def install_command(name: str) -> str:
    """Return the advice that installs what a backend needs."""
    return f'run `pip install -e ".[{_BACKENDS[name].extras}]"` in the folder of this project'
