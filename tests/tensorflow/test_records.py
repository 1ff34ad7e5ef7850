"""ImageNet as TFRecord files: both ways in which they are usually prepared."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mlee.backends.tensorflow.models import KerasModel
from mlee.datasets import open_dataset
from mlee.datasets.records import RecordFiles
from mlee.errors import DataError
from tests.tensorflow.helpers import backend, favour, nothing, tiny_network, write_photographs

LABELS = (5, 999, 0, 281, 281, 7, 5)
TFDS, SLIM = "imagenet2012-validation.tfrecord", "validation"


@pytest.fixture(autouse=True)
def _tiny_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KerasModel, "_build", tiny_network)


def _png(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def _example(image: bytes, label: int, names: tuple[str, str]) -> bytes:
    feature = {
        names[0]: tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
        names[1]: tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
    }
    return bytes(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())


def write(
    folder: Path, stem: str, labels: tuple[int, ...] = LABELS, images: dict[int, bytes] | None = None, shards: int = 3
) -> Path:
    """Write the images in order, an equal part of them into each shard."""
    folder.mkdir(parents=True, exist_ok=True)
    names, lowest = (("image", "label"), 0) if stem == TFDS else (("image/encoded", "image/class/label"), 1)
    for shard, numbers in enumerate(np.array_split(np.arange(len(labels)), shards)):
        with tf.io.TFRecordWriter(str(folder / f"{stem}-{shard:05d}-of-{shards:05d}")) as writer:
            for number in numbers:
                image = (images or {}).get(number, _png(number))
                writer.write(_example(image, labels[number] + lowest, names))
    return folder


@pytest.mark.parametrize("stem", [TFDS, SLIM])
@pytest.mark.parametrize("below", [".", "imagenet2012/5.1.0", "5.0.0", "validation"])
def test_records_are_found_counted_and_labelled_in_order(stem: str, below: str, tmp_path: Path) -> None:
    write(tmp_path / below, stem)
    found = open_dataset(str(tmp_path))
    assert isinstance(found, RecordFiles)
    assert (found.name, found.counts, len(found)) == ("imagenet", (3, 2, 2), 7)
    tested = backend(data_path=str(tmp_path), batch_size=3, workers=2)
    targets = [label for batch in tested.batches for label in batch.targets[:, 0]]
    assert targets == list(LABELS)
    favour(tested.model, 281, 5)
    outcome = tested.evaluate(nothing)
    assert (outcome.samples, outcome.top1_accuracy, outcome.top5_accuracy) == (7, pytest.approx(2 / 7), pytest.approx(4 / 7))


def test_records_and_files_of_the_same_images_give_the_same(tmp_path: Path) -> None:
    files = backend(data_path=str(write_photographs(tmp_path / "files")), batch_size=3)
    pictures = {number: path.read_bytes() for number, path in enumerate(files.dataset.paths)}  # type: ignore[union-attr]
    records = write(tmp_path / "records", TFDS, labels=(5, 5, 5, 281, 281, 999, 999), images=pictures)
    assert np.array_equal(backend(data_path=str(records), batch_size=3).predict(), files.predict())


def test_batches_limit_the_records(tmp_path: Path) -> None:
    tested = backend(data_path=str(write(tmp_path, TFDS)), batch_size=2, n_batches=2)
    assert (tested.resolved.samples, tested.evaluate(nothing).samples) == (4, 4)


@pytest.mark.parametrize(("broken", "place"), [(0, "00000-of-00003 record 0"), (4, "00001-of-00003 record 1")])
def test_an_image_that_cannot_be_decoded_is_named_by_file_and_record(broken: int, place: str, tmp_path: Path) -> None:
    write(tmp_path, SLIM, images={broken: b"no image"})
    with pytest.raises(DataError, match=place):
        backend(data_path=str(tmp_path)).evaluate(nothing)
    tested = backend(data_path=str(tmp_path), skip_corrupt=True)
    assert tested.evaluate(nothing).samples == 6
    assert any(place in warning.message for warning in tested.warnings())


@pytest.mark.parametrize(("stem", "label"), [(TFDS, 1000), (TFDS, -1), (SLIM, -1)])
def test_a_class_outside_of_imagenet_is_never_counted(stem: str, label: int, tmp_path: Path) -> None:
    write(tmp_path, stem, labels=(5, label, 5))
    with pytest.raises(DataError, match="record 0"):
        backend(data_path=str(tmp_path)).evaluate(nothing)


def test_a_damaged_record_costs_its_file_and_is_told(tmp_path: Path) -> None:
    write(tmp_path, TFDS)
    shard = next(tmp_path.glob("*-00001-of-*"))
    content = bytearray(shard.read_bytes())
    content[200] ^= 0xFF
    shard.write_bytes(content)
    with pytest.raises(DataError, match="An image cannot be read"):
        backend(data_path=str(tmp_path)).evaluate(nothing)
    tested = backend(data_path=str(tmp_path), skip_corrupt=True)
    assert tested.evaluate(nothing).samples == 5
    assert any(warning.message.startswith("2 images were skipped") for warning in tested.warnings())


def _cut(folder: Path) -> None:
    shard = next(folder.glob("*-00002-of-*"))
    shard.write_bytes(shard.read_bytes()[:-3])


def _lose(folder: Path) -> None:
    next(folder.glob("*-00001-of-*")).unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [(_cut, r"00002-of-00003 ends in the middle of record 1"), (_lose, r"holds 2 shards of -of-00003")],
)
def test_incomplete_files_are_refused_before_the_run(damage: Any, said: str, tmp_path: Path) -> None:
    write(tmp_path, TFDS)
    damage(tmp_path)
    with pytest.raises(DataError, match=said):
        open_dataset(str(tmp_path))


@pytest.mark.parametrize("record", [b"junk", _example(b"", 1, ("jpeg", "class"))])
def test_records_of_another_kind_are_refused_with_what_is_wanted(record: bytes, tmp_path: Path) -> None:
    with tf.io.TFRecordWriter(str(tmp_path / "validation-00000-of-00001")) as writer:
        writer.write(record)
    with pytest.raises(DataError, match="validation-00000-of-00001"):
        backend(data_path=str(tmp_path))
