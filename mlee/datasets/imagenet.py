"""The ImageNet (ILSVRC 2012) validation set on disk: class folders, or flat with the official ground truth."""

from __future__ import annotations

import csv
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from mlee.datasets import ImageList
from mlee.errors import DataError

NAME = "imagenet"
IMAGE_SUFFIXES = frozenset({".jpeg", ".jpg", ".png", ".bmp", ".webp", ".ppm"})
_WNID = re.compile(r"^n\d{8}$")
_GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_KAGGLE = "LOC_val_solution.csv"
_LAYOUT_HINT = (
    "give the folder that holds val/: with one folder a class named by WordNet id (val/n01440764/*.JPEG), or flat with "
    f"{_GROUND_TRUTH} and meta.mat of the development kit, or {_KAGGLE}, beside or above it"
)


@cache
def wordnet_ids() -> tuple[str, ...]:
    """Return the 1,000 WordNet ids in the order of the class indices 0..999."""
    lines = files("mlee.datasets").joinpath("imagenet_wnids.txt").read_text(encoding="ascii").splitlines()
    return tuple(line for line in lines if not line.startswith("#"))


def imagenet_validation(root: Path) -> ImageList:
    """List the validation images below `root` with their class indices; raises `DataError` naming what is wrong."""
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise DataError(f"--data-path {root} {what}.", "pass sample, synthetic, or a folder with ImageNet")
    val = root / "val" if (root / "val").is_dir() else root
    folders = sorted(path for path in val.iterdir() if path.is_dir() and not path.name.startswith("."))
    if folders:
        return _from_class_folders(val, folders)
    images = sorted(path for path in val.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not images:
        raise DataError(f"{val} holds neither class folders nor images.", _LAYOUT_HINT)
    return _from_flat_folder(val, images)


def _from_class_folders(val: Path, folders: list[Path]) -> ImageList:
    index_of = {wnid: index for index, wnid in enumerate(wordnet_ids())}
    strangers = [folder.name for folder in folders if folder.name not in index_of]
    if strangers:
        kind = "is not one of ImageNet-1k's" if _WNID.match(strangers[0]) else "is not a WordNet id"
        raise DataError(f"{val}: class folder '{strangers[0]}' {kind} ({len(strangers)} such).", _LAYOUT_HINT)
    paths: list[Path] = []
    labels: list[tuple[int, ...]] = []
    for folder in folders:
        images = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
        paths.extend(images)
        labels.extend([(index_of[folder.name],)] * len(images))
    if not paths:
        raise DataError(f"{val}: the class folders hold no images.", _LAYOUT_HINT)
    return ImageList(name=NAME, paths=tuple(paths), labels=tuple(labels))


def _from_flat_folder(val: Path, images: list[Path]) -> ImageList:
    for folder in (val, val.parent, val.parent / "devkit" / "data", val.parent / "ILSVRC2012_devkit_t12" / "data"):
        if (folder / _KAGGLE).is_file():
            by_name = _kaggle_labels(folder / _KAGGLE)
            break
        if (folder / _GROUND_TRUTH).is_file():
            by_name = _official_labels(folder)
            break
    else:
        raise DataError(f"{val} holds {len(images)} images but no ground truth is beside it.", _LAYOUT_HINT)
    unknown = [image.name for image in images if image.stem not in by_name]
    if unknown:
        raise DataError(f"{val}: the ground truth does not know {unknown[0]} ({len(unknown)} such).", _LAYOUT_HINT)
    labels = tuple((by_name[image.stem],) for image in images)
    return ImageList(name=NAME, paths=tuple(images), labels=labels)


def _kaggle_labels(path: Path) -> dict[str, int]:
    index_of = {wnid: index for index, wnid in enumerate(wordnet_ids())}
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        try:
            return {row["ImageId"]: index_of[row["PredictionString"].split()[0]] for row in rows}
        except (KeyError, IndexError, AttributeError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{path}, line {rows.line_num}: not the list of Kaggle's ImageNet: {error}") from error


def _official_labels(folder: Path) -> dict[str, int]:
    """Ground truth of the development kit: line n is the ILSVRC id of image n; meta.mat maps these to WordNet ids."""
    path, meta = folder / _GROUND_TRUTH, folder / "meta.mat"
    if not meta.is_file():
        raise DataError(f"{path} needs meta.mat beside it, which names the classes.", _LAYOUT_HINT)
    index_of = {wnid: index for index, wnid in enumerate(wordnet_ids())}
    try:
        from scipy.io import loadmat

        synsets: Any = loadmat(meta, squeeze_me=True)["synsets"]
        class_of = {int(synset[0]): index_of[str(synset[1])] for synset in synsets if str(synset[1]) in index_of}
        ids = [int(line) for line in path.read_text(encoding="ascii").split()]
        return {f"ILSVRC2012_val_{number:08d}": class_of[label] for number, label in enumerate(ids, start=1)}
    except ImportError as error:
        raise DataError(f"{meta} can only be read with scipy.", "run `pip install scipy`") from error
    except PermissionError:
        raise
    except Exception as error:  # scipy raises half a dozen kinds for a damaged file; each means the same here
        raise DataError(f"{path} and meta.mat do not belong to ILSVRC 2012: {error}") from error
