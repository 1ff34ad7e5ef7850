"""Models of PyTorch in ONNX Runtime."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from mlee.backends.base import InferenceRequest
from mlee.backends.onnx.inference import Images, OnnxInference, Source
from mlee.backends.pytorch.inference import PyTorchInference
from mlee.backends.pytorch.trouble import expected_trouble

_LARGEST_FILE_BYTES = 1_900_000_000  # protobuf allows 2 GiB; what is more goes into a file beside it


class OnnxFromPyTorch(OnnxInference):
    """A model of torchvision or EfficientNet-Lite, exported by `torch.onnx`."""

    name = "onnx_pytorch"

    def _open(self, request: InferenceRequest) -> Source:
        self._pytorch = PyTorchInference(request)
        return self._pytorch

    @staticmethod
    def model_names() -> tuple[str, ...]:
        """Names of all models."""
        return PyTorchInference.model_names()

    def _export(self, path: Path) -> None:
        size = self._pytorch.resolved.image_size
        # Two images: what is exported with a batch of one may hold for one alone.
        example = (torch.zeros(2, 3, size, size),)
        large = (self._pytorch.facts.weights_bytes or 0) > _LARGEST_FILE_BYTES
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it tells of its progress
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                self._pytorch.model,
                example,
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                external_data=large,
                verbose=False,
            )
            assert program is not None
            program.save(path, external_data=large)

    def _original(self, images: Images) -> Images:
        with torch.inference_mode():
            logits: Images = self._pytorch.model(torch.from_numpy(images)).numpy()
        return logits

    def _examples(self, count: int) -> Images:
        draw = np.random.default_rng(0)
        size = self._pytorch.resolved.image_size
        pixels = [draw.integers(0, 256, (size, size, 3), dtype=np.uint8) for _ in range(count)]
        return torch.stack([self._pytorch.preset(Image.fromarray(one)) for one in pixels]).numpy()

    def _loading(self) -> Any:
        return expected_trouble("A batch of images")
