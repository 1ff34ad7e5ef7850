"""A small, nasty set of results for the explorer: estimated, repeated, missing, and names that are up to no good."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from mlee.results import store
from tests import builders

SCRIPT = "<img src=x onerror=alert(1)>"
FORMULA = '=HYPERLINK("http://example.org")'
LONG = "Model" + "WithAVeryLongName" * 6
#: name, energy of the GPU [J], duration [s], top-1 accuracy
MODELS: tuple[tuple[str, float, float, float | None], ...] = (
    ("ResNet101", 1000.0, 10.0, 0.77),
    ("ResNet50", 700.0, 6.0, 0.76),
    ("VGG16", 2400.0, 14.0, 0.71),
    ("MobileNetV2", 200.0, 2.0, 0.72),
    ("Unknown accuracy", 500.0, 5.0, None),
    (SCRIPT, 900.0, 8.0, 0.74),
    (FORMULA, 1300.0, 11.0, 0.755),
    (LONG, 1600.0, 12.0, 0.79),
)


def write_results(folder: Path) -> Path:
    """Write runs of all models, estimated ones of three, and three repeated passes of ResNet50; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (model, energy_j, duration_s, accuracy) in enumerate(MODELS):
        _write(folder, f"infer_2026_11_23_15_00_{number:02d}", model, (energy_j,), duration_s, accuracy)
    _write(folder, "infer_2026_11_23_16_00_00", "ResNet50", (690.0, 700.0, 720.0), 6.0, 0.76)
    for number, (model, energy_j, duration_s, accuracy) in enumerate(MODELS[:3]):
        _write(folder, f"infer_2026_11_24_15_00_{number:02d}", model, (energy_j * 2,), duration_s, accuracy, estimated=True)
    return folder


def _write(
    folder: Path,
    run_id: str,
    model: str,
    energies_j: tuple[float, ...],
    duration_s: float,
    accuracy: float | None,
    *,
    estimated: bool = False,
) -> None:
    kinds = {"provenance": "estimated", "method": "model", "sensor": "cpu_model"} if estimated else {}
    measurements = tuple(
        builders.measurement(
            duration_s=duration_s * energy_j / energies_j[0],
            devices=(builders.cpu_energy(energy_j=energy_j, **kinds),)
            if estimated
            else (builders.device_energy(energy_j=energy_j, integral_j=None), builders.cpu_energy()),
            not_added=(),
        )
        for energy_j in energies_j
    )
    result = builders.run_result(run_id=run_id, measurements=measurements)
    outcome = replace(
        result.outcome,
        top1_accuracy=accuracy,
        top5_accuracy=accuracy,
        accuracy_provenance=None if accuracy is None else "measured",
    )
    parameters = 1_000_000 * (1 + len(model) % 7)
    facts = replace(result.model, name=model, parameters=parameters, weights_bytes=4 * parameters)
    (folder / f"{run_id}.json").write_text(store.to_json(replace(result, model=facts, outcome=outcome)), encoding="utf-8")


def write_trace(folder: Path, *, complete: bool, seconds: int = 20) -> Path:
    """Write an experiment folder with the trace of one GPU and a window; returns the trace's path."""
    folder.mkdir(parents=True, exist_ok=True)
    device = {"kind": "gpu", "index": 0, "name": "NVIDIA Test", "uuid": "GPU-1"}
    header = {
        "format": "mlee-trace",
        "version": 1,
        "sensor": "nvml",
        "start_utc": "2026-11-23T15:04:05+00:00",
        "start_monotonic_s": 100.0,
        "devices": {"gpu0": device},
    }
    lines = [f"# {json.dumps(header)}", "t_s,device,energy_j,power_w"]
    lines += [reading(number) for number in range(seconds)]
    trace = folder / "trace_nvml.csv"
    trace.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "phases.csv").write_text("t_s,event,phase\n101.0,open,repeat 1\n", encoding="utf-8")
    if complete:
        with open(folder / "phases.csv", "a", encoding="utf-8") as file:
            file.write(f"{100 + seconds - 1}.0,close,repeat 1\n")
        (folder / "result.json").write_text(builders.document(run_id=folder.name), encoding="utf-8")
    return trace


def reading(number: int) -> str:
    """One line of a trace, one second after the one before."""
    return f"{100 + number}.000000,gpu0,{number * 50:.6f},{50 + number % 5:.3f}"
