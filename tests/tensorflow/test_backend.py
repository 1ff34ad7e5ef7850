"""The TensorFlow backend: what it counts is what a plain computation gives."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mlee.backends.tensorflow import inference
from mlee.backends.tensorflow.facts import count_macs, count_parameters
from mlee.backends.tensorflow.models import KerasModel, find_model, model_names
from mlee.backends.tensorflow.published import PUBLISHED, QUICKNET
from mlee.datasets.imagenet import wordnet_ids
from mlee.errors import BackendError, BackendUnavailable, ConfigError, DataError, MleeError
from mlee.measuring import MeasuringOptions
from mlee.runner import run_inference
from tests.tensorflow.helpers import LABELS, SMALL, backend, favour, nothing, request, tiny_network, truth, write_photographs

# Keras and h5py are behind NumPy here.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
real_network = pytest.mark.real_network


@pytest.fixture(autouse=True)
def _tiny_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "real_network" not in request.keywords:
        monkeypatch.setattr(KerasModel, "_build", tiny_network)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    return write_photographs(tmp_path)


@pytest.mark.parametrize("batch_size", [1, 6, 13, 64])
def test_hits_with_several_right_classes_and_a_partial_batch_are_those_of_numpy(batch_size: int) -> None:
    tested = backend(data_path="sample:13", batch_size=batch_size)
    favour(tested.model, 281, 285, 967, 504, 657, 744)
    outcome = tested.evaluate(nothing)
    top1, top5 = truth(tested.predict(), tested.dataset.labels)  # type: ignore[union-attr,arg-type]
    assert 0 < top1 < top5 < 1, "the test must tell hits from misses"
    assert (outcome.samples, outcome.top1_accuracy, outcome.top5_accuracy) == (13, pytest.approx(top1), pytest.approx(top5))
    assert outcome.loss is None, "there is no cross entropy where several classes are right"


def test_loss_and_hits_on_one_label_are_those_of_numpy(photographs: Path) -> None:
    tested = backend(data_path=str(photographs), batch_size=3)
    favour(tested.model, 7, 281, 5)
    outcome = tested.evaluate(nothing)
    logits = tested.predict().astype(np.float64)
    shifted = logits - logits.max(1, keepdims=True)
    loss = np.mean(np.log(np.exp(shifted).sum(1)) - shifted[np.arange(7), LABELS])
    top1, top5 = truth(logits, tuple((label,) for label in LABELS))
    assert top1 == pytest.approx(3 / 7)
    assert outcome.loss == pytest.approx(loss, rel=1e-5)
    assert (outcome.top1_accuracy, outcome.top5_accuracy) == (pytest.approx(top1), pytest.approx(top5))
    assert (outcome.accuracy_provenance, outcome.accuracy_source) == ("measured", "imagenet")


def test_progress_counts_samples_up_to_all_and_batches_limit_them() -> None:
    seen: list[int] = []
    tested = backend(data_path="sample:10")
    tested.evaluate(seen.append)
    assert seen == [4, 8, 10]
    assert (tested.resolved.batches, tested.resolved.samples) == (3, 10)
    assert backend(data_path="sample:10", n_batches=2).evaluate(nothing).samples == 8


def test_synthetic_images_have_no_accuracy_and_are_the_same_for_a_seed() -> None:
    first, again, other = (backend(data_path="synthetic:9", seed=seed) for seed in (3, 3, 4))
    outcome = first.evaluate(nothing)
    assert (outcome.samples, outcome.top1_accuracy, outcome.accuracy_provenance) == (9, None, None)
    assert np.array_equal(first.predict(), again.predict())
    assert not np.array_equal(first.predict(), other.predict())


def test_workers_change_neither_order_nor_predictions(photographs: Path) -> None:
    alone = backend(data_path=str(photographs), batch_size=2).predict()
    assert np.array_equal(alone, backend(data_path=str(photographs), batch_size=2, workers=2).predict())
    assert len(np.unique(alone[:, 0])) == 7, "the images must be told apart"


@pytest.mark.parametrize("warm_up", [0, 2])
@pytest.mark.parametrize("data_path", ["sample:6", "synthetic:6", "synthetic:3"])
def test_nothing_is_traced_in_a_measured_pass(data_path: str, warm_up: int) -> None:
    tested = backend(data_path=data_path)
    tested.warm_up(warm_up)
    for _ in range(2):
        tested.evaluate(nothing)
    assert tested._run.experimental_get_tracing_count() == 1
    assert not list(tested.warnings())


def test_tracing_in_a_measured_pass_is_not_kept_quiet() -> None:
    tested = backend()
    tested.evaluate(nothing)
    assert [warning.code for warning in tested.warnings()] == ["compiled-late"]


@pytest.mark.parametrize("junk", [b"", b"not an image", "truncated"])
@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_image_is_named(junk: bytes | str, workers: int, photographs: Path) -> None:
    broken = photographs / "val" / wordnet_ids()[281] / "3.png"
    broken.write_bytes(broken.read_bytes()[:200] if isinstance(junk, str) else junk)
    with pytest.raises(DataError, match=r"3\.png \(.+\)") as refused:
        backend(data_path=str(photographs), workers=workers).evaluate(nothing)
    assert "--skip-corrupt" in (refused.value.hint or "")


@pytest.mark.parametrize(
    "broken", [("0.png", "1.png", "2.png"), ("2.png", "6.png"), ("0.png", "3.png", "4.png")], ids=["first", "last", "some"]
)
def test_unreadable_images_are_skipped_and_counted_on_request(broken: tuple[str, ...], photographs: Path) -> None:
    for name in broken:
        next(photographs.rglob(name)).write_bytes(b"x")
    tested = backend(data_path=str(photographs), workers=2, batch_size=3, skip_corrupt=True)
    favour(tested.model, 5, 281)
    left = [label for number, label in enumerate(LABELS) if f"{number}.png" not in broken]
    for _ in range(2):
        outcome = tested.evaluate(nothing)
        assert (outcome.samples, outcome.top1_accuracy) == (len(left), pytest.approx(left.count(281) / len(left)))
        (*_, warning) = tested.warnings()
        assert warning.code == "corrupt-images"
        assert warning.message.startswith(f"{len(broken)} images were skipped")
        assert all(name in warning.message for name in broken)
        assert str(photographs) not in warning.message


def test_nothing_readable_is_an_error(photographs: Path) -> None:
    for path in photographs.rglob("*.png"):
        path.write_bytes(b"x")
    with pytest.raises(DataError, match="No image could be read"):
        backend(data_path=str(photographs), skip_corrupt=True).evaluate(nothing)


def test_the_warm_up_reads_no_image_of_the_pass_but_the_first(photographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tested = backend(data_path=str(photographs), workers=2)
    for path in sorted(photographs.rglob("*.png"))[1:]:
        path.write_bytes(b"x")  # reading one would be an error
    tested.warm_up(2)


def test_random_weights_follow_the_seed() -> None:
    first, again, other = (backend(seed=seed).model.get_weights() for seed in (3, 3, 4))
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert any(not np.array_equal(one, two) for one, two in zip(first, other, strict=True))


@real_network
def test_the_same_seed_gives_the_same_predictions() -> None:
    assert np.array_equal(backend(model="MobileNetV2").predict(), backend(model="MobileNetV2").predict())


@real_network
def test_a_file_of_weights_gives_the_same_outputs(tmp_path: Path) -> None:
    saved = backend(seed=3)
    saved.model.save_weights(tmp_path / "w.weights.h5")
    loaded = backend(seed=9, weights=str(tmp_path / "w.weights.h5"))
    assert np.array_equal(loaded.predict(), saved.predict())
    assert loaded.resolved.weights == "file w.weights.h5"
    assert saved.facts.weights_bytes == pytest.approx((tmp_path / "w.weights.h5").stat().st_size, rel=0.05)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", "other"])
def test_a_file_that_holds_no_weights_of_the_model_is_refused_by_name(
    content: bytes | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.weights.h5"
    if isinstance(content, str):
        find_model("MobileNetV2").build(32, pretrained=False).save_weights(path)
        monkeypatch.undo()  # the real network and the tiny one
    else:
        path.write_bytes(content)
    with pytest.raises(BackendError, match=r"w\.weights\.h5 does not hold weights of this model"):
        backend(weights=str(path))


@pytest.mark.parametrize("weights", ["IMAGENET1K_V1", "/none/w.weights.h5"])
def test_weights_that_do_not_exist_are_a_configuration_error(weights: str) -> None:
    with pytest.raises(ConfigError, match="--weights"):
        backend(weights=weights)


@pytest.mark.parametrize("data_path", ["sample:6", "synthetic:6"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_outputs_that_are_no_numbers_are_refused_whatever_the_labels(value: float, data_path: str) -> None:
    tested = backend(data_path=data_path)
    tested.model.get_layer("predictions").weights[1].assign(np.full(1000, value))
    for work in (lambda: tested.warm_up(1), lambda: tested.evaluate(nothing)):
        with pytest.raises(BackendError, match="not finite"):
            work()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_smaller_numbers_run_and_give_nearly_the_same(precision: str) -> None:
    exact, small = backend(), backend(precision=precision)
    small.model.set_weights(exact.model.get_weights())
    expected, found = exact.predict(), small.predict()
    assert np.abs(expected - found).max() < 0.05 * np.abs(expected).max() + 1e-5
    assert not np.array_equal(expected, found)
    assert small.evaluate(nothing).samples == 6
    assert small.facts == exact.facts


@real_network
@pytest.mark.slow
def test_a_compiled_model_gives_the_same_and_compiles_nothing_in_a_pass() -> None:
    tested = backend(compile=True)
    tested.warm_up(0)
    tested.evaluate(nothing)
    assert not list(tested.warnings())
    assert np.allclose(tested.predict(), backend().predict(), rtol=1e-3, atol=1e-9)


def test_a_batch_of_a_size_that_was_not_compiled_for_is_told(photographs: Path) -> None:
    next(photographs.rglob("6.png")).write_bytes(b"x")  # leaves a last batch of 2 instead of 3
    tested = backend(data_path=str(photographs), compile=True, skip_corrupt=True)
    tested.warm_up(0)
    tested.evaluate(nothing)
    assert [warning.code for warning in tested.warnings()] == ["compiled-late", "corrupt-images"]


@pytest.mark.parametrize("samples", [9, 8, 1])
def test_several_devices_share_every_batch_and_give_what_one_gives(samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = backend(data_path=f"synthetic:{samples}", batch_size=8)
    monkeypatch.setattr(inference, "choose_devices", lambda wanted: (["CPU:0", "CPU:1"], []))
    both = backend(data_path=f"synthetic:{samples}", batch_size=4)
    assert both.resolved.global_batch_size == 8
    both.warm_up(1)
    assert both.evaluate(nothing).samples == samples
    assert not list(both.warnings())
    assert np.allclose(both.predict(), alone.predict(), rtol=1e-5, atol=1e-6)
    assert {weight.value.__class__.__name__ for weight in both.model.weights} == {"MirroredVariable"}


def test_compiling_for_several_devices_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "choose_devices", lambda wanted: (["CPU:0", "CPU:1"], []))
    with pytest.raises(ConfigError, match="--compile works on one GPU"):
        backend(compile=True)


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="this machine has a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "tpu", ""])
def test_a_device_that_is_not_there_is_a_configuration_error(device: str) -> None:
    with pytest.raises(ConfigError, match=f"--device '?{device}"):
        backend(device=device)


@real_network
def test_without_internet_the_file_and_its_place_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    url = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/x.h5"

    def fail(*_: object, **__: object) -> None:
        raise Exception(f"URL fetch failure on {url}: None -- [Errno -2] Name or service not known")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", fail)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(BackendError, match="MobileNetV2 could not be downloaded") as refused:
        backend(model="MobileNetV2", weights="pretrained")
    assert f"download {url} elsewhere and put it into {tmp_path / 'models'}" in (refused.value.hint or "")


@real_network
def test_published_weights_serve_other_sizes_where_the_network_allows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be downloaded is a network of Keras' size with random weights here."""

    def build(self: Any, size: int, weights: str | None, classes: int = 1000) -> Any:
        make = getattr(keras.applications, self.name)
        return make(weights=None, classifier_activation=None, input_shape=(size, size, 3))

    monkeypatch.setattr("mlee.backends.tensorflow.models.KerasModel._build", build)
    resized = find_model("MobileNet").build(64, pretrained=True)
    assert resized.input_shape == (None, 64, 64, 3)
    with pytest.raises(ConfigError, match="VGG16 are for images of 224 px only"):
        find_model("VGG16").build(64, pretrained=True)


