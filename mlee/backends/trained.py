"""A model that `train.py` trained, as inference needs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlee.datasets import Dataset, open_dataset, open_path
from mlee.datasets.imagenet import NAME, wordnet_ids
from mlee.datasets.training import DIGITS, VALIDATION_FOLDERS, class_folders, digits
from mlee.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """What a folder of `train.py` says of the model in it.

    `preprocessing` names the model whose range of values it takes, `custom`, or `builtin` for its own; images are resized
    so that the shorter side has `resize_size` [px], and a square of `image_size` [px] is cut from the centre. Without a
    `resize_size` the whole image becomes the square.
    """

    run_id: str
    model: str
    weights: Path
    classes: tuple[str, ...]
    dataset: str
    data_path: str
    preprocessing: str
    image_size: int
    resize_size: int | None
    interpolation: str


def evaluation_data(data_path: str, trained: TrainedModel | None) -> Dataset:
    """Resolve `--data-path` for inference: the images for validation, with the indices of the classes the model knows.

    Raises `ConfigError` and `DataError`.
    """
    if trained is None:
        if data_path == DIGITS:
            raise ConfigError(
                "--data-path digits is for models trained on it.", "pass --infer-model the folder of such a training"
            )
        return open_dataset(data_path)
    if data_path == DIGITS:
        data = digits()
        if data.classes != trained.classes:
            raise _other_classes(data_path, trained)
        return data.validation
    if data_path.partition(":")[0] == "synthetic" or (trained.classes == wordnet_ids() and trained.dataset == NAME):
        return open_dataset(data_path)
    if data_path.partition(":")[0] == "sample":
        raise _other_classes(data_path, trained)

    def read(root: Path) -> Dataset:
        folder = next((root / name for name in VALIDATION_FOLDERS if (root / name).is_dir()), root)
        return class_folders(folder, trained.dataset, trained.classes)[0]

    return open_path(data_path, read)


def _other_classes(data_path: str, trained: TrainedModel) -> ConfigError:
    return ConfigError(
        f"--data-path {data_path} has other classes than {trained.run_id}, which was trained on {trained.dataset}.",
        "leave --data-path out to take the images the training validated with",
    )
