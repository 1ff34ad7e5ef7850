"""Trainings in processes of their own: killed, interrupted, resumed, and spread over several of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlee.experiment import PROGRESS_FILE, load_result
from mlee.records import RunResult
from mlee.results.verify import verify
from mlee.training_progress import read_progress
from mlee.training_records import TrainingOutcome

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 240
TRAIN = [sys.executable, str(ROOT / "train.py")]
QUICK = [
    *("--sensors", "simulated", "process", "--cpu-monitor-interval", "0.05", "--idle-seconds", "0"),
    *("--warmup-batches", "0", "--seed", "5", "--epochs", "3"),
]
SIMULATED = ["--backend", "simulated", "--model", "Small", "--data-path", "synthetic:256"]
PYTORCH = [
    *("--model", "squeezenet1_1", "--batch-size", "16", "--n-batches", "4", "--image-size", "32", "--lr", "0.01"),
    *("--device", "cpu", "--workers", "0", "--opt", "adamw", "--random-erase", "0.3"),
]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [*TRAIN, *QUICK, "--output-dir", str(folder), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=ENVIRONMENT)


def wait_for_epoch(folder: Path, number: int) -> Path:
    """Wait until an epoch is written down; return the training's folder."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline_s:
        for path in folder.glob(f"train_*/{PROGRESS_FILE}"):
            if len(read_progress(path.parent).history) >= number:
                return path.parent
        time.sleep(0.01)
    raise AssertionError(f"epoch {number} did not end")


def learnt(result: RunResult) -> list[tuple[float, ...]]:
    assert isinstance(result.outcome, TrainingOutcome)
    return [
        (epoch.learning_rate, epoch.loss, epoch.top1_accuracy, epoch.validation_loss, epoch.validation_top1_accuracy)
        for epoch in result.outcome.history
    ]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_training_that_ends_too_early_goes_on(end: signal.Signals, tmp_path: Path) -> None:
    process = start(tmp_path, *SIMULATED)
    folder = wait_for_epoch(tmp_path, 1)
    process.send_signal(end)
    _, err = process.communicate(timeout=TIMEOUT_S)
    if end != signal.SIGKILL:
        assert process.returncode == 130
        assert folder.name in err.replace("\n", "")
        assert "--resume" in err
    merged = run(sys.executable, str(ROOT / "merge_results.py"), "--directory", str(tmp_path))
    assert merged.returncode == 1
    assert "is incomplete" in merged.stdout
    done = run(*TRAIN, "--resume", str(folder), "--sensors", "simulated", "process")
    assert done.returncode == 0, done.stderr
    result = load_result(folder)
    verify(folder, result)
    whole = run(*TRAIN, *QUICK, *SIMULATED, "--output-dir", str(tmp_path / "whole"), "--quiet")
    assert learnt(result) == learnt(load_result(Path(whole.stdout.strip())))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["pytorch", "tensorflow"])
def test_killed_after_its_second_epoch_and_resumed_it_ends_with_the_same_history(backend: str, tmp_path: Path) -> None:
    options = [*PYTORCH, "--backend", backend]
    if backend == "tensorflow":
        options += ["--model", "MobileNet"]
    whole = run(*TRAIN, *QUICK, *options, "--output-dir", str(tmp_path / "whole"), "--quiet")
    assert whole.returncode == 0, whole.stderr
    process = start(tmp_path / "cut", *options, "--epochs", "3")
    folder = wait_for_epoch(tmp_path / "cut", 2)
    process.kill()
    process.communicate(timeout=TIMEOUT_S)
    done = run(*TRAIN, "--resume", str(folder), "--sensors", "simulated", "process")
    assert done.returncode == 0, done.stderr
    assert learnt(load_result(folder)) == learnt(load_result(Path(whole.stdout.strip())))


@pytest.mark.slow
def test_two_processes_train_one_model_and_their_machine_is_counted_once(tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    options = [*PYTORCH, "--batch-size", "8"]
    done = run(*torchrun, *TRAIN[1:], *QUICK, *options, "--output-dir", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.glob("train_*")
    result = load_result(folder)
    verify(folder, result)
    config = result.config
    assert (config.batch_size, config.global_batch_size) == (8, 16)
    assert isinstance(result.outcome, TrainingOutcome)
    assert [epoch.samples for epoch in result.outcome.history] == [64, 64, 64]
    assert [epoch.validation_samples for epoch in result.outcome.history] == [64, 64, 64]
    # The simulated device takes 100 W: two monitors would have counted it twice.
    (whole,) = result.measurements
    assert len(whole.devices) == 1
    assert whole.energy_j == pytest.approx(100 * whole.duration_s, rel=0.01)
    assert not [warning for warning in result.warnings if warning.code != "short-run"]
    assert len(list(folder.glob("**/trace_simulated.csv"))) == 1
    # The two see what one process would see with batches of 16: the same order, the same images.
    alone = run(*TRAIN, *QUICK, *PYTORCH, "--output-dir", str(tmp_path / "alone"), "--quiet")
    assert alone.returncode == 0, alone.stderr
    one = load_result(Path(alone.stdout.strip())).outcome
    assert isinstance(one, TrainingOutcome)
    for mine, theirs in zip(result.outcome.history, one.history, strict=True):
        assert mine.loss == pytest.approx(theirs.loss, rel=0.2)  # dropout draws other numbers in each process
    # Interrupted and resumed as a team.
    resumed = run(*torchrun, *TRAIN[1:], "--resume", str(folder))
    assert "is complete" in resumed.stderr