@pytest.mark.parametrize("name", ["QuickNet", "quicknet_small"])
def test_quicknet_without_larq_names_the_mend(name: str) -> None:
    if "QuickNet" in model_names():
        pytest.skip("larq is installed")
    with pytest.raises(BackendUnavailable, match="needs larq") as refused:
        backend(model=name)
    assert "larq-zoo" in (refused.value.hint or "")


@real_network
def test_quicknet_has_the_published_parameters_and_macs_where_larq_is_installed() -> None:
    pytest.importorskip("larq_zoo")
    for name, published in QUICKNET.items():
        model = find_model(name).build(published.size, pretrained=False)
        assert count_parameters(model) == published.parameters
        assert count_macs(model) / 1e9 == pytest.approx(float(published.macs or 0), rel=0.02)


def test_quicknet_takes_no_smaller_numbers() -> None:
    with pytest.raises(ConfigError, match="fp32 only"):
        backend(model="QuickNet", precision="bf16")


@real_network
def test_an_image_size_the_model_cannot_take_is_an_expected_error() -> None:
    with pytest.raises(ConfigError, match="MobileNet cannot be built for images of 20 px"):
        backend(image_size=20)


@pytest.mark.parametrize("fields", [{"image_size": 10**7}, {"image_size": 10**400}, {"batch_size": 10**10}])
def test_images_that_no_memory_can_hold_are_a_configuration_error(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="does not fit into memory"):
        backend(**{"data_path": "synthetic:10000000000", **fields})


