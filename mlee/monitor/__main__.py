"""Measure the energy of any command: python -m mlee.monitor -- COMMAND ..."""

import sys

from mlee.cli.start import run

if __name__ == "__main__":
    sys.exit(run("mlee.cli.monitor"))
