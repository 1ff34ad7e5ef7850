"""What a training says of itself at its end: options after defaults are resolved, remarks, and the result."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mlee.backends.training_base import TrainingBackend, TrainingRequest
from mlee.measuring import MeasuringOptions, with_idle
from mlee.platform_info import machine, same_machine
from mlee.records import DeviceKind, ExecutionPlatform, RunResult, Warning
from mlee.training.stretches import partly_measured, whole
from mlee.training_progress import TrainingProgress
from mlee.training_records import TrainingConfig, TrainingOutcome

#: A number in a message, but for that of a device.
_NUMBER = re.compile(r"(?<![\d.])(?<!GPU )(?<!package )\d[\d.]*")

_KINDS: dict[DeviceKind, str] = {"gpu": "GPU", "cpu": "CPU", "dram": "memory (DRAM)", "system": "whole machine"}


def training_result(
    run_id: str,
    config: TrainingConfig,
    platform: ExecutionPlatform,
    backend: TrainingBackend,
    progress: TrainingProgress,
    not_measured: Mapping[str, str],
) -> RunResult:
    """Make the result of a training whose last epoch is done."""
    return RunResult(
        run_id=run_id,
        task="training",
        started_at=progress.started_at,
        config=config,
        platform=platform,
        model=backend.facts,
        dataset=backend.dataset,
        outcome=TrainingOutcome(
            ended="epochs" if len(progress.history) == config.epochs else "early", history=progress.history
        ),
        measurements=(with_idle(whole(progress.stretches), progress.idle),),
        idle=progress.idle,
        not_measured=dict(not_measured),
        sampler_cpu_s=progress.sampler_cpu_s,
        warnings=(*progress.warnings, *_partly_measured(progress)),
        details={**backend.details, "resumed": progress.resumed},
    )


def _partly_measured(progress: TrainingProgress) -> list[Warning]:
    """Warn of devices that some processes measured and others did not: counted at the end, when all epochs are."""
    warnings = []
    for kind, epochs in partly_measured(progress.stretches).items():
        message = (
            f"The {_KINDS[kind]} was measured in {epochs} of {len(progress.history)} epochs only: "
            "neither its energy nor that of the whole training is known."
        )
        warnings.append(Warning(code="coverage", message=message))
    return warnings


def collected_warnings(
    before: TrainingProgress | None, found: Sequence[Warning], backend: TrainingBackend
) -> tuple[Warning, ...]:
    """Return all remarks, of each kind the first: the windows of hundreds of epochs repeat them with other numbers."""
    earlier: list[Warning] = []
    if before is not None:
        message = (
            f"The training was interrupted after epoch {len(before.history)} and resumed: "
            "what an epoch that was cut off had taken is not counted."
        )
        earlier = [*before.warnings, Warning(code="resumed", message=message)]
    kinds: dict[tuple[str, str], Warning] = {}
    for warning in (*earlier, *found, *backend.warnings()):
        message = warning.message if warning.code in ("moved", "resumed") else _NUMBER.sub("0", warning.message)
        kinds.setdefault((warning.code, message), warning)
    return tuple(kinds.values())


def moved(began: ExecutionPlatform | None, here: ExecutionPlatform) -> list[Warning]:
    """Warn of a training that goes on on another machine than it began on."""
    if began is None or same_machine(began, here):
        return []
    message = (
        f"The training began on {machine(began)} and went on on {machine(here)}: its time and energy are those of "
        "both machines."
    )
    return [Warning(code="moved", message=message)]


def training_config(
    request: TrainingRequest, backend: TrainingBackend, options: MeasuringOptions, hosts: int
) -> TrainingConfig:
    """Write down every option as it was resolved."""
    resolved = backend.resolved
    return TrainingConfig(
        model=request.model,
        backend=backend.name,
        data_path=request.data_path,
        n_batches=request.n_batches,
        batch_size=request.batch_size,
        global_batch_size=resolved.global_batch_size,
        epochs=request.epochs,
        early_patience=request.early_patience,
        early_delta=request.early_delta,
        opt=request.opt,
        opt_decy=request.opt_decy,
        lr=request.lr,
        momentum=request.momentum,
        weight_decay=request.weight_decay,
        lr_scheduler=request.lr_scheduler,
        lr_step_size=request.lr_step_size,
        lr_gamma=request.lr_gamma,
        preprocessing=request.preprocessing,
        auto_augment=request.auto_augment,
        random_erase=request.random_erase,
        interpolation=resolved.interpolation,
        batch_norm_momentum=resolved.batch_norm_momentum,
        seed=request.seed,
        sensors=options.sensors,
        gpu_monitor_interval=options.gpu_interval_s,
        cpu_monitor_interval=options.cpu_interval_s,
        idle_seconds=options.idle_seconds,
        warmup_batches=options.warmup_batches,
        device=resolved.device,
        precision=request.precision,
        compile=request.compile,
        workers=resolved.workers,
        image_size=resolved.image_size,
        classes=resolved.classes,
        processes=backend.team.size,
        hosts=hosts,
        cpu_watts=options.cpu_watts,
    )
