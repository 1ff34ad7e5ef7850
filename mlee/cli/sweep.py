"""The command line of python -m mlee.sweep."""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from mlee.backends import BACKEND_NAMES, TRAINING_BACKEND_NAMES
from mlee.cli.common import HelpFormatter, positive_int, seconds, seed, stderr, stdout
from mlee.errors import ConfigError
from mlee.experiment import load_platform
from mlee.platform_info import execution_platform, machine
from mlee.sweep.estimate import Estimate, estimate
from mlee.sweep.plan import ALL, Plan, Run, SweepOptions, make_plan
from mlee.sweep.running import known_models, run_one
from mlee.sweep.slurm import SlurmOptions, run_on_slurm
from mlee.sweep.study import Ended, Study

_DESCRIPTION = """\
Run a whole study: models x backends x batch sizes x precisions x repeats, each run in a process of its own.

The order is drawn, so that drift favours no model. What fails is listed at the end and stops nothing; a study that was
interrupted goes on with --resume and repeats no complete run. Options after -- go to infer.py or train.py as they are.
"""
_EXAMPLES = """\
examples:
  python -m mlee.sweep --models ResNet50 MobileNetV2 --backends pytorch tensorflow --repeats 3 --data-path /data/imagenet
  python -m mlee.sweep --models all --dry-run                      what would run, and how long that takes
  python -m mlee.sweep --resume --output-dir studies/first         go on
  python -m mlee.sweep --models all -- --weights random --accuracy published --idle-seconds 10
  python -m mlee.sweep --task training --models ResNet50 --batch-sizes 128 -- --epochs 3 --opt adamw
  python -m mlee.sweep --models all --executor slurm --partition gpu --gpus 1 --time 120
  python merge_results.py --directory studies/first                the results of a study
"""


def parser() -> argparse.ArgumentParser:
    """Build the parser."""
    main = argparse.ArgumentParser(
        prog="python -m mlee.sweep", description=_DESCRIPTION, epilog=_EXAMPLES, formatter_class=HelpFormatter
    )
    what = main.add_argument_group("what to run")
    what.add_argument("--task", default="inference", choices=("inference", "training"), help="infer.py or train.py")
    what.add_argument("--models", nargs="+", default=[ALL], metavar="NAME", help="models, or 'all' of each backend")
    what.add_argument("--backends", nargs="+", default=["pytorch"], metavar="NAME", help=f"of {', '.join(BACKEND_NAMES)}")
    what.add_argument("--batch-sizes", nargs="+", type=positive_int, default=[32], metavar="N", help="images in a batch")
    what.add_argument(
        "--precisions", nargs="+", default=["fp32"], choices=("fp32", "bf16", "fp16"), help="types of the computation"
    )
    what.add_argument("--repeats", type=positive_int, default=1, metavar="N", help="runs of each combination")
    what.add_argument("--data-path", metavar="PATH", help="data, as infer.py or train.py takes it")
    what.add_argument("--seed", type=seed, default=-1, help="seed of the order and of each run; -1 draws and records one")
    what.add_argument(
        "--recipes", action="store_true", help="train each model with its options of the 2022 study; others are left out"
    )
    what.add_argument("more", nargs="*", metavar="-- OPTIONS", help="options of infer.py or train.py")

    how = main.add_argument_group("how")
    how.add_argument("--output-dir", type=Path, default=Path("studies/study"), help="folder of the study")
    how.add_argument("--dry-run", action="store_true", help="list the runs and the time they take, and stop")
    how.add_argument("--resume", action="store_true", help="go on with the study in --output-dir; complete runs stay")
    how.add_argument("--cool-down", type=seconds, default=0.0, metavar="S", help="pause between two runs; jobs do not wait")

    cluster = main.add_argument_group("cluster")
    cluster.add_argument(
        "--executor", default="local", choices=("local", "slurm"), help="one run after another here, or jobs"
    )
    cluster.add_argument(
        "--shared-nodes", action="store_true", help="let others use the nodes, too: their energy is then measured as well"
    )
    cluster.add_argument("--max-parallel", type=positive_int, default=1, metavar="N", help="most jobs at a time")
    cluster.add_argument("--partition", metavar="NAME", help="partition of the cluster")
    cluster.add_argument("--account", metavar="NAME", help="account that is charged")
    cluster.add_argument("--constraint", metavar="NAME", help="feature the nodes must have")
    cluster.add_argument("--time", type=positive_int, metavar="MIN", help="time limit of a run [minutes]")
    cluster.add_argument("--gpus", type=positive_int, metavar="N", help="GPUs of a run")
    cluster.add_argument("--cpus", type=positive_int, metavar="N", help="CPUs of a run")
    return main


