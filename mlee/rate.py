"""`python -m mlee.rate`: rate models A-E."""

import sys

from mlee.cli.common import run
from mlee.cli.rate import main

if __name__ == "__main__":
    sys.exit(run(main))
