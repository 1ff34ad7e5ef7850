"""Give up root's right to read every file, so that a locked file is locked in tests that run as root, too.

Changing to another user would not do: pytest's temporary folders are closed to everybody else. Without the capabilities
CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, root obeys the modes of its own files, which is just what is wanted here.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

_VERSION_3 = 0x20080522  # _LINUX_CAPABILITY_VERSION_3: two sets of 32 capabilities
_FILE_RIGHTS = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
_PR_CAPBSET_DROP = 24


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Set(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(function: str, sets: ctypes.Array[_Set]) -> None:
    if getattr(_libc(), function)(ctypes.byref(_Header(_VERSION_3, 0)), sets) != 0:
        raise OSError(ctypes.get_errno(), f"{function} failed")


def _capabilities() -> ctypes.Array[_Set]:
    sets = (_Set * 2)()
    _call("capget", sets)
    return sets


@contextmanager
def without_root_rights() -> Iterator[None]:
    """Make this thread, and the threads it starts, obey file modes; does nothing for ordinary users."""
    before, sets = _capabilities(), _capabilities()
    sets[0].effective &= ~_FILE_RIGHTS
    _call("capset", sets)
    try:
        yield
    finally:
        _call("capset", before)


def give_up_root_rights() -> None:
    """Make this process and all programs it runs obey file modes, for good: a `preexec_fn` for `subprocess`."""
    if os.geteuid() != 0:
        return
    for capability in (1, 2):  # a program run by root gets everything back that is left in the bounding set
        if _libc().prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_CAPBSET_DROP) failed")
    sets = _capabilities()
    sets[0].effective &= ~_FILE_RIGHTS
    sets[0].permitted &= ~_FILE_RIGHTS
    sets[0].inheritable &= ~_FILE_RIGHTS
    _call("capset", sets)
