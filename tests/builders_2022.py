"""Merged results in the format of 2022, with every field that the published ones have."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]

_START = 1646325701.5
_OFFSET_S = 3600.0  # those monitors noted local time as if it were UTC


def _spread(mean: float) -> dict[str, float]:
    return {"min": 0.5 * mean, "max": 1.5 * mean, "mean": mean, "std": 0.1 * mean}


def _times(duration_s: float) -> Document:
    return {
        "start_unix": _START + _OFFSET_S,
        "end_unix": _START + _OFFSET_S + duration_s,
        "start_utc": "2022-03-03 17:41:41",
        "end_utc": "2022-03-03 17:43:51",
        "total_duration": duration_s,
        "nr_measurements": 648,
    }


def _monitor(device: Document, energy_j: float, duration_s: float, name: str = "0") -> Document:
    times = _times(duration_s)
    return {name: {**times, **device, "total_power_draw": energy_j}, "total": {**times, "total_power_draw": energy_j}}


def _monitoring(gpu_j: float | None, cpu_j: float | None, dram_w: float, duration_s: float) -> Document:
    fields = ("temperature", "util.gpu", "util.memory", "power_usage", "memory.used", "memory.free")
    gpu = {name: _spread(100.0) for name in fields}
    cpu = {"duration": _spread(0.2), "package-0": _spread(70.0), "package-0.dram": _spread(dram_w)}
    process = {name: _spread(100.0) for name in ("cpu_num", "cpu_percent", "mem_rss", "mem_vms", "mem_uss", "mem_pss")}
    return {
        "monitoring_pynvml": None if gpu_j is None else _monitor(gpu, gpu_j, duration_s),
        "monitoring_pyrapl": None if cpu_j is None else _monitor(cpu, cpu_j, duration_s),
        "monitoring_psutil": _monitor(process, -1, duration_s, "145178"),
    }


def _head(run_id: str, config: Document) -> Document:
    return {
        "directory_name": run_id,
        "config": {
            "backend": "pytorch",
            "data_path": "/data/imagenet",
            "n_batches": -1,
            "batch_size": 32,
            "output_dir": "/data/results",
            "gpu_monitor_interval": 0.2,
            "cpu_monitor_interval": 0.2,
            "seed": 3402316470,
            **config,
            "timestamp": "2022_03_03_17_36_02",
        },
        "execution_platform": {
            "System": "Linux",
            "Node Name": "node",
            "Release": "5.4.0-100-generic",
            "Version": "#113-Ubuntu SMP",
            "Machine": "x86_64",
            "Processor": "Intel(R) Xeon(R) W-2155 CPU @ 3.30GHz",
            "Physical cores": 10,
            "Total cores": 20,
            "Max Frequency": 4500.0,
            "Min Frequency": 1200.0,
            "Current Frequency": 1210.306,
            "Total": 67102937088,
            "Available": 63788711936,
            "Used": 2562928640,
            "GPU": {"0": {"Name": "Quadro RTX 5000", "Memory": 16125.0, "UUID": "GPU-2f200d01"}},
        },
        "requirements": ["# 3.8.12 (default, Oct 12 2021, 13:49:34)", "numpy==1.22.2", "torch==1.10.2+cu113"],
    }


def inference(
    run_id: str = "infer_2022_03_03_17_36_02",
    model: str = "VGG16",
    *,
    gpu_j: float | None = 28_000.0,
    cpu_j: float | None = 9_000.0,
    dram_w: float = 7.0,
    duration_s: float = 125.0,
    **fields: Any,
) -> Document:
    """A merged inference run: 50,000 images assumed; DRAM energy = 7 W x 125 s = 875 J."""
    nothing = {"monitoring_pynvml": None, "monitoring_pyrapl": None, "monitoring_psutil": None, "results": None}
    return {
        **_head(run_id, {"infer_model": model, "eval_preprocessing": "builtin", "model": model}),
        "train": {**nothing, "duration": 2827399.7},
        "validation": {
            **_monitoring(gpu_j, cpu_j, dram_w, duration_s),
            "results": {
                "metrics": {"loss": 1.15, "accuracy": 0.715, "top_5_accuracy": 0.905},
                "start": _START,
                "end": _START + duration_s,
                "model": {"params": 138357544, "fsize": 553440325, "flops": 15503523304.0},
            },
            "duration": duration_s,
        },
        **fields,
    }


def training(
    run_id: str = "train_2022_03_10_16_29_33",
    model: str = "VGG16",
    *,
    gpu_j: float | None = 18_000_000.0,
    cpu_j: float | None = 2_500_000.0,
    dram_w: float = 5.0,
    duration_s: float = 90_000.0,
    epochs: int = 10,
    **fields: Any,
) -> Document:
    """A merged training run; DRAM energy = 5 W x 90,000 s = 450 kJ."""
    names = ("timestamp", "loss", "accuracy", "top_5_accuracy", "val_loss", "val_accuracy", "val_top_5_accuracy", "lr")
    options = {"epochs": epochs, "opt": "sgd", "lr": 0.01, "momentum": 0.9, "auto_augment": None, "random_erase": 0.0}
    return {
        **_head(run_id, {"model": model, **options}),
        **_monitoring(gpu_j, cpu_j, dram_w, duration_s),
        "results": {
            "start": _START,
            "end": _START + duration_s,
            "history": {name: [0.5 + 0.01 * epoch for epoch in range(epochs)] for name in names},
            "model": {"params": 138357544, "fsize": 553491600, "flops": 15480105912},
        },
        "duration": duration_s,
        **fields,
    }
