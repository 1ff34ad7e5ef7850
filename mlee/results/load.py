"""Loading: files and folders of any known kind become one tidy table; what cannot be read is named, and the rest loads.

Known kinds: results of version 2 and of 2022, experiment folders that are not merged yet, and tables of other tools
(`mlee.results.foreign`). Nothing is ever unpickled or executed.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlee.assess.metric import Metric
from mlee.assess.metrics import METRICS
from mlee.assess.rules import RULES_EXACT, RatingRules
from mlee.assess.run import RunSummary, summarise
from mlee.assess.table import COUNT, FACTS, KEYS, STANDARD_ERROR, UNCERTAINTY, make_table
from mlee.errors import MleeError, ResultError
from mlee.files import unique_fields
from mlee.results import store
from mlee.results.foreign import ForeignTable, read_foreign
from mlee.results.foreign.properties import META_NAME
from mlee.results.legacy import is_legacy, read_legacy
from mlee.results.limits import check_limits, first_not_finite

if TYPE_CHECKING:
    import pandas as pd

RESULT_FILE = "result.json"
EXPERIMENT_PREFIXES = ("infer_", "train_")
_TABLES = (".csv", ".parquet")
#: Files beside results that are none.
_NOT_RESULTS = (META_NAME, "meta_environment.json", "config.json", "execution_platform.json", "study.json")
#: Columns that rating adds to a table: a metric of another tool must not have the name of one.
_RATING_COLUMNS = {*FACTS, "runs", "n", "run_ids", "reference"}
_RATING_SUFFIXES = (STANDARD_ERROR, UNCERTAINTY, COUNT)


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
    files, unreadable = find_files(paths)
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
                tables.append((path, _without_rating_columns(path, found)))
        except MleeError as error:
            unreadable.append(Unreadable(path, str(error)))
        if progress is not None:
            progress(number, len(files))
    metrics = dict(METRICS) if runs else {}
    frames = [make_table(list(runs.values()), rules)] if runs else []
    warnings: list[str] = []
    for path, table in _without_copies(tables, warnings, unreadable):
        clash = next((key for key, metric in table.metrics.items() if metrics.get(key, metric) != metric), None)
        if clash is not None:
            unreadable.append(Unreadable(path, f"Its metric '{clash}' has the name of another metric with another meaning."))
            continue
        metrics.update(table.metrics)
        # A row of another tool is one pass over devices that nobody named.
        frames.append(table.frame.assign(repeats=1, scope="") if runs else table.frame)
        warnings.extend(f"{path}: {warning}" for warning in table.warnings)
    if not frames:
        reasons = "; ".join(f"{entry.path}: {entry.reason}" for entry in unreadable[:3])
        where = ", ".join(map(str, paths))
        raise ResultError(
            f"No result could be read in {where}" + (f" ({reasons})." if reasons else "."),
            "give result files, folders of them, or experiment folders; python infer.py makes some",
        )
    frame = _joined(frames, warnings)
    return Loaded(table=frame, metrics=metrics, runs=runs, unreadable=tuple(unreadable), warnings=tuple(warnings))


def _joined(frames: list[pd.DataFrame], warnings: list[str]) -> pd.DataFrame:
    """Put tables below each other; a row that several of them have, with its run's id and all values, counts once."""
    import pandas as pd

    if len(frames) == 1:
        return frames[0]
    frame = pd.concat(frames, ignore_index=True)
    twice = frame.duplicated()
    if twice.any():
        warnings.append(f"Rows that stand in several tables: {int(twice.sum())}, counted once.")
        frame = frame[~twice].reset_index(drop=True)
    return frame


def _without_copies(
    tables: list[tuple[Path, ForeignTable]], warnings: list[str], unreadable: list[Unreadable]
) -> Iterator[tuple[Path, ForeignTable]]:
    """Leave out tables whose files are the same to the last byte: nobody measures that twice."""
    known: dict[str, Path] = {}
    for path, table in tables:
        if len(tables) > 1:
            try:
                with open(path, "rb") as file:
                    first = known.setdefault(hashlib.file_digest(file, "sha256").hexdigest(), path)
            except OSError as error:  # it has gone since it was read
                unreadable.append(Unreadable(path, f"{path} cannot be read: {error.strerror}."))
                continue
            if first != path:
                warnings.append(f"{path}: the same table as {first}, counted once.")
                continue
        yield path, table


