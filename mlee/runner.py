"""One inference run from request to result: the only place that joins backend, monitor and experiment folder."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from mlee.backends import inference_backend
from mlee.backends.base import InferenceBackend, InferenceRequest
from mlee.datasets import ImageList
from mlee.errors import ConfigError
from mlee.experiment import PREFIXES, ExperimentFolder
from mlee.measuring import Listener, MeasuringOptions, check_options, measure_idle, sensor_options, try_sensors, with_idle
from mlee.monitor import Monitor
from mlee.platform_info import execution_platform, visible_gpus
from mlee.records import InferenceConfig, Outcome, RunResult, Warning

#: Losses that differ by less may come from the order in which sums are made.
_SAME_LOSS = 1e-3

log = logging.getLogger(__name__)


def run_inference(
    request: InferenceRequest, backend_name: str, options: MeasuringOptions, listener: Listener | None = None
) -> tuple[RunResult, Path]:
    """Load a model, measure its passes over the data and write an experiment folder; return result and folder.

    Raises `MleeError` kinds for everything expected; the folder then stays without `result.json`.
    """
    listener = listener or Listener()
    started_at = datetime.now(UTC)
    backend_class = inference_backend(backend_name)
    check_options(options)
    listener.stage(f"loading {request.model}")
    backend = backend_class(request)
    try:
        _check_loaded(backend, options)
        folder = ExperimentFolder.create(options.output_dir, PREFIXES["inference"], started_at)
        with folder.logging():
            result = _measure(request, backend, options, folder, started_at, listener)
    finally:
        backend.close()
    return result, folder.path


def _check_loaded(backend: InferenceBackend, options: MeasuringOptions) -> None:
    """Refuse what could only be known with the model loaded, before a folder is made and time is spent."""
    if options.accuracy == "published" and backend.published_accuracy() is None:
        raise ConfigError(
            f"No accuracy is published for {backend.facts.name}.", "leave --accuracy published out for this model"
        )
    try_sensors(options.sensors, sensor_options(backend.resolved.device, backend.resolved.gpu_uuids, options))


def _measure(
    request: InferenceRequest,
    backend: InferenceBackend,
    options: MeasuringOptions,
    folder: ExperimentFolder,
    started_at: datetime,
    listener: Listener,
) -> RunResult:
    resolved = backend.resolved
    config = _config(request, backend, options)
    platform = execution_platform(visible_gpus(resolved.gpu_uuids))
    folder.write_start(config, platform)
    log.info("run %s: %s with %s on %s", folder.run_id, backend.facts.name, backend.name, resolved.device)
    with Monitor(
        options.sensors,
        gpu_interval_s=options.gpu_interval_s,
        cpu_interval_s=options.cpu_interval_s,
        folder=folder.path,
        options=sensor_options(backend.resolved.device, backend.resolved.gpu_uuids, options),
    ) as monitor:
        idle = measure_idle(monitor, options.idle_seconds, listener)
        listener.stage(f"warming up {backend.facts.name}")
        backend.warm_up(options.warmup_batches)
        outcomes: list[Outcome] = []
        for number in range(1, options.repeats + 1):
            listener.begin(resolved.samples, monitor.power_w, f"pass {number}")
            with monitor.window(f"repeat {number}"):
                outcomes.append(backend.evaluate(listener.progress))
            listener.end()
            log.info("repeat %d: %d samples", number, outcomes[-1].samples)
    windows = [monitor.measurements[f"repeat {number}"] for number in range(1, options.repeats + 1)]
    outcome, accuracy_warnings = _accuracy(outcomes[0], backend, options.accuracy)
    result = RunResult(
        run_id=folder.run_id,
        task="inference",
        started_at=started_at,
        config=config,
        platform=platform,
        model=backend.facts,
        dataset=backend.dataset.name,
        outcome=outcome,
        measurements=tuple(with_idle(window, idle) for window in windows),
        idle=idle,
        not_measured=monitor.missing(),
        sampler_cpu_s=monitor.sampler_cpu_s,
        warnings=tuple(
            dict.fromkeys([*monitor.warnings, *backend.warnings(), *accuracy_warnings, *_repeat_warnings(outcomes)])
        ),
        details=backend.details,
    )
    for warning in result.warnings:
        log.warning("%s: %s", warning.code, warning.message)
    folder.write_result(result)
    return result


def _config(request: InferenceRequest, backend: InferenceBackend, options: MeasuringOptions) -> InferenceConfig:
    resolved = backend.resolved
    return InferenceConfig(
        infer_model=request.model,
        backend=backend.name,
        data_path=request.data_path,
        n_batches=request.n_batches,
        batch_size=request.batch_size,
        global_batch_size=resolved.global_batch_size,
        eval_preprocessing=request.eval_preprocessing,
        seed=request.seed,
        sensors=options.sensors,
        gpu_monitor_interval=options.gpu_interval_s,
        cpu_monitor_interval=options.cpu_interval_s,
        repeats=options.repeats,
        idle_seconds=options.idle_seconds,
        warmup_batches=options.warmup_batches,
        weights=resolved.weights,
        device=resolved.device,
        precision=request.precision,
        compile=request.compile,
        workers=resolved.workers,
        image_size=resolved.image_size,
        accuracy=options.accuracy,
        skip_corrupt=request.skip_corrupt,
        cpu_watts=options.cpu_watts,
    )


def _accuracy(outcome: Outcome, backend: InferenceBackend, wanted: str) -> tuple[Outcome, list[Warning]]:
    """Replace the accuracy by the published one where the user asks for it, and warn of what accuracies do not mean."""
    if wanted != "published":
        dataset = backend.dataset
        if outcome.top1_accuracy is not None and isinstance(dataset, ImageList) and dataset.note:
            return outcome, [Warning(code="sample-accuracy", message=f"Accuracy on {dataset.name}: {dataset.note}.")]
        return outcome, []
    published = backend.published_accuracy()
    if published is None:
        return outcome, []  # refused before the run
    outcome = replace(
        outcome,
        top1_accuracy=published.top1,
        top5_accuracy=published.top5,
        accuracy_provenance="published",
        accuracy_source=published.source,
    )
    message = f"The accuracy is the published one ({published.source}), not measured in this run"
    if backend.resolved.weights == "random":
        message += ", which used random weights"
    return outcome, [Warning(code="published-accuracy", message=f"{message}.")]


def _repeat_warnings(outcomes: Sequence[Outcome]) -> list[Warning]:
    """Warn when repeats did not compute the same: hits are whole numbers, a loss is the sum of many rounded ones."""
    if len({(outcome.samples, outcome.top1_accuracy, outcome.top5_accuracy) for outcome in outcomes}) > 1:
        message = "The repeats classified images differently; the first is kept."
        return [Warning(code="not-repeatable", message=message)]
    losses = [outcome.loss for outcome in outcomes if outcome.loss is not None]
    if losses and not math.isclose(min(losses), max(losses), rel_tol=_SAME_LOSS):
        message = f"The loss of the repeats goes from {min(losses):.6g} to {max(losses):.6g}; the first is kept."
        return [Warning(code="not-repeatable", message=message)]
    return []
