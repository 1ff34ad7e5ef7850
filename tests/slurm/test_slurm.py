"""Studies on a real Slurm of one node, from Debian's packages, without systemd."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlee.experiment import load_result
from mlee.sweep.study import Study
from tests.commands import PAGES, commands

pytest.importorskip("submitit")

ROOT = Path(__file__).parents[2]
WAIT_S = 60
MISSING = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if shutil.which(name) is None]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"Slurm is not installed: {', '.join(MISSING)} (apt install slurm-wlm munge)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="starting Slurm's daemons needs root"),
]

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldTimeout=30
SlurmdTimeout=30
GresTypes=gpu
NodeName={host} CPUs={cpus} Gres=gpu:1 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=YES
PartitionName=gpu Nodes=ALL MaxTime=INFINITE State=UP OverSubscribe=YES
"""
#: A GPU that can be asked for; nobody opens it.
RESOURCES = "Name=gpu File=/dev/null\n"


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def start_munge() -> None:
    """Start munged as its user, unless it runs already."""
    if subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode == 0:
        return
    run = Path("/run/munge")
    run.mkdir(exist_ok=True)
    shutil.chown(run, "munge", "munge")
    subprocess.run(["runuser", "-u", "munge", "--", "munged", "--force"], check=True, capture_output=True)


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which sbatch finds a cluster of this one machine."""
    folder = tmp_path_factory.mktemp("slurm")
    host = socket.gethostname().split(".")[0]
    controller, node = free_ports(2)
    configuration = folder / "slurm.conf"
    configuration.write_text(
        CONFIGURATION.format(host=host, controller=controller, node=node, folder=folder, cpus=os.cpu_count())
    )
    (folder / "gres.conf").write_text(RESOURCES)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    environment = {**os.environ, "SLURM_CONF": str(configuration)}
    start_munge()
    daemons = [
        subprocess.Popen([*command, "-D", "-f", str(configuration)], env=environment, stderr=subprocess.DEVNULL)
        for command in (["slurmctld"], ["slurmd", "-N", host])
    ]
    try:
        deadline_s = time.monotonic() + WAIT_S
        while True:
            found = subprocess.run(["sinfo", "-h", "-o", "%T"], env=environment, capture_output=True, text=True, check=False)
            if found.stdout.strip() == "idle":
                break
            logs = "".join(path.read_text() for path in folder.glob("*.log"))
            assert time.monotonic() < deadline_s, f"Slurm did not start: {found.stdout}{found.stderr}\n{logs}"
            time.sleep(0.2)
        yield environment
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            daemon.wait(timeout=WAIT_S)


def test_the_command_of_the_docs(slurm: dict[str, str], tmp_path: Path) -> None:
    (command,) = [line for page in PAGES for line in commands(page) if "--executor slurm" in line]
    options = shlex.split(command.removeprefix("python -m mlee.sweep "))
    assert options[:2] == ["--models", "all"]
    options[options.index("--data-path") + 1] = "synthetic:40"
    options[:2] = ["--models", "Tiny", "Small", "--backends", "simulated"]
    done = sweep(slurm, tmp_path / "study", *options, "--", "--idle-seconds", "0", "--sensors", "simulated")
    assert done.returncode == 0, done.stdout + done.stderr
    (script,) = (tmp_path / "study" / "slurm").glob("*submission_file_*.sh")
    # No more jobs at a time than there are.
    assert {"#SBATCH --partition=gpu", "#SBATCH --time=120", "#SBATCH --array=0-1%2"} <= set(script.read_text().splitlines())


def sweep(environment: dict[str, str], folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mlee.sweep", "--executor", "slurm", "--output-dir", str(folder), *options]
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=4 * WAIT_S, check=False
    )


def test_a_study_runs_as_an_array_of_jobs_that_have_their_nodes_alone(slurm: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "study"
    done = sweep(
        slurm,
        folder,
        *("--models", "Tiny", "Small", "Failing", "--backends", "simulated", "--repeats", "2", "--time", "5", "--seed", "3"),
        *("--data-path", "synthetic:40", "--", "--idle-seconds", "0", "--warmup-batches", "0", "--sensors", "simulated"),
    )
    assert done.returncode == 1, done.stdout + done.stderr  # two runs fail, as they are made to
    assert "4 of 6 runs are complete" in done.stdout
    assert done.stdout.count("failed in its second batch") == 4  # as they end, and in the list
    study = Study.open(folder)
    ended = [study.ended(run) for run in study.plan.runs]
    folders = [folder / end.folder for end in ended if end is not None and end.folder is not None]
    assert sorted(load_result(path).model.name for path in folders) == ["Small", "Small", "Tiny", "Tiny"]
    (script,) = (folder / "slurm").glob("*submission_file_*.sh")
    batch = script.read_text()
    assert "#SBATCH --exclusive" in batch
    assert "#SBATCH --array=0-5%1" in batch
    assert "#SBATCH --time=5" in batch


def test_a_study_goes_on_without_repeating_complete_runs(slurm: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "study"
    options = ["--models", "Tiny", "Small", "--backends", "simulated", "--data-path", "synthetic:40"]
    more = ["--", "--idle-seconds", "0", "--sensors", "simulated"]
    first = sweep(slurm, folder, *options, "--shared-nodes", *more)
    assert first.returncode == 0, first.stdout + first.stderr
    (script,) = (folder / "slurm").glob("*submission_file_*.sh")
    assert "--exclusive" not in script.read_text()
    gone = next(folder.glob("infer_*"))
    shutil.rmtree(gone)
    again = sweep(slurm, folder, "--resume")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "1 of 2 runs are complete" in again.stdout
    assert len(list(folder.glob("infer_*"))) == 2


def test_a_run_that_another_job_does_is_neither_repeated_nor_written_down_as_failed(
    slurm: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    options = ["--models", "Tiny", "--backends", "simulated", "--data-path", "synthetic:40"]
    first = sweep(slurm, folder, *options, "--", "--idle-seconds", "0", "--sensors", "simulated")
    assert first.returncode == 0, first.stdout + first.stderr
    study = Study.open(folder)
    (run,) = study.plan.runs
    record = study.record(run).with_suffix(".json")
    kept = record.read_bytes()
    record.unlink()
    study.record(run).with_suffix(".out").unlink()  # as if the run had just begun
    with study.locked_run(run):
        again = sweep(slurm, folder, "--resume")
        assert again.returncode == 1, again.stdout + again.stderr
        assert "is going on already" in again.stdout
        assert not record.exists()
        record.write_bytes(kept)
    third = sweep(slurm, folder, "--resume")
    assert "1 of 1 runs are complete" in third.stdout
    assert len(list(folder.glob("infer_*"))) == 1
