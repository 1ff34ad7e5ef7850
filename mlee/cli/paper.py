"""The command line of create_paper_results.py."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from mlee.assess.environment import match_environment
from mlee.assess.rating import Rated
from mlee.assess.references import NAME_ANOTHER
from mlee.assess.rules import RULES_2022, RULES_EXACT
from mlee.cli.common import HelpFormatter, loading, stderr, stdout
from mlee.errors import ConfigError
from mlee.files import write_atomically
from mlee.paper import differences, tables
from mlee.paper.archive import PART, URL, fetch
from mlee.paper.choices import ALL, NONE, Rater
from mlee.paper.order import main_environment
from mlee.results.load import Loaded, load
from mlee.units import printable

_DESCRIPTION = """\
Make the tables, figures and labels of "A Unified Framework for Assessing Energy Efficiency of Machine Learning"
(Fischer et al. 2022) from its 232 results, or from any others.

What is written, under the rules of 2022, and under exact rules in the folder exact/ beside it:
  indexing-results.tex            value, index and class of two models in each environment
  exec-envs.tex                   hardware, software and number of experiments of each environment
  scatter_power_acc.pdf           energy per sample and accuracy, with the zones of the classes
  scatter_parameters_runtime.pdf  parameters and time per sample
  scatter_train_power_acc.pdf     energy of the full training and accuracy
  hist_ratings.pdf                how many models of each environment have which rating
  label_*.pdf                     the two example labels
and differences.md: which ratings the exact rules change, and which of their choices does it.
"""
_EXAMPLES = f"""\
examples:
  python create_paper_results.py --fetch                          downloads the published results first
  python create_paper_results.py --directory imageneteff22/results
  python create_paper_results.py --directory results --output my_paper --environments "RTX 5000 - PyTorch 2.9"

--fetch takes them from {URL}
(MIT licence) and checks every file; without a connection, unpack that archive by hand and pass its folder results.
"""
_FETCHED, _OWN, _PAPER = Path("published_results"), Path("results"), Path("paper_results")
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
    main.add_argument(
        *("--directory", "-d"),
        type=Path,
        default=argparse.SUPPRESS,
        help=f"folder with result files (default: {_FETCHED} with --fetch or after it, else {_OWN})",
    )
    main.add_argument("--fetch", action="store_true", help="download the published results of 2022 into --directory first")
    main.add_argument("--output", "-o", type=Path, default=_PAPER, help="where tables and figures are written")
    main.add_argument(
        "--environments",
        nargs="+",
        default=argparse.SUPPRESS,
        metavar="NAME",
        help="environments in the scatters, leniently matched (default: the one with the most models)",
    )
    main.add_argument(
        "--issued", type=date.fromisoformat, default=date(2026, 11, 25), metavar="DATE", help="date on the example labels"
    )
    return main


def main(arguments: Sequence[str]) -> int:
    """Run create_paper_results.py; return the exit code."""
    args = parser().parse_args(arguments)
    fetched = args.fetch or (_FETCHED.is_dir() and any(_FETCHED.iterdir()))
    directory: Path = getattr(args, "directory", _FETCHED if fetched else _OWN)
    if args.fetch:
        _fetch(directory)
    _check(directory)
    if directory == _OWN and args.output == _PAPER:
        raise ConfigError(
            f"{_PAPER} holds what the published results make, and {_OWN} are others.",
            "pass --fetch to download the published results, or --output with another folder",
        )
    published, exact = loading([directory], RULES_2022), load([directory], RULES_EXACT)
    wanted = _environments(getattr(args, "environments", []), published)
    try:
        (args.output / "exact").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--output {args.output} cannot be made: {error.strerror}.", "choose another folder") from error
    rater = Rater(published, exact)
    changes = differences.find_changes(rater)
    for chosen, folder, loaded in ((NONE, args.output, published), (ALL, args.output / "exact", exact)):
        rated = rater.rated(chosen)
        if chosen == ALL:
            _say_references(rated)
        _write_tables(rated, loaded, folder)
        _write_figures(rated, folder, wanted)
        write_labels(rated, loaded, folder, args.issued)
    write_atomically(args.output / "differences.md", differences.to_markdown(changes, rater, published))
    stdout.print(
        f"{len(published.table)} results -> {args.output}; {len(changes)} of {len(rater.letters(NONE))} ratings differ "
        "between the rules 2022 and exact",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    return 1 if published.unreadable else 0


def _fetch(directory: Path) -> None:
    columns = ("fetching", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        task = bar.add_task("fetching", total=None)
        new = fetch(directory, lambda done, total: bar.update(task, completed=done, total=total))
    what = "fetched into" if new else "complete already in"
    stderr.print(f"the published results are {what} {directory}", highlight=False, markup=False, soft_wrap=True)


def _check(directory: Path) -> None:
    if not directory.exists():
        raise ConfigError(
            f"There are no results to make tables from: the folder {directory} does not exist.",
            "pass --fetch to download the published results, or --directory with a folder of results",
        )
    if directory.is_dir() and (directory / PART).exists():
        raise ConfigError(
            f"The download into {directory} was not complete.", f"pass --fetch --directory {directory} to go on with it"
        )


def _environments(wanted: Sequence[str], loaded: Loaded) -> list[str]:
    """Find the environments that the user names."""
    known = list(dict.fromkeys(loaded.table["environment"]))
    found = {name: match_environment(name, known) for name in wanted}
    for name, match in found.items():
        if match is None:
            raise ConfigError(f"Unknown environment '{name}'.", f"pass one of: {'; '.join(known)}")
    return list(dict.fromkeys(match for match in found.values() if match is not None))


def _say_references(rated: Rated) -> None:
    """Say where another reference than ResNet101 had to be taken."""
    places = zip(rated.table["environment"], rated.warnings, strict=True)
    said = {f"{environment}: {each.message}" for environment, all_ in places for each in all_ if each.code == "reference"}
    for message in sorted(said):
        text = escape(printable(message.removesuffix(NAME_ANOTHER)))
        stderr.print(f"[yellow]warning[/] {text}", highlight=False, soft_wrap=True)


def _write_tables(rated: Rated, loaded: Loaded, folder: Path) -> None:
    write_atomically(folder / "exec-envs.tex", tables.exec_envs(rated, loaded))
    write_atomically(folder / "indexing-results.tex", tables.indexing(rated))


def _write_figures(rated: Rated, folder: Path, wanted: Sequence[str]) -> None:
    try:
        from mlee.paper import figures, figures_bars
    except ImportError as error:
        raise ConfigError(f"Figures need the package {error.name}.", 'run `pip install ".[paper]"`') from error
    made: dict[str, bytes | None] = {"hist_ratings.pdf": figures_bars.histogram(rated)}
    for name, (task, x_key, y_key) in _SCATTERS.items():
        shown = wanted or [environment for environment in [main_environment(rated, task)] if environment is not None]
        made[f"{name}.pdf"] = figures.scatter(rated, task, x_key, y_key, shown)
    for name, content in made.items():
        if content is not None:
            write_atomically(folder / name, content)
            continue
        old = "; the file there is an older one" if (folder / name).exists() else ""
        text = f"{folder / name}: no model has a value on both axes{old}"
        stderr.print(f"[yellow]left out[/] {escape(text)}", highlight=False, soft_wrap=True)


def write_labels(rated: Rated, loaded: Loaded, folder: Path, issued: date) -> None:
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
