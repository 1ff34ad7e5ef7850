"""Loading: whatever lies in a folder, each run counts once, what cannot be read is named, and the rest is there."""

from __future__ import annotations

import codecs
import json
import math
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlee.assess.environment import match_environment, short_names
from mlee.assess.export import FORMATS, records
from mlee.assess.rating import FROM_DATA, Rated, RatingOptions, rate
from mlee.assess.rules import RULES_2022
from mlee.errors import RatingError, ResultError
from mlee.results import store
from mlee.results.load import Loaded, load
from tests import builders, builders_2022, hostile
from tests.hostile import HOSTILE, NO_QUANTITY, at, changed, places, write

ENERGY_META = json.dumps({"energy": {"unit": "J", "maximize": False, "weight": 1}})
TABLE = "model,task,environment,energy\nA,inference,GPU - X 1,1\nB,inference,GPU - X 1,2\n"


def document(**fields: Any) -> dict[str, Any]:
    """A result of version 2 as parsed JSON."""
    read: dict[str, Any] = json.loads(builders.document(**fields))
    return read


def run(number: int = 0, model: str = "ResNet101", energy_j: float | None = 1000.0, **fields: Any) -> dict[str, Any]:
    """A run of a model with GPU energy alone, on its own id."""
    devices = (builders.device_energy(energy_j=energy_j),)
    found = document(**{"measurements": (builders.measurement(devices=devices),), **fields})
    found["run_id"] = f"infer_{number}"
    found["model"]["name"] = model
    return found


