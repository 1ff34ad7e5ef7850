"""Loading: files and folders of any known kind become one tidy table; what cannot be read is named, and the rest loads.

Known kinds: results of version 2 and of 2022, experiment folders that are not merged yet, and tables of other tools
(`mlee.results.foreign`). Nothing is ever unpickled or executed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlee.assess.metric import Metric
from mlee.assess.metrics import METRICS
from mlee.assess.rules import RULES_EXACT, RatingRules
from mlee.assess.run import RunSummary, summarise
from mlee.assess.table import make_table
from mlee.errors import MleeError, ResultError
from mlee.results import store
from mlee.results.foreign import ForeignTable, read_foreign
from mlee.results.legacy import is_legacy, read_legacy

if TYPE_CHECKING:
    import pandas as pd

RESULT_FILE = "result.json"
_EXPERIMENT_PREFIXES = ("infer_", "train_")
_TABLES = (".csv", ".parquet")
#: Files beside results that are none.
_NOT_RESULTS = ("meta_properties.json", "meta_environment.json", "config.json", "execution_platform.json")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file or folder that was left out, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Loaded:
    """What was found: the table (one row a run), its metrics, the runs by their ids, and what was left out."""

    table: pd.DataFrame
    metrics: dict[str, Metric]
    runs: dict[str, RunSummary] = field(default_factory=dict)
    unreadable: tuple[Unreadable, ...] = ()
    warnings: tuple[str, ...] = ()


def load(
    paths: Sequence[Path], rules: RatingRules = RULES_EXACT, progress: Callable[[int, int], None] | None = None
) -> Loaded:
    """Read everything in `paths` (files, folders of files, experiment folders).

    The values in the table follow `rules`. `progress` is called with the number of files done and their total. Raises
    `ResultError` when nothing at all could be read.
    """
    import pandas as pd

    files, unreadable = _find(paths)
    runs: dict[str, RunSummary] = {}
    tables: list[tuple[Path, ForeignTable]] = []
    for number, path in enumerate(files, start=1):
        try:
            found = _read(path)
            if isinstance(found, RunSummary):
                known = runs.setdefault(found.run_id, found)
                if known.digest != found.digest:
                    raise ResultError(f"The run {found.run_id} is in {known.source} too, with another content.")
            else:
                tables.append((path, found))
        except MleeError as error:
            unreadable.append(Unreadable(path, str(error)))
        if progress is not None:
            progress(number, len(files))
    metrics = dict(METRICS) if runs or not tables else {}
    frames = [make_table(list(runs.values()), rules)] if runs or not tables else []
    warnings: list[str] = []
    for path, table in tables:
        clash = next((key for key, metric in table.metrics.items() if metrics.setdefault(key, metric) != metric), None)
        if clash is not None:
            unreadable.append(Unreadable(path, f"Its metric '{clash}' has the name of another metric with another meaning."))
            continue
        frames.append(table.frame)
        warnings.extend(f"{path}: {warning}" for warning in table.warnings)
    if not runs and not tables:
        reasons = "; ".join(f"{entry.path}: {entry.reason}" for entry in unreadable[:3])
        where = ", ".join(map(str, paths))
        raise ResultError(
            f"No result could be read in {where}" + (f" ({reasons})." if reasons else "."),
            "give result files, folders of them, or experiment folders; python infer.py makes some",
        )
    frame = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    return Loaded(table=frame, metrics=metrics, runs=runs, unreadable=tuple(unreadable), warnings=tuple(warnings))


def _find(paths: Sequence[Path]) -> tuple[list[Path], list[Unreadable]]:
    files: dict[Path, None] = {}
    unreadable: list[Unreadable] = []
    for path in paths:
        try:
            for found in _expand(path) if path.is_dir() else [path]:
                files[found] = None
            if not path.exists():
                raise FileNotFoundError(2, "No such file or folder", str(path))
        except OSError as error:
            files.pop(path, None)
            unreadable.append(Unreadable(path, error.strerror or str(error)))
    return list(files), unreadable


def _expand(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder that may hold results, and of the experiment folders in it."""
    if (folder / RESULT_FILE).is_file():
        yield folder / RESULT_FILE
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if path.name.startswith(_EXPERIMENT_PREFIXES):
                yield path / RESULT_FILE
        elif _may_hold_results(path):
            yield path


def _may_hold_results(path: Path) -> bool:
    if path.suffix.lower() in _TABLES:
        return not path.name.startswith("trace_")
    return path.suffix.lower() == ".json" and path.name not in _NOT_RESULTS and not path.name.startswith(".")


def _read(path: Path) -> RunSummary | ForeignTable:
    if path.suffix.lower() in _TABLES:
        table = read_foreign(path)
        if table is None:
            raise ResultError(
                f"{path.name} is no table of a known kind.",
                "put a meta_properties.json beside it that says for each column what it is (docs/formats.md)",
            )
        return table
    try:
        if path.name == RESULT_FILE and not path.exists():
            raise ResultError(f"{path.parent.name} is incomplete: it has no {RESULT_FILE}.")
        if path.stat().st_size > store.MAX_BYTES:
            raise ResultError(f"{path} is larger than {store.MAX_BYTES // 2**20} MB: not a result file.")
        content = path.read_bytes()
        text = content.decode("utf-8")
        # A file of 2022 may hold NaN where nobody looks (a diverged loss); what is read is checked field by field.
        document: Any = json.loads(text)
    except OSError as error:
        raise ResultError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ResultError(f"{path} is not JSON: {error}") from error
    digest = hashlib.sha256(content).hexdigest()
    if isinstance(document, dict) and is_legacy(document):
        return read_legacy(document, path, digest)
    return summarise(store.from_json(text, str(path)), str(path), digest)