def main(arguments: Sequence[str]) -> int:
    """Run a study; return the exit code."""
    args = parser().parse_args(arguments)
    if args.resume:
        study = Study.open(args.output_dir)
        _check_resume(arguments)
    else:
        study = _new_study(args)
    # Jobs run several at a time and do not wait for each other: nothing is cooled down.
    on_slurm = args.executor == "slurm"
    parallel, cool_down_s = (args.max_parallel, 0.0) if on_slurm else (1, args.cool_down)
    if args.dry_run:
        # A folder may hold an earlier study: none of its runs are those of a plan that was drawn just now.
        _list(study.plan, _ended(study) if args.resume else {}, cool_down_s, parallel)
        return 0
    _say_left_out(study.plan)
    with study.locked() as lock:
        ended = _ended(study)
        left = [run for run in study.plan.runs if run.number not in ended or not ended[run.number].complete]
        if args.resume:
            stdout.print(f"{len(study.plan.runs) - len(left)} of {len(study.plan.runs)} runs are complete", highlight=False)
        if on_slurm:  # whose nodes may differ, and each run says on which it was
            ends = run_on_slurm(study, left, _slurm(args))
        else:
            _say_moved(study, ended)
            ends = _run_here(study, left, cool_down_s, lock.fileno())
        try:
            _follow(study, ends, ended, cool_down_s, parallel)
        except KeyboardInterrupt as stop:
            stop.add_note(f"python -m mlee.sweep --resume --output-dir {study.folder} goes on")
            raise
    return _report(study)


def _new_study(args: argparse.Namespace) -> Study:
    names = BACKEND_NAMES if args.task == "inference" else TRAINING_BACKEND_NAMES
    if args.recipes and args.task != "training":
        raise ConfigError("--recipes is for --task training.", "leave it out")
    unknown = [name for name in args.backends if name not in names]
    if unknown:
        raise ConfigError(f"Unknown backend '{unknown[0]}' for {args.task}.", f"use one of {', '.join(names)}")
    options = SweepOptions(
        task=args.task,
        models=tuple(args.models),
        backends=tuple(args.backends),
        batch_sizes=tuple(args.batch_sizes),
        precisions=tuple(args.precisions),
        repeats=args.repeats,
        data_path=args.data_path,
        seed=args.seed if args.seed != -1 else random.SystemRandom().randrange(2**31),
        recipes=args.recipes,
        more=tuple(args.more),
    )
    with stderr.status("asking the backends for their models"), ThreadPoolExecutor() as pool:
        known = dict(zip(args.backends, pool.map(partial(known_models, args.task), args.backends), strict=True))
    plan = make_plan(options, known)
    return Study(args.output_dir, plan) if args.dry_run else Study.begin(args.output_dir, plan)


def _check_resume(arguments: Sequence[str]) -> None:
    """Refuse options beside --resume that would change the plan."""
    silent = parser()
    group = next(group for group in silent._action_groups if group.title == "what to run")
    for action in group._group_actions:
        action.default = argparse.SUPPRESS
    given = vars(silent.parse_args(arguments))
    changed = [action for action in group._group_actions if given.get(action.dest) not in (None, [])]
    if changed:
        name = (*changed[0].option_strings, "-- OPTIONS")[0]
        raise ConfigError(
            f"{name} cannot stand beside --resume: a study keeps its plan.", "leave it out, or begin another study"
        )


def _slurm(args: argparse.Namespace) -> SlurmOptions:
    return SlurmOptions(
        shared=args.shared_nodes,
        partition=args.partition,
        account=args.account,
        constraint=args.constraint,
        minutes=args.time,
        gpus=args.gpus,
        cpus=args.cpus,
        max_parallel=args.max_parallel,
    )


def _ended(study: Study) -> dict[int, Ended]:
    found = {run.number: study.ended(run) for run in study.plan.runs}
    return {number: ended for number, ended in found.items() if ended is not None}


