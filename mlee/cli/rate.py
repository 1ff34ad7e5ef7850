"""The command line of `python -m mlee.rate`."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from mlee.assess.compound import DEFAULT_MODE, MISSING, MODES, check_mode
from mlee.assess.export import FORMATS, readable
from mlee.assess.metric import Metric
from mlee.assess.metrics import WEIGHTS_FORMAT, canonical_key, with_weights
from mlee.assess.rating import FROM_DATA, Rated, RatingOptions, rate
from mlee.assess.rules import RULES, rules_by_name
from mlee.assess.thresholds import load as load_thresholds
from mlee.assess.thresholds import to_json as thresholds_json
from mlee.catalogue import match_name
from mlee.cli.common import HelpFormatter, loading, stderr, stdout
from mlee.cli.tables import WIDEST_MODEL
from mlee.errors import ConfigError, ResultError
from mlee.files import write_atomically
from mlee.results.load import Loaded
from mlee.units import printable

_DESCRIPTION = """\
Rate models A-E: from result files, experiment folders and tables of other tools.

Each value is compared with that of a reference model in the same environment (index; 1 is as good, more is better);
thresholds turn the index into a class, and a weighted median of the classes is the compound rating.
"""
_EXAMPLES = """\
examples:
  python -m mlee.rate results                                      a table for each environment
  python -m mlee.rate results --reference EfficientNetB0 --format json -o ratings.json
  python -m mlee.rate results --rules 2022                         as in the published paper
  python -m mlee.rate other/runs.csv --reference best --thresholds quantiles