def put(folder: Path, *documents: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, each in enumerate(documents):
        write(folder / f"{number}.json", each)
    return folder


def table(folder: Path, text: str = TABLE, meta: str = ENERGY_META, name: str = "table.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    (folder / "meta_properties.json").write_text(meta, encoding="utf-8")
    return folder / name


def rated(loaded: Loaded, **options: Any) -> Rated:
    return rate(loaded.table, list(loaded.metrics.values()), RatingOptions(**options))


def assert_sound(numbers: Any) -> None:
    """No NaN, no infinity and nothing negative anywhere in exported records."""
    if isinstance(numbers, dict):
        numbers = list(numbers.values())
    if isinstance(numbers, list):
        for each in numbers:
            assert_sound(each)
    elif isinstance(numbers, float | int):
        assert math.isfinite(numbers)
        assert numbers >= 0


def reasons(loaded: Loaded) -> dict[str, str]:
    return {entry.path.name: entry.reason for entry in loaded.unreadable}


# hostile values in every place


def test_a_hostile_value_in_any_place_is_refused_by_field_or_changes_nothing(tmp_path: Path) -> None:
    """Each changed document is a file of one folder, with a run and a model of its own."""
    origin = document()
    (summary,) = load([write(tmp_path / "origin.json", origin)]).runs.values()
    cases: dict[str, tuple[tuple[hostile.Step, ...], str]] = {}
    folder = tmp_path / "all"
    folder.mkdir()
    for path in places(origin):
        for name, value in HOSTILE.items():
            number = len(cases)
            mutant = changed(origin, path, value)
            for where, own in ((("run_id",), f"infer_{number}"), (("model", "name"), f"M{number}")):
                if path[: len(where)] != where[: len(path)] and path != where:
                    at(mutant, where[:-1])[where[-1]] = own
            write(folder / f"{number}.json", mutant)
            cases[f"{number}.json"] = (path, name)
    write(folder / "untouched.json", run(10**6, "untouched"))
    loaded = load([folder])
    assert {"infer_1000000"} <= loaded.runs.keys()
    refused = reasons(loaded)
    assert len(refused) > len(cases) / 3
    for file, reason in refused.items():
        path, name = cases[file]
        fields = {str(step) for step in path if isinstance(step, str)}
        assert any(field in reason for field in fields), (path, name, reason)
        assert file in reason or "is in" in reason
    sources = {Path(each.source).name: each for each in loaded.runs.values()}
    for file, (path, name) in cases.items():
        if file in refused or name not in NO_QUANTITY or not hostile.is_number(at(origin, path)):
            continue
        found = sources[file]
        same = replace(found, run_id=summary.run_id, source=summary.source, digest=summary.digest, model=summary.model)
        assert same == summary, f"{path} = {name} is taken for a number"
    result = rated(loaded)
    assert_sound(records(result))
    for export in FORMATS.values():
        assert export(result)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("measurements", 0, "devices", 0, "energy_j"), 1e17),
        (("measurements", 0, "devices", 0, "energy_uncertainty_j"), 1e308),
        (("measurements", 0, "duration_s"), 1e10),
        (("measurements", 0, "idle_power_w"), 1e13),
        (("model", "parameters"), 10**19),
        (("model", "macs"), 10**300),
        (("model", "weights_bytes"), 10**19),
        (("outcome", "samples"), 10**200),
        (("config", "batch_size"), 0),
        (("config", "batch_size"), -1),
        (("config", "batch_size"), 10**300),
        (("model", "name"), " \t"),
        (("model", "name"), "x" * 1001),
        (("dataset",), ""),
        (("dataset",), "x" * 10**6),
        (("run_id",), ""),
        (("platform", "cpu_name"), "x" * 1001),
        (("platform", "gpus", 0, "name"), "x" * 1001),
        (("config", "backend"), "x" * 1001),
        (("platform", "packages", "python"), "x" * 1001),
        (("warnings", 0, "code"), "x" * 1001),
        (("measurements", 0, "devices", 0, "energy_j"), float("nan")),
        (("details", "share"), float("-inf")),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_whole_way(
    path: tuple[hostile.Step, ...], value: Any, tmp_path: Path
) -> None:
    put(tmp_path, changed(document(), path, value), run(1))
    loaded = load([tmp_path])
    assert list(loaded.runs) == ["infer_1"]
    assert f"0.json: field {'.'.join(map(str, path))} " in reasons(loaded)["0.json"]


def test_energies_that_overflow_together_are_refused_not_raised(tmp_path: Path) -> None:
    devices = tuple(builders.device_energy(energy_j=1.7e308) for _ in range(2))
    put(tmp_path, document(measurements=(builders.measurement(devices=devices),) * 2))
    with pytest.raises(ResultError, match=r"measurements\.0\.devices\.0\.energy_j must be at most 3e\+16, got 1\.7e\+308"):
        load([tmp_path])


_CORPUS: dict[str, bytes] = {
    "empty": b"",
    "null": b"null",
    "number": b"42",
    "text": b'"mlee-result"',
    "list": b"[]",
    "object": b"{}",
    "nan": b"NaN",
    "open": b"{",
    "bom": codecs.BOM_UTF8 + builders.document().encode(),
    "utf16": builders.document().encode("utf-16"),
    "latin1": builders.document().encode("latin-1"),
    "binary": bytes(range(256)) * 40,
    "zeros": bytes(10_000),
    "deep": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "torn": builders.document().encode()[:-40],
    "twice": builders.document().encode() * 2,
    "surrogate": builders.document().encode().replace(b'"ResNet50"', b'"\\ud800"'),
    "field twice": builders.document().encode().replace(b'"samples":', b'"samples":5,"samples":', 1),
    "digits": builders.document().encode().replace(b'"samples":96', b'"samples":' + b"9" * 5000),
    "pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
    "newer": builders.document().replace('"version":2', '"version":3').encode(),
    "html": b"<!DOCTYPE html><html><body>404</body></html>",
}


def test_a_corpus_of_nonsense_beside_a_result_leaves_the_result(tmp_path: Path) -> None:
    for name, content in _CORPUS.items():
        (tmp_path / f"{name}.json").write_bytes(content)
    with open(tmp_path / "huge.json", "wb") as file:
        file.truncate(100 * 2**20)
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "readme.txt").write_text("not looked at")
    write(tmp_path / "good.json", run())
    loaded = load([tmp_path])
    assert list(loaded.runs) == ["infer_0"]
    found = reasons(loaded)
    assert found.keys() == {f"{name}.json" for name in (*_CORPUS, "huge")}
    assert "larger than 64 MB" in found["huge.json"]
    assert "version 3" in found["newer.json"]
    assert "samples is given twice" in found["field twice.json"]
    for name, reason in found.items():
        assert name in reason
        assert len(reason) < 1000, "a reason is a sentence, not the file"


