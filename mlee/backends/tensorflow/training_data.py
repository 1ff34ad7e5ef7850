"""Feeding images to a training: one `tf.data` pipeline, made once, which reads order and seed of an epoch from variables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mlee.backends.batches import SyntheticBatches
from mlee.backends.evaluation import Batch, Skipped
from mlee.backends.tensorflow.augmentation import Augmentation
from mlee.backends.tensorflow.data import ImageBatches, make_batches, place_of, record_reader
from mlee.backends.tensorflow.framework import tf
from mlee.backends.tensorflow.preprocessing import Preprocessing
from mlee.backends.training_base import shuffled
from mlee.datasets import Dataset, ImageArray, ImageList, SyntheticImages
from mlee.datasets.records import RecordFiles
from mlee.errors import DataError

_PREFETCHED_BATCHES = 2
#: Records are taken from so many files in turn, and each from a buffer of so many at random: 0.2 GB of ImageNet.
_OPEN_FILES, _SHUFFLE_BUFFER = 16, 2048
_READ_AHEAD_BYTES = 1 << 20


def unreadable(name: str) -> DataError:
    """Return the error that names an image which cannot be decoded."""
    return DataError(f"An image cannot be read: {name}.", "repair or remove it")


class NoneSkipped(Skipped):
    """A training skips no image: epochs would have different lengths."""

    def __init__(self) -> None:
        """Start with none."""
        super().__init__(allowed=False)

    def note(self, names: tuple[str, ...]) -> None:
        """Raise `DataError` for the first."""
        if names:
            raise unreadable(names[0])


class TrainingImages:
    """Whole batches of augmented images (n, size, size, 3) with their labels (n,), in an order drawn for each epoch.

    What is drawn for an image follows from the seed, the epoch and the image's position in it: `workers` threads change
    nothing.
    """

    def __init__(
        self,
        images: ImageList | ImageArray | RecordFiles,
        augmentation: Augmentation,
        *,
        samples: int,
        batch_size: int,
        workers: int,
        seed: int,
    ) -> None:
        """Build the pipeline; nothing is read yet, but the first record of TFRecord files."""
        self._images = images
        self._samples = samples
        self._batch_size = batch_size
        self._workers = workers
        self._seed = seed
        self._ordered = len(images.paths) if isinstance(images, RecordFiles) else len(images)
        with tf.device("CPU:0"):
            self._order = tf.Variable(tf.range(self._ordered, dtype=tf.int64), trainable=False)
            self._epoch_seed = tf.Variable(tf.zeros(2, tf.int32), trainable=False)
            if isinstance(images, RecordFiles):
                self._raw, self._read = _records(images, self._order, self._epoch_seed), _read_record(images, augmentation)
            else:
                self._raw, self._read = _numbers(self._order), _read_image(images, augmentation)
            self._raw = self._raw.take(samples)
            parallel: dict[str, Any] = {"num_parallel_calls": workers, "deterministic": True} if workers else {}
            loaded = self._raw.map(self._element, **parallel)
            batches = loaded.batch(batch_size, drop_remainder=True)
            self._epoch = self._with_options(batches.prefetch(_PREFETCHED_BATCHES) if workers else batches)
            self._first = self._with_options(loaded.take(1))

    def _with_options(self, dataset: Any) -> Any:
        options = tf.data.Options()
        options.deterministic = True
        options.autotune.enabled = False
        if self._workers:
            options.threading.private_threadpool_size = self._workers
        return dataset.with_options(options)

    def _element(self, position: Any, number: Any, *record: Any) -> Any:
        return self._read(tf.random.fold_in(self._epoch_seed, tf.cast(position, tf.int32)), number, *record)

    def epoch(self, epoch: int) -> Iterator[tuple[Any, Any]]:
        """Yield the batches of an epoch, counted from 0; raises `DataError` naming an image that cannot be read."""
        self._order.assign(shuffled(self._ordered, self._seed, epoch))
        drawn = np.random.SeedSequence((self._seed, epoch)).generate_state(2)
        self._epoch_seed.assign((drawn >> 1).astype(np.int32))
        batches = iter(self._epoch)
        for number in range(self._samples // self._batch_size):
            try:
                batch = next(batches)
            except tf.errors.OpError as error:
                raise self._explain(number, error) from error
            yield batch

    def start(self) -> None:
        """Have TensorFlow prepare what it prepares for the first image; nothing goes on afterwards."""
        try:
            for _ in self._first:
                pass
        except tf.errors.OpError as error:
            raise self._explain(0, error) from error

    def _explain(self, batch: int, error: Exception) -> DataError:
        """Read the images of a batch again, one by one, to find the one that cannot be."""
        reason = _first_line(error)
        try:
            for position, number, *record in self._raw.skip(batch * self._batch_size).take(self._batch_size):
                try:
                    self._element(position, number, *record)
                except tf.errors.OpError as found:
                    return unreadable(f"{self._name(int(number))} ({_first_line(found)})")
        except tf.errors.OpError as found:
            reason = _first_line(found)
        if isinstance(self._images, RecordFiles):
            return DataError(f"{self._images.paths[0].parent}: {reason}", "copy or prepare the TFRecord files again")
        return DataError(f"An image failed once, and could be read when tried again: {reason}", "start again")

    def _name(self, number: int) -> str:
        if isinstance(self._images, RecordFiles):
            return place_of(self._images, number)
        return f"image {number}" if isinstance(self._images, ImageArray) else str(self._images.paths[number])


def _first_line(error: Exception) -> str:
    return " ".join(str(getattr(error, "message", None) or error).split())[:200] or type(error).__name__


def _numbers(order: Any) -> Any:
    """Positions in the epoch with the numbers of images."""
    return tf.data.Dataset.range(order.shape[0]).map(lambda position: (position, order.sparse_read(position)))


def _read_image(images: ImageList | ImageArray, augmentation: Augmentation) -> Any:
    labels = tf.constant([label[0] for label in images.labels or ()], tf.int64)
    if isinstance(images, ImageArray):
        pixels = tf.constant(images.pixels)
        return lambda seed, number: (augmentation.augment(pixels[number], seed), labels[number])
    paths = tf.constant([str(path) for path in images.paths])
    return lambda seed, number: (augmentation.decode(tf.io.read_file(paths[number]), seed), labels[number])


def _records(images: RecordFiles, order: Any, seed: Any) -> Any:
    """Positions in the epoch with numbers of records over all files, and the records.

    All is made inside `flat_map`, so that order and seed are looked up when an epoch begins.
    """
    paths = tf.constant([str(path) for path in images.paths])
    starts = tf.constant(np.cumsum([0, *images.counts[:-1]]), tf.int64)

    def of_file(position: Any) -> Any:
        file = order.sparse_read(position)
        records = tf.data.TFRecordDataset(paths[file], buffer_size=_READ_AHEAD_BYTES)
        return records.enumerate(starts[file])

    def of_epoch(_: Any) -> Any:
        files = tf.data.Dataset.range(len(images.paths))
        mixed = files.interleave(of_file, cycle_length=min(_OPEN_FILES, len(images.paths)))
        return mixed.shuffle(_SHUFFLE_BUFFER, seed=tf.cast(seed[0], tf.int64), reshuffle_each_iteration=False)

    shuffled_records = tf.data.Dataset.range(1).flat_map(of_epoch).enumerate()
    return shuffled_records.map(lambda position, numbered: (position, *numbered))


def _read_record(images: RecordFiles, augmentation: Augmentation) -> Any:
    read = record_reader(images)

    def read_and_augment(seed: Any, _: Any, record: Any) -> Any:
        encoded, label = read(record)
        return augmentation.decode(encoded, seed), label

    return read_and_augment


class LabelledNoise:
    """Random images with made-up labels; a few batches are kept in memory and taken in turn."""

    def __init__(self, samples: int, preset: Preprocessing, *, batch_size: int, classes: int, seed: int) -> None:
        """Make the few batches."""
        images = make_batches(SyntheticImages(samples), preset, samples=samples, batch_size=batch_size, workers=0, seed=seed)
        assert isinstance(images, SyntheticBatches)
        self._images = images
        self._labels = np.random.default_rng((seed, classes)).integers(0, classes, samples)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches for a validation; the last may be smaller."""
        done = 0
        for batch in self._images:
            count = len(batch.images)
            yield Batch(batch.images, self._labels[done : done + count, None])
            done += count

    def epoch(self, _: int) -> Iterator[tuple[Any, Any]]:
        """Yield the batches for training."""
        for batch in self:
            assert batch.targets is not None
            yield batch.images, tf.constant(batch.targets[:, 0])

    def start(self) -> None:
        """Do nothing: all images are there."""


def training_batches(
    dataset: Dataset, augmentation: Augmentation, *, samples: int, batch_size: int, workers: int, classes: int, seed: int
) -> TrainingImages | LabelledNoise:
    """Batches to train on."""
    if isinstance(dataset, SyntheticImages):
        return LabelledNoise(samples, augmentation.preset, batch_size=batch_size, classes=classes, seed=seed)
    return TrainingImages(dataset, augmentation, samples=samples, batch_size=batch_size, workers=workers, seed=seed)


def validation_batches(
    dataset: Dataset, preset: Preprocessing, *, samples: int, batch_size: int, workers: int, classes: int, seed: int
) -> ImageBatches | LabelledNoise:
    """Batches of the images to validate with, in their order; the last, smaller one is kept."""
    if isinstance(dataset, SyntheticImages):
        return LabelledNoise(samples, preset, batch_size=batch_size, classes=classes, seed=seed)
    return ImageBatches(dataset, preset, samples=samples, batch_size=batch_size, workers=workers)