--weights takes a JSON file {metric: weight}, --thresholds one {metric: [A/B, B/C, C/D, D/E]}, or 'quantiles', which
splits the rated data itself into five equal parts: such classes change whenever a model is added.
"""
#: Columns that a narrow terminal shows in any case: model, rating, and the first metric.
_LEAST = 3
#: Largest weight, and size of a file of weights [B].
_MAX_WEIGHT = 1e9
_MAX_WEIGHTS_BYTES = 2**20
#: Models that a hint names.
_NAMED = 12
#: Class -> style on the terminal; the letter says the same.
_STYLES = {"A": "bold green", "B": "green", "C": "yellow", "D": "dark_orange", "E": "bold red"}


def add_rating_options(group: argparse._ArgumentGroup) -> None:
    """Add what every command that rates lets a person choose."""
    group.add_argument(
        "--reference", "-r", metavar="MODEL", help="reference model, or 'best'; default: ResNet101 where it is"
    )
    group.add_argument("--rules", default="exact", choices=tuple(RULES), help="'2022' reproduces the published paper")
    group.add_argument("--mode", default=DEFAULT_MODE, metavar="MODE", help=f"how classes combine: {', '.join(MODES)}")
    group.add_argument(
        "--weights", type=Path, metavar="FILE", help="JSON file {metric: weight}; metrics it does not name keep theirs"
    )
    group.add_argument("--thresholds", metavar="FILE", help="JSON file with thresholds, or 'quantiles' of the rated data")


def parser() -> argparse.ArgumentParser:
    """Build the parser."""
    main = argparse.ArgumentParser(
        prog="python -m mlee.rate", description=_DESCRIPTION, epilog=_EXAMPLES, formatter_class=HelpFormatter
    )
    main.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="result files, folders, tables")
    add_rating_options(main.add_argument_group("rating"))
    out = main.add_argument_group("output")
    out.add_argument("--format", default="table", choices=("table", *FORMATS), help="'table' is for the terminal")
    out.add_argument("--output", "-o", type=Path, metavar="FILE", help="write there instead of printing")
    out.add_argument("--save-thresholds", type=Path, metavar="FILE", help="write the thresholds that were used")
    return main


def main(arguments: Sequence[str]) -> int:
    """Run `python -m mlee.rate`; return the exit code."""
    args = parser().parse_args(arguments)
    loaded = loading(args.paths, rules_by_name(args.rules))
    rated = rate_loaded(loaded, args)
    if args.save_thresholds is not None:
        digest = hashlib.sha256("".join(sorted(run.digest for run in loaded.runs.values())).encode()).hexdigest()
        made_by = " ".join(["python -m mlee.rate", *(_shown(word, args) for word in arguments)])
        name = args.save_thresholds.stem
        thresholds = replace(rated.thresholds, name=name, made_by=made_by, input_digest=digest if loaded.runs else None)
        write_atomically(args.save_thresholds, thresholds_json(thresholds))
    if args.format == "table" and args.output is None:
        stdout.print(_tables(rated, stdout.width))
    else:
        text = FORMATS["markdown" if args.format == "table" else args.format](rated)
        if args.output is None:
            if hasattr(sys.stdout, "reconfigure"):
                sys.stdout.reconfigure(encoding="utf-8")  # data for programs: the terminal's alphabet does not matter
            sys.stdout.write(text)
        else:
            write_atomically(args.output, text)
    _say_warnings(rated)
    return 1 if loaded.unreadable else 0


def rate_loaded(loaded: Loaded, args: argparse.Namespace) -> Rated:
    """Rate what was loaded as the command line asks for; raises `ConfigError`."""
    metrics: Mapping[str, Metric] = loaded.metrics
    if args.weights is not None:
        metrics = with_weights(metrics, _read_weights(args.weights))
    thresholds = args.thresholds
    if thresholds is not None and thresholds != FROM_DATA:
        thresholds = load_thresholds(Path(thresholds))
    reference = args.reference
    if reference is not None and reference != "best":
        reference = find_model(reference, loaded.table["model"].unique())
    options = RatingOptions(
        reference=reference, mode=check_mode(args.mode), rules=rules_by_name(args.rules), thresholds=thresholds
    )
    return rate(loaded.table, list(metrics.values()), options)


def find_model(wanted: str, known: Iterable[str]) -> str:
    """Find a model among the results by its name, leniently; raises `ConfigError` that says which there are."""
    names = list(dict.fromkeys(known))
    try:
        return match_name(wanted, names)
    except ConfigError as error:
        if error.hint and error.hint.startswith("see "):
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            error.hint = f"the results hold {', '.join(names[:_NAMED])}{more}"
        raise


def _read_weights(path: Path) -> dict[str, float]:
    try:
        if path.exists() and not path.is_file():
            raise ResultError(f"--weights {path} is not a file.")
        if path.stat().st_size > _MAX_WEIGHTS_BYTES:
            raise ResultError(f"--weights {path} is too large for a file of weights.")
        pairs = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=tuple)
        json.dumps(pairs, ensure_ascii=False).encode()  # refuses lone surrogates, which no terminal takes
    except (OSError, ValueError, RecursionError) as error:
        raise ResultError(f"--weights {path} cannot be read: {error}") from error
    weights: dict[str, float] = {}
    if isinstance(pairs, tuple) and ("format", WEIGHTS_FORMAT) in pairs:  # as the explorer writes them
        pairs = dict(pairs).get("weights")
    for pair in pairs if isinstance(pairs, tuple) else [pairs]:  # only an object comes as a tuple
        name, weight = pair if isinstance(pair, tuple) else (None, None)
        if name is None or not isinstance(weight, int | float) or isinstance(weight, bool):
            raise ConfigError(
                f"--weights {path} must hold one object {{metric: weight}}.", 'such as {"energy_per_sample": 1}'
            )
        if not 0 <= weight <= _MAX_WEIGHT:  # a sum of larger ones would not be one
            raise ConfigError(f"--weights {path}: {name} must be 0 to {_MAX_WEIGHT:g}, got {weight!r:.40}.")
        if canonical_key(name) in map(canonical_key, weights):
            raise ConfigError(f"--weights {path}: the weight of {name} is given twice.")
        weights[name] = float(weight)
    return weights


def _shown(word: str, args: argparse.Namespace) -> str:
    """Name folders without the way to them: the command is kept in a file that travels."""
    return Path(word).name if Path(word) in (*args.paths, args.save_thresholds) else word


def _tables(rated: Rated, width: int) -> Group:
    head, rows = readable(rated, compact=True)
    environment, model = head.index("environment"), head.index("model")
    blocks: dict[tuple[str, str, str, str | None], list[int]] = {}
    for number, row in enumerate(rated.table[["task", "dataset", "environment", "reference"]].itertuples(index=False)):
        blocks.setdefault((*row[:3], row[3] if isinstance(row[3], str) else None), []).append(number)
    tables = []
    for (task, dataset, name, reference), numbers in blocks.items():
        title = f"{task} on {dataset}, {name}"
        caption = f"reference {reference}" if reference is not None else "not rated"
        table = Table(
            title=Text(printable(title), style="bold"),
            caption=Text(printable(caption)),
            title_justify="left",
            caption_justify="left",
            box=SIMPLE_HEAD,
            pad_edge=False,
        )
        filled = [column for column in range(environment + 1, len(head)) if any(rows[n][column] != "-" for n in numbers)]
        lengths = {column: max(len(_short(head[column])), *(len(rows[n][column]) for n in numbers)) for column in filled}
        if model in filled:
            lengths[model] = min(lengths[model], WIDEST_MODEL)
        # The groups' classes go first where there is no room for all, then the metrics that a reader looks for last.
        while len(filled) > _LEAST and sum(lengths[column] + 3 for column in filled) > width:
            filled.remove(next((column for column in filled if head[column] in rated.groups), filled[-1]))
        for column in filled:
            left = column <= environment + 2
            table.add_column(
                _short(head[column]),
                justify="left" if left else "right",
                no_wrap=column != model,
                overflow="fold",
                max_width=WIDEST_MODEL if column == model else None,
            )
        order = sorted(numbers, key=lambda n: (rated.compound[n] == MISSING, rated.compound[n], rows[n][environment + 1]))
        for number in order:
            table.add_row(*(_coloured(rows[number][column]) for column in filled))
        tables.append(table)
    options = rated.options
    foot = f"Rules {options.rules.name}, mode {options.mode}, thresholds {rated.thresholds.name}."
    texts = [cell for row in rows for cell in row[environment + 1 :]]
    for shown, note in (
        ("-" in texts, "- not measured or not rated."),
        (any(cell.startswith("~") for cell in texts), "~ estimated, not measured."),
        (any("(p)" in cell for cell in texts), "(p) published, not measured here."),
        (any(cell.endswith("]") for cell in texts), "[A-C] what the repeats allow."),
    ):
        foot += f" {note}" if shown else ""
    return Group(*tables, Text(foot, style="dim"))


def _short(label: str) -> str:
    """Shorten a label for a narrow column: "Energy of the full training (extrapolated)" -> "energy/training"."""
    label = label.removesuffix(" (extrapolated)").lower()
    for long, short in ((" of the full ", "/"), (" per ", "/"), (" accuracy", "")):
        label = label.replace(long, short)
    return label


def _coloured(cell: str) -> Text:
    text = Text(cell)
    text.highlight_regex(r"\[.-.\]$", style="dim")
    for letter, style in _STYLES.items():
        text.highlight_regex(rf"(?<!\S){letter}(?!\S)", style=style)
    return text


def _say_warnings(rated: Rated) -> None:
    said: dict[str, list[str]] = {}
    environments = rated.table["environment"]
    for number, warnings in enumerate(rated.warnings):
        for warning in warnings:
            where = said.setdefault(f"{warning.code}: {warning.message}", [])
            if environments.iloc[number] not in where:
                where.append(environments.iloc[number])
    for message, where in said.items():
        stderr.print(
            f"[yellow]warning[/] {escape(printable(message))} [dim]({escape(printable(', '.join(where)))})[/]",
            highlight=False,
            soft_wrap=True,
        )
