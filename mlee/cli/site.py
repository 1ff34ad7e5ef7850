"""The command line of `python -m mlee.site`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.progress import Progress

from mlee.assess.rules import rules_by_name
from mlee.cli.common import HelpFormatter, loading, stderr, stdout
from mlee.cli.label import day
from mlee.cli.rate import add_rating_options, rate_loaded
from mlee.errors import ConfigError

_DESCRIPTION = """\
Write a web site of results: a plot and a table of all models, and a page for each with its energy label, every value, and
how it was measured. It is plain files: open index.html, or put the folder on GitHub Pages or beside a paper.
"""
_EXAMPLES = """\
examples:
  python -m mlee.site                                     site/ from results/
  python -m mlee.site results other/runs.csv -o docs --title "Our models"
  python -m mlee.site published_results --rules 2022 -o paper_site
"""
_DEFAULT_TITLE = "Energy of machine-learning models"
_MAX_TITLE = 200
_MAX_URL = 160


def parser() -> argparse.ArgumentParser:
    """Build the parser."""
    main = argparse.ArgumentParser(
        prog="python -m mlee.site", description=_DESCRIPTION, epilog=_EXAMPLES, formatter_class=HelpFormatter
    )
    main.add_argument(
        "paths", type=Path, nargs="*", default=Path("results"), metavar="PATH", help="result files, folders, tables"
    )
    add_rating_options(main.add_argument_group("rating"))
    out = main.add_argument_group("output")
    out.add_argument("--output", "-o", type=Path, default=Path("site"), metavar="FOLDER", help="folder of the site")
    out.add_argument("--title", type=_title, default=_DEFAULT_TITLE, help="heading of the site")
    out.add_argument("--url", type=_url, metavar="URL", help="where it will be reached: QR codes lead there, not to papers")
    out.add_argument("--issued", type=day, metavar="YYYY-MM-DD", help="date of issue; default: today")
    out.add_argument("--force", action="store_true", help="write into a folder that holds something else, too")
    return main


def main(arguments: Sequence[str]) -> int:
    """Run `python -m mlee.site`; return the exit code."""
    args = parser().parse_args(arguments)
    try:
        from mlee.site.build import Site, write_site
    except ImportError as error:
        raise ConfigError(
            f"A site needs a package that is not installed: {error.name}.", "pip install -e .[label]"
        ) from error
    started_s = time.monotonic()
    paths = args.paths if isinstance(args.paths, list) else [args.paths]
    loaded = loading(paths, rules_by_name(args.rules))
    rated = rate_loaded(loaded, args)
    issued = args.issued or datetime.now(UTC).date()
    site = Site(rated=rated, runs=loaded.runs, title=args.title, issued=issued, url=args.url)
    with Progress(console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        task = bar.add_task("writing pages", total=None)
        written = write_site(
            site, args.output, force=args.force, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    size = sum(path.stat().st_size for path in written)
    spent_s = time.monotonic() - started_s
    counted = f"{len(rated.table)} results, {len(written)} files, {size / 1e6:.2f} MB ({spent_s:.1f} s)"
    stdout.print(f"{args.output / 'index.html'}: {counted}", highlight=False, markup=False, soft_wrap=True)
    return 1 if loaded.unreadable else 0


def _title(text: str) -> str:
    if not text.strip() or len(text) > _MAX_TITLE:
        raise argparse.ArgumentTypeError(f"must have 1 to {_MAX_TITLE} characters, got {len(text)}")
    return text


def _url(text: str) -> str:
    if not text.startswith(("https://", "http://")) or len(text) > _MAX_URL or not text.isascii() or " " in text:
        raise argparse.ArgumentTypeError(f"must be an address such as https://me.github.io/models, got {text!r:.60}")
    return text
