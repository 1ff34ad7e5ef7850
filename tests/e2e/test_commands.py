"""Every command of README and docs is run, one after another as a reader would, in something like an empty clone.

Only what a command reads is made small: a data set of sixteen images in the place of ImageNet, one model for all,
random weights where they would be downloaded. Whatever a command is changed into is in `SMALLER`, and nothing else is.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlee.datasets.imagenet import wordnet_ids
from mlee.experiment import PROGRESS_FILE
from tests import builders
from tests.commands import PAGES, ROOT, commands

pytestmark = pytest.mark.slow

TIMEOUT_S = 400
#: A pattern in a command -> what stands in its place.
SMALLER = {
    r"/data/imagenet": "data/imagenet",
    r"--(infer-model|models) all\b": r"--\1 MobileNetV3Small",
    r"synthetic:(64|2048)": "synthetic:8",
    r"--batch-size 128": "--batch-size 4",
    r"ResNet50 ResNet101 EfficientNetB0": "MobileNetV3Small MobileNetV2",
    r"(train\.py .*--model) ResNet50": r"\1 ResNet18",
    r"--epochs 90": "--epochs 1",
    r"--repeats 3": "--repeats 1",
    r"--nproc_per_node=8": "--nproc_per_node=2",
    r"(--backend tensorflow --model \w+) --epochs 4": r"\1 --epochs 1 --n-batches 2",
    r"^(python train\.py --model ResNet18) --epochs 4": r"\1 --epochs 1",
    r"experiments/infer_\*$": "calibrating/infer_*",  # of simulated hardware: powers far enough apart for a line
    r"^(pip install) (?=-e)": r"\1 --dry-run --no-deps --no-build-isolation --quiet ",
    r"^(scripts/quickstart\.sh)": r"\1 --n-batches 1 --batch-size 4 --idle-seconds 0",
    r"^(python (infer|train)\.py(?!.*(--check|--resume)).*)": r"\1 --idle-seconds 0 --warmup-batches 1",
    # Weights that would be downloaded.
    r"^(python infer\.py(?!.*(--check|--weights|EfficientNetLite|experiments/)).*)": r"\1 --weights random",
    r"^(python -m mlee\.sweep(?!.*(--resume|--dry-run)).*)": r"\1 -- --weights random --idle-seconds 0",
}
#: The beginning of a command -> why it is not run here.
NOT_RUN = {
    "docker": "there may be no container engine",
    "sudo": "it changes the machine",
    "scripts/test.sh": "it is what runs this",
    "python -m mlee.sweep --models all --executor slurm": "tests/slurm runs it on a cluster",
}


class Clone:
    """A folder that looks like a clone in which the environment is made already."""

    def __init__(self, path: Path) -> None:
        """Link what is not written to, copy what is, and prepare the data that commands name."""
        self.path = path
        for name in ("mlee", "scripts", "deploy", "pyproject.toml", "requirements.txt", "README.md", "LICENSE"):
            (path / name).symlink_to(ROOT / name)
        for script in ROOT.glob("*.py"):
            (path / script.name).symlink_to(script)
        shutil.copytree(ROOT / "results", path / "results")
        _environment(path / ".venv")
        _imagenet(path / "data" / "imagenet")
        self.variables = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(path / "home"),
            "OMP_NUM_THREADS": "1",
            "BROWSER": "true",  # opens nothing
        }

    def run(self, command: str) -> None:
        """Run a command of a page, made small, to its end."""
        for beginning, prepare in PREPARED.items():
            if beginning in command:
                prepare(self)
        for pattern, replacement in SMALLER.items():
            command = re.sub(pattern, replacement, command)
        if "elex.py" in command:
            self._serve(command)
            return
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.path,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        for written in re.findall(r" (?:-o|--output|--json) (\S+)", command):
            assert (self.path / written).stat().st_size, f"{command} did not write {written}"

    def _serve(self, command: str) -> None:
        """Open the explorer's page, and stop it as a person would."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command} --port {port}"],
            cwd=self.path,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            assert "Energy" in _page(f"http://127.0.0.1:{port}/", process)
        finally:
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode in (0, 130), said


def _page(address: str, process: subprocess.Popen[str]) -> str:
    deadline_s = time.monotonic() + TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline_s:
        try:
            with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:
                return str(answer.read().decode())
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{address} does not answer")


