"""Tables of anybody's measurements: STREP data bases, exported MLflow runs, CodeCarbon's emission files.

One function, `read_foreign`. What a kind looks like and what is made of it stands on top of `strep`, `mlflow` and
`codecarbon`. Whatever is wrong with a file is a `ResultError` that names the place; nothing is unpickled, executed or
guessed silently.
"""

from __future__ import annotations

from pathlib import Path

from mlee.errors import ResultError
from mlee.results.foreign.codecarbon import is_codecarbon, read_codecarbon
from mlee.results.foreign.mlflow import is_mlflow, read_mlflow
from mlee.results.foreign.properties import load_properties
from mlee.results.foreign.source import open_source
from mlee.results.foreign.strep import is_strep, read_strep
from mlee.results.foreign.tidy import ForeignTable

__all__ = ["ForeignTable", "read_foreign"]


def read_foreign(path: Path) -> ForeignTable | None:
    """Read a table of another tool, `None` if the file is of no known kind.

    Raises `ResultError` naming file and line, column or field when it is of a known kind and damaged.
    """
    source = open_source(path)
    if source is None:
        return None
    try:
        if is_codecarbon(source.header):
            return read_codecarbon(source)
        if is_mlflow(source.header):
            return read_mlflow(source, load_properties(path.parent))
        properties = load_properties(path.parent)
        if properties is None or not is_strep(source.header, properties):
            return None
        return read_strep(source, properties)
    except OSError as error:
        raise ResultError(f"{path} cannot be read: {error}") from error
