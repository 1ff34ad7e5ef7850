"""Inference with PyTorch: one model, one data set, ready for timed passes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torchvision.transforms._presets import ImageClassification

from mlee.backends.base import InferenceBackend, InferenceRequest, Progress, PublishedAccuracy, Resolved
from mlee.backends.batches import check_fits, warm_up_sizes
from mlee.backends.evaluation import Skipped, check_finite, evaluate
from mlee.backends.pytorch.augmentation import trained_preset
from mlee.backends.pytorch.compiling import compile_whole, graphs_compiled
from mlee.backends.pytorch.counting import TorchCounter
from mlee.backends.pytorch.data import Batches, make_batches
from mlee.backends.pytorch.devices import choose_devices, describe_devices
from mlee.backends.pytorch.facts import MACS_METHOD, count_macs, count_parameters, weights_bytes
from mlee.backends.pytorch.models import ModelSource, find_model, load_weights_file, model_names, with_image_size
from mlee.backends.pytorch.trouble import expected_trouble
from mlee.backends.threads import loading_workers
from mlee.backends.trained import evaluation_data
from mlee.backends.weights import choose_weights
from mlee.datasets import SyntheticImages, without_records
from mlee.errors import BackendError, ConfigError
from mlee.records import FROM_FILE, TRAINED_IN, ModelFacts, Outcome, Warning

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class PyTorchInference(InferenceBackend):
    """Evaluates an image classifier with PyTorch on the CPU, one GPU or all of them."""

    name = "pytorch"

    def __init__(self, request: InferenceRequest) -> None:
        """Build the model, load weights and data, count, wrap and compile."""
        torch.manual_seed(request.seed)
        self._device, gpus = choose_devices(request.device)
        self._dtype = PRECISIONS[request.precision]
        global_batch_size = request.batch_size * max(1, len(gpus))
        self.dataset = without_records(evaluation_data(request.data_path, request.trained), self.name)
        samples = len(self.dataset)
        if request.n_batches is not None:
            samples = min(samples, request.n_batches * global_batch_size)
        self._source, model, weights = _load(request)
        self.preset = preset = _preprocessing(self._source, request, min(global_batch_size, samples))
        image_size = int(preset.crop_size[0])
        workers = loading_workers(request.workers, isinstance(self.dataset, SyntheticImages))
        with expected_trouble("The random images"):
            self.batches: Batches = make_batches(
                self.dataset,
                preset,
                samples=samples,
                batch_size=global_batch_size,
                image_size=image_size,
                workers=workers,
                seed=request.seed,
                cuda=self._device.type == "cuda",
            )
        self.facts = ModelFacts(
            name=self._source.name,
            parameters=count_parameters(model),
            macs=count_macs(model, image_size),
            macs_method=MACS_METHOD,
            weights_bytes=weights_bytes(model),
            weights=weights,
        )
        self._trained = request.trained is not None
        self._image_size = image_size
        self._skip_corrupt = request.skip_corrupt
        self._skipped = Skipped(request.skip_corrupt, request.data_path)
        self._compiled = request.compile
        self._compiled_late = 0
        self.model = self._place(model, gpus)
        self.resolved = Resolved(
            device=describe_devices(self._device, gpus),
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
            # On GPUs cuDNN may choose an algorithm anew, and sums then come in another order.
            "deterministic": not gpus,
        }

    @staticmethod
    def model_names() -> tuple[str, ...]:
        """Names of all models."""
        return model_names()

    def _place(self, model: nn.Module, gpus: list[int]) -> nn.Module:
        if self._compiled and len(gpus) > 1:
            raise ConfigError(
                "--compile works on one GPU: PyTorch runs the copies of a model on several GPUs uncompiled.",
                "pass --device cuda:0, or leave --compile out",
            )
        with expected_trouble(self.facts.name):
            model = model.eval().to(self._device, self._dtype)
            if len(gpus) > 1:
                model = nn.DataParallel(model, device_ids=gpus)
        # Skipped images leave batches of any size; else each size, of which there are two, gets code made for it alone.
        return compile_whole(model, any_size=self._skip_corrupt) if self._compiled else model

    def warm_up(self, batches: int) -> None:
        """Run a few batches of random images, one of them as large as the last, partial batch, and start the workers.

        What must not happen in a measured pass happens here even with 0 batches: compiling, and starting of workers.
        """
        checksum = torch.zeros((), dtype=torch.float64, device=self._device)
        with expected_trouble("A batch of random images"):
            for size in self._warm_up_sizes(batches):
                images = torch.rand(size, 3, self._image_size, self._image_size)
                with torch.inference_mode():
                    checksum += self._forward(images).sum(dtype=torch.float64)
            self.batches.start()
            self._synchronise()
        check_finite(float(checksum), self.facts.name)

    def _warm_up_sizes(self, batches: int) -> list[int]:
        if self._compiled:
            batches = max(1, batches)
        sizes = warm_up_sizes(batches, self.resolved.samples, self.resolved.global_batch_size)
        if self._compiled and self._skip_corrupt:
            # After two sizes there is code for all of them, but for 1, which PyTorch always compiles separately.
            sizes += [max(sizes) - 1, 1]
        return [size for size in sizes if size]

    def _forward(self, images: torch.Tensor) -> torch.Tensor:
        try:
            with expected_trouble(f"A batch of {len(images)} images"):
                logits: torch.Tensor = self.model(images.to(self._device, self._dtype, non_blocking=True))
        except BackendError:
            raise
        except Exception as error:
            # A compiler may fail with anything; a model is Python, and anything else it raises is a bug.
            if not self._compiled and not isinstance(error, (RuntimeError, AssertionError, ValueError)):
                raise
            raise BackendError(
                f"{self.facts.name} failed on images of size {tuple(images.shape)}: {error}",
                ("leave --compile out, or " if self._compiled else "")
                + "leave --image-size out to take the size of the weights, or pass a smaller --batch-size",
            ) from error
        return logits

    def evaluate(self, progress: Progress) -> Outcome:
        """Run the data through the model once.

        Hits are counted on the device and fetched once at the end: no batch waits for the host.
        """
        compiled_before = graphs_compiled() if self._compiled else 0
        counter = TorchCounter(self._forward, self._device, self._synchronise)
        with expected_trouble("A batch of images"):
            # Compiled code tells tensors made in inference mode from others: all images, of whatever source and for the
            # warm-up, are made outside it.
            outcome = evaluate(
                self.batches, counter, progress, model=self.facts.name, data=self.dataset.name, skipped=self._skipped
            )
        if self._compiled:
            self._compiled_late += graphs_compiled() - compiled_before
        return outcome

    def predict(self) -> torch.Tensor:
        """Logits of all samples (n, classes) on the CPU in fp32, for comparing backends; not measured."""
        outputs: list[torch.Tensor] = []
        with expected_trouble("A batch of images"):
            for images, _, _ in self.batches:
                if len(images):
                    with torch.inference_mode():
                        outputs.append(self._forward(images).float().cpu())
        return torch.cat(outputs)

    def _synchronise(self) -> None:
        if self._device.type == "cuda":
            for index in range(torch.cuda.device_count()):
                torch.cuda.synchronize(index)

    def published_accuracy(self) -> PublishedAccuracy | None:
        """Accuracy the publisher of the weights states; nobody publishes anything about weights trained here."""
        return None if self._trained else self._source.published_accuracy()

    def warnings(self) -> Iterator[Warning]:
        """Name the images that were skipped in the last pass, and what was compiled in any."""
        if self._compiled_late:
            yield Warning(
                code="compiled-late",
                message=f"{self._compiled_late} times a model was compiled inside a timed pass: its time and energy count",
            )
        yield from self._skipped.warnings()


def _load(request: InferenceRequest) -> tuple[ModelSource, nn.Module, str]:
    """Build the model with the weights asked for; the third value says in words which weights these are."""
    trained = request.trained
    if trained is not None:
        source = find_model(trained.model)
        model = source.build_untrained(len(trained.classes), trained.image_size)
        load_weights_file(model, trained.weights)
        return source, model, f"{TRAINED_IN}{trained.run_id}"
    weights = choose_weights(request.weights)
    source = find_model(request.model, weights.name)
    if weights.random:
        return source, source.build(pretrained=False), "random"
    if weights.file is not None:
        model = source.build(pretrained=False)
        load_weights_file(model, weights.file)
        return source, model, f"{FROM_FILE}{weights.file.name}"
    return source, source.build(pretrained=True), source.weights_name


def _preprocessing(source: ModelSource, request: InferenceRequest, images: int) -> ImageClassification:
    """Return the preprocessing at the size asked for; `images` are in the largest batch, which must fit into memory."""
    if request.trained is not None:
        preset = trained_preset(request.trained)
        check_fits(images, request.image_size or int(preset.crop_size[0]))
        return with_image_size(preset, request.image_size)
    if request.eval_preprocessing != "builtin":
        source = find_model(request.eval_preprocessing)
    preset = source.preprocessing()
    check_fits(images, request.image_size or int(preset.crop_size[0]))
    return with_image_size(preset, request.image_size)
