"""Models of TensorFlow in ONNX Runtime: the export is the model, and is counted like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mlee.backends.onnx.from_tensorflow import OnnxFromTensorFlow
from mlee.backends.tensorflow.models import KerasModel
from mlee.errors import BackendError, ConfigError
from mlee.measuring import MeasuringOptions
from mlee.runner import run_inference
from tests.tensorflow.helpers import LABELS, backend, favour, nothing, request, tiny_network, write_photographs

# Libraries behind NumPy's and Python's versions, which warn while they export.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def _onnx(**fields: Any) -> OnnxFromTensorFlow:
    return OnnxFromTensorFlow(request(**fields))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KerasModel, "_build", tiny_network)


@pytest.mark.parametrize(
    "name",
    [
        "MobileNet",
        *[
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("EfficientNetB0", "MobileNetV3Small", "DenseNet121", "Xception", "ConvNeXtTiny")
        ],
    ],
)
def test_an_exported_network_gives_what_the_original_gives(name: str) -> None:
    tested = _onnx(model=name, image_size=96, data_path="sample:5", batch_size=2)
    expected = tested._tensorflow.predict()
    largest = np.abs(expected).max()
    assert np.abs(tested.predict() - expected).max() < 1e-3 * largest
    # The images tell a network from one with wrong constants of normalisation: pixels of another range give other outputs.
    wrong = [tested._session.run(np.asarray(batch.images) / 2) for batch in tested._source.batches]
    assert np.abs(np.concatenate(wrong) - expected).max() > 1e-2 * largest
    assert not list(tested.warnings())
    assert tested.details["export_difference"] < 1e-3 * tested.details["export_largest_output"]  # type: ignore[operator]
    assert tested.facts.parameters == pytest.approx(tested._tensorflow.facts.parameters, rel=0.03)
    assert tested.facts.macs == tested._tensorflow.facts.macs
    assert tested.details["original_parameters"] == tested._tensorflow.facts.parameters
    assert tested.facts.weights_bytes == pytest.approx(4 * tested.facts.parameters, rel=0.1)


def test_constants_of_a_normalisation_are_part_of_the_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """Left to itself the exporter makes them inputs of the graph, which nobody then feeds."""

    def build(self: Any, size: int, weights: str | None, classes: int) -> Any:
        images = keras.Input((size, size, 3))
        scaled = keras.layers.Normalization(mean=[100.0, 90.0, 80.0], variance=[9.0, 16.0, 25.0])(images)
        features = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 4, activation="relu")(scaled))
        return keras.Model(images, keras.layers.Dense(1000)(features))

    monkeypatch.setattr(KerasModel, "_build", build)
    tested = _onnx()
    expected = tested._tensorflow.predict()
    assert np.allclose(tested.predict(), expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


@pytest.mark.usefixtures("tiny")
def test_counts_are_those_of_tensorflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(self: Any, size: int, weights: str | None, classes: int) -> Any:
        model = tiny_network(self, size, weights, classes)
        favour(model, 5, 281)
        return model

    monkeypatch.setattr(KerasModel, "_build", build)
    for data_path in ("sample:13", str(write_photographs(tmp_path))):
        original, exported = backend(data_path=data_path), _onnx(data_path=data_path)
        exported.warm_up(0)
        one, other = original.evaluate(nothing), exported.evaluate(nothing)
        assert one.top1_accuracy is not None
        assert 0 < one.top1_accuracy < 1
        assert other.loss == (None if one.loss is None else pytest.approx(one.loss, rel=1e-4))
        assert (one.samples, one.top1_accuracy, one.top5_accuracy) == (
            *(other.samples, other.top1_accuracy, other.top5_accuracy),
        )
    assert one.top1_accuracy == pytest.approx(LABELS.count(281) / len(LABELS))


@pytest.mark.usefixtures("tiny")
def test_an_export_that_differs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OnnxFromTensorFlow, "_original", lambda self, images: np.ones((len(images), 1000), np.float32))
    (warning,) = _onnx().warnings()
    assert warning.code == "export-differs"


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(("fields", "said"), [({"precision": "fp16"}, "fp32 only"), ({"compile": True}, "--compile")])
def test_what_onnx_runtime_does_not_do_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        _onnx(**fields)


@pytest.mark.usefixtures("tiny")
def test_outputs_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    saved = backend()
    saved.model.get_layer("predictions").weights[1].assign(np.full(1000, np.nan))
    saved.model.save_weights(tmp_path / "nan.weights.h5")
    tested = _onnx(weights=str(tmp_path / "nan.weights.h5"))
    for work in (lambda: tested.warm_up(1), lambda: tested.evaluate(nothing)):
        with pytest.raises(BackendError, match="not finite"):
            work()


@pytest.mark.usefixtures("tiny")
def test_a_run_is_described_as_it_is(tmp_path: Path) -> None:
    options = MeasuringOptions(output_dir=tmp_path, sensors=("simulated",), idle_seconds=0)
    result, _ = run_inference(request(data_path="sample:5"), "onnx_tensorflow", options)
    assert (result.config.backend, result.config.device, result.outcome.samples) == ("onnx_tensorflow", "cpu", 5)
    assert (result.details["provider"], result.details["threads"]) == ("CPUExecutionProvider", 1)
    assert result.model.macs_method is not None
    assert result.model.macs_method.startswith("of the original")
