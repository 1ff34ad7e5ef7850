"""What a training leaves in its folder after each epoch, so that it can go on after any kind of end.

::

    train_2026_11_23_15_04_05/
      progress.json           options, epochs and energy until now, and the name of the state that belongs to them
      state_003.pt            weights and optimiser after epoch 3: what the next epoch starts from
      weights_best.pt  weights_last.pt
      resumed_1/              traces and phases of the process that went on after the first interruption
      host_1/                 traces and phases of another host of the same training

The state is written first, then `progress.json` that names it, and only then the state before is removed: whatever
happens in between, the two fit together.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mlee.backends.training_base import TrainingRequest
from mlee.errors import ResultError
from mlee.experiment import PROGRESS_FILE, RESUMED_PREFIX
from mlee.files import write_atomically
from mlee.record_checks import Strict
from mlee.records import Measurement, Warning
from mlee.training.stretches import Stretch
from mlee.training_records import Epoch

CLASSES_FILE = "classes.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProgress(Strict):
    """A training after its last whole epoch; `resumed` counts its interruptions.

    `measured` is the sum of the windows of the last process, on so many `machines`, and `earlier` what those before it took.
    """

    backend: str
    request: TrainingRequest
    global_batch_size: int
    started_at: datetime
    history: tuple[Epoch, ...]
    measured: Measurement
    idle: Measurement | None
    sampler_cpu_s: float
    warnings: tuple[Warning, ...]
    state_file: str
    resumed: int
    earlier: tuple[Stretch, ...] = ()
    machines: int = 1

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        """What all processes took, in order."""
        epochs = len(self.history) - sum(stretch.epochs for stretch in self.earlier)
        return (*self.earlier, Stretch(measured=self.measured, epochs=epochs, machines=self.machines))


@cache
def _adapter() -> TypeAdapter[TrainingProgress]:
    return TypeAdapter(TrainingProgress)


def write_progress(folder: Path, progress: TrainingProgress) -> None:
    """Write what is known after an epoch; raises `ResultError`."""
    write_atomically(folder / PROGRESS_FILE, _adapter().dump_json(progress, indent=1) + b"\n")


def next_part(folder: Path) -> int:
    """Return the number of the process that goes on now: each has a folder of its own for its traces."""
    number = 1
    while (folder / f"{RESUMED_PREFIX}{number}").exists():
        number += 1
    return number


def read_progress(folder: Path) -> TrainingProgress:
    """Read what an interrupted training left; raises `ResultError` with the reason where it cannot go on."""
    path = folder / PROGRESS_FILE
    try:
        progress = _adapter().validate_json(path.read_bytes(), strict=True)
    except FileNotFoundError:
        raise ResultError(
            f"{folder} holds no training that could go on: it has no {PROGRESS_FILE}.",
            "give the folder of a training that was interrupted after its first epoch",
        ) from None
    except OSError as error:
        raise ResultError(f"{path} cannot be read: {error.strerror}.", "check the path and its permissions") from error
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "(top level)"
        raise ResultError(f"{path}: field {where}: {first['msg']}", "start the training anew") from error
    if Path(progress.state_file).name != progress.state_file:
        raise ResultError(f"{path}: field state_file: '{progress.state_file}' is no name of a file.")
    return progress
