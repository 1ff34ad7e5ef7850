"""Facts about the CPU and memory of this machine that need nothing but /proc."""

from __future__ import annotations

import os
import platform
from pathlib import Path

_PROC = Path("/proc")


def cpu_name(proc: Path = _PROC) -> str:
    """Return the CPU's own name, or the architecture where /proc does not tell."""
    return _first_value(proc / "cpuinfo", "model name") or platform.processor() or platform.machine()


def logical_cpus() -> int:
    """Count the logical CPUs of the machine."""
    return os.cpu_count() or 1


def memory_bytes(proc: Path = _PROC) -> int:
    """Installed memory the kernel can use [B]; raises `OSError` where /proc does not tell."""
    value = _first_value(proc / "meminfo", "MemTotal")
    if value is None:
        raise OSError(f"{proc / 'meminfo'} does not state MemTotal")
    return int(value.split()[0]) * 1024


def _first_value(path: Path, key: str) -> str | None:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), None)