@pytest.mark.parametrize("depth", [300, 700, 900, 950, 980, 990, 995])
def test_nesting_of_any_depth_is_refused(depth: int, tmp_path: Path) -> None:
    text = builders.document().replace('"threads":4', f'"threads":{"[" * depth}1{"]" * depth}')
    (tmp_path / "deep.json").write_text(text, encoding="utf-8")
    with pytest.raises(ResultError, match=r"deep\.json"):
        load([tmp_path])


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "endless.json").symlink_to("/dev/zero")
    (tmp_path / "loop.json").symlink_to("loop.json")
    (tmp_path / "nowhere.json").symlink_to("none.json")
    write(tmp_path / "good.json", run())
    loaded = load([tmp_path])
    assert list(loaded.runs) == ["infer_0"]
    found = reasons(loaded)
    assert "is not a file" in found["pipe.json"]
    assert "is not a file" in found["endless.json"]
    assert "No such file" in found["nowhere.json"]
    assert "symbolic links" in found["loop.json"]


def test_a_name_that_is_no_utf8_is_named_in_what_can_be_printed(tmp_path: Path) -> None:
    table(tmp_path, name="good.csv")
    (tmp_path / os.fsdecode(b"\xff.csv")).write_text(TABLE)
    loaded = load([tmp_path])
    (entry,) = loaded.unreadable
    assert entry.reason.isascii()
    assert "not UTF-8" in entry.reason
    assert len(loaded.table) == 2


@pytest.mark.parametrize("name", ["none", "none/none", "x" * 5000])
def test_a_path_that_leads_nowhere_is_named_and_the_others_load(name: str, tmp_path: Path) -> None:
    put(tmp_path / "good", run())
    loaded = load([tmp_path / "good", tmp_path / name])
    assert list(loaded.runs) == ["infer_0"]
    assert loaded.unreadable[0].path == tmp_path / name
    with pytest.raises(ResultError, match="No result could be read"):
        load([tmp_path / name])


def test_an_empty_folder_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ResultError) as info:
        load([tmp_path])
    assert str(tmp_path) in info.value.message
    assert "give result files" in (info.value.hint or "")


# each run counts once


def test_a_run_that_is_merged_and_in_its_folder_counts_once(tmp_path: Path) -> None:
    folder = builders.complete_folder(tmp_path / "experiments")
    (tmp_path / "results").mkdir()
    shutil.copy(folder / "result.json", tmp_path / "results" / f"{folder.name}.json")
    paths = [tmp_path / "results", tmp_path / "experiments", folder, folder / "result.json"]
    loaded = load(paths)
    assert list(loaded.runs) == [builders.RUN_ID]
    assert len(loaded.table) == 1
    assert not loaded.unreadable


def test_an_incomplete_folder_is_said_and_its_neighbours_load(tmp_path: Path) -> None:
    builders.complete_folder(tmp_path)
    builders.incomplete_folder(tmp_path, "infer_2026_01_01_00_00_00")
    loaded = load([tmp_path])
    assert list(loaded.runs) == [builders.RUN_ID]
    assert "infer_2026_01_01_00_00_00 is incomplete" in loaded.unreadable[0].reason


def test_two_contents_of_one_run_are_refused(tmp_path: Path) -> None:
    put(tmp_path, run(0, energy_j=1000.0), run(0, energy_j=999.0), run(1))
    loaded = load([tmp_path])
    assert list(loaded.runs) == ["infer_0", "infer_1"]
    assert loaded.runs["infer_0"].repeats[0].energy_j == {"gpu": 1000.0}
    assert "The run infer_0 is in" in reasons(loaded)["1.json"]
    assert "another content" in reasons(loaded)["1.json"]


def test_one_table_given_by_several_ways_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = table(tmp_path / "tables")
    (tmp_path / "link").symlink_to(tmp_path / "tables")
    monkeypatch.chdir(tmp_path)
    loaded = load([path, Path("tables/table.csv"), tmp_path / "link", Path("tables/../tables")])
    assert loaded.table["model"].tolist() == ["A", "B"]
    assert not any("counted once" in warning for warning in loaded.warnings)


def test_a_copy_of_a_table_counts_once_and_is_said(tmp_path: Path) -> None:
    shutil.copy(table(tmp_path), tmp_path / "copy.csv")
    loaded = load([tmp_path])
    assert loaded.table["model"].tolist() == ["A", "B"]
    assert any("the same table as" in warning for warning in loaded.warnings)


