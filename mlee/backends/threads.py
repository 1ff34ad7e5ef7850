"""How many threads compute, and how many threads or processes load images, where the user does not say."""

from __future__ import annotations

import os

_MAX_WORKERS = 8


def cpu_threads() -> int:
    """Return OMP_NUM_THREADS, which PyTorch obeys too, or else one thread for each physical core this process may use."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isascii() and wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    import psutil

    allowed = len(os.sched_getaffinity(0))
    return min(allowed, psutil.cpu_count(logical=False) or allowed)


def loading_workers(wanted: int | None, synthetic: bool) -> int:
    """Resolve --workers: `None` chooses by the CPUs this process may use."""
    if wanted is not None:
        return wanted
    cpus = len(os.sched_getaffinity(0))
    # On two CPUs a worker beside the model only takes turns with it.
    return 0 if synthetic or cpus <= 2 else min(_MAX_WORKERS, cpus // 2)
