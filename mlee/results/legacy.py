"""Merged results of 2022 (version 1: no version field), as written by imagenet-energy-efficiency.

Only what assessing needs is read, and it is validated: numbers must be finite, of the right type and not negative. The names
of that format are kept here and nowhere else: `total_power_draw` is an energy [J], `flops` are multiply-accumulates, and the
RAPL total holds the CPU packages only, while the mean power of their DRAM is recorded beside it (its energy is that power
times the duration of the monitoring).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mlee.assess.run import VERSION_2022, Repeat, RunSummary
from mlee.errors import ResultError
from mlee.records import DeviceKind, Task, Warning
from mlee.results.limits import MAX_BATCH, MAX_COUNT, MAX_ENERGY_J, MAX_SECONDS, MAX_TEXT

DATASET = "ImageNet"
#: The monitors and the run of one file may differ by this much before it carries a warning [s].
_CLOCK_TOLERANCE_S = 60.0
#: Stands in a total where a monitor had nothing to add up.
_NO_TOTAL = -1
_TASKS: dict[str, Task] = {"infer": "inference", "train": "training"}

_Seconds = Annotated[float, Field(gt=0, le=MAX_SECONDS)]
_Unix = Annotated[float, Field(ge=0, le=1e11)]
#: Some of these files write whole numbers as floats.
_Count = Annotated[float, Field(ge=0, le=MAX_COUNT)]
_Fraction = Annotated[float, Field(ge=0, le=1)]
_Text = Annotated[str, Field(max_length=MAX_TEXT)]
_Name = Annotated[str, Field(max_length=MAX_TEXT, pattern=r"\S")]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())


_P = TypeVar("_P", bound=_Part)


class _Total(_Part):
    total_power_draw: Annotated[float, Field(ge=_NO_TOTAL, le=MAX_ENERGY_J)]
    total_duration: _Seconds

    @field_validator("total_power_draw")
    @classmethod
    def _not_negative(cls, energy_j: float) -> float:
        if energy_j < 0 and energy_j != _NO_TOTAL:
            raise ValueError(f"must be 0 or more, or {_NO_TOTAL} for nothing, got {energy_j!r}")
        return energy_j


class _Power(_Part):
    mean: Annotated[float, Field(ge=0, le=1e6)]


class _Zones(_Part):
    total_duration: _Seconds


class _Network(_Part):
    params: _Count
    fsize: _Count
    flops: _Count | None = None


class _Metrics(_Part):
    accuracy: _Fraction | None = None
    top_5_accuracy: _Fraction | None = None


class _History(_Part):
    loss: Annotated[list[Any], Field(min_length=1)]


class _Results(_Part):
    start: _Unix
    end: _Unix
    model: _Network
    metrics: _Metrics | None = None
    history: _History | None = None


class _Monitored(_Part):
    monitoring_pynvml: dict[str, Any] | None
    monitoring_pyrapl: dict[str, Any] | None
    results: _Results
    duration: _Seconds


class _Config(_Part):
    model: _Name
    backend: _Text
    batch_size: Annotated[int, Field(ge=1, le=MAX_BATCH)]


class _Gpu(_Part):
    Name: _Text


class _Platform(_Part):
    Processor: _Text
    GPU: dict[str, _Gpu] | None = None


class _Document(_Part):
    directory_name: _Name
    config: _Config
    execution_platform: _Platform
    requirements: list[_Text]


def is_legacy(document: Mapping[str, Any]) -> bool:
    """Whether a JSON object looks like a merged result of 2022: no version, but its three blocks."""
    return "version" not in document and {"config", "execution_platform", "requirements"} <= document.keys()


def read_legacy(document: Mapping[str, Any], source: Path, digest: str) -> RunSummary:
    """Read a result of 2022; raises `ResultError` naming file and field. The task is the prefix of its folder's name."""
    try:
        head = _valid(_Document, document, "")
        task = _TASKS.get(head.directory_name.partition("_")[0])
        if task is None:
            raise _Refused(f"field directory_name must begin with infer_ or train_, got {head.directory_name!r}.")
        place = "validation" if task == "inference" else ""
        body = _valid(_Monitored, document.get(place) if place else document, place)
        gpu = _energy(body.monitoring_pynvml, f"{place}.monitoring_pynvml".lstrip("."))
        cpu_place = f"{place}.monitoring_pyrapl".lstrip(".")
        cpu = _energy(body.monitoring_pyrapl, cpu_place)
        dram_j = None if cpu is None else _dram_j(body.monitoring_pyrapl or {}, cpu_place)
    except _Refused as error:
        raise ResultError(f"{source}: {error}") from error
    if task == "training" and body.results.history is None:
        raise ResultError(f"{source}: field results.history is missing.")
    energies: dict[DeviceKind, float | None] = {
        "gpu": None if gpu is None else gpu.total_power_draw,
        "cpu": None if cpu is None else cpu.total_power_draw,
        "dram": dram_j,
    }
    metrics = body.results.metrics or _Metrics()
    return RunSummary(
        run_id=head.directory_name,
        source=str(source),
        digest=digest,
        version=VERSION_2022,
        task=task,
        dataset=DATASET,
        model=head.config.model,
        started_at=datetime.fromtimestamp(body.results.start, UTC),
        backend=head.config.backend,
        packages=_packages(head.requirements),
        cpu_name=head.execution_platform.Processor,
        gpu_names=tuple(gpu.Name for gpu in (head.execution_platform.GPU or {}).values()),
        precision=None,
        batch_size=head.config.batch_size,
        parameters=body.results.model.params,
        macs=body.results.model.flops,
        weights_bytes=body.results.model.fsize,
        samples=None,
        epochs=None if body.results.history is None else len(body.results.history.loss),
        repeats=(
            Repeat(
                duration_s=body.duration, energy_j={kind: value for kind, value in energies.items() if value is not None}
            ),
        ),
        top1_accuracy=metrics.accuracy,
        top5_accuracy=metrics.top_5_accuracy,
        accuracy_provenance=None if metrics.accuracy is None else "measured",
        provenance=None if all(value is None for value in energies.values()) else "measured",
        sensors=tuple(name for name, total in (("nvml", gpu), ("rapl", cpu)) if total is not None),
        not_measured={name: "not in the file of 2022" for name, total in (("nvml", gpu), ("rapl", cpu)) if total is None},
        warnings=_clock_warnings(body.duration, gpu, cpu),
    )


