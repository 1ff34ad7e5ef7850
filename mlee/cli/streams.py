"""Standard streams that nothing can break: a measurement goes on when nobody reads its output any more.

What cannot be written (a closed pipe, a full disk) is dropped, and what the terminal's encoding does not hold is written
in plain letters.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

_PLAIN = str.maketrans({"±": "+-", "µ": "u", "→": "->", "×": "x", "–": "-", "…": "...", "─": "-", "━": "-", "│": "|"})  # noqa: RUF001


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return text.encode("ascii", "replace").decode("ascii"), error.end


codecs.register_error("mlee-plain", _plain)


class _Lasting:
    """A text stream whose writing never fails: the first failure is kept, and what follows goes nowhere."""

    def __init__(self, stream: IO[str], lost: list[OSError]) -> None:
        self._stream = stream
        self._lost = lost

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._drop(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._drop(error)

    def _drop(self, error: OSError) -> None:
        self._lost.append(error)
        # Also what is buffered goes nowhere, or the interpreter would stumble over it at its end.
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def lasting_streams() -> Iterator[list[OSError]]:
    """Make standard output and error last; yields the list of what was lost, which is complete after a flush."""
    before = sys.stdout, sys.stderr
    lost: list[OSError] = []
    for name, stream in zip(("stdout", "stderr"), before, strict=True):
        if stream is None:  # closed from the start: nobody is meant to read anything
            continue
        if getattr(stream, "errors", None) in ("strict", "backslashreplace") and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="mlee-plain")
        setattr(sys, name, cast(IO[str], _Lasting(stream, lost)))
    try:
        yield lost
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        sys.stdout, sys.stderr = before