@pytest.mark.parametrize("gone", [("copy.csv",), ("copy.csv", "table.csv")])
def test_a_table_that_goes_while_others_are_read_is_left_out(gone: tuple[str, ...], tmp_path: Path) -> None:
    shutil.copy(table(tmp_path), tmp_path / "copy.csv")

    def go(done: int, total: int) -> None:
        for name in gone if done == total else ():
            (tmp_path / name).unlink()

    if len(gone) == 2:
        with pytest.raises(ResultError, match=r"No result could be read in .*copy\.csv cannot be read: No such file"):
            load([tmp_path], progress=go)
        return
    loaded = load([tmp_path], progress=go)
    assert loaded.table["model"].tolist() == ["A", "B"]
    assert "copy.csv cannot be read: No such file" in reasons(loaded)["copy.csv"]


def test_rows_that_a_longer_copy_of_a_table_repeats_count_once(tmp_path: Path) -> None:
    text = TABLE.replace("model,", "run_id,model,").replace("\nA", "\nr1,A").replace("\nB", "\nr2,B")
    table(tmp_path, text, name="old.csv")
    table(tmp_path, text + "r3,B,inference,GPU - X 1,3\n", name="new.csv")
    loaded = load([tmp_path])
    assert sorted(loaded.table["run_id"]) == ["r1", "r2", "r3"]
    assert "2, counted once" in loaded.warnings[-1]
    result = rated(loaded, thresholds=FROM_DATA)
    assert result.table.set_index("model")["n"].to_dict() == {"A": 1, "B": 2}


# tables of other tools beside results


def test_results_and_tables_are_rated_together(tmp_path: Path) -> None:
    put(tmp_path, run())
    table(tmp_path)
    result = rated(load([tmp_path]))
    assert result.table["n"].tolist() == [1, 1, 1]
    assert {row["provenance"] for row in records(result)} == {"measured", None}
    assert_sound(records(result))


def test_a_metric_with_the_name_of_a_column_of_ours_is_left_out_with_its_name(tmp_path: Path) -> None:
    meta = {name: {"unit": "J", "maximize": False} for name in ("energy", "n", "runs", "reference", "scope", "repeats")}
    table(tmp_path, "model,energy,n,runs,reference,scope,repeats\nA,1,7,8,9,10,11\nB,2,7,8,9,10,11\n", json.dumps(meta))
    loaded = load([tmp_path])
    assert list(loaded.metrics) == ["energy"]
    assert "n, runs, reference, scope, repeats left out" in loaded.warnings[-1]
    (first, _) = records(rated(loaded, thresholds=FROM_DATA))
    assert first["metrics"]["energy"]["value"] == 1
    assert first["metrics"]["energy"]["n"] == 1


@pytest.mark.parametrize("suffix", ["__n", "__standard_error", "__uncertainty"])
def test_a_metric_with_the_name_of_a_column_of_pooling_is_left_out_with_its_name(suffix: str, tmp_path: Path) -> None:
    name = f"acc{suffix}"
    meta = json.dumps({"acc": {"maximize": True}, name: {"maximize": True}})
    loaded = load([table(tmp_path, f"model,acc,{name}\nA,0.5,1.5\nA,0.6,1.5\nB,0.7,1.5\n", meta)])
    assert list(loaded.metrics) == ["acc"]
    assert f"{name} left out" in loaded.warnings[-1]
    assert [row["metrics"]["acc"]["n"] for row in records(rated(loaded, thresholds=FROM_DATA))] == [2, 1]


def test_a_table_with_nothing_but_such_metrics_is_refused(tmp_path: Path) -> None:
    table(tmp_path, "model,n__standard_error\nA,1\n", json.dumps({"n__standard_error": {"maximize": True}}))
    with pytest.raises(ResultError, match="n__standard_error have names of columns of the rating"):
        load([tmp_path])


def test_a_table_whose_metric_means_something_else_is_left_out_and_the_rest_is_rated(tmp_path: Path) -> None:
    table(tmp_path / "x", "model,a\nA,1\n", json.dumps({"a": {"maximize": True}}))
    second = table(tmp_path / "y", "model,b,a\nA,1,2\n", json.dumps({"b": {"maximize": True}, "a": {"maximize": False}}))
    loaded = load([tmp_path / "x", tmp_path / "y"])
    assert list(loaded.metrics) == ["a"]
    assert loaded.unreadable[0].path == second
    assert "'a' has the name of another metric" in loaded.unreadable[0].reason
    assert len(records(rated(loaded, thresholds=FROM_DATA))) == 1


