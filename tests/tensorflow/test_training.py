"""Training with TensorFlow: the same seed trains the same, whatever interrupts it; each step is what its formula says."""

from __future__ import annotations

import io
import itertools
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mlee.backends.tensorflow import training
from mlee.backends.tensorflow.augmentation import Augmentation
from mlee.backends.tensorflow.inference import TensorFlowInference
from mlee.backends.tensorflow.models import KerasModel, find_model
from mlee.backends.tensorflow.policies import find_policy
from mlee.backends.tensorflow.training import TensorFlowTraining
from mlee.backends.trained import TrainedModel
from mlee.backends.training_base import RMSPROP_EPSILON, TrainingRequest, shuffled
from mlee.datasets.training import digits
from mlee.errors import BackendError, ConfigError, DataError, ResultError
from tests.tensorflow.helpers import nothing, request, tiny_network
from tests.tensorflow.test_records import TFDS, write

# Keras and h5py are behind NumPy here.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
real_network = pytest.mark.real_network
_KEYS = itertools.count(1)


@pytest.fixture(autouse=True)
def _tiny_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "real_network" not in request.keywords:
        monkeypatch.setattr(KerasModel, "_build", tiny_network)


def plain_network(self: Any, size: int, weights: str | None, classes: int = 1000) -> Any:
    """No batch norm: what one replica computes does not depend on the images of another."""
    images = keras.Input((size, size, 3))
    return keras.Model(images, keras.layers.Dense(classes)(keras.layers.Flatten()(images)))


def dropping_network(self: Any, size: int, weights: str | None, classes: int = 1000) -> Any:
    images = keras.Input((size, size, 3))
    features = keras.layers.Dropout(0.5)(keras.layers.Flatten()(keras.layers.AveragePooling2D(4)(images)))
    return keras.Model(images, keras.layers.Dense(classes)(features))


def make(**fields: Any) -> TensorFlowTraining:
    defaults: dict[str, Any] = {
        "model": "MobileNet",
        "data_path": "digits",
        "n_batches": 3,
        "batch_size": 8,
        "lr": 0.05,
        "device": "cpu",
        "workers": 0,
        "image_size": 16,
        "seed": 3,
    }
    return TensorFlowTraining(TrainingRequest(**{**defaults, **fields}))


def history(backend: TensorFlowTraining, epochs: range = range(3)) -> list[tuple[Any, ...]]:
    found = []
    for epoch in epochs:
        trained, validated = backend.train_epoch(epoch, 0.05 / (1 + epoch), nothing), backend.validate(nothing)
        found.append((trained.loss, trained.top1_accuracy, validated.loss, validated.top1_accuracy))
    return found


def arrays(backend: TensorFlowTraining) -> list[np.ndarray[Any, Any]]:
    return [value.numpy() for value in (*backend.model.variables, *backend._optimizer.variables)]


def same(first: TensorFlowTraining, second: TensorFlowTraining) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(arrays(first), arrays(second), strict=True))