def _environment(venv: Path) -> None:
    """Let .venv be the environment that runs the tests, installed for whatever scripts/environment.sh asks."""
    venv.mkdir()
    for entry in Path(sys.prefix).iterdir():
        if not entry.name.startswith(".installed-"):
            (venv / entry.name).symlink_to(entry)
    digest = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()[:16]
    asked = re.findall(r"^ensure_environment (\S+)", (ROOT / "scripts" / "quickstart.sh").read_text(), flags=re.MULTILINE)
    for extras in asked:
        (venv / f".installed-{extras}-{digest}").touch()


def _imagenet(folder: Path) -> None:
    """Sixteen images of two classes, to train on and to evaluate with."""
    draw = np.random.default_rng(0)
    for number in range(16):
        for split in ("train", "val"):
            place = folder / split / wordnet_ids()[number % 2]
            place.mkdir(parents=True, exist_ok=True)
            pixels = draw.integers(0, 255, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(place / f"{number}.JPEG")


def _records(clone: Clone) -> None:
    """Write a validation split as TensorFlow Datasets does; in a process of its own, since this one loads no framework."""
    folder = clone.path / "home" / "tensorflow_datasets" / "imagenet2012" / "5.1.0"
    folder.mkdir(parents=True)
    write = """
import sys
from pathlib import Path
import tensorflow as tf
feature = tf.train.Feature
with tf.io.TFRecordWriter(sys.argv[1]) as writer:
    for path in Path(sys.argv[2]).rglob("*.JPEG"):
        fields = {
            "image": feature(bytes_list=tf.train.BytesList(value=[path.read_bytes()])),
            "label": feature(int64_list=tf.train.Int64List(value=[7])),
        }
        writer.write(tf.train.Example(features=tf.train.Features(feature=fields)).SerializeToString())
"""
    shard = folder / "imagenet2012-validation.tfrecord-00000-of-00001"
    images = clone.path / "data" / "imagenet" / "val"
    subprocess.run([sys.executable, "-c", write, str(shard), str(images)], check=True, capture_output=True)


def _interrupted_training(clone: Clone) -> None:
    """Leave a training that was killed after its first epoch where the README resumes one."""
    command = [sys.executable, "train.py", "--backend", "simulated", "--model", "Small", "--data-path", "synthetic:256"]
    command += ["--epochs", "3", "--idle-seconds", "0", "--sensors", "simulated", "--output-dir", "interrupted"]
    process = subprocess.Popen(command, cwd=clone.path, env=clone.variables, stderr=subprocess.DEVNULL)
    deadline_s = time.monotonic() + TIMEOUT_S
    while not (found := list(clone.path.glob(f"interrupted/*/{PROGRESS_FILE}"))):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    process.kill()
    process.wait()
    (resumed,) = re.findall(r"--resume (experiments/\S+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    (clone.path / "experiments").mkdir(exist_ok=True)
    found[0].parent.rename(clone.path / resumed)


def _meter(clone: Clone) -> None:
    """Write a meter's log for everything that was run today, and for runs of three powers on a simulated machine."""
    rows = ["time,power_w"]
    for number in range(3):
        started_at = builders.STARTED_AT + timedelta(minutes=number)
        measured = builders.measurement(
            started_at=started_at, devices=(builders.device_energy(energy_j=1000.0 * (number + 1)), builders.cpu_energy())
        )
        builders.complete_folder(
            clone.path / "calibrating", f"infer_{number}", started_at=started_at, measurements=(measured,)
        )
        rows += [f"{started_at + timedelta(seconds=second):%F %T},{200 + 120 * number}" for second in range(-5, 20)]
    now = datetime.now(UTC)
    rows += [f"{now + timedelta(seconds=second):%F %T},250" for second in range(-7200, 60)]
    (clone.path / "meter.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


#: A part of a command -> what must be there before it.
PREPARED: dict[str, Callable[[Clone], None]] = {
    "~/tensorflow_datasets": _records,
    "train.py --resume": _interrupted_training,
    "merge_results.py --external-log meter.csv --force": _meter,
}


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.stem)
def test_every_command_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    tried = [command for command in commands(page) if not command.startswith(tuple(NOT_RUN))]
    for command in tried:
        clone.run(command)
    assert tried


def test_what_is_changed_or_not_run_is_still_there() -> None:
    everything = [command for page in PAGES for command in commands(page)]
    for pattern in SMALLER:
        assert any(re.search(pattern, command) for command in everything), f"{pattern} changes nothing any more"
    for beginning in (*NOT_RUN, *PREPARED):
        assert any(beginning in command for command in everything), f"no page has {beginning} any more"
