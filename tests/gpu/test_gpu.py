"""What only a real NVIDIA GPU can show; skipped elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mlee.backends.base import InferenceRequest
from mlee.errors import SensorUnavailable
from mlee.measuring import MeasuringOptions
from mlee.runner import run_inference
from mlee.sensors.base import SensorOptions
from mlee.sensors.nvml import NvmlSensor

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def _gpu() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("PyTorch sees no GPU")


def test_energy_counter_rises_and_agrees_with_the_power() -> None:
    import time

    try:
        sensor = NvmlSensor(SensorOptions())
    except SensorUnavailable as reason:
        pytest.skip(str(reason))
    first = sensor.read()[0]
    time.sleep(3)
    last = sensor.read()[0]
    sensor.close()
    assert first is not None
    assert last is not None
    if first.energy_j is None or last.energy_j is None or last.power_w is None:
        pytest.skip("this GPU has no energy counter")
    mean_w = (last.energy_j - first.energy_j) / (last.t_s - first.t_s)
    assert mean_w == pytest.approx(last.power_w, rel=0.5)


def test_inference_measures_the_gpu(tmp_path: Path) -> None:
    request = InferenceRequest(model="ResNet50", weights="random", data_path="synthetic:2048", batch_size=128)
    options = MeasuringOptions(output_dir=tmp_path, idle_seconds=2, repeats=2)
    result, _ = run_inference(request, "pytorch", options)
    assert result.config.device.startswith("cuda")
    assert result.platform.gpus
    for measurement in result.measurements:
        assert "gpu" in measurement.scope
        (gpu, *_) = [energy for energy in measurement.devices if energy.device.kind == "gpu"]
        assert gpu.energy_j is not None
        assert gpu.energy_j > 0
        assert gpu.provenance == "measured"


@pytest.mark.parametrize("backend", ["tensorflow", "onnx_pytorch", "onnx_tensorflow"])
def test_other_frameworks_use_and_measure_the_gpu(backend: str, tmp_path: Path) -> None:
    """In a process of their own, as always; skipped where their build has no CUDA."""
    options = ["--backend", backend, "--device", "cuda", "--infer-model", "MobileNetV2", "--weights", "random"]
    options += ["--data-path", "synthetic:1000", "--batch-size", "64", "--idle-seconds", "2", "--output-dir", str(tmp_path)]
    infer = Path(__file__).parents[2] / "infer.py"
    done = subprocess.run([sys.executable, infer, *options], capture_output=True, text=True, timeout=560, check=False)
    if done.returncode == 2 and ("finds no GPU" in done.stderr or "no CUDA provider" in done.stderr):
        pytest.skip(done.stderr.splitlines()[0])
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("*/result.json")
    result = json.loads(path.read_text(encoding="utf-8"))
    assert result["config"]["device"].startswith("cuda:0")
    assert (result["outcome"]["samples"], result["details"]["deterministic"]) == (1000, False)
    energies = [entry["energy_j"] for entry in result["measurements"][0]["devices"] if entry["device"]["kind"] == "gpu"]
    assert energies
    assert all(energy > 0 for energy in energies)
