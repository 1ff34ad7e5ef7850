"""Images and their labels, without any framework: what `--data-path` stands for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mlee.datasets.records import RecordFiles, find_records
from mlee.errors import ConfigError, DataError

SYNTHETIC_IMAGES = 512
SAMPLE_IMAGES = 96
_MOST_SAMPLE_IMAGES = 10_000_000  # a list of them is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageList:
    """Image files and, where known, the class indices that are right for each (several may be)."""

    name: str
    paths: tuple[Path, ...]
    labels: tuple[tuple[int, ...], ...] | None
    note: str | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)


@dataclass(frozen=True, slots=True)
class SyntheticImages:
    """Random images made in memory: no files, no labels, no accuracy."""

    count: int
    name: str = "synthetic"

    def __len__(self) -> int:
        """Return the number of images."""
        return self.count


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageArray:
    """Images in memory: pixels (n, height, width, 3) of 0..255, and the class indices that are right for each."""

    name: str
    pixels: Any
    labels: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)


Dataset = ImageList | ImageArray | SyntheticImages | RecordFiles
T = TypeVar("T")


def open_dataset(data_path: str) -> Dataset:
    """Resolve `--data-path`: `sample[:N]`, `synthetic[:N]`, or a folder with the ImageNet validation set.

    A folder holds images or, which not every backend reads, TFRecord files.

    Raises `ConfigError` for a wrong count and `DataError` for missing or strange data.
    """
    from mlee.datasets.imagenet import imagenet_validation
    from mlee.datasets.sample import sample_images

    kind, _, count = data_path.partition(":")
    if kind == "synthetic":
        return synthetic_images(data_path)
    if kind == "sample":
        return sample_images(_count(data_path, count, SAMPLE_IMAGES, _MOST_SAMPLE_IMAGES))
    return open_path(data_path, lambda root: find_records(root) or imagenet_validation(root))


def synthetic_images(data_path: str) -> SyntheticImages:
    """Resolve `synthetic[:N]`; raises `ConfigError` for a wrong count."""
    return SyntheticImages(_count(data_path, data_path.partition(":")[2], SYNTHETIC_IMAGES, sys.maxsize))


def open_path(data_path: str, read: Callable[[Path], T]) -> T:
    """Read the folder that `--data-path` names; raises `ConfigError` and `DataError` for what is no folder one may read."""
    try:
        return read(Path(data_path).expanduser())
    except RuntimeError as error:
        raise ConfigError(f"--data-path {data_path}: {error}", "write the path in full") from error
    except OSError as error:
        raise DataError(
            f"--data-path {data_path}: {error.filename or data_path} cannot be read: {error.strerror or error}.",
            "check the path and who may read it",
        ) from error


def without_records(dataset: Dataset, backend: str) -> ImageList | ImageArray | SyntheticImages:
    """Return a data set that needs no TensorFlow to be read; raises `ConfigError` for TFRecord files."""
    if isinstance(dataset, RecordFiles):
        raise ConfigError(
            f"--data-path {dataset.paths[0].parent} holds TFRecord files, which --backend {backend} cannot read.",
            "pass --backend tensorflow, or a folder with the images",
        )
    return dataset


def _count(data_path: str, text: str, default: int, most: int) -> int:
    if not text:
        return default
    digits = text.lstrip("0") if text.isascii() and text.isdigit() else ""
    if not digits:
        raise ConfigError(f"--data-path '{data_path}' asks for no whole number of images.", "for example synthetic:1000")
    # Python converts no number of thousands of digits.
    if len(digits) > len(str(most)) or int(digits) > most:
        raise ConfigError(f"--data-path '{data_path:.40}' asks for more than {most:,} images.", "for example synthetic:1000")
    return int(digits)
