"""The run's process tree: who belongs to it and how much CPU time and memory it uses."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def tree_pids(root: int | None = None) -> set[int]:
    """Process ids of `root` (default: this process) and all its descendants."""
    import psutil

    root = os.getpid() if root is None else root
    try:
        return {root, *(child.pid for child in psutil.Process(root).children(recursive=True))}
    except psutil.Error:
        return {root}


def busy_cpu_s(proc: Path) -> float:
    """CPU time all logical CPUs of the machine have spent working since boot [s], from the first line of /proc/stat.

    Idle time, I/O wait and time stolen by other virtual machines do not count; guest time is part of user time already.
    """
    with open(proc / "stat", "rb") as file:
        user, nice, system, _idle, _iowait, irq, softirq = map(int, file.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / _TICKS_PER_S


_TICKS_PER_S: int = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: int = os.sysconf("SC_PAGE_SIZE")


class ProcessTree:
    """CPU time and memory of a process and its descendants, cheap enough to be asked ten times a second.

    psutil finds the members. Their /proc/<pid>/stat stays open, which costs one system call a look and can never show
    another process that was given the same id.
    """

    #: Listing descendants looks at every process of the machine: do it this rarely [s].
    REFRESH_S = 5.0

    def __init__(self, root: int | None = None, proc: Path = Path("/proc")) -> None:
        """Start from `root` (default: this process)."""
        self._root = os.getpid() if root is None else root
        self._proc = proc
        self._files: dict[int, int] = {}
        self._refreshed_s = float("-inf")
        self._open({self._root})

    def refresh(self, now_s: float) -> None:
        """List the descendants again if the last list is old."""
        if now_s - self._refreshed_s >= self.REFRESH_S:
            self.refresh_now(now_s)

    def refresh_now(self, now_s: float) -> None:
        """List the descendants again."""
        self._refreshed_s = now_s
        self._open(tree_pids(self._root))

    def _open(self, pids: set[int]) -> None:
        for pid in self._files.keys() - pids:
            os.close(self._files.pop(pid))
        for pid in pids - self._files.keys():
            with contextlib.suppress(OSError):  # it ended meanwhile; its CPU time now stands with its parent
                self._files[pid] = os.open(self._proc / str(pid) / "stat", os.O_RDONLY)

    def usage(self) -> tuple[float, int]:
        """CPU time of all members, ended children included [s], and resident memory [B].

        Memory that processes share is counted once for each of them.
        """
        ticks = pages = 0
        for file in self._files.values():
            try:
                # proc(5): the command's name in brackets may hold spaces, what follows does not.
                fields = os.pread(file, 1024, 0).rpartition(b")")[2].split(None, 22)
            except OSError:
                continue
            if len(fields) > 21:
                ticks += int(fields[11]) + int(fields[12]) + int(fields[13]) + int(fields[14])
                pages += int(fields[21])
        return ticks / _TICKS_PER_S, pages * _PAGE_BYTES

    def close(self) -> None:
        """Close all files."""
        self._open(set())
