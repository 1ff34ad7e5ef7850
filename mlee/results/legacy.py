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
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlee.assess.run import VERSION_2022, Repeat, RunSummary
from mlee.errors import ResultError
from mlee.records import DeviceKind, Task, Warning

DATASET = "ImageNet"
#: The monitors and the run of one file may differ by this much before it carries a warning [s].
_CLOCK_TOLERANCE_S = 60.0
#: Stands in a total where a monitor had nothing to add up.
_NO_TOTAL = -1
#: A year of a thousand megawatts; more is no measurement, and would overflow sums [J].
_MAX_ENERGY_J = 3e16
_MAX_SECONDS = 1e9
_TASKS: dict[str, Task] = {"infer": "inference", "train": "training"}

_Seconds = Annotated[float, Field(gt=0, le=_MAX_SECONDS)]
_Unix = Annotated[float, Field(ge=0, le=1e11)]
#: Some of these files write whole numbers as floats.
_Count = Annotated[float, Field(ge=0, le=1e18)]
_Fraction = Annotated[float, Field(ge=0, le=1)]
_Text = Annotated[str, Field(max_length=1000)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())


class _Total(_Part):
    total_power_draw: Annotated[float, Field(ge=_NO_TOTAL, le=_MAX_ENERGY_J)]
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
    model: _Text
    backend: _Text
    batch_size: Annotated[int, Field(ge=1, le=10**9)]


class _Gpu(_Part):
    Name: _Text


class _Platform(_Part):
    Processor: _Text
    GPU: dict[str, _Gpu] | None = None


class _Document(_Part):
    directory_name: _Text
    config: _Config
    execution_platform: _Platform
    requirements: list[_Text]


def is_legacy(document: Mapping[str, Any]) -> bool:
    """Whether a JSON object looks like a merged result of 2022: no version, but its three blocks."""
    return "version" not in document and {"config", "execution_platform", "requirements"} <= document.keys()


def read_legacy(document: Mapping[str, Any], source: Path, digest: str) -> RunSummary:
    """Read a result of 2022; raises `ResultError` naming file and field. The task is the prefix of its folder's name."""
    try:
        head = _Document.model_validate(document)
        task = _TASKS.get(head.directory_name.partition("_")[0])
        if task is None:
            raise ResultError(
                f"{source}: field directory_name must begin with infer_ or train_, got {head.directory_name!r}."
            )
        place = "validation" if task == "inference" else ""
        body = _Monitored.model_validate(document[place] if place else document)
        gpu = _energy(body.monitoring_pynvml, f"{place}.monitoring_pynvml".lstrip("."))
        cpu = _energy(body.monitoring_pyrapl, f"{place}.monitoring_pyrapl".lstrip("."))
        dram_j = None if cpu is None else _dram_j(body.monitoring_pyrapl or {})
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"]) or "(top level)"
        raise ResultError(f"{source}: field {where}: {problem['msg']}") from error
    except KeyError as error:
        raise ResultError(f"{source}: field {error.args[0]} is missing.") from error
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
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


def _energy(monitor: Mapping[str, Any] | None, where: str) -> _Total | None:
    if monitor is None:
        return None
    if "total" not in monitor:
        raise KeyError(f"{where}.total")
    total = _Total.model_validate(monitor["total"])
    return None if total.total_power_draw == _NO_TOTAL else total


def _dram_j(monitor: Mapping[str, Any]) -> float | None:
    """Energy of the DRAM zones [J]: mean power x duration of the monitoring; `None` where none was recorded."""
    energy_j = None
    for name, device in monitor.items():
        if name == "total" or not isinstance(device, dict):
            continue
        for zone, power in device.items():
            if re.fullmatch(r"package-\d+\.dram", zone):
                mean_w, duration_s = float(power["mean"]), float(device["total_duration"])
                if not (0 <= mean_w <= 1e6 and 0 < duration_s <= _MAX_SECONDS):
                    raise ValueError(f"field monitoring_pyrapl.{name}.{zone}.mean must be 0 to 1e6 W, got {mean_w!r}")
                energy_j = math.fsum((energy_j or 0.0, mean_w * duration_s))
    return energy_j


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
