"""Measure time, accuracy and energy of image classifiers at inference: python infer.py --help."""

import sys

from mlee.cli.start import run

if __name__ == "__main__":
    sys.exit(run("mlee.cli.infer"))
