"""`python -m mlee.sweep`: run a whole study."""

import sys

from mlee.cli.start import run

if __name__ == "__main__":
    sys.exit(run("mlee.cli.sweep"))
