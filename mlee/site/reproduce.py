"""With which settings a run was made, and the command that makes it again."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence

from mlee.assess.run import SOFTWARE, RunSummary
from mlee.records import FROM_FILE, RANDOM, TRAINED_IN
from mlee.units import last_part

#: Options that a command names, in this order, by their names in a result. One that has the default beside it is left out;
#: `None` stands for a default that depends on model, data or machine: what became of it is named wherever it is known.
_INFERENCE: Mapping[str, object] = {
    **{"backend": None, "infer_model": None, "weights": None, "eval_preprocessing": "builtin", "image_size": None},
    **{"accuracy": "measured", "skip_corrupt": False, "device": None, "precision": "fp32", "compile": False},
    **{"workers": None, "batch_size": 32, "n_batches": -1, "seed": None, "repeats": 1},
    **{"sensors": ("auto",), "gpu_monitor_interval": 0.2, "cpu_monitor_interval": 0.2},
    **{"idle_seconds": 5.0, "warmup_batches": 3, "cpu_watts": None},
}
_TRAINING: Mapping[str, object] = {
    **{"backend": None, "model": None, "epochs": 10, "early_patience": 50, "early_delta": 0.01, "image_size": None},
    **{"device": None, "precision": "fp32", "compile": False, "workers": None, "batch_size": 32, "n_batches": -1},
    **{"opt": "sgd", "opt_decy": 0.9, "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4},
    **{"lr_scheduler": "steplr", "lr_step_size": 30.0, "lr_gamma": 0.1, "batch_norm_momentum": None},
    **{"preprocessing": "builtin", "auto_augment": None, "random_erase": 0.0, "interpolation": None, "seed": None},
    **{"sensors": ("auto",), "gpu_monitor_interval": 1.0, "cpu_monitor_interval": 1.0},
    **{"idle_seconds": 5.0, "warmup_batches": 3, "cpu_watts": None},
}
_INSTALLED = ("sample", "synthetic", "digits")
_TRAINED_ON = ("digits", "synthetic")
#: Words of a command that stand for something on the reader's machine.
DATA, FILE, HOST = "DATA", "FILE", "HOST"
_PLACEHOLDERS = {
    DATA: "your copy of the images",
    FILE: "the file of weights",
    HOST: "one of the machines, on each of which this is started",
}


def settings(runs: Sequence[RunSummary]) -> list[tuple[str, str]]:
    """Name hardware, software and settings of runs; what they do not agree on is listed."""
    said: list[tuple[str, str]] = []
    found: Mapping[str, list[str | None]] = {
        "CPU": [run.cpu_name for run in runs],
        "GPUs": [_counted(run.gpu_names) for run in runs],
        "Software": [" ".join(run.software) for run in runs],
        "Weights": [_setting(run, "weights") for run in runs],
        "Image size": [_setting(run, "image_size", " px") for run in runs],
        "Compiled": [_setting(run, "compile") for run in runs],
        "Threads": [_setting(run, "threads") for run in runs],
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


def _setting(run: RunSummary, name: str, unit: str = "") -> str | None:
    value = run.setting(name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return None if value is None else f"{value}{unit}"


def _counted(names: Sequence[str]) -> str | None:
    """Name things, each once with its number."""
    counts = Counter(names)
    return ", ".join(f"{count} x {name}" if count > 1 else name for name, count in counts.items()) or None


def command(run: RunSummary) -> str | None:
    """Write the command that makes a run again; `None` for what `infer.py` and `train.py` do not run.

    Where images, weights and trained models lie on the machine of the run is nobody's business: images are DATA, a file is
    FILE, and a folder loses the way to it.
    """
    if run.backend not in (*SOFTWARE, "simulated") or (run.task == "training" and not run.options):
        return None
    # A file of 2022 tells little of an inference.
    known = dict(run.options or {"backend": run.backend, "infer_model": run.model, "batch_size": run.batch_size})
    inference = run.task == "inference"
    words = ["python", "infer.py"] if inference else _training_program(known)
    if words is None:
        return None
    path = str(known.get("data_path", ""))
    kind = path.partition(":")[0]
    weights = str(known.get("weights"))
    if weights.startswith(TRAINED_IN):
        known["infer_model"] = weights.removeprefix(TRAINED_IN)
    known["weights"] = _weights(weights)
    known["device"] = _device(str(known.get("device")))
    if isinstance(watts := known.get("cpu_watts"), tuple):
        known["cpu_watts"] = ":".join(map(str, watts))
    if kind == "synthetic" and known.get("workers") == 0:  # the default: such images are not loaded
        known["workers"] = None
    for name, default in (_INFERENCE if inference else _TRAINING).items():
        if (value := known.get(name)) not in (None, default):
            words += _option(name, value)
    threads = run.setting("threads")
    if threads is not None and known["device"] == "cpu":  # another number is another result
        words.insert(0, f"OMP_NUM_THREADS={threads}")
    installed = kind in (_INSTALLED if inference else _TRAINED_ON)
    return " ".join([*words, "--data-path", shlex.quote(path) if installed else DATA])


def explanation(said: str) -> str:
    """Say what the placeholders in a command stand for; empty where there are none."""
    words = set(re.split("[ =]", said))
    return ", ".join(f"{word} stands for {meaning}" for word, meaning in _PLACEHOLDERS.items() if word in words)


def _option(name: str, value: object) -> list[str]:
    option = f"--{name.replace('_', '-')}"
    if value is True:
        return [option]
    texts = [last_part(str(each)) for each in (value if isinstance(value, tuple) else (value,))]
    written = [shlex.quote(text) for text in texts]
    return [f"{option}={written[0]}"] if texts[0].startswith("-") else [option, *written]


def _training_program(options: Mapping[str, object]) -> list[str] | None:
    """Start as many processes as a training had, since they share every batch; `None` where machines had unequal numbers."""
    processes, hosts = (int(str(options.get(name, 1))) for name in ("processes", "hosts"))
    if processes == 1:
        return ["python", "train.py"]
    if hosts == 1:
        return ["torchrun", "--standalone", f"--nproc_per_node={processes}", "train.py"]
    if processes % hosts:
        return None
    each = f"--nproc_per_node={processes // hosts}"
    return ["torchrun", f"--nnodes={hosts}", each, "--rdzv-backend=c10d", f"--rdzv-endpoint={HOST}", "train.py"]


def _device(resolved: str) -> str | None:
    """Return what `--device` takes for the devices of a run, such as "cpu", "cuda:1", "cuda:0,cuda:1" or "cuda x8"."""
    if re.fullmatch(r"cpu|cuda:\d+", resolved):
        return resolved
    kind = re.match("cpu|cuda", resolved)
    return kind[0] if kind else None


def _weights(resolved: str) -> str | None:
    """Return what `--weights` takes for the weights of a run; `None` for those it takes without being told."""
    if resolved == RANDOM:
        return resolved
    if resolved.startswith(TRAINED_IN):
        return None
    if resolved.startswith(FROM_FILE) or "/" in resolved:
        return FILE
    published = re.fullmatch(r"\w+_Weights\.(\w+)", resolved)  # torchvision's names
    return published[1] if published else None
