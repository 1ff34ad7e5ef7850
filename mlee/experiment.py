"""An experiment folder: everything one run leaves behind, in a form that survives any kind of end.

::

    infer_2026_11_23_15_04_05/
      config.json  execution_platform.json  requirements.txt     written first
      trace_<sensor>.csv  phases.csv  log.txt                    grow while the run goes on
      result.json                                                written last, by rename: it marks a complete run
"""

from __future__ import annotations

import csv
import fcntl
import json
import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from mlee.errors import ConfigError, MleeError, ResultError
from mlee.files import write_atomically
from mlee.monitor import PHASES_FILE
from mlee.records import ExecutionPlatform, InferenceConfig, RunResult
from mlee.results import store
from mlee.training_records import TrainingConfig

CONFIG_FILE = "config.json"
PLATFORM_FILE = "execution_platform.json"
REQUIREMENTS_FILE = "requirements.txt"
LOG_FILE = "log.txt"
RESULT_FILE = "result.json"
#: What a training has reached, as long as it is not complete.
PROGRESS_FILE = "progress.json"
#: Folders in that of a training, with what a process that went on, and another machine, measured.
RESUMED_PREFIX, HOST_PREFIX = "resumed_", "host_"
PREFIXES = {"inference": "infer", "training": "train"}
#: How names of experiment folders begin.
FOLDER_NAMES = tuple(f"{prefix}_" for prefix in PREFIXES.values())


class ExperimentFolder:
    """The folder of a run that is going on."""

    def __init__(self, path: Path) -> None:
        """Wrap an existing folder; use `create` for a new one."""
        self.path = path

    @classmethod
    def create(cls, output_dir: Path, prefix: str, started_at: datetime) -> ExperimentFolder:
        """Make a new folder named by `prefix` and local time; raises `ConfigError` when that is not possible."""
        stem = f"{prefix}_{started_at.astimezone():%Y_%m_%d_%H_%M_%S}"
        number = 1
        while True:
            path = output_dir / (stem if number == 1 else f"{stem}_{number}")
            try:
                path.mkdir(parents=True)
                return cls(path)
            except FileExistsError:
                if not path.is_dir():
                    raise _not_writable(output_dir, "a file of that name is in the way") from None
                number += 1
            except OSError as error:
                raise _not_writable(output_dir, error.strerror or str(error)) from error

    @property
    def run_id(self) -> str:
        """The folder's name: it identifies the run."""
        return self.path.name

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder, so that no second process goes on with the same training; raises `ConfigError`."""
        folder = os.open(self.path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                said = f"The run in {self.path} is going on: another process holds it."
                raise ConfigError(said, "wait for its end") from None
            except OSError:
                pass  # a file system without locks
            yield
        finally:
            os.close(folder)

    def write_start(self, config: InferenceConfig | TrainingConfig, platform: ExecutionPlatform) -> None:
        """Write what is known before the run begins."""
        write_atomically(self.path / CONFIG_FILE, _pretty(asdict(config)))
        write_atomically(self.path / PLATFORM_FILE, _pretty(asdict(platform)))
        packages = {name: version for name, version in platform.packages.items() if name != "python"}
        lines = [f"# Python {platform.packages.get('python', 'unknown')}"]
        lines += [f"{name}=={version}" for name, version in packages.items()]
        write_atomically(self.path / REQUIREMENTS_FILE, "\n".join(lines) + "\n")

    def write_result(self, result: RunResult) -> None:
        """Write the result: from now on the run counts as complete."""
        write_atomically(self.path / RESULT_FILE, store.to_json(result))

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Send the project's log messages to `log.txt` too, as they come; an exception is noted there and goes on."""
        try:
            handler = logging.FileHandler(self.path / LOG_FILE, encoding="utf-8")
        except OSError as error:
            raise _not_writable(self.path, error.strerror or str(error)) from error
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        # A full disk must not end the run by way of a log message: logging would print a traceback for each.
        handler.handleError = lambda record: None  # type: ignore[method-assign]
        logger = logging.getLogger("mlee")
        level = logger.level
        logger.addHandler(handler)
        logger.setLevel(min(level or logging.INFO, logging.INFO))
        try:
            yield
        except BaseException as error:
            expected = isinstance(error, MleeError | KeyboardInterrupt)
            if isinstance(error, KeyboardInterrupt):
                error.add_note(f"what was measured until now is in {self.path}")
                if (self.path / PROGRESS_FILE).is_file():
                    error.add_note(f"python train.py --resume {self.path} goes on with it")
            logger.error("ended by %s", _words(error), exc_info=not expected)
            raise
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)
            handler.close()