def share_between_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train on two devices from now on; a process that trains once needs no keys for its sums that differ from others'."""

    def choose(wanted: str) -> tuple[list[str], list[int]]:
        monkeypatch.setattr(tf.distribute.MirroredStrategy, "_collective_key_base", 100_000 * next(_KEYS))
        return ["CPU:0", "CPU:1"], []

    monkeypatch.setattr(training, "choose_devices", choose)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of photographs, larger than they are wide, some JPEG and some PNG."""
    draw = np.random.default_rng(0)
    for part, count in (("train", 9), ("val", 3)):
        for label in ("cat", "dog"):
            place = tmp_path / part / label
            place.mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(0, 256, (48, 36, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.{'png' if number % 2 else 'jpg'}")
    return tmp_path


@real_network
@pytest.mark.slow
def test_a_real_network_learns_the_digits() -> None:
    """The options of the README."""
    tested = TensorFlowTraining(
        TrainingRequest(
            model="MobileNetV3Small", opt="adamw", weight_decay=0.01, lr=2e-3, batch_size=32, device="cpu", workers=0
        )
    )
    accuracies = []
    for epoch in range(4):
        tested.train_epoch(epoch, 2e-3, nothing)
        accuracies.append(tested.validate(nothing).top1_accuracy or 0)
    assert max(accuracies) >= 0.9


def test_the_loss_falls_and_what_is_counted_is_what_the_model_says() -> None:
    tested = make(n_batches=None, batch_size=32, opt="adamw")
    first = tested.train_epoch(0, 0.01, nothing)
    for epoch in range(1, 6):
        last = tested.train_epoch(epoch, 0.01, nothing)
    assert first.samples == tested.resolved.samples == 42 * 32
    assert last.loss is not None
    assert first.loss is not None
    assert last.loss < 0.8 * first.loss
    assert (last.top1_accuracy or 0) > (first.top1_accuracy or 0) + 0.1
    assert (last.top5_accuracy or 0) > (last.top1_accuracy or 0)


def test_hits_and_loss_of_a_step_are_those_of_numpy() -> None:
    tested = make(n_batches=1, batch_size=64)
    images, labels = next(iter(tested._images.epoch(0)))
    logits = tested.model(images, training=True).numpy().astype(np.float64)
    totals = tested._step(images, labels, tf.zeros(3, tf.float64)).numpy()
    right = labels.numpy()
    order = np.argsort(-logits, axis=1)
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(64), right]
    hits = [np.sum((order[:, :k] == right[:, None]).any(1)) for k in (1, 5)]
    assert 0 < hits[0] < hits[1] < 64
    assert totals == pytest.approx([losses.sum(), *hits], rel=1e-5)


@pytest.mark.parametrize(
    "fields",
    [
        {"random_erase": 0.5},
        pytest.param({"auto_augment": "ra"}, marks=pytest.mark.slow),
        pytest.param({"auto_augment": "augmix"}, marks=pytest.mark.slow),
    ],
)
def test_the_same_seed_gives_the_same_history_whatever_the_workers(fields: dict[str, Any], folder: Path) -> None:
    fields = {"data_path": str(folder), "n_batches": 4, "batch_size": 4, "image_size": 32, **fields}
    first = history(make(**fields))
    assert first == history(make(**fields, workers=3))
    assert first != history(make(**{**fields, "seed": 4}))


@pytest.mark.parametrize(
    ("network", "data", "opt"),
    [(tiny_network, "digits", "rmsprop"), (tiny_network, "folder", "adamw"), (dropping_network, "folder", "sgd")],
)
def test_an_interrupted_training_goes_on_as_if_it_had_not_been(
    network: Any, data: str, opt: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KerasModel, "_build", network)
    fields = {"opt": opt, "data_path": str(folder) if data == "folder" else data, "batch_size": 4}
    whole, begun = make(**fields), make(**fields)
    expected = history(whole, range(4))
    assert history(begun, range(2)) == expected[:2]
    state = tmp_path / "state.npz"
    state.write_bytes(begun.state())
    resumed = make(**fields)
    resumed.warm_up(1)
    resumed.restore(state)
    assert history(resumed, range(2, 4)) == expected[2:]
    assert same(resumed, whole)


@real_network
@pytest.mark.slow
def test_a_real_network_with_dropout_and_augmentation_is_resumed_exactly(folder: Path, tmp_path: Path) -> None:
    fields = {"data_path": str(folder), "image_size": 32, "n_batches": 2, "batch_size": 4, "random_erase": 0.5}
    whole = make(**fields)
    expected = history(whole, range(2))
    begun = make(**fields)
    history(begun, range(1))
    (tmp_path / "state.npz").write_bytes(begun.state())
    resumed = make(**fields, workers=2)
    resumed.restore(tmp_path / "state.npz")
    assert history(resumed, range(1, 2)) == expected[1:]
    assert same(resumed, whole)


def test_dropout_differs_from_epoch_to_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KerasModel, "_build", dropping_network)
    tested = make(lr=0.0, n_batches=1)
    monkeypatch.setattr(tested._images, "epoch", lambda _, of=tested._images.epoch: of(0))
    losses = [tested.train_epoch(epoch, 0.0, nothing).loss for epoch in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


Floats = np.ndarray[Any, Any]


def _torch_steps(opt: str, weight: Floats, gradients: list[Floats], momentum: float, decay: float) -> Floats:
    """The formulas of torch.optim's documentation; the learning rate falls from step to step."""
    value = weight.astype(np.float64)
    first, second = np.zeros_like(value), np.zeros_like(value)
    for number, raw in enumerate(gradients, 1):
        rate, gradient = 0.1 / number, raw.astype(np.float64)
        if opt == "adamw":
            value = value - rate * decay * value
        else:
            gradient = gradient + decay * value
        if opt in ("adam", "adamw"):
            first = 0.9 * first + 0.1 * gradient
            second = 0.999 * second + 0.001 * gradient**2
            root = np.sqrt(second / (1 - 0.999**number)) + 1e-8
            value = value - rate * first / (1 - 0.9**number) / root
            continue
        if opt == "rmsprop":
            second = 0.7 * second + 0.3 * gradient**2
            gradient = gradient / (np.sqrt(second) + RMSPROP_EPSILON)
        first = momentum * first + gradient
        value = value - rate * (gradient + momentum * first if opt == "sgd_nesterov" else first)
    return value


