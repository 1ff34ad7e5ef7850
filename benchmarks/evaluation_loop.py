"""Compare the throughput of our evaluation loop with a bare loop over the same model and images.

Run by hand, on an otherwise quiet machine::

    python benchmarks/evaluation_loop.py
    python benchmarks/evaluation_loop.py --models MobileNetV3Small --threads 1 --batches 10
    python benchmarks/evaluation_loop.py --backend tensorflow

The defaults take some ten minutes on two CPUs. No difference smaller than that of *bare again* means anything.

Four passes over the same images by the same model object take turns, each round in a new order:

* *bare*: ``for images in preloaded: model(images)`` under ``torch.inference_mode()``; with TensorFlow the same of its
  `tf.function`, with ONNX Runtime of its session;
* *bare again*: the same once more - what its ratio is away from 100 % is noise of the machine;
* *evaluate*: the backend's `evaluate` on ``--data-path synthetic``, so that no loading of data stands in the way;
* *measured*: `evaluate` in a window of a `Monitor` with the sensors of ``auto``, traces written to a folder as in a real
  run. Opening and closing the window lie outside the time, as they do in results.

A table cell is the throughput as a share of the same round's *bare* pass: the median over rounds, with the smallest and the
largest in brackets. The target is 97 % or more for *evaluate*. The rows for CPU time (of all threads) say whether a pass has
more work to do; with ``--threads 1`` they hardly depend on what else the machine does. *Loop alone* is a labelled batch that
goes through `evaluate` with the model's outputs already there, and its share of a bare batch: what the loop adds.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlee.backends import inference_backend
from mlee.backends.base import InferenceRequest
from mlee.backends.evaluation import Batch, NumpyCounter, Skipped, evaluate
from mlee.monitor import Monitor
from mlee.sensors.machine import cpu_name

PACKAGES = {"pytorch": "torch", "tensorflow": "keras", "onnx_pytorch": "onnxruntime", "onnx_tensorflow": "onnxruntime"}


class Times(NamedTuple):
    """What a pass took: wall-clock time and CPU time of all threads [s]."""

    wall_s: float
    cpu_s: float


def timed(work: Callable[[], object]) -> Times:
    """Run `work` once."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    work()
    return Times(time.perf_counter() - wall_s, time.process_time() - cpu_s)


def bare_loop(backend: Any) -> Callable[[], object]:
    """Return the shortest loop over the images that the framework allows, the device synchronised at its end."""
    if backend.name == "pytorch":
        import torch

        # The bare loop needs the very same images, type and device: private because nobody else has a use for them.
        images = [batch.images.to(backend._device, backend._dtype) for batch in backend.batches]

        def bare() -> None:
            with torch.inference_mode():
                for one in images:
                    backend.model(one)
            backend._synchronise()

        return bare
    if backend.name == "tensorflow":
        tensors = [batch.images for batch in backend.batches]
        return lambda: [backend.forward(one) for one in tensors][-1].numpy()
    arrays = [batch.images for batch in backend._batches()]
    return lambda: [backend._session.run(one) for one in arrays]


def loop_alone(backend: Any, repeats: int = 200) -> Times:
    """Return what the loop takes for a labelled batch without the model, whose outputs are there already."""
    (images, *_) = next(iter(backend._batches() if backend.name.startswith("onnx") else backend.batches))
    logits = np.random.default_rng(0).standard_normal((len(images), 1000), dtype=np.float32)
    targets = np.arange(len(images))[:, None]
    counter: Any = NumpyCounter(lambda images: logits)
    if backend.name == "pytorch":
        import torch

        from mlee.backends.pytorch.counting import TorchCounter

        outputs = torch.from_numpy(logits).to(backend._device)
        targets = torch.from_numpy(targets)
        counter = TorchCounter(lambda images: outputs, backend._device, backend._synchronise)
    batches = [Batch(images, targets)] * repeats
    whole = timed(lambda: evaluate(batches, counter, lambda samples: None, model="", data="", skipped=Skipped(False)))
    return Times(whole.wall_s / repeats, whole.cpu_s / repeats)


def passes(backend: Any, folder: Path) -> dict[str, Callable[[], Times]]:
    """Return the passes to compare, by name."""
    bare = bare_loop(backend)

    def one_pass() -> None:
        backend.evaluate(lambda samples: None)

    def measured() -> Times:
        with Monitor(folder=folder) as monitor, monitor.window("pass"):
            return timed(one_pass)

    return {
        "bare": lambda: timed(bare),
        "bare again": lambda: timed(bare),
        "evaluate": lambda: timed(one_pass),
        "measured": measured,
    }


def compare(model: str, args: argparse.Namespace) -> list[str]:
    """Compare the passes for one model; return its rows of the table."""
    request = InferenceRequest(
        model=model,
        data_path=f"synthetic:{args.batches * args.batch_size}",
        batch_size=args.batch_size,
        weights="random",
        device=args.device,
    )
    backend = inference_backend(args.backend)(request)
    backend.warm_up(1)
    times: dict[str, list[Times]] = {}
    with tempfile.TemporaryDirectory() as folder:
        candidates = passes(backend, Path(folder))
        names = list(candidates)
        for one in candidates.values():  # warm up
            one()
        for number in range(args.rounds):
            # Shifting the order and turning it around lets every pass stand at every place.
            shift = number // 2 % len(names)
            order = names[shift:] + names[:shift]
            for name in order if number % 2 == 0 else reversed(order):
                times.setdefault(name, []).append(candidates[name]())
            print(f"{model}: round {number + 1} of {args.rounds}", file=sys.stderr, flush=True)
    alone = loop_alone(backend)
    backend.close()
    rows = []
    for index, clock in enumerate(("wall", "CPU")):
        seconds = {name: [one[index] for one in found] for name, found in times.items()}
        cells = [model, clock, f"{backend.resolved.samples / statistics.median(seconds['bare']):.1f}"]
        for name in names[1:]:
            ratios = [bare_s / other_s for bare_s, other_s in zip(seconds["bare"], seconds[name], strict=True)]
            cells.append(f"{statistics.median(ratios):.1%} ({min(ratios):.1%} .. {max(ratios):.1%})")
        batch_s = statistics.median(seconds["bare"]) / args.batches
        cells.append(f"{1e3 * alone[index]:.2f} ms = {alone[index] / batch_s:.2%}")
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def main() -> None:
    summary, _, _ = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(description=summary, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["ResNet50", "MobileNetV3Small"], metavar="NAME", help="models")
    parser.add_argument("--batch-size", type=int, default=16, help="images in a batch")
    parser.add_argument("--batches", type=int, default=4, help="batches in a pass")
    parser.add_argument("--rounds", type=int, default=20, help="how often each pass is timed")
    parser.add_argument("--backend", default="pytorch", choices=sorted(PACKAGES), help="as for infer.py")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="threads of the framework")
    parser.add_argument("--device", default="auto", help="as for infer.py")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)  # before a framework is loaded
    rows = [row for model in args.models for row in compare(model, args)]
    print(
        f"{cpu_name()}, {args.threads} threads, Python {platform.python_version()}, "
        f"{args.backend} with {PACKAGES[args.backend]} {version(PACKAGES[args.backend])}; "
        f"--device {args.device}, batch size {args.batch_size}, {args.rounds} rounds of {args.batches} batches\n"
    )
    print("| model | clock | bare [images/s] | bare again | evaluate | measured | loop alone |")
    print("|---|---|---:|---:|---:|---:|---:|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
