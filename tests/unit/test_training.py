"""Training without a framework: rates, stopping, sums, what survives an interruption, and the command line."""

from __future__ import annotations

import json
import math
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlee import training_runner
from mlee.backends.simulated_training import SimulatedTraining
from mlee.backends.training_base import TrainingRequest, batch_norm_momentum, epoch_size, pooled, shuffled
from mlee.cli import common, train
from mlee.datasets.training import open_training_data
from mlee.errors import BackendError, ConfigError, DataError, ResultError
from mlee.experiment import PLATFORM_FILE, PROGRESS_FILE, ExperimentFolder, load_result
from mlee.measuring import MeasuringOptions
from mlee.records import Device, DeviceEnergy, Outcome, RunResult, Warning
from mlee.results import store
from mlee.results.limits import check_limits
from mlee.results.load import load
from mlee.results.merge import MergeOptions, merge
from mlee.results.verify import verify
from mlee.trained_folder import trained_model
from mlee.training.early import should_stop
from mlee.training.schedule import learning_rate
from mlee.training.stretches import Stretch, partly_measured, whole
from mlee.training.summing import one_after_the_other, side_by_side
from mlee.training_progress import read_progress
from mlee.training_records import TrainingOutcome
from mlee.training_result import collected_warnings, moved
from mlee.training_runner import resume_training, run_training
from tests import builders

REQUEST = TrainingRequest(model="Tiny", data_path="synthetic:64", batch_size=16, epochs=3)


def options(folder: Path, **fields: Any) -> MeasuringOptions:
    defaults: dict[str, Any] = {
        "output_dir": folder,
        "sensors": ("simulated", "process"),
        "cpu_interval_s": 0.02,
        "idle_seconds": 0.05,
        "warmup_batches": 0,
    }
    return MeasuringOptions(**{**defaults, **fields})


def finished(folder: Path, **fields: Any) -> tuple[RunResult, Path]:
    result, path = run_training(replace(REQUEST, **fields), "simulated", options(folder))
    assert result is not None
    return result, path


@pytest.mark.parametrize(
    ("scheduler", "rates"),
    [
        ("constant", [0.1] * 13),
        ("exponentiallr", [0.1 * 0.5**epoch for epoch in range(13)]),
        ("steplr", [0.1 * 0.5**step for step in (0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5)]),
        ("cosineannealinglr", [0.05 * (1 + math.cos(math.pi * epoch / 13)) for epoch in range(13)]),
    ],
)
def test_learning_rates(scheduler: str, rates: list[float]) -> None:
    found = [
        learning_rate(scheduler, epoch, lr=0.1, epochs=13, step_size=2.4, gamma=0.5) for epoch in range(13)
    ]  # steps of 2.4 epochs begin in the epochs 3, 5, 8, 10 and 12
    assert found == pytest.approx(rates)


def test_an_unknown_scheduler_is_refused() -> None:
    with pytest.raises(ConfigError, match="Unknown --lr-scheduler 'plateau'"):
        learning_rate("plateau", 0, lr=0.1, epochs=1, step_size=1, gamma=1)


@pytest.mark.parametrize(
    ("accuracies", "patience", "delta", "stops"),
    [
        ([], 2, 0.0, False),
        ([0.5], 1, 0.0, False),
        ([0.5, 0.5], 1, 0.0, True),
        ([0.5, 0.51, 0.51], 2, 0.0, False),
        ([0.5, 0.51, 0.52, 0.505], 3, 0.1, True),  # each is better than the one before, none by enough
        ([0.5, 0.4, 0.3, 0.2], 0, 0.0, False),
        ([0.5, 0.4, 0.6, 0.5], 2, 0.0, False),
    ],
)
def test_early_stopping(accuracies: list[float], patience: int, delta: float, stops: bool) -> None:
    assert should_stop(accuracies, patience=patience, delta=delta) is stops


def test_batch_norm_momentum_is_the_models_own_where_an_epoch_is_long_enough() -> None:
    assert batch_norm_momentum(None, 0.01, 40_000) == 0.01
    assert batch_norm_momentum(None, 0.01, 42) == 0.1
    assert batch_norm_momentum(None, 0.1, 1) == 0.1
    assert batch_norm_momentum(None, 0.5, 1) == 0.5
    assert batch_norm_momentum(0.3, 0.01, 42) == 0.3


def test_an_epoch_has_whole_batches_only() -> None:
    assert epoch_size(100, 32, None) == (3, 96)
    assert epoch_size(100, 32, 2) == (2, 64)
    assert epoch_size(100, 32, 9) == (3, 96)
    with pytest.raises(ConfigError, match="A batch of 101 images"):
        epoch_size(100, 101, None)


@given(images=st.integers(1, 200), seed=st.integers(0, 2**63 - 1), epoch=st.integers(0, 1000))
def test_the_order_of_an_epoch_holds_every_image_once_and_depends_on_seed_and_epoch_alone(
    images: int, seed: int, epoch: int
) -> None:
    order = shuffled(images, seed, epoch)
    assert sorted(order) == list(range(images))
    assert np.array_equal(order, shuffled(images, seed, epoch))


def test_outcomes_of_a_team_are_weighted_by_samples() -> None:
    parts = [
        Outcome(samples=1, loss=4.0, top1_accuracy=1.0, top5_accuracy=1.0),
        Outcome(samples=3, loss=2.0, top1_accuracy=0.0, top5_accuracy=1 / 3),
    ]
    assert pooled(parts) == Outcome(samples=4, loss=2.5, top1_accuracy=0.25, top5_accuracy=0.5)
    assert pooled([parts[0], Outcome(samples=1)]).loss is None


