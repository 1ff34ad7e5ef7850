"""Make the tables, figures and labels of the 2022 paper: python create_paper_results.py --help."""

import sys

from mlee.cli.start import run

if __name__ == "__main__":
    sys.exit(run("mlee.cli.paper"))
