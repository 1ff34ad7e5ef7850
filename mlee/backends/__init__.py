"""Backends by name; a framework is imported only when its backend is opened: one process, one framework."""

from __future__ import annotations

from importlib import import_module

from mlee.backends.base import InferenceBackend
from mlee.errors import BackendUnavailable, ConfigError

#: name -> module, class, and the extra that installs it
_BACKENDS: dict[str, tuple[str, str, str]] = {
    "pytorch": ("mlee.backends.pytorch.inference", "PyTorchInference", "pytorch"),
    "tensorflow": ("mlee.backends.tensorflow.inference", "TensorFlowInference", "tensorflow"),
    "simulated": ("mlee.backends.simulated", "SimulatedInference", ""),
}
BACKEND_NAMES = tuple(_BACKENDS)


def inference_backend(name: str) -> type[InferenceBackend]:
    """Return a backend's class; raises `BackendUnavailable` naming the install command when its framework is missing."""
    if name not in _BACKENDS:
        raise ConfigError(f"Unknown backend '{name}'.", f"use one of {', '.join(BACKEND_NAMES)}")
    module, class_name, extra = _BACKENDS[name]
    try:
        backend: type[InferenceBackend] = getattr(import_module(module), class_name)
    except ImportError as error:
        raise BackendUnavailable(
            f"Backend {name} needs {error.name or 'a package'}, which cannot be imported ({error}).",
            f'run `pip install ".[{extra}]"` in the folder of this project',
        ) from error
    return backend