def test_windows_add_up() -> None:
    cpu = builders.cpu_energy(energy_j=50.0, energy_uncertainty_j=1.0, mean_power_w=10.0, max_power_w=12.0)
    gpu = builders.device_energy(energy_j=500.0, energy_uncertainty_j=5.0, mean_power_w=200.0, coverage=0.5)
    first = builders.measurement(duration_s=5.0, devices=(gpu, cpu), not_added=(), idle_power_w=None)
    later = replace(cpu, energy_j=150.0, readings=7, max_power_w=20.0)
    lost = builders.measurement(duration_s=15.0, devices=(later,), not_added=(), idle_power_w=None)
    whole = one_after_the_other([first, lost])
    assert (whole.duration_s, whole.started_at, whole.energy_j) == (20.0, first.started_at, 700.0)
    found_gpu, found_cpu = whole.devices
    assert (found_cpu.energy_j, found_cpu.max_power_w, found_cpu.mean_power_w) == (200.0, 20.0, 10.0)
    assert (found_cpu.coverage, found_cpu.readings) == (1.0, cpu.readings + 7)
    # Lost after a quarter of the time, of which half was covered: what it may have taken since is uncertain.
    assert (found_gpu.energy_j, found_gpu.coverage) == (500.0, 0.125)
    assert found_gpu.mean_power_w == 200.0
    assert found_gpu.energy_uncertainty_j == 5.0 + 15.0 * 200.0


def _stretch(*energies: DeviceEnergy, epochs: int = 1, machines: int = 1) -> Stretch:
    measured = builders.measurement(duration_s=36.0, devices=energies, not_added=(), idle_power_w=None)
    return Stretch(measured=measured, epochs=epochs, machines=machines)


def _gpu(name: str = "A100", uuid: str = "GPU-a", **fields: Any) -> DeviceEnergy:
    device = builders.device(name=name, uuid=uuid)
    return builders.device_energy(
        **{"device": device, "energy_j": 3600.0, "mean_power_w": 100.0, "energy_uncertainty_j": 10.0, **fields}
    )


@pytest.mark.parametrize("later", [_gpu(), _gpu(uuid="GPU-b")], ids=["same GPU", "other GPU"])
def test_a_training_that_went_on_with_another_device_has_missed_nothing(later: DeviceEnergy) -> None:
    found = whole([_stretch(_gpu()), _stretch(later)])
    assert (found.duration_s, found.energy_j, found.energy_uncertainty_j, found.coverage) == (72.0, 7200.0, 20.0, 1.0)
    # Over the whole training: the mean power of two devices that took turns is half of what each had in its turn.
    assert sum(energy.mean_power_w or 0.0 for energy in found.devices) == 100.0


def test_a_training_that_went_on_on_other_nodes_has_missed_nothing() -> None:
    stretches = [
        _stretch(_gpu(f"A100 on n{first}", "GPU-a"), _gpu(f"A100 on n{first + 1}", "GPU-b"), machines=2) for first in (1, 3)
    ]
    found = whole(stretches)
    assert (found.energy_j, found.energy_uncertainty_j, found.coverage) == (14_400.0, 40.0, 1.0)


def test_a_device_that_was_lost_is_missing_in_its_own_stretch_alone() -> None:
    before, after = _stretch(_gpu(coverage=0.5, energy_j=1800.0, energy_uncertainty_j=1810.0)), _stretch(_gpu(uuid="GPU-b"))
    found = whole([before, after])
    assert (found.energy_j, found.energy_uncertainty_j, found.coverage) == (5400.0, 1820.0, 0.75)


def test_a_kind_of_device_that_some_epochs_lack_has_no_energy() -> None:
    cpu = builders.cpu_energy(energy_j=360.0, mean_power_w=10.0)
    for stretches in (
        [_stretch(_gpu(), cpu), _stretch(_gpu(), epochs=2)],
        [_stretch(_gpu(), epochs=2), _stretch(_gpu(), cpu)],
    ):
        assert partly_measured(stretches) == {"cpu": 1}
        found = whole(stretches)
        gpu_j, cpu_j = (energy.energy_j for energy in found.devices)
        assert (found.energy_j, found.scope, gpu_j, cpu_j) == (None, ("gpu",), 7200.0, None)
        assert (found.coverage, found.devices[1].mean_power_w) == (0.5, None)
    model = builders.cpu_energy(device=builders.device(kind="cpu", name="CPU model", uuid=None), sensor="cpu_model")
    assert partly_measured([_stretch(_gpu(), cpu), _stretch(_gpu(), model)]) == {}


def test_what_is_not_added_is_summed_by_the_same_rule() -> None:
    def stretch(*inside: DeviceEnergy) -> Stretch:
        return replace(_stretch(_gpu()), measured=replace(_stretch(_gpu()).measured, not_added=inside))

    core, other = (builders.cpu_energy(device=builders.device(kind="cpu", name=f"core of {name}")) for name in "ab")
    whole_machine = builders.cpu_energy(device=builders.device(kind="system", name="psys"))
    found = whole([stretch(core, whole_machine), stretch(other)])
    assert [(energy.device.name, energy.energy_j, energy.coverage) for energy in found.not_added] == [
        ("core of a", 500.0, 1.0),
        ("psys", None, 0.5),
        ("core of b", 500.0, 1.0),
    ]
    assert found.energy_j == 7200.0


