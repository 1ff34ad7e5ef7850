"""Training with PyTorch: steps are what the formulas say, and a history depends on its seed alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from PIL import Image  # noqa: E402
from torch import nn  # noqa: E402

from mlee.backends.base import InferenceRequest  # noqa: E402
from mlee.backends.pytorch.inference import PyTorchInference  # noqa: E402
from mlee.backends.pytorch.models import TorchvisionModel, find_model, model_names  # noqa: E402
from mlee.backends.pytorch.optimizers import make_optimizer, set_learning_rate  # noqa: E402
from mlee.backends.pytorch.training import PyTorchTraining  # noqa: E402
from mlee.backends.training_base import AUTO_AUGMENT, OPTIMIZERS, TrainingRequest  # noqa: E402
from mlee.errors import BackendError, ConfigError, DataError, MleeError, ResultError  # noqa: E402
from mlee.experiment import load_result  # noqa: E402
from mlee.measuring import MeasuringOptions  # noqa: E402
from mlee.records import Outcome  # noqa: E402
from mlee.trained_folder import trained_model  # noqa: E402
from mlee.training_records import TrainingOutcome  # noqa: E402
from mlee.training_runner import run_training  # noqa: E402


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Tiny(nn.Module):
    """A network that learns in a moment, with everything that has a state: normalisation and dropout."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 16, 4, stride=4), nn.BatchNorm2d(16), nn.ReLU())
        self.drop = nn.Dropout(0.2)
        self.classify = nn.Linear(16 * 64, classes)

    def forward(self, images: Any) -> Any:
        return self.classify(self.drop(nn.functional.adaptive_avg_pool2d(self.features(images), 8).flatten(1)))


@pytest.fixture(autouse=True)
def _tiny_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("real_network") is None:
        monkeypatch.setattr(TorchvisionModel, "build_untrained", lambda self, classes, size: Tiny(classes))


def request(**fields: Any) -> TrainingRequest:
    defaults: dict[str, Any] = {
        "model": "squeezenet1_1",
        "batch_size": 16,
        "epochs": 3,
        "lr": 0.01,
        "n_batches": 8,
        "device": "cpu",
        "workers": 0,
        "seed": 3,
    }
    return TrainingRequest(**{**defaults, **fields})


def nothing(samples: int) -> None:
    pass


def history(backend: PyTorchTraining, epochs: range = range(3), rate: float = 0.01) -> list[tuple[Outcome, Outcome]]:
    return [(backend.train_epoch(epoch, rate, nothing), backend.validate(nothing)) for epoch in epochs]


def trained(**fields: Any) -> list[tuple[Outcome, Outcome]]:
    backend = PyTorchTraining(request(**fields))
    backend.warm_up(1)
    return history(backend)


def test_the_seed_decides_the_history() -> None:
    first = trained()
    assert trained() == first
    assert trained(seed=4) != first


def test_the_number_of_workers_does_not_matter() -> None:
    options: dict[str, Any] = {"auto_augment": "ra", "random_erase": 0.5, "n_batches": 3}
    assert trained(workers=2, **options) == trained(workers=0, **options)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_restored_training_goes_on_as_if_nothing_had_been(precision: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"opt": "adamw", "precision": precision, "random_erase": 0.5}
    whole = trained(**options)
    backend = PyTorchTraining(request(**options))
    backend.warm_up(0)
    history(backend, range(2))
    (tmp_path / "state.pt").write_bytes(backend.state())
    other = PyTorchTraining(request(**options))
    other.restore(tmp_path / "state.pt")
    other.warm_up(2)
    assert history(other, range(2, 3)) == whole[2:]


def test_warming_up_leaves_no_trace() -> None:
    backend = PyTorchTraining(request())
    before = backend.state()
    backend.warm_up(3)
    assert backend.state() == before


