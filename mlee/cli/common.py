"""What all command lines share: how errors look, how tables look, and types of arguments."""

from __future__ import annotations

import argparse
import logging
import math
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from mlee.cli.streams import lasting_streams
from mlee.errors import ConfigError, MleeError
from mlee.units import printable

if TYPE_CHECKING:
    from mlee.assess.rules import RatingRules
    from mlee.results.load import Loaded

INTERRUPTED = 130
_HOUR_S, _WEEK_S = 3600, 7 * 24 * 3600
WORKERS_HELP = (
    "processes, with TensorFlow threads, that load images; by default half of the CPUs, at most 8, "
    "and none on one or two CPUs or for random images"
)
stdout = Console()
stderr = Console(stderr=True)


class HelpFormatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Keeps the layout of descriptions and shows defaults, where there is something to show."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default = action.default
        if default is None or default is False or default == [] or "default:" in (action.help or ""):
            return action.help
        if isinstance(default, list):
            listed = " ".join(map(str, default)).replace("%", "%%")
            return f"{action.help} (default: {listed})"
        return super()._get_help_string(action)


def run(main: Callable[[Sequence[str]], int]) -> int:
    """Run a command: expected errors become `error:` and `hint:`, Ctrl-C a word, and a bug keeps its traceback.

    Output that nobody reads any more (head, less) is dropped without a word; output that has no place is an error.
    """
    logging.getLogger("mlee").addHandler(logging.NullHandler())  # the run's log.txt gets messages, the terminal does not
    signal.signal(signal.SIGTERM, _terminate)
    with lasting_streams() as lost:
        code = _run(main)
        if sys.stdout is not None:
            sys.stdout.flush()
        lost = [error for error in lost if not isinstance(error, BrokenPipeError)]
        if lost:
            stderr.print(f"[bold red]error:[/] The output cannot be written: {lost[0].strerror}.", highlight=False)
            code = code or MleeError.exit_code
    return code


def _run(main: Callable[[Sequence[str]], int]) -> int:
    try:
        return main(_readable(sys.argv[1:]))
    except MleeError as error:
        report(error)
        return error.exit_code
    except KeyboardInterrupt as stop:
        notes = "".join(f": {note}" for note in getattr(stop, "__notes__", ()))
        stderr.print(f"[yellow]interrupted[/]{escape(notes)}", highlight=False, soft_wrap=True)
        return INTERRUPTED


def _readable(arguments: Sequence[str]) -> Sequence[str]:
    """Refuse arguments that are not text: they end up in files that are."""
    for argument in arguments:
        if not argument.isprintable() and any(0xD800 <= ord(letter) <= 0xDFFF for letter in argument):
            raise ConfigError(f"The argument {argument!r} is not UTF-8.", "rename that file or folder")
    return arguments


def _terminate(number: int, frame: object) -> None:
    """End on SIGTERM as on Ctrl-C: threads stop and files close."""
    raise KeyboardInterrupt


def report(error: MleeError) -> None:
    """Print an expected error and its mend."""
    stderr.print(f"[bold red]error:[/] {escape(printable(error.message))}", highlight=False, soft_wrap=True)
    if error.hint:
        stderr.print(f"[bold cyan]hint:[/] {escape(printable(error.hint))}", highlight=False, soft_wrap=True)


def loading(paths: Sequence[Path], rules: RatingRules) -> Loaded:
    """Load results with a progress bar on long work, and name on stderr what was left out."""
    from mlee.results.load import load  # pandas: not for commands that only measure

    with Progress(console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        task = bar.add_task("reading results", total=None)
        loaded = load(paths, rules, lambda done, total: bar.update(task, completed=done, total=total))
    for entry in loaded.unreadable:
        stderr.print(
            f"[yellow]left out[/] {escape(str(entry.path))}: {escape(entry.reason)}", highlight=False, soft_wrap=True
        )
    for warning in loaded.warnings:
        stderr.print(f"[yellow]warning[/] {escape(printable(warning))}", highlight=False, soft_wrap=True)
    return loaded


def positive_int(text: str) -> int:
    """Read an argument: a whole number of 1 or more."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of 1 or more, got '{text}'")
    return value


def natural_int(text: str) -> int:
    """Read an argument: a whole number of 0 or more."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be a whole number of 0 or more, got '{text}'")
    return value


def number(least: float, most: float) -> Callable[[str], float]:
    """Return a reader of arguments: a number from `least` to `most`."""

    def read(text: str) -> float:
        value = _float(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must be a number from {least:g} to {most:g}, got '{text}'")
        return value

    return read


def seed(text: str) -> int:
    """Read an argument: -1, or a whole number that every random generator takes."""
    try:
        value = int(text)
    except ValueError:
        value = -2
    if not -1 <= value < 2**63:
        raise argparse.ArgumentTypeError(f"must be -1 or a whole number from 0 to 2**63 - 1, got '{text}'")
    return value


def seconds(text: str) -> float:
    """Read an argument: a time from 0 s to a week."""
    value = _float(text)
    if not 0 <= value <= _WEEK_S:
        raise argparse.ArgumentTypeError(f"must be 0 to {_WEEK_S} seconds (a week), got '{text}'")
    return value


def interval(text: str) -> float:
    """Read an argument: a sampling interval from a microsecond to an hour."""
    value = _float(text)
    if not 1e-6 <= value <= _HOUR_S:
        raise argparse.ArgumentTypeError(
            f"must be more than 0 seconds (0.000001) and at most {_HOUR_S} (an hour), got '{text}' "
            "(to leave a sensor out, name the others with --sensors)"
        )
    return value


def _float(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def sensor_names(texts: Sequence[str]) -> tuple[str, ...]:
    """Split sensors as the user lists them, with spaces or commas between."""
    return tuple(name for text in texts for name in text.split(",") if name)
