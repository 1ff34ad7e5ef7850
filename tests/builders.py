"""Records for tests: complete and valid, each field replaceable."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlee.experiment import ExperimentFolder
from mlee.records import (
    Device,
    DeviceEnergy,
    ExecutionPlatform,
    Gpu,
    InferenceConfig,
    Measurement,
    ModelFacts,
    Outcome,
    RunResult,
    Warning,
)
from mlee.results import store
from mlee.training_records import Epoch, TrainingConfig

STARTED_AT = datetime(2026, 11, 23, 15, 4, 5, tzinfo=UTC)
RUN_ID = "infer_2026_11_23_15_04_05"


def device(**fields: Any) -> Device:
    return Device(**{"kind": "gpu", "index": 0, "name": "NVIDIA Test", "uuid": "GPU-1", **fields})


def device_energy(**fields: Any) -> DeviceEnergy:
    defaults: dict[str, Any] = {
        "device": device(),
        "sensor": "nvml",
        "energy_j": 1000.0,
        "energy_uncertainty_j": 2.0,
        "mean_power_w": 100.0,
        "max_power_w": 150.0,
        "readings": 50,
        "coverage": 1.0,
        "method": "counter",
        "provenance": "measured",
        "integral_j": 990.0,
    }
    return DeviceEnergy(**{**defaults, **fields})


def cpu_energy(**fields: Any) -> DeviceEnergy:
    cpu = device(kind="cpu", name="package-0", uuid=None)
    return device_energy(**{"device": cpu, "sensor": "rapl", "energy_j": 500.0, "integral_j": None, **fields})


def measurement(**fields: Any) -> Measurement:
    defaults: dict[str, Any] = {
        "duration_s": 10.0,
        "started_at": STARTED_AT,
        "devices": (device_energy(), cpu_energy()),
        "not_added": (cpu_energy(device=device(kind="cpu", name="core", uuid=None), energy_j=300.0),),
        "idle_power_w": 60.0,
    }
    return Measurement(**{**defaults, **fields})


def config(**fields: Any) -> InferenceConfig:
    defaults: dict[str, Any] = {
        "infer_model": "ResNet50",
        "backend": "pytorch",
        "data_path": "sample",
        "n_batches": None,
        "batch_size": 32,
        "global_batch_size": 64,
        "eval_preprocessing": "builtin",
        "seed": 7,
        "sensors": ("auto",),
        "gpu_monitor_interval": 0.2,
        "cpu_monitor_interval": 0.2,
        "repeats": 1,
        "idle_seconds": 5.0,
        "warmup_batches": 3,
        "weights": "random",
        "device": "cuda:0,cuda:1",
        "precision": "fp32",
        "compile": False,
        "workers": 0,
        "image_size": 224,
        "accuracy": "measured",
        "skip_corrupt": False,
    }
    return InferenceConfig(**{**defaults, **fields})


def platform(**fields: Any) -> ExecutionPlatform:
    defaults: dict[str, Any] = {
        "os": "Linux 6.1",
        "host": "node1",
        "cpu_name": "Test CPU",
        "physical_cores": 8,
        "logical_cpus": 16,
        "memory_bytes": 64 * 10**9,
        "gpus": (Gpu(index=0, name="NVIDIA Test", uuid="GPU-1", memory_bytes=8 * 10**9, power_limit_w=300.0),),
        "packages": {"python": "3.11.7", "numpy": "2.0.0"},
    }
    return ExecutionPlatform(**{**defaults, **fields})


def run_result(**fields: Any) -> RunResult:
    defaults: dict[str, Any] = {
        "run_id": RUN_ID,
        "task": "inference",
        "started_at": STARTED_AT,
        "config": config(),
        "platform": platform(),
        "model": ModelFacts(
            name="ResNet50",
            parameters=25_557_032,
            macs=4_089_000_000,
            macs_method="counted",
            weights_bytes=102_000_000,
            weights="random",
        ),
        "dataset": "sample",
        "outcome": Outcome(
            samples=96,
            loss=1.25,
            top1_accuracy=0.75,
            top5_accuracy=0.875,
            accuracy_provenance="measured",
            accuracy_source="sample",
        ),
        "measurements": (measurement(),),
        "idle": measurement(duration_s=5.0, idle_power_w=None),
        "not_measured": {"rapl": "not readable (sudo chmod)"},
        "sampler_cpu_s": 0.05,
        "warnings": (Warning(code="short-run", message="The window is short: µ ± 5 %."),),
        "details": {"threads": 4, "cuda": None, "compiled": False, "share": 0.5, "interpolation": "bilinear"},
    }
    return RunResult(**{**defaults, **fields})


def complete_folder(parent: Path, run_id: str = RUN_ID, **fields: Any) -> Path:
    """An experiment folder of a finished run, with a trace and a log."""
    folder = parent / run_id
    folder.mkdir(parents=True)
    result = replace(run_result(**fields), run_id=run_id)
    experiment = ExperimentFolder(folder)
    experiment.write_start(result.config, result.platform)
    (folder / "trace_nvml.csv").write_text("# not opened by the merger\n")
    (folder / "log.txt").write_text("2026-11-23 15:04:05,000 INFO run\n")
    experiment.write_result(result)
    return folder


def incomplete_folder(parent: Path, run_id: str) -> Path:
    """An experiment folder whose run was killed in its first repeat."""
    folder = parent / run_id
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("2026-11-23 15:04:05,000 INFO run\n")
    (folder / "phases.csv").write_text("t_s,event,phase\n1.0,open,repeat 1\n")
    return folder


def document(**fields: Any) -> str:
    """A valid result file's text."""
    return store.to_json(run_result(**fields))


def training_config(**fields: Any) -> TrainingConfig:
    defaults: dict[str, Any] = {
        "model": "ResNet50",
        "backend": "pytorch",
        "data_path": "/data/imagenet",
        "n_batches": None,
        "batch_size": 32,
        "global_batch_size": 64,
        "epochs": 10,
        "early_patience": 50,
        "early_delta": 0.01,
        "opt": "sgd",
        "opt_decy": 0.9,
        "lr": 0.1,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "lr_scheduler": "steplr",
        "lr_step_size": 30.0,
        "lr_gamma": 0.1,
        "preprocessing": "builtin",
        "auto_augment": None,
        "random_erase": 0.0,
        "interpolation": "bilinear",
        "batch_norm_momentum": 0.1,
        "seed": 7,
        "sensors": ("auto",),
        "gpu_monitor_interval": 1.0,
        "cpu_monitor_interval": 1.0,
        "idle_seconds": 5.0,
        "warmup_batches": 3,
        "device": "cuda x2",
        "precision": "fp32",
        "compile": False,
        "workers": 4,
        "image_size": 224,
        "classes": 1000,
        "processes": 2,
        "hosts": 1,
    }
    return TrainingConfig(**{**defaults, **fields})


def epoch(**fields: Any) -> Epoch:
    defaults: dict[str, Any] = {
        "number": 1,
        "started_at": STARTED_AT,
        "learning_rate": 0.1,
        "samples": 1000,
        "loss": 1.0,
        "top1_accuracy": 0.1,
        "top5_accuracy": 0.2,
        "duration_s": 80.0,
        "energy_j": 800.0,
        "validation_samples": 100,
        "validation_loss": 1.0,
        "validation_top1_accuracy": 0.3,
        "validation_top5_accuracy": 0.4,
        "validation_duration_s": 20.0,
        "validation_energy_j": 200.0,
    }
    return Epoch(**{**defaults, **fields})
