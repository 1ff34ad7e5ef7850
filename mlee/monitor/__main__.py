"""Measure the energy of any command: python -m mlee.monitor -- COMMAND ..."""

import sys

from mlee.cli.common import run
from mlee.cli.monitor import main

if __name__ == "__main__":
    sys.exit(run(main))