def test_what_is_counted_is_what_a_plain_computation_gives() -> None:
    backend = PyTorchTraining(request(n_batches=None))
    found = backend.validate(nothing)
    model = backend._module.eval()
    with torch.inference_mode():
        logits, labels = zip(*((model(batch.images), batch.targets[:, 0]) for batch in backend._validation), strict=True)
    outputs, right = torch.cat(logits), torch.cat(labels)
    order = outputs.argsort(1, descending=True)
    assert found.samples == 450 == len(right)
    assert found.loss == pytest.approx(float(nn.functional.cross_entropy(outputs, right)), rel=1e-5)
    assert found.top1_accuracy == pytest.approx(float((order[:, 0] == right).float().mean()))
    assert found.top5_accuracy == pytest.approx(float((order[:, :5] == right[:, None]).any(1).float().mean()))


def test_progress_counts_samples() -> None:
    backend, seen = PyTorchTraining(request()), list[int]()
    backend.train_epoch(0, 0.01, seen.append)
    assert seen == list(range(16, 129, 16))
    assert (backend.resolved.samples, backend.resolved.batches, backend.resolved.validation_samples) == (128, 8, 128)


def _first_step(opt: str, weight: float, gradient: float, options: TrainingRequest) -> float:
    """The weight after one step, by the formulas of the optimisers' papers as PyTorch documents them."""
    decayed = gradient + options.weight_decay * weight
    match opt:
        case "sgd":
            return weight - options.lr * decayed
        case "sgd_nesterov":
            return weight - options.lr * (decayed + options.momentum * decayed)
        case "rmsprop":
            return weight - options.lr * decayed / (np.sqrt((1 - options.opt_decy) * decayed**2) + 0.0316)
        case "adam":
            return weight - options.lr * decayed / (abs(decayed) + 1e-8)
    return weight * (1 - options.lr * options.weight_decay) - options.lr * gradient / (abs(gradient) + 1e-8)


@pytest.mark.parametrize("opt", OPTIMIZERS)
def test_optimisers_make_the_steps_of_their_formulas(opt: str) -> None:
    options = request(opt=opt, lr=0.1, weight_decay=0.3, momentum=0.8, opt_decy=0.7)
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 2.0)
    optimizer = make_optimizer(layer, options)
    layer.weight.grad = torch.tensor([[0.5]])
    optimizer.step()
    assert layer.weight.item() == pytest.approx(_first_step(opt, 2.0, 0.5, options), rel=1e-5)
    set_learning_rate(optimizer, 0.0)
    after = layer.weight.item()
    optimizer.step()
    assert layer.weight.item() == after


