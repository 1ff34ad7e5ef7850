"""Compile the simulators' C parts once, and again only when their source changes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
# -ffp-contract=off: fused multiply-adds would round differently from the Python truth.
_FLAGS = ("-O2", "-Wall", "-Wextra", "-ffp-contract=off", "-D_GNU_SOURCE")
_SHARED = ("-shared", "-fPIC", "-fvisibility=hidden")


class CompilerMissing(RuntimeError):
    """The simulators cannot be built here; tests turn this into a skip with its message as the reason."""


def compile_c(source: str, output: str, *, shared: bool = False) -> Path:
    """Compile a C file of this folder into the cache; return the path of the result, whose file name is `output`."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise CompilerMissing("the hardware simulators need a C compiler (gcc or cc), and none is installed")
    flags = (*_FLAGS, *(_SHARED if shared else ()))
    target = _cache_folder(source, flags) / output
    if not target.exists():
        # Compiled aside and renamed: test processes that run at the same time never see half a file.
        with tempfile.TemporaryDirectory(dir=target.parent) as aside:
            built = Path(aside, output)
            command = [compiler, *flags, str(HERE / source), "-o", str(built), "-lm"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise RuntimeError(f"{source} does not compile:\n{done.stderr}")
            os.replace(built, target)
    return target


def _cache_folder(source: str, flags: tuple[str, ...]) -> Path:
    """One folder for each version of the sources, private to the user since libraries are loaded from it."""
    digest = hashlib.sha256(" ".join((source, *flags)).encode())
    for path in sorted((*HERE.glob("*.h"), HERE / source)):
        digest.update(path.read_bytes())
    root = Path(tempfile.gettempdir(), f"mlee-simulators-{os.getuid()}")
    root.mkdir(mode=0o700, exist_ok=True)
    if root.stat().st_uid != os.getuid():
        raise RuntimeError(f"{root} belongs to somebody else")
    folder = root / digest.hexdigest()[:16]
    folder.mkdir(exist_ok=True)
    return folder
