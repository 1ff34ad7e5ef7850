"""The command line of `python -m mlee.label_generator`."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.progress import track

from mlee.assess.environment import match_environment
from mlee.assess.rating import Rated
from mlee.assess.rules import rules_by_name
from mlee.cli.common import HelpFormatter, loading, positive_int, stderr, stdout
from mlee.cli.rate import add_rating_options, find_model, rate_loaded
from mlee.errors import ConfigError, MleeError
from mlee.files import write_atomically
from mlee.label import render
from mlee.label.describe import describe
from mlee.results.load import Loaded
from mlee.units import printable

if TYPE_CHECKING:
    import pandas as pd

_DESCRIPTION = """\
Draw the energy label of a model: its compound rating, energy, time, accuracy and size with their classes, what was
measured and what was not, and a QR code to its paper with the digest of the result.
"""
_EXAMPLES = """\
examples:
  python -m mlee.label_generator --model EfficientNetLite0                 label.pdf from results/
  python -m mlee.label_generator -m ResNet50 -e "RTX 5000 - PyTorch 1.10" --format svg -o resnet50.svg
  python -m mlee.label_generator --all --output labels                     every model of results/
  python -m mlee.label_generator -m ResNet50 --variant badge --format svg  one line for a README
"""
_TASKS = ("inference", "training")
_RATE_HINT = "python -m mlee.rate rates results of any task"
#: File systems take 255 bytes; a number and the ending follow [B].
_MAX_STEM_BYTES = 200


def parser() -> argparse.ArgumentParser:
    """Build the parser."""
    main = argparse.ArgumentParser(
        prog="python -m mlee.label_generator", description=_DESCRIPTION, epilog=_EXAMPLES, formatter_class=HelpFormatter
    )
    which = main.add_argument_group("which result")
    which.add_argument("--directory", "-d", type=Path, default=Path("results"), help="folder or file with results")
    which.add_argument("--filename", "-f", metavar="NAME", help="one result file in that folder; overrides the next three")
    which.add_argument("--task", "-t", choices=("inference", "training"), help="needed where a model has both")
    which.add_argument("--model", "-m", metavar="NAME", help="model; needed where there are several")
    which.add_argument(
        "--environment", "-e", metavar="NAME", help="environment, leniently matched; needed where there are several"
    )
    which.add_argument("--all", action="store_true", help="a label for every result that fits; --output is a folder then")
    add_rating_options(main.add_argument_group("rating"))
    out = main.add_argument_group("output")
    out.add_argument(
        "--output", "-o", type=Path, metavar="PATH", help="file, or folder with --all; default: label.<format>, labels"
    )
    out.add_argument("--format", choices=("pdf", "svg", "png"), help="default: as the ending of --output says, else pdf")
    out.add_argument("--variant", default="full", choices=("full", "compact", "badge"), help="card, small card, or one line")
    out.add_argument("--dpi", type=positive_int, default=200, metavar="N", help="resolution of PNG")
    out.add_argument("--url", metavar="URL", help="page the QR code leads to instead of the model's paper")
    out.add_argument("--issued", type=day, metavar="YYYY-MM-DD", help="date of issue; default: today")
    return main


def main(arguments: Sequence[str]) -> int:
    """Run `python -m mlee.label_generator`; return the exit code."""
    args = parser().parse_args(arguments)
    loaded = loading([args.directory], rules_by_name(args.rules))
    rated = rate_loaded(loaded, args)
    numbers = _choose(args, rated, loaded)
    for warning in dict.fromkeys(warning for number in numbers for warning in rated.warnings[number]):
        stderr.print(f"[yellow]warning[/] {escape(printable(warning.message))}", highlight=False, soft_wrap=True)
    ending = args.output.suffix.lower().lstrip(".") if args.output and not args.all else ""
    format_ = args.format or (ending if ending in ("pdf", "svg", "png") else "pdf")
    issued = args.issued or datetime.now(UTC).date()
    if not args.all:
        target = args.output or Path(f"label.{format_}")
        write_atomically(target, _label(args, rated, loaded, numbers[0], format_, issued))
        stdout.print(f"{printable(_name(rated, numbers[0]))} -> {target}", highlight=False, soft_wrap=True, markup=False)
        return 0
    return _all(args, rated, loaded, numbers, format_, issued)


def _all(args: argparse.Namespace, rated: Rated, loaded: Loaded, numbers: list[int], format_: str, issued: date) -> int:
    folder = args.output or Path("labels")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--output {folder} cannot be made: {error.strerror}.", "choose another folder") from error
    started_s, failed, used = time.monotonic(), 0, set()
    for number in track(numbers, "drawing labels", console=stderr, transient=True, disable=not stderr.is_terminal):
        stem = re.sub(r"[^\w.+-]+", "_", _name(rated, number).replace(" - ", "-"))
        stem = stem.encode()[:_MAX_STEM_BYTES].decode(errors="ignore").strip("_.") or "label"
        unique = next(
            name for name in (stem, *(f"{stem}_{n}" for n in range(2, 2 + len(numbers)))) if name.lower() not in used
        )
        used.add(unique.lower())
        try:
            content = _label(args, rated, loaded, number, format_, issued)
            write_atomically(folder / f"{unique}.{format_}", content)
        except MleeError as error:
            failed += 1
            stderr.print(f"[yellow]left out[/] {escape(printable(str(error)))}", highlight=False, soft_wrap=True)
    spent_s = time.monotonic() - started_s
    done = len(numbers) - failed
    text = f"{done} label{'s' * (done != 1)} in {folder} ({spent_s:.1f} s)"
    stdout.print(text, highlight=False, markup=False, soft_wrap=True)
    return 1 if failed or loaded.unreadable else 0


def _label(args: argparse.Namespace, rated: Rated, loaded: Loaded, number: int, format_: str, issued: date) -> bytes:
    try:
        content = describe(rated, number, loaded.runs, issued, args.url)
    except ValueError as error:
        raise ConfigError(f"{_name(rated, number)} cannot have a label: {error}.") from error
    try:
        return render(content, format_, args.variant, args.dpi)  # type: ignore[arg-type]
    except ValueError as error:  # a resolution that no picture can have
        raise ConfigError(f"{_name(rated, number)} cannot be drawn: {error}.") from error
    except ImportError as error:
        raise ConfigError(f"Labels need the package {error.name}.", 'run `pip install ".[label]"`') from error


def _choose(args: argparse.Namespace, rated: Rated, loaded: Loaded) -> list[int]:
    """Rows that fit the options; without --all there must be exactly one, otherwise `ConfigError` says how to choose."""
    table = rated.table
    fitting = table["task"].isin(_TASKS).to_numpy()
    if not fitting.any():
        others = ", ".join(dict.fromkeys(repr(task) for task in table["task"]))
        raise ConfigError(f"There is a label for {' and '.join(_TASKS)}, not for the task {others}.", _RATE_HINT)
    if args.filename is not None:
        names = {name for name, run in loaded.runs.items() if Path(run.source).name == Path(args.filename).name}
        if not names:
            raise ConfigError(
                f"--filename {args.filename} is no result in {args.directory}.", "give the name of one of its files"
            )
        fitting = fitting & table["run_ids"].map(lambda runs: bool(names & set(runs))).to_numpy()
    else:
        if args.task is not None:
            fitting = fitting & (table["task"] == args.task).to_numpy()
        if args.model is not None:
            fitting = fitting & (table["model"] == find_model(args.model, table["model"].unique())).to_numpy()
        if args.environment is not None:
            found = match_environment(args.environment, table.loc[fitting, "environment"])
            if found is None:
                known = "; ".join(dict.fromkeys(table.loc[fitting, "environment"]))
                raise ConfigError(f"Unknown environment '{args.environment}'.", f"pass one of: {known}")
            fitting = fitting & (table["environment"] == found).to_numpy()
    numbers = [int(number) for number in fitting.nonzero()[0]]
    if not numbers and args.model is not None and (others := _other_tasks(args, table)):
        raise ConfigError(
            f"There is a label for {' and '.join(_TASKS)}, and {args.model} has only results of the task {others}.",
            _RATE_HINT,
        )
    if not numbers:
        raise ConfigError(
            "No result fits task, model and environment together.", "leave one of them out to see what there is"
        )
    if not args.all and len(numbers) > 1:
        for option in ("task", "model", "environment"):
            several = list(dict.fromkeys(table[option].iloc[numbers]))
            if len(several) > 1:
                raise ConfigError(
                    f"{len(numbers)} results fit.",
                    f"pass --{option} with one of: {'; '.join(several)}; or --all for all labels",
                )
        raise ConfigError(f"{len(numbers)} results fit, on different data sets.", "pass --filename, or --all")
    return numbers


def _other_tasks(args: argparse.Namespace, table: pd.DataFrame) -> str:
    """Name the tasks that a model has results of and that have no label; empty where it has one with a label too."""
    tasks = table.loc[table["model"] == find_model(args.model, table["model"].unique()), "task"].unique()
    return "" if set(tasks) & set(_TASKS) else ", ".join(map(repr, tasks))


def _name(rated: Rated, number: int) -> str:
    row = rated.table.iloc[number]
    return f"{row['model']} {row['task']} {row['environment']}"


def day(text: str) -> date:
    """Read an argument: a date."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a date such as 2026-11-23, got '{text}'") from None
