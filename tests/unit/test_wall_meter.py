"""A wall meter's log, joined to a run by wall-clock time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlee.errors import DataError, MeasurementError
from mlee.records import RunResult, Warning
from mlee.results.wall import join_wall_meter
from mlee.training_records import TrainingOutcome
from mlee.wall_meter import WallMeterLog
from tests import builders

START = builders.STARTED_AT


def _log(path: Path, rows: list[tuple[str, str]], time_column: str = "time") -> Path:
    lines = [f"{time_column},power_w", *(f"{time},{power}" for time, power in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _steady(path: Path, *, write: str = "%Y-%m-%d %H:%M:%S", power: str = "200", zone: timedelta = timedelta()) -> Path:
    times = [START + timedelta(seconds=second) for second in range(-10, 31)]
    return _log(path, [((time + zone).strftime(write), power) for time in times])


@pytest.mark.parametrize(
    ("write", "zone"),
    [
        ("%Y-%m-%d %H:%M:%S", timedelta()),
        ("%Y-%m-%dT%H:%M:%SZ", timedelta()),
        ("%Y-%m-%dT%H:%M:%S+02:00", timedelta(hours=2)),
        ("%Y-%m-%d %H:%M:%S.000000-05:30", -timedelta(hours=5, minutes=30)),
    ],
)
def test_time_is_utc_unless_it_states_an_offset(write: str, zone: timedelta, tmp_path: Path) -> None:
    energy = WallMeterLog(_steady(tmp_path / "m.csv", write=write, zone=zone)).energy(START, 10.0)
    assert energy.energy_j == pytest.approx(2000.0)
    assert (energy.provenance, energy.method, energy.device.kind) == ("external", "integral", "system")
    assert energy.coverage == 1.0


def test_seconds_since_1970_work_too(tmp_path: Path) -> None:
    start = START.timestamp()
    path = _log(tmp_path / "m.csv", [(f"{start + second}", "200") for second in range(-1, 12)], "unix_s")
    assert WallMeterLog(path).energy(START, 10.0).energy_j == pytest.approx(2000.0)


def test_a_ramp_is_integrated_between_readings_and_cut_at_the_edges(tmp_path: Path) -> None:
    start = START.timestamp()
    # P = 10 W/s x (t + 5 s), read every 5 s: from 0 to 10 s that is 10 x (10 x 5 + 50) J
    rows = [(f"{start + second}", f"{10 * (second + 5)}") for second in range(-5, 20, 5)]
    meter = WallMeterLog(_log(tmp_path / "m.csv", rows, "unix_s"))
    assert meter.interval_s == 5
    assert meter.energy(START, 10.0).energy_j == pytest.approx(1000.0)


def test_the_byte_order_mark_of_spreadsheets_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = _steady(tmp_path / "m.csv")
    path.write_text(path.read_text(), encoding="utf-8-sig")
    assert WallMeterLog(path).energy(START, 10.0).energy_j == pytest.approx(2000.0)


@pytest.mark.parametrize("shift", [timedelta(hours=1), timedelta(hours=-1), timedelta(seconds=22)])
def test_a_log_that_does_not_cover_the_run_says_from_when_to_when(shift: timedelta, tmp_path: Path) -> None:
    meter = WallMeterLog(_steady(tmp_path / "m.csv"))
    with pytest.raises(
        MeasurementError, match=r"^m.csv covers 2026-11-23 15:03:55 UTC to 2026-11-23 15:04:35 UTC, not the run"
    ):
        meter.energy(START + shift, 10.0)


def test_a_gap_in_the_log_is_not_bridged(tmp_path: Path) -> None:
    rows = [(str(START.timestamp() + second), "200") for second in (*range(-10, 2), *range(100, 130))]
    meter = WallMeterLog(_log(tmp_path / "m.csv", rows, "unix_s"))
    with pytest.raises(MeasurementError, match=r"has a gap: it covers \d+% of the run at 2026-11-23 15:04:05 UTC"):
        meter.energy(START, 50.0)
    assert meter.energy(START + timedelta(seconds=105), 10.0).energy_j == pytest.approx(2000.0)


def test_milliseconds_in_the_place_of_seconds_are_an_expected_error(tmp_path: Path) -> None:
    start_ms = int(START.timestamp() * 1000)
    path = _log(tmp_path / "m.csv", [(str(start_ms + 1000 * second), "200") for second in range(20)], "unix_s")
    with pytest.raises((DataError, MeasurementError), match=r"m\.csv"):
        WallMeterLog(path).energy(START, 10.0)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("2026-11-23 15:04:00,-1", "power_w"),
        ("2026-11-23 15:04:00,nan", "power_w"),
        ("2026-11-23 15:04:00,inf", "power_w"),
        ("2026-11-23 15:04:00,", "line 3"),
        ("2026-11-23 15:04:00", "line 3"),
        ("2026-11-23 15:04:00,200 W", "200 W"),
        ("2026-11-23 15:04:00,1e300", "power_w"),
        ("23.11.2026 15:04,200", "23.11.2026"),
        (",200", "line 3"),
        ("nan,200", "time"),
        ("2026-11-23 14:00:00,200", "forward"),
        ("2026-11-23 15:00:00,200", "forward"),
    ],
)
def test_a_strange_line_is_refused_by_file_and_line(row: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(f"time,power_w\n2026-11-23 15:00:00,100\n{row}\n2026-11-23 16:00:00,100\n")
    with pytest.raises(DataError, match=r"m\.csv, line 3") as refused:
        WallMeterLog(path)
    assert said in refused.value.message


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"time,power_w\n",
        b"time,power_w\n2026-11-23 15:00:00,1\n",
        b"when,watts\n1,2\n3,4\n",
        b"time;power_w\n1;2\n3;4\n",
        "time,power_w\n1,2\n3,4\n".encode("utf-16"),
        b"time,power_w\n" + b"1" * 200_000 + b",1\n",
        b"\x00\x00",
    ],
)
def test_a_file_that_is_no_log_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"m\.csv"):
        WallMeterLog(path)


@pytest.mark.parametrize("name", [".", "none.csv"])
def test_a_folder_and_a_missing_file_are_refused_by_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        WallMeterLog(tmp_path / name)


def test_a_run_at_the_edge_of_the_calendar_is_an_expected_error(tmp_path: Path) -> None:
    meter = WallMeterLog(_steady(tmp_path / "m.csv"))
    with pytest.raises(MeasurementError):
        meter.energy(datetime(1, 1, 1, tzinfo=UTC), 10.0)
    with pytest.raises(MeasurementError):
        meter.energy(START, 1e300)


def _training(**config: Any) -> RunResult:
    """Two epochs of 10 s, the second after a pause of 100 s."""
    history = tuple(
        builders.epoch(
            number=number,
            started_at=START + timedelta(seconds=second),
            duration_s=8.0,
            validation_duration_s=2.0,
        )
        for number, second in ((1, 0), (2, 110))
    )
    return builders.run_result(
        task="training",
        config=builders.training_config(**config),
        outcome=TrainingOutcome(ended="epochs", history=history),
        measurements=(builders.measurement(duration_s=20.0),),
    )


def _pausing(path: Path) -> WallMeterLog:
    powers = [(second, 200 if second <= 10 else 300 if second >= 110 else 1000) for second in range(-5, 126)]
    return WallMeterLog(_log(path, [(f"{START + timedelta(seconds=second):%F %T}", str(power)) for second, power in powers]))


def test_the_energy_of_a_training_is_that_of_its_epochs(tmp_path: Path) -> None:
    joined = join_wall_meter(_training(), _pausing(tmp_path / "m.csv"))
    wall = joined.measurements[0].not_added[-1]
    assert wall.energy_j == pytest.approx(10 * 200 + 10 * 300)
    assert (wall.mean_power_w, wall.coverage) == (pytest.approx(250), pytest.approx(1))
    assert joined.measurements[0].energy_j == _training().measurements[0].energy_j


def test_the_meter_of_one_machine_says_nothing_about_a_training_on_two(tmp_path: Path) -> None:
    meter = _pausing(tmp_path / "m.csv")
    moved = replace(_training(), warnings=(Warning(code="moved", message="It went on elsewhere."),))
    for result in (_training(hosts=2), moved):
        joined = join_wall_meter(result, meter)
        assert joined.measurements == result.measurements
        assert joined.warnings[-1].code == "no-wall-meter"
