"""Inference with PyTorch: one model, one data set, ready for timed passes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import torch
from torch import nn
from torchvision.transforms._presets import ImageClassification

from mlee.backends.base import InferenceBackend, InferenceRequest, Progress, PublishedAccuracy, Resolved
from mlee.backends.pytorch.data import Batches, ImageLoader, make_batches
from mlee.backends.pytorch.facts import MACS_METHOD, count_macs, count_parameters, weights_bytes
from mlee.backends.pytorch.models import ModelSource, find_model, load_weights_file, model_names, with_image_size
from mlee.datasets import SyntheticImages, open_dataset
from mlee.errors import BackendError, ConfigError, DataError
from mlee.records import ModelFacts, Outcome, Warning

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_MAX_WORKERS = 8


class PyTorchInference(InferenceBackend):
    """Evaluates an image classifier with PyTorch on the CPU, one GPU or all of them."""

    name = "pytorch"

    def __init__(self, request: InferenceRequest) -> None:
        """Build the model, load weights and data, count, wrap and compile."""
        torch.manual_seed(request.seed)
        self._source, model, weights = _load(request)
        preset = _preprocessing(self._source, request)
        image_size = int(preset.crop_size[0])
        self.facts = ModelFacts(
            name=self._source.name,
            parameters=count_parameters(model),
            macs=count_macs(model, image_size),
            macs_method=MACS_METHOD,
            weights_bytes=weights_bytes(model),
            weights=weights,
        )
        self._device, gpus = _devices(request.device)
        self._dtype = PRECISIONS[request.precision]
        global_batch_size = request.batch_size * max(1, len(gpus))
        self.dataset = open_dataset(request.data_path)
        samples = len(self.dataset)
        if request.n_batches is not None:
            samples = min(samples, request.n_batches * global_batch_size)
        workers = _workers(request.workers, isinstance(self.dataset, SyntheticImages))
        self._batches: Batches = make_batches(
            self.dataset,
            preset,
            samples=samples,
            batch_size=global_batch_size,
            image_size=image_size,
            workers=workers,
            seed=request.seed,
            cuda=self._device.type == "cuda",
        )
        self._image_size = image_size
        self._model = self._place(model, gpus, request.compile)
        self._skip_corrupt = request.skip_corrupt
        self._corrupt: list[str] = []
        self.resolved = Resolved(
            device=_describe(self._device, gpus),
            image_size=image_size,
            workers=workers,
            global_batch_size=global_batch_size,
            batches=-(-samples // global_batch_size),
            samples=samples,
            weights=weights,
            gpu_uuids=tuple(str(torch.cuda.get_device_properties(index).uuid) for index in gpus),
        )
        self.details = {
            "threads": torch.get_num_threads(),
            "batch_size_per_gpu": request.batch_size if gpus else None,
            "resize_size": int(preset.resize_size[0]),
            "interpolation": preset.interpolation.value,
            "cuda": torch.version.cuda if gpus else None,
        }

    @staticmethod
    def model_names() -> tuple[str, ...]:
        """Names of all models."""
        return model_names()

    def _place(self, model: nn.Module, gpus: list[int], compiled: bool) -> nn.Module:
        try:
            model = model.eval().to(self._device, self._dtype)
            if len(gpus) > 1:
                model = nn.DataParallel(model, device_ids=gpus)
            return cast(nn.Module, torch.compile(model)) if compiled else model
        except torch.OutOfMemoryError as error:
            raise BackendError(f"{self.facts.name} does not fit on {self._device}.", "use a smaller model") from error

    def warm_up(self, batches: int) -> None:
        """Run a few batches of random images, one of them as large as the last, partial batch."""
        if batches < 1:
            return
        full, rest = divmod(self.resolved.samples, self.resolved.global_batch_size)
        sizes = [self.resolved.global_batch_size] * (batches if full else 0)
        if rest:
            sizes.append(rest)
        with torch.inference_mode():
            for size in sizes:
                images = torch.rand(size, 3, self._image_size, self._image_size, dtype=self._dtype)
                self._forward(images.to(self._device))
        if isinstance(self._batches, ImageLoader):
            self._batches.start_workers()
        self._synchronise()

    def _forward(self, images: torch.Tensor) -> torch.Tensor:
        try:
            logits: torch.Tensor = self._model(images)
        except torch.OutOfMemoryError as error:
            raise BackendError(
                f"A batch of {len(images)} images does not fit into the memory of {self._device}.",
                "pass a smaller --batch-size",
            ) from error
        except (RuntimeError, AssertionError, ValueError) as error:
            raise BackendError(
                f"{self.facts.name} failed on images of size {tuple(images.shape)}: {error}",
                "leave --image-size out to take the size of the weights, or pass a smaller --batch-size",
            ) from error
        return logits

    def evaluate(self, progress: Progress) -> Outcome:
        """Run the data through the model once.

        Hits are counted on the device and fetched once at the end: no batch waits for the host.
        """
        self._corrupt = []
        samples = labelled = 0
        hits1 = hits5 = loss_sum = torch.zeros((), device=self._device)
        one_label = True
        with torch.inference_mode():
            for images, targets, corrupt in self._batches:
                if corrupt:
                    self._note_corrupt(corrupt)
                if not len(images):
                    continue
                logits = self._forward(images.to(self._device, self._dtype, non_blocking=True))
                samples += len(images)
                if targets is not None:
                    labelled += len(targets)
                    right = targets.to(self._device, non_blocking=True)
                    top5 = logits.topk(min(5, logits.shape[1])).indices
                    hit = (top5[:, :, None] == right[:, None, :]).any(2)
                    hits1 = hits1 + hit[:, 0].sum()
                    hits5 = hits5 + hit.any(1).sum()
                    one_label = one_label and right.shape[1] == 1
                    if one_label:
                        loss = nn.functional.cross_entropy(logits.float(), right[:, 0], reduction="sum")
                        loss_sum = loss_sum + loss
                progress(samples)
        self._synchronise()
        if not samples:
            raise DataError("No image could be read.", "check --data-path")
        if not labelled:
            return Outcome(samples=samples)
        if not torch.isfinite(loss_sum):
            raise BackendError(
                f"{self.facts.name} gives outputs that are not finite numbers.",
                "check --weights, or pass --precision fp32 or bf16",
            )
        return Outcome(
            samples=samples,
            loss=float(loss_sum) / labelled if one_label else None,
            top1_accuracy=int(hits1) / labelled,
            top5_accuracy=int(hits5) / labelled,
            accuracy_provenance="measured",
            accuracy_source=self.dataset.name,
        )

    def predict(self) -> torch.Tensor:
        """Logits of all samples (n, classes) on the CPU in fp32, for comparing backends; not measured."""
        with torch.inference_mode():
            outputs = [
                self._forward(images.to(self._device, self._dtype)).float().cpu()
                for images, _, _ in self._batches
                if len(images)
            ]
        return torch.cat(outputs)

    def _note_corrupt(self, files: tuple[str, ...]) -> None:
        self._corrupt.extend(files)
        if not self._skip_corrupt:
            raise DataError(
                f"An image cannot be read: {files[0]}.", "repair or remove it, or pass --skip-corrupt to go on without"
            )

    def _synchronise(self) -> None:
        if self._device.type == "cuda":
            for index in range(torch.cuda.device_count()):
                torch.cuda.synchronize(index)

    def published_accuracy(self) -> PublishedAccuracy | None:
        """Accuracy the publisher of the weights states."""
        return self._source.published_accuracy()

    def warnings(self) -> Iterator[Warning]:
        """Name the images that were skipped in the last pass."""
        if self._corrupt:
            names = "; ".join(self._corrupt[:3]) + (" ..." if len(self._corrupt) > 3 else "")
            yield Warning(code="corrupt-images", message=f"{len(self._corrupt)} images were skipped: {names}")


def _load(request: InferenceRequest) -> tuple[ModelSource, nn.Module, str]:
    """Build the model with the weights asked for; the third value says in words which weights these are."""
    if request.weights == "random":
        source = find_model(request.model)
        return source, source.build(pretrained=False), "random"
    if request.weights == "pretrained":
        source = find_model(request.model)
        return source, source.build(pretrained=True), source.weights_name
    try:
        path = Path(request.weights).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"--weights {request.weights}: {error}", "write the path in full") from error
    if path.is_file():
        source = find_model(request.model)
        model = source.build(pretrained=False)
        load_weights_file(model, path)
        return source, model, f"file {path.name}"
    if path.suffix:
        raise ConfigError(f"--weights {path} does not exist.", "use pretrained, random, or an existing file")
    source = find_model(request.model, request.weights)
    return source, source.build(pretrained=True), source.weights_name


def _preprocessing(source: ModelSource, request: InferenceRequest) -> ImageClassification:
    if request.eval_preprocessing != "builtin":
        source = find_model(request.eval_preprocessing)
    return with_image_size(source.preprocessing(), request.image_size)


def _devices(wanted: str) -> tuple[torch.device, list[int]]:
    """Resolve --device: `auto` takes all GPUs or else the CPU, `cuda` all GPUs, `cuda:N` one; raises `ConfigError`."""
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "cpu" or (wanted == "auto" and not available):
        return torch.device("cpu"), []
    if not available:
        raise ConfigError(f"--device {wanted}: PyTorch finds no GPU.", "pass --device cpu, or see infer.py --check")
    if wanted in ("auto", "cuda"):
        return torch.device("cuda:0"), list(range(available))
    kind, _, number = wanted.partition(":")
    if kind != "cuda" or not number.isdigit() or int(number) >= available:
        raise ConfigError(f"--device '{wanted}' is none of auto, cpu, cuda, cuda:0 .. cuda:{available - 1}.")
    return torch.device(wanted), [int(number)]


def _describe(device: torch.device, gpus: list[int]) -> str:
    return "cpu" if device.type == "cpu" else ",".join(f"cuda:{index}" for index in gpus)


def _workers(wanted: int | None, synthetic: bool) -> int:
    if wanted is not None:
        return wanted
    cpus = len(os.sched_getaffinity(0))
    # On two CPUs a worker beside the model only takes turns with it.
    return 0 if synthetic or cpus <= 2 else min(_MAX_WORKERS, cpus // 2)
