"""The command line of python -m mlee.report."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.progress import Progress

from mlee.assess.rules import rules_by_name
from mlee.cli.common import HelpFormatter, loading, stderr, stdout
from mlee.cli.rate import add_rating_options, rate_loaded
from mlee.errors import ConfigError
from mlee.files import write_atomically

_DESCRIPTION = """\
Write a report of results as PDF: environments, tables, plots, energy labels, warnings, and the methods with all settings.
"""
_EXAMPLES = """\
examples:
  python -m mlee.report                                            results/ -> report.pdf
  python -m mlee.report results -o appendix.pdf --title "Energy of our models" --author "A. Person"
  python -m mlee.report studies/first --reference ResNet50 --no-labels --paper letter
"""


def parser() -> argparse.ArgumentParser:
    """Build the parser."""
    main = argparse.ArgumentParser(
        prog="python -m mlee.report", description=_DESCRIPTION, epilog=_EXAMPLES, formatter_class=HelpFormatter
    )
    main.add_argument(
        "paths", type=Path, nargs="*", default=[Path("results")], metavar="PATH", help="result files, folders, tables"
    )
    add_rating_options(main.add_argument_group("rating"))
    out = main.add_argument_group("report")
    out.add_argument("--output", "-o", type=Path, default=Path("report.pdf"), metavar="FILE", help="where it is written")
    out.add_argument("--title", default="Energy efficiency of machine-learning models", help="title of the report")
    out.add_argument("--author", help="who made it")
    out.add_argument("--paper", default="a4", choices=("a4", "letter"), help="size of the pages")
    out.add_argument("--no-labels", action="store_true", help="leave the energy labels out")
    out.add_argument("--force", action="store_true", help="write over an existing file")
    return main


def main(arguments: Sequence[str]) -> int:
    """Run python -m mlee.report; return the exit code."""
    args = parser().parse_args(arguments)
    if args.output.exists() and not args.force:
        raise ConfigError(f"--output {args.output} exists.", "pass --force to write over it, or another name")
    loaded = loading(args.paths, rules_by_name(args.rules))
    rated = rate_loaded(loaded, args)
    try:
        from mlee.report.content import assemble
        from mlee.report.pages import to_pdf
    except ImportError as error:
        raise ConfigError(f"Reports need the package {error.name}.", 'run `pip install -e ".[label]"`') from error
    report = assemble(rated, loaded.runs, title=args.title, author=args.author)
    with Progress(console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        task = bar.add_task("writing the report", total=len(report.groups))
        content = to_pdf(
            report,
            rated,
            loaded.runs,
            paper=args.paper,
            labels=not args.no_labels,
            progress=lambda: bar.advance(task),
        )
    write_atomically(args.output, content)
    models = sum(len(group.rows) for group in report.groups)
    stdout.print(f"{models} models in {args.output}", highlight=False, soft_wrap=True, markup=False)
    for entry in loaded.unreadable:
        stderr.print(f"[yellow]not in the report[/] {escape(str(entry.path))}", highlight=False, soft_wrap=True)
    return 1 if loaded.unreadable else 0
