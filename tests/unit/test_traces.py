"""Trace files: written as they come, read after any kind of end."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlee.errors import MleeError, ResultError, UnsupportedVersion
from mlee.readings import Channel, Reading
from mlee.traces import TraceWriter, read_trace
from tests import builders

GPU = Channel(device=builders.device(), key="gpu0", sensor="nvml", counter=True, gauge=True)
CPU = Channel(device=builders.device(kind="cpu", uuid=None), key="cpu0", sensor="nvml", counter=True, gauge=False)
COLUMNS = "t_s,device,energy_j,power_w\n"


def _header(**fields: Any) -> str:
    header = {
        "format": "mlee-trace",
        "version": 1,
        "sensor": "nvml",
        "start_utc": "2026-11-23T15:04:05+00:00",
        "start_monotonic_s": 100.0,
        "devices": {"gpu0": {"kind": "gpu", "index": 0, "name": "GPU", "uuid": None}},
    }
    return f"# {json.dumps({**header, **fields})}\n"


def _trace(path: Path, body: str, columns: str = COLUMNS, **header: Any) -> Path:
    path.write_text(_header(**header) + columns + body, encoding="utf-8")
    return path


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.001, 5.0), st.none() | st.floats(0, 1e9), st.none() | st.floats(0, 1e4)),
        min_size=1,
        max_size=30,
    )
)
def test_readings_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[float, float | None, float | None]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "trace_nvml.csv"
    writer = TraceWriter(path, (GPU, CPU), ("clock_mhz",), builders.STARTED_AT, 100.0)
    now = 100.0
    times = []
    for step_s, energy_j, power_w in steps:
        now += step_s
        times.append(now)
        writer.write([Reading(now, energy_j, power_w, (1200.0,)), None])
    writer.close()
    read = read_trace(path)
    assert (read.sensor, read.start_utc, read.start_monotonic_s) == ("nvml", builders.STARTED_AT, 100.0)
    assert read.warnings == []
    trace = read.traces["gpu0"]
    assert trace.device == GPU.device
    np.testing.assert_allclose(trace.t_s, times, atol=1e-6)
    for values, wanted, error in (
        (trace.energy_j, [s[1] for s in steps], 1e-6),
        (trace.power_w, [s[2] for s in steps], 1e-3),
    ):
        if all(value is None for value in wanted):
            assert values is None
        else:
            assert values is not None
            np.testing.assert_allclose(values, [math.nan if v is None else v for v in wanted], atol=error, equal_nan=True)
    assert len(read.traces["cpu0"].t_s) == 0


def test_readings_reach_the_file_within_a_second(tmp_path: Path) -> None:
    path = tmp_path / "trace_nvml.csv"
    writer = TraceWriter(path, (GPU,), (), builders.STARTED_AT, 0.0)
    writer.write([Reading(0.5, 1.0, 2.0)])
    writer.write([Reading(1.1, 2.0, 2.0)])
    assert len(read_trace(path).traces["gpu0"].t_s) == 2
    writer.close()


def test_a_look_at_the_counter_alone_has_empty_cells_for_everything_else(tmp_path: Path) -> None:
    path = tmp_path / "trace_nvml.csv"
    writer = TraceWriter(path, (GPU,), ("clock_mhz", "memory_bytes"), builders.STARTED_AT, 0.0)
    writer.write([Reading(0.5, 1.0, 2.0, (1.0, None))])
    writer.write([Reading(0.6, 1.5, None)])
    writer.close()
    assert path.read_text().splitlines()[-1] == "0.600000,gpu0,1.500000,,,"
    assert len(read_trace(path).traces["gpu0"].t_s) == 2


def test_a_trace_that_cannot_be_begun_leaves_nothing_open(tmp_path: Path) -> None:
    path = tmp_path / "trace_nvml.csv"
    path.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):  # and no ResourceWarning, which would be an error here
        TraceWriter(path, (GPU,), (), builders.STARTED_AT, 0.0)


def test_a_trace_whose_end_is_lost_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "trace_nvml.csv"
    writer = TraceWriter(path, (GPU,), (), builders.STARTED_AT, 0.0)
    with open("/dev/full", "w") as full:
        os.dup2(full.fileno(), writer._file.fileno())
    writer.write([Reading(0.5, 1.0, 2.0)])
    writer.close()
    assert writer._file.closed


def test_empty_cells_are_nan_and_an_empty_column_is_missing(tmp_path: Path) -> None:
    trace = read_trace(_trace(tmp_path / "t.csv", "1.0,gpu0,5,\n2.0,gpu0,,\n")).traces["gpu0"]
    assert trace.power_w is None
    assert trace.energy_j is not None
    np.testing.assert_array_equal(trace.energy_j, [5.0, math.nan])


@pytest.mark.parametrize("torn", ["2.0,gp", "2.0,gpu0,5,1", "2", "2.0,gpu0,5,10,"])
def test_a_torn_last_line_is_dropped_with_a_remark_even_where_it_looks_whole(torn: str, tmp_path: Path) -> None:
    read = read_trace(_trace(tmp_path / "t.csv", "1.0,gpu0,4,10\n" + torn))
    assert list(read.traces["gpu0"].t_s) == [1.0]
    assert read.warnings == [f"{tmp_path / 't.csv'}, line 4: torn last line dropped"]


@pytest.mark.parametrize("length", range(0, 60, 3))
def test_a_trace_cut_anywhere_in_its_readings_keeps_every_whole_line(length: int, tmp_path: Path) -> None:
    body = "".join(f"{second}.0,gpu0,{second * 10},10\n" for second in range(1, 6))
    read = read_trace(_trace(tmp_path / "t.csv", body[:length]))
    assert len(read.traces["gpu0"].t_s) == body[:length].count("\n")


@pytest.mark.parametrize(
    "line",
    ["2.0,gp", "2.0,gpu0,5", "2.0,gpu0,5,1,9", ",gpu0,5,1", "nan,gpu0,5,1", "2.0,gpu7,5,1", "two,gpu0,5,1", "",
     "2.0,gpu0,inf,1", "2.0,gpu0,5,nan", "\x00\x00\x00"],
)  # fmt: skip
def test_damage_in_the_middle_names_file_and_line(line: str, tmp_path: Path) -> None:
    path = _trace(tmp_path / "t.csv", f"1.0,gpu0,4,10\n{line}\n3.0,gpu0,6,10\n")
    with pytest.raises(ResultError, match=r"t\.csv, line 4"):
        read_trace(path)


@pytest.mark.parametrize("times", [(2.0, 1.0), (1.0, 1.0)])
def test_time_that_does_not_increase_is_refused_by_file(times: tuple[float, float], tmp_path: Path) -> None:
    body = "".join(f"{time},gpu0,4,10\n" for time in times)
    with pytest.raises(ResultError, match=r"t\.csv.*increasing"):
        read_trace(_trace(tmp_path / "t.csv", body))


def test_devices_of_one_trace_may_share_an_instant(tmp_path: Path) -> None:
    devices = {key: {"kind": "gpu", "index": number, "name": "G", "uuid": None} for number, key in enumerate(("a", "b"))}
    read = read_trace(_trace(tmp_path / "t.csv", "1.0,a,4,1\n1.0,b,5,1\n", devices=devices))
    assert [len(trace.t_s) for trace in read.traces.values()] == [1, 1]


def test_a_newer_trace_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedVersion, match=r"t\.csv"):
        read_trace(_trace(tmp_path / "t.csv", "", version=2))


@pytest.mark.parametrize(
    "fields",
    [
        {"format": "mlee-result"},
        {"version": "1"},
        {"version": 0},
        {"version": None},
        {"start_utc": "yesterday"},
        {"start_utc": 5},
        {"start_monotonic_s": "abc"},
        {"start_monotonic_s": None},
        {"devices": []},
        {"devices": {"gpu0": None}},
        {"devices": {"gpu0": {"kind": "gpu"}}},
        {"devices": {"gpu0": {"kind": "gpu", "index": -1, "name": "n"}}},
        {"devices": {"gpu0": {"kind": "gpu", "index": "0", "name": "n"}}},
        {"devices": {"gpu0": {"kind": "gpu", "index": 0, "name": "n", "colour": "red"}}},
    ],
)
def test_a_strange_header_is_refused_by_file_and_line(fields: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"t\.csv, line 1"):
        read_trace(_trace(tmp_path / "t.csv", "1.0,gpu0,4,10\n", **fields))


@pytest.mark.parametrize("missing", ["format", "version", "sensor", "start_utc", "start_monotonic_s", "devices"])
def test_an_incomplete_header_is_refused_by_file_and_line(missing: str, tmp_path: Path) -> None:
    header = json.loads(_header().removeprefix("#"))
    del header[missing]
    path = tmp_path / "t.csv"
    path.write_text(f"# {json.dumps(header)}\n{COLUMNS}")
    with pytest.raises(ResultError, match=rf"t\.csv, line 1.*{missing}"):
        read_trace(path)


@pytest.mark.parametrize("content", [b"", b"time,power\n1,2\n", b"# []\n", b"\xff\xfe", b"# " + b"[" * 100_000, b"# {"])
def test_what_is_no_trace_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(ResultError, match=r"t\.csv"):
        read_trace(path)


def test_wrong_columns_are_refused_by_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"t\.csv, line 2"):
        read_trace(_trace(tmp_path / "t.csv", "", columns="t_s,device,energy_kwh\n"))


def test_a_missing_trace_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"none\.csv"):
        read_trace(tmp_path / "none.csv")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=8), st.integers(0, 10**6), st.integers(0, 20))
def test_a_trace_damaged_at_random_is_read_or_refused_but_never_crashes(
    tmp_path_factory: pytest.TempPathFactory, inserted: bytes, where: int, cut: int
) -> None:
    content = (_header() + COLUMNS + "1.0,gpu0,4,10\n2.0,gpu0,5,10\n").encode()
    position = where % len(content)
    path = tmp_path_factory.getbasetemp() / "damaged.csv"
    path.write_bytes(content[:position] + inserted + content[position + cut :])
    try:
        read_trace(path)
    except MleeError as error:
        assert "damaged.csv" in error.message  # noqa: PT017 - both ends are right
