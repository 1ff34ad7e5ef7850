"""Feeding images to PyTorch: files through worker processes, or random images straight from memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import torch
from PIL import Image
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from mlee.backends.batches import SyntheticBatches, target_matrix
from mlee.backends.evaluation import Batch
from mlee.datasets import ImageArray, ImageList, SyntheticImages
from mlee.errors import BackendError


class _ImageFiles(TorchDataset[tuple[torch.Tensor | str, tuple[int, ...]]]):
    """Decodes and preprocesses images; a file that cannot be decoded yields its name instead of an image."""

    def __init__(self, images: ImageList | ImageArray, preprocess: Callable[[Any], torch.Tensor], count: int) -> None:
        self._images = images
        self._preprocess = preprocess
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[torch.Tensor | str, tuple[int, ...]]:
        labels = () if self._images.labels is None else self._images.labels[index]
        return read_image(self._images, index, self._preprocess), labels


def read_image(images: ImageList | ImageArray, index: int, preprocess: Callable[[Any], torch.Tensor]) -> torch.Tensor | str:
    """Return an image, preprocessed, or the name of its file with the reason why it cannot be decoded."""
    if isinstance(images, ImageArray):
        return preprocess(Image.fromarray(images.pixels[index]))
    path = images.paths[index]
    try:
        with Image.open(path) as image:
            return preprocess(image.convert("RGB"))
    except Exception as error:  # noqa: BLE001 - a decoder meets foreign files: whatever it raises means this one is bad
        reason = " ".join(str(error).split()).removesuffix(f" {str(path)!r}") or type(error).__name__
        return f"{path} ({reason})"


def _collate(rows: Sequence[tuple[torch.Tensor | str, tuple[int, ...]]]) -> Batch:
    corrupt = tuple(image for image, _ in rows if isinstance(image, str))
    images = [image for image, _ in rows if isinstance(image, torch.Tensor)]
    targets = target_matrix(tuple(label for image, label in rows if isinstance(image, torch.Tensor)))
    return Batch(
        torch.stack(images) if images else torch.empty(0), None if targets is None else torch.from_numpy(targets), corrupt
    )


class _Ranges:
    """Indices of batches in order; while `warming`, one image for each worker and no more."""

    def __init__(self, samples: int, batch_size: int, workers: int) -> None:
        self._samples = samples
        self._batch_size = batch_size
        self._workers = workers
        self.warming = False

    def __len__(self) -> int:
        return -(-self._samples // self._batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        if self.warming:
            yield from ([index] for index in range(min(self._workers, self._samples)))
            return
        for start in range(0, self._samples, self._batch_size):
            yield list(range(start, min(start + self._batch_size, self._samples)))


class ImageLoader:
    """Batches of image files, loaded by worker processes that stay from pass to pass."""

    def __init__(self, images: _ImageFiles, batch_size: int, workers: int, pin: bool) -> None:
        self._ranges = _Ranges(len(images), batch_size, workers)
        self._workers = workers
        self._loader: DataLoader[Any] = DataLoader(
            images,
            batch_sampler=cast(Sampler[list[int]], self._ranges),
            num_workers=workers,
            collate_fn=_collate,
            pin_memory=pin,
            persistent_workers=workers > 0,
            prefetch_factor=4 if workers else None,
        )

    def __len__(self) -> int:
        return len(self._ranges)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._loader)

    def start(self) -> None:
        """Start the workers and leave them idle.

        Forking is not part of the model's energy. Taking one batch of a real pass would not do: what the workers had
        prefetched of it would be decoded, and thrown away, inside the first measured window.
        """
        if not self._workers:
            return
        self._ranges.warming = True
        try:
            for _ in self._loader:
                pass
        except OSError as error:
            raise BackendError(
                f"{self._workers} worker processes cannot be started: {error}", "pass fewer --workers"
            ) from error
        finally:
            self._ranges.warming = False


Batches = ImageLoader | SyntheticBatches


def make_batches(
    dataset: ImageList | ImageArray | SyntheticImages,
    preprocess: Callable[[Any], torch.Tensor],
    *,
    samples: int,
    batch_size: int,
    image_size: int,
    workers: int,
    seed: int,
    cuda: bool,
) -> Batches:
    """Batches in the data set's order; the last, smaller one is kept."""
    if isinstance(dataset, SyntheticImages):
        generator = torch.Generator().manual_seed(seed)

        def random_images(count: int) -> torch.Tensor:
            images = torch.randn((count, 3, image_size, image_size), generator=generator)
            return images.pin_memory() if cuda else images

        return SyntheticBatches(samples, batch_size, random_images)
    return ImageLoader(_ImageFiles(dataset, preprocess, samples), batch_size, workers, cuda)