def test_an_unknown_model_offers_the_closest_names() -> None:
    with pytest.raises(ConfigError, match="Unknown model 'MobilNetV2'") as refused:
        backend(model="MobilNetV2")
    assert "MobileNetV2" in (refused.value.hint or "")


def test_the_run_is_described_as_it_is(tmp_path: Path) -> None:
    options = MeasuringOptions(output_dir=tmp_path, sensors=("simulated",), idle_seconds=0, repeats=2)
    result, _ = run_inference(request(data_path="sample:5"), "tensorflow", options)
    assert (result.config.backend, result.config.device, result.config.workers) == ("tensorflow", "cpu", 0)
    assert (result.outcome.samples, len(result.measurements)) == (5, 2)
    assert (result.details["threads"], result.details["deterministic"]) == (1, True)
    assert (result.details["resize_size"], result.details["interpolation"]) == (37, "bilinear")
    assert [warning.code for warning in result.warnings if warning.code != "short-run"] == ["sample-accuracy"]


def _smooth(width: int, height: int) -> Image.Image:
    """An image whose resized versions do not depend on details of the filter."""
    x, y = np.meshgrid(np.linspace(0, 3, width), np.linspace(0, 3, height))
    channels = [128 + 100 * np.sin(x + shift) * np.cos(y - shift) for shift in (0, 1, 2)]
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


