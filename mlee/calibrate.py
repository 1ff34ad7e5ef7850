"""Calibrate measured energy against a wall meter: python -m mlee.calibrate --help."""

import sys

from mlee.cli.start import run

if __name__ == "__main__":
    sys.exit(run("mlee.cli.calibrate"))
