"""Merge experiment folders into compact result files: python merge_results.py --help."""

import sys

from mlee.cli.start import run

if __name__ == "__main__":
    sys.exit(run("mlee.cli.merge"))
