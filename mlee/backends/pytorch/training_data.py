"""Feeding a training: shuffled, augmented batches, each process of a team its share of every batch.

What happens to an image depends on seed, epoch and its place in the epoch alone: neither on the number of workers nor on
what was drawn before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

import torch
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset
from torchvision.transforms._presets import ImageClassification

from mlee.backends.evaluation import Batch
from mlee.backends.pytorch.data import Batches, make_batches, read_image
from mlee.backends.training_base import Team, shuffled
from mlee.datasets import ImageArray, ImageList, SyntheticImages
from mlee.errors import BackendError, DataError

#: Index of an image and the seed of its random numbers.
_Key = tuple[int, int]


class _Images(TorchDataset[tuple[torch.Tensor, int]]):
    def __init__(self, images: ImageList | ImageArray, transform: Callable[[Any], torch.Tensor]) -> None:
        self._images = images
        self._transform = transform

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, key: _Key) -> tuple[torch.Tensor, int]:
        index, seed = key
        generator = torch.default_generator  # the one that transforms draw from
        before = generator.get_state()
        generator.manual_seed(seed)
        try:
            image = read_image(self._images, index, self._transform)
        finally:
            generator.set_state(before)
        if isinstance(image, str):
            raise DataError(f"An image cannot be read: {image}.", "repair or remove it")
        assert self._images.labels is not None
        return image, self._images.labels[index][0]


class _Shuffle:
    """The keys of an epoch's batches; while `warming`, one image for each worker and no more."""

    def __init__(self, images: int, batches: int, batch_size: int, seed: int, team: Team, workers: int) -> None:
        self._images, self._batches, self._batch_size = images, batches, batch_size
        self._seed, self._team, self._workers = seed, team, workers
        self.epoch = 0
        self.warming = False

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[list[_Key]]:
        if self.warming:
            yield from ([(index, 0)] for index in range(min(self._workers, self._images)))
            return
        order = shuffled(self._images, self._seed, self.epoch)
        whole = self._batch_size * self._team.size
        for batch in range(self._batches):
            first = batch * whole + self._team.rank * self._batch_size
            places = range(first, first + self._batch_size)
            yield [(int(order[place]), derived_seed(self._seed, self.epoch, place)) for place in places]


def derived_seed(*numbers: int) -> int:
    """Return a seed of 63 bits that differs wherever one of the numbers does."""
    import numpy as np

    return int(np.random.SeedSequence(numbers).generate_state(1, "uint64")[0] >> 1)


class TrainingLoader:
    """Batches of images with labels, decoded by worker processes that stay from epoch to epoch."""

    def __init__(
        self,
        images: ImageList | ImageArray,
        transform: Callable[[Any], torch.Tensor],
        *,
        batches: int,
        batch_size: int,
        seed: int,
        team: Team,
        workers: int,
        pin: bool,
    ) -> None:
        """Prepare the loader; `batch_size` is that of this process."""
        self._shuffle = _Shuffle(len(images), batches, batch_size, seed, team, workers)
        self._workers = workers
        self._loader: DataLoader[Any] = DataLoader(
            _Images(images, transform),
            batch_sampler=cast(Sampler[list[int]], self._shuffle),
            num_workers=workers,
            pin_memory=pin,
            persistent_workers=workers > 0,
            generator=torch.Generator(),  # seeds of workers are not taken from the numbers that dropout draws
            prefetch_factor=4 if workers else None,
        )

    def epoch(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield images (n, 3, size, size) and labels (n,) of an epoch, counted from 0."""
        self._shuffle.epoch = epoch
        yield from self._loader

    def start(self) -> None:
        """Start the workers and leave them idle."""
        if not self._workers:
            return
        self._shuffle.warming = True
        try:
            for _ in self._loader:
                pass
        except OSError as error:
            raise BackendError(
                f"{self._workers} worker processes cannot be started: {error}", "pass fewer --workers"
            ) from error
        finally:
            self._shuffle.warming = False


class SyntheticLoader:
    """Random images in memory with made-up labels: to measure, not to learn."""

    def __init__(self, batches: Batches, classes: int) -> None:
        """Take batches of images; the label of an image is its place in the batch."""
        self._batches = batches
        self._classes = classes

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self._batches)

    def epoch(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield images (n, 3, size, size) and labels (n,); all epochs are the same."""
        for images, _, _ in self._batches:
            yield images, torch.arange(len(images)) % self._classes

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches for validation: labels as a column."""
        for images, labels in self.epoch(0):
            yield Batch(images, labels[:, None])

    def start(self) -> None:
        """Do nothing: all images are there."""


def share_of(
    images: ImageList | ImageArray | SyntheticImages, samples: int, team: Team
) -> ImageList | ImageArray | SyntheticImages:
    """Return what a process of the team validates: of the first `samples` images every n-th."""
    part = slice(team.rank, samples, team.size)
    if isinstance(images, SyntheticImages):
        return replace(images, count=len(range(samples)[part]))
    if isinstance(images, ImageArray):
        return replace(images, pixels=images.pixels[part], labels=images.labels[part])
    return replace(images, paths=images.paths[part], labels=None if images.labels is None else images.labels[part])


def make_loaders(
    train: ImageList | ImageArray | SyntheticImages,
    validation: ImageList | ImageArray | SyntheticImages,
    *,
    transform: Callable[[Any], torch.Tensor],
    preset: ImageClassification,
    batches: int,
    batch_size: int,
    classes: int,
    seed: int,
    team: Team,
    workers: int,
    cuda: bool,
) -> tuple[TrainingLoader | SyntheticLoader, Batches | SyntheticLoader]:
    """Return the training's batches, and those for validation, of which `validation` is this process's share."""

    def plain(images: ImageList | ImageArray | SyntheticImages, samples: int, seed: int) -> Batches:
        size = int(preset.crop_size[0])
        return make_batches(
            images,
            preset,
            samples=samples,
            batch_size=batch_size,
            image_size=size,
            workers=workers,
            seed=seed,
            cuda=cuda,
        )

    checked = plain(validation, len(validation), seed + 1)
    if isinstance(train, SyntheticImages):
        return SyntheticLoader(plain(train, batches * batch_size, seed), classes), SyntheticLoader(checked, classes)
    loader = TrainingLoader(
        train, transform, batches=batches, batch_size=batch_size, seed=seed, team=team, workers=workers, pin=cuda
    )
    return loader, checked
