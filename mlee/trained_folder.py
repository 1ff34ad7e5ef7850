"""Reading the folder of a finished training as a model for inference."""

from __future__ import annotations

import json
from pathlib import Path

from mlee.backends.trained import TrainedModel
from mlee.errors import ConfigError, ResultError
from mlee.experiment import CONFIG_FILE, load_result
from mlee.training_progress import CLASSES_FILE
from mlee.training_records import TrainingConfig


def trained_model(folder: Path) -> tuple[str, TrainedModel]:
    """Return the backend that trained and what inference needs; the weights are those of the best epoch.

    Raises `ConfigError` for other folders, and `ResultError` for runs that were no training, are not finished, or lack their
    weights.
    """
    if not (folder / CONFIG_FILE).is_file():
        raise ConfigError(f"{folder} is no folder that train.py made.", "pass a model's name, or the folder of a training")
    result = load_result(folder)
    config = result.config
    if not isinstance(config, TrainingConfig):
        raise ResultError(f"{folder} is a run of {result.task}, not a training.", "give a folder that train.py made")
    weights = sorted(folder.glob("weights_best.*"))
    if len(weights) != 1:
        raise ResultError(
            f"{folder} holds {len(weights)} files weights_best.*, not one.", "restore the file, or train again"
        )
    return config.backend, TrainedModel(
        run_id=result.run_id,
        model=config.model,
        weights=weights[0],
        classes=_classes(folder / CLASSES_FILE, config.classes),
        dataset=result.dataset,
        data_path=config.data_path,
        preprocessing=config.preprocessing,
        image_size=config.image_size,
        resize_size=_size(result.details.get("resize_size", config.image_size)),
        interpolation=config.interpolation,
    )


def _size(detail: object) -> int | None:
    """Size in pixels; `None` says that the whole image is squeezed into the square."""
    return detail if isinstance(detail, int) else None


def _classes(path: Path, count: int) -> tuple[str, ...]:
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultError(f"{path} cannot be read: {error}", "restore it: it names the classes in order") from error
    if not isinstance(names, list) or len(names) != count or not all(isinstance(name, str) for name in names):
        raise ResultError(f"{path} does not hold a list of {count} names of classes.", "restore the file")
    return tuple(names)
