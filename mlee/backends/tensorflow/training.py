"""Training with TensorFlow: a Keras model from random weights, its data and its optimiser, ready for timed epochs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from mlee.backends.base import Progress
from mlee.backends.batches import check_fits, warm_up_sizes
from mlee.backends.evaluation import NumpyCounter, evaluate
from mlee.backends.gpus import idle_gpus, visible_uuids
from mlee.backends.tensorflow.augmentation import Augmentation
from mlee.backends.tensorflow.devices import GPU_BUILD, Placement, choose_devices
from mlee.backends.tensorflow.facts import MACS_METHOD, count_macs, count_parameters, weights_bytes
from mlee.backends.tensorflow.framework import keras, tf
from mlee.backends.tensorflow.models import QuickNet, find_model, model_names
from mlee.backends.tensorflow.networks import apply_batch_norm_momentum, average_running_means, seed_dropout
from mlee.backends.tensorflow.optimizers import Optimizer
from mlee.backends.tensorflow.policies import find_policy
from mlee.backends.tensorflow.presets import training_preset
from mlee.backends.tensorflow.training_data import NoneSkipped, training_batches, validation_batches
from mlee.backends.tensorflow.training_state import pack, unpack
from mlee.backends.tensorflow.trouble import expected_trouble
from mlee.backends.threads import cpu_threads, loading_workers
from mlee.backends.training_base import (
    ResolvedTraining,
    Team,
    TrainingBackend,
    TrainingRequest,
    epoch_size,
    validation_size,
)
from mlee.datasets import SyntheticImages
from mlee.datasets.training import open_training_data
from mlee.errors import BackendError, ConfigError, ResultError
from mlee.records import ModelFacts, Outcome, Warning

#: Keras' names: weights stay in fp32, what is computed with them does not.
_POLICIES = {"fp32": "float32", "bf16": "mixed_bfloat16", "fp16": "mixed_float16"}


class TensorFlowTraining(TrainingBackend):
    """Trains an image classifier of Keras on the CPU, one GPU or all of them."""

    name = "tensorflow"
    weights_suffix = ".weights.h5"
    state_suffix = ".npz"

    def __init__(self, request: TrainingRequest) -> None:
        """Build model, optimiser and data; nothing is traced yet."""
        policy = find_policy(request.auto_augment)
        source = find_model(request.model)
        if isinstance(source, QuickNet):
            raise ConfigError(
                f"{source.name} cannot be trained here: binary weights need an optimiser of their own.",
                "take a model of Keras, see --help",
            )
        keras.utils.set_random_seed(request.seed)
        devices, gpus = choose_devices(request.device)
        if request.compile and len(devices) > 1:
            raise ConfigError(
                "--compile works on one GPU: XLA cannot sum the gradients of several.",
                "pass --device cuda:0, or leave --compile out",
            )
        self.team = Team()
        self._placement = Placement(devices)
        self._batch_size = request.batch_size * len(devices)
        data = open_training_data(request.data_path)
        batches, samples = epoch_size(len(data.train), self._batch_size, request.n_batches)
        validated = validation_size(len(data.validation), self._batch_size, request.n_batches)
        preset = training_preset(source, request, data)
        self._size = preset.crop_size
        check_fits(self._batch_size, self._size)
        keras.config.set_dtype_policy(_POLICIES[request.precision])
        with expected_trouble(source.name), self._placement.scope():
            self.model: Any = source.build(self._size, pretrained=False, classes=len(data.classes))
            weights = [weight.value for weight in self.model.trainable_variables]
            self._optimizer = Optimizer(weights, request, loss_scaling=request.precision == "fp16")
        momentum = apply_batch_norm_momentum(self.model, request.batch_norm_momentum, batches)
        workers = loading_workers(request.workers, isinstance(data.train, SyntheticImages))
        augmentation = Augmentation(preset=preset, whole=data.whole, policy=policy, erase=request.random_erase)
        common = {
            "batch_size": self._batch_size,
            "workers": workers,
            "classes": len(data.classes),
            "seed": request.seed,
        }
        with expected_trouble("The data"):
            self._images = training_batches(data.train, augmentation, samples=samples, **common)
            self._validation = validation_batches(data.validation, preset, samples=validated, **common)
        self._seed = request.seed
        self._step = self._trace_step(request.compile)
        self._forward = self._trace_forward(request.compile)
        self._ready: tuple[int, ...] | None = None
        self._chose_cpu = request.device == "auto" and not gpus
        self.dataset, self.classes = data.name, data.classes
        self.facts = ModelFacts(
            name=source.name,
            parameters=count_parameters(self.model),
            macs=count_macs(self.model),
            macs_method=MACS_METHOD,
            weights_bytes=weights_bytes(self.model),
            weights="random",
        )
        uuids = visible_uuids() if gpus else ()
        self.resolved = ResolvedTraining(
            device=",".join(f"cuda:{index}" for index in gpus) or "cpu",
            image_size=self._size,
            workers=workers,
            global_batch_size=self._batch_size,
            batches=batches,
            samples=samples,
            validation_samples=validated,
            classes=len(data.classes),
            interpolation=preset.interpolation,
            batch_norm_momentum=momentum,
            gpu_uuids=tuple(uuids[index] for index in gpus if index < len(uuids)),
        )
        self.details = {
            "threads": tf.config.threading.get_intra_op_parallelism_threads() or cpu_threads(),
            "batch_size_per_gpu": request.batch_size if gpus else None,
            "resize_size": preset.resize_size,
            "interpolation": preset.interpolation,
            "cuda": tf.sysconfig.get_build_info().get("cuda_version") if gpus else None,
            # Sums of many threads of a GPU come in any order; on a CPU the same seed gives the same training.
            "deterministic": not gpus,
        }
        self._of = f"{source.name} for {len(data.classes)} classes at {self._size} px with {request.opt}"

    @staticmethod
    def model_names() -> tuple[str, ...]:
        """Names of all models that can be trained."""
        return tuple(name for name in model_names() if not isinstance(find_model(name), QuickNet))

    def _trace_step(self, compile_: bool) -> Any:
        """Return one step as a graph: images, labels and totals so far to totals of loss, top-1 and top-5 hits."""

        def learn(images: Any, labels: Any) -> Any:
            with tf.GradientTape() as tape:
                logits = tf.cast(self.model(images, training=True), tf.float32)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
                # The replicas' gradients are summed.
                loss = self._optimizer.scaled(tf.reduce_sum(losses) / self._batch_size)
            self._optimizer.apply(tape.gradient(loss, self._optimizer.weights))
            right = tf.gather(logits, labels, batch_dims=1)[:, None]
            equal = (logits == right) & (tf.range(logits.shape[1], dtype=tf.int64) < labels[:, None])
            rank = tf.reduce_sum(tf.cast((logits > right) | equal, tf.int32), axis=1)
            counted = [losses, rank < 1, rank < 5]
            return tf.stack([tf.reduce_sum(tf.cast(each, tf.float64)) for each in counted])

        def step(images: Any, labels: Any, totals: Any) -> Any:
            return totals + self._placement.total(learn, images, labels)

        shape = (self._batch_size, self._size, self._size, 3)
        signature = [
            tf.TensorSpec(shape, tf.float32),
            tf.TensorSpec((self._batch_size,), tf.int64),
            tf.TensorSpec((3,), tf.float64),
        ]
        return tf.function(step, input_signature=signature, jit_compile=compile_ or None)

    def _trace_forward(self, compile_: bool) -> Any:
        """Return the model as a graph that takes batches of any size to logits in fp32."""

        def forward(images: Any) -> Any:
            return self._placement.run(lambda part: tf.cast(self.model(part, training=False), tf.float32), images)

        shape = (None, self._size, self._size, 3)
        return tf.function(forward, input_signature=[tf.TensorSpec(shape, tf.float32)], jit_compile=compile_ or None)

    def warm_up(self, batches: int) -> None:
        """Run a few steps and passes on random images, trace and compile what an epoch needs, and take everything back."""
        before = self.state()
        draw = np.random.default_rng(0)
        shape = (self._size, self._size, 3)
        with expected_trouble(f"Training {self.facts.name} on a batch of {self._batch_size} images"):
            self._optimizer.learning_rate.assign(0.0)
            totals = tf.zeros(3, tf.float64)
            for _ in range(max(1, batches)):
                images = tf.constant(draw.random((self._batch_size, *shape), dtype=np.float32))
                totals = self._step(images, tf.zeros(self._batch_size, tf.int64), totals)
            totals.numpy()
            for size in warm_up_sizes(max(1, batches), self.resolved.validation_samples, self._batch_size):
                self._forward(tf.constant(draw.random((size, *shape), dtype=np.float32))).numpy()
            self._images.start()
            self._validation.start()
        self._restore(before, Path())
        self._ready = self._traced()

    def _traced(self) -> tuple[int, ...]:
        return self._step.experimental_get_tracing_count(), self._forward.experimental_get_tracing_count()

    def train_epoch(self, epoch: int, learning_rate: float, progress: Progress) -> Outcome:
        """Run an epoch; loss and hits are counted on the device and fetched at its end."""
        self._optimizer.learning_rate.assign(learning_rate)
        seed_dropout(self.model, self._seed, epoch)
        totals = tf.zeros(3, tf.float64)
        samples = 0
        with expected_trouble(f"Training {self.facts.name} on a batch of {self._batch_size} images"):
            for images, labels in self._images.epoch(epoch):
                totals = self._step(images, labels, totals)
                samples += self._batch_size
                progress(samples)
            loss, hits1, hits5 = (totals.numpy() / samples).tolist()
            average_running_means(self.model)
        if not np.isfinite(loss):
            raise BackendError(
                f"The loss of {self.facts.name} is no finite number any more after epoch {epoch + 1}.",
                "pass a smaller --lr, or --precision fp32 or bf16",
            )
        return Outcome(
            samples=samples,
            loss=loss,
            top1_accuracy=hits1,
            top5_accuracy=hits5,
            accuracy_provenance="measured",
            accuracy_source=self.dataset,
        )

    def validate(self, progress: Progress) -> Outcome:
        """Evaluate the images for validation, all of them."""
        with expected_trouble(f"A batch of images in {self.facts.name}"):
            return evaluate(
                self._validation,
                NumpyCounter(self._forward),
                progress,
                model=self.facts.name,
                data=self.dataset,
                skipped=NoneSkipped(),
            )

    def weights(self) -> bytes:
        """Return the weights in Keras' format."""
        with TemporaryDirectory(prefix="mlee-weights-") as folder:
            path = Path(folder) / f"model{self.weights_suffix}"
            self.model.save_weights(path)
            return path.read_bytes()

    def state(self) -> bytes:
        """Return all variables of model and optimiser in NumPy's format."""
        return pack(self._of, self.model, self._optimizer.variables)

    def restore(self, path: Path) -> None:
        """Take over a `state`."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ResultError(f"{path} cannot be read: {error.strerror}.", "begin the training anew") from error
        self._restore(content, path)

    def _restore(self, content: bytes, path: Path) -> None:
        unpack(content, self._of, self.model, self._optimizer.variables, path)

    def warnings(self) -> Iterator[Warning]:
        """Tell what was traced in an epoch, and of GPUs that went unused."""
        if self._ready not in (None, self._traced()):
            yield Warning(
                code="compiled-late",
                message="The model was traced again inside of an epoch: its time and energy count",
            )
        if self._chose_cpu:
            yield from idle_gpus("TensorFlow", GPU_BUILD)
