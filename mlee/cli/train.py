"""The command line of train.py."""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path

from rich.markup import escape

from mlee import __version__
from mlee.backends import TRAINING_BACKEND_NAMES, training_backend
from mlee.backends.training_base import AUTO_AUGMENT, INTERPOLATIONS, OPTIMIZERS, TrainingRequest
from mlee.cli.common import (
    WORKERS_HELP,
    HelpFormatter,
    interval,
    natural_int,
    number,
    positive_int,
    seconds,
    seed,
    sensor_names,
    stdout,
)
from mlee.cli.screen import Screen
from mlee.cli.tables import summary_row, summary_table
from mlee.errors import ConfigError
from mlee.measuring import MeasuringOptions
from mlee.records import RunResult
from mlee.sensors import CHOICES
from mlee.sensors.cpu_model import parse_cpu_watts
from mlee.training.schedule import SCHEDULERS
from mlee.training_runner import resume_training, resumed_options, run_training

_DESCRIPTION = """\
Train an image classifier and measure time and energy of every epoch, validation included.

The result is an experiment folder with the history, the weights of the best and of the last epoch, and what the sensors
read. A training that was interrupted goes on from its last whole epoch with --resume.
"""
_EXAMPLES = """\
examples:
  python train.py                                                  a small network, real digits, no download
  python train.py --model ResNet18 --epochs 4 --batch-size 64 --opt adamw --lr 0.001 --lr-scheduler cosineannealinglr
  python train.py --model ResNet50 --data-path /data/imagenet --epochs 90 --batch-size 128
  torchrun --standalone --nproc_per_node=8 train.py --model ResNet50 --data-path /data/imagenet
  python train.py --resume experiments/train_2026_11_23_15_04_05   go on after an interruption
  python infer.py --infer-model experiments/train_2026_11_23_15_04_05
"""
#: Options of measuring that may stand beside --resume; all else is in the folder.
_WITH_RESUME = ("sensors", "cpu_watts", "warmup_batches")


