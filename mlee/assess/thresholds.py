"""Thresholds: the four indices that separate the classes A-E, for each task and metric, and their files.

Two formats are read: ours, which says what made it, and the plain `boundaries.json` of 2022 (`{metric: [4 numbers]}`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

from mlee.assess.metrics import canonical_key
from mlee.errors import ConfigError, ResultError
from mlee.files import unique_fields

Four = tuple[float, float, float, float]

FORMAT = "mlee-thresholds"
VERSION = 1
ANY_TASK = "*"
_MAX_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Named thresholds by task (or `*`) and metric; `index` says which index they belong to: `reference` or `best`.

    `made_by` is the command and `input_digest` the SHA-256 of the runs they were computed from, where they were.
    """

    name: str
    index: str
    by_task: Mapping[str, Mapping[str, Four]] = field(default_factory=dict)
    made_by: str | None = None
    input_digest: str | None = None

    def __post_init__(self) -> None:
        """Check that every list descends."""
        for task, metrics in self.by_task.items():
            for key, four in metrics.items():
                if len(four) != 4 or not all(math.isfinite(value) and value >= 0 for value in four):
                    raise ValueError(
                        f"Thresholds of {task}, {key} must be four finite numbers of 0 or more, got {list(four)}"
                    )
                if any(later > earlier for earlier, later in pairwise(four)):
                    raise ValueError(f"Thresholds of {task}, {key} must not rise, got {list(four)}")

    def get(self, task: str, key: str) -> Four | None:
        """Return the thresholds of a metric for a task; those for any task come second."""
        for name in (task, ANY_TASK):
            found = self.by_task.get(name, {}).get(key)
            if found is not None:
                return found
        return None

    def degenerate(self) -> list[tuple[str, str]]:
        """Tasks and metrics whose four thresholds are all equal: they make one class of everything."""
        return [(task, key) for task, metrics in self.by_task.items() for key, four in metrics.items() if four[0] == four[3]]


def to_json(thresholds: Thresholds) -> str:
    """Write thresholds in our format."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "name": thresholds.name,
        "index": thresholds.index,
        "made_by": thresholds.made_by,
        "input_digest": thresholds.input_digest,
        "thresholds": {
            task: {key: list(four) for key, four in metrics.items()} for task, metrics in thresholds.by_task.items()
        },
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def from_json(text: str, source: str) -> Thresholds:
    """Read thresholds in either format; raises `ResultError` naming source and field."""
    try:
        document: Any = json.loads(text, object_pairs_hook=unique_fields)
        if not isinstance(document, dict):
            raise ValueError("it holds no object")
        json.dumps(document, ensure_ascii=False).encode()  # refuses lone surrogates, which no file can take
        if "format" not in document:
            return Thresholds(name=source, index="reference", by_task={ANY_TASK: _metrics(document)})
        if document["format"] != FORMAT or document.get("version") != VERSION:
            raise ValueError(f"format and version must be {FORMAT} and {VERSION}")
        if document.get("index") not in ("reference", "best"):
            raise ValueError(f"index must be reference or best, got {document.get('index')!r}")
        return Thresholds(
            name=_text(document, "name") or source,
            index=document["index"],
            by_task={task: _metrics(metrics) for task, metrics in _object(document["thresholds"], "thresholds").items()},
            made_by=_text(document, "made_by"),
            input_digest=_text(document, "input_digest"),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        reason = f"field {error} is missing" if isinstance(error, KeyError) else str(error)
        raise ResultError(f"{source} holds no thresholds: {reason}.") from error


def load(path: Path) -> Thresholds:
    """Read a file of thresholds; raises `ResultError`."""
    try:
        if path.exists() and not path.is_file():
            raise ResultError(f"{path} is not a file.")
        if path.stat().st_size > _MAX_BYTES:
            raise ResultError(f"{path} is too large for a file of thresholds.")
        return from_json(path.read_text(encoding="utf-8-sig"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ResultError(f"{path} cannot be read: {error}") from error


@cache
def shipped(name: str, index: str) -> Thresholds:
    """Return the thresholds that come with a rule set, for one index mode; raises `ConfigError` where there are none."""
    file = files("mlee.assess").joinpath("thresholds_data", f"{name}-{index}.json")
    if not file.is_file():
        raise ConfigError(f"Rules '{name}' know no index '{index}'.", "pass --rules exact, or name a reference model")
    return from_json(file.read_text(encoding="utf-8"), file.name)


def _metrics(document: Mapping[str, Any]) -> dict[str, Four]:
    found: dict[str, Four] = {}
    for name, values in _object(document, "thresholds").items():
        if not isinstance(values, list) or len(values) != 4 or not all(_is_number(value) for value in values):
            raise ValueError(f"{name} must be four numbers, got {values!r:.60}")
        first, second, third, fourth = (float(value) for value in values)
        key = canonical_key(name)
        if key in found:
            raise ValueError(f"{key} is given twice, by its name of 2022 too")
        found[key] = (first, second, third, fourth)
    return found


def _object(value: Any, field: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"field {field} must hold an object for each task, with four numbers a metric, got {value!r:.60}")
    return value


def _text(document: Mapping[str, Any], field: str) -> str | None:
    value = document.get(field)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"field {field} must be a text, got {value!r:.60}")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
