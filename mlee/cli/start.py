"""The first steps of every script: Ctrl-C is no error either while the command line is still being imported."""

from __future__ import annotations

import sys
from importlib import import_module


def run(module: str) -> int:
    """Import the command line in `module` and run it; return the exit code."""
    try:
        main = import_module(module).main
        code: int = import_module("mlee.cli.common").run(main)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    return code