def test_a_kind_of_device_that_some_machines_lack_in_some_epochs_has_no_energy() -> None:
    gpus = [_gpu(f"A100 on n{number}", f"GPU-{number}") for number in (1, 2)]
    cpus = [
        builders.cpu_energy(device=builders.device(kind="cpu", index=index, name=f"package-{index} on n{number}", uuid=None))
        for number in (1, 2)
        for index in (0, 1)
    ]
    everywhere, on_one = _stretch(*gpus, *cpus, machines=2), _stretch(*gpus, *cpus[:2], epochs=3, machines=2)
    assert partly_measured([everywhere, on_one]) == {"cpu": 1}
    assert whole([everywhere, on_one]).energy_j is None
    assert partly_measured([on_one, on_one]) == {}
    assert whole([on_one, on_one]).energy_j is not None
    alone = _stretch(_gpu(), _gpu(uuid="GPU-2"), *(replace(cpu, device=builders.device(kind="cpu")) for cpu in cpus[:1]))
    assert partly_measured([everywhere, alone]) == {}


def test_a_window_without_energy_leaves_the_sum_without() -> None:
    first = builders.measurement(devices=(builders.cpu_energy(),))
    second = builders.measurement(devices=(builders.cpu_energy(energy_j=None, mean_power_w=None),))
    assert one_after_the_other([first, second]).energy_j is None


def test_estimated_windows_make_an_estimated_sum() -> None:
    first = builders.measurement(devices=(builders.cpu_energy(),))
    second = builders.measurement(devices=(builders.cpu_energy(provenance="estimated"),))
    assert one_after_the_other([first, second]).provenance == "estimated"


def test_hosts_stand_side_by_side() -> None:
    one = builders.measurement(duration_s=10.0)
    assert side_by_side([("a", one)]) is one
    both = side_by_side([("a", one), ("b", replace(one, duration_s=11.0))])
    assert both.duration_s == 11.0
    assert both.energy_j == 2 * (one.energy_j or 0)
    assert len({energy.device for energy in both.devices}) == 4
    assert both.devices[0].device.name == "NVIDIA Test on a"


def test_digits_are_divided_in_the_same_way_always() -> None:
    data, again = open_training_data("digits"), open_training_data("digits")
    assert (len(data.train), len(data.validation), data.classes) == (1347, 450, tuple("0123456789"))
    assert data.train.pixels.shape == (1347, 8, 8, 3)
    assert data.train.pixels.max() == 255
    assert np.array_equal(data.train.pixels, again.train.pixels)
    counts = np.bincount([label for (label,) in data.validation.labels])
    assert counts.min() >= 43
    assert counts.max() <= 46


def _class_folders(root: Path, split: str, classes: dict[str, int]) -> None:
    for name, count in classes.items():
        (root / split / name).mkdir(parents=True)
        for number in range(count):
            (root / split / name / f"{number}.png").write_bytes(b"not looked at")


def test_folders_of_any_classes(tmp_path: Path) -> None:
    root = tmp_path / "flowers"
    _class_folders(root, "train", {"tulip": 3, "aster": 2})
    _class_folders(root, "validation", {"tulip": 1})
    data = open_training_data(str(root))
    assert (data.name, data.classes, len(data.train)) == ("flowers", ("aster", "tulip"), 5)
    assert data.train.labels == ((0,), (0,), (1,), (1,), (1,))
    assert data.validation.labels == ((1,),)


def test_a_part_of_imagenet_keeps_its_indices(tmp_path: Path) -> None:
    for split in ("train", "val"):
        _class_folders(tmp_path, split, {"n01443537": 1, "n15075141": 1})
    data = open_training_data(str(tmp_path))
    assert (data.name, len(data.classes), data.train.labels) == ("imagenet", 1000, ((1,), (999,)))


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda root: None, "does not exist"),
        (lambda root: root.mkdir(), "train is not there"),
        (lambda root: _class_folders(root, "train", {"a": 1}), "holds neither val/ nor validation/"),
        (lambda root: _class_folders(root, "train", {"a": 0}), "holds no images in class folders"),
        (
            lambda root: (_class_folders(root, "train", {"a": 1}), _class_folders(root, "val", {"b": 1})),
            "class 'b' is not among those trained on",
        ),
    ],
)
def test_folders_that_cannot_be_trained_on(prepare: Callable[[Path], object], said: str, tmp_path: Path) -> None:
    root = tmp_path / "data"
    prepare(root)
    with pytest.raises(DataError, match=said):
        open_training_data(str(root))


def test_a_training_is_measured_epoch_by_epoch(tmp_path: Path) -> None:
    result, folder = finished(tmp_path)
    assert load_result(folder) == result
    outcome = result.outcome
    assert isinstance(outcome, TrainingOutcome)
    assert (outcome.ended, len(outcome.history), outcome.samples) == ("epochs", 3, 192)
    (whole,) = result.measurements
    assert whole.energy_j == pytest.approx(
        sum((epoch.energy_j or 0) + (epoch.validation_energy_j or 0) for epoch in outcome.history)
    )
    assert whole.duration_s == pytest.approx(
        sum(epoch.duration_s + epoch.validation_duration_s for epoch in outcome.history)
    )
    # 64 images to train and 16 to validate, half a millisecond each, at 100 W.
    for epoch in outcome.history:
        assert epoch.duration_s >= 0.032
        assert epoch.energy_j == pytest.approx(100 * epoch.duration_s, rel=0.01)
    assert whole.idle_power_w == pytest.approx(100, rel=0.01)
    assert result.config.seed == REQUEST.seed
    assert not list(folder.glob("state_*"))
    assert not (folder / PROGRESS_FILE).exists()
    verify(folder, result)


