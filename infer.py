"""Measure time, accuracy and energy of image classifiers at inference: python infer.py --help."""

import sys

from mlee.cli.common import run
from mlee.cli.infer import main

if __name__ == "__main__":
    sys.exit(run(main))
