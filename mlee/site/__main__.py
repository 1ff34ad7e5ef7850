"""`python -m mlee.site`: a static web site of results."""

import sys

from mlee.cli.start import run

if __name__ == "__main__":
    sys.exit(run("mlee.cli.site"))
