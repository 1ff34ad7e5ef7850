"""A study on disk: its plan, written once, and one record a run that has ended.

::

    study/
      study.json              the plan
      runs/0007.json          how run 7 ended: its folder, seconds, or the reason of its failure
      runs/0007.log           what it said on standard error;  0007.out: the folder it writes
      infer_2026_11_23_...    experiment folders, as infer.py and train.py make them

A run counts as complete when its folder holds a result, whoever was killed meanwhile; nothing has to be kept up to date.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from functools import cache
from pathlib import Path
from typing import IO, Any

from pydantic import TypeAdapter, ValidationError

from mlee.errors import ConfigError, ResultError
from mlee.experiment import FOLDER_NAMES, RESULT_FILE
from mlee.files import write_atomically
from mlee.record_checks import Strict
from mlee.sweep.plan import Plan, Run

STUDY_FILE = "study.json"
RUNS_FOLDER = "runs"
_LOCK_FILE = ".lock"
_FORMAT, _VERSION = "mlee-study", 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended(Strict):
    """How a run ended: with a folder that holds a result, or with a reason."""

    seconds: float
    folder: str | None = None
    reason: str | None = None
    #: Whether it went on with what an earlier attempt had begun: its seconds are not those of the whole.
    went_on: bool = False

    @property
    def complete(self) -> bool:
        """Whether there is a result."""
        return self.folder is not None


@cache
def _plans() -> TypeAdapter[Plan]:
    return TypeAdapter(Plan)


@cache
def _ends() -> TypeAdapter[Ended]:
    return TypeAdapter(Ended)


class Study:
    """A folder with a plan."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        """Take a plan as it was written; see `begin` and `open`."""
        self.folder, self.plan = folder, plan

    @classmethod
    def begin(cls, folder: Path, plan: Plan) -> Study:
        """Write a plan into a folder that has none; raises `ConfigError` and `ResultError`."""
        path = folder / STUDY_FILE
        if path.exists():
            raise ConfigError(f"{folder} holds a study already.", "pass --resume to go on with it, or another --output-dir")
        if any((folder / RUNS_FOLDER).glob("*.*")):
            raise ConfigError(f"{folder} holds runs of a study whose {STUDY_FILE} is gone.", "choose another --output-dir")
        try:
            (folder / RUNS_FOLDER).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{folder} cannot be made: {error.strerror}.", "choose another --output-dir") from error
        document = {"format": _FORMAT, "version": _VERSION, **_plans().dump_python(plan, mode="json")}
        write_atomically(path, json.dumps(document, indent=1) + "\n")
        return cls(folder, plan)

    @classmethod
    def open(cls, folder: Path) -> Study:
        """Read a study's plan; raises `ResultError` naming what is wrong."""
        path = folder / STUDY_FILE
        try:
            document: Any = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(document, dict) or document.pop("format", None) != _FORMAT:
                raise ResultError(f"{path} is no study of mlee: the field format is not '{_FORMAT}'.")
            if document.pop("version", None) != _VERSION:
                raise ResultError(f"{path} was written by another version of mlee.", "update mlee")
            return cls(folder, _plans().validate_json(json.dumps(document), strict=True))
        except OSError as error:
            raise ResultError(f"{path} cannot be read: {error.strerror}.", "give the folder of a study") from error
        except ValidationError as error:
            first: Any = error.errors(include_url=False)[0]
            raise ResultError(f"{path}: field {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        except ValueError as error:
            raise ResultError(f"{path} is not JSON: {error}") from error

    @contextmanager
    def locked(self) -> Iterator[IO[str]]:
        """Hold the study; the runs inherit the lock, so that it lasts as long as any of them. Raises `ConfigError`."""
        going_on = ConfigError(
            f"The study in {self.folder} is going on: another process holds it.",
            "wait for its end, or end it (a run may outlive the sweep that was killed)",
        )
        with _locked(self.folder / _LOCK_FILE, going_on) as file:
            yield file

    @contextmanager
    def locked_run(self, run: Run) -> Iterator[None]:
        """Hold one run, which a job of a cluster does: the sweep that submitted it may be gone. Raises `ConfigError`."""
        going_on = ConfigError(f"{run.title} of the study in {self.folder} is going on already.", "wait for its end")
        with _locked(self.record(run).with_suffix(".lock"), going_on):
            yield

    def record(self, run: Run) -> Path:
        """Return the path of a run's record, without its ending."""
        return self.folder / RUNS_FOLDER / f"{run.number:04d}"

    def write_end(self, run: Run, ended: Ended) -> None:
        """Write down how a run ended."""
        write_atomically(self.record(run).with_suffix(".json"), _ends().dump_json(ended) + b"\n")

    def ended(self, run: Run) -> Ended | None:
        """Return how a run ended; `None` for one that did not begin, was cut off, or whose result is gone."""
        record = self.record(run)
        try:
            found = _ends().validate_json(record.with_suffix(".json").read_bytes(), strict=True)
        except (OSError, ValidationError):
            # The process that watched it may have been killed: the run itself says at its end where it wrote to.
            folder = said_folder(record.with_suffix(".out"))
            if folder is None:
                return None
            found = Ended(seconds=0.0, folder=folder)
        if found.folder is not None and not (self.folder / found.folder / RESULT_FILE).is_file():
            return None
        return found


@contextmanager
def _locked(path: Path, going_on: ConfigError) -> Iterator[IO[str]]:
    """Hold a file; raises `ConfigError`: `going_on` where another process holds it."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open(path, "w", encoding="utf-8"))
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            raise going_on from None
        except OSError as error:
            raise ConfigError(
                f"{path} cannot be locked: {error.strerror}.", "the folder of a study needs room, permission and locks"
            ) from error
        yield file


def said_folder(path: Path) -> str | None:
    """Return the experiment folder that a run named last, in the file of its output, which libraries write to, too."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    names = [Path(line).name for line in lines]
    return next((name for name in reversed(names) if name.startswith(FOLDER_NAMES)), None)
