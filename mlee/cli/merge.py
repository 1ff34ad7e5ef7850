"""The command line of merge_results.py."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.progress import Progress

from mlee.assess.environment import environment_keys
from mlee.assess.run import RunSummary, summarise
from mlee.assess.variants import model_names
from mlee.calibration import apply_calibration, load_calibration
from mlee.cli.common import HelpFormatter, stderr, stdout
from mlee.cli.tables import Row, summary_row, summary_table
from mlee.errors import ConfigError
from mlee.results.merge import Merged, MergeOptions, clean, find_folders, merge, remove
from mlee.wall_meter import WallMeterLog

_DESCRIPTION = """\
Merge experiment folders into compact result files, one JSON a run, and show what they hold.

Folders are only read. A folder that is incomplete or damaged is listed with the reason, and the exit code is 1.
"""
_EXAMPLES = """\
examples:
  python merge_results.py                                          experiments/ -> results/
  python merge_results.py --directory /data/runs --output-log-dir logs
  python merge_results.py --external-log meter.csv                 puts a wall meter's energy beside the measured one
"""


def parser() -> argparse.ArgumentParser:
    """Build the parser."""
    main = argparse.ArgumentParser(
        prog="merge_results.py", description=_DESCRIPTION, epilog=_EXAMPLES, formatter_class=HelpFormatter
    )
    main.add_argument("--directory", type=Path, default=Path("experiments"), help="folder with experiment folders")
    main.add_argument(
        "--train-dirs", type=Path, nargs="*", default=[], metavar="DIR", help="more folders, with training experiments"
    )
    main.add_argument("--output-agglog-dir", type=Path, default=Path("results"), help="where result files are written")
    main.add_argument("--output-log-dir", type=Path, help="where each folder is kept as .tar.gz, if wanted")
    main.add_argument(
        "--external-log",
        type=Path,
        metavar="CSV",
        help="log of a wall meter: time (UTC) or unix_s, power_w; give it at each merge",
    )
    main.add_argument("--calibration", type=Path, metavar="FILE", help="calibration made by python -m mlee.calibrate")
    main.add_argument(
        "--verify", action="store_true", help="compute durations and energies again from the traces, and compare"
    )
    main.add_argument("--force", action="store_true", help="write existing files again")
    main.add_argument("--clean", action="store_true", help="first remove the files an earlier merge wrote there")
    main.add_argument("--yes", action="store_true", help="do not ask before --clean removes files")
    return main


def main(arguments: Sequence[str]) -> int:
    """Run merge_results.py; return the exit code."""
    args = parser().parse_args(arguments)
    meter = WallMeterLog(args.external_log) if args.external_log else None
    calibration = load_calibration(args.calibration) if args.calibration else None
    folders = find_folders(args.directory, "--directory")
    folders += [folder for directory in args.train_dirs for folder in find_folders(directory, "--train-dirs")]
    if not folders:
        places = " and ".join([f"--directory {args.directory}", *(f"--train-dirs {path}" for path in args.train_dirs)])
        raise ConfigError(
            f"There are no experiment folders (infer_*, train_*) in {places}.",
            "run `python infer.py` first, or give the folder it wrote to",
        )
    if args.clean and not _clean([args.output_agglog_dir, args.output_log_dir], args.yes):
        return 1
    options = MergeOptions(
        results_dir=args.output_agglog_dir,
        archive_dir=args.output_log_dir,
        force=args.force,
        verify=args.verify,
        wall_meter=meter,
        transform=None if calibration is None else lambda result: apply_calibration(result, calibration),
    )
    rows: dict[str, list[Row]] = {"inference": [], "training": []}
    runs: list[RunSummary] = []
    failed: list[Merged] = []
    with Progress(console=stderr, disable=not stderr.is_terminal, transient=True) as progress:
        task = progress.add_task("merging", total=len(folders))
        for merged in merge(folders, options, lambda done: progress.update(task, completed=done)):
            if merged.result is None:
                failed.append(merged)
            else:
                rows[merged.result.task].append(summary_row(merged.result))
                runs.append(summarise(merged.result, str(merged.folder), ""))
    names = model_names(runs, environment_keys(runs))  # runs of one model with other settings have names of their own
    for title, found in (("Inference", rows["inference"]), ("Training", rows["training"])):
        if found:
            stdout.print(summary_table(title, [row.named(names[row.run_id]) for row in found], stdout.width))
    count = len(folders) - len(failed)
    stdout.print(f"{count} of {len(folders)} runs merged into {escape(str(args.output_agglog_dir))}", highlight=False)
    for merged in failed:
        reason = escape(merged.reason or "")
        stdout.print(f"[red]left out[/] {escape(str(merged.folder))}: {reason}", highlight=False, soft_wrap=True)
    return 1 if failed else 0


def _clean(folders: Sequence[Path | None], yes: bool) -> bool:
    """Remove what an earlier merge wrote; False when the user says no."""
    found = clean([folder for folder in folders if folder is not None])
    count = sum(len(paths) for paths in found.values())
    if not count:
        return True
    names = ", ".join(str(folder) for folder, paths in found.items() if paths)
    if not yes:
        if not (stdout.is_terminal and sys.stdin.isatty()):
            raise ConfigError(f"--clean would remove {count} files from {names}.", "pass --yes to agree")
        if stdout.input(f"Remove {count} files that an earlier merge wrote to {escape(names)}? \\[y/N] ").lower() != "y":
            return False
    remove(found)
    stdout.print(f"removed {count} files from {escape(names)}", highlight=False)
    return True
