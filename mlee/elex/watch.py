"""Noticing that results have changed, at a cost that disturbs no measurement on the same machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread

from mlee.results.load import find_descriptions, find_files

_EVERY_S = 2.0
#: The shares of the time that looking at files and reading them anew may take.
_LOOKING, _READING = 0.01, 0.1

_Look = frozenset[tuple[Path, int, int]]


class Watcher:
    """What the files of some paths looked like (names, times, sizes) when they were last read."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Take a first look: to be made before the files are read, so that no change is missed."""
        self._paths = tuple(paths)
        self._read = self._seen = self._look()
        #: How long reading anew took the last time [s].
        self.reading_s = 0.0

    def _look(self) -> _Look:
        files, _ = find_files(self._paths)
        found = []
        for path in (*files, *find_descriptions(files)):
            try:
                status = path.stat()
            except OSError:  # no result or no description yet, or a file that has just gone
                continue
            found.append((path, status.st_mtime_ns, status.st_size))
        return frozenset(found)

    def changed(self) -> bool:
        """Return whether the files differ from what was last read and have come to rest: two looks saw the same.

        They count as read from then on.
        """
        before, self._seen = self._seen, self._look()
        if self._seen != before or self._seen == self._read:
            return False
        self._read = self._seen
        return True

    def start(self, tell: Callable[[], None]) -> None:
        """Look again and again in a thread that ends with the process, and `tell` there of every change."""
        Thread(target=self._watch, args=(tell,), name="watch", daemon=True).start()

    def _watch(self, tell: Callable[[], None]) -> None:
        pause_s, told_s = _EVERY_S, time.monotonic()
        while True:
            time.sleep(pause_s)
            start_s = time.monotonic()
            if start_s - told_s < self.reading_s / _READING:
                continue
            changed = self.changed()
            pause_s = max(_EVERY_S, (time.monotonic() - start_s) / _LOOKING)
            if changed:
                told_s = time.monotonic()
                tell()
