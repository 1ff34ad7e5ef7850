"""Verifying: what was changed is found, and an honest run is never accused."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mlee.backends.base import InferenceRequest
from mlee.errors import ResultError
from mlee.experiment import RESULT_FILE, load_result
from mlee.measuring import MeasuringOptions
from mlee.readings import Reading
from mlee.records import Measurement, RunResult, Warning
from mlee.results import store
from mlee.results.merge import MergeOptions, merge
from mlee.results.verify import verify
from mlee.runner import run_inference
from mlee.traces import TraceWriter


def run(output: Path, interval_s: float, sensors: tuple[str, ...] = ("simulated:square", "process")) -> Path:
    options = MeasuringOptions(
        output_dir=output, sensors=sensors, cpu_interval_s=interval_s, idle_seconds=0.1, repeats=2, warmup_batches=0
    )
    _, path = run_inference(InferenceRequest(model="Small", data_path="synthetic:64"), "simulated", options)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short, real run of the simulated backend with an idle phase and two windows."""
    return run(tmp_path_factory.mktemp("runs"), 0.02)


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return shutil.copytree(finished, tmp_path / finished.name)


@pytest.mark.parametrize("interval_s", [1e-6, 0.02, 3600.0])
@pytest.mark.parametrize(
    "sensors", [("simulated:square", "process"), ("process", "cpu_model", "simulated:burst")], ids=["one", "three"]
)
def test_an_honest_run_is_not_accused_however_often_it_is_sampled(
    interval_s: float, sensors: tuple[str, ...], tmp_path: Path
) -> None:
    folder = run(tmp_path, interval_s, sensors)
    verify(folder, load_result(folder))


def _energy(**factors: float) -> Callable[[Measurement], Measurement]:
    """Multiply fields of the first device."""

    def change(measurement: Measurement) -> Measurement:
        device = measurement.devices[0]
        fields = {name: getattr(device, name) * factor for name, factor in factors.items()}
        return replace(measurement, devices=(replace(device, **fields), *measurement.devices[1:]))

    return change


_CHANGES: dict[str, tuple[Callable[[Measurement], Measurement], str]] = {
    "energy +3 %": (
        _energy(energy_j=1.03, mean_power_w=1.03),
        "simulated device.*: energy_j: the result says .* its traces",
    ),
    "energy -3 %": (_energy(energy_j=0.97, mean_power_w=0.97), "energy_j"),
    "energy and its uncertainty": (
        _energy(energy_j=2.0, mean_power_w=2.0, energy_uncertainty_j=1e6, max_power_w=1e6),
        "energy_j",
    ),
    "mean power": (_energy(mean_power_w=50), "mean_power_w"),
    "mean power only a little": (_energy(mean_power_w=1.01), "mean_power_w"),
    "duration": (lambda found: replace(found, duration_s=found.duration_s * 10), "duration_s"),
    "duration only a little": (lambda found: replace(found, duration_s=found.duration_s + 1e-4), "duration_s"),
    "no mean power": (
        lambda found: replace(found, devices=(replace(found.devices[0], mean_power_w=None),)),
        "mean_power_w",
    ),
    "no device": (lambda found: replace(found, devices=()), "the trace holds simulated device"),
}


def _forge(folder: Path, change: Callable[[RunResult], RunResult]) -> None:
    (folder / RESULT_FILE).write_text(store.to_json(change(load_result(folder))))


@pytest.mark.parametrize("where", ["repeat 1", "repeat 2", "idle"])
@pytest.mark.parametrize("name", _CHANGES)
def test_what_was_changed_is_found(name: str, where: str, folder: Path) -> None:
    change, said = _CHANGES[name]

    def forge(result: RunResult) -> RunResult:
        if where == "idle":
            assert result.idle is not None
            return replace(result, idle=change(result.idle))
        windows = list(result.measurements)
        index = int(where.split()[1]) - 1
        windows[index] = change(windows[index])
        return replace(result, measurements=tuple(windows))

    _forge(folder, forge)
    with pytest.raises(ResultError, match=f"{where}.*{said}"):
        verify(folder, load_result(folder))


