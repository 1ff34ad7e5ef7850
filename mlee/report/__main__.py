"""`python -m mlee.report`: write a study as PDF."""

import sys

from mlee.cli.start import run

if __name__ == "__main__":
    sys.exit(run("mlee.cli.report"))
