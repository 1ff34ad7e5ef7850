"""ImageNet as TFRecord files, as TensorFlow Datasets or the scripts of TF-slim prepare it."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlee.errors import DataError

_SHARD = r"(?:^|-){split}(?:\.\w+)?-(\d{{5}})-of-(\d{{5}})$"
_LENGTH = struct.Struct("<Q4x")  # length of the record and its check sum; record and another check sum of 4 bytes follow


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFiles:
    """Files of serialised `tf.train.Example`, in order, and how many each holds."""

    name: str
    paths: tuple[Path, ...]
    counts: tuple[int, ...]

    def __len__(self) -> int:
        """Return the number of images."""
        return sum(self.counts)


def find_records(root: Path, split: str = "validation") -> RecordFiles | None:
    """Find the shards of a split (train, validation) in `root`, or where TensorFlow Datasets puts them below it.

    Raises `DataError` where shards are missing or damaged.
    """
    shard = re.compile(_SHARD.format(split=split))
    for folder in (root, root / split, *_versions(root), *_versions(root / "imagenet2012")):
        if not folder.is_dir():
            continue
        shards = {int(found[1]): path for path in folder.iterdir() if (found := shard.search(path.name))}
        if shards:
            whole = {shard.search(path.name)[2] for path in shards.values()}  # type: ignore[index]
            if len(whole) > 1 or set(shards) != set(range(int(next(iter(whole))))):
                raise DataError(
                    f"{folder} holds {len(shards)} shards of -of-{min(whole)}.", "complete the files, or prepare them again"
                )
            paths = tuple(shards[number] for number in sorted(shards))
            return RecordFiles(name="imagenet", paths=paths, counts=tuple(_count(path) for path in paths))
    return None


def _versions(folder: Path) -> Iterator[Path]:
    """Versions of a data set, the newest first."""
    found = [path for path in folder.glob("[0-9]*.[0-9]*.[0-9]*") if re.fullmatch(r"\d+\.\d+\.\d+", path.name)]
    yield from sorted(found, key=lambda path: [int(part) for part in path.name.split(".")], reverse=True)


def _count(path: Path) -> int:
    """Count records by their lengths, which is a seek each; raises `DataError` where the file is torn."""
    size = path.stat().st_size
    count = position = 0
    with path.open("rb") as file:
        while position < size:
            file.seek(position)
            header = file.read(_LENGTH.size)
            if len(header) == _LENGTH.size:
                position += _LENGTH.size + _LENGTH.unpack(header)[0] + 4
            if len(header) < _LENGTH.size or position > size:
                raise DataError(f"{path} ends in the middle of record {count}.", "copy or prepare the file again")
            count += 1
    return count
