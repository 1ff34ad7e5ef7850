"""Files: writing them so that a reader never sees half of one, and reading JSON without losing a field."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import IO, Any

from mlee.errors import ResultError


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write `content` to `path` by way of a temporary file in the same folder, fsync and rename.

    A link stays: the file that it leads to is replaced. What is no file (a device, a pipe) is written to as it is.
    Raises `ResultError` naming the path when the disk is full or not writable; an existing file is then unharmed.
    """
    temporary: str | None = None
    try:
        data = content.encode() if isinstance(content, str) else content
        if _is_special(path):
            with open(path, "wb") as special:
                special.write(data)
            return
        target = os.path.realpath(path)
        folder, name = os.path.split(target)
        fd, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.", suffix=".tmp")
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.fsync(file.fileno())
        os.replace(temporary, target)
        temporary = None
    except UnicodeEncodeError as error:
        raise ResultError(f"{path} cannot be written: its text is not UTF-8 ({error}).") from error
    except OSError as error:
        raise ResultError(f"{path} cannot be written: {error.strerror}.", "free space or choose another folder") from error
    finally:  # also when interrupted
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _is_special(path: Path) -> bool:
    """Whether something is there that is no regular file: renaming over it would replace a device or a pipe."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return False


def close_quietly(file: IO[str]) -> None:
    """Close a file for good, also where its last words have no place any more (a full disk)."""
    with contextlib.suppress(OSError):
        file.close()


def _umask() -> int:
    """Look the umask up: asking by os.umask would change it for a moment, for all threads."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return next((int(line.split()[1], 8) for line in status.splitlines() if line.startswith("Umask:")), 0o022)


def unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object of its fields (for `object_pairs_hook`); a field given twice is a `ValueError` that names it."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"field {next(name for name in names if names.count(name) > 1)} is given twice")
    return fields
