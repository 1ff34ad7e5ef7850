"""Feeding images to TensorFlow: a `tf.data` pipeline over files or TFRecords, in the order of the data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mlee.backends.batches import SyntheticBatches, target_matrix
from mlee.backends.evaluation import Batch
from mlee.backends.tensorflow.framework import tf
from mlee.backends.tensorflow.preprocessing import Preprocessing
from mlee.datasets import Dataset, ImageArray, ImageList, SyntheticImages
from mlee.datasets.imagenet import wordnet_ids
from mlee.datasets.records import RecordFiles
from mlee.errors import DataError

_READ_AHEAD_BYTES = 8 << 20
_PREFETCHED_BATCHES = 2


class ImageBatches:
    """Batches of images, decoded by `workers` threads; 0 decodes between two batches.

    Images that cannot be decoded are left out by the pipeline. Each image carries its number, so that those missing are
    known, and their names and reasons are looked up then.
    """

    def __init__(
        self,
        images: ImageList | ImageArray | RecordFiles,
        preset: Preprocessing,
        *,
        samples: int,
        batch_size: int,
        workers: int,
    ) -> None:
        """Build the pipeline; nothing is read yet, but the first record of TFRecord files."""
        self._images = images
        self._preset = preset
        self._samples = samples
        self._batch_size = batch_size
        self._workers = workers
        self._targets = None if isinstance(images, RecordFiles) else target_matrix(images.labels)
        self._read_record = record_reader(images) if isinstance(images, RecordFiles) else None
        self._pass = self._pipeline(samples)
        self._single = self._pipeline(1)

    def __len__(self) -> int:
        """Return the number of batches in a pass."""
        return -(-self._samples // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of a pass."""
        expected = 0
        for pixels, numbers, labels in self._pass:
            found = numbers.numpy()
            present = set(found.tolist())
            missing = [number for number in range(expected, int(found[-1]) + 1) if number not in present]
            expected = int(found[-1]) + 1
            targets = self._targets[found] if self._targets is not None else None
            if self._read_record is not None:
                targets = labels.numpy()[:, None]
            yield Batch(pixels, targets, self._describe(missing))
        if expected < self._samples:
            yield Batch(np.empty(0), None, self._describe(list(range(expected, self._samples))))

    def start(self) -> None:
        """Have TensorFlow prepare what it prepares for the first image; nothing goes on afterwards."""
        for _ in self._single:
            pass

    def _pipeline(self, samples: int) -> Any:
        parallel: dict[str, Any] = {"num_parallel_calls": self._workers, "deterministic": True} if self._workers else {}
        if isinstance(self._images, ImageArray):
            numbered = tf.data.Dataset.from_tensor_slices((self._images.pixels[:samples], np.arange(samples)))
            loaded = numbered.map(lambda pixels, number: (self._preset.prepare(pixels), number, 0), **parallel)
        elif isinstance(self._images, ImageList):
            paths = [str(path) for path in self._images.paths[:samples]]
            numbered = tf.data.Dataset.from_tensor_slices((paths, np.arange(len(paths))))
            loaded = numbered.map(lambda path, number: (self._load(path), number, 0), **parallel)
        else:
            files = [str(path) for path in self._images.paths]
            records = tf.data.TFRecordDataset(files, buffer_size=_READ_AHEAD_BYTES).enumerate().take(samples)
            loaded = records.map(lambda number, record: self._read(number, record), **parallel)
        batches = loaded.ignore_errors().batch(self._batch_size)
        if self._workers:
            batches = batches.prefetch(_PREFETCHED_BATCHES)
        options = tf.data.Options()
        options.deterministic = True
        options.autotune.enabled = False
        if self._workers:
            options.threading.private_threadpool_size = self._workers
        return batches.with_options(options)

    def _load(self, path: Any) -> Any:
        return self._preset.decode(tf.io.read_file(path))

    def _read(self, number: Any, record: Any) -> Any:
        assert self._read_record is not None
        encoded, label = self._read_record(record)
        return self._preset.decode(encoded), number, label

    def _describe(self, numbers: list[int]) -> tuple[str, ...]:
        if isinstance(self._images, RecordFiles):
            return tuple(f"{place_of(self._images, number)} (cannot be read or decoded)" for number in numbers)
        if isinstance(self._images, ImageArray):
            return ()  # pixels need no decoding
        return tuple(f"{self._images.paths[number]} ({self._reason(number)})" for number in numbers)

    def _reason(self, number: int) -> str:
        assert isinstance(self._images, ImageList)
        try:
            self._load(str(self._images.paths[number]))
        except tf.errors.OpError as error:
            reason = " ".join((error.message or "").split())
            return reason[:200] or type(error).__name__
        return "failed once, and could be read when tried again"


Batches = ImageBatches | SyntheticBatches


def place_of(records: RecordFiles, number: int) -> str:
    """Name the file and the place in it of a record, counted over all files."""
    for path, count in zip(records.paths, records.counts, strict=True):
        if number < count:
            return f"{path} record {number}"
        number -= count
    raise AssertionError("there are as many records as were counted")


def record_reader(records: RecordFiles) -> Any:
    """Return the graph function that takes a serialised example to its image, encoded, and class index 0..999.

    TensorFlow Datasets names the fields `image` and `label` and counts classes from 0; TF-slim `image/encoded` and
    `image/class/label`, from 1.
    """
    first = next(iter(tf.data.TFRecordDataset([str(records.paths[0])]).take(1))).numpy()
    try:
        fields = set(tf.train.Example.FromString(first).features.feature)
    except Exception as error:  # protobuf's DecodeError, of whichever implementation is installed
        raise DataError(f"{records.paths[0]} holds no tf.train.Example: {error}") from error
    known = (("image", "label", 0), ("image/encoded", "image/class/label", 1))
    found = [names for names in known if {*names[:2]} <= fields]
    if not found:
        raise DataError(
            f"{records.paths[0]} has the fields {', '.join(sorted(fields))}.",
            "wanted are image and label (TensorFlow Datasets), or image/encoded and image/class/label (TF-slim)",
        )
    image, label, lowest = found[0]
    classes = len(wordnet_ids())

    def read(record: Any) -> Any:
        parsed = tf.io.parse_single_example(
            record, {image: tf.io.FixedLenFeature([], tf.string), label: tf.io.FixedLenFeature([], tf.int64)}
        )
        index = parsed[label] - lowest
        inside = tf.debugging.Assert((index >= 0) & (index < classes), ["class index outside of ImageNet-1k", index])
        with tf.control_dependencies([inside]):
            return tf.identity(parsed[image]), tf.identity(index)

    return read


def make_batches(
    dataset: Dataset, preset: Preprocessing, *, samples: int, batch_size: int, workers: int, seed: int
) -> Batches:
    """Batches in the data set's order; the last, smaller one is kept."""
    if isinstance(dataset, SyntheticImages):
        draw = np.random.default_rng(seed)
        shape = (preset.crop_size, preset.crop_size, 3)

        def random_images(count: int) -> Any:
            with tf.device("CPU:0"):
                return tf.constant(draw.standard_normal((count, *shape), dtype=np.float32))

        return SyntheticBatches(samples, batch_size, random_images)
    return ImageBatches(dataset, preset, samples=samples, batch_size=batch_size, workers=workers)