def test_the_table_has_a_trainings_own_accuracy_and_no_full_training_of_other_data(tmp_path: Path) -> None:
    result, folder = finished(tmp_path)
    table = load([folder]).table
    (row,) = table.to_dict("records")
    assert isinstance(result.outcome, TrainingOutcome)
    assert row["top1_accuracy"] == result.outcome.best.validation_top1_accuracy
    assert row["energy_per_epoch"] == pytest.approx((result.measurements[0].energy_j or 0) / 3)
    assert math.isnan(row["energy_full_training"])


def _training_of_imagenet(epochs: int) -> RunResult:
    history = tuple(builders.epoch(number=number) for number in range(1, epochs + 1))
    cpu = builders.cpu_energy(energy_j=1000.0 * epochs, mean_power_w=10.0)
    measured = builders.measurement(duration_s=100.0 * epochs, devices=(cpu,), not_added=())
    return builders.run_result(
        run_id="train_2026_11_23_15_04_05",
        task="training",
        config=builders.training_config(epochs=epochs),
        dataset="imagenet",
        outcome=TrainingOutcome(ended="epochs", history=history),
        measurements=(measured,),
    )


@pytest.mark.parametrize(("epochs", "accuracy"), [(10, 0.75), (90, 0.3)])
def test_a_part_of_a_published_training_has_the_accuracy_of_pretrained_weights(
    epochs: int, accuracy: float, tmp_path: Path
) -> None:
    published = replace(builders.run_result().model, weights="IMAGENET1K_V2")
    inference = builders.run_result(dataset="imagenet", config=builders.config(batch_size=7), model=published)
    for result in (inference, _training_of_imagenet(epochs)):
        (tmp_path / f"{result.run_id}.json").write_text(store.to_json(result))
    table = load([tmp_path]).table.set_index("task")
    row = table.loc["training"]
    assert row["top1_accuracy"] == accuracy
    assert row["energy_per_epoch"] == 1000.0
    assert row["energy_full_training"] == 90 * 1000.0


def test_results_of_training_are_checked_when_read(tmp_path: Path) -> None:
    text = store.to_json(_training_of_imagenet(2))
    assert store.from_json(text, "x") == _training_of_imagenet(2)
    for change, said in (
        (lambda d: d["outcome"]["history"][1].update(number=5), "epochs numbered from 1"),
        (lambda d: d["outcome"]["history"][0].update(validation_top1_accuracy=1.5), "between 0 and 1"),
        (lambda d: d["outcome"].update(history=[]), "at least one epoch"),
        (lambda d: d["config"].update(lr="0.1"), "field config.lr"),
        (lambda d: d["config"].pop("opt"), "field config.opt"),
        (lambda d: d.update(task="inference"), "field config"),
    ):
        document = json.loads(text)
        change(document)
        with pytest.raises(ResultError, match=said):
            store.from_json(json.dumps(document), "x")
    document = json.loads(text)
    document["outcome"]["history"][1]["energy_j"] = 1e20
    with pytest.raises(ResultError, match=r"outcome\.history\.1\.energy_j must be at most"):
        check_limits(store.from_json(json.dumps(document), "x"), "x")


def test_a_result_of_one_task_cannot_have_the_options_of_the_other() -> None:
    with pytest.raises(ValueError, match=r"RunResult\.config must be the options of a run of inference"):
        replace(_training_of_imagenet(1), task="inference")


class _Stopped(Exception):
    """Stands for whatever ends a process."""