@pytest.mark.parametrize(("width", "height"), [(400, 500), (500, 400), (300, 300)])
@pytest.mark.parametrize("name", ["ResNet50", "EfficientNetB1", "EfficientNetV2S", "InceptionV3"])
def test_resizing_and_cropping_are_those_of_the_usual_order(name: str, width: int, height: int) -> None:
    preset = find_model(name).preprocessing()
    size, resize = preset.crop_size, preset.resize_size
    image = _smooth(width, height)
    if resize is None:
        expected = image.resize((size, size), Image.Resampling.BILINEAR)
    else:
        scale = resize / min(width, height)
        larger = image.resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC)
        left, upper = (larger.width - size) // 2, (larger.height - size) // 2
        expected = larger.crop((left, upper, left + size, upper + size))
    values = preset.values(np.asarray(expected, dtype=np.float32))
    found = np.asarray(preset.prepare(tf.constant(np.asarray(image))))
    span = float(np.ptp(values))
    assert np.abs(found - values).mean() < 0.005 * span
    assert np.abs(found - values).max() < 0.03 * span


@pytest.mark.parametrize(
    ("name", "resize"),
    [("ResNet50", 256), ("InceptionV3", 342), ("EfficientNetB0", 256), ("EfficientNetB7", 632), ("EfficientNetV2M", None)],
)
def test_the_crop_is_that_of_the_weights_and_keeps_its_share_at_other_sizes(name: str, resize: int | None) -> None:
    preset = find_model(name).preprocessing()
    assert preset.resize_size == resize
    half = preset.with_size(preset.crop_size // 2)
    assert half.resize_size == (None if resize is None else round(preset.crop_size // 2 * resize / preset.crop_size))


def test_preprocessing_of_another_model_is_taken_by_name() -> None:
    tested = backend(eval_preprocessing="EfficientNetB0", image_size=None)
    assert (tested.resolved.image_size, tested.details["interpolation"]) == (224, "bicubic")
    with pytest.raises(ConfigError, match="Unknown model"):
        backend(eval_preprocessing="nobodys")


def _agrees(stated: str | int, found: float) -> bool:
    """Whether a number is the stated one, within half of its last digit."""
    digits = str(stated).split()[0]
    decimals = len(digits.partition(".")[2])
    return abs(found - float(digits)) <= 0.5 * 10**-decimals + 1e-9


#: Written by scripts/models_table.py.
MODELS_TABLE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
_QUICK = ("MobileNet", "MobileNetV2", "MobileNetV3Small", "ResNet50", "EfficientNetB0", "NASNetMobile", "ConvNeXtTiny")


@real_network
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in _QUICK else pytest.mark.slow) for name in PUBLISHED]
)
def test_parameters_and_macs_are_those_published(name: str) -> None:
    published = PUBLISHED[name]
    model = find_model(name).build(published.size, pretrained=False)
    parameters, macs = count_parameters(model), count_macs(model) / 1e9
    if isinstance(published.parameters, int):
        assert parameters == published.parameters
    else:
        assert _agrees(published.parameters, parameters / 1e6)
    if published.macs is not None:
        assert macs == pytest.approx(float(published.macs), rel=0.02)
    (row,) = [line for line in MODELS_TABLE.splitlines() if line.startswith(f"| {name} | {name} |")]
    assert f"| {published.size} | {parameters:,}" in row
    assert f"| {macs:.3f}" in row


