"""The run's process tree: who belongs to it and how much CPU time and memory it uses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


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


class ProcessTree:
    """CPU time and memory of a process and its descendants, cheap enough to be asked ten times a second."""

    #: Listing descendants looks at every process of the machine: do it this rarely [s].
    REFRESH_S = 5.0

    def __init__(self, root: int | None = None) -> None:
        """Start from `root` (default: this process)."""
        import psutil

        self._psutil: Any = psutil
        self._root = psutil.Process(root)
        self._members = [self._root]
        self._refreshed_s = float("-inf")

    def refresh(self, now_s: float) -> None:
        """List the descendants again if the last list is old."""
        if now_s - self._refreshed_s >= self.REFRESH_S:
            self.refresh_now(now_s)

    def refresh_now(self, now_s: float) -> None:
        """List the descendants again."""
        self._refreshed_s = now_s
        self._members = [self._root, *self._root.children(recursive=True)]

    def usage(self) -> tuple[float, int]:
        """CPU time of all members, ended children included [s], and resident memory [B].

        Memory that processes share is counted once for each of them.
        """
        cpu_s, memory = 0.0, 0
        for process in self._members:
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    memory += process.memory_info().rss
            except self._psutil.Error:
                continue  # it ended; its CPU time now stands with its parent
            cpu_s += times.user + times.system + times.children_user + times.children_system
        return cpu_s, memory
