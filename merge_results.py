"""Merge experiment folders into compact result files: python merge_results.py --help."""

import sys

from mlee.cli.common import run
from mlee.cli.merge import main

if __name__ == "__main__":
    sys.exit(run(main))