def _without_rating_columns(path: Path, table: ForeignTable) -> ForeignTable:
    """Leave out metrics that have the name of a column that rating needs; raises `ResultError` where nothing stays."""
    if mixed := next((key for key in table.metrics if key in ("run_id", *KEYS)), None):
        raise ResultError(f"{path}: the metric '{mixed}' has the name of a key column.", "rename it")
    bad = [key for key in table.metrics if key in _RATING_COLUMNS or key.endswith(_RATING_SUFFIXES)]
    if not bad:
        return table
    names = ", ".join(bad)
    metrics = {key: metric for key, metric in table.metrics.items() if key not in bad}
    if not metrics:
        raise ResultError(f"{path}: the metrics {names} have names of columns of the rating.", "rename them")
    warning = f"{path.name}: {names} left out: the rating has columns of that name; rename to have them rated"
    return replace(table, frame=table.frame.drop(columns=bad), metrics=metrics, warnings=[*table.warnings, warning])


def find_files(paths: Sequence[Path]) -> tuple[list[Path], list[Unreadable]]:
    """List the files that `load` reads, each once however many ways lead to it, and the paths that lead nowhere.

    The result of an experiment folder is listed before it is there.
    """
    files: dict[str, Path] = {}
    unreadable: list[Unreadable] = []
    for path in paths:
        try:
            if not path.exists():
                raise FileNotFoundError(2, "No such file or folder", str(path))
            for found in _expand(path) if path.is_dir() else [path]:
                files.setdefault(os.path.realpath(found), found)
        except OSError as error:
            unreadable.append(Unreadable(path, error.strerror or str(error)))
    return list(files.values()), unreadable


def find_descriptions(files: Iterable[Path]) -> list[Path]:
    """List what is read beside files that `find_files` found: descriptions of tables, whether they are there or not."""
    return sorted({path.parent / META_NAME for path in files if path.suffix.lower() in _TABLES})


def _expand(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder that may hold results, and of the experiment folders in it."""
    if (folder / RESULT_FILE).is_file():
        yield folder / RESULT_FILE
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if path.name.startswith(EXPERIMENT_PREFIXES):
                yield path / RESULT_FILE
        elif _may_hold_results(path):
            yield path


def _may_hold_results(path: Path) -> bool:
    if path.suffix.lower() in _TABLES:
        return not path.name.startswith("trace_")
    return path.suffix.lower() == ".json" and path.name not in _NOT_RESULTS and not path.name.startswith(".")


def _read(path: Path) -> RunSummary | ForeignTable:
    if not _is_text(path.name):
        raise ResultError(f"The name of {str(path)!a} is not UTF-8.", "rename the file")
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
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ResultError(f"{path} is not a file.")
        if status.st_size > store.MAX_BYTES:
            raise ResultError(f"{path} is larger than {store.MAX_BYTES // 2**20} MB: not a result file.")
        content = path.read_bytes()
        text = content.decode("utf-8")
        # A file of 2022 may hold NaN where nobody looks (a diverged loss); what is read is checked field by field.
        document: Any = json.loads(text, object_pairs_hook=unique_fields)
    except OSError as error:
        raise ResultError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ResultError(f"{path} is not JSON: {error}") from error
    digest = hashlib.sha256(content).hexdigest()
    if isinstance(document, dict) and is_legacy(document):
        return read_legacy(document, path, digest)
    if odd := first_not_finite(document):
        raise ResultError(f"{path}: field {odd[0]} is not a finite number: {odd[1]}.")
    try:
        result = store.from_json(text, str(path))
    except RecursionError as error:
        raise ResultError(f"{path} is nested too deeply for a result.") from error
    check_limits(result, str(path))
    return summarise(result, str(path), digest)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that are no UTF-8 come as lone surrogates
        return False
    return True
