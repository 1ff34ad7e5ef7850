"""With which settings a run was made, and the command that makes it again."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence

from mlee.assess.run import SOFTWARE, RunSummary

#: Options of a run that a command names, in this order: their names in a result.
_NAMED = ("backend", "infer_model", "weights", "precision", "batch_size", "n_batches", "seed", "repeats")
_INSTALLED = ("sample", "synthetic")
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
    """Write the command that makes a run of inference again; `None` for what `infer.py` does not run.

    Where images and weights lie on the machine of the run is nobody's business: they are DATA and FILE.
    """
    if run.task != "inference" or run.backend not in (*SOFTWARE, "simulated"):
        return None
    known: Mapping[str, object] = run.options or {
        "backend": run.backend,
        "infer_model": run.model,
        "batch_size": run.batch_size,
    }
    words = ["python", "infer.py"]
    for name in _NAMED:
        value = known.get(name)
        if value is not None and (name, value) != ("weights", "none"):
            value = "FILE" if name == "weights" and "/" in str(value) else value
            words += [f"--{name.replace('_', '-')}", shlex.quote(str(value))]
    words += ["--compile"] if known.get("compile") is True else []
    path = str(known.get("data_path", ""))
    return " ".join([*words, "--data-path", shlex.quote(path) if path.partition(":")[0] in _INSTALLED else DATA])
