"""One training from request to result: the only place that joins training backend, monitor and experiment folder.

Every epoch has two windows, `epoch N` for the pass over the training images and `validation N`. The energy of the
training is the sum of all windows; what happens between them (opening windows, writing checkpoints) is not part of it.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from mlee.backends import training_backend
from mlee.backends.training_base import TrainingBackend, TrainingRequest
from mlee.errors import ConfigError, DataError, ResultError
from mlee.experiment import PREFIXES, PROGRESS_FILE, RESULT_FILE, ExperimentFolder, load_config, load_platform
from mlee.files import write_atomically
from mlee.measuring import Listener, MeasuringOptions, check_options
from mlee.records import Measurement, RunResult
from mlee.training.early import should_stop
from mlee.training.schedule import learning_rate
from mlee.training.summing import one_after_the_other
from mlee.training_hosts import Hosts, Watched
from mlee.training_progress import CLASSES_FILE, TrainingProgress, next_part, read_progress, write_progress
from mlee.training_records import Epoch, TrainingOutcome
from mlee.training_result import collected_warnings, moved, training_config, training_result

log = logging.getLogger(__name__)


def run_training(
    request: TrainingRequest, backend_name: str, options: MeasuringOptions, listener: Listener | None = None
) -> tuple[RunResult | None, Path]:
    """Train a model, measure every epoch and write an experiment folder; return result and folder.

    The result is `None` in processes that do not lead their team. Raises `MleeError` kinds for everything expected; the
    folder then stays without `result.json`, and `resume_training` goes on with it once an epoch was finished.
    """
    check_options(options)
    return _run(request, backend_name, options, listener or Listener(), None, None)


def resumed_options(folder: Path) -> MeasuringOptions:
    """Return how a training was measured until now; raises `ResultError` where its folder does not say."""
    config = load_config(folder)
    return MeasuringOptions(
        sensors=config.sensors,
        gpu_interval_s=config.gpu_monitor_interval,
        cpu_interval_s=config.cpu_monitor_interval,
        idle_seconds=config.idle_seconds,
        warmup_batches=config.warmup_batches,
        cpu_watts=config.cpu_watts,
    )


def resume_training(
    folder: Path, options: MeasuringOptions, listener: Listener | None = None
) -> tuple[RunResult | None, Path]:
    """Go on with a training that was interrupted, from its last whole epoch; raises `ResultError` where that cannot be.

    `options` are `resumed_options(folder)`, unless another machine needs other sensors.
    """
    if (folder / RESULT_FILE).exists():
        raise ResultError(f"{folder} is complete: it has a {RESULT_FILE}.", "start another training without --resume")
    progress = read_progress(folder)
    check_options(replace(options, output_dir=folder))
    return _run(progress.request, progress.backend, options, listener or Listener(), folder, progress)


def _run(
    request: TrainingRequest,
    backend_name: str,
    options: MeasuringOptions,
    listener: Listener,
    path: Path | None,
    progress: TrainingProgress | None,
) -> tuple[RunResult | None, Path]:
    started_at = datetime.now(UTC)
    backend_class = training_backend(backend_name)
    listener.stage(f"loading {request.model}")
    backend = backend_class(request)
    try:
        if progress is not None and progress.global_batch_size != backend.resolved.global_batch_size:
            raise ConfigError(
                f"The training in {path} used {progress.global_batch_size} images in a batch of all GPUs; here they would "
                f"be {backend.resolved.global_batch_size}.",
                "resume it on as many GPUs or processes",
            )
        hosts = Hosts(backend.team, backend.resolved.device, backend.resolved.gpu_uuids, options)
        hosts.check_sensors()
        folder = ExperimentFolder(path or _make_folder(backend, options, started_at))
        listener.folder(folder.path)
        with _leading(folder) if backend.team.leads else nullcontext():
            result = _train(request, backend, options, folder, hosts, listener, progress, started_at)
        return result, folder.path
    finally:
        backend.close()


@contextmanager
def _leading(folder: ExperimentFolder) -> Iterator[None]:
    with folder.held(), folder.logging():
        yield


def _make_folder(backend: TrainingBackend, options: MeasuringOptions, started_at: datetime) -> Path:
    """Have the leader make the folder; all processes get its path."""
    made = None
    if backend.team.leads:
        made = ExperimentFolder.create(options.output_dir, PREFIXES["training"], started_at).path
    path = backend.team.share(made)
    assert path is not None
    return path


def _train(
    request: TrainingRequest,
    backend: TrainingBackend,
    options: MeasuringOptions,
    folder: ExperimentFolder,
    hosts: Hosts,
    listener: Listener,
    before: TrainingProgress | None,
    started_at: datetime,
) -> RunResult | None:
    leads, name = backend.team.leads, backend.facts.name
    config = training_config(request, backend, options, hosts.count)
    platform = hosts.platform()
    remarks = [] if before is None else moved(load_platform(folder.path), platform)
    if before is not None:
        backend.restore(folder.path / before.state_file)
        if leads:  # the process before may have been killed when it had written the state, and not yet these
            _keep_weights(backend, folder.path, before)
        log.info("run %s: resumed after epoch %d", folder.run_id, len(before.history))
    elif leads:
        folder.write_start(config, platform)
        write_atomically(folder.path / CLASSES_FILE, json.dumps(backend.classes) + "\n")
        log.info("run %s: training %s with %s on %s", folder.run_id, name, backend.name, backend.resolved.device)
    resumed = 0 if before is None else backend.team.share(next_part(folder.path))
    taken: Measurement | None = None  # by this process
    with hosts.monitor(folder, resumed) as watched:
        if before is None:
            idle = _idle(hosts, watched, options, listener)
            listener.stage(f"warming up {name}")
        else:
            idle = before.idle
        backend.warm_up(options.warmup_batches)
        progress = before
        if before is not None:  # said even where only the result was missing
            progress = replace(before, warnings=collected_warnings(before, remarks, backend), resumed=resumed)
        while not _ended(request, progress):
            epoch, measured = _run_epoch(request, backend, hosts, watched, listener, progress)
            taken = one_after_the_other(measured if taken is None else [taken, *measured])
            history = (epoch,) if progress is None else (*progress.history, epoch)
            progress = TrainingProgress(
                backend=backend.name,
                request=request,
                global_batch_size=backend.resolved.global_batch_size,
                started_at=started_at if before is None else before.started_at,
                history=history,
                measured=taken,
                idle=idle,
                sampler_cpu_s=hosts.sampler_cpu_s(watched) + (0.0 if before is None else before.sampler_cpu_s),
                warnings=collected_warnings(before, [*remarks, *hosts.warnings(watched)], backend),
                state_file=f"state_{epoch.number:03d}{backend.state_suffix}",
                resumed=resumed,
                earlier=() if before is None else before.stretches,
                machines=hosts.count,
            )
            if leads:
                _keep(backend, folder.path, progress)
            listener.epoch(epoch, request.epochs, estimated=progress.measured.provenance == "estimated")
        missing = hosts.missing(watched)
    assert progress is not None
    if not leads:
        return None
    result = training_result(folder.run_id, config, platform, backend, progress, missing)
    for warning in result.warnings:
        log.warning("%s: %s", warning.code, warning.message)
    folder.write_result(result)
    for path in (folder.path / PROGRESS_FILE, folder.path / progress.state_file):
        path.unlink(missing_ok=True)  # a complete training does not go on
    return result


def _idle(hosts: Hosts, watched: Watched, options: MeasuringOptions, listener: Listener) -> Measurement | None:
    """Measure the idle power of all machines; the processes that do not measure wait."""
    if options.idle_seconds == 0:
        return None
    listener.stage(f"measuring idle power for {options.idle_seconds:g} s")
    with hosts.window(watched, "idle"):
        if watched.monitor is not None:
            time.sleep(options.idle_seconds)
    return hosts.measured(watched, "idle")


def _ended(request: TrainingRequest, progress: TrainingProgress | None) -> bool:
    if progress is None:
        return False
    accuracies = [epoch.validation_top1_accuracy for epoch in progress.history]
    return len(accuracies) >= request.epochs or should_stop(
        accuracies, patience=request.early_patience, delta=request.early_delta
    )


def _run_epoch(
    request: TrainingRequest,
    backend: TrainingBackend,
    hosts: Hosts,
    watched: Watched,
    listener: Listener,
    progress: TrainingProgress | None,
) -> tuple[Epoch, list[Measurement]]:
    """Train and validate once; return the epoch and what its two windows took."""
    done = 0 if progress is None else len(progress.history)
    number = done + 1
    rate = learning_rate(
        request.lr_scheduler,
        done,
        lr=request.lr,
        epochs=request.epochs,
        step_size=request.lr_step_size,
        gamma=request.lr_gamma,
    )
    listener.begin(backend.resolved.samples, watched.power_w, f"epoch {number} of {request.epochs}")
    with hosts.window(watched, f"epoch {number}"):
        trained = backend.train_epoch(done, rate, listener.progress)
    listener.begin(backend.resolved.validation_samples, watched.power_w, f"validation {number} of {request.epochs}")
    with hosts.window(watched, f"validation {number}"):
        validated = backend.validate(listener.progress)
    listener.end()
    measured = [hosts.measured(watched, f"{window} {number}") for window in ("epoch", "validation")]
    epoch = Epoch(
        number=number,
        started_at=measured[0].started_at,
        learning_rate=rate,
        samples=trained.samples,
        loss=_known(trained.loss),
        top1_accuracy=_known(trained.top1_accuracy),
        top5_accuracy=_known(trained.top5_accuracy),
        duration_s=measured[0].duration_s,
        energy_j=measured[0].energy_j,
        validation_samples=validated.samples,
        validation_loss=_known(validated.loss),
        validation_top1_accuracy=_known(validated.top1_accuracy),
        validation_top5_accuracy=_known(validated.top5_accuracy),
        validation_duration_s=measured[1].duration_s,
        validation_energy_j=measured[1].energy_j,
    )
    log.info(
        "epoch %d: loss %.6g, validation loss %.6g, top-1 %.6g",
        number,
        epoch.loss,
        epoch.validation_loss,
        epoch.validation_top1_accuracy,
    )
    return epoch, measured


def _known(value: float | None) -> float:
    if value is None:
        raise DataError("The images for training and validation need exactly one label each.", "check --data-path")
    return value


def _keep(backend: TrainingBackend, folder: Path, progress: TrainingProgress) -> None:
    """Write state and weights; at every moment `progress.json` and the state it names fit together."""
    write_atomically(folder / progress.state_file, backend.state())
    write_progress(folder, progress)
    _keep_weights(backend, folder, progress)
    for path in folder.glob(f"state_*{backend.state_suffix}"):
        if path.name != progress.state_file:
            path.unlink(missing_ok=True)


def _keep_weights(backend: TrainingBackend, folder: Path, progress: TrainingProgress) -> None:
    weights = backend.weights()
    write_atomically(folder / f"weights_last{backend.weights_suffix}", weights)
    if TrainingOutcome(ended="epochs", history=progress.history).best is progress.history[-1]:
        write_atomically(folder / f"weights_best{backend.weights_suffix}", weights)
