"""Environments: a short readable key for any hardware and software, `hardware [xN] - software version`.

Names are shortened by rule, not from a list of machines: vendor words, trade marks, clock rates, core counts and
form factors are dropped - unless two machines of the same table could then not be told apart.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping

from mlee.assess.run import RunSummary

ESTIMATED = "(estimated energy)"

#: Always dropped: they tell no machine from another.
_NOISE = (
    r"\((R|TM|C)\)|[®™©]",
    r"\b(NVIDIA|AMD|Intel|Corporation)\b",
    r"\b\d+(st|nd|rd|th) Gen\b",
    r"@ *[\d.]+ *[GM]Hz",
    r"\b\w+-Core Processor\b|\bProcessor\b|\bCPU\b",
    r"\bwith Radeon.*",
)
#: Dropped while names stay apart: product lines, form factors, sizes of memory.
_DETAIL = (
    r"\b(Quadro|Tesla|GeForce)\b",
    r"-(SXM\d?|PCIE|PCIe|NVL)\b|\b(SXM\d?|PCIE|PCIe|NVL)\b",
    r"-?\b\d+ ?[GT]B\b",
    r"\bHBM\d\w*\b",
)


def _without(name: str, patterns: Iterable[str]) -> str:
    for pattern in patterns:
        name = re.sub(pattern, " ", name, flags=re.IGNORECASE)
    return re.sub(r"\s+", " ", name).strip(" ,-")


def _shortest(name: str) -> str:
    return _without(_without(name, _NOISE), _DETAIL) or name


def _detailed(name: str) -> str:
    return _without(name, _NOISE) or name


_STEPS: tuple[Callable[[str], str], ...] = (_shortest, _detailed, str.strip, str)


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Map each name to its shortest form that no other name shares.

    >>> short_names(["NVIDIA A100-SXM4-40GB", "Intel(R) Xeon(R) W-2155 CPU @ 3.30GHz"])
    {'NVIDIA A100-SXM4-40GB': 'A100', 'Intel(R) Xeon(R) W-2155 CPU @ 3.30GHz': 'Xeon W-2155'}
    """
    chosen: dict[str, str] = {}
    left = list(dict.fromkeys(names))
    for shorten in _STEPS:
        taken = Counter(shorten(name).lower() for name in left)
        for name in left:
            if taken[shorten(name).lower()] == 1:
                chosen[name] = shorten(name)
        left = [name for name in left if name not in chosen]
    return chosen | {name: name for name in left}  # names that differ in case alone


def hardware_of(run: RunSummary, names: Mapping[str, str]) -> str:
    """Name the hardware that did the work: the GPUs with their number, else the CPU."""
    if not run.gpu_names:
        return names[run.cpu_name]
    kinds = Counter(names[gpu] for gpu in run.gpu_names)
    return " + ".join(f"{name} x{count}" if count > 1 else name for name, count in kinds.items())


def base_environments(runs: Iterable[RunSummary]) -> dict[str, str]:
    """Map each run's id to its hardware and software, whatever it did with them."""
    runs = list(runs)
    names = short_names([name for run in runs for name in (*run.gpu_names, run.cpu_name)])
    return {run.run_id: f"{hardware_of(run, names)} - {' '.join(run.software)}" for run in runs}


def environment_keys(runs: Iterable[RunSummary]) -> dict[str, str]:
    """Map each run's id to the key of its environment.

    Precision and batch size stand in the key only where runs of one task, data set and environment differ in them. Energy
    that was only estimated makes an environment of its own: an index compares like with like.
    """
    runs = list(runs)
    base = base_environments(runs)
    precisions: dict[tuple[str, ...], set[str]] = defaultdict(set)
    batches: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for run in runs:
        group = (run.task, run.dataset, base[run.run_id])
        if run.precision is not None:
            precisions[group].add(run.precision)
        batches[group].add(run.batch_size)
    keys: dict[str, str] = {}
    for run in runs:
        group = (run.task, run.dataset, base[run.run_id])
        parts = [base[run.run_id]]
        if len(precisions[group]) > 1 and run.precision is not None:
            parts.append(run.precision)
        if len(batches[group]) > 1:
            parts.append(f"batch {run.batch_size}")
        keys[run.run_id] = ", ".join(parts) + (f" {ESTIMATED}" if run.provenance == "estimated" else "")
    return keys


def match_environment(wanted: str, known: Iterable[str]) -> str | None:
    """Find an environment by a user's spelling: case, punctuation, trade marks and vendor words do not count.

    That its energy was estimated need not be said where this tells it from no other.
    """
    known = list(dict.fromkeys(known))
    for same in (str, _letters, _plain, _unmarked):
        asked = _plain(wanted) if same is _unmarked else same(wanted)
        found = [name for name in known if same(name) == asked]
        if len(found) == 1:
            return found[0]
    found = [name for name in known if name.startswith(f"{wanted}, ")]  # without precision and batch size
    return found[0] if len(found) == 1 else None


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9.+]", "", name.lower())


def _unmarked(name: str) -> str:
    return _plain(name.removesuffix(ESTIMATED))


def _plain(name: str) -> str:
    hardware, dash, software = name.partition(" - ")
    return _letters(f"{_shortest(hardware)}{dash}{software}")
