"""`python -m mlee.label_generator`: draw energy labels."""

import sys

from mlee.cli.common import run
from mlee.cli.label import main

if __name__ == "__main__":
    sys.exit(run(main))
