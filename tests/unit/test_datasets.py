"""What --data-path stands for."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlee.datasets import ImageList, SyntheticImages, open_dataset, without_records
from mlee.datasets.imagenet import wordnet_ids
from mlee.datasets.records import RecordFiles
from mlee.errors import ConfigError, DataError
from tests.simulated.rights import without_root_rights

scipy_io = pytest.importorskip("scipy.io")
WNIDS = wordnet_ids()


def _images(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"not opened here")


def _flat(root: Path, count: int = 4) -> list[str]:
    names = [f"ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, count + 1)]
    _images(root / "val", *names)
    return names


def _open(root: Path) -> ImageList:
    found = open_dataset(str(root))
    assert isinstance(found, ImageList)
    return found


def _devkit(folder: Path, labels: list[int], wnids: list[str]) -> None:
    """The two files of the development kit: 1,000 classes and inner nodes of the tree above them."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = ["ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height", "num_train_images"]
    rows = np.empty((len(wnids) + 1, 1), dtype=[(field, object) for field in fields])
    for row, wnid in enumerate([*wnids, "n00001740"]):
        rows[row, 0] = (np.uint16(row + 1), wnid, "words, more", "gloss", np.uint8(0), np.array([]), np.uint8(0), 1300)
    scipy_io.savemat(folder / "meta.mat", {"synsets": rows})
    text = "".join(f"{label}\n" for label in labels)
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text(text, encoding="ascii")


def test_the_wordnet_ids_are_a_thousand_unique_and_sorted() -> None:
    assert len(WNIDS) == len(set(WNIDS)) == 1000
    assert list(WNIDS) == sorted(WNIDS)
    assert all(re.fullmatch(r"n\d{8}", wnid) for wnid in WNIDS)
    assert (WNIDS[0], WNIDS[281], WNIDS[999]) == ("n01440764", "n02123045", "n15075141")  # tench, tabby, toilet tissue


@pytest.mark.parametrize("below", ["val", "."])
def test_class_folders_give_the_index_among_all_classes_even_where_only_some_are_there(below: str, tmp_path: Path) -> None:
    _images(tmp_path / below / WNIDS[999], "b.JPEG", "a.jpg", "notes.txt")
    _images(tmp_path / below / WNIDS[281], "c.png")
    found = _open(tmp_path)
    assert [path.name for path in found.paths] == ["c.png", "a.jpg", "b.JPEG"]
    assert found.labels == ((281,), (999,), (999,))
    assert found.name == "imagenet"


@pytest.mark.parametrize("hidden", [".ipynb_checkpoints", ".cache"])
def test_hidden_folders_beside_class_folders_do_not_count(hidden: str, tmp_path: Path) -> None:
    _images(tmp_path / "val" / WNIDS[5], "a.JPEG")
    (tmp_path / "val" / hidden).mkdir()
    assert _open(tmp_path).labels == ((5,),)