class _Refused(ValueError):
    """A field that cannot be; the message names it."""


def _valid(part: type[_P], values: object, place: str) -> _P:
    """Check a part of the document; raises `_Refused` naming the field by its full way."""
    try:
        return part.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in ([place] if place else []) + list(problem["loc"])) or "(top level)"
        raise _Refused(f"field {where}: {problem['msg']}") from error
    except OverflowError as error:  # a whole number larger than any float
        raise _Refused(f"field {place or '(top level)'} holds a number that is too large") from error


def _energy(monitor: Mapping[str, Any] | None, where: str) -> _Total | None:
    if monitor is None:
        return None
    total = _valid(_Total, monitor.get("total"), f"{where}.total")
    return None if total.total_power_draw == _NO_TOTAL else total


def _dram_j(monitor: Mapping[str, Any], where: str) -> float | None:
    """Energy of the DRAM zones [J]: mean power x duration of the monitoring; `None` where none was recorded."""
    energies_j = []
    for name, device in monitor.items():
        if name == "total":
            continue
        zones = _valid(_Zones, device, f"{where}.{name}")
        for zone, power in device.items():
            if re.fullmatch(r"package-\d+\.dram", zone):
                energies_j.append(_valid(_Power, power, f"{where}.{name}.{zone}").mean * zones.total_duration)
    return math.fsum(energies_j) if energies_j else None


def _packages(requirements: list[str]) -> dict[str, str]:
    """Package -> version; the first of several lines wins."""
    found: dict[str, str] = {}
    for line in requirements:
        name, equals, version = line.partition("==")
        if equals and not line.startswith("#"):
            found.setdefault(name.strip(), version.strip())
    return found


def _clock_warnings(duration_s: float, *totals: _Total | None) -> tuple[Warning, ...]:
    differences = [total.total_duration - duration_s for total in totals if total is not None]
    worst_s = max(differences, key=abs, default=0.0)
    if abs(worst_s) <= _CLOCK_TOLERANCE_S:
        return ()
    message = f"The sensors were read for {worst_s:+.0f} s longer than the run took: one of the two clocks was changed."
    return (Warning(code="clock", message=message),)
