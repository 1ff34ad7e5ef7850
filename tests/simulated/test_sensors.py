"""The nvml and rapl sensors on simulated hardware: what they find, what they refuse and what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pynvml
import pytest

from mlee.errors import SensorUnavailable
from mlee.platform_info import visible_gpus
from mlee.sensors.base import SensorOptions
from mlee.sensors.nvml import NvmlSensor
from mlee.sensors.profiles import PROFILES
from mlee.sensors.rapl import PLAUSIBLE_POWER_W, RaplSensor, WrappingCounter
from mlee.sensors.rapl_perf import open_perf_counters
from tests.simulated import nvml_stub
from tests.simulated.compiling import CompilerMissing
from tests.simulated.machine import VirtualMachine
from tests.simulated.nvml_stub import Failure, StubGpu, StubNvml, StubProcess
from tests.simulated.powercap import FakePowercap, Zone, server_zones
from tests.simulated.rights import without_root_rights

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("init_error", "message", "hint"),
    [
        (nvml_stub.DRIVER_NOT_LOADED, "not loaded", "modprobe nvidia"),
        (nvml_stub.NO_PERMISSION, "No permission", "/dev/nvidia"),
        (nvml_stub.LIB_RM_VERSION_MISMATCH, "does not answer", "reboot"),
        (nvml_stub.UNKNOWN, "does not answer", "nvidia-smi"),
    ],
)
def test_each_driver_trouble_has_its_own_message(stub_nvml: StubNvml, init_error: int, message: str, hint: str) -> None:
    stub_nvml.configure([StubGpu()], init_error=init_error)
    with pytest.raises(SensorUnavailable) as caught:
        NvmlSensor(SensorOptions())
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_no_gpu_and_hidden_gpus_are_told_apart(stub_nvml: StubNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SensorUnavailable, match="reports no GPU"):
        NvmlSensor(SensorOptions())
    stub_nvml.configure([StubGpu()])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    with pytest.raises(SensorUnavailable, match="CUDA_VISIBLE_DEVICES='-1' hides every GPU"):
        NvmlSensor(SensorOptions())


def test_gpus_are_matched_by_uuid_not_by_position(stub_nvml: StubNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = stub_nvml.configure([StubGpu(), StubGpu(), StubGpu()])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus[2].uuid[:12])
    sensor = NvmlSensor(SensorOptions())
    assert [channel.device.index for channel in sensor.channels] == [2]
    sensor.close()
    # What the framework says wins over the environment; PyTorch leaves out the "GPU-".
    sensor = NvmlSensor(SensorOptions(gpu_uuids=(gpus[1].uuid.removeprefix("GPU-"),)))
    assert [channel.device.uuid for channel in sensor.channels] == [gpus[1].uuid]
    sensor.close()


def test_a_mig_slice_is_charged_the_whole_gpu(stub_nvml: StubNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    slice_uuid = "MIG-5c9f1a2b-0000-1111-2222-333333333333"
    stub_nvml.configure([StubGpu(), StubGpu(mig=(slice_uuid,))])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", slice_uuid)
    sensor = NvmlSensor(SensorOptions())
    assert [channel.device.index for channel in sensor.channels] == [1]
    assert any("charged the whole GPU" in note for note in sensor.notes)
    sensor.close()


@pytest.mark.parametrize("field", ["temperature", "clock", "utilisation", "memory", "power_limit", "instant_power"])
def test_one_unsupported_field_never_loses_the_others(stub_nvml: StubNvml, field: str) -> None:
    stub_nvml.configure([StubGpu(unsupported=(field,))])
    sensor = NvmlSensor(SensorOptions())
    (reading,) = sensor.read(everything=True)
    assert reading is not None
    assert reading.energy_j is not None
    assert reading.power_w is not None
    assert reading.extras.count(None) == (0 if field == "instant_power" else 1)
    assert not sensor.problems
    sensor.close()


def test_a_field_that_fails_now_and_then_is_reported_once(stub_nvml: StubNvml) -> None:
    stub_nvml.configure([StubGpu(failures=(Failure("energy", nvml_stub.TIMEOUT, 1.0, 2.0),))])
    sensor = NvmlSensor(SensorOptions())
    found = []
    for t in (0.5, 1.2, 1.5, 2.5):
        stub_nvml.set_clock(t)
        (reading,) = sensor.read()
        found.append(None if reading is None else reading.energy_j)
    assert [energy is None for energy in found] == [False, True, True, False]
    assert [problem.code for problem in sensor.problems] == ["sensor-field"]
    sensor.close()


def test_a_gpu_without_any_power_reading_is_left_out(stub_nvml: StubNvml) -> None:
    mute = StubGpu(unsupported=("energy", "power", "average_power", "instant_power", "fields"))
    stub_nvml.configure([mute, StubGpu()])
    sensor = NvmlSensor(SensorOptions())
    assert [channel.device.index for channel in sensor.channels] == [1]
    assert any("left out" in note for note in sensor.notes)
    sensor.close()


def test_other_processes_on_a_gpu_are_a_warning(stub_nvml: StubNvml, make_machine: Callable[..., VirtualMachine]) -> None:
    parent = os.getppid()  # exists and is not one of ours
    gpus = [
        StubGpu(processes=(StubProcess(os.getpid()), StubProcess(parent))),
        StubGpu(processes=(StubProcess(os.getpid()),)),
    ]
    machine = make_machine(gpus=gpus, stub=stub_nvml)
    _, _, warnings = machine.measure(1.0, 10.0)
    (warning,) = warnings
    assert warning.code == "other-load"
    assert f"GPU 0 ({gpus[0].name}) was also used by other processes (pid {parent})" in warning.message


def test_rapl_without_permission_names_the_mend(tmp_path: Path) -> None:
    tree = FakePowercap(tmp_path, [Zone(key="intel-rapl:0", name="package-0", profile=PROFILES["steady"], permission=False)])
    with without_root_rights(), pytest.raises(SensorUnavailable) as caught:
        RaplSensor(SensorOptions(powercap=tree.powercap, perf_power=tmp_path / "none"))
    assert "No permission to read" in caught.value.message
    assert "sudo chmod a+r" in (caught.value.hint or "")
    assert "udev" in (caught.value.hint or "")
    tree.close()


def test_rapl_of_which_a_part_may_be_read_says_what_is_left_out(tmp_path: Path) -> None:
    zones = [
        Zone(key="intel-rapl:0", name="package-0", profile=PROFILES["steady"]),
        Zone(key="intel-rapl:0:0", name="dram", profile=PROFILES["steady"], permission=False),
    ]
    tree = FakePowercap(tmp_path, zones)
    with without_root_rights():
        sensor = RaplSensor(SensorOptions(powercap=tree.powercap, perf_power=tmp_path / "none"))
    assert [channel.device.kind for channel in sensor.channels] == ["cpu"]
    assert sensor.notes == ["intel-rapl:0:0 is left out: no permission to read it"]
    sensor.close()
    tree.close()


@pytest.mark.parametrize(("type_", "cpumask"), [("x", "0"), ("8", "")])
def test_perf_events_that_are_not_understood_are_absent(type_: str, cpumask: str, tmp_path: Path) -> None:
    pmu = tmp_path / "power"
    pmu.mkdir()
    (pmu / "type").write_text(f"{type_}\n")
    (pmu / "cpumask").write_text(f"{cpumask}\n")
    with pytest.raises(OSError, match="not understood"):
        open_perf_counters(pmu)
    with pytest.raises(SensorUnavailable):
        RaplSensor(SensorOptions(powercap=tmp_path / "none", perf_power=pmu))


def test_a_driver_that_cannot_count_its_gpus_is_a_sensor_that_is_absent(
    stub_nvml: StubNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> int:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_UNKNOWN)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", fail)
    with pytest.raises(SensorUnavailable, match="cannot count its GPUs"):
        NvmlSensor(SensorOptions())
    assert visible_gpus(("GPU-1",)) == ()


def test_rapl_masked_by_a_container(tmp_path: Path) -> None:
    (tmp_path / "powercap").mkdir()
    with pytest.raises(SensorUnavailable, match="holds no RAPL package zone") as caught:
        RaplSensor(SensorOptions(powercap=tmp_path / "powercap", perf_power=tmp_path / "none"))
    assert "container" in (caught.value.hint or "")


def test_rapl_dies_of_two_dies_in_a_package_are_told_apart(tmp_path: Path) -> None:
    zones = [
        Zone(key="intel-rapl:0", name="package-0-die-0", profile=PROFILES["steady"]),
        Zone(key="intel-rapl:1", name="package-0-die-1", profile=PROFILES["steady"]),
        Zone(key="intel-rapl:1:0", name="dram", profile=PROFILES["steady"]),
    ]
    tree = FakePowercap(tmp_path, zones)
    sensor = RaplSensor(SensorOptions(powercap=tree.powercap))
    names = [channel.device.name for channel in sensor.channels]
    assert names == ["CPU package 0 die 0", "CPU package 0 die 1", "DRAM of package 0 die 1"]
    assert all(channel.added for channel in sensor.channels)
    sensor.close()
    tree.close()


def test_rapl_is_read_before_a_counter_can_wrap_twice(tmp_path: Path) -> None:
    tree = FakePowercap(tmp_path, server_zones(PROFILES["steady"], dram=PROFILES["steady"]))
    sensor = RaplSensor(SensorOptions(powercap=tree.powercap))
    assert sensor.max_interval_s is not None
    shortest_wrap_s = min(zone.range_uj for zone in tree.zones.values()) * 1e-6 / PLAUSIBLE_POWER_W
    assert sensor.max_interval_s <= min(60.0, shortest_wrap_s / 2)
    sensor.close()
    tree.close()


def test_counter_at_the_instant_of_the_wrap_gains_no_lap_and_loses_none() -> None:
    counter = WrappingCounter(100.0)
    raw = [98.0, 100.0, 0.0, 0.0, 1.0, 99.999, 0.001]
    energies = [counter.unwrap(float(index), value) for index, value in enumerate(raw)]
    assert energies == pytest.approx([98.0, 100.0, 100.0, 100.0, 101.0, 199.999, 200.001])


def run_check(environment: dict[str, str]) -> str:
    command = [sys.executable, str(ROOT / "infer.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
    return done.stdout


def test_check_explains_a_machine_with_two_gpus_and_two_sockets(tmp_path: Path) -> None:
    tree = FakePowercap(tmp_path / "sys", server_zones(PROFILES["steady"], dram=PROFILES["steady"], sockets=2, psys=True))
    config = tmp_path / "gpus.txt"
    gpus = nvml_stub.write_config(config, [StubGpu(), StubGpu(unsupported=("energy",))])
    try:
        environment = nvml_stub.environment(config, {**os.environ, "MLEE_POWERCAP": str(tree.powercap)})
    except CompilerMissing as reason:
        pytest.skip(str(reason))
    text = run_check(environment)
    for expected in (
        f"gpu 0: NVIDIA H100 80GB HBM3 ({gpus[0].uuid}); energy counter in steps of 1.0 mJ",
        "note: GPU 1 (NVIDIA H100 80GB HBM3) has no energy counter: its power is integrated",
        "cpu 0: CPU package 0; energy counter in steps of 61 µJ",
        "cpu 1: CPU package 1",
        "dram 1: DRAM of package 1",
        "psys; energy counter in steps of 61 µJ, updated every 1.0 ms at most; recorded, not added",
        "GPU energy is measured; CPU energy is measured",
    ):
        assert expected in text
    tree.close()


def test_check_explains_a_machine_without_anything(tmp_path: Path) -> None:
    environment = {**os.environ, "MLEE_POWERCAP": str(tmp_path / "none")}
    text = run_check(environment)
    assert f"{tmp_path / 'none'} does not exist" in text
    assert "sudo modprobe intel_rapl_msr" in text
    assert "CPU energy is only estimated" in text


def test_monitor_command_measures_the_hardware_of_the_machine(tmp_path: Path) -> None:
    """End to end in real time: the command line, the real pynvml, a process that keeps the RAPL files up to date."""
    import json
    import time

    origin_s = time.monotonic()
    config, report = tmp_path / "gpus.txt", tmp_path / "energy.json"
    nvml_stub.write_config(config, [StubGpu(counter_period_s=0.02), StubGpu(lost_at_s=3.0)], origin_s=origin_s)
    tree = FakePowercap(tmp_path / "sys", server_zones(PROFILES["steady"], sockets=2), origin_s=origin_s)
    command = [sys.executable, "-m", "mlee.monitor", "--json", str(report), "--sensors", "nvml", "rapl"]
    command += ["--interval", "0.1", "--", "sleep", "4"]
    try:
        environment = nvml_stub.environment(config, {**os.environ, "MLEE_POWERCAP": str(tree.powercap)})
        with tree.live():
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    except CompilerMissing as reason:
        pytest.skip(str(reason))
    finally:
        tree.close()
    assert done.returncode == 0, done.stderr
    document = json.loads(report.read_text())
    gpu, lost, *packages = document["devices"]
    assert [package["kind"] for package in packages] == ["cpu", "cpu"]
    for energy in (gpu, *packages):  # 100 W each; loose, since this machine may be busy
        assert energy["energy_j"] == pytest.approx(100 * document["duration_s"], rel=0.05)
    assert lost["coverage"] < 0.95
    assert {"sensor-lost", "coverage"} <= {warning["code"] for warning in document["warnings"]}
    assert {energy["name"] for energy in document["not_added"]} == {
        f"{domain} of package {package}" for domain in ("core", "uncore") for package in (0, 1)
    }
