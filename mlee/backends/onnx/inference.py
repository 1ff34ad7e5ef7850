"""Inference with ONNX Runtime: a model of another framework, exported outside of the measurement, on that one's data."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mlee.backends.base import InferenceBackend, InferenceRequest, Progress, PublishedAccuracy, Resolved
from mlee.backends.batches import warm_up_sizes
from mlee.backends.evaluation import Batch, NumpyCounter, Skipped, check_finite, evaluate
from mlee.backends.gpus import idle_gpus, visible_uuids
from mlee.backends.onnx.runtime import GPU_BUILD, Session, choose_gpu, count_parameters
from mlee.backends.threads import cpu_threads
from mlee.datasets import Dataset
from mlee.errors import BackendError, ConfigError
from mlee.records import ModelFacts, Option, Outcome, Warning

#: Images that original and export both classify, to compare them.
_COMPARED_IMAGES = 4
#: Above this share of the largest output the export is not the model that was asked for.
_SAME = 1e-3

Images = npt.NDArray[np.float32]


class _Batches(Protocol):
    def __iter__(self) -> Iterator[Batch]: ...

    def start(self) -> None: ...


class Source(Protocol):
    """The backend of the framework that a model comes from: it builds the model and reads the data, on the CPU."""

    dataset: Dataset
    facts: ModelFacts
    resolved: Resolved
    details: dict[str, Option]

    @property
    def batches(self) -> _Batches:
        """Batches of preprocessed images."""

    def published_accuracy(self) -> PublishedAccuracy | None:
        """Accuracy the publisher of the weights states, if any."""


class OnnxInference(InferenceBackend):
    """Evaluates an exported image classifier with ONNX Runtime on the CPU or one GPU."""

    def __init__(self, request: InferenceRequest) -> None:
        """Load the original, export it, and see that both say the same."""
        if request.precision != "fp32":
            raise ConfigError(f"--backend {self.name} runs in fp32 only, not {request.precision}.", "leave --precision out")
        if request.compile:
            raise ConfigError("--compile is for PyTorch and TensorFlow; ONNX Runtime optimises every model.", "leave it out")
        gpu = choose_gpu(request.device)
        self._chose_cpu = request.device == "auto" and gpu is None
        self._threads = cpu_threads()
        self._source = self._open(replace(request, device="cpu"))
        self.dataset = self._source.dataset
        name = self._source.facts.name
        # ONNX Runtime reads the file while it makes the session, and not again.
        with TemporaryDirectory(prefix="mlee-onnx-") as folder:
            path = Path(folder) / "model.onnx"
            try:
                self._export(path)
            except Exception as error:  # exporters raise whatever a model's operators provoke
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
                raise BackendError(f"{name} cannot be exported to ONNX: {reason}", "take another model") from error
            self._session = Session(path, gpu=gpu, threads=self._threads)
            self.facts = replace(
                self._source.facts,
                parameters=count_parameters(path),
                macs_method=f"of the original: {self._source.facts.macs_method}",
                weights_bytes=sum(file.stat().st_size for file in Path(folder).iterdir()),
            )
        self._skipped = Skipped(request.skip_corrupt, request.data_path)
        examples = self._examples(_COMPARED_IMAGES)
        self._example_shape = examples.shape[1:]
        original = self._original(examples)
        self._difference = float(np.abs(self._session.run(examples) - original).max())
        self._largest_output = float(np.abs(original).max())
        uuids = visible_uuids() if gpu is not None else ()
        self.resolved = replace(
            self._source.resolved,
            device="cpu" if gpu is None else f"cuda:{gpu}",
            gpu_uuids=uuids[gpu : gpu + 1] if gpu is not None else (),
        )
        self.details = {
            **self._source.details,
            "threads": self._threads,
            "batch_size_per_gpu": None if gpu is None else request.batch_size,
            "provider": self._session.provider,
            "deterministic": gpu is None,
            "original_parameters": self._source.facts.parameters,
            # Largest absolute difference of any output between original and export, and the largest output itself.
            "export_difference": self._difference,
            "export_largest_output": self._largest_output,
        }

    @abstractmethod
    def _open(self, request: InferenceRequest) -> Source:
        """Open the backend that builds the model and reads the data."""

    @abstractmethod
    def _export(self, path: Path) -> None:
        """Write the model as ONNX, for batches of any size."""

    @abstractmethod
    def _original(self, images: Images) -> Images:
        """Logits (n, classes) of the original model."""

    @abstractmethod
    def _examples(self, count: int) -> Images:
        """Random pixels as the preprocessing leaves them (count, ...)."""

    def warm_up(self, batches: int) -> None:
        """Run a few batches of random images, one of them as large as the last, partial batch, and start the loading."""
        draw = np.random.default_rng(0)
        checksum = 0.0
        for size in warm_up_sizes(max(1, batches), self.resolved.samples, self.resolved.global_batch_size):
            logits = self._session.run(draw.random((size, *self._example_shape), dtype=np.float32))
            checksum += float(logits.sum(dtype=np.float64))
        self._source.batches.start()
        check_finite(checksum, self.facts.name)

    def _batches(self) -> Iterator[Batch]:
        for images, targets, corrupt in self._source.batches:
            # No copies: both frameworks lend their memory this way.
            yield Batch(np.asarray(images), None if targets is None else np.asarray(targets), corrupt)

    def evaluate(self, progress: Progress) -> Outcome:
        """Run the data through the model once."""
        with self._loading():
            return evaluate(
                self._batches(),
                NumpyCounter(self._session.run),
                progress,
                model=self.facts.name,
                data=self.dataset.name,
                skipped=self._skipped,
            )

    @abstractmethod
    def _loading(self) -> Any:
        """Return the context in which the source's data is read."""

    def predict(self) -> Images:
        """Logits of all samples (n, classes), for comparing backends; not measured."""
        return np.concatenate([self._session.run(batch.images) for batch in self._batches() if len(batch.images)])

    def published_accuracy(self) -> PublishedAccuracy | None:
        """Accuracy the publisher of the weights states."""
        return self._source.published_accuracy()

    def warnings(self) -> Iterator[Warning]:
        """Tell of an export that differs, of images that were skipped in the last pass, and of GPUs that went unused."""
        if not self._difference <= _SAME * self._largest_output:
            yield Warning(
                code="export-differs",
                message=f"Outputs of the exported model differ from those of the original by up to {self._difference:.2g}, "
                f"where the largest is {self._largest_output:.2g}",
            )
        yield from self._skipped.warnings()
        if self._chose_cpu:
            yield from idle_gpus("ONNX Runtime", GPU_BUILD)
