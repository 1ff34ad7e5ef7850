"""Tables of other tools: what is made of files as STREP, MLflow and CodeCarbon write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlee.assess.metric import Metric
from mlee.errors import ResultError
from mlee.results.foreign import ForeignTable, read_foreign
from mlee.results.foreign.properties import guess
from mlee.results.foreign.units import to_si

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

KEYS = ["run_id", "task", "dataset", "environment", "model", "provenance", "started_at"]
META: dict[str, dict[str, Any]] = {
    "top1": {"name": "Top-1 accuracy", "shortname": "ACC", "unit": "percent", "group": "Quality", "maximize": True},
    "power_draw": {"name": "Energy per batch", "shortname": "ENI", "unit": "wattseconds", "group": "Resources"},
    "running_time": {"name": "Time per batch", "unit": "ms", "group": "Resources", "maximize": False},
    "fsize": {"unit": "MB", "group": "Complexity"},
}
STREP = """model,dataset,task,environment,configuration,top1,power_draw,running_time,fsize
A,ImageNet,infer,GPU - Torch 2,c1,0.71,3600,12.5,10
A,ImageNet,infer,GPU - Torch 2,c2,0.72,3700,12.7,10
B,ImageNet,infer,GPU - Torch 2,c1,0.80,,20,20
"""
MLFLOW_HEAD = "run_id,experiment_id,status,artifact_uri,start_time,end_time"
CODECARBON_HEAD = (
    "timestamp,project_name,run_id,experiment_id,duration,emissions,emissions_rate,cpu_power,gpu_power,ram_power,cpu_energy,"
    "gpu_energy,ram_energy,energy_consumed,country_name,os,python_version,codecarbon_version,cpu_count,cpu_model,gpu_count,"
    "gpu_model,ram_total_size,tracking_mode,on_cloud,pue"
)
V1_HEAD = "timestamp,experiment_id,project_name,duration,emissions,energy_consumed,country_name"


def write(folder: Path, table: str, meta: Any = None, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_text(table, encoding="utf-8")
    if meta is not None:
        (folder / "meta_properties.json").write_text(meta if isinstance(meta, str) else json.dumps(meta), encoding="utf-8")
    return path


def read(folder: Path, table: str, meta: Any = None) -> ForeignTable:
    result = read_foreign(write(folder, table, meta))
    assert result is not None
    assert list(result.frame.columns) == KEYS + list(result.metrics)
    assert all(result.frame[key].dtype == np.float64 for key in result.metrics)
    assert np.isfinite(result.frame[list(result.metrics)].fillna(0).to_numpy()).all()
    assert isinstance(result.frame["started_at"].dtype, pd.DatetimeTZDtype)
    return result


def emissions_row(**fields: Any) -> str:
    defaults: dict[str, Any] = {
        "timestamp": "2025-10-11T10:20:20",
        "project_name": "resnet",
        "run_id": "r1",
        "duration": 20,
        "emissions": 0.1,
        "cpu_energy": 0.2,
        "gpu_energy": 0.7,
        "ram_energy": 0.1,
        "energy_consumed": 1,
        "codecarbon_version": "2.7.1",
        "cpu_model": "AMD EPYC 7643 48-Core Processor",
        "gpu_count": 1,
        "gpu_model": "1 x NVIDIA RTX A5000",
        "tracking_mode": "machine",
        "pue": 1.0,
    }
    return ",".join(str({**defaults, **fields}.get(name, "")) for name in CODECARBON_HEAD.split(","))


def emissions(*rows: str) -> str:
    return "\n".join([CODECARBON_HEAD, *rows, ""])


def warned(result: ForeignTable, *words: str) -> bool:
    return any(all(word in warning for word in words) for warning in result.warnings)


# STREP


def test_strep_values_come_in_si_with_labels_groups_and_balanced_weights(tmp_path: Path) -> None:
    result = read(tmp_path, STREP, META)
    frame, metrics = result.frame, result.metrics
    assert list(frame["model"]) == ["A", "A", "B"]  # repeats are kept
    assert list(frame["run_id"]) == ["table.csv:2", "table.csv:3", "table.csv:4"]
    assert frame["provenance"].tolist() == [None] * 3
    assert frame["started_at"].isna().all()
    assert frame["power_draw"].tolist()[:2] == [3600, 3700]  # a watt-second is a joule (rating.md, section 7, flaw 5)
    assert np.isnan(frame["power_draw"][2])
    assert frame["running_time"].tolist() == pytest.approx([0.0125, 0.0127, 0.02])
    assert frame["fsize"].tolist() == [1e7, 1e7, 2e7]
    assert metrics["power_draw"] == Metric(
        key="power_draw",
        label="Energy per batch",
        symbol="ENI",
        unit="J",
        higher_is_better=False,
        group="Resources",
        weight=1 / 6,
    )
    assert metrics["top1"].weight == metrics["fsize"].weight == pytest.approx(1 / 3)
    assert metrics["top1"].higher_is_better
    assert (metrics["fsize"].label, metrics["fsize"].symbol, metrics["fsize"].unit) == ("fsize", "fsize", "B")


def test_strep_names_what_was_assumed_and_left_out(tmp_path: Path) -> None:
    result = read(tmp_path, STREP, META)
    assert warned(result, "direction not stated", "lower is better", "power_draw", "fsize")
    assert not warned(result, "direction not stated", "running_time")
    assert warned(result, "left out", "configuration")
    assert all(warning.startswith("table.csv: ") for warning in result.warnings)


def test_without_direction_a_column_is_shown_and_not_rated(tmp_path: Path) -> None:
    result = read(tmp_path, "model,score,top1\nA,1,0.5\n", {"score": {"weight": 3}, "top1": {"maximize": True, "weight": 2}})
    assert result.metrics["score"].weight == 0
    assert result.metrics["top1"].weight == 2
    assert warned(result, "not rated", "score")


def test_one_missing_weight_balances_all(tmp_path: Path) -> None:
    meta = {
        "a": {"maximize": True, "group": "Q", "weight": 5},
        "b": {"maximize": True, "group": "Q", "weight": 5},
        "c": {"maximize": False, "group": "R"},
        "d": {"maximize": False, "group": "R", "weight": 0},
        "absent": {"maximize": False, "group": "S"},
    }
    result = read(tmp_path, "model,a,b,c,d\nA,1,2,3,4\n", meta)
    assert {key: metric.weight for key, metric in result.metrics.items()} == {"a": 0.25, "b": 0.25, "c": 0.5, "d": 0}
    assert warned(result, "no weight given for c", "balanced")


@pytest.mark.parametrize(("cells", "expected"), [(("83", "95.5"), (0.83, 0.955)), (("0.83", "1"), (0.83, 1))])
def test_percent_is_a_percentage_or_a_fraction_by_its_values(tmp_path: Path, cells: Any, expected: Any) -> None:
    result = read(tmp_path, f"model,acc\nA,{cells[0]}\nB,{cells[1]}\n", {"acc": {"unit": "percent", "maximize": True}})
    assert result.frame["acc"].tolist() == pytest.approx(expected)
    assert result.metrics["acc"].unit == ""
    assert warned(result, "taken as a fraction") == (expected[1] == 1)


def test_what_is_independent_of_the_task_is_copied_once(tmp_path: Path) -> None:
    table = (
        "model,dataset,task,environment,acc,energy\n"
        "A,D,train,E,,5\nA,D,train,E,,6\nA,D,infer,E,0.7,1\nA,D,infer,E,0.8,2\n"
        "A,D2,train,E,,7\nA,D,train,E2,,8\nB,D,train,E,,9\n"
    )
    meta = {"acc": {"maximize": True, "independent_of_task": True}, "energy": {"unit": "J", "maximize": False}}
    nan = float("nan")
    assert read(tmp_path, table, meta).frame["acc"].tolist() == pytest.approx(
        [0.7, nan, 0.7, 0.8, nan, nan, nan], nan_ok=True
    )
    meta["acc"]["independent_of_task"] = False
    assert read(tmp_path, table, meta).frame["acc"].isna().sum() == 5


def test_absent_keys_are_unknown_and_the_environment_is_hardware_and_software(tmp_path: Path) -> None:
    result = read(tmp_path, "model,architecture,software,acc\nA,RTX 4090,Torch 2,1\nB,,,1\n", {"acc": {"maximize": True}})
    assert result.frame["environment"].tolist() == ["RTX 4090 - Torch 2", "unknown"]
    assert result.frame["task"].tolist() == result.frame["dataset"].tolist() == ["unknown"] * 2
    assert warned(result, "1 rows have no environment")


def test_run_id_time_and_provenance_are_taken_where_present(tmp_path: Path) -> None:
    table = "run_id,model,started_at,provenance,acc\nx,A,2026-01-02T03:04:05+01:00,measured,1\ny,B,31.1.2026,,1\n"
    result = read(tmp_path, table, {"acc": {"maximize": True}})
    assert result.frame["run_id"].tolist() == ["x", "y"]
    assert result.frame["provenance"].tolist() == ["measured", None]
    assert result.frame["started_at"][0] == pd.Timestamp("2026-01-02T02:04:05", tz="UTC")
    assert pd.isna(result.frame["started_at"][1])
    assert warned(result, "1 times cannot be read", "line 3", "31.1.2026")
    twice = read(tmp_path, table.replace("\ny,", "\nx,"), {"acc": {"maximize": True}})
    assert twice.frame["run_id"].tolist() == ["table.csv:2", "table.csv:3"]


def test_scores_below_zero_are_shown_and_not_rated(tmp_path: Path) -> None:
    result = read(tmp_path, "model,r2,acc\nA,-0.5,1\nB,0.5,1\n", {"r2": {"maximize": True}, "acc": {"maximize": True}})
    assert result.frame["r2"].tolist() == [-0.5, 0.5]
    assert (result.metrics["r2"].weight, result.metrics["acc"].weight) == (0, 1)
    assert warned(result, "r2", "negative", "line 2")


@pytest.mark.parametrize("delimiter", [";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_spreadsheets_write_other_delimiters_and_encodings(tmp_path: Path, delimiter: str, encoding: str) -> None:
    path = write(tmp_path, "", META)
    path.write_text(STREP.replace(",", delimiter).replace("A", "Ä"), encoding=encoding, newline="\r\n")
    result = read_foreign(path)
    assert result is not None
    assert result.frame["model"].tolist() == ["Ä", "Ä", "B"]
    assert result.frame["power_draw"][0] == 3600


def test_parquet_reads_like_csv(tmp_path: Path) -> None:
    expected = read(tmp_path, STREP, META)
    table = pd.read_csv(tmp_path / "table.csv", dtype={"model": "category"})
    path = tmp_path / "table.parquet"
    parquet.write_table(pa.Table.from_pandas(table), path)
    result = read_foreign(path)
    assert result is not None
    assert result.metrics == expected.metrics
    pd.testing.assert_frame_equal(result.frame.drop(columns="run_id"), expected.frame.drop(columns="run_id"))
    assert result.frame["run_id"].tolist() == ["table.parquet:1", "table.parquet:2", "table.parquet:3"]


def test_without_pyarrow_the_hint_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.parquet"
    path.write_bytes(b"PAR1....PAR1")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(ResultError, match=r"pip install pyarrow"):
        read_foreign(path)


# MLflow


def mlflow(columns: str, *rows: str) -> str:
    infos = [f"r{number},7,FINISHED,file:///x,2025-03-12 17:02:53.034000+00:00,,{row}" for number, row in enumerate(rows)]
    return "\n".join([f"{MLFLOW_HEAD},{columns}", *infos, ""])


def test_mlflow_runs_with_a_description_beside_them(tmp_path: Path) -> None:
    columns = "metrics.power_draw,metrics.top1,metrics.loss,params.task,params.software,params.architecture"
    columns += ",params.model,params.dataset"
    result = read(tmp_path, mlflow(columns, "2.5,0.8,1.1,Inference,TF 2.18,RTX 4090,VGG16,ImageNet"), META)
    row = result.frame.iloc[0]
    assert (row["model"], row["dataset"], row["task"]) == ("VGG16", "ImageNet", "Inference")
    assert row["environment"] == "RTX 4090 - TF 2.18"
    assert row["run_id"] == "r0"
    assert row["started_at"] == pd.Timestamp("2025-03-12T17:02:53.034", tz="UTC")
    assert {key: metric.weight for key, metric in result.metrics.items()} == {"power_draw": 0.5, "top1": 0.5, "loss": 0}
    assert (result.metrics["power_draw"].unit, result.metrics["power_draw"].label) == ("J", "Energy per batch")
    assert warned(result, "not described", "loss")


def test_mlflow_directions_are_guessed_only_from_unmistakable_names(tmp_path: Path) -> None:
    columns = "metrics.val_accuracy,metrics.trainLoss,metrics.score,metrics.energy_saved,metrics.model,params.Model"
    result = read(tmp_path, mlflow(columns, "0.9,0.1,3,4,5,VGG16"))
    weights = {key: metric.weight for key, metric in result.metrics.items()}
    assert weights == {"val_accuracy": 0.5, "trainLoss": 0.5, "score": 0, "energy_saved": 0, "metrics.model": 0}
    assert result.metrics["val_accuracy"].higher_is_better
    assert not result.metrics["trainLoss"].higher_is_better
    assert warned(result, "higher is better: val_accuracy")
    assert warned(result, "lower is better: trainLoss")
    assert warned(result, "not rated: score, energy_saved, metrics.model")
    assert result.frame["model"].tolist() == ["VGG16"]


def test_mlflow_model_falls_back_to_the_name_of_the_run(tmp_path: Path) -> None:
    columns = "metrics.acc,params.model,tags.estimator_name,tags.mlflow.runName"
    result = read(tmp_path, mlflow(columns, "1,,,shrew-649", "1,,SVC,rat-1", "1,VGG,SVC,rat-2", "1,,,"))
    assert result.frame["model"].tolist() == ["shrew-649", "SVC", "VGG", "r3"]
    assert result.frame["environment"].tolist() == ["unknown"] * 4
    assert warned(result, "2 runs name no model")


def test_mlflow_leaves_out_what_did_not_finish_or_has_no_value(tmp_path: Path) -> None:
    table = mlflow("metrics.acc,params.model", "0.5,A", "0.6,B", ",C", "0.7,D", "0.8,E")
    table = table.replace("r1,7,FINISHED", "r1,7,FAILED").replace("\nr4,", "\nr3,")
    result = read(tmp_path, table)
    assert result.frame["model"].tolist() == ["A", "D"]
    assert warned(result, "1 runs that did not finish", "FAILED")
    assert warned(result, "1 runs without a value")
    assert warned(result, "1 rows repeat the run_id")


# CodeCarbon


def test_codecarbon_energy_is_in_joules_and_the_start_is_before_the_end(tmp_path: Path) -> None:
    result = read(tmp_path, emissions(emissions_row()))
    row = result.frame.iloc[0]
    assert (row["energy"], row["duration"], row["emissions"]) == (3.6e6, 20, 0.1)
    assert (row["model"], row["task"], row["run_id"]) == ("resnet", "job", "r1")
    assert row["environment"] == "NVIDIA RTX A5000 - CodeCarbon 2.7.1"
    assert row["provenance"] == "estimated"
    assert row["started_at"] == pd.Timestamp("2025-10-11T10:20:00", tz="UTC")
    assert [metric.unit for metric in result.metrics.values()] == ["J", "s", "kg"]
    assert [metric.weight for metric in result.metrics.values()] == [0.7, 0.3, 0]
    assert not any(metric.higher_is_better for metric in result.metrics.values())
    assert result.warnings == []


@pytest.mark.parametrize(
    ("fields", "environment"),
    [
        ({"gpu_count": 4, "gpu_model": "4 x NVIDIA A100"}, "NVIDIA A100 x4 - CodeCarbon 2.7.1"),
        ({"gpu_count": 5, "gpu_model": "4 x NVIDIA A401 x NVIDIA A100"}, "4 x NVIDIA A401 x NVIDIA A100 - CodeCarbon 2.7.1"),
        ({"gpu_count": 1, "gpu_model": "Apple M1 Pro"}, "Apple M1 Pro - CodeCarbon 2.7.1"),
        ({"gpu_count": "", "gpu_model": ""}, "AMD EPYC 7643 48-Core Processor - CodeCarbon 2.7.1"),
        ({"gpu_model": "", "cpu_model": "", "codecarbon_version": ""}, "unknown - CodeCarbon n.a."),
    ],
)
def test_codecarbon_environment(tmp_path: Path, fields: dict[str, Any], environment: str) -> None:
    assert read(tmp_path, emissions(emissions_row(**fields))).frame["environment"].tolist() == [environment]


@pytest.mark.parametrize(
    ("fields", "provenance"),
    [
        ({"cpu_energy": 0, "ram_energy": 0}, "measured"),
        ({"cpu_energy": 0, "ram_energy": 0, "gpu_model": "Apple M1"}, "estimated"),
        ({"cpu_energy": 0}, "estimated"),
        ({"cpu_energy": "", "ram_energy": ""}, "estimated"),
    ],
)
def test_codecarbon_is_measured_only_where_a_gpu_is_all_that_counts(tmp_path: Path, fields: Any, provenance: str) -> None:
    assert read(tmp_path, emissions(emissions_row(**fields))).frame["provenance"].tolist() == [provenance]


def test_codecarbon_running_totals_count_once(tmp_path: Path) -> None:
    rows = (
        emissions_row(duration=6, energy_consumed=1),
        emissions_row(duration=12, energy_consumed=2),
        emissions_row(duration=5, energy_consumed=3, run_id="r2", project_name="vgg"),
    )
    result = read(tmp_path, emissions(*rows))
    assert result.frame["energy"].tolist() == [7.2e6, 10.8e6]
    assert warned(result, "1 rows are earlier totals")


def test_codecarbon_tasks_are_told_apart(tmp_path: Path) -> None:
    head = f"task_name,{CODECARBON_HEAD}"
    result = read(tmp_path, "\n".join([head, f"load,{emissions_row()}", f"infer,{emissions_row()}"]))
    assert result.frame["task"].tolist() == ["load", "infer"]
    assert result.frame["run_id"].tolist() == ["r1:load", "r1:infer"]


def test_codecarbon_of_version_1(tmp_path: Path) -> None:
    table = f"{V1_HEAD}\n2020-04-31T03:26:11,e1,,49,2,0.5,Canada\n2020-05-01T09:26:11,e2,alpha,37,3,0,Canada\n"
    result = read(tmp_path, table)
    assert result.frame["model"].tolist() == ["e1", "alpha"]
    assert result.frame["environment"].tolist() == ["unknown - CodeCarbon n.a."] * 2
    assert result.frame["energy"].tolist() == pytest.approx([1.8e6, float("nan")], nan_ok=True)
    assert np.isnan(result.frame["emissions"][1])
    assert pd.isna(result.frame["started_at"][0])  # there is no 31st of April
    assert warned(result, "energy 0", "line 3")


def test_codecarbon_warns_of_overhead_scope_and_default_names(tmp_path: Path) -> None:
    rows = emissions_row(pue=1.3, project_name="codecarbon"), emissions_row(run_id="r2", tracking_mode="process")
    result = read(tmp_path, emissions(*rows))
    assert warned(result, "PUE 1 to 1.3")
    assert warned(result, "tracking_mode", "machine, process")
    assert warned(result, "1 runs have the default name")


# units and names


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        *((unit, (1.0, "J")) for unit in ("J", "joule", "Joules", "Ws", "wattseconds", "watt-seconds", "Watt seconds")),
        *((unit, (3600.0, "J")) for unit in ("Wh", "watthours", "watt-hour", "wh")),
        *((unit, (3.6e6, "J")) for unit in ("kWh", "KWh", "kilowatthours", "kilowatt-hours", "kwh")),
        *(
            ("mWh", (3.6, "J")),
            ("MWh", (3.6e9, "J")),
            ("mJ", (1e-3, "J")),
            ("MJ", (1e6, "J")),
            ("milliwatthours", (3.6, "J")),
        ),
        *(("ms", (1e-3, "s")), ("h", (3600.0, "s")), ("hours", (3600.0, "s")), ("min", (60.0, "s")), ("µs", (1e-6, "s"))),
        *(("seconds", (1.0, "s")), ("milliseconds", (1e-3, "s")), ("days", (86400.0, "s"))),
        *(("kB", (1e3, "B")), ("MB", (1e6, "B")), ("GB", (1e9, "B")), ("MiB", (2.0**20, "B")), ("byte", (1.0, "B"))),
        *(("kg", (1.0, "kg")), ("g", (1e-3, "kg")), ("mW", (1e-3, "W")), ("kilowatt", (1e3, "W"))),
        *((unit, (1.0, "")) for unit in ("", "number", "#", "fraction")),
        *((unit, (1.0, unit)) for unit in ("mwh", "Mb", "furlong", "FLOPS", "bits")),
    ],
)
def test_units(written: str, expected: tuple[float, str]) -> None:
    factor, unit = to_si(written)
    assert (pytest.approx(factor, rel=1e-12), unit) == expected


@pytest.mark.parametrize(
    ("name", "higher"),
    [
        *((name, True) for name in ("accuracy", "val_acc", "F1", "f1_score", "roc_auc", "testRecall", "throughput")),
        *(
            (name, False)
            for name in ("loss", "val_loss", "testRMSE", "training_time", "time_per_sample", "energy_per_token")
        ),
        *((name, False) for name in ("latency_ms", "num_params", "total_parameters", "GFLOPs", "mean_absolute_error")),
        *(
            (name, None)
            for name in ("score", "start_time", "loss_scale", "accuracy_std", "accuracy_drop", "energy_efficiency")
        ),
        *((name, None) for name in ("accuracy_per_joule", "neg_mean_squared_error", "system/memory", "batch_size", "epoch")),
        *((name, None) for name in ("accuracy_loss", "timestep", "lr", "")),
    ],
)
def test_names_without_a_second_meaning(name: str, higher: bool | None) -> None:
    assert guess(name, name).higher_is_better is higher


def test_a_unit_may_say_the_direction() -> None:
    assert guess("power_draw", "power_draw", "wattseconds").higher_is_better is False
    assert guess("draw", "draw", "W").higher_is_better is None
    assert guess("energy_saved", "energy_saved", "J").higher_is_better is None


@pytest.mark.parametrize("fields", [{"key": ""}, {"weight": -1.0}, {"weight": float("nan")}, {"scale_2022": 0.0}])
def test_a_metric_refuses_the_impossible(fields: dict[str, Any]) -> None:
    values: dict[str, Any] = {"key": "k", "label": "L", "symbol": "S", "unit": "J", "group": "G"}
    with pytest.raises(ValueError, match=next(iter(fields))):
        Metric(**{**values, "higher_is_better": False, "weight": 1.0, **fields})