def _words(error: BaseException) -> str:
    """Name an error and what it says, without what would mend it: that is for the person who sees it happen."""
    said = error.message if isinstance(error, MleeError) else str(error)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def load_result(folder: Path) -> RunResult:
    """Read the result of a finished run; raises `ResultError` with the reason when there is none or it is damaged."""
    try:
        os.stat(folder / RESULT_FILE)
    except (FileNotFoundError, NotADirectoryError):
        hint = "the run was stopped before its end"
        if (folder / PROGRESS_FILE).is_file():
            hint = f"python train.py --resume {folder} goes on with it"
        raise ResultError(f"{folder.name} is incomplete: {how_far(folder)}", hint) from None
    except OSError as error:
        raise ResultError(f"{folder} cannot be read: {error.strerror}.", "check the folder's permissions") from error
    result = store.load(folder / RESULT_FILE)
    if result.run_id != folder.name:
        raise ResultError(
            f"{folder.name}: {RESULT_FILE} belongs to the run {result.run_id}.", "restore the folder's own name"
        )
    return result


def load_config(folder: Path) -> TrainingConfig:
    """Read the options of a training; raises `ResultError` naming file and field."""
    path = folder / CONFIG_FILE
    try:
        return _configs().validate_json(path.read_bytes(), strict=True)
    except OSError as error:
        raise ResultError(f"{path} cannot be read: {error.strerror}.", "give the folder of a training") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "(top level)"
        raise ResultError(
            f"{path}: field {where}: {first['msg']}", "restore the file, or start the training anew"
        ) from error


@cache
def _configs() -> TypeAdapter[TrainingConfig]:
    return TypeAdapter(TrainingConfig)


def load_platform(folder: Path) -> ExecutionPlatform | None:
    """Read the machine on which a run began; `None` where that is not known."""
    try:
        return _platforms().validate_json((folder / PLATFORM_FILE).read_bytes(), strict=True)
    except (OSError, ValidationError):
        return None


@cache
def _platforms() -> TypeAdapter[ExecutionPlatform]:
    return TypeAdapter(ExecutionPlatform)


def how_far(folder: Path) -> str:
    """Say in words how far a run without result came, from its log and phases."""
    parts = []
    try:
        lines = (folder / LOG_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
        ended = [line.partition(" ERROR ")[2] for line in lines if " ERROR ended by " in line]
        parts.append(ended[-1] if ended else "killed, or still running")
    except OSError:
        parts.append("no log")
    try:
        with open(folder / PHASES_FILE, newline="", encoding="utf-8") as file:
            phases = [(row["event"], row["phase"]) for row in csv.DictReader(file) if row.get("phase")]
        opened = [phase for event, phase in phases if event == "open" and ("close", phase) not in phases]
        closed = [phase for event, phase in phases if event == "close"]
        if opened:
            parts.append(f"during '{opened[-1]}'")
        elif closed:
            parts.append(f"after '{closed[-1]}'")
        else:
            parts.append("before the first measurement")
    except (OSError, UnicodeDecodeError, csv.Error, KeyError):
        parts.append("before sampling began")
    return ", ".join(parts)


def is_experiment(folder: Path) -> bool:
    """Whether a folder looks like one of ours, complete or not; one that cannot be looked at is taken by its name."""
    if not folder.name.startswith(FOLDER_NAMES):
        return False
    try:
        return stat.S_ISDIR(os.stat(folder).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # whoever reads it will say why it cannot be read
        return True


def check_writable(output_dir: Path) -> None:
    """Make the folder and try it with a file; raises `ConfigError` when that is not possible."""
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output_dir):
            pass
    except OSError as error:
        raise _not_writable(output_dir, error.strerror or str(error)) from error


def _pretty(document: object) -> str:
    # ASCII: a path of undecodable bytes has no UTF-8, but an escape.
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _not_writable(folder: Path, reason: str) -> ConfigError:
    return ConfigError(f"--output-dir {folder} is not writable: {reason}.", "choose a folder you may write to")