def _interrupted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, after: int, method: str = "train_epoch", **fields: Any
) -> Path:
    """Run a training that is cut off in the epoch after `after`; return its folder."""
    original = getattr(SimulatedTraining, method)
    calls = 0

    def cut_off(self: SimulatedTraining, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > after:
            raise _Stopped
        return original(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(SimulatedTraining, method, cut_off)
        with pytest.raises(_Stopped):
            run_training(REQUEST, "simulated", options(folder, **fields))
    (path,) = folder.glob("train_*")
    return path


def _learnt(result: RunResult | None) -> list[tuple[float, ...]]:
    assert result is not None
    assert isinstance(result.outcome, TrainingOutcome)
    return [
        (epoch.learning_rate, epoch.loss, epoch.validation_loss, epoch.validation_top1_accuracy)
        for epoch in result.outcome.history
    ]


@pytest.mark.parametrize("method", ["train_epoch", "validate", "state"])
@pytest.mark.parametrize("after", [1, 2])
def test_an_interrupted_training_goes_on_as_if_nothing_had_been(
    after: int, method: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole, _ = finished(tmp_path / "whole")
    folder = _interrupted(tmp_path / "cut", monkeypatch, after=after, method=method)
    with pytest.raises(ResultError, match="is incomplete") as incomplete:
        load_result(folder)
    assert "--resume" in str(incomplete.value)
    result, path = resume_training(folder, options(tmp_path))
    assert path == folder
    assert _learnt(result) == _learnt(whole)
    assert result is not None
    assert [warning.code for warning in result.warnings] == ["resumed"]
    assert f"after epoch {after}" in result.warnings[0].message
    assert result.started_at.timestamp() <= result.outcome.history[0].started_at.timestamp()
    verify(folder, result)
    assert load_result(folder) == result


def test_a_training_that_goes_on_elsewhere_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = _interrupted(tmp_path, monkeypatch, after=1)
    path = folder / PLATFORM_FILE
    began = json.loads(path.read_text())
    path.write_text(json.dumps({**began, "host": "node7", "cpu_name": "Test CPU"}))
    result, _ = resume_training(folder, options(tmp_path))
    assert result is not None
    assert [warning.code for warning in result.warnings] == ["resumed", "moved"]
    assert f"began on node7 (Test CPU) and went on on {began['host']} ({began['cpu_name']})" in result.warnings[1].message
    assert load_result(folder).platform.host == began["host"]


def _halved(result: RunResult, number: int) -> RunResult:
    """Take half of an epoch's energy away, and of the whole as much."""
    assert isinstance(result.outcome, TrainingOutcome)
    history = list(result.outcome.history)
    gone_j = (history[number - 1].energy_j or 0.0) / 2
    history[number - 1] = replace(history[number - 1], energy_j=gone_j)
    (measured,) = result.measurements
    devices = [
        energy
        if energy.energy_j is None or energy.energy_j < gone_j
        else replace(
            energy, energy_j=energy.energy_j - gone_j, mean_power_w=(energy.energy_j - gone_j) / measured.duration_s
        )
        for energy in measured.devices
    ]
    return replace(
        result,
        outcome=replace(result.outcome, history=tuple(history)),
        measurements=(replace(measured, devices=tuple(devices)),),
    )


@pytest.mark.parametrize("old", [False, True], ids=["now", "progress of an earlier version"])
def test_a_training_that_goes_on_with_another_device_is_measured_wholly(
    old: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = _interrupted(tmp_path, monkeypatch, after=1)
    if old:
        path = folder / PROGRESS_FILE
        known = json.loads(path.read_text())
        path.write_text(json.dumps({name: value for name, value in known.items() if name not in ("earlier", "machines")}))
    result, _ = resume_training(folder, options(tmp_path, sensors=("simulated:square",)))
    assert result is not None
    assert [warning.code for warning in result.warnings] == ["resumed"]
    (measured,) = result.measurements
    assert [energy.device.name for energy in measured.devices] == [
        "simulated device, profile 'steady'",
        "simulated device, profile 'square'",
    ]
    assert measured.coverage == 1.0
    assert measured.energy_uncertainty_j == pytest.approx(0, abs=0.1 * (measured.energy_j or 0.0))
    verify(folder, result)
    for number in (1, 2):
        with pytest.raises(ResultError, match=f"epoch {number}: energy_j"):
            verify(folder, _halved(result, number))


@pytest.mark.parametrize("more_first", [True, False])
def test_a_kind_of_device_that_not_every_process_measured_is_told(
    more_first: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sensors = [("simulated", "cpu_model"), ("simulated",)]
    first, later = sensors if more_first else reversed(sensors)
    folder = _interrupted(tmp_path, monkeypatch, after=1, sensors=first)
    result, _ = resume_training(folder, options(tmp_path, sensors=later))
    assert result is not None
    assert [warning.code for warning in result.warnings] == ["resumed", "coverage", "coverage"]
    count = 1 if more_first else 2
    assert f"The CPU was measured in {count} of 3 epochs only" in result.warnings[1].message
    assert f"The memory (DRAM) was measured in {count} of 3 epochs only" in result.warnings[2].message
    (measured,) = result.measurements
    assert (measured.energy_j, measured.scope) == (None, ("system",))
    assert math.isnan(load([folder]).table.loc[0, "energy_per_epoch"])
    verify(folder, result)
    for number in (1, 3):  # with the CPU, and without
        with pytest.raises(ResultError, match=f"epoch {number}: energy_j"):
            verify(folder, _halved(result, number))


def test_every_machine_that_a_training_went_on_on_is_named() -> None:
    began = builders.platform(host="a", gpus=())
    remarks = [warning for host in ("a", "b", "c") for warning in moved(began, replace(began, host=host))]
    backend = SimulatedTraining(REQUEST)
    said = [warning.message for warning in collected_warnings(None, remarks, backend)]
    assert [f"went on on {host} (" in message for host, message in zip("bc", said, strict=True)] == [True, True]


def test_a_machine_is_known_by_its_gpus_whatever_a_container_calls_it() -> None:
    began = builders.platform(host="0a1b2c3d4e5f")
    assert moved(began, replace(began, host="5f4e3d2c1b0a")) == []
    (other,) = (replace(gpu, uuid="GPU-2") for gpu in began.gpus)
    assert [warning.code for warning in moved(began, replace(began, gpus=(other,)))] == ["moved"]


def test_remarks_on_several_gpus_are_kept_and_repeated_ones_are_not() -> None:
    found = [
        *(
            Warning(code="sensor-lost", message=f"GPU {index} was lost after {second}.5 s.")
            for index in (0, 1, 12)
            for second in (1, 2)
        ),
        *(Warning(code="sensor-field", message=f"Intel package {index} gave no energy.") for index in (0, 1)),
    ]
    kept = collected_warnings(None, found, SimulatedTraining(REQUEST))
    assert [warning.message for warning in kept] == [
        *(f"GPU {index} was lost after 1.5 s." for index in (0, 1, 12)),
        *(f"Intel package {index} gave no energy." for index in (0, 1)),
    ]


def test_a_training_whose_result_alone_was_missing_says_that_it_was_resumed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ExperimentFolder, "write_result", lambda *_: (_ for _ in ()).throw(_Stopped))
        with pytest.raises(_Stopped):
            run_training(REQUEST, "simulated", options(tmp_path))
    (folder,) = tmp_path.glob("train_*")
    result, _ = resume_training(folder, options(tmp_path))
    assert result is not None
    assert [warning.code for warning in result.warnings] == ["resumed"]
    verify(folder, result)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_weights_that_a_killed_process_left_unwritten_are_written(
    after: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, whole = finished(tmp_path / "whole")
    original, calls = training_runner._keep_weights, 0

    def cut_off(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise _Stopped
        original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(training_runner, "_keep_weights", cut_off)
        with pytest.raises(_Stopped):
            run_training(REQUEST, "simulated", options(tmp_path / "cut"))
    (folder,) = (tmp_path / "cut").glob("train_*")
    resume_training(folder, options(tmp_path))
    for name in ("weights_best", "weights_last"):
        (kept,), (expected,) = folder.glob(f"{name}.*"), whole.glob(f"{name}.*")
        assert kept.read_bytes() == expected.read_bytes()


def test_a_training_that_goes_on_is_not_started_a_second_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _interrupted(tmp_path, monkeypatch, after=1)
    with ExperimentFolder(folder).held(), pytest.raises(ConfigError, match="is going on: another process holds it"):
        resume_training(folder, options(tmp_path))
    assert resume_training(folder, options(tmp_path))[0] is not None


#: Machines, each with one device, and its power [W].
NODES = {"node1": 100.0, "node2": 300.0, "node3": 200.0, "node4": 50.0}


def _on_host(path: Path, device: Device, watts: float, epoch: int, slower_s: float) -> None:
    """Write what one machine of a training measured: a steady power, and the windows of one epoch."""
    path.mkdir(parents=True, exist_ok=True)
    head = {"format": "mlee-trace", "version": 1, "sensor": "simulated", "start_utc": "2026-11-23T15:04:05+00:00"}
    head |= {"start_monotonic_s": 0.0, "devices": {"d": asdict(device)}}
    rows = [f"{second},d,{second * watts}," for second in range(121)]
    (path / "trace_simulated.csv").write_text(
        "\n".join(["# " + json.dumps(head), "t_s,device,energy_j,power_w", *rows]) + "\n"
    )
    windows = [
        (10, "open", f"epoch {epoch}"),
        (90 + slower_s, "close", f"epoch {epoch}"),
        (95, "open", f"validation {epoch}"),
        (115, "close", f"validation {epoch}"),
    ]
    lines = [f"{float(at_s)},{event},{name}" for at_s, event, name in windows]
    (path / "phases.csv").write_text("\n".join(["t_s,event,phase", *lines]) + "\n")


def _on_hosts(folder: Path, places: list[tuple[str, ...]], devices: dict[str, Device], factor: float = 1.0) -> RunResult:
    """Make a training of which each process ran one epoch on the machines named, the leader first.

    The energy of the last epoch is multiplied by `factor`.
    """
    folder.mkdir()
    stretches, history = [], []
    for number, nodes in enumerate(places, start=1):
        path = folder if number == 1 else folder / f"resumed_{number - 1}"
        hosts = []
        for place, node in enumerate(nodes):
            _on_host(path / f"host_{place}" if place else path, devices[node], NODES[node], number, float(place))
            duration_s = 100.0 + place
            energy_j = (80.0 + place + 20.0) * NODES[node] * (factor if number == len(places) else 1.0)
            energy = builders.cpu_energy(
                sensor="simulated", device=devices[node], energy_j=energy_j, mean_power_w=energy_j / duration_s
            )
            part = builders.measurement(duration_s=duration_s, devices=(energy,), not_added=(), idle_power_w=None)
            hosts.append((node, part))
        summed = side_by_side(hosts)
        validation_j = 20.0 * sum(NODES[node] for node in nodes)
        epoch = builders.epoch(
            number=number,
            duration_s=summed.duration_s - 20.0,
            energy_j=(summed.energy_j or 0.0) - validation_j,
            validation_energy_j=validation_j,
        )
        stretches.append(Stretch(measured=one_after_the_other([summed]), epochs=1, machines=len(nodes)))
        history.append(epoch)
    return builders.run_result(
        run_id=folder.name,
        task="training",
        config=builders.training_config(hosts=2, epochs=len(places)),
        outcome=TrainingOutcome(ended="epochs", history=tuple(history)),
        measurements=(whole(stretches),),
        idle=None,
        warnings=(),
    )


CPUS = dict.fromkeys(NODES, Device(kind="cpu", index=0, name="CPU", uuid=None))
GPUS = {node: Device(kind="gpu", index=0, name="A100", uuid=f"GPU-{node}") for node in NODES}


def test_a_training_on_two_machines_is_verified_with_the_traces_of_each(tmp_path: Path) -> None:
    both = [("node1", "node2")]
    verify(tmp_path / "a", _on_hosts(tmp_path / "a", both, CPUS))
    result = _on_hosts(tmp_path / "b", both, CPUS, 1.01)
    with pytest.raises(ResultError, match="epoch 1: energy_j"):
        verify(tmp_path / "b", result)
    result = _on_hosts(tmp_path / "c", both, CPUS)
    (tmp_path / "c" / "host_1" / "trace_simulated.csv").unlink()
    with pytest.raises(ResultError, match="epoch 1: energy_j"):
        verify(tmp_path / "c", result)


@pytest.mark.parametrize("devices", [CPUS, GPUS], ids=["cpu", "gpu"])
@pytest.mark.parametrize(
    "later",
    [("node1", "node2"), ("node2", "node1"), ("node2",), ("node3", "node4"), ("node3",)],
    ids=["same order", "other leader", "one is gone", "others", "one other"],
)
def test_machines_may_change_their_places_when_a_training_goes_on(
    later: tuple[str, ...], devices: dict[str, Device], tmp_path: Path
) -> None:
    places = [("node1", "node2"), later]
    verify(tmp_path / "a", _on_hosts(tmp_path / "a", places, devices))
    for name, factor in (("b", 1.01), ("c", 0.99), ("half", 0.5), ("more", 1.5)):
        result = _on_hosts(tmp_path / name, places, devices, factor)
        with pytest.raises(ResultError, match="epoch 2: energy_j"):
            verify(tmp_path / name, result)
    result = _on_hosts(tmp_path / "d", places, devices)
    (tmp_path / "d" / "resumed_1" / "trace_simulated.csv").unlink()
    with pytest.raises(ResultError, match=r"epoch 2: energy_j|there is no trace of A100"):
        verify(tmp_path / "d", result)


def test_a_training_may_be_interrupted_again_and_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = _interrupted(tmp_path, monkeypatch, after=1)
    original = SimulatedTraining.validate

    def cut_off(self: SimulatedTraining, progress: Any) -> Any:
        original(self, progress)
        raise _Stopped

    with monkeypatch.context() as patch:
        patch.setattr(SimulatedTraining, "validate", cut_off)
        with pytest.raises(_Stopped):
            resume_training(folder, options(tmp_path))
    result, _ = resume_training(folder, options(tmp_path))
    assert result is not None
    assert result.details["resumed"] == 2
    assert (folder / "resumed_1" / "trace_simulated.csv").is_file()
    verify(folder, result)
    (whole,) = result.measurements
    assert whole.energy_j == pytest.approx(100 * whole.duration_s, rel=0.01)


def test_what_verify_finds_in_trainings(tmp_path: Path) -> None:
    result, folder = finished(tmp_path)
    assert isinstance(result.outcome, TrainingOutcome)
    second = result.outcome.history[1]
    for change, said in (
        ({"energy_j": (second.energy_j or 0) * 1.2}, "epoch 2: energy_j"),
        ({"validation_duration_s": second.validation_duration_s * 1.2}, "duration_s"),
    ):
        history = (result.outcome.history[0], replace(second, **change), result.outcome.history[2])
        with pytest.raises(ResultError, match=said):
            verify(folder, replace(result, outcome=replace(result.outcome, history=history)))
    (folder / "trace_simulated.csv").unlink()
    with pytest.raises(ResultError, match=r"there is no trace of .*trace_simulated\.csv"):
        verify(folder, result)


def test_what_cannot_be_resumed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _, complete = finished(tmp_path / "complete")
    with pytest.raises(ResultError, match="is complete"):
        resume_training(complete, options(tmp_path))
    with pytest.raises(ResultError, match="holds no training that could go on"):
        resume_training(tmp_path / "nowhere", options(tmp_path))
    early = _interrupted(tmp_path / "early", monkeypatch, after=0)
    with pytest.raises(ResultError, match="holds no training that could go on"):
        resume_training(early, options(tmp_path))
    cut = _interrupted(tmp_path / "cut", monkeypatch, after=1)
    for name, content, said in (
        ("progress.json", "{}", "field "),
        ("progress.json", "not JSON", "Invalid JSON"),
        ("state_001.json", "[]", "does not hold the state"),
        ("state_001.json", None, "does not hold the state"),
    ):
        copy = shutil.copytree(cut, tmp_path / "copy")
        if content is None:
            (copy / name).unlink()
        else:
            (copy / name).write_text(content)
        with pytest.raises(ResultError, match=said):
            resume_training(copy, options(tmp_path))
        shutil.rmtree(copy)
    progress = json.loads((cut / PROGRESS_FILE).read_text())
    (cut / PROGRESS_FILE).write_text(json.dumps({**progress, "state_file": "../../secret"}))
    with pytest.raises(ResultError, match="is no name of a file"):
        read_progress(cut)
    (cut / PROGRESS_FILE).write_text(json.dumps({**progress, "global_batch_size": 99}))
    with pytest.raises(ConfigError, match="used 99 images in a batch"):
        resume_training(cut, options(tmp_path))


def test_early_stopping_ends_a_training(tmp_path: Path) -> None:
    result, _ = finished(tmp_path, epochs=9, early_patience=1, early_delta=0.9)
    assert isinstance(result.outcome, TrainingOutcome)
    assert (result.outcome.ended, len(result.outcome.history), result.config.epochs) == ("early", 2, 9)


def test_an_error_in_an_epoch_leaves_what_was_reached(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="second epoch"):
        run_training(replace(REQUEST, model="Failing"), "simulated", options(tmp_path))
    (folder,) = tmp_path.glob("train_*")
    assert len(read_progress(folder).history) == 1


def test_merging_trainings(tmp_path: Path) -> None:
    _, folder = finished(tmp_path)
    merging = MergeOptions(results_dir=tmp_path / "results", archive_dir=tmp_path / "logs", verify=True)
    (merged,) = merge([folder], merging, lambda done: None)
    assert merged.reason is None
    assert load([tmp_path / "results"]).table["task"].tolist() == ["training"]


def test_folders_that_are_no_trained_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is no folder that train\.py made"):
        trained_model(tmp_path)
    with pytest.raises(ResultError, match="is a run of inference"):
        trained_model(builders.complete_folder(tmp_path))
    _, folder = finished(tmp_path)
    backend, model = trained_model(folder)
    assert (backend, model.model, len(model.classes)) == ("simulated", "Tiny", 1000)
    (folder / "classes.json").write_text('["a"]')
    with pytest.raises(ResultError, match="does not hold a list of 1000 names"):
        trained_model(folder)
    next(folder.glob("weights_best.*")).unlink()
    with pytest.raises(ResultError, match="holds 0 files weights_best"):
        trained_model(folder)


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """Run train.py in this process as from the command line: exit code, stdout, stderr."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        try:
            code = common.run(train.main)
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    yield run
    signal.signal(signal.SIGTERM, before)


QUICK = [
    *("--backend", "simulated", "--model", "Tiny", "--data-path", "synthetic:32", "--sensors", "simulated"),
    *("--idle-seconds", "0", "--warmup-batches", "0", "--epochs", "2", "--batch-size", "16"),
]


def test_command_line(call: Call, tmp_path: Path) -> None:
    code, out, err = call(*QUICK, "--seed", "5")
    assert code == 0, err
    (folder,) = (tmp_path / "experiments").glob("train_*")
    assert folder.name in out.replace("\n", "")
    assert "time/epoch" in out
    assert "epoch 1/2" in err
    assert load_result(folder).config.seed == 5


def test_quiet_prints_the_folder_alone(call: Call, tmp_path: Path) -> None:
    code, out, err = call(*QUICK, "--quiet")
    (folder,) = (tmp_path / "experiments").glob("train_*")
    assert (code, out.strip(), err) == (0, f"experiments/{folder.name}", "")


def test_a_training_is_resumed_from_the_command_line(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = _interrupted(tmp_path, monkeypatch, after=1)
    code, _, err = call("--resume", str(folder), "--lr", "0.5")
    assert (code, "--lr cannot stand beside --resume" in err) == (2, True)
    monkeypatch.chdir(folder)
    code, out, err = call("--resume", ".", "--warmup-batches", "1")
    assert code == 0, err
    assert "resumed" in out
    config = load_result(folder).config
    assert (config.sensors, config.cpu_monitor_interval, config.idle_seconds) == (("simulated", "process"), 0.02, 0.05)
    assert config.warmup_batches == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--epochs", "0"), "whole number of 1 or more"),
        (("--epochs", "1.5"), "whole number of 1 or more"),
        (("--batch-size", "-3"), "whole number of 1 or more"),
        (("--n-batches", "0"), "--n-batches must be 1 or more"),
        (("--lr", "-0.1"), "must be a number from 0"),
        (("--lr", "nan"), "must be a number from 0"),
        (("--lr", "0"), "--lr must be more than 0"),
        (("--momentum", "1.5"), "must be a number from 0 to 1"),
        (("--weight-decay", "x"), "must be a number from 0"),
        (("--opt", "lion"), "must be one of sgd, sgd_nesterov, rmsprop, adam, adamw"),
        (("--opt-decy", "2"), "must be a number from 0 to 1"),
        (("--lr-scheduler", "plateau"), "must be one of steplr"),
        (("--lr-step-size", "0"), "must be a number from"),
        (("--lr-gamma", "-1"), "must be a number from 0"),
        (("--early-patience", "-1"), "whole number of 0 or more"),
        (("--early-delta", "inf"), "must be a number from 0 to 1"),
        (("--auto-augment", "mixup"), "must be one of ra, ta_wide"),
        (("--random-erase", "1.1"), "must be a number from 0 to 1"),
        (("--interpolation", "lanczos"), "must be one of nearest, bilinear, bicubic"),
        (("--gpu-monitor-interval", "0"), "must be more than 0 seconds"),
        (("--cpu-monitor-interval", "x"), "must be more than 0 seconds"),
        (("--seed", "-2"), "must be -1 or a whole number"),
        (("--backend", "onnx_pytorch"), "invalid choice"),
        (("--backend", "simulated", "--model", "Tinny"), "did you mean Tiny"),
        (("--backend", "simulated", "--model", "Tiny", "--batch-size", "5000"), "pass a smaller --batch-size"),
        (("--backend", "simulated", "--model", "Tiny", "--data-path", "/nowhere"), "does not exist"),
    ],
)
def test_wrong_values_give_one_clear_line(call: Call, arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    code, _, err = call(*arguments)
    assert code in (1, 2)
    assert said in " ".join(err.split())
    assert "Traceback" not in err
    assert not list((tmp_path / "experiments").glob("*"))


def test_options_of_2022_are_all_there() -> None:
    names = (
        *("backend", "model", "data-path", "n-batches", "batch-size", "output-dir", "gpu-monitor-interval"),
        *("cpu-monitor-interval", "seed", "epochs", "early-patience", "early-delta", "opt", "opt-decy", "lr", "momentum"),
        *("weight-decay", "lr-scheduler", "lr-step-size", "lr-gamma", "preprocessing", "auto-augment", "random-erase"),
        "interpolation",
    )
    known = {option for action in train.parser()._actions for option in action.option_strings}
    assert {f"--{name}" for name in names} <= known
    # Spelt as in 2022.
    args = train.parser().parse_args(["--opt", "SGD", "--lr-scheduler", "CosineAnnealingLR", "--auto-augment", "None"])
    assert (args.opt, args.lr_scheduler, args.auto_augment) == ("sgd", "cosineannealinglr", None)
