"""`python -m mlee.rate`: rate models A-E."""

import sys

from mlee.cli.start import run

if __name__ == "__main__":
    sys.exit(run("mlee.cli.rate"))
