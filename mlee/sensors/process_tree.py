"""The run's process tree: who belongs to it and how much CPU time and memory it uses."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path


def tree_pids(root: int | None = None, others: Sequence[int] = ()) -> set[int]:
    """Process ids of `root` (default: this process), `others`, and all their descendants."""
    import psutil

    found: set[int] = set()
    for pid in (os.getpid() if root is None else root, *others):
        found.add(pid)
        with suppress(psutil.Error):
            found.update(child.pid for child in psutil.Process(pid).children(recursive=True))
    return found


_TICKS_PER_S: int = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: int = os.sysconf("SC_PAGE_SIZE")
#: A process tree keeps at most so many files open, and at most a quarter of what the run itself may open.
_MAX_FILES = 256


class MachineLoad:
    """CPU time all logical CPUs of the machine have spent working since boot, from the first line of /proc/stat.

    The file stays open, so that a run which uses up its file descriptors does not blind the sensor.
    """

    def __init__(self, proc: Path) -> None:
        """Open the file; raises `OSError`."""
        self._file = os.open(proc / "stat", os.O_RDONLY)

    def busy_s(self) -> float:
        """CPU time spent working since boot [s]; raises `OSError` or `ValueError` for a strange file.

        Idle time, I/O wait and time stolen by other virtual machines do not count; guest time is part of user time already.
        """
        line = os.pread(self._file, 1024, 0).partition(b"\n")[0]
        user, nice, system, _idle, _iowait, irq, softirq = map(int, line.split()[1:8])
        return (user + nice + system + irq + softirq) / _TICKS_PER_S

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class ProcessTree:
    """CPU time and memory of a process and its descendants, cheap enough to be asked ten times a second.

    psutil finds the members. Their /proc/<pid>/stat stays open, which costs one system call a look and can never show
    another process that was given the same id. In a large tree only so many stay open as leave the run enough of its own
    (a quarter of its limit at most), and the others are opened for each look.
    """

    #: Listing descendants looks at every process of the machine: do it this rarely [s].
    REFRESH_S = 5.0

    def __init__(self, root: int | None = None, proc: Path = Path("/proc"), others: Sequence[int] = ()) -> None:
        """Start from `root` (default: this process); `others` belong to the run, too, with their descendants."""
        self._beside = tuple(others)
        self._root = os.getpid() if root is None else root
        self._proc = proc
        self._files: dict[int, int] = {}
        self._others: set[int] = set()
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = _MAX_FILES if limit == resource.RLIM_INFINITY else min(_MAX_FILES, limit // 4)
        self._refreshed_s = float("-inf")
        self._open({self._root})

    def refresh(self, now_s: float) -> None:
        """List the descendants again if the last list is old."""
        if now_s - self._refreshed_s >= self.REFRESH_S:
            self.refresh_now(now_s)

    def refresh_now(self, now_s: float) -> None:
        """List the descendants again."""
        self._refreshed_s = now_s
        try:
            pids = tree_pids(self._root, self._beside)
        except OSError:  # no file descriptor is left to list them: the last list is better than none
            return
        self._open(pids)

    def _open(self, pids: set[int]) -> None:
        for pid in self._files.keys() - pids:
            os.close(self._files.pop(pid))
        self._others = pids - self._files.keys()
        for pid in sorted(self._others)[: max(0, self._most - len(self._files))]:
            try:
                self._files[pid] = os.open(self._stat(pid), os.O_RDONLY)
            except OSError:  # it ended meanwhile (its CPU time now stands with its parent), or no descriptor is left
                continue
            self._others.discard(pid)

    def _stat(self, pid: int) -> Path:
        return self._proc / str(pid) / "stat"

    def _looks(self) -> Iterator[bytes]:
        """Yield what each member's file says; one that has ended has none."""
        for file in self._files.values():
            try:
                yield os.pread(file, 1024, 0)
            except OSError:
                continue
        for pid in self._others:
            try:
                yield self._stat(pid).read_bytes()
            except OSError:
                continue

    def usage(self) -> tuple[float, int]:
        """CPU time of all members, ended children included [s], and resident memory [B].

        Memory that processes share is counted once for each of them.
        """
        ticks = pages = 0
        for text in self._looks():
            # proc(5): the command's name in brackets may hold spaces, what follows does not.
            fields = text.rpartition(b")")[2].split(None, 22)
            if len(fields) > 21:
                ticks += int(fields[11]) + int(fields[12]) + int(fields[13]) + int(fields[14])
                pages += int(fields[21])
        return ticks / _TICKS_PER_S, pages * _PAGE_BYTES

    def close(self) -> None:
        """Close all files."""
        self._open(set())
