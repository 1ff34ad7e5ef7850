"""ONNX Runtime: sessions, devices, and what a graph holds."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlee.backends.gpus import count_like_the_driver
from mlee.errors import BackendError, ConfigError

count_like_the_driver()

import onnx  # noqa: E402
import onnxruntime  # noqa: E402

_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_ERRORS_ONLY = 3
GPU_BUILD = "`pip install onnxruntime-gpu` in place of onnxruntime"


def choose_gpu(wanted: str) -> int | None:
    """Resolve --device to one GPU, `None` for the CPU; `auto` and `cuda` take the first GPU; raises `ConfigError`."""
    if wanted == "cpu":
        return None
    available = _CUDA in onnxruntime.get_available_providers()
    if wanted == "auto" and not available:
        return None
    if not available:
        raise ConfigError(
            f"--device {wanted}: ONNX Runtime has no CUDA provider here.",
            f"pass --device cpu; with an NVIDIA GPU, {GPU_BUILD}",
        )
    if wanted in ("auto", "cuda"):
        return 0
    kind, _, number = wanted.partition(":")
    if kind != "cuda" or not (number.isascii() and number.isdigit()):
        raise ConfigError(f"--device '{wanted}' is none of auto, cpu, cuda, cuda:N.")
    return int(number)


class Session:
    """A model in ONNX Runtime, on the CPU or one GPU, that takes batches of any size."""

    def __init__(self, path: Path, *, gpu: int | None, threads: int) -> None:
        """Load and optimise the graph; raises `BackendError`."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _ERRORS_ONLY
        providers = [_CPU] if gpu is None else [(_CUDA, {"device_id": str(gpu)}), _CPU]
        if gpu is not None and hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()  # finds CUDA where pip put it
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=providers)
        except Exception as error:  # it has an exception type for each status, and no common one
            raise BackendError(f"ONNX Runtime cannot load the exported model: {_first_line(error)}") from error
        self.provider = str(self._session.get_providers()[0])
        if gpu is not None and self.provider != _CUDA:  # it goes on without a word
            raise BackendError(
                f"ONNX Runtime cannot use GPU {gpu}: its CUDA provider did not start.",
                "see onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html for the versions of CUDA and "
                "cuDNN it needs, or pass --device cpu",
            )
        inputs = [found.name for found in self._session.get_inputs()]
        if len(inputs) != 1:
            raise BackendError(f"The exported model wants the inputs {', '.join(inputs)} instead of images alone.")
        self._input = inputs[0]

    def run(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Logits (n, classes) of preprocessed images (n, ...); raises `BackendError`."""
        try:
            logits: npt.NDArray[np.float32] = self._session.run(None, {self._input: images})[0]
        except Exception as error:
            raise BackendError(
                f"ONNX Runtime failed on images of size {images.shape}: {_first_line(error)}", "pass a smaller --batch-size"
            ) from error
        return logits


def count_parameters(path: Path) -> int:
    """Count the floating point numbers a graph stores: fewer than its source has where normalisations are folded."""
    graph = onnx.load(path, load_external_data=False).graph
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)
    return sum(prod(tensor.dims) for tensor in graph.initializer if tensor.data_type in floats)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