def _one_of(names: Sequence[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in names:
            raise argparse.ArgumentTypeError(f"must be one of {', '.join(names)}, got '{text}'")
        return text.lower()

    return read


def _policy(text: str) -> str | None:
    return None if text.lower() == "none" else _one_of(AUTO_AUGMENT)(text)


def parser() -> argparse.ArgumentParser:
    """Build the parser; nothing heavy is imported for --help."""
    main = argparse.ArgumentParser(
        prog="train.py", description=_DESCRIPTION, epilog=_EXAMPLES, formatter_class=HelpFormatter
    )
    main.add_argument("--version", action="version", version=f"mlee {__version__}")
    main.add_argument("--list-models", action="store_true", help="list the models of --backend, and stop")
    main.add_argument(
        "--resume",
        type=Path,
        metavar="FOLDER",
        help="go on with an interrupted training, with its options; only --sensors, --cpu-watts, "
        "--warmup-batches and --quiet may stand beside",
    )

    what = main.add_argument_group("model and data")
    what.add_argument("--backend", default="pytorch", choices=TRAINING_BACKEND_NAMES, help="software that trains the model")
    what.add_argument("--model", default="ResNet18", metavar="NAME", help="network to train from random weights")
    what.add_argument(
        "--data-path",
        default="digits",
        metavar="PATH",
        help="'digits' (1,797 real scans, installed), a folder with train/ and val/, each with one folder a class, or "
        "'synthetic[:N]' (random images); TensorFlow reads TFRecord files of ImageNet, too",
    )
    what.add_argument("--n-batches", type=int, default=-1, metavar="N", help="batches of an epoch; -1 takes all")
    what.add_argument("--batch-size", type=positive_int, default=32, metavar="N", help="images in a batch, per GPU")
    what.add_argument("--image-size", type=positive_int, metavar="PX", help="input size, if not that of model or data")

    how = main.add_argument_group("training")
    how.add_argument("--epochs", type=positive_int, default=10, metavar="N", help="most epochs to train")
    how.add_argument(
        *("--early-patience",),
        type=natural_int,
        default=50,
        metavar="N",
        help="stop after N epochs without a better validation top-1 accuracy; 0 never stops",
    )
    how.add_argument(
        "--early-delta", type=number(0, 1), default=0.01, metavar="X", help="how much better (0.01 is a percent point)"
    )
    how.add_argument("--opt", type=_one_of(OPTIMIZERS), default="sgd", help=f"one of {', '.join(OPTIMIZERS)}")
    how.add_argument(
        *("--opt-decy", "--opt-decay"),
        type=number(0, 1),
        default=0.9,
        metavar="X",
        help="decay of RMSprop's mean of squares",
    )
    how.add_argument("--lr", type=number(0, 1e6), default=0.1, metavar="X", help="learning rate of the first epoch")
    how.add_argument("--momentum", type=number(0, 1), default=0.9, metavar="X", help="for sgd, sgd_nesterov and rmsprop")
    how.add_argument(
        "--weight-decay",
        type=number(0, 1e6),
        default=1e-4,
        metavar="X",
        help="added to the gradient as X times the weight; adamw decouples it",
    )
    how.add_argument(
        "--lr-scheduler", type=_one_of(SCHEDULERS), default="steplr", help=f"by epochs: one of {', '.join(SCHEDULERS)}"
    )
    how.add_argument("--lr-step-size", type=number(1e-6, 1e6), default=30.0, metavar="X", help="epochs of a step of steplr")
    how.add_argument(
        "--lr-gamma",
        type=number(0, 1e6),
        default=0.1,
        metavar="X",
        help="factor of a step (steplr) or an epoch",
    )
    how.add_argument(
        "--batch-norm-momentum",
        type=number(0, 1),
        metavar="X",
        help="share of a batch in running means; by default the model's own, or 0.1 where an epoch is too short for that",
    )

    images = main.add_argument_group("preprocessing")
    images.add_argument(
        "--preprocessing",
        default="builtin",
        metavar="NAME",
        help="size and range of values: 'builtin' takes the model's own, 'custom' 224 px as torchvision trains, "
        "a model's name that model's",
    )
    images.add_argument(
        "--auto-augment", type=_policy, default=None, metavar="NAME", help=f"none, or one of {', '.join(AUTO_AUGMENT)}"
    )
    images.add_argument(
        "--random-erase", type=number(0, 1), default=0.0, metavar="X", help="probability to erase a part of an image"
    )
    images.add_argument(
        "--interpolation",
        type=_one_of(INTERPOLATIONS),
        help=f"one of {', '.join(INTERPOLATIONS)}; by default that of the preprocessing",
    )

    execution = main.add_argument_group("execution")
    execution.add_argument("--device", default="auto", help="auto, cpu, cuda, or cuda:N; one GPU a process")
    execution.add_argument(
        "--precision", default="fp32", choices=("fp32", "bf16", "fp16"), help="of the computation; weights stay fp32"
    )
    execution.add_argument("--compile", action="store_true", help="compile the model before the measurement")
    execution.add_argument(
        "--workers",
        type=natural_int,
        metavar="N",
        help=WORKERS_HELP,
    )
    execution.add_argument("--seed", type=seed, default=-1, help="seed of everything random; -1 draws and records one")

    measuring = main.add_argument_group("measuring")
    measuring.add_argument(
        "--sensors",
        nargs="+",
        default=["auto"],
        metavar="NAME",
        help=f"{CHOICES}; one that is named must work",
    )
    measuring.add_argument("--gpu-monitor-interval", type=interval, default=1.0, metavar="S", help="GPU sampling interval")
    measuring.add_argument("--cpu-monitor-interval", type=interval, default=1.0, metavar="S", help="CPU sampling interval")
    measuring.add_argument("--idle-seconds", type=seconds, default=5.0, metavar="S", help="idle power before; 0 is off")
    measuring.add_argument("--warmup-batches", type=natural_int, default=3, metavar="N", help="batches before the timing")
    measuring.add_argument("--cpu-watts", metavar="IDLE:MAX", help="the CPU's power for the CPU model, where you know it")

    out = main.add_argument_group("output")
    out.add_argument("--output-dir", type=Path, default=Path("experiments"), help="where experiment folders are made")
    out.add_argument("--quiet", action="store_true", help="no progress, only errors and the folder's name")
    return main


def main(arguments: Sequence[str]) -> int:
    """Run train.py; return the exit code."""
    args = parser().parse_args(arguments)
    if args.list_models:
        print("\n".join(training_backend(args.backend).model_names()))
        return 0
    options = MeasuringOptions(
        output_dir=args.output_dir,
        sensors=sensor_names(args.sensors),
        gpu_interval_s=args.gpu_monitor_interval,
        cpu_interval_s=args.cpu_monitor_interval,
        idle_seconds=args.idle_seconds,
        warmup_batches=args.warmup_batches,
        cpu_watts=None if args.cpu_watts is None else parse_cpu_watts(args.cpu_watts),
    )
    # Under torchrun one process speaks for all.
    quiet = args.quiet or os.environ.get("RANK", "0") != "0"
    if args.resume is not None:
        given = _check_resume(arguments)
        path = args.resume.resolve()  # its name is that of the run
        kept = resumed_options(path)
        options = replace(kept, **{name: getattr(options, name) for name in _WITH_RESUME if name in given})
        with _Screen(path.name, quiet=quiet) as screen:
            result, folder = resume_training(path, options, screen)
    else:
        request = _request(args)
        with _Screen(request.model, quiet=quiet) as screen:
            result, folder = run_training(request, args.backend, options, screen)
    if result is not None and not quiet:
        _show(result, folder)
    return 0


class _Screen(Screen):
    """Shows how a training goes on; a quiet one names its folder when there is one, so that whoever ends it can go on."""

    def folder(self, path: Path) -> None:
        """Print the folder's name, unless another process speaks."""
        if self.quiet and os.environ.get("RANK", "0") == "0":
            print(path, flush=True)


def _check_resume(arguments: Sequence[str]) -> set[str]:
    """Refuse options beside --resume that the folder decides; return the names of those that are given."""
    silent = parser()
    for action in silent._actions:
        action.default = argparse.SUPPRESS
    given = list(vars(silent.parse_args(arguments)))
    odd = [name for name in given if name not in ("resume", "quiet", *_WITH_RESUME)]
    if odd:
        raise ConfigError(
            f"--{odd[0].replace('_', '-')} cannot stand beside --resume: a training keeps its options.",
            "leave it out, or start another training",
        )
    return set(given)


def _request(args: argparse.Namespace) -> TrainingRequest:
    if args.n_batches == 0 or args.n_batches < -1:
        raise ConfigError(f"--n-batches must be 1 or more, or -1 for all, got {args.n_batches}.")
    if args.lr == 0:
        raise ConfigError("--lr must be more than 0: nothing would be learnt.")
    given = {field.name: getattr(args, field.name) for field in fields(TrainingRequest)}
    given["n_batches"] = None if args.n_batches == -1 else args.n_batches
    given["seed"] = args.seed if args.seed != -1 else random.SystemRandom().randrange(2**31)
    return TrainingRequest(**given)


def _show(result: RunResult, folder: Path) -> None:
    stdout.print(f"[green]done[/] {escape(result.model.name)}: {escape(str(folder))}", highlight=False, soft_wrap=True)
    stdout.print()
    stdout.print(summary_table("Training", [summary_row(result)], stdout.width))
    for sensor, reason in result.not_measured.items():
        stdout.print(f"[dim]not measured[/] {sensor}: {escape(reason)}", highlight=False, soft_wrap=True)
    for warning in result.warnings:
        text = f"[yellow]{warning.code}[/]: {escape(warning.message)}"
        stdout.print(text, highlight=False, soft_wrap=True)