@pytest.mark.parametrize("beside", ["val", "."])
def test_a_flat_folder_is_labelled_by_the_list_of_kaggle(beside: str, tmp_path: Path) -> None:
    names = _flat(tmp_path, 2)
    rows = [f"{names[1][:-5]},{WNIDS[7]} 1 2 3 4 ", f"{names[0][:-5]},{WNIDS[42]} 1 2 3 4 {WNIDS[42]} 5 6 7 8 "]
    (tmp_path / beside / "LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *rows]))
    found = _open(tmp_path)
    assert [path.name for path in found.paths] == names
    assert found.labels == ((42,), (7,))


@pytest.mark.parametrize("place", ["val", ".", "devkit/data", "ILSVRC2012_devkit_t12/data"])
def test_a_flat_folder_is_labelled_by_the_development_kit_whose_ids_are_not_the_class_indices(
    place: str, tmp_path: Path
) -> None:
    _flat(tmp_path, 3)
    _devkit(tmp_path / place, [1, 1000, 2], [WNIDS[3], *(wnid for wnid in WNIDS if wnid != WNIDS[3])])
    assert _open(tmp_path).labels == ((3,), (999,), (0,))


def test_the_development_kit_labels_a_part_of_the_images(tmp_path: Path) -> None:
    _flat(tmp_path, 5)
    (tmp_path / "val" / "ILSVRC2012_val_00000002.JPEG").unlink()
    _devkit(tmp_path, [1, 2, 3, 4, 5], list(WNIDS))
    assert _open(tmp_path).labels == ((0,), (2,), (3,), (4,))


def test_more_images_than_ground_truth_are_refused_by_name(tmp_path: Path) -> None:
    _flat(tmp_path, 3)
    _devkit(tmp_path, [1, 2], list(WNIDS))
    with pytest.raises(DataError, match=r"does not know ILSVRC2012_val_00000003\.JPEG \(1 such\)"):
        _open(tmp_path)


@pytest.mark.parametrize("truth", ["1001\n", "0\n", "abc\n", "-1\n"])
def test_a_ground_truth_of_another_data_set_is_refused_by_file(truth: str, tmp_path: Path) -> None:
    _flat(tmp_path, 1)
    _devkit(tmp_path, [1], list(WNIDS))
    (tmp_path / "ILSVRC2012_validation_ground_truth.txt").write_text(truth)
    with pytest.raises(DataError, match=r"ground_truth\.txt"):
        _open(tmp_path)


def _mat(**content: Any) -> bytes:
    import io

    buffer = io.BytesIO()
    scipy_io.savemat(buffer, content, do_compression=True)
    return buffer.getvalue()


_COMPRESSED = _mat(synsets=np.zeros(1000))


@pytest.mark.parametrize(
    "meta",
    [b"", b"junk" * 100, _mat(other=1), _mat(synsets=3), _COMPRESSED[:150],
     _COMPRESSED[:140] + b"\xff" * 10 + _COMPRESSED[150:]],
)  # fmt: skip
def test_a_damaged_meta_mat_is_refused_by_name(meta: bytes, tmp_path: Path) -> None:
    _flat(tmp_path, 1)
    _devkit(tmp_path, [1], list(WNIDS))
    (tmp_path / "meta.mat").write_bytes(meta)
    with pytest.raises(DataError, match=r"meta\.mat"):
        _open(tmp_path)


def test_ground_truth_without_its_meta_mat_is_refused(tmp_path: Path) -> None:
    _flat(tmp_path, 1)
    _devkit(tmp_path, [1], list(WNIDS))
    (tmp_path / "meta.mat").unlink()
    with pytest.raises(DataError, match=r"needs meta\.mat"):
        _open(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a,b\n1,2\n",
        b"ImageId,PredictionString\nILSVRC2012_val_00000001\n",
        b"ImageId,PredictionString\nILSVRC2012_val_00000001,\n",
        b"ImageId,PredictionString\nILSVRC2012_val_00000001,n99999999 1 2 3 4\n",
        b"ImageId,PredictionString\n\xe9,n01440764\n",
        b"ImageId,PredictionString\n" + b"x" * 200_000 + b",n01440764\n",
    ],
)
def test_a_damaged_list_of_kaggle_is_an_expected_error(content: bytes, tmp_path: Path) -> None:
    _flat(tmp_path, 1)
    (tmp_path / "LOC_val_solution.csv").write_bytes(content)
    with pytest.raises(DataError):
        _open(tmp_path)


@pytest.mark.parametrize(
    "closed",
    [".", "val", f"val/{WNIDS[0]}", "flat/LOC_val_solution.csv", "devkit/ILSVRC2012_validation_ground_truth.txt"],
)
def test_what_may_not_be_read_is_refused_by_name(closed: str, tmp_path: Path) -> None:
    root = tmp_path / "closed" / "data"
    _images(root / "val" / WNIDS[0], "a.JPEG")
    _images(root / "flat", "ILSVRC2012_val_00000001.JPEG")
    (root / "flat" / "LOC_val_solution.csv").write_text(f"ImageId,PredictionString\nILSVRC2012_val_00000001,{WNIDS[7]} 1")
    _images(root / "devkit", "ILSVRC2012_val_00000001.JPEG")
    _devkit(root / "devkit", [1], list(WNIDS))
    opened = root / closed.split("/")[0] if "/" in closed and "val/" not in closed else root
    _open(opened)
    (root / closed).chmod(0)
    try:
        with without_root_rights(), pytest.raises(DataError, match=f"{root / closed}.*Permission denied"):
            _open(opened)
    finally:
        (root / closed).chmod(0o700)