def test_a_damaged_table_is_left_out(tmp_path: Path) -> None:
    table(tmp_path)
    (tmp_path / "bad.csv").write_text("model,energy\nA,one\n")
    (tmp_path / "other.csv").write_text("x,y\n1,2\n")
    (tmp_path / "nonsense.parquet").write_bytes(b"PAR1nonsense")
    loaded = load([tmp_path])
    found = reasons(loaded)
    assert found.keys() == {"bad.csv", "other.csv", "nonsense.parquet"}
    assert "line 2, column energy: 'one' is not a number" in found["bad.csv"]
    assert "meta_properties.json" in found["other.csv"]
    assert len(loaded.table) == 2


# repeats and pooling


def test_repeats_within_a_run_give_mean_and_standard_error(tmp_path: Path) -> None:
    energies, durations = [1000.0, 1100.0, 1250.0], [10.0, 10.5, 12.0]
    passes = tuple(
        builders.measurement(
            duration_s=duration,
            devices=(
                builders.device_energy(energy_j=energy - 300.0),
                builders.cpu_energy(energy_j=300.0, energy_uncertainty_j=duration),
            ),
        )
        for energy, duration in zip(energies, durations, strict=True)
    )
    put(tmp_path, document(measurements=passes))
    result = rated(load([tmp_path]))
    row = result.table.iloc[0]
    for key, values in (("energy_per_sample", energies), ("time_per_sample", durations)):
        assert row[key] == pytest.approx(np.mean(values) / 96, rel=1e-12)
        assert row[f"{key}__standard_error"] == pytest.approx(np.std(values, ddof=1) / np.sqrt(3) / 96, rel=1e-12)
    assert row["energy_per_sample__uncertainty"] == pytest.approx((12.0 + 2.0) / 96)
    assert (row["n"], row["runs"], row["run_ids"]) == (3, 1, (builders.RUN_ID,))
    (exported,) = records(result)
    assert exported["metrics"]["energy_per_sample"]["n"] == 3


def test_a_repeat_without_energy_leaves_no_mean_of_the_others(tmp_path: Path) -> None:
    lost = builders.measurement(devices=(builders.device_energy(energy_j=None),))
    put(tmp_path, document(measurements=(builders.measurement(devices=(builders.device_energy(),)), lost)))
    row = rated(load([tmp_path])).table.iloc[0]
    assert np.isnan(row["energy_per_sample"])
    assert row["time_per_sample"] == pytest.approx(10 / 96)


def test_repeats_of_different_devices_are_not_averaged(tmp_path: Path) -> None:
    gpu_and_cpu = builders.measurement()
    dram = builders.cpu_energy(device=builders.device(kind="dram", name="dram", uuid=None))
    put(tmp_path, document(measurements=(gpu_and_cpu, builders.measurement(devices=(builders.device_energy(), dram)))))
    assert np.isnan(rated(load([tmp_path])).table["energy_per_sample"].iloc[0])


def test_several_runs_are_pooled_from_their_means(tmp_path: Path) -> None:
    energies = [1000.0, 1300.0, 900.0, 1000.0]
    put(tmp_path, *(run(number, "small", energy) for number, energy in enumerate(energies)), run(9))
    result = rated(load([tmp_path]))
    row = result.table.set_index("model").loc["small"]
    assert row["energy_per_sample"] == pytest.approx(np.mean(energies) / 96, rel=1e-12)
    assert row["energy_per_sample__standard_error"] == pytest.approx(np.std(energies, ddof=1) / 2 / 96, rel=1e-12)
    assert (row["n"], row["runs"]) == (4, 4)
    assert row["run_ids"] == ("infer_0", "infer_1", "infer_2", "infer_3")
    other = result.table.set_index("model").loc["ResNet101"]
    assert (other["n"], other["runs"]) == (1, 1)
    assert np.isnan(other["energy_per_sample__standard_error"])


def test_a_single_run_keeps_its_own_repeats_where_others_are_pooled(tmp_path: Path) -> None:
    passes = tuple(builders.measurement(devices=(builders.device_energy(energy_j=e),)) for e in (900.0, 1100.0, 1000.0))
    alone = run(5, "alone")
    alone["measurements"] = document(measurements=passes)["measurements"]
    put(tmp_path, run(0, "small", 1000.0), run(1, "small", 1200.0), alone)
    table_ = rated(load([tmp_path])).table.set_index("model")
    assert table_["n"].to_dict() == {"small": 2, "alone": 3}
    wanted = {"small": np.std([1000, 1200], ddof=1) / np.sqrt(2) / 96, "alone": 100 / np.sqrt(3) / 96}
    assert table_["energy_per_sample__standard_error"].to_dict() == pytest.approx(wanted)


