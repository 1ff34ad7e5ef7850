"""Results of 2022: what is read of them is checked, and nothing else matters."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlee.assess.export import FORMATS, records
from mlee.assess.rating import RatingOptions, rate
from mlee.assess.rules import RULES_2022, RULES_EXACT
from mlee.assess.run import RunSummary
from mlee.errors import ResultError
from mlee.results.legacy import is_legacy, read_legacy
from mlee.results.load import load
from tests import builders_2022, hostile
from tests.hostile import HOSTILE, MISSING, NO_QUANTITY, at, changed, places, write
from tests.unit.test_load import assert_sound, reasons

PUBLISHED = Path(__file__).parents[3] / "shared" / "imageneteff22" / "results"
SOURCE = Path("old.json")
MAKERS = {"inference": builders_2022.inference, "training": builders_2022.training}
_VALID = {"inference": builders_2022.inference(), "training": builders_2022.training(epochs=2)}
#: What is read, whole ways; everything else in the files has no effect.
READ = {
    "inference": {
        *("validation.results.model.params", "validation.results.model.fsize", "validation.results.model.flops"),
        *("validation.results.metrics.accuracy", "validation.results.metrics.top_5_accuracy", "validation.duration"),
        *("validation.monitoring_pynvml.total.total_power_draw", "validation.monitoring_pynvml.total.total_duration"),
        *("validation.monitoring_pyrapl.total.total_power_draw", "validation.monitoring_pyrapl.total.total_duration"),
        *("validation.monitoring_pyrapl.0.package-0.dram.mean", "validation.monitoring_pyrapl.0.total_duration"),
        *("validation.results.start", "validation.results.end", "config.batch_size"),
    },
    "training": {
        *("results.model.params", "results.model.fsize", "results.model.flops", "duration", "results.start", "results.end"),
        *("monitoring_pynvml.total.total_power_draw", "monitoring_pynvml.total.total_duration"),
        *("monitoring_pyrapl.total.total_power_draw", "monitoring_pyrapl.total.total_duration"),
        *("monitoring_pyrapl.0.package-0.dram.mean", "monitoring_pyrapl.0.total_duration", "config.batch_size"),
    },
}


def read(document: Any) -> RunSummary:
    return read_legacy(document, SOURCE, "digest")


def refused(document: Any) -> str:
    with pytest.raises(ResultError) as info:
        read(document)
    assert info.value.message.startswith("old.json: field ")
    return info.value.message


def test_an_inference_run_is_read() -> None:
    run = read(builders_2022.inference())
    assert (run.run_id, run.task, run.model, run.version) == ("infer_2022_03_03_17_36_02", "inference", "VGG16", 1)
    (repeat,) = run.repeats
    assert repeat.duration_s == 125.0
    assert repeat.energy_j == {"gpu": 28_000.0, "cpu": 9_000.0, "dram": pytest.approx(7 * 125)}
    assert (run.top1_accuracy, run.top5_accuracy, run.samples, run.epochs) == (0.715, 0.905, None, None)
    assert run.software == ("PyTorch", "1.10.2+cu113")
    assert run.gpu_names == ("Quadro RTX 5000",)
    assert run.warnings == ()


def test_a_training_run_is_read() -> None:
    run = read(builders_2022.training(epochs=7))
    assert (run.task, run.epochs) == ("training", 7)
    assert run.repeats[0].energy_j == {"gpu": 18e6, "cpu": 2.5e6, "dram": pytest.approx(5 * 90_000)}
    assert run.top1_accuracy is None, "that of a few epochs is not the model's"


def test_values_in_the_table_follow_the_rules(tmp_path: Path) -> None:
    write(tmp_path / "a.json", builders_2022.inference())
    write(tmp_path / "b.json", builders_2022.training())
    exact = load([tmp_path], RULES_EXACT).table.set_index("task")
    old = load([tmp_path], RULES_2022).table.set_index("task")
    assert exact.loc["inference", "energy_per_sample"] == pytest.approx((28_000 + 9_000 + 875) / 50_000)
    assert old.loc["inference", "energy_per_sample"] == pytest.approx((28_000 + 9_000) / 50_000)
    assert exact.loc["training", "energy_per_epoch"] == pytest.approx((18e6 + 2.5e6 + 450e3) / 10)
    assert old.loc["training", "energy_per_epoch"] == pytest.approx(18e6 / 10)
    assert exact.loc["training", "energy_full_training"] == pytest.approx((18e6 + 2.5e6 + 450e3) * 9)
    assert exact["scope"].tolist() == ["cpu+dram+gpu"] * 2
    assert old["scope"].tolist() == ["cpu+gpu", "gpu"]


@pytest.mark.parametrize("task", MAKERS)
def test_a_hostile_value_in_any_place_is_refused_by_field_or_changes_nothing(task: str) -> None:
    origin = _VALID[task]
    before = read(origin)
    seen = set()
    for path in places(origin):
        way = ".".join(map(str, path))
        for name, value in HOSTILE.items():
            mutant = changed(origin, path, value)
            if not is_legacy(mutant):
                assert path in (("config",), ("execution_platform",), ("requirements",))
                continue
            try:
                after = read(mutant)
            except ResultError as error:
                assert error.message.startswith("old.json: field ")  # noqa: PT017 - both ends are right
                assert str(path[-1]) in error.message or way in error.message, (way, name, error.message)  # noqa: PT017
                seen.add(way)
                continue
            if way in READ[task]:
                may = (name == "zero", name in ("null", "missing") and path[-1] in ("flops", "accuracy", "top_5_accuracy"))
                assert any(may), f"{way} = {name} is taken"
            elif name in NO_QUANTITY and hostile.is_number(at(origin, path)):
                assert after == before, f"{way} = {name} changes the result and is not refused"
    assert seen >= READ[task]


@pytest.mark.parametrize("task", MAKERS)
def test_hostile_files_leave_sound_numbers_and_the_others(task: str, tmp_path: Path) -> None:
    """By way of files: NaN and infinity as other programs write them; every changed file is a run of its own."""
    origin = _VALID[task]
    number = 0
    for path in places(origin):
        for name in ("nan", "minus inf", "negative", "text", "null", "markup"):
            mutant = changed(origin, path, HOSTILE[name])
            if path != ("directory_name",):
                mutant["directory_name"] = f"{origin['directory_name'][:5]}_{number}"
            if path[0] != "config":
                mutant["config"]["model"] = f"M{number}"
            write(tmp_path / f"{number}.json", mutant)
            number += 1
    write(tmp_path / "good.json", {**origin, "directory_name": f"{origin['directory_name'][:5]}_good"})
    loaded = load([tmp_path])
    assert any(name.endswith("_good") for name in loaded.runs)
    assert "good.json" not in reasons(loaded)
    assert all(name in reason for name, reason in reasons(loaded).items())
    result = rate(loaded.table, list(loaded.metrics.values()), RatingOptions(reference="best"))
    assert_sound(records(result))
    for export in FORMATS.values():
        assert export(result)


@pytest.mark.parametrize(
    ("way", "value", "said"),
    [
        ("validation.monitoring_pynvml.total.total_power_draw", -0.5, "must be 0 or more, or -1"),
        ("validation.monitoring_pynvml.total.total_power_draw", -1.0000001, "greater than or equal to -1"),
        ("validation.monitoring_pynvml.total.total_power_draw", 1e308, "less than or equal to 30000000000000000"),
        ("validation.monitoring_pyrapl.total.total_power_draw", "9000", "valid number"),
        ("validation.monitoring_pyrapl.total", None, "valid dictionary"),
        ("validation.monitoring_pyrapl.total", MISSING, "valid dictionary"),
        ("validation.monitoring_pyrapl.0", None, "valid dictionary"),
        ("validation.monitoring_pyrapl.0.package-0.dram.mean", "7.0", "valid number"),
        ("validation.monitoring_pyrapl.0.package-0.dram.mean", True, "valid number"),
        ("validation.monitoring_pyrapl.0.package-0.dram.mean", -7.0, "greater than or equal to 0"),
        ("validation.monitoring_pyrapl.0.package-0.dram.mean", MISSING, "required"),
        ("validation.monitoring_pyrapl.0.package-0.dram", 7, "valid dictionary"),
        ("validation.results.model.params", 10**400, "number"),
        ("validation.results.model.params", True, "valid number"),
        ("validation.results.metrics.accuracy", 71.5, "less than or equal to 1"),
        ("validation.duration", 0, "greater than 0"),
        ("validation.duration", -125.0, "greater than 0"),
        ("validation.results", None, "valid dictionary"),
        ("validation", None, "valid dictionary"),
        ("validation", MISSING, "valid dictionary"),
        ("config.batch_size", 0, "greater than or equal to 1"),
        ("config.batch_size", 32.5, "integer"),
        ("config.model", "", "match pattern"),
        ("config.model", "\ud800", "valid string"),
        ("config.model", "x" * 1001, "at most 1000"),
        ("execution_platform.GPU.0.Name", 5, "valid string"),
        ("directory_name", "run_2022", "must begin with infer_ or train_"),
        ("directory_name", "", "match pattern"),
        ("requirements", "torch==1", "valid list"),
    ],
)
def test_what_is_wrong_is_named_with_its_whole_way(way: str, value: Any, said: str) -> None:
    document = builders_2022.inference()
    paths = {".".join(map(str, path)): path for path in places(document)}
    message = refused(changed(document, paths[way], value))
    assert way in message or (value == 10**400 and "params" in message)
    assert said in message


def test_a_training_without_history_or_epochs_is_refused() -> None:
    for history in (None, {}, {"loss": []}, {"loss": 5}):
        document = builders_2022.training()
        document["results"]["history"] = history
        assert "results.history" in refused(document)


def test_energy_that_a_monitor_could_not_add_up_is_not_measured() -> None:
    for document in (
        builders_2022.inference(gpu_j=-1),
        builders_2022.inference(gpu_j=None),
    ):
        run = read(document)
        assert set(run.repeats[0].energy_j) == {"cpu", "dram"}
        assert "nvml" in run.not_measured
        assert run.sensors == ("rapl",)


def test_nothing_measured_is_no_energy(tmp_path: Path) -> None:
    write(tmp_path / "a.json", builders_2022.inference(gpu_j=None, cpu_j=None))
    loaded = load([tmp_path])
    assert loaded.table["energy_per_sample"].isna().all()
    assert loaded.table["time_per_sample"].tolist() == [125 / 50_000]
    (run,) = loaded.runs.values()
    assert run.provenance is None


def test_a_diverged_loss_does_not_matter(tmp_path: Path) -> None:
    document = builders_2022.training()
    document["results"]["history"]["loss"] = [math.nan] * 10
    write(tmp_path / "a.json", document)
    assert load([tmp_path]).table["energy_per_epoch"].notna().all()


def test_a_field_given_twice_is_refused(tmp_path: Path) -> None:
    text = json.dumps(builders_2022.inference()).replace('"duration": 125.0', '"duration": 1.0, "duration": 125.0')
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ResultError, match=r"a\.json.*field duration is given twice"):
        load([tmp_path])


def test_a_changed_clock_is_said() -> None:
    for shift, warned in ((59.0, 0), (-59.0, 0), (61.0, 1), (-61.0, 1)):
        document = builders_2022.inference()
        document["validation"]["monitoring_pyrapl"]["total"]["total_duration"] += shift
        warnings = read(document).warnings
        assert len(warnings) == warned
        assert all(f"{shift:+.0f} s" in warning.message for warning in warnings)


def test_versions_come_from_the_first_line_of_a_package() -> None:
    document = builders_2022.inference()
    document["requirements"] = ["#torch==9", "torch @ file:///x", "==", "torch==1.0", "torch==2.0", "a=b"]
    assert read(document).software == ("PyTorch", "1.0")
    document["config"]["backend"] = "frobnicator"
    assert read(document).software == ("frobnicator", "n.a.")


def test_what_is_a_file_of_2022() -> None:
    assert is_legacy(builders_2022.inference())
    assert not is_legacy({**builders_2022.inference(), "version": 2})
    assert not is_legacy({"config": 1})


_JUNK = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just([]) | st.just({})
_PLACES = {task: list(places(document)) for task, document in _VALID.items()}


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_document_changed_at_random_is_read_or_refused(data: st.DataObject) -> None:
    task = data.draw(st.sampled_from(sorted(MAKERS)))
    document = copy.deepcopy(_VALID[task])
    for path in data.draw(st.lists(st.sampled_from(_PLACES[task]), min_size=1, max_size=4)):
        try:
            at(document, path[:-1])[path[-1]] = data.draw(_JUNK)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took that place away
    try:
        run = read(document)
    except ResultError as error:
        assert error.message.startswith("old.json: field ")  # noqa: PT017 - both ends are right
        return
    numbers = (run.parameters, run.macs, run.weights_bytes, run.repeats[0].duration_s, *run.repeats[0].energy_j.values())
    assert all(number is None or (np.isfinite(number) and number >= 0) for number in numbers)


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason=f"the published results are not at {PUBLISHED}")
def test_the_synthetic_documents_have_the_fields_of_the_published_ones() -> None:
    for prefix, make in (("infer", builders_2022.inference), ("train", builders_2022.training)):
        files = (json.loads(path.read_text()) for path in sorted(PUBLISHED.glob(f"{prefix}_*.json")))
        whole = next(
            file
            for file in files
            if (file.get("validation") or file)["monitoring_pyrapl"]
            and "GPU" in str(file.keys()) + str(file["execution_platform"])
        )

        def ways(document: Any) -> set[str]:
            found = {".".join(str(step) for step in path if isinstance(step, str)) for path in places(document)}
            return {way for way in found if "psutil" not in way and not way.startswith("config")}

        assert ways(make()) == ways(whole)


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason=f"the published results are not at {PUBLISHED}")
def test_published_files_changed_by_one_hostile_value_never_crash(tmp_path: Path) -> None:
    for number, path in enumerate(sorted(PUBLISHED.iterdir())[::12]):
        document = json.loads(path.read_text())
        origin = read(document)
        ways = [way for way in places(document) if hostile.is_number(at(document, way))]
        for way in ways[number::17]:
            for name in ("nan", "negative", "text", "huge"):
                try:
                    after = read(changed(document, way, HOSTILE[name]))
                except ResultError as error:
                    assert str(way[-1]) in error.message  # noqa: PT017 - both ends are right
                else:
                    assert replace(after) == origin