def test_what_lies_in_a_closed_folder_is_an_expected_error(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    with without_root_rights(), pytest.raises(DataError, match=r"closed/imagenet.*Permission denied"):
        _open(tmp_path / "closed" / "imagenet")
    (tmp_path / "closed").chmod(0o700)


def test_a_name_too_long_for_a_file_is_an_expected_error() -> None:
    with pytest.raises(DataError, match="too long"):
        open_dataset("/" + "x" * 300)


def test_a_missing_path_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{tmp_path / 'none'} does not exist"):
        _open(tmp_path / "none")


def test_a_file_in_the_place_of_a_folder_is_not_called_missing(tmp_path: Path) -> None:
    (tmp_path / "val.tar").write_bytes(b"")
    with pytest.raises(DataError, match="not a folder"):
        _open(tmp_path / "val.tar")


def test_the_home_of_nobody_is_an_expected_error() -> None:
    with pytest.raises((ConfigError, DataError), match="nosuchuser"):
        open_dataset("~nosuchuser/imagenet")


def test_images_without_ground_truth_are_refused(tmp_path: Path) -> None:
    _flat(tmp_path, 2)
    with pytest.raises(DataError, match="holds 2 images but no ground truth"):
        _open(tmp_path)


@pytest.mark.parametrize(("name", "said"), [("n00000001", "not one of ImageNet-1k's"), ("cats", "not a WordNet id")])
def test_an_unknown_class_folder_is_refused_by_name(name: str, said: str, tmp_path: Path) -> None:
    _images(tmp_path / "val" / WNIDS[0], "a.jpg")
    _images(tmp_path / "val" / name, "a.jpg")
    with pytest.raises(DataError, match=rf"'{name}' is {said} \(1 such\)"):
        _open(tmp_path)


def test_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither class folders nor images"):
        _open(tmp_path)
    (tmp_path / WNIDS[0]).mkdir()
    with pytest.raises(DataError, match="the class folders hold no images"):
        _open(tmp_path)


@pytest.mark.parametrize(("path", "count"), [("synthetic", 512), ("synthetic:7", 7), ("synthetic:", 512)])
def test_synthetic_images_are_counted(path: str, count: int) -> None:
    assert open_dataset(path) == SyntheticImages(count)


@pytest.mark.parametrize(
    "path", ["synthetic:0", "synthetic:-1", "synthetic:1.5", "sample:abc", "sample:0", "synthetic:²", "synthetic: "]
)
def test_a_wrong_count_is_refused_with_an_example(path: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"'{path}'")) as refused:
        open_dataset(path)
    assert "synthetic:1000" in (refused.value.hint or "")


@pytest.mark.parametrize("path", [f"synthetic:{'9' * 5000}", "synthetic:9223372036854775808", "sample:1000000000000"])
def test_more_images_than_can_be_counted_or_listed_are_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="asks for more than") as refused:
        open_dataset(path)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("path", "count"), [("synthetic:1000000000000", 10**12), (f"synthetic:{2**63 - 1}", 2**63 - 1), ("synthetic:007", 7)]
)
def test_random_images_may_be_very_many(path: str, count: int) -> None:
    assert len(open_dataset(path)) == count


def test_the_sample_repeats_six_photographs_with_every_label_a_person_would_accept() -> None:
    found = open_dataset("sample:8")
    assert isinstance(found, ImageList)
    assert len(found) == 8
    assert len(set(found.paths)) == 6
    assert found.paths[:2] == found.paths[6:]
    assert found.labels is not None
    assert found.labels[0] == (281, 282, 285)
    assert all(path.is_file() for path in found.paths)
    assert "not an ImageNet accuracy" in (found.note or "")


def _shards(folder: Path, *counts: int) -> None:
    """TFRecord files without content worth reading: length, check sum, record, check sum."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, count in enumerate(counts):
        records = b"".join(struct.pack("<QI", size, 0) + b"r" * size + b"sums" for size in range(1, count + 1))
        (folder / f"imagenet2012-validation.tfrecord-{number:05d}-of-{len(counts):05d}").write_bytes(records)


def test_records_are_counted_without_tensorflow_and_refused_where_they_cannot_be_read(tmp_path: Path) -> None:
    _shards(tmp_path, 3, 0, 5)
    found = open_dataset(str(tmp_path))
    assert isinstance(found, RecordFiles)
    assert (found.counts, len(found)) == ((3, 0, 5), 8)
    with pytest.raises(
        ConfigError, match=f"{tmp_path} holds TFRecord files, which --backend pytorch cannot read"
    ) as refused:
        without_records(found, "pytorch")
    assert "--backend tensorflow" in (refused.value.hint or "")


def test_the_newest_version_of_prepared_records_is_taken(tmp_path: Path) -> None:
    _shards(tmp_path / "imagenet2012" / "5.0.0", 1)
    _shards(tmp_path / "imagenet2012" / "10.0.0", 2)
    assert len(open_dataset(str(tmp_path))) == 2


def test_a_length_that_leads_nowhere_is_refused_by_file_and_record(tmp_path: Path) -> None:
    _shards(tmp_path, 2)
    (shard,) = tmp_path.iterdir()
    shard.write_bytes(shard.read_bytes() + struct.pack("<QI", 2**63, 0))
    with pytest.raises(DataError, match=r"00000-of-00001 ends in the middle of record 2"):
        open_dataset(str(tmp_path))


def test_records_without_any_image_are_refused(tmp_path: Path) -> None:
    _shards(tmp_path, 0)
    with pytest.raises(DataError):
        open_dataset(str(tmp_path))
