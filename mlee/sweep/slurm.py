"""Running a study on a Slurm cluster, one job a run, through submitit (a job array)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mlee.errors import ConfigError
from mlee.sweep.plan import Run
from mlee.sweep.running import run_one
from mlee.sweep.study import Ended, Study

#: Pause between two looks at the jobs [s].
_POLL_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmOptions:
    """Where jobs run. A node is theirs alone unless `shared`: energy is measured for whole machines."""

    shared: bool = False
    partition: str | None = None
    account: str | None = None
    constraint: str | None = None
    minutes: int | None = None
    gpus: int | None = None
    cpus: int | None = None
    max_parallel: int = 1


def run_on_slurm(study: Study, runs: Sequence[Run], options: SlurmOptions) -> Iterator[tuple[Run, Ended]]:
    """Submit runs as one array and yield each with how it ended, as they end.

    Jobs that are left are cancelled when the caller stops. Raises `ConfigError` where submitit or Slurm is missing.
    """
    try:
        import submitit
    except ImportError as error:
        raise ConfigError("--executor slurm needs submitit.", 'run `pip install -e ".[sweep]"`') from error
    try:
        executor: Any = submitit.SlurmExecutor(folder=study.folder / "slurm")
    except RuntimeError as error:
        raise ConfigError(f"Slurm cannot be used here: {error}", "run this on a machine that has sbatch") from error
    executor.update_parameters(**_parameters(options))
    try:
        jobs = executor.map_array(run_one, [str(study.folder.resolve())] * len(runs), runs)
    except (RuntimeError, OSError) as error:
        said = " ".join(str(error).split())
        raise ConfigError(f"Slurm takes no jobs: {said}", "check --partition, --account, --time and the like") from error
    pending = dict(zip(jobs, runs, strict=True))
    try:
        while pending:
            for job in [job for job in pending if job.done()]:
                run = pending.pop(job)
                yield run, _end(study, run, job)
            if pending:
                time.sleep(_POLL_S)
    finally:
        for job in pending:
            job.cancel(check=False)


def _parameters(options: SlurmOptions) -> dict[str, Any]:
    """Return submitit's parameters: None of them is written into the batch script."""
    more: dict[str, Any] = {}
    if options.account is not None:
        more["account"] = options.account
    parameters: dict[str, Any] = {
        "job_name": "mlee",
        "array_parallelism": options.max_parallel,
        "partition": options.partition,
        "constraint": options.constraint,
        "time": options.minutes,
        "gpus_per_node": options.gpus,
        "cpus_per_task": options.cpus,
        "exclusive": None if options.shared else True,
        "additional_parameters": more or None,
    }
    return {name: value for name, value in parameters.items() if value is not None}


def _end(study: Study, run: Run, job: Any) -> Ended:
    """Return how the run ended, which is written down here for a job that could not do so.

    A job may fail whose run is complete or goes on: killed after its end, or beside a job of an earlier submission. Such a
    run keeps its record.
    """
    try:
        found: Ended = job.result()
    except Exception as error:  # noqa: BLE001 - submitit raises what the job raised, or one of its own kinds for a job that was killed
        reason = f"job {job.job_id}: {type(error).__name__}: {str(error).strip()[:300]}"
        found = Ended(seconds=0.0, reason=reason)
        try:
            with study.locked_run(run):
                recorded = study.ended(run)
                if recorded is None or not recorded.complete:
                    study.write_end(run, found)
        except ConfigError as going_on:
            recorded, found = study.ended(run), Ended(seconds=0.0, reason=str(going_on))
        if recorded is not None and recorded.complete:
            return recorded
    return found
