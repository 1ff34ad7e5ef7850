"""Make the tables, figures and labels of the 2022 paper: python create_paper_results.py --help."""

import sys

from mlee.cli.common import run
from mlee.cli.paper import main

if __name__ == "__main__":
    sys.exit(run(main))
