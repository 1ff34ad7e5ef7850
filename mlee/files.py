"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from mlee.errors import ResultError


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write `content` to `path` by way of a temporary file in the same folder, fsync and rename.

    Raises `ResultError` naming the path when the disk is full or not writable; an existing file is then unharmed.
    """
    temporary: str | None = None
    try:
        fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        with os.fdopen(fd, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.fsync(file.fileno())
        os.replace(temporary, path)
        temporary = None
    except UnicodeEncodeError as error:
        raise ResultError(f"{path} cannot be written: its text is not UTF-8 ({error}).") from error
    except OSError as error:
        raise ResultError(f"{path} cannot be written: {error.strerror}.", "free space or choose another folder") from error
    finally:  # also when interrupted
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