def test_every_classifier_of_keras_is_known_with_its_input_size_and_accuracy() -> None:
    functions = {name for name in dir(keras.applications) if name[0].isupper()}
    assert functions == set(PUBLISHED)
    assert set(model_names()) - set(QUICKNET) == functions
    without = {name for name in PUBLISHED if find_model(name).published_accuracy() is None}
    assert without == {name for name in PUBLISHED if name.startswith("ConvNeXt")}
    for published in (*PUBLISHED.values(), *QUICKNET.values()):
        assert published.top1 is None or 50 < published.top1 < (published.top5 or 100) <= 100
    accuracy = find_model("ResNet50").published_accuracy()
    assert accuracy is not None
    assert (accuracy.top1, accuracy.top5) == (pytest.approx(0.749), pytest.approx(0.921))
    assert re.match("https://keras.io", accuracy.source)


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="this machine has a GPU")
@pytest.mark.parametrize(("device", "codes"), [("auto", ["gpu-unused"]), ("cpu", [])])
def test_gpus_that_this_build_cannot_use_are_told_unless_the_user_chose(
    device: str, codes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlee.backends.gpus.visible_uuids", lambda: ("GPU-1", "GPU-2"))
    assert [warning.code for warning in backend(device=device).warnings()] == codes


def test_an_error_of_the_framework_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    tested = backend()

    def fail(images: Any) -> Any:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor\nmore lines")

    monkeypatch.setattr(tested, "_run", fail)
    with pytest.raises(BackendError, match="does not fit into memory"):
        tested.warm_up(1)


def test_models_and_errors_are_expected_ones() -> None:
    assert issubclass(BackendUnavailable, MleeError)
    assert SMALL in model_names()
