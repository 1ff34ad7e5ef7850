"""`python -m mlee.label_generator`: draw energy labels."""

import sys

from mlee.cli.start import run

if __name__ == "__main__":
    sys.exit(run("mlee.cli.label"))
