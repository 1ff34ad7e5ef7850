"""Images to train on and images to validate with: what `--data-path` stands for at training.

==================  =====================================================================================================
`digits`            1,797 scanned digits inside scikit-learn (Alpaydin and Kaynak 1998, CC BY 4.0), three of four to train
`synthetic[:N]`     N random images with made-up labels, for throughput and energy alone
a folder            `train/` and `val/` (or `validation/`) with one folder a class; ImageNet or anything else
a folder            TFRecord files of ImageNet, `train` and `validation`, where the backend reads them
==================  =====================================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlee.datasets import Dataset, ImageArray, ImageList, SyntheticImages, open_path, synthetic_images
from mlee.datasets.imagenet import IMAGE_SUFFIXES, NAME, wordnet_ids
from mlee.datasets.records import find_records
from mlee.errors import DataError

DIGITS = "digits"
_DIGITS_SIZE = 32
_DIGITS_SEED = 0
_SYNTHETIC_CLASSES = 1000
_SYNTHETIC_VALIDATION = 0.25
VALIDATION_FOLDERS = ("val", "validation")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """What to train on and what to validate with; `classes` are the names of the classes in order of their indices.

    `whole`: the images show nothing but the thing itself, so they are neither cropped nor mirrored. `image_size` [px] is
    that which suits the data, where the size of the model's published weights does not.
    """

    name: str
    train: Dataset
    validation: Dataset
    classes: tuple[str, ...]
    whole: bool = False
    image_size: int | None = None


def open_training_data(data_path: str) -> TrainingData:
    """Resolve `--data-path`; raises `ConfigError` for a wrong count and `DataError` for missing or strange data."""
    kind, _, _ = data_path.partition(":")
    if data_path == DIGITS:
        return digits()
    if kind == "synthetic":
        train = synthetic_images(data_path)
        validation = SyntheticImages(max(1, round(train.count * _SYNTHETIC_VALIDATION)))
        classes = tuple(map(str, range(_SYNTHETIC_CLASSES)))
        return TrainingData(name=train.name, train=train, validation=validation, classes=classes)
    return open_path(data_path, _folder)


def digits() -> TrainingData:
    """Scikit-learn's digits, the classes in equal shares in both parts, always divided in the same way.

    Raises `DataError` when scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise DataError(
            f"The digits of scikit-learn cannot be read: {error}.",
            "run `pip install scikit-learn`, or pass --data-path a folder with train/ and val/",
        ) from error
    import numpy as np

    found = load_digits()
    # Grey values of 0..16 become 0..255, three times.
    grey = np.rint(found.images * (255 / 16)).astype(np.uint8)
    pixels = np.repeat(grey[..., None], 3, axis=3)
    parts = train_test_split(pixels, found.target, test_size=0.25, random_state=_DIGITS_SEED, stratify=found.target)
    train, validation = (
        ImageArray(name=DIGITS, pixels=images, labels=tuple((int(label),) for label in labels))
        for images, labels in ((parts[0], parts[2]), (parts[1], parts[3]))
    )
    classes = tuple(map(str, range(10)))
    return TrainingData(
        name=DIGITS, train=train, validation=validation, classes=classes, whole=True, image_size=_DIGITS_SIZE
    )


def _folder(root: Path) -> TrainingData:
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise DataError(f"--data-path {root} {what}.", "pass digits, synthetic, or a folder with train/ and val/")
    train_records = find_records(root, "train")
    if train_records is not None:
        validation_records = find_records(root, "validation")
        if validation_records is None:
            raise DataError(f"{train_records.paths[0].parent} holds no TFRecord files of the validation set.")
        return TrainingData(name=NAME, train=train_records, validation=validation_records, classes=wordnet_ids())
    train, classes = class_folders(root / "train", root.resolve().name)
    for name in VALIDATION_FOLDERS:
        if (root / name).is_dir():
            validation, _ = class_folders(root / name, train.name, classes)
            return TrainingData(name=train.name, train=train, validation=validation, classes=classes)
    raise DataError(f"{root} holds neither val/ nor validation/.", "give a folder with train/ and val/, one folder a class")


def class_folders(folder: Path, name: str, classes: tuple[str, ...] | None = None) -> tuple[ImageList, tuple[str, ...]]:
    """List images in one folder a class; classes are counted in the order of their names, or of `classes`.

    Data whose classes are those of ImageNet are called so; else `name`. Raises `DataError` naming what is wrong.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not there.", "give a folder with train/ and val/, each with one folder a class")
    found = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if classes is None:
        classes = tuple(path.name for path in found)
        # A part of ImageNet keeps its indices: weights that are known fit them.
        if found and set(classes) <= set(wordnet_ids()):
            classes, name = wordnet_ids(), NAME
    index_of = {name: index for index, name in enumerate(classes)}
    strangers = [path.name for path in found if path.name not in index_of]
    if strangers:
        raise DataError(f"{folder}: class '{strangers[0]}' is not among those trained on ({len(strangers)} such).")
    paths: list[Path] = []
    labels: list[tuple[int, ...]] = []
    for place in found:
        images = sorted(path for path in place.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
        paths.extend(images)
        labels.extend([(index_of[place.name],)] * len(images))
    if not paths:
        raise DataError(f"{folder} holds no images in class folders.", "one folder a class, with its images in it")
    return ImageList(name=name, paths=tuple(paths), labels=tuple(labels)), classes
