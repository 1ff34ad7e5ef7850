"""With which settings a run was made, and the command that makes it again."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence

from mlee.assess.run import SOFTWARE, RunSummary

#: Options of a run that a command names, in this order: their names in a result.
_NAMED: tuple[str, ...] = ("backend", "infer_model", "weights", "precision", "batch_size", "n_batches", "seed", "repeats")
_TRAINED: tuple[str, ...] = (
    *("backend", "model", "epochs", "batch_size", "n_batches", "precision", "opt", "lr", "momentum", "weight_decay"),
    *("opt_decy", "lr_scheduler", "lr_step_size", "lr_gamma", "auto_augment", "random_erase", "preprocessing", "seed"),
)
_INSTALLED = ("sample", "synthetic")
_TRAINED_ON = ("digits", "synthetic")
#: Stands for the images in a command.
DATA = "DATA"


def settings(runs: Sequence[RunSummary]) -> list[tuple[str, str]]:
    """Name hardware, software and settings of runs; what they do not agree on is listed."""
    said: list[tuple[str, str]] = []
    found: Mapping[str, list[str | None]] = {
        "CPU": [run.cpu_name for run in runs],
        "GPUs": [_counted(run.gpu_names) for run in runs],
        "Software": [" ".join(run.software) for run in runs],
        "Precision": [run.precision for run in runs],
        "Batch size": [str(run.batch_size) for run in runs],
        "Samples": [None if run.samples is None else str(run.samples) for run in runs],
        "Epochs": [None if run.epochs is None else str(run.epochs) for run in runs],
        "Accuracy": [None if run.accuracy_provenance is None else str(run.accuracy_provenance) for run in runs],
    }
    for name, values in found.items():
        there = list(dict.fromkeys(value for value in values if value))
        if there:
            said.append((name, "; ".join(there)))
    return said


def _counted(names: Sequence[str]) -> str | None:
    """Name things, each once with its number."""
    counts = Counter(names)
    return ", ".join(f"{count} x {name}" if count > 1 else name for name, count in counts.items()) or None


def command(run: RunSummary) -> str | None:
    """Write the command that makes a run again; `None` for what `infer.py` and `train.py` do not run.

    Where images and weights lie on the machine of the run is nobody's business: they are DATA and FILE.
    """
    if run.backend not in (*SOFTWARE, "simulated") or (run.task == "training" and not run.options):
        return None
    script, named, builtin, known = "train.py", _TRAINED, _TRAINED_ON, run.options
    if run.task == "inference":
        script, named, builtin = "infer.py", _NAMED, _INSTALLED
        known = run.options or {
            "backend": run.backend,
            "infer_model": run.model,
            "batch_size": run.batch_size,
        }
    words = ["python", script]
    for name in named:
        value = _weights(known.get(name)) if name == "weights" else known.get(name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", shlex.quote(str(value))]
    words += ["--compile"] if known.get("compile") is True else []
    path = str(known.get("data_path", ""))
    return " ".join([*words, "--data-path", shlex.quote(path) if path.partition(":")[0] in builtin else DATA])


def _weights(resolved: object) -> str | None:
    """Return what `--weights` takes for the weights of a run; `None` for those it takes without being told."""
    text = str(resolved)
    if text == "random":
        return text
    if text.startswith("file ") or "/" in text:
        return "FILE"
    published = re.fullmatch(r"\w+_Weights\.(\w+)", text)  # torchvision's names
    return published[1] if published else None