def test_momentum_adds_up() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 2.0)
    optimizer = make_optimizer(layer, request(opt="sgd", lr=0.1, weight_decay=0.0, momentum=0.5))
    for _ in range(2):
        layer.weight.grad = torch.tensor([[1.0]])
        optimizer.step()
    assert layer.weight.item() == pytest.approx(2.0 - 0.1 * 1.0 - 0.1 * 1.5)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"opt": "lion"}, "Unknown --opt 'lion'"),
        ({"opt": "sgd_nesterov", "momentum": 0.0}, "needs a --momentum of more than 0"),
        ({"auto_augment": "mixup"}, "Unknown --auto-augment 'mixup'"),
        ({"model": "resnet51"}, "did you mean"),
        ({"preprocessing": "resnet51"}, "did you mean"),
        ({"device": "tpu"}, "PyTorch finds no GPU|is none of auto"),
        ({"data_path": "sample"}, "does not exist"),
        ({"data_path": "synthetic:x"}, "asks for no whole number"),
        ({"batch_size": 2000}, "pass a smaller --batch-size"),
        ({"batch_size": 10**9, "data_path": "synthetic:2000000000"}, "does not fit into memory"),
    ],
)
def test_options_that_cannot_be(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(MleeError, match=said):
        PyTorchTraining(request(**fields))


@pytest.mark.parametrize("policy", AUTO_AUGMENT)
def test_augmentation(policy: str) -> None:
    plain = trained(n_batches=2)
    assert trained(n_batches=2, auto_augment=policy) != plain


@pytest.mark.parametrize(
    "fields",
    [
        {"random_erase": 1.0},
        {"interpolation": "nearest"},
        {"interpolation": "bicubic"},
        {"preprocessing": "EfficientNetLite0"},
        {"momentum": 0.0},
        {"weight_decay": 0.5},
        {"batch_norm_momentum": 0.9},
        {"image_size": 24},
        {"opt": "rmsprop"},
    ],
)
def test_every_option_changes_what_is_learnt(fields: dict[str, Any]) -> None:
    assert trained(n_batches=2, **fields) != trained(n_batches=2)


def test_custom_preprocessing_is_torchvisions() -> None:
    own = PyTorchTraining(request(model="EfficientNetLite1", data_path="synthetic:64", batch_size=4, n_batches=1))
    custom = PyTorchTraining(
        request(model="EfficientNetLite1", data_path="synthetic:64", batch_size=4, n_batches=1, preprocessing="custom")
    )
    assert (own.resolved.image_size, own.resolved.interpolation) == (240, "bicubic")
    assert (custom.resolved.image_size, custom.resolved.interpolation) == (224, "bilinear")


def test_random_erasing_leaves_validation_alone(tmp_path: Path) -> None:
    plain, erased = PyTorchTraining(request()), PyTorchTraining(request(random_erase=1.0))
    assert plain.validate(nothing) == erased.validate(nothing)


def test_a_training_that_diverges_says_so() -> None:
    backend = PyTorchTraining(request(lr=1e6))
    with pytest.raises(BackendError, match="not a finite number any more"):
        history(backend, rate=1e38)


def test_synthetic_images() -> None:
    backend = PyTorchTraining(request(data_path="synthetic:64", image_size=32))
    (trained_, validated), *_ = history(backend, range(1))
    assert (trained_.samples, validated.samples, backend.resolved.classes, backend.dataset) == (64, 16, 1000, "synthetic")


def _photographs(root: Path) -> Path:
    draw = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 3)):
        for label, name in enumerate(("bright", "dark")):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(128 * (1 - label), 255 - 128 * label, (40, 50, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{number}.png")
    return root


def test_folders_of_photographs_are_cropped_and_mirrored_at_random(tmp_path: Path) -> None:
    root = _photographs(tmp_path / "light")
    fields: dict[str, Any] = {"data_path": str(root), "batch_size": 4, "image_size": 32, "n_batches": None}
    backend = PyTorchTraining(request(**fields))
    history(backend, range(10))
    found = backend.validate(nothing)
    assert (found.samples, found.top1_accuracy, backend.dataset, backend.classes) == (6, 1.0, "light", ("bright", "dark"))
    first, second = (next(iter(backend._loader.epoch(epoch)))[0] for epoch in (0, 1))
    assert not torch.equal(first, second)
    assert torch.equal(first, next(iter(backend._loader.epoch(0)))[0])


def test_a_damaged_photograph_is_named(tmp_path: Path) -> None:
    root = _photographs(tmp_path / "light")
    (root / "train" / "dark" / "3.png").write_bytes(b"no image")
    backend = PyTorchTraining(request(data_path=str(root), batch_size=4, image_size=32, n_batches=None))
    with pytest.raises(DataError, match=r"train/dark/3\.png"):
        history(backend)


def test_damaged_states_are_refused(tmp_path: Path) -> None:
    backend = PyTorchTraining(request())
    path = tmp_path / "state.pt"
    for content in (b"", b"nonsense", backend.state()[:-100]):
        path.write_bytes(content)
        with pytest.raises(ResultError, match="does not hold the state of a training"):
            backend.restore(path)
    torch.save({"model": {}}, path)
    with pytest.raises(ResultError, match="does not hold the state"):
        backend.restore(path)


def test_running_means_forget_quickly_where_an_epoch_is_short() -> None:
    assert PyTorchTraining(request()).resolved.batch_norm_momentum == 0.1
    assert PyTorchTraining(request(batch_norm_momentum=0.7)).resolved.batch_norm_momentum == 0.7


@pytest.mark.real_network
def test_mobilenet_forgets_slowly_only_where_an_epoch_is_long_enough() -> None:
    short = PyTorchTraining(request(model="MobileNetV3Small"))
    long = PyTorchTraining(request(model="MobileNetV3Small", data_path="synthetic:600", batch_size=1, n_batches=None))
    assert (short.resolved.batch_norm_momentum, long.resolved.batch_norm_momentum) == (0.1, 0.01)


@pytest.mark.real_network
@pytest.mark.parametrize("name", ["googlenet", "InceptionV3", "EfficientNetLite0", "vit_b_16", "MobileNetV3Small"])
def test_networks_are_trained_as_they_are_evaluated(name: str) -> None:
    model = find_model(name).build_untrained(10, 96).train()
    logits = model(torch.rand(2, 3, 96, 96))
    assert logits.shape == (2, 10)


@pytest.mark.real_network
@pytest.mark.slow
@pytest.mark.parametrize("name", model_names())
def test_every_model_can_be_built_for_other_classes(name: str) -> None:
    source = find_model(name)
    try:
        with torch.device("meta"):
            model = source.build_untrained(7, int(source.preprocessing().crop_size[0]))
    except (RuntimeError, NotImplementedError, ConfigError):  # RegNet cannot be built without data
        model = source.build_untrained(7, int(source.preprocessing().crop_size[0]))
    shapes = {parameter.shape[0] for parameter in model.parameters() if parameter.dim() == 1}
    assert 7 in shapes or any(parameter.shape[0] == 7 for parameter in model.parameters())


@pytest.mark.slow
@pytest.mark.real_network
def test_compiling(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"model": "squeezenet1_1", "image_size": 32, "n_batches": 2, "batch_size": 8}
    backend = PyTorchTraining(request(compile=True, **fields))
    backend.warm_up(1)
    history(backend, range(2))
    assert list(backend.warnings()) == []


def test_a_trained_model_is_evaluated_as_it_was_validated(tmp_path: Path) -> None:
    options = MeasuringOptions(output_dir=tmp_path, sensors=("simulated",), idle_seconds=0, warmup_batches=0)
    wanted = request(n_batches=None, epochs=3, batch_size=32, lr=0.05, interpolation="bicubic")
    result, folder = run_training(wanted, "pytorch", options)
    assert result is not None
    assert load_result(folder) == result
    assert isinstance(result.outcome, TrainingOutcome)
    best = result.outcome.best
    assert best.validation_top1_accuracy > 0.8
    name, model = trained_model(folder)
    backend = PyTorchInference(
        InferenceRequest(model=model.model, trained=model, data_path="digits", workers=0, device="cpu", batch_size=30)
    )
    found = backend.evaluate(nothing)
    assert (name, found.samples, found.top1_accuracy) == ("pytorch", 450, best.validation_top1_accuracy)
    assert found.loss == pytest.approx(best.validation_loss, rel=1e-5)
    assert backend.facts.weights == f"trained in {folder.name}"
    assert backend.published_accuracy() is None
    with pytest.raises(ConfigError, match="has other classes than train_"):
        PyTorchInference(InferenceRequest(model=model.model, trained=model, data_path="sample:6"))
    with pytest.raises(BackendError, match="does not hold weights of this model"):
        PyTorchInference(
            InferenceRequest(model=model.model, trained=replace(model, classes=("a", "b")), data_path="synthetic:4")
        )


@pytest.mark.slow
@pytest.mark.real_network
def test_a_small_network_learns_the_digits() -> None:
    """What the README promises: more than 90 % of the digits it has not seen, after four epochs."""
    wanted = request(model="ResNet18", opt="adamw", lr=0.001, batch_size=64, epochs=4, n_batches=None, seed=1)
    backend = PyTorchTraining(wanted)
    for epoch in range(4):
        backend.train_epoch(epoch, 0.001 * (1 + np.cos(np.pi * epoch / 4)) / 2, nothing)
    found = backend.validate(nothing)
    assert found.top1_accuracy is not None
    assert found.top1_accuracy > 0.95
