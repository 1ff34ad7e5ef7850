"""The stub driver must show exactly what the Python truth says, through the real pynvml."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pynvml
import pytest

from mlee.sensors.profiles import PROFILES, PowerProfile
from tests.simulated import nvml_stub
from tests.simulated.compiling import CompilerMissing
from tests.simulated.nvml_stub import Failure, StubGpu, StubNvml, StubProcess

STEP = PowerProfile(((0, 100.0), (1.0, 100.0), (1.0, 300.0)))
TIMES_S = [0.0, 0.05, 0.1, 0.3, 0.7, 0.999, 1.0, 1.15, 2.5, 7.77, 19.99, 20.0, 33.3, 1234.5678]


def only_gpu(stub: StubNvml, gpu: StubGpu, **options: Any) -> tuple[StubGpu, Any]:
    (gpu,) = stub.configure([gpu], **options)
    pynvml.nvmlInit()
    return gpu, pynvml.nvmlDeviceGetHandleByIndex(0)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("origin_s", [0.0, 54321.987])
def test_counter_and_gauges_follow_the_truth_exactly(stub_nvml: StubNvml, profile: str, origin_s: float) -> None:
    gpu, handle = only_gpu(stub_nvml, StubGpu(profile=PROFILES[profile], counter_offset_s=0.013), origin_s=origin_s)
    for t_s in TIMES_S:
        stub_nvml.set_clock(origin_s + t_s)
        seen_s = (origin_s + t_s) - origin_s  # as the stub sees it, rounding included
        energy, average, instant = pynvml.nvmlDeviceGetFieldValues(handle, [83, (185, 0), 186])
        assert pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) == gpu.counter_mj(seen_s) == energy.value.ullVal
        assert pynvml.nvmlDeviceGetPowerUsage(handle) == gpu.gauge_mw(seen_s) == average.value.uiVal
        assert instant.value.uiVal == gpu.instant_mw(seen_s)


def test_counter_is_a_staircase_and_the_gauge_an_average(stub_nvml: StubNvml) -> None:
    _, handle = only_gpu(stub_nvml, StubGpu(profile=STEP, counter_period_s=0.02, counter_start_mj=5))

    def look(t_s: float) -> tuple[int, int, int]:
        stub_nvml.set_clock(t_s)
        instant = pynvml.nvmlDeviceGetFieldValues(handle, [pynvml.NVML_FI_DEV_POWER_INSTANT])[0].value.uiVal
        return pynvml.nvmlDeviceGetTotalEnergyConsumption(handle), pynvml.nvmlDeviceGetPowerUsage(handle), instant

    assert look(0.0199) == (5, 100_000, 100_000)
    assert look(0.02) == (2005, 100_000, 100_000)
    assert look(0.0399) == (2005, 100_000, 100_000)
    assert look(1.0) == (100_005, 100_000, 300_000)
    assert look(1.5) == (250_005, 200_000, 300_000)
    assert look(1.599) == (274_005, 200_000, 300_000)
    assert look(3.0) == (700_005, 300_000, 300_000)


def test_real_clock_is_monotonic_time(stub_nvml: StubNvml) -> None:
    origin_s = time.monotonic()
    gpu, handle = only_gpu(stub_nvml, StubGpu(counter_period_s=0.0), origin_s=origin_s)
    stub_nvml.use_real_clock()
    before = gpu.counter_mj(time.monotonic() - origin_s)
    seen = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    assert before <= seen <= gpu.counter_mj(time.monotonic() - origin_s)


def test_unsupported_fields_leave_the_others(stub_nvml: StubNvml) -> None:
    gpu = StubGpu(unsupported=("energy", "instant_power", "temperature"))
    _, handle = only_gpu(stub_nvml, gpu)
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    for name in ("nvmlDeviceGetTemperature", "nvmlDeviceGetTemperatureV"):
        if hasattr(pynvml, name):  # the second is missing from older versions of nvidia-ml-py
            with pytest.raises(pynvml.NVMLError_NotSupported):
                getattr(pynvml, name)(handle, pynvml.NVML_TEMPERATURE_GPU)
    results = [value.nvmlReturn for value in pynvml.nvmlDeviceGetFieldValues(handle, [83, 186, 185, 999])]
    assert results == [3, 3, 0, 3]
    assert pynvml.nvmlDeviceGetPowerUsage(handle) == 100_000
    assert pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM) == 1980
    assert pynvml.nvmlDeviceGetEnforcedPowerLimit(handle) == 700_000
    assert pynvml.nvmlDeviceGetUtilizationRates(handle).gpu == 75
    assert pynvml.nvmlDeviceGetMemoryInfo(handle).used == 4 << 30
    assert pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2).total == 80 << 30


def test_unknown_field_is_refused() -> None:
    with pytest.raises(ValueError, match="temprature"):
        StubGpu(unsupported=("temprature",))


def test_lost_gpu_fails_every_call_from_then_on(stub_nvml: StubNvml) -> None:
    stub_nvml.configure([StubGpu(lost_at_s=5.0), StubGpu()])
    pynvml.nvmlInit()
    lost, other = (pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(2))
    stub_nvml.set_clock(4.999)
    assert pynvml.nvmlDeviceGetPowerUsage(lost) == 100_000
    stub_nvml.set_clock(5.0)
    for call in (
        pynvml.nvmlDeviceGetTotalEnergyConsumption,
        pynvml.nvmlDeviceGetName,
        lambda handle: pynvml.nvmlDeviceGetFieldValues(handle, [186]),
        lambda _: pynvml.nvmlDeviceGetHandleByIndex(0),
    ):
        with pytest.raises(pynvml.NVMLError_GpuIsLost):
            call(lost)
    assert pynvml.nvmlDeviceGetPowerUsage(other) == 100_000


def test_reset_starts_the_counter_again(stub_nvml: StubNvml) -> None:
    gpu, handle = only_gpu(stub_nvml, StubGpu(reset_at_s=10.05))
    seen = []
    for t_s in (10.0, 10.04, 10.05, 10.1, 11.1):
        stub_nvml.set_clock(t_s)
        seen.append(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle))
        assert seen[-1] == gpu.counter_mj(t_s)
    assert seen == [124_456_789, 124_456_789, 0, 5000, 105_000]


def test_failures_may_pass(stub_nvml: StubNvml) -> None:
    _, handle = only_gpu(stub_nvml, StubGpu(failures=(Failure("power", nvml_stub.TIMEOUT, 1.0, 2.0),)))
    stub_nvml.set_clock(1.5)
    with pytest.raises(pynvml.NVMLError_Timeout):
        pynvml.nvmlDeviceGetPowerUsage(handle)
    stub_nvml.set_clock(2.0)
    assert pynvml.nvmlDeviceGetPowerUsage(handle) == 100_000


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (nvml_stub.DRIVER_NOT_LOADED, pynvml.NVMLError_DriverNotLoaded),
        (nvml_stub.NO_PERMISSION, pynvml.NVMLError_NoPermission),
        (nvml_stub.LIB_RM_VERSION_MISMATCH, pynvml.NVMLError_LibRmVersionMismatch),
    ],
)
def test_init_fails_as_told(stub_nvml: StubNvml, code: int, error: type[Exception]) -> None:
    stub_nvml.configure([StubGpu()], init_error=code)
    with pytest.raises(error):
        pynvml.nvmlInit()
    with pytest.raises(pynvml.NVMLError_Uninitialized):
        pynvml.nvmlDeviceGetCount()


def test_a_new_configuration_counts_from_the_next_first_init(stub_nvml: StubNvml) -> None:
    for number in (1, 2, 0):
        stub_nvml.configure([StubGpu()] * number)
        pynvml.nvmlInit()
        assert pynvml.nvmlDeviceGetCount() == number
        pynvml.nvmlShutdown()


def test_gpus_are_found_by_uuid_and_pci_address(stub_nvml: StubNvml) -> None:
    denied = StubGpu(name="denied", failures=(Failure("handle", nvml_stub.NO_PERMISSION),))
    _, second, _ = stub_nvml.configure([StubGpu(), StubGpu(name="NVIDIA A100", pci="00000000:C1:00.0"), denied])
    pynvml.nvmlInit()
    for handle in (
        pynvml.nvmlDeviceGetHandleByUUID(second.uuid),
        pynvml.nvmlDeviceGetHandleByPciBusId("0000:c1:00.0"),
    ):
        assert pynvml.nvmlDeviceGetIndex(handle) == 1
        assert pynvml.nvmlDeviceGetName(handle) == "NVIDIA A100"
        assert pynvml.nvmlDeviceGetPciInfo(handle).busId == "00000000:C1:00.0"
    with pytest.raises(pynvml.NVMLError_NotFound):
        pynvml.nvmlDeviceGetHandleByUUID("GPU-none")
    with pytest.raises(pynvml.NVMLError_NoPermission):
        pynvml.nvmlDeviceGetHandleByIndex(2)
    assert pynvml.nvmlSystemGetDriverVersion() == "550.54.15"
    assert pynvml.nvmlSystemGetCudaDriverVersion() == 12040


def test_mig_slices_belong_to_a_gpu_and_are_not_measured(stub_nvml: StubNvml) -> None:
    stub_nvml.configure([StubGpu(mig=("MIG-a", "MIG-b")), StubGpu(), StubGpu(mig=None)])
    pynvml.nvmlInit()
    cut, whole, old = (pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(3))
    assert pynvml.nvmlDeviceGetMigMode(cut) == [1, 1]
    assert pynvml.nvmlDeviceGetMigMode(whole) == [0, 0]
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetMigMode(old)
    assert pynvml.nvmlDeviceGetMaxMigDeviceCount(cut) == 7
    with pytest.raises(pynvml.NVMLError_NotFound):
        pynvml.nvmlDeviceGetMigDeviceHandleByIndex(cut, 2)
    piece = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(cut, 1)
    assert pynvml.nvmlDeviceGetUUID(piece) == "MIG-b"
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetTotalEnergyConsumption(piece)
    parent = pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(pynvml.nvmlDeviceGetHandleByUUID("MIG-b"))
    assert pynvml.nvmlDeviceGetIndex(parent) == 0
    assert pynvml.nvmlDeviceGetTotalEnergyConsumption(parent) == 123_456_789


def test_processes_are_listed(stub_nvml: StubNvml) -> None:
    gpu = StubGpu(processes=tuple(StubProcess(pid, 7 << 20, 40) for pid in (11, 12, 13)))
    _, handle = only_gpu(stub_nvml, gpu)
    running = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    assert [(process.pid, process.usedGpuMemory) for process in running] == [(p, 7 << 20) for p in (11, 12, 13)]
    assert pynvml.nvmlDeviceGetGraphicsRunningProcesses(handle) == []
    assert [sample.smUtil for sample in pynvml.nvmlDeviceGetProcessUtilization(handle, 0)] == [40, 40, 40]


def test_calls_are_counted_and_may_cost_time(stub_nvml: StubNvml) -> None:
    _, handle = only_gpu(stub_nvml, StubGpu(call_cost_us=2000))
    calls, cpu_s = stub_nvml.calls(), time.thread_time()
    for _ in range(5):
        pynvml.nvmlDeviceGetPowerUsage(handle)
    assert stub_nvml.calls() == calls + 5
    assert time.thread_time() > cpu_s


def test_pynvml_is_given_back(tmp_path: Path) -> None:
    before = pynvml.nvmlLib
    try:
        with nvml_stub.installed(tmp_path):
            assert pynvml.nvmlLib is not before
    except CompilerMissing as reason:
        pytest.skip(str(reason))
    assert pynvml.nvmlLib is before
    assert nvml_stub.CONFIG_VARIABLE not in os.environ


def test_subprocess_loads_the_stub_by_its_name(tmp_path: Path) -> None:
    nvml_stub.write_config(tmp_path / "config", [StubGpu(name="Über GPU")], origin_s=time.monotonic())
    code = "import pynvml as n; n.nvmlInit(); print(ascii(n.nvmlDeviceGetName(n.nvmlDeviceGetHandleByIndex(0))))"
    try:
        env = nvml_stub.environment(tmp_path / "config")
    except CompilerMissing as reason:
        pytest.skip(str(reason))
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "'\\xdcber GPU'\n"