@pytest.mark.parametrize("opt", ["sgd", "sgd_nesterov", "rmsprop", "adam", "adamw"])
@pytest.mark.parametrize(("momentum", "decay"), [(0.9, 0.0), (0.9, 0.05), (0.0, 0.05)])
def test_steps_of_each_optimiser_are_those_of_its_formula(opt: str, momentum: float, decay: float) -> None:
    momentum = momentum or (0.5 if opt == "sgd_nesterov" else 0.0)
    tested = make(opt=opt, momentum=momentum, weight_decay=decay, opt_decy=0.7)
    draw = np.random.default_rng(5)
    weights = [value.numpy() for value in tested.model.trainable_variables]
    gradients = [[draw.standard_normal(value.shape).astype(np.float32) for value in weights] for _ in range(3)]
    for number, step in enumerate(gradients, 1):
        tested._optimizer.learning_rate.assign(0.1 / number)
        tested._optimizer.apply([tf.constant(gradient) for gradient in step])
    for index, value in enumerate(tested.model.trainable_variables):
        expected = _torch_steps(opt, weights[index], [step[index] for step in gradients], momentum, decay)
        assert value.numpy() == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_two_replicas_take_the_step_of_one(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KerasModel, "_build", plain_network)
    alone = make(batch_size=8, n_batches=1, precision=precision)
    share_between_two(monkeypatch)
    both = make(batch_size=4, n_batches=1, precision=precision)
    assert both.resolved.global_batch_size == 8
    outcomes = [tested.train_epoch(0, 0.05, nothing) for tested in (alone, both)]
    assert outcomes[0].loss == pytest.approx(outcomes[1].loss, rel=1e-5)
    assert outcomes[0].top1_accuracy == outcomes[1].top1_accuracy
    close = {"rel": 1e-4, "abs": 1e-6} if precision == "fp32" else {"rel": 5e-3, "abs": 1e-4}
    for one, other in zip(arrays(alone), arrays(both), strict=True):
        assert one == pytest.approx(other, **close)


def test_two_replicas_stay_the_same_and_are_resumed_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    share_between_two(monkeypatch)
    whole = make(opt="adamw", batch_size=4)
    whole.warm_up(0)
    expected = history(whole)
    for variable in whole.model.variables:
        first, second = (copy.numpy() for copy in variable.value.values)
        assert np.array_equal(first, second), variable.path
    begun, resumed = make(opt="adamw", batch_size=4), make(opt="adamw", batch_size=4)
    history(begun, range(1))
    (tmp_path / "state.npz").write_bytes(begun.state())
    resumed.restore(tmp_path / "state.npz")
    assert history(resumed, range(1, 3)) == expected[1:]
    assert not list(whole.warnings())
    with pytest.raises(ConfigError, match="--compile works on one GPU"):
        make(compile=True)


