"""Models of PyTorch in ONNX Runtime: the export is the model, and is counted like any other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

import onnxruntime  # noqa: E402

from mlee.backends.base import InferenceRequest  # noqa: E402
from mlee.backends.onnx import runtime  # noqa: E402
from mlee.backends.onnx.from_pytorch import OnnxFromPyTorch  # noqa: E402
from mlee.backends.onnx.runtime import Session  # noqa: E402
from mlee.backends.pytorch.models import TorchvisionModel  # noqa: E402
from mlee.errors import BackendError, ConfigError, DataError  # noqa: E402
from mlee.measuring import MeasuringOptions  # noqa: E402
from mlee.runner import run_inference  # noqa: E402


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield
    torch.set_num_threads(before)


def _request(**fields: Any) -> InferenceRequest:
    defaults: dict[str, Any] = {
        "model": "squeezenet1_1",
        "data_path": "sample:6",
        "weights": "random",
        "device": "cpu",
        "batch_size": 4,
        "workers": 0,
        "image_size": 32,
        "seed": 3,
    }
    return InferenceRequest(**{**defaults, **fields})


def _nothing(samples: int) -> None:
    pass


@pytest.fixture(scope="module")
def small() -> OnnxFromPyTorch:
    """One export for the tests that only look at it."""
    return OnnxFromPyTorch(_request(data_path="sample:7"))


def test_real_weights_see_the_same_in_the_photographs_as_with_pytorch() -> None:
    fields = {"model": "EfficientNetLite0", "weights": "pretrained", "image_size": None, "batch_size": 5}
    tested = OnnxFromPyTorch(_request(**fields))
    outcome = tested.evaluate(_nothing)
    assert (outcome.samples, outcome.top1_accuracy, outcome.top5_accuracy) == (6, 1.0, 1.0)
    expected = tested._pytorch.predict().numpy()
    found = tested.predict()
    assert np.array_equal(found.argmax(1), expected.argmax(1))
    assert np.abs(found - expected).max() < 1e-3
    assert not list(tested.warnings())


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow)
        for name in ("mobilenet_v3_small", "densenet121", "inception_v3", "regnet_x_400mf", "convnext_tiny", "vit_b_32")
    ],
)
def test_networks_of_several_families_give_what_the_original_gives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    build = TorchvisionModel.build

    def without_zeros(self: TorchvisionModel, pretrained: bool) -> Any:
        model = build(self, pretrained)
        for parameter in model.parameters():
            if not parameter.any():  # ViT's last layer begins with zeros, and then everything is equal
                torch.nn.init.normal_(parameter, std=0.02)
        return model

    monkeypatch.setattr(TorchvisionModel, "build", without_zeros)
    size = {"inception_v3": 96, "vit_b_32": None}.get(name, 64)
    tested = OnnxFromPyTorch(_request(model=name, image_size=size, data_path="sample:3", batch_size=2))
    expected = tested._pytorch.predict().numpy()
    assert np.abs(tested.predict() - expected).max() < 1e-3 * np.abs(expected).max()
    assert not list(tested.warnings())


def test_counts_are_those_of_pytorch(small: OnnxFromPyTorch) -> None:
    small.warm_up(0)
    seen: list[int] = []
    found, expected = small.evaluate(seen.append), small._pytorch.evaluate(_nothing)
    assert seen == [4, 7]
    assert found == expected
    assert found.samples == 7


def test_facts_are_those_of_the_graph_and_macs_those_of_the_original(small: OnnxFromPyTorch) -> None:
    assert small.facts.macs == small._pytorch.facts.macs
    assert small.facts.parameters == pytest.approx(1_235_496, rel=0.01)
    assert small.details["original_parameters"] == 1_235_496
    assert small.facts.weights_bytes == pytest.approx(4 * 1_235_496, rel=0.05)
    assert (small.resolved.device, small.details["provider"], small.details["threads"]) == ("cpu", "CPUExecutionProvider", 1)


def test_the_session_takes_batches_of_any_size(small: OnnxFromPyTorch) -> None:
    images = small._examples(5)
    together = small._session.run(images)
    assert np.allclose(np.concatenate([small._session.run(images[:1]), small._session.run(images[1:])]), together, atol=1e-5)


def test_the_difference_to_the_original_is_kept_and_a_large_one_is_told(
    small: OnnxFromPyTorch, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = small._examples(4)
    expected = small._original(examples)
    difference, largest = np.abs(small._session.run(examples) - expected).max(), np.abs(expected).max()
    assert small.details["export_difference"] < 1e-5  # type: ignore[operator]
    assert small.details["export_difference"] == pytest.approx(difference, abs=1e-6)
    assert small.details["export_largest_output"] == pytest.approx(largest)
    monkeypatch.setattr(OnnxFromPyTorch, "_original", lambda self, images: np.full((len(images), 1000), 9, np.float32))
    (warning,) = OnnxFromPyTorch(_request()).warnings()
    assert warning.code == "export-differs"


def test_unreadable_images_are_refused_or_skipped_as_with_pytorch(tmp_path: Path, small: OnnxFromPyTorch) -> None:
    from PIL import Image

    from mlee.datasets.imagenet import wordnet_ids

    folder = tmp_path / "val" / wordnet_ids()[7]
    folder.mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (40, 40), (number, 0, 0)).save(folder / f"{number}.png")
    (folder / "1.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"1\.png"):
        OnnxFromPyTorch(_request(data_path=str(tmp_path))).evaluate(_nothing)
    tested = OnnxFromPyTorch(_request(data_path=str(tmp_path), skip_corrupt=True))
    assert tested.evaluate(_nothing).samples == 2
    assert [warning.code for warning in tested.warnings()] == ["corrupt-images"]


def test_outputs_that_are_no_numbers_are_refused(small: OnnxFromPyTorch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small._session, "run", lambda images: np.full((len(images), 1000), np.nan, np.float32))
    for work in (lambda: small.warm_up(1), lambda: small.evaluate(_nothing)):
        with pytest.raises(BackendError, match="not finite"):
            work()


def test_a_model_that_cannot_be_exported_is_an_expected_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise torch.onnx.errors.OnnxExporterError("no translation of aten::strange\nand many lines more")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(BackendError, match="squeezenet1_1 cannot be exported to ONNX: no translation of aten::strange"):
        OnnxFromPyTorch(_request())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"precision": "bf16"}, "fp32 only, not bf16"),
        ({"compile": True}, "--compile"),
        ({"device": "tpu"}, "--device"),
        ({"device": "cuda:x"}, "--device"),
    ],
)
def test_what_onnx_runtime_does_not_do_is_refused(
    fields: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    with pytest.raises(ConfigError, match=said):
        OnnxFromPyTorch(_request(**fields))


@pytest.mark.parametrize(
    ("providers", "wanted", "gpu"),
    [(True, "auto", 0), (True, "cuda", 0), (True, "cuda:3", 3), (True, "cpu", None), (False, "auto", None)],
)
def test_a_gpu_is_taken_where_onnx_runtime_can(
    providers: bool, wanted: str, gpu: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ["CUDAExecutionProvider"] * providers + ["CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: found)
    assert runtime.choose_gpu(wanted) == gpu


def test_a_gpu_that_is_not_there_names_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ConfigError, match="no CUDA provider") as refused:
        runtime.choose_gpu("cuda")
    assert "onnxruntime-gpu" in (refused.value.hint or "")


def test_a_provider_that_does_not_start_is_not_replaced_by_the_cpu_without_a_word(
    small: OnnxFromPyTorch, tmp_path: Path
) -> None:
    small._export(tmp_path / "model.onnx")
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine has a GPU")
    with (
        pytest.warns(UserWarning, match="CUDAExecutionProvider"),
        pytest.raises(BackendError, match="its CUDA provider did not start"),
    ):
        Session(tmp_path / "model.onnx", gpu=0, threads=1)


def test_a_file_that_is_no_model_is_an_expected_error(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"junk")
    with pytest.raises(BackendError, match="cannot load"):
        Session(tmp_path / "model.onnx", gpu=None, threads=1)


def test_images_of_another_size_are_an_expected_error(small: OnnxFromPyTorch) -> None:
    with pytest.raises(BackendError, match=r"failed on images of size \(1, 3, 7, 7\)"):
        small._session.run(np.zeros((1, 3, 7, 7), np.float32))


def test_a_run_is_described_as_it_is(tmp_path: Path) -> None:
    options = MeasuringOptions(output_dir=tmp_path, sensors=("simulated",), idle_seconds=0)
    result, _ = run_inference(_request(data_path="synthetic:5"), "onnx_pytorch", options)
    assert (result.config.backend, result.config.device, result.outcome.samples) == ("onnx_pytorch", "cpu", 5)
    assert result.model.macs_method is not None
    assert result.model.macs_method.startswith("of the original")


@pytest.mark.parametrize(("device", "codes"), [("auto", ["gpu-unused"]), ("cpu", [])])
def test_gpus_that_this_build_cannot_use_are_told_unless_the_user_chose(
    device: str, codes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr("mlee.backends.gpus.visible_uuids", lambda: ("GPU-1", "GPU-2"))
    warnings = list(OnnxFromPyTorch(_request(device=device)).warnings())
    assert [warning.code for warning in warnings] == codes
    assert all("2 GPUs" in warning.message and "onnxruntime-gpu" in warning.message for warning in warnings)