def test_pooled_runs_are_as_good_as_the_worst_of_them(tmp_path: Path) -> None:
    external = (builders.measurement(devices=(builders.device_energy(provenance="external"),)),)
    nothing = (builders.measurement(devices=(), idle_power_w=None),)
    put(
        tmp_path,
        *(run(0, "mixed"), run(1, "mixed", measurements=external), run(2, "mixed", measurements=nothing)),
        *(run(3, "partly", measurements=nothing), run(4, "partly")),
    )
    found = rated(load([tmp_path])).table.set_index("model")
    assert found["provenance"].to_dict() == {"mixed": "external", "partly": "measured"}


def test_rules_of_2022_refuse_repeats_and_name_them(tmp_path: Path) -> None:
    put(tmp_path, builders_2022.inference("infer_a"), builders_2022.inference("infer_b", gpu_j=20_000.0))
    loaded = load([tmp_path], RULES_2022)
    with pytest.raises(RatingError, match=r"several runs of inference, ImageNet, RTX 5000 - PyTorch .*, VGG16") as info:
        rated(loaded, rules=RULES_2022)
    assert "--rules exact" in (info.value.hint or "")


# environments


def short(*names: str) -> list[str]:
    found = short_names(names)
    return [found[name] for name in names]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("NVIDIA A100-SXM4-40GB", "A100"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 PCIe", "H100"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("Tesla V100-SXM2-16GB", "V100"),
        ("Tesla T4", "T4"),
        ("Quadro RTX 5000", "RTX 5000"),
        ("AMD EPYC 7742 64-Core Processor", "EPYC 7742"),
        ("Intel(R) Xeon(R) W-2155 CPU @ 3.30GHz", "Xeon W-2155"),
        ("Intel(R) Xeon(R) Platinum 8480C", "Xeon Platinum 8480C"),
        ("Intel(R) Core(TM) i7-10700K CPU @ 3.80GHz", "Core i7-10700K"),
        ("13th Gen Intel(R) Core(TM) i9-13900K", "Core i9-13900K"),
        ("AMD Ryzen 7 PRO 4750U with Radeon Graphics", "Ryzen 7 PRO 4750U"),
        ("Apple M2 Max", "Apple M2 Max"),
        ("Neoverse-N1", "Neoverse-N1"),
        ("Frobnicator 3000 π", "Frobnicator 3000 π"),
        ("NVIDIA", "NVIDIA"),
        ("", ""),
    ],
)
def test_hardware_is_short_by_rule(name: str, wanted: str) -> None:
    assert short(name) == [wanted]


def test_machines_that_differ_stay_apart() -> None:
    assert short("NVIDIA A100-SXM4-40GB", "NVIDIA A100-PCIE-40GB") == ["A100-SXM4-40GB", "A100-PCIE-40GB"]
    assert short("NVIDIA A100-SXM4-40GB", "NVIDIA A100-SXM4-80GB", "Tesla V100-SXM2-16GB") == [
        *("A100-SXM4-40GB", "A100-SXM4-80GB"),
        "V100",
    ]
    assert short("GeForce RTX 5000", "Quadro RTX 5000") == ["GeForce RTX 5000", "Quadro RTX 5000"]
    assert len(set(short("Intel Foo", "AMD Foo"))) == 2
    assert short("Test CPU X", "test cpu x") == ["Test CPU X", "test cpu x"]
    assert len(set(short("Foo", " Foo", "foo", "Foo CPU"))) == 4


def test_names_that_differ_in_case_alone_load(tmp_path: Path) -> None:
    first, second = run(0), run(1)
    for each, name in ((first, "Test Machine"), (second, "TEST MACHINE")):
        each["platform"]["gpus"] = []
        each["platform"]["cpu_name"] = name
    loaded = load([put(tmp_path, first, second)])
    assert set(loaded.table["environment"]) == {"Test Machine - PyTorch n.a.", "TEST MACHINE - PyTorch n.a."}