@pytest.mark.parametrize("batches", [0, 2])
@pytest.mark.parametrize("fields", [{}, {"data_path": "synthetic:40"}, {"opt": "adam", "precision": "fp16"}])
def test_the_warm_up_leaves_no_trace_and_nothing_to_trace(batches: int, fields: dict[str, Any]) -> None:
    tested, cold = make(**fields), make(**fields)
    before = arrays(tested)
    tested.warm_up(batches)
    assert all(np.array_equal(one, other) for one, other in zip(before, arrays(tested), strict=True))
    assert history(tested) == history(cold)
    assert tested._traced() == (1, 1)
    assert not list(tested.warnings())


def test_tracing_in_an_epoch_is_not_kept_quiet() -> None:
    tested = make(n_batches=1)
    tested._ready = (0, 0)
    tested.train_epoch(0, 0.01, nothing)
    assert [warning.code for warning in tested.warnings()] == ["compiled-late"]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_smaller_numbers_train_nearly_the_same_and_weights_stay_exact(precision: str) -> None:
    exact, small = make(), make(precision=precision)
    losses = [tested.train_epoch(0, 0.05, nothing).loss or 0 for tested in (exact, small)]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert losses[0] != losses[1]
    assert {value.numpy().dtype for value in small.model.trainable_variables} == {np.dtype(np.float32)}
    assert small.facts == exact.facts


def test_an_overflow_of_fp16_skips_the_step_and_halves_the_scale() -> None:
    tested = make(precision="fp16", opt="adam")
    before = arrays(tested)
    gradients = [tf.fill(value.shape, np.inf) for value in tested.model.trainable_variables]
    tested._optimizer.apply(gradients)
    after = arrays(tested)
    assert after[-2] == before[-2] / 2
    assert all(np.array_equal(one, other) for one, other in zip(before[:-2], after[:-2], strict=True))


def test_a_compiled_step_gives_the_same() -> None:
    found, expected = history(make(compile=True), range(1)), history(make(), range(1))
    assert found[0] == pytest.approx(expected[0], rel=1e-3)


def test_a_loss_that_is_no_number_is_told_with_the_mend() -> None:
    with pytest.raises(BackendError, match="no finite number any more after epoch 1") as refused:
        make(n_batches=None).train_epoch(0, 1e30, nothing)
    assert "smaller --lr" in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"auto_augment": "ta_wide"}, "--auto-augment ta_wide is for PyTorch"),
        ({"auto_augment": "imagenet"}, "Keras has no such policy"),
        ({"opt": "lion"}, "Unknown --opt 'lion'"),
        ({"opt": "sgd_nesterov", "momentum": 0.0}, "sgd_nesterov needs a --momentum"),
        ({"batch_size": 5000}, "A batch of 5000 images"),
        ({"model": "QuickNet"}, "QuickNet cannot be trained here"),
        ({"preprocessing": "nobodys"}, "Unknown model 'nobodys'"),
        ({"image_size": 10**7}, "does not fit into memory"),
        ({"device": "cuda:7"}, "--device"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        make(**fields)
    assert "\n" not in str(refused.value)


@real_network
@pytest.mark.parametrize(("model", "size"), [("InceptionV3", 32), ("MobileNet", 20)])
def test_a_size_that_a_network_cannot_take_is_refused(model: str, size: int) -> None:
    with pytest.raises(ConfigError, match=f"{model} cannot be built for images of {size} px") as refused:
        make(model=model, image_size=size)
    assert "--image-size" in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("fields", "size", "resize", "interpolation"),
    [
        ({}, 32, 32, "bilinear"),
        ({"image_size": 48, "interpolation": "nearest"}, 48, 48, "nearest"),
        ({"preprocessing": "EfficientNetB0"}, 32, 32, "bicubic"),
        ({"data_path": "synthetic:16", "preprocessing": "custom"}, 224, 256, "bilinear"),
        ({"data_path": "synthetic:16", "preprocessing": "InceptionV3", "image_size": None}, 299, 342, "bilinear"),
        ({"data_path": "synthetic:16", "preprocessing": "EfficientNetV2M"}, 480, None, "bilinear"),
    ],
)
def test_size_and_interpolation_follow_request_data_and_model(
    fields: dict[str, Any], size: int, resize: int | None, interpolation: str
) -> None:
    tested = make(**{"image_size": None, **fields})
    assert (tested.resolved.image_size, tested.details["resize_size"]) == (size, resize)
    assert (tested.resolved.interpolation, tested.details["interpolation"]) == (interpolation, interpolation)


