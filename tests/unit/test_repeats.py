"""Which runs count as repeats of one thing, and what stands beside their values."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from mlee.assess.environment import match_environment
from mlee.assess.export import metric_text, records, to_markdown
from mlee.assess.rating import Rated, rate
from mlee.assess.run import summarise
from mlee.calibration import apply_calibration, fit
from mlee.elex.words import identity
from mlee.label.describe import describe
from mlee.records import RunResult
from mlee.results import store
from mlee.results.load import load
from mlee.site.build import Site
from mlee.training_records import TrainingOutcome
from tests import builders


def _rated(tmp_path: Path, *results: RunResult) -> Rated:
    for number, result in enumerate(results):
        (tmp_path / f"{number}.json").write_text(store.to_json(replace(result, run_id=f"infer_{number}")))
    loaded = load([tmp_path])
    assert not loaded.unreadable
    return rate(loaded.table, tuple(loaded.metrics.values()))


@pytest.mark.parametrize(
    "fields",
    [{}, {"seed": 8}, {"repeats": 3}, {"data_path": "/mnt/sample"}, {"idle_seconds": 1.0}, {"device": "cuda:2,cuda:3"}],
)
def test_runs_of_the_same_settings_are_repeats(fields: dict[str, Any], tmp_path: Path) -> None:
    rated = _rated(tmp_path, builders.run_result(), builders.run_result(config=builders.config(**fields)))
    assert rated.table["model"].tolist() == ["ResNet50"]
    assert rated.table["n"].tolist() == [2]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"config": builders.config(image_size=288, compile=True)}, "compile, image_size 288"),
        ({"model": replace(builders.run_result().model, weights="IMAGENET1K_V2")}, "weights IMAGENET1K_V2"),
        ({"outcome": replace(builders.run_result().outcome, samples=12)}, "samples 12"),
        ({"details": {}}, "threads none"),
    ],
)
def test_runs_of_other_settings_are_rows_of_their_own(fields: dict[str, Any], name: str, tmp_path: Path) -> None:
    many = [builders.run_result(), builders.run_result()]
    other = builders.run_result(model=replace(builders.run_result().model, name="ResNet101"))
    rated = _rated(tmp_path, builders.run_result(**fields), *many, other)
    assert dict(zip(rated.table["model"], rated.table["n"], strict=True)) == {
        f"ResNet50 ({name})": 1,
        "ResNet50": 2,
        "ResNet101": 1,
    }
    assert set(rated.table["reference"]) == {"ResNet101"}, "they are compared with one reference"


def test_the_most_images_have_the_plain_name(tmp_path: Path) -> None:
    few = replace(builders.run_result().outcome, samples=12)
    rated = _rated(tmp_path, builders.run_result(outcome=few), builders.run_result(outcome=few), builders.run_result())
    assert dict(zip(rated.table["model"], rated.table["n"], strict=True)) == {"ResNet50 (samples 12)": 2, "ResNet50": 1}


def test_the_plain_name_is_that_of_the_settings_that_models_share(tmp_path: Path) -> None:
    """However often the reference is run in another way, the others are compared with the run that is like theirs."""
    compiled = builders.config(compile=True)
    facts = builders.run_result().model
    eager = [builders.run_result(model=replace(facts, name=name)) for name in ("ResNet101", "DenseNet121", "MobileNetV2")]
    often = [builders.run_result(model=replace(facts, name="ResNet101"), config=compiled) for _ in range(4)]
    rated = _rated(tmp_path, *often, *eager)
    assert dict(zip(rated.table["model"], rated.table["n"], strict=True)) == {
        "ResNet101 (compile)": 4,
        "ResNet101": 1,
        "DenseNet121": 1,
        "MobileNetV2": 1,
    }
    assert set(rated.table["reference"]) == {"ResNet101"}


def test_many_differences_are_counted_and_names_stay_apart(tmp_path: Path) -> None:
    usual = [builders.run_result(model=replace(builders.run_result().model, name=name)) for name in ("ResNet50", "VGG16")]
    others = [
        builders.run_result(config=builders.config(image_size=size, compile=True, workers=4), details={})
        for size in (288, 384)
    ]
    names = _rated(tmp_path, *usual, *others).table["model"].tolist()
    assert names[2:] == ["ResNet50 (compile, workers 4, 2 more)", "ResNet50 (compile, workers 4, 2 more, no. 2)"]


def test_measured_and_published_accuracies_have_no_mean(tmp_path: Path) -> None:
    published = builders.run_result(config=builders.config(accuracy="published"))
    names = _rated(tmp_path, builders.run_result(), published).table["model"].tolist()
    assert names == ["ResNet50", "ResNet50 (accuracy published)"]


def test_a_variant_keeps_the_paper_of_its_network_and_stands_beside_it(tmp_path: Path) -> None:
    compiled = builders.run_result(config=builders.config(compile=True))
    for number, result in enumerate((builders.run_result(), compiled)):
        (tmp_path / f"{number}.json").write_text(store.to_json(replace(result, run_id=f"infer_{number}")))
    loaded = load([tmp_path])
    rated = rate(loaded.table, tuple(loaded.metrics.values()))
    assert describe(rated, 1, loaded.runs, date(2026, 11, 26)).short_url == "arxiv.org/abs/1512.03385"
    files = dict(Site(rated=rated, runs=loaded.runs, title="Models", issued=date(2026, 11, 26)).files())
    pages = [text for name, text in files.items() if name.startswith("models/")]
    assert [("Paper of this model" in page, "The same model elsewhere" in page) for page in pages] == [(True, True)] * 2
    assert "<b>1</b> model" in files["index.html"]


def _imagenet(**fields: Any) -> RunResult:
    return builders.run_result(**{"dataset": "ImageNet", **fields})


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("weights", ["random", "file mine.pt", "trained in train_1"])
def test_a_part_of_a_training_has_the_accuracy_of_published_weights(weights: str, order: int, tmp_path: Path) -> None:
    facts = builders.run_result().model
    own = _imagenet(
        model=replace(facts, weights=weights), outcome=replace(builders.run_result().outcome, top1_accuracy=0.001)
    )
    published = _imagenet(model=replace(facts, weights="IMAGENET1K_V2"))
    training = _imagenet(
        task="training",
        config=builders.training_config(),
        outcome=TrainingOutcome(ended="epochs", history=(builders.epoch(),)),
    )
    table = _rated(tmp_path, *[own, published][::order], training).table
    assert table.loc[table["task"] == "training", "top1_accuracy"].tolist() == [0.75]


def test_the_energy_at_the_wall_stands_beside_the_measured_one() -> None:
    result = builders.run_result()  # 1500 J in 10 s, 96 images
    wall = replace(builders.device_energy(), sensor="external", energy_j=1920.0, provenance="external")
    beside = replace(result.measurements[0], not_added=(*result.measurements[0].not_added, wall))
    line = fit("node1", ("cpu", "gpu"), [100.0, 200.0, 300.0], [140.0, 240.0, 340.0])
    both = apply_calibration(replace(result, measurements=(beside,)), line)
    row = {"task": "inference", "dataset": "sample", "environment": "here"}
    said = [text for name, text in identity(row, [summarise(both, "a.json", "d")]) if name == "At the wall"]
    assert said == [
        "20.0 J per sample, wall meter; not rated",
        "19.8 J per sample, calibrated against a wall meter; not rated",
    ]
    neither = [summarise(both, "a.json", "d"), summarise(result, "b.json", "e")]
    assert "At the wall" not in dict(identity(row, neither)), "the mean of some runs would be compared with that of all"


def test_published_accuracies_are_marked_wherever_they_stand(tmp_path: Path) -> None:
    outcome = replace(builders.run_result().outcome, accuracy_provenance="published")
    rated = _rated(tmp_path, builders.run_result(outcome=outcome, config=builders.config(accuracy="published")))
    top1 = rated.metrics[rated.position("top1_accuracy")]
    assert metric_text(rated, 0, top1, compact=True).startswith("75.0 % (p) ")
    assert "(p): published, not measured here" in to_markdown(rated)
    assert records(rated)[0]["accuracy_provenance"] == "published"
    tiles = describe(rated, 0, load([tmp_path]).runs, date(2026, 11, 26)).tiles
    assert [tile.name for tile in tiles if "op-1" in tile.name] == ["Top-1 / top-5, published"]


def test_a_label_says_how_the_model_was_run(tmp_path: Path) -> None:
    rated = _rated(tmp_path, builders.run_result(config=builders.config(compile=True)))
    foot = describe(rated, 0, load([tmp_path]).runs, date(2026, 11, 26)).foot
    assert foot[0] == "Run with 224 px, random weights, compiled"


def test_an_environment_is_found_without_precision_and_batch_size_where_that_is_one() -> None:
    known = ["EPYC - PyTorch 2.9, batch 8 (estimated energy)", "EPYC - TensorFlow 2.20", "A100 - PyTorch 2.9"]
    assert match_environment("EPYC - PyTorch 2.9", known) == known[0]
    assert match_environment("EPYC - PyTorch 2.9", [*known, "EPYC - PyTorch 2.9, batch 32"]) is None
