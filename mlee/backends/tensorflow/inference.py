"""Inference with TensorFlow: one Keras model, one data set, ready for timed passes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from mlee.backends.base import InferenceBackend, InferenceRequest, Progress, PublishedAccuracy, Resolved
from mlee.backends.batches import check_fits, warm_up_sizes
from mlee.backends.evaluation import NumpyCounter, Skipped, check_finite, evaluate
from mlee.backends.gpus import idle_gpus, visible_uuids
from mlee.backends.tensorflow.data import Batches, make_batches
from mlee.backends.tensorflow.devices import GPU_BUILD, Placement, choose_devices
from mlee.backends.tensorflow.facts import MACS_METHOD, count_macs, count_parameters, weights_bytes
from mlee.backends.tensorflow.framework import keras, tf
from mlee.backends.tensorflow.models import (
    IMAGENET_CLASSES,
    ModelSource,
    QuickNet,
    find_model,
    load_weights_file,
    model_names,
)
from mlee.backends.tensorflow.preprocessing import Preprocessing
from mlee.backends.tensorflow.presets import trained_preset
from mlee.backends.tensorflow.trouble import expected_trouble
from mlee.backends.threads import cpu_threads, loading_workers
from mlee.backends.trained import evaluation_data
from mlee.backends.weights import WeightsChoice, choose_weights
from mlee.datasets import SyntheticImages
from mlee.errors import ConfigError
from mlee.records import FROM_FILE, TRAINED_IN, ModelFacts, Outcome, Warning

#: Keras' names of the types of weights and images.
PRECISIONS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


class TensorFlowInference(InferenceBackend):
    """Evaluates an image classifier with TensorFlow on the CPU, one GPU or all of them."""

    name = "tensorflow"

    def __init__(self, request: InferenceRequest) -> None:
        """Build the model, load weights and data, count, place and trace."""
        keras.utils.set_random_seed(request.seed)
        devices, gpus = choose_devices(request.device)
        if request.compile and len(devices) > 1:
            raise ConfigError(
                "--compile works on one GPU: XLA cannot read the copies of the weights on several.",
                "pass --device cuda:0, or leave --compile out",
            )
        self._placement = Placement(devices)
        global_batch_size = request.batch_size * len(devices)
        self.dataset = evaluation_data(request.data_path, request.trained)
        samples = len(self.dataset)
        if request.n_batches is not None:
            samples = min(samples, request.n_batches * global_batch_size)
        self._trained = request.trained
        weights = WeightsChoice(file=self._trained.weights) if self._trained else choose_weights(request.weights)
        self._source = find_model(self._trained.model if self._trained else request.model, weights.name)
        if request.precision != "fp32" and isinstance(self._source, QuickNet):
            raise ConfigError(f"{self._source.name} runs in fp32 only, not {request.precision}.", "leave --precision out")
        self.preset = _preprocessing(self._source, request)
        check_fits(min(global_batch_size, samples), self.preset.crop_size)
        keras.config.set_dtype_policy(PRECISIONS[request.precision])
        with expected_trouble(self._source.name), self._placement.scope():
            self.model: Any = self._source.build(
                self.preset.crop_size,
                pretrained=not weights.random and weights.file is None,
                classes=len(self._trained.classes) if self._trained else IMAGENET_CLASSES,
            )
            if weights.file is not None:
                load_weights_file(self.model, weights.file)
        weights_name = "random" if weights.random else self._source.weights_name
        if self._trained is not None:
            weights_name = f"{TRAINED_IN}{self._trained.run_id}"
        elif weights.file is not None:
            weights_name = f"{FROM_FILE}{weights.file.name}"
        workers = loading_workers(request.workers, isinstance(self.dataset, SyntheticImages))
        with expected_trouble("The data"):
            self.batches: Batches = make_batches(
                self.dataset,
                self.preset,
                samples=samples,
                batch_size=global_batch_size,
                workers=workers,
                seed=request.seed,
            )
        self.facts = ModelFacts(
            name=self._source.name,
            parameters=count_parameters(self.model),
            macs=count_macs(self.model),
            macs_method=MACS_METHOD,
            weights_bytes=weights_bytes(self.model),
            weights=weights_name,
        )
        self._skipped = Skipped(request.skip_corrupt, request.data_path)
        self._compiled = self._made_late = 0
        # XLA makes code for each size of a batch; Keras has it compile convolutions with groups, too.
        self._by_size = request.compile or any(getattr(layer, "groups", 1) > 1 for layer in self.model.layers)
        self._warm_sizes: set[int] = set()
        self._run = self._trace(PRECISIONS[request.precision], request.compile)
        self._chose_cpu = request.device == "auto" and not gpus
        uuids = visible_uuids() if gpus else ()
        self.resolved = Resolved(
            device=",".join(f"cuda:{index}" for index in gpus) or "cpu",
            image_size=self.preset.crop_size,
            workers=workers,
            global_batch_size=global_batch_size,
            batches=-(-samples // global_batch_size),
            samples=samples,
            weights=weights_name,
            gpu_uuids=tuple(uuids[index] for index in gpus if index < len(uuids)),
        )
        self.details = {
            "threads": tf.config.threading.get_intra_op_parallelism_threads() or cpu_threads(),
            "batch_size_per_gpu": request.batch_size if gpus else None,
            "resize_size": self.preset.resize_size,
            "interpolation": self.preset.interpolation,
            "cuda": tf.sysconfig.get_build_info().get("cuda_version") if gpus else None,
            # Sums of many threads of a GPU come in any order; on a CPU the same seed gives the same predictions.
            "deterministic": not gpus,
        }

    @staticmethod
    def model_names() -> tuple[str, ...]:
        """Names of all models."""
        return model_names()

    def _trace(self, dtype: str, compile_: bool) -> Any:
        """Return the model as one graph that takes batches of any size, so that no batch is traced again."""
        size = self.preset.crop_size

        def run(images: Any) -> Any:
            return self._placement.run(lambda part: self.model(tf.cast(part, dtype), training=False), images)

        return tf.function(
            run, input_signature=[tf.TensorSpec((None, size, size, 3), tf.float32)], jit_compile=compile_ or None
        )

    def forward(self, images: Any) -> Any:
        """Logits (n, classes) of preprocessed images (n, size, size, 3); a GPU may still be computing them."""
        if self._by_size and len(images) not in self._warm_sizes:
            self._warm_sizes.add(len(images))
            self._compiled += 1
        return self._run(images)

    def warm_up(self, batches: int) -> None:
        """Run a few batches of random images, one of them as large as the last, partial batch, and start the pipeline.

        What must not happen in a measured pass happens here even with 0 batches: tracing, compiling, choosing algorithms.
        """
        checksum = 0.0
        draw = np.random.default_rng(0)
        with expected_trouble(f"A batch of random images in {self.facts.name}"):
            for size in warm_up_sizes(max(1, batches), self.resolved.samples, self.resolved.global_batch_size):
                shape = (size, self.preset.crop_size, self.preset.crop_size, 3)
                logits = self.forward(tf.constant(draw.random(shape, dtype=np.float32)))
                checksum += float(np.asarray(logits).sum(dtype=np.float64))
            self.batches.start()
        check_finite(checksum, self.facts.name)

    def evaluate(self, progress: Progress) -> Outcome:
        """Run the data through the model once."""
        made_before = self._compiled + self._run.experimental_get_tracing_count()
        with expected_trouble(f"A batch of images in {self.facts.name}"):
            outcome = evaluate(
                self.batches,
                NumpyCounter(self.forward),
                progress,
                model=self.facts.name,
                data=self.dataset.name,
                skipped=self._skipped,
            )
        self._made_late += self._compiled + self._run.experimental_get_tracing_count() - made_before
        return outcome

    def predict(self) -> npt.NDArray[np.float32]:
        """Logits of all samples (n, classes), for comparing backends; not measured."""
        with expected_trouble("A batch of images"):
            outputs = [np.asarray(self.forward(batch.images)) for batch in self.batches if len(batch.images)]
        return np.concatenate(outputs).astype(np.float32)

    def published_accuracy(self) -> PublishedAccuracy | None:
        """Accuracy that is published with the weights; nobody has published anything about those of `train.py`."""
        return self._source.published_accuracy() if self._trained is None else None

    def warnings(self) -> Iterator[Warning]:
        """Name the images that were skipped in the last pass, what was traced in any, and GPUs that went unused."""
        if self._made_late:
            yield Warning(
                code="compiled-late",
                message=f"{self._made_late} times a model was traced or compiled inside a timed pass: "
                "its time and energy count",
            )
        yield from self._skipped.warnings()
        if self._chose_cpu:
            yield from idle_gpus("TensorFlow", GPU_BUILD)


def _preprocessing(source: ModelSource, request: InferenceRequest) -> Preprocessing:
    if request.trained is not None:
        return trained_preset(source, request.trained).with_size(request.image_size)
    if request.eval_preprocessing != "builtin":
        source = find_model(request.eval_preprocessing)
    return source.preprocessing().with_size(request.image_size)