@pytest.mark.parametrize(("wanted", "found"), [(None, 0.1), (0.25, 0.25)])
def test_batch_norm_takes_the_share_that_was_resolved(wanted: float | None, found: float) -> None:
    tested = make(batch_norm_momentum=wanted, n_batches=1, precision="fp32")
    (norm,) = [layer for layer in tested.model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert tested.resolved.batch_norm_momentum == found
    images, labels = next(iter(tested._images.epoch(0)))
    seen = tested.model.layers[1](images).numpy().mean((0, 1, 2))
    tested._step(images, labels, tf.zeros(3, tf.float64))
    assert norm.moving_mean.numpy() == pytest.approx(found * seen, rel=1e-4)


def test_a_model_without_batch_norm_has_no_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KerasModel, "_build", plain_network)
    assert make(batch_norm_momentum=0.3).resolved.batch_norm_momentum is None


def test_digits_are_neither_cropped_nor_mirrored() -> None:
    tested = make(n_batches=None, batch_size=4, image_size=32)
    images, labels = next(iter(tested._images.epoch(0)))
    train = digits().train
    numbers = shuffled(len(train), 3, 0)[:4]
    expected = [tested._validation._preset.prepare(tf.constant(train.pixels[number])) for number in numbers]  # type: ignore[union-attr]
    assert np.allclose(images.numpy(), np.stack(expected), atol=1e-4)
    assert labels.numpy().tolist() == [train.labels[number][0] for number in numbers]  # type: ignore[union-attr]


def _gradient_image(size: int) -> Any:
    """Red says the row, green the column: a crop tells where it is from."""
    rows, columns = np.mgrid[0:size, 0:size] * (255 / (size - 1))
    return tf.constant(np.stack([rows, columns, np.zeros_like(rows)], -1).astype(np.uint8))


def _augmented(images: int = 200, **fields: Any) -> Floats:
    preset = replace(find_model("VGG16").preprocessing(), crop_size=24, values=lambda pixels: pixels - 100.0)
    augmentation = Augmentation(preset=preset, whole=False, **fields)
    draw = tf.function(lambda seed: augmentation.augment(_gradient_image(64), seed))
    return np.stack([draw(tf.constant([7, number])).numpy() for number in range(images)])


def test_photographs_are_cropped_and_mirrored_at_random_within_the_usual_limits() -> None:
    found = _augmented() + 100
    # Between the centres of the first and the last pixel; a resize to 24 leaves half a pixel out on both sides.
    heights = np.ptp(found[:, :, 12, 0], axis=1) / 255 * 24 / 23
    widths = np.ptp(found[:, 12, :, 1], axis=1) / 255 * 24 / 23
    areas, ratios = heights * widths, widths / heights
    assert 0.05 < areas.min() < 0.2
    assert 0.8 < areas.max() < 1.05
    # Drawn evenly between 0.08 and 1; what does not fit, mostly large, is drawn again. With torchvision it is 0.486.
    assert areas.mean() == pytest.approx(0.486, abs=0.06)
    assert 0.65 < ratios.min() < 0.85
    assert 1.2 < ratios.max() < 1.55
    mirrored = found[:, 12, 0, 1] > found[:, 12, -1, 1]
    assert 0.35 < mirrored.mean() < 0.65


def test_erasing_sets_one_rectangle_to_0_as_often_as_asked_for() -> None:
    found = _augmented(erase=0.5) == 0
    erased = found.all(-1)
    hit = erased.any((1, 2))
    assert 0.35 < hit.mean() < 0.65
    areas = erased[hit].mean((1, 2))
    assert 0.01 < areas.min() < 0.08
    assert 0.2 < areas.max() < 0.36
    for one in erased[hit]:
        rows, columns = one.any(1), one.any(0)
        assert one[np.ix_(rows, columns)].all(), "a rectangle"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ra", "augmix"])