def _run_here(study: Study, runs: Sequence[Run], cool_down_s: float, lock: int) -> Iterator[tuple[Run, Ended]]:
    """Run one after the other: two at a time would measure each other."""
    for position, run in enumerate(runs):
        if position:
            time.sleep(cool_down_s)
        yield run, run_one(str(study.folder), run, lock)


def _follow(
    study: Study, ends: Iterator[tuple[Run, Ended]], ended: dict[int, Ended], cool_down_s: float, parallel: int
) -> None:
    """Show how the study goes on: a bar under a terminal, and a line for each run that ends."""
    runs = study.plan.runs
    with Progress(
        SpinnerColumn(),
        TextColumn("study"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        console=stdout,
        transient=True,
        disable=not stdout.is_terminal,
    ) as progress:
        task = progress.add_task("study", total=len(runs), completed=_complete(ended), left="")
        _show_left(progress, task, estimate(runs, ended, cool_down_s, parallel=parallel))
        waiting = [run for run in runs if run.number not in ended or not ended[run.number].complete]
        for run, end in ends:
            ended[run.number] = end
            waiting.remove(run)
            what = f"[red]failed[/]: {escape(end.reason or '')}"
            if end.complete:
                what = f"[green]done[/] in {_duration(end.seconds)}"
            line = f"{len(runs) - len(waiting)}/{len(runs)} {escape(run.title)}: {what}"
            progress.console.print(line, highlight=False, soft_wrap=True)
            progress.console.file.flush()  # a file or pipe that somebody follows
            progress.update(task, completed=_complete(ended))
            _show_left(progress, task, estimate(runs, ended, cool_down_s, waiting, parallel))


def _complete(ended: dict[int, Ended]) -> int:
    return sum(end.complete for end in ended.values())


def _show_left(progress: Progress, task: TaskID, found: Estimate) -> None:
    progress.update(task, left="" if found.seconds is None else f"about {_duration(found.seconds)} left{_at_a_time(found)}")


def _at_a_time(found: Estimate) -> str:
    return f" with {found.parallel} jobs at a time" if found.parallel > 1 else ""


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def _say_left_out(plan: Plan) -> None:
    for entry in plan.left_out:
        stdout.print(f"[yellow]left out[/] {escape(entry.what)}: {escape(entry.reason)}", highlight=False, soft_wrap=True)


def _say_moved(study: Study, ended: dict[int, Ended]) -> None:
    """Say when complete runs were made on another machine than this one."""
    here = machine(execution_platform(()))
    folders = [study.folder / end.folder for end in ended.values() if end.folder is not None]
    began = [replace(platform, gpus=()) for platform in map(load_platform, folders) if platform is not None]
    others = {machine(platform) for platform in began} - {here}
    if others:
        stdout.print(
            f"[yellow]note[/] complete runs were made on {escape(', '.join(sorted(others)))}; this is {escape(here)}. "
            "Only runs of one machine can be compared.",
            highlight=False,
            soft_wrap=True,
        )


def _list(plan: Plan, ended: dict[int, Ended], cool_down_s: float, parallel: int) -> None:
    for run in plan.runs:
        end = ended.get(run.number)
        state = "" if end is None else " (complete)" if end.complete else " (failed before)"
        stdout.print(f"{run.number:4d}  {escape(run.title)}{state}", highlight=False, soft_wrap=True)
    _say_left_out(plan)
    found = estimate(plan.runs, ended, cool_down_s, parallel=parallel)
    if found.seconds is None:
        time_left = "how long is not known before the first has run"
    else:
        time_left = (
            f"about {_duration(found.seconds)}{_at_a_time(found)}, {found.known} of them as long as others of their kind"
        )
    stdout.print(f"{found.runs} runs to do: {time_left}", highlight=False, soft_wrap=True)


def _report(study: Study) -> int:
    ended = _ended(study)
    failed = [(run, end) for run in study.plan.runs if (end := ended.get(run.number)) is None or not end.complete]
    for run, end in failed:
        reason = "did not end" if end is None else end.reason or ""
        log = study.record(run).with_suffix(".log")
        stdout.print(
            f"[red]failed[/] {escape(run.title)}: {escape(reason)} ({escape(str(log))})", highlight=False, soft_wrap=True
        )
    count = len(study.plan.runs) - len(failed)
    stdout.print(
        f"{count} of {len(study.plan.runs)} runs are complete; merge them with "
        f"python merge_results.py --directory {escape(str(study.folder))}",
        highlight=False,
        soft_wrap=True,
    )
    return 1 if failed else 0
