"""Running one run of a study in a process of its own: what the machine at hand and the nodes of a cluster do alike."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import mlee
from mlee.errors import ConfigError
from mlee.experiment import PROGRESS_FILE, RESULT_FILE
from mlee.records import Task
from mlee.sweep.plan import Run, command_options
from mlee.sweep.study import Ended, Study, said_folder

_SCRIPTS: dict[Task, str] = {"inference": "infer.py", "training": "train.py"}
#: The last lines of what a run said that make the reason of its failure.
_REASON_LINES = 3
#: How long a run that was interrupted may take to close its files before it is asked again [s].
_GRACE_S = 10.0


def script(task: Task) -> Path:
    """Return the path of `infer.py` or `train.py`; raises `ConfigError` where only the package is installed."""
    path = Path(mlee.__file__).resolve().parents[1] / _SCRIPTS[task]
    if not path.is_file():
        raise ConfigError(f"{path} is not there.", "install mlee from its folder: pip install -e .")
    return path


def known_models(task: Task, backend: str) -> tuple[str, ...]:
    """List the models of a backend, in a process of its own: none here loads two frameworks; raises `ConfigError`."""
    command = [sys.executable, str(script(task)), "--list-models", "--backend", backend]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(
            f"Backend {backend} cannot be used: {_reason(done.stderr)}", f"python {_SCRIPTS[task]} --backend {backend}"
        )
    return tuple(done.stdout.split())


def run_one(folder: str, run: Run, lock: int | None = None) -> Ended:
    """Run a run of the study in `folder` to its end and write down how it ended.

    `lock` is a descriptor it inherits; without one (in a job of a cluster) it holds a lock of its own, and a run that
    another job has completed meanwhile is not repeated. Raises `ConfigError` where another process runs it.
    """
    study = Study.open(Path(folder))
    if lock is not None:
        return _run_one(study, run, lock)
    with study.locked_run(run):
        ended = study.ended(run)
        return ended if ended is not None and ended.complete else _run_one(study, run, None)


def _run_one(study: Study, run: Run, lock: int | None) -> Ended:
    record = study.record(run)
    begun = _begun_training(study, run)
    if begun is None:
        options = command_options(run, study.plan.options, str(study.folder))
    else:
        options = ["--resume", str(study.folder / begun), "--quiet"]
    progress_before = None if begun is None else _progress(study, begun)
    # How it ended before must not hide how it ends now, whoever is killed meanwhile.
    record.with_suffix(".json").unlink(missing_ok=True)
    command = [sys.executable, str(script(run.task)), *options]
    started_s = time.monotonic()
    with open(record.with_suffix(".out"), "w", encoding="utf-8") as out, open(record.with_suffix(".log"), "wb") as log:
        if begun is not None:  # it may be killed again before it says so itself
            out.write(f"{study.folder / begun}\n")
            out.flush()
        process = subprocess.Popen(command, stdout=out, stderr=log, pass_fds=() if lock is None else (lock,))
        try:
            code = process.wait()
        except BaseException:
            # Ctrl-C in a terminal reaches both, other signals only this one: the run is told when it goes on.
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_S)
            if process.poll() is None:
                process.terminate()
            process.wait()
            raise
    seconds = time.monotonic() - started_s
    went_on = begun is not None
    made = said_folder(record.with_suffix(".out"))
    if code == 0 and made is not None and (study.folder / made / RESULT_FILE).is_file():
        ended = Ended(seconds=seconds, folder=made, went_on=went_on)
    else:
        said = record.with_suffix(".log").read_text(encoding="utf-8", errors="replace")
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        reason = _reason(said) or how
        if begun is not None and code > 0 and _progress(study, begun) == progress_before:
            # Another number of GPUs, say, or a damaged state: it would fail in the same way for ever.
            record.with_suffix(".out").unlink(missing_ok=True)
            reason += f" {begun} stays as it is, the next attempt begins anew."
        ended = Ended(seconds=seconds, reason=reason, went_on=went_on)
    study.write_end(run, ended)
    return ended


def _begun_training(study: Study, run: Run) -> str | None:
    """Return the folder of a training that was cut off and can go on."""
    said = said_folder(study.record(run).with_suffix(".out"))
    return said if run.task == "training" and said and (study.folder / said / PROGRESS_FILE).is_file() else None


def _progress(study: Study, folder: str) -> bytes | None:
    try:
        return (study.folder / folder / PROGRESS_FILE).read_bytes()
    except OSError:
        return None


def _reason(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    expected = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return expected[-1] if expected else " / ".join(lines[-_REASON_LINES:])