def test_a_policy_changes_images_in_many_ways_within_their_range(name: str) -> None:
    policy = find_policy(name)
    assert policy is not None
    pixels = tf.cast(_gradient_image(32), tf.float32)
    change = tf.function(lambda seed: policy(pixels, seed))
    found = np.stack([change(tf.constant([7, number])).numpy() for number in range(100)])
    assert len(np.unique(found.reshape(100, -1), axis=0)) > 70
    assert found.min() >= 0
    assert found.max() <= 255
    assert np.abs(found - pixels.numpy()).mean() < 60, "still the same image"


def test_an_epoch_has_each_image_once_in_another_order(folder: Path) -> None:
    tested = make(data_path=str(folder), n_batches=None, batch_size=6, image_size=32)
    epochs = [[label for _, labels in tested._images.epoch(epoch) for label in labels.numpy()] for epoch in (0, 1, 0)]
    assert [epoch.count(0) for epoch in epochs] == [9, 9, 9]
    assert epochs[0] == epochs[2] != epochs[1]
    first, again, other = (next(iter(tested._images.epoch(epoch)))[0].numpy() for epoch in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("part", ["train", "val"])
def test_an_image_that_cannot_be_decoded_is_named(part: str, workers: int, folder: Path) -> None:
    (folder / part / "dog" / "1.png").write_bytes(b"no image")
    tested = make(data_path=str(folder), n_batches=None, batch_size=3, workers=workers, image_size=32)
    with pytest.raises(DataError, match=rf"{part}/dog/1\.png \(.+\)") as refused:
        tested.train_epoch(0, 0.01, nothing) if part == "train" else tested.validate(nothing)
    assert refused.value.hint == "repair or remove it"


@pytest.fixture
def records(tmp_path: Path) -> Path:
    write(tmp_path, TFDS, labels=(1, 2, 3), shards=2)
    write(tmp_path, TFDS.replace("validation", "train"), labels=tuple(range(20)), shards=3)
    return tmp_path


def test_records_are_shuffled_anew_each_epoch_and_each_comes_once(records: Path) -> None:
    tested = make(data_path=str(records), n_batches=None, batch_size=5, image_size=32, workers=2)
    epochs = [[label for _, labels in tested._images.epoch(epoch) for label in labels.numpy()] for epoch in (0, 1, 0)]
    assert sorted(epochs[0]) == list(range(20))
    assert epochs[0] == epochs[2] != epochs[1]
    assert history(tested) == history(make(data_path=str(records), n_batches=None, batch_size=5, image_size=32))
    assert tested.validate(nothing).samples == 3


def test_a_record_that_cannot_be_decoded_is_named(records: Path) -> None:
    write(records, TFDS.replace("validation", "train"), labels=tuple(range(20)), shards=3, images={8: b"no image"})
    with pytest.raises(DataError, match="00001-of-00003 record 1"):
        make(data_path=str(records), n_batches=None, batch_size=5, image_size=32).train_epoch(0, 0.01, nothing)


def test_random_images_have_made_up_labels() -> None:
    tested = make(data_path="synthetic:40")
    assert (tested.resolved.samples, tested.resolved.validation_samples, tested.resolved.classes) == (24, 10, 1000)
    seen: list[int] = []
    outcome = tested.train_epoch(0, 0.01, seen.append)
    assert seen == [8, 16, 24]
    assert outcome.loss == pytest.approx(np.log(1000), rel=0.1)
    assert tested.validate(nothing).loss == pytest.approx(np.log(1000), rel=0.1)


def _npz(**changed: Any) -> Any:
    def damage(content: bytes) -> bytes:
        with np.load(io.BytesIO(content)) as arrays:
            found = {name: array for name, array in arrays.items() if changed.get(name, 0) is not None}
        buffer = io.BytesIO()
        np.savez(buffer, **{**found, **{name: value for name, value in changed.items() if value is not None}})
        return buffer.getvalue()

    return damage


def _flip(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 0xFF
    return bytes(changed)


def _other_zip(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("hello", "world")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b"junk",
        lambda content: content[:-100],
        _flip,
        _other_zip,
        _npz(training="ResNet50 for 10 classes"),
        _npz(**{"model/00000/kernel": np.zeros(3)}),
        _npz(**{"model/00000/kernel": None}),
        _npz(**{"model/00000/kernel": np.array([{}], dtype=object)}),
        _npz(more=np.zeros(1)),
    ],
    ids=["empty", "junk", "cut", "flipped", "zip", "other", "shape", "missing", "pickle", "more"],
)
def test_a_damaged_state_is_refused_by_name_and_changes_nothing(damage: Any, tmp_path: Path) -> None:
    tested = make()
    (tmp_path / "state.npz").write_bytes(damage(tested.state()))
    before = arrays(tested)
    with pytest.raises(ResultError, match=r"state\.npz"):
        tested.restore(tmp_path / "state.npz")
    assert all(np.array_equal(one, other) for one, other in zip(before, arrays(tested), strict=True))
    with pytest.raises(ResultError, match=r"none\.npz cannot be read"):
        tested.restore(tmp_path / "none.npz")


def _trained(backend: TensorFlowTraining, folder: Path, data_path: str, preprocessing: str = "builtin") -> TrainedModel:
    weights = folder / f"model{backend.weights_suffix}"
    weights.write_bytes(backend.weights())
    classes = tuple(map(str, range(10))) if data_path == "digits" else ("cat", "dog")
    return TrainedModel(
        run_id="train_1",
        model=backend.facts.name,
        weights=weights,
        classes=classes,
        dataset=backend.dataset,
        data_path=data_path,
        preprocessing=preprocessing,
        image_size=backend.resolved.image_size,
        resize_size=backend.details["resize_size"],  # type: ignore[arg-type]
        interpolation=backend.resolved.interpolation,
    )


@pytest.mark.parametrize("preprocessing", ["builtin", "custom", "EfficientNetV2M"])
@pytest.mark.parametrize("data", ["digits", "folder"])
def test_inference_of_the_trained_model_agrees_with_the_validation(
    data: str, preprocessing: str, folder: Path, tmp_path: Path
) -> None:
    data_path = str(folder) if data == "folder" else data
    tested = make(
        data_path=data_path,
        preprocessing=preprocessing,
        interpolation="bicubic",
        opt="adamw",
        batch_size=6,
        n_batches=None,
    )
    history(tested, range(1))
    validated = tested.validate(nothing)
    trained = _trained(tested, tmp_path, data_path, preprocessing)
    inference = TensorFlowInference(request(trained=trained, data_path=data_path, batch_size=7, image_size=None))
    outcome = inference.evaluate(nothing)
    assert (outcome.samples, outcome.top1_accuracy) == (validated.samples, validated.top1_accuracy)
    assert outcome.loss == pytest.approx(validated.loss, rel=1e-5)
    assert inference.facts.weights == inference.resolved.weights == "trained in train_1"
    assert inference.published_accuracy() is None
    assert inference.facts.parameters == tested.facts.parameters


def test_the_export_of_a_trained_model_agrees_too(tmp_path: Path) -> None:
    from mlee.backends.onnx.from_tensorflow import OnnxFromTensorFlow

    tested = make(opt="adamw", batch_size=32, n_batches=20)
    history(tested)
    trained = _trained(tested, tmp_path, "digits")
    exported = OnnxFromTensorFlow(request(trained=trained, data_path="digits", batch_size=50, image_size=None))
    assert exported.evaluate(nothing).top1_accuracy == tested.validate(nothing).top1_accuracy
    assert exported.facts.weights == "trained in train_1"
    assert exported.published_accuracy() is None
    assert not list(exported.warnings())


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    trained = _trained(make(), tmp_path, "digits")
    trained.weights.write_bytes(b"junk")
    with pytest.raises(BackendError, match=r"model\.weights\.h5 does not hold weights"):
        TensorFlowInference(request(trained=trained, data_path="digits", image_size=None))
