"""Everything a training starts an epoch from, as one file of NumPy's arrays, which reads without executing anything."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mlee.errors import ResultError

Arrays = dict[str, npt.NDArray[Any]]
_OF = "training"


def pack(of: str, model: Any, optimizer: Sequence[Any]) -> bytes:
    """Return the values of all variables of a Keras model and an optimiser; `of` says in words which these are."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {name: value.numpy() for name, value in _named(model, optimizer).items()}
    np.savez(buffer, **{_OF: np.array(of), **arrays})
    return buffer.getvalue()


def unpack(content: bytes, of: str, model: Any, optimizer: Sequence[Any], file: Path) -> None:
    """Take over what `pack` wrote into `file`; raises `ResultError` and changes nothing when it does not fit."""
    arrays = _read(content, file)
    found = str(arrays.pop(_OF, "something else"))
    if found != of:
        raise ResultError(f"{file} is the state of {found}, not of {of}.", "resume with the options it was begun with")
    variables = _named(model, optimizer)
    strange = sorted(arrays.keys() ^ variables.keys()) or [
        name for name, value in arrays.items() if (value.shape, value.dtype) != _form(variables[name])
    ]
    if strange:
        raise ResultError(f"{file} has other variables than {of}: {strange[0]}.", "begin the training anew")
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _read(content: bytes, file: Path) -> Arrays:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ResultError(f"{file} is damaged: {error}", "begin the training anew") from error


def _named(model: Any, optimizer: Sequence[Any]) -> dict[str, Any]:
    """Variables by position and kind: Keras numbers its layers anew for each model of a process."""
    of_model = {f"model/{number:05d}/{variable.name}": variable for number, variable in enumerate(model.variables)}
    return of_model | {f"optimizer/{number:05d}": variable for number, variable in enumerate(optimizer)}


def _form(variable: Any) -> tuple[tuple[int, ...], Any]:
    return tuple(variable.shape), np.dtype(getattr(variable.dtype, "as_numpy_dtype", variable.dtype))
