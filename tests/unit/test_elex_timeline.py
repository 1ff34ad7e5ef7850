"""Power over time: finished, running and stopped runs, whatever state their traces are in."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlee.elex.timeline import thin, timeline
from mlee.elex.traced import find_runs, power_of
from mlee.readings import Trace
from tests.builders import device
from tests.elex_data import reading, write_trace


def trace(t_s: list[float], *, power_w: list[float] | None = None, energy_j: list[float] | None = None) -> Trace:
    return Trace(
        device=device(),
        sensor="nvml",
        t_s=np.array(t_s),
        power_w=None if power_w is None else np.array(power_w),
        energy_j=None if energy_j is None else np.array(energy_j),
    )


def test_runs_are_found_with_their_state(tmp_path: Path) -> None:
    write_trace(tmp_path / "infer_2026_11_23_15_00_00", complete=True)
    stopped = write_trace(tmp_path / "infer_2026_11_23_16_00_00", complete=False)
    running = write_trace(tmp_path / "infer_2026_11_23_17_00_00", complete=False)
    (tmp_path / "other").mkdir()
    now = running.stat().st_mtime
    os.utime(stopped, (now - 100, now - 100))
    found = find_runs([tmp_path, tmp_path / "nowhere"], now)
    assert [(run.name[-8:], run.state) for run in found] == [
        ("17_00_00", "running"),
        ("16_00_00", "stopped"),
        ("15_00_00", "complete"),
    ]
    assert [run.name for run in find_runs([running.parent], now)] == [running.parent.name]


def test_a_run_is_drawn_with_its_windows_and_grows(tmp_path: Path) -> None:
    path = write_trace(tmp_path / "infer_2026_11_23_15_00_00", complete=False, seconds=20)
    run = find_runs([tmp_path], path.stat().st_mtime)[0]
    figure, remarks = timeline(run, "light")
    go.Figure(figure)
    json.dumps(figure, allow_nan=False)
    assert len(figure["data"][0]["x"]) == 20
    assert figure["layout"]["annotations"][0]["text"] == "repeat 1 …"
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{reading(20)}\n{reading(21)}\n123.0,gpu0,11")
    figure, remarks = timeline(run, "dark")
    assert figure["data"][0]["x"][-1] == 21.0
    assert remarks == []  # the torn line is being written


def test_damage_is_said_and_the_rest_is_drawn(tmp_path: Path) -> None:
    path = write_trace(tmp_path / "infer_2026_11_23_15_00_00", complete=True)
    (path.parent / "trace_rapl.csv").write_text("nonsense\n", encoding="utf-8")
    figure, remarks = timeline(find_runs([tmp_path], 0.0)[0], "light")
    assert len(figure["data"]) == 1
    assert "trace_rapl.csv" in remarks[0]


def test_a_trace_without_readings_is_a_sentence(tmp_path: Path) -> None:
    path = write_trace(tmp_path / "infer_2026_11_23_15_00_00", complete=False, seconds=0)
    figure, _ = timeline(find_runs([tmp_path], path.stat().st_mtime)[0], "light")
    assert "No power was recorded yet" in figure["layout"]["annotations"][0]["text"]


def test_power_is_what_the_sensor_gives_else_the_step_of_its_counter() -> None:
    assert power_of(trace([0.0, 1.0, 2.0], power_w=[5.0, 6.0, 7.0]))[1].tolist() == [5.0, 6.0, 7.0]
    t_s, power_w = power_of(trace([0.0, 1.0, 2.0, 3.0], energy_j=[0.0, 10.0, 2.0, 12.0]))
    assert t_s.tolist() == [0.5, 2.5]  # a fall says nothing about the time between
    assert power_w.tolist() == [10.0, 10.0]


def test_readings_side_by_side_make_no_peak() -> None:
    t_s, power_w = power_of(trace([0.0, 1.0, 1.001, 2.0, 3.0], energy_j=[0.0, 10.0, 15.0, 20.0, 30.0]))
    assert power_w.tolist() == [10.0, 10.0, 10.0]
    assert len(t_s) == 3


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=400), st.integers(10, 60))
def test_thinning_keeps_the_extremes(values: list[float], most: int) -> None:
    t_s, power_w = np.arange(len(values), dtype=float), np.array(values)
    kept_s, kept_w = thin(t_s, power_w, most)
    assert len(kept_s) <= max(most, len(values) if len(values) <= most else 0)
    assert (kept_w.min(), kept_w.max()) == (power_w.min(), power_w.max())
    assert list(kept_s) == sorted(set(kept_s))


@pytest.mark.parametrize("phases", ["", "t_s,event\n1,open\n", "t_s,event,phase\n1.0,open,a\nx"])
def test_damaged_windows_do_not_hide_the_power(tmp_path: Path, phases: str) -> None:
    path = write_trace(tmp_path / "infer_2026_11_23_15_00_00", complete=True)
    (path.parent / "phases.csv").write_text(phases, encoding="utf-8")
    assert timeline(find_runs([tmp_path], 0.0)[0], "light")[0]["data"]


def test_a_resumed_training_is_drawn_whole_without_the_pause(tmp_path: Path) -> None:
    folder = tmp_path / "train_2026_11_23_15_00_00"
    first = write_trace(folder, complete=False, seconds=20)  # its window stays open: it was cut off
    later = write_trace(folder / "resumed_1", complete=True, seconds=10)
    other = write_trace(folder / "resumed_1" / "host_1", complete=False, seconds=10)
    for path in (later, other):  # the next day, after the machine was started again
        path.write_text(path.read_text().replace("2026-11-23T", "2026-11-24T"), encoding="utf-8")
    (folder / "resumed_1" / "result.json").rename(folder / "result.json")
    now = later.stat().st_mtime
    (run,) = find_runs([tmp_path], now)
    figure, remarks = timeline(run, "light")
    go.Figure(figure)
    assert (run.state, remarks) == ("complete", [])
    assert [line["name"] for line in figure["data"]] == ["GPU 0: NVIDIA Test (nvml)", "GPU 0: NVIDIA Test (nvml) host_1"]
    assert figure["data"][0]["x"] == [*range(20), None, *range(19, 29)]
    assert figure["data"][1]["x"] == [*range(19, 29)]
    assert [said["text"] for said in figure["layout"]["annotations"]] == ["repeat 1 (cut off)", "repeat 1", "resumed"]
    spans = [(shape["x0"], shape["x1"]) for shape in figure["layout"]["shapes"]]
    assert spans == [pytest.approx((1, 19)), pytest.approx((20, 28)), pytest.approx((19, 19))]
    assert "without pauses" in str(figure["layout"]["xaxis"])

    (folder / "result.json").unlink()
    for path in (first, other):
        os.utime(path, (now - 100, now - 100))
    assert find_runs([tmp_path], now)[0].state == "running"  # the newest part says it
