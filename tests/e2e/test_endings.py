"""However a run ends, nothing hangs, what was measured is on disk, and merging copes."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlee.experiment import RESULT_FILE
from mlee.traces import read_trace

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 60
INFER = [sys.executable, str(ROOT / "infer.py"), "--backend", "simulated", "--idle-seconds", "0.2"]
SENSORS = ["--sensors", "simulated:square", "process", "--cpu-monitor-interval", "0.02"]


def merge(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "merge_results.py"), "--directory", str(folder)]
    command += ["--output-agglog-dir", str(folder / "merged")]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    command = [*INFER, *SENSORS, "--output-dir", str(folder), "--infer-model", "Small", "--data-path", "synthetic:2000"]
    return subprocess.Popen([*command, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(folder: Path, name: str) -> Path:
    """Wait until a file of that name appears below `folder`; return it."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline_s:
        found = list(folder.glob(f"*/{name}"))
        if found:
            return found[0]
        time.sleep(0.02)
    raise AssertionError(f"{name} did not appear")


def only_run(folder: Path) -> Path:
    (run,) = folder.glob("infer_*")
    return run


@pytest.mark.parametrize("seed", range(4))
def test_sigkill_at_a_random_moment(tmp_path: Path, seed: int) -> None:
    process = start(tmp_path)
    wait_for(tmp_path, "phases.csv")
    time.sleep(random.Random(seed).uniform(0.0, 3.0))
    process.kill()
    process.communicate(timeout=TIMEOUT_S)
    run = only_run(tmp_path)
    merged = merge(tmp_path)
    assert "Traceback" not in merged.stderr
    assert merged.returncode == 1
    assert f"{run.name} is incomplete: killed, or still running" in " ".join(merged.stdout.split())
    assert not (run / RESULT_FILE).exists()
    for path in run.glob("trace_*.csv"):
        trace = read_trace(path)
        assert trace.traces  # the header at least, and every reading older than a second
    assert json.loads((run / "config.json").read_text())["infer_model"] == "Small"


def test_killed_run_has_its_readings_on_disk(tmp_path: Path) -> None:
    process = start(tmp_path)
    phases = wait_for(tmp_path, "phases.csv")
    deadline_s = time.monotonic() + TIMEOUT_S
    while "open,repeat 1" not in phases.read_text() and time.monotonic() < deadline_s:
        time.sleep(0.02)
    time.sleep(2.0)  # twice the time after which readings must be with the operating system
    process.kill()
    process.communicate(timeout=TIMEOUT_S)
    trace = read_trace(only_run(tmp_path) / "trace_simulated.csv").traces["simulated"]
    assert trace.t_s[-1] - trace.t_s[0] > 1.0
    assert "during 'repeat 1'" in " ".join(merge(tmp_path).stdout.split())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_a_readable_folder(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path)
    wait_for(tmp_path, "phases.csv")
    time.sleep(0.7)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130
    assert "interrupted" in stderr
    assert "Traceback" not in stderr
    run = only_run(tmp_path)
    assert not (run / RESULT_FILE).exists()
    assert len(read_trace(run / "trace_simulated.csv").traces["simulated"].t_s) > 1
    assert "ended by KeyboardInterrupt" in " ".join(merge(tmp_path).stdout.split())


def test_exception_in_the_model_ends_only_that_model(tmp_path: Path) -> None:
    command = [*INFER, *SENSORS, "--output-dir", str(tmp_path), "--data-path", "synthetic:100"]
    done = subprocess.run(
        [*command, "--infer-model", "Failing", "Tiny"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 1
    assert "error: The model Failing failed" in done.stderr
    assert "Traceback" not in done.stderr
    merged = merge(tmp_path)
    assert merged.returncode == 1
    text = " ".join(merged.stdout.split())
    assert "1 of 2 runs merged" in text
    assert "ended by BackendError: The model Failing failed" in text


def test_full_disk(tmp_path: Path) -> None:
    """In a file system of 64 KB the traces end, the run goes on to its end, and says that its result has no place."""
    disk = tmp_path / "disk"
    disk.mkdir()
    infer = [*INFER, "--sensors", "simulated", "process", "--cpu-monitor-interval", "0.001", "--output-dir", str(disk)]
    infer += ["--infer-model", "Small", "--data-path", "synthetic:1500"]
    script = (
        f"mount -t tmpfs -o size=64k tmpfs {disk} && {' '.join(infer)}; echo infer ended with $?; "
        f"ls {disk}/infer_*; {sys.executable} {ROOT / 'merge_results.py'} --directory {disk} "
        f"--output-agglog-dir {tmp_path / 'merged'}; echo merge ended with $?"
    )
    if shutil.which("unshare") is None:
        pytest.skip("unshare (util-linux) is not installed")
    probe = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", str(disk)], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip("this machine does not let us mount a small file system")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    output = " ".join((done.stdout + done.stderr).split())
    assert "infer ended with 1" in output
    assert "cannot be written: No space left on device" in output
    assert "trace_process.csv" in output
    assert "result.json" not in done.stdout.partition("merge ended")[0].splitlines()
    assert "merge ended with 1" in output
    assert "Traceback" not in output


def test_finished_run_merges(tmp_path: Path) -> None:
    process = start(tmp_path, "--n-batches", "2")
    process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0
    merged = merge(tmp_path)
    assert merged.returncode == 0
    assert "1 of 1 runs merged" in " ".join(merged.stdout.split())
    assert (tmp_path / "merged" / f"{only_run(tmp_path).name}.json").is_file()


def test_output_that_nobody_reads_is_no_error(tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} {ROOT / 'infer.py'} --backend simulated --list-models | head -1; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable=shutil.which("bash") or "/bin/bash",
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert done.returncode == 0
    assert done.stderr == ""