@pytest.mark.parametrize("factor", [0.0, 0.99, 1000.0, None])
def test_an_idle_power_that_is_not_that_of_the_idle_phase_is_found(factor: float | None, folder: Path) -> None:
    def forge(result: RunResult) -> RunResult:
        first = result.measurements[0]
        idle_w = None if factor is None else (first.idle_power_w or 0.0) * factor
        return replace(result, measurements=(replace(first, idle_power_w=idle_w), *result.measurements[1:]))

    _forge(folder, forge)
    with pytest.raises(ResultError, match="repeat 1: idle_power_w"):
        verify(folder, load_result(folder))


def test_an_idle_phase_that_was_taken_out_is_found(folder: Path) -> None:
    _forge(
        folder,
        lambda result: replace(
            result, idle=None, measurements=tuple(replace(found, idle_power_w=None) for found in result.measurements)
        ),
    )
    with pytest.raises(ResultError, match="holds an idle phase"):
        verify(folder, load_result(folder))


def test_a_run_without_idle_phase_is_verified(tmp_path: Path) -> None:
    options = MeasuringOptions(output_dir=tmp_path, sensors=("simulated",), cpu_interval_s=0.02, idle_seconds=0)
    _, path = run_inference(InferenceRequest(model="Tiny", data_path="synthetic:64"), "simulated", options)
    verify(path, load_result(path))


def test_a_torn_line_in_a_trace_is_named(folder: Path) -> None:
    path = folder / "trace_simulated.csv"
    lines = path.read_text().splitlines(keepends=True)
    lines[4] = lines[4][:9] + "\n"
    path.write_text("".join(lines))
    with pytest.raises(ResultError, match=r"trace_simulated\.csv, line 5: not a reading"):
        verify(folder, load_result(folder))


def test_missing_phases_are_named(folder: Path) -> None:
    (folder / "phases.csv").write_text("t_s,event,phase\n")
    with pytest.raises(ResultError, match="does not hold the window 'repeat 1'"):
        verify(folder, load_result(folder))


def test_a_missing_trace_is_named(folder: Path) -> None:
    (folder / "trace_simulated.csv").unlink()
    with pytest.raises(ResultError, match=r"has no trace of simulated device.* \(trace_simulated\.csv\)"):
        verify(folder, load_result(folder))


def test_a_trace_that_the_sampler_could_not_write_on_is_not_compared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write, left = TraceWriter.write, 3

    def full(self: TraceWriter, readings: Sequence[Reading | None]) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, readings)

    monkeypatch.setattr(TraceWriter, "write", full)
    path = run(tmp_path, 0.02, ("simulated:square",))
    result = load_result(path)
    assert [warning.code for warning in result.warnings] == ["trace-lost"]
    verify(path, result)
    with pytest.raises(ResultError, match="simulated device"):
        verify(path, replace(result, warnings=()))


@pytest.mark.parametrize("message", ["disk full", "", "The trace of", "The trace of its sensor"])
def test_a_lost_trace_of_no_sensor_is_a_reason_for_that_folder_alone(
    message: str, finished: Path, folder: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(folder, tmp_path / "infer_2026_11_23_15_04_05")
    warnings = (Warning(code="trace-lost", message=message),)
    _forge(folder, lambda result: replace(result, run_id=other.name, warnings=warnings))
    (folder / RESULT_FILE).rename(other / RESULT_FILE)
    found = list(merge([other, finished], MergeOptions(results_dir=tmp_path / "results", verify=True), lambda done: None))
    assert [merged.result is None for merged in found] == [True, False]
    assert f"the warning trace-lost names no sensor: '{message}'" in (found[0].reason or "")
