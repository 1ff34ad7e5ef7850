"""The command line of create_paper_results.py."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress

from mlee.assess.rating import Rated
from mlee.assess.rules import RatingRules
from mlee.cli.common import HelpFormatter, loading, stderr, stdout
from mlee.errors import ConfigError
from mlee.files import write_atomically
from mlee.paper import differences, tables
from mlee.paper.archive import URL, fetch
from mlee.paper.order import main_environment
from mlee.results.load import Loaded, load

_DESCRIPTION = """\
Make the tables, figures and labels of "A Unified Framework for Assessing Energy Efficiency of Machine Learning"
(Fischer et al. 2022) from its results, or from any others: under the rules of 2022, and under exact rules in the folder
exact/ beside them, with differences.md, which says what changes and why.
"""
_EXAMPLES = f"""\
examples:
  python create_paper_results.py --fetch                          downloads the published results first
  python create_paper_results.py --directory imageneteff22/results
  python create_paper_results.py --directory results --output my_paper

--fetch takes them from {URL}
"""
#: Figure -> task and the metrics of its axes.
_SCATTERS = {
    "scatter_power_acc": ("inference", "energy_per_sample", "top1_accuracy"),
    "scatter_parameters_runtime": ("inference", "parameters", "time_per_sample"),
    "scatter_train_power_acc": ("training", "energy_full_training", "top1_accuracy"),
}
#: The two example labels of the paper.
_LABELS = (("inference", "MobileNetV2"), ("training", "EfficientNetB2"))


def parser() -> argparse.ArgumentParser:
    """Build the parser."""
    main = argparse.ArgumentParser(
        prog="create_paper_results.py", description=_DESCRIPTION, epilog=_EXAMPLES, formatter_class=HelpFormatter
    )
    main.add_argument("--directory", "-d", type=Path, default=Path("published_results"), help="folder with result files")
    main.add_argument("--fetch", action="store_true", help="download the published results of 2022 into --directory first")
    main.add_argument(
        "--output", "-o", type=Path, default=Path("paper_results"), help="where tables and figures are written"
    )
    main.add_argument(
        "--issued", type=date.fromisoformat, default=date(2026, 11, 25), metavar="DATE", help="date on the example labels"
    )
    return main


def main(arguments: Sequence[str]) -> int:
    """Run create_paper_results.py; return the exit code."""
    args = parser().parse_args(arguments)
    if args.fetch:
        with Progress("fetching", BarColumn(), DownloadColumn(), console=stderr, transient=True) as bar:
            task = bar.add_task("fetching", total=None)
            fetch(args.directory, lambda done, total: bar.update(task, completed=done, total=total))
    if not args.directory.exists():
        raise ConfigError(
            f"--directory {args.directory} does not exist.",
            "pass --fetch to download the published results, or another folder",
        )
    reported: dict[str, Loaded] = {}

    def load_under(rules: RatingRules) -> Loaded:
        if not reported:  # what cannot be read is said once
            return reported.setdefault(rules.name, loading([args.directory], rules))
        return load([args.directory], rules)

    changes, rated = differences.find_changes(load_under)
    loaded = reported["2022"]
    try:
        (args.output / "exact").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--output {args.output} cannot be made: {error.strerror}.", "choose another folder") from error
    for name, folder in (("2022", args.output), ("exact", args.output / "exact")):
        _write(rated[name], loaded, folder, args.issued)
    write_atomically(args.output / "differences.md", differences.to_markdown(changes, rated, loaded))
    stdout.print(
        f"{len(loaded.runs)} results -> {args.output}; {len(changes)} ratings differ between the rules 2022 and exact",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    return 1 if loaded.unreadable else 0


def _write(rated: Rated, loaded: Loaded, folder: Path, issued: date) -> None:
    try:
        from mlee.paper import figures
    except ImportError as error:
        raise ConfigError(f"Figures need the package {error.name}.", 'run `pip install ".[paper]"`') from error
    write_atomically(folder / "exec-envs.tex", tables.exec_envs(rated, loaded))
    write_atomically(folder / "indexing-results.tex", tables.indexing(rated))
    for name, (task, x_key, y_key) in _SCATTERS.items():
        figures.scatter(rated, task, x_key, y_key, folder / f"{name}.pdf")
    figures.histogram(rated, folder / "hist_ratings.pdf")
    _write_labels(rated, loaded, folder, issued)


def _write_labels(rated: Rated, loaded: Loaded, folder: Path, issued: date) -> None:
    """Draw the example labels of the paper where the results have their models."""
    from mlee.label import render
    from mlee.label.describe import describe

    table = rated.table
    for task, model in _LABELS:
        environment = main_environment(rated, task)
        fits = (table["task"] == task) & (table["environment"] == environment) & (table["model"] == model)
        for number in fits.to_numpy().nonzero()[0][:1]:
            content = describe(rated, int(number), loaded.runs, issued)
            write_atomically(folder / f"label_{task}_{model}.pdf", render(content, "pdf"))
