"""What a run works on: CPU or GPUs, how many threads, and where a model's variables and computations go."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any, cast

from mlee.backends.gpus import choose_gpus
from mlee.backends.tensorflow.framework import tf
from mlee.backends.threads import cpu_threads

GPU_BUILD = "`pip install 'tensorflow[and-cuda]'` in place of tensorflow-cpu"


def choose_devices(wanted: str) -> tuple[list[str], list[int]]:
    """Resolve --device to TensorFlow's names and the indices of GPUs; raises `ConfigError`.

    `auto` takes all GPUs or else the CPU, `cuda` all GPUs, `cuda:N` one. GPUs that are not taken are hidden, for
    TensorFlow reserves the memory of those it sees.
    """
    # Fails once TensorFlow has started: then an earlier model of this process has settled it, with the same options.
    with suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(cpu_threads())
    gpus = tf.config.list_physical_devices("GPU")
    chosen = choose_gpus(wanted, len(gpus), "TensorFlow", f"; with an NVIDIA GPU, {GPU_BUILD}")
    with suppress(RuntimeError):
        tf.config.set_visible_devices([gpus[index] for index in chosen], "GPU")
        for index in chosen:
            tf.config.experimental.set_memory_growth(gpus[index], True)
    return ([f"GPU:{number}" for number in range(len(chosen))] if chosen else ["CPU:0"]), chosen


class Placement:
    """Puts variables and computations on one device, or copies of them on several (a `MirroredStrategy`)."""

    def __init__(self, devices: list[str]) -> None:
        """Take TensorFlow's names of logical devices: "CPU:0", "GPU:1"."""
        self._device = devices[0]
        self._strategy = tf.distribute.MirroredStrategy(devices) if len(devices) > 1 else None

    def scope(self) -> AbstractContextManager[Any]:
        """Return the context in which variables belong on the devices."""
        found = self._strategy.scope() if self._strategy is not None else tf.device(self._device)
        return cast(AbstractContextManager[Any], found)

    @property
    def replicas(self) -> int:
        """On how many devices the model is."""
        return 1 if self._strategy is None else int(self._strategy.num_replicas_in_sync)

    def run(self, work: Callable[[Any], Any], images: Any) -> Any:
        """Apply `work` to images (n, ...), n > 0, each device taking its share; results in order. A graph function.

        A device whose share is empty works on an image of another's, and its result is dropped: on some CPUs TensorFlow
        gives what a convolution makes of no images a wrong shape.
        """
        return tf.concat(self._share(work, images, never_empty=True), axis=0)

    def total(self, work: Callable[[Any, Any], Any], images: Any, labels: Any) -> Any:
        """Apply `work` to images (n, ...) with their labels (n,), each device taking its share; the results' sum."""
        return tf.add_n(self._share(work, images, labels))

    def _share(self, work: Callable[..., Any], *wholes: Any, never_empty: bool = False) -> list[Any]:
        if self._strategy is None:
            with tf.device(self._device):
                return [work(*wholes)]

        def share(*wholes: Any) -> Any:
            context = tf.distribute.get_replica_context()
            number, of = context.replica_id_in_sync_group, context.num_replicas_in_sync
            count = tf.shape(wholes[0])[0]
            begin, end = count * number // of, count * (number + 1) // of
            taken = tf.maximum(end, begin + 1) if never_empty else end
            with tf.device("CPU:0"):  # where the batch is: no device gets more than its share
                parts = [whole[begin:taken] for whole in wholes]
            results = work(*parts)
            return results[: end - begin] if never_empty else results

        results = self._strategy.run(share, args=wholes)
        return list(self._strategy.experimental_local_results(results))
