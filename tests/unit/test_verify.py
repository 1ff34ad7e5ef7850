from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlee.backends.base import InferenceRequest
from mlee.errors import ResultError
from mlee.experiment import RESULT_FILE, load_result
from mlee.results import store
from mlee.results.verify import verify
from mlee.runner import MeasuringOptions, run_inference


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A short, real run of the simulated backend with two windows."""
    options = MeasuringOptions(
        output_dir=tmp_path, sensors=("simulated:square", "process"), cpu_interval_s=0.02, idle_seconds=0, repeats=2
    )
    _, path = run_inference(InferenceRequest(model="Small", data_path="synthetic:64"), "simulated", options)
    return path


def test_a_result_agrees_with_its_traces(folder: Path) -> None:
    verify(folder, load_result(folder))


def test_a_changed_energy_is_found(folder: Path) -> None:
    result = load_result(folder)
    first = result.measurements[0]
    device = replace(first.devices[0], energy_j=(first.devices[0].energy_j or 0) * 2)
    forged = replace(result, measurements=(replace(first, devices=(device,)), *result.measurements[1:]))
    (folder / RESULT_FILE).write_text(store.to_json(forged))
    with pytest.raises(ResultError, match=r"repeat 1, simulated device.*the result says .* its trace"):
        verify(folder, load_result(folder))


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
