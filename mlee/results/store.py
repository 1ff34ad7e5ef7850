"""Result files, version 2: one JSON document a run.

Version history
    (none)  2022, no version field: written by imagenet-energy-efficiency
    2       2026, this project: the fields of `mlee.records.RunResult` in their order, behind `format` and `version`; which
            fields `config` and `outcome` have depends on `task`

Reading validates everything once: unknown or missing fields, wrong types, NaN, infinity and impossible values are refused
with the name of file and field. Nothing is ever guessed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mlee.errors import ResultError, UnsupportedVersion
from mlee.files import unique_fields
from mlee.records import InferenceConfig, Outcome, RunResult
from mlee.training_records import TrainingConfig, TrainingOutcome

FORMAT = "mlee-result"
VERSION = 2
#: A result is a few kilobytes; whatever is larger than this is something else [B].
MAX_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class _InferenceResult(RunResult):
    config: InferenceConfig
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class _TrainingResult(RunResult):
    config: TrainingConfig
    outcome: TrainingOutcome


@cache
def _adapter(kind: type[RunResult]) -> TypeAdapter[RunResult]:
    return TypeAdapter(kind)


def to_json(result: RunResult) -> str:
    """Write a result as compact JSON; fields stand in the order of the record."""
    document = {"format": FORMAT, "version": VERSION, **_adapter(RunResult).dump_python(result, mode="json")}
    return json.dumps(document, allow_nan=False, ensure_ascii=False, separators=(",", ":")) + "\n"


def from_json(text: str, source: str) -> RunResult:
    """Read a result; `source` names it in errors. Raises `ResultError` or `UnsupportedVersion`."""
    try:
        document: Any = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=unique_fields)
    except (ValueError, RecursionError) as error:
        raise ResultError(f"{source} is not JSON: {error}") from error
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise ResultError(f"{source} is not a result of mlee: the field format is not '{FORMAT}'.")
    version = document.pop("version", None)
    if version != VERSION:
        if isinstance(version, int) and version > VERSION:
            raise UnsupportedVersion(f"{source} has version {version}, this program reads up to {VERSION}.", "update mlee")
        raise ResultError(f"{source}: version is {version!r}, expected {VERSION}.")
    try:
        # JSON has no dates and tuples; validating it as JSON lets strings and lists stand for them, and nothing else.
        kind = _TrainingResult if document.get("task") == "training" else _InferenceResult
        read = _adapter(kind).validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        raise ResultError(f"{source}: {_first_problem(error)}") from error
    return RunResult(**{field.name: getattr(read, field.name) for field in fields(RunResult)})


def load(path: Path) -> RunResult:
    """Read a result file; raises `ResultError` naming file and field, or `UnsupportedVersion`."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ResultError(f"{path} is larger than {MAX_BYTES // 2**20} MB: not a result file.")
        return from_json(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ResultError(f"{path} cannot be read: {error}") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _first_problem(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    first = problems[0]
    where = ".".join(str(part) for part in first["loc"]) or "(top level)"
    more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
    return f"field {where}: {first['msg']}{more}"