def test_several_gpus_are_counted_and_kinds_named(tmp_path: Path) -> None:
    eight, mixed = run(0), run(1)
    (gpu,) = eight["platform"]["gpus"]
    eight["platform"]["gpus"] = [{**gpu, "index": number, "name": "NVIDIA A100-SXM4-40GB"} for number in range(8)]
    mixed["platform"]["gpus"] = [{**gpu, "name": "Tesla T4"}, {**gpu, "name": "NVIDIA L4"}]
    for each in (eight, mixed):
        each["platform"]["packages"]["torch"] = "2.9.0"
    loaded = load([put(tmp_path, eight, mixed)])
    assert loaded.table["environment"].tolist() == ["A100 x8 - PyTorch 2.9.0", "T4 + L4 - PyTorch 2.9.0"]


def test_precision_and_batch_size_are_named_only_where_they_differ(tmp_path: Path) -> None:
    def environments(*changes: tuple[str, Any]) -> list[str]:
        runs = [run(number) for number in range(len(changes))]
        for each, (field, value) in zip(runs, changes, strict=True):
            each["config"][field] = value
        folder = tmp_path / repr(changes).replace("/", "")
        return load([put(folder, *runs)]).table["environment"].tolist()

    base = "NVIDIA Test - PyTorch n.a."
    assert environments(("precision", "bf16"), ("precision", "bf16")) == [base, base]
    assert environments(("precision", "fp32"), ("precision", "bf16")) == [f"{base}, fp32", f"{base}, bf16"]
    assert environments(("batch_size", 1), ("batch_size", 64)) == [f"{base}, batch 1", f"{base}, batch 64"]
    assert environments(("batch_size", 8), ("precision", "bf16")) == [f"{base}, fp32, batch 8", f"{base}, bf16, batch 32"]


def test_estimated_energy_has_an_environment_of_its_own(tmp_path: Path) -> None:
    estimate = (builders.measurement(devices=(builders.device_energy(provenance="estimated"),)),)
    put(tmp_path, run(0), run(1, "small"), run(2, "small", measurements=estimate))
    loaded = load([tmp_path])
    assert loaded.table["environment"].tolist()[2] == "NVIDIA Test - PyTorch n.a. (estimated energy)"
    result = rated(loaded)
    assert len(result.table) == 3
    assert result.table["reference"].tolist() == ["ResNet101", "ResNet101", "small"]
    assert [row["provenance"] for row in records(result)] == ["measured", "measured", "estimated"]
    markdown = FORMATS["markdown"](result)
    assert markdown.count("est.") == 1


def test_an_environment_is_found_however_it_is_written() -> None:
    known = ["A100 x8 - PyTorch 1.10.2+cu113", "RTX 5000 - PyTorch 1.10.2+cu113", "Xeon W-2155 - TensorFlow 2.4.1"]
    for wanted in ("a100 x8 - pytorch 1.10.2+cu113", "A100x8 -  PyTorch 1.10.2+cu113", known[0]):
        assert match_environment(wanted, known) == known[0]
    assert match_environment("Quadro RTX 5000 - PyTorch 1.10.2+cu113", known) == known[1]
    assert match_environment("Intel(R) Xeon(R) W-2155 CPU @ 3.30GHz - tensorflow 2.4.1", known) == known[2]
    apart = ["A100-SXM4-40GB - PyTorch 2.9", "A100-PCIE-40GB - PyTorch 2.9"]
    assert match_environment("a100 sxm4 40gb - pytorch 2.9", apart) == apart[0]
    assert match_environment("A100 - PyTorch 2.9", apart) is None, "two fit"
    for wanted in ("", "A100", "RTX 5000 - PyTorch 1.10.2", "A100 x4 - PyTorch 1.10.2+cu113"):
        assert match_environment(wanted, known) is None
    assert match_environment("a - b", ["A - B", "a-b - ", "A - b"]) is None, "two fit"
    marked = ["EPYC - PyTorch 2.14.1", "EPYC - PyTorch 2.14.1 (estimated energy)", "EPYC - PyTorch 2.9 (estimated energy)"]
    assert match_environment("epyc - pytorch 2.14.1", marked) == marked[0]
    assert match_environment("AMD EPYC - pytorch 2.9", marked) == marked[2]
    assert match_environment(marked[1], marked[:1]) is None, "estimates are asked for, and there are none"


# references and scopes


