"""Train image classifiers and measure what every epoch takes: python train.py --help."""

import sys

from mlee.cli.start import run

if __name__ == "__main__":
    sys.exit(run("mlee.cli.train"))
