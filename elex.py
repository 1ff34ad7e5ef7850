"""Explore results in the browser: python elex.py --help."""

import sys

from mlee.cli.start import run

if __name__ == "__main__":
    sys.exit(run("mlee.cli.elex"))