def test_a_missing_reference_leaves_its_environment_unrated_and_says_so(tmp_path: Path) -> None:
    cpu = run(2, "small")
    cpu["platform"]["gpus"] = []
    put(tmp_path, run(0, "ResNet50"), run(1, "small"), cpu)
    result = rated(load([tmp_path]), reference="ResNet50")
    exported = {(row["environment"], row["model"]): row for row in records(result)}
    alone = exported["Test CPU - PyTorch n.a.", "small"]
    assert alone["compound"] is None
    assert alone["reference"] is None
    assert all(group is None for group in alone["groups"].values())
    assert all(metric["index"] is None and metric["rating"] is None for metric in alone["metrics"].values())
    assert alone["metrics"]["energy_per_sample"]["value"] == pytest.approx(1000 / 96)
    assert [warning["code"] for warning in alone["warnings"]] == ["reference"]
    assert "No result of the reference model 'ResNet50' in this environment" in alone["warnings"][0]["message"]
    assert exported["NVIDIA Test - PyTorch n.a.", "small"]["compound"] is not None
    assert exported["NVIDIA Test - PyTorch n.a.", "small"]["warnings"] == []


def test_best_is_no_model_but_the_best_of_each_metric(tmp_path: Path) -> None:
    put(tmp_path, run(0, "a", 1000.0), run(1, "b", 500.0))
    result = rated(load([tmp_path]), reference="best")
    indices = result.index[:, result.position("energy_per_sample")].tolist()
    assert indices == [0.5, 1.0]
    assert set(result.table["reference"]) == {"best of each metric"}


def test_the_substitute_of_a_reference_is_the_middle_by_what_is_known_and_said(tmp_path: Path) -> None:
    runs = [run(number, name, energy) for number, (name, energy) in enumerate((("a", 30.0), ("b", 20.0), ("c", 10.0)))]
    unknown = [run(10 + number, f"unknown {number}", None) for number in range(4)]
    result = rated(load([put(tmp_path, *runs, *unknown)]))
    assert set(result.table["reference"]) == {"b"}, "models without energy must not move the middle"
    assert "b is the reference, the one in the middle by energy" in result.warnings[0][0].message


def test_the_substitute_of_each_environment_is_chosen_by_its_own_energies(tmp_path: Path) -> None:
    """Energies of inference must not hide that the trainings have another measure."""
    trainings = [
        builders_2022.training(f"train_{name}", name, gpu_j=energy, cpu_j=None)
        for name, energy in (("a", 1e6), ("m", 3e6), ("z", 2e6))
    ]
    result = rated(load([put(tmp_path, builders_2022.inference(), *trainings)]))
    training = result.table[result.table["task"] == "training"]
    assert set(training["reference"]) == {"z"}


def test_a_substitute_without_energies_is_the_middle_by_time_or_by_name(tmp_path: Path) -> None:
    result = rated(load([put(tmp_path, run(0, "a", None), run(1, "b", None))]))
    assert "the one in the middle by time" in result.warnings[0][0].message
    table(tmp_path / "tables")
    result = rated(load([tmp_path / "tables"]), thresholds=FROM_DATA)
    assert "the one in the middle by name" in result.warnings[0][0].message


def test_different_scopes_in_one_environment_are_said(tmp_path: Path) -> None:
    put(tmp_path, run(0), run(1, "small", measurements=(builders.measurement(),)))
    result = rated(load([tmp_path]))
    assert {warning.code for row in result.warnings for warning in row} == {"scope"}
    assert "cpu+gpu" in result.warnings[0][0].message


def test_the_accuracy_of_a_training_is_that_of_a_labelled_inference_run(tmp_path: Path) -> None:
    unlabelled = builders_2022.inference("infer_b")
    unlabelled["validation"]["results"]["metrics"] = None
    put(tmp_path, builders_2022.training(), builders_2022.inference("infer_a"), unlabelled)
    loaded = load([tmp_path])
    assert loaded.table.set_index("task").loc["training", "top1_accuracy"] == 0.715


def test_a_result_survives_loading_unchanged(tmp_path: Path) -> None:
    result = builders.run_result()
    (tmp_path / "a.json").write_text(store.to_json(result), encoding="utf-8")
    (summary,) = load([tmp_path]).runs.values()
    assert summary.repeats[0].energy_j == {"gpu": 1000.0, "cpu": 500.0}, "what is not added is not added"
    assert (summary.samples, summary.parameters, summary.macs) == (96, 25_557_032, 4_089_000_000)
