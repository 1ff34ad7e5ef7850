"""Tables of other tools that are damaged, huge, wrong or hostile: a `ResultError` that names the place, and nothing else."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mlee.errors import ResultError
from mlee.results.foreign import ForeignTable, read_foreign, source
from tests.unit.test_foreign import META, STREP, emissions, emissions_row, mlflow, read, write

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

EMISSIONS = emissions(emissions_row(), emissions_row(run_id="r2", project_name="vgg"))
MLFLOW = mlflow("metrics.acc,metrics.energy,params.model,tags.mlflow.runName", "0.9,5,A,rat", "0.8,6,B,cat")
ENERGY = {"energy": {"unit": "J", "maximize": False}}


def refused(folder: Path, table: str, meta: Any = None) -> str:
    with pytest.raises(ResultError) as info:
        read_foreign(write(folder, table, meta))
    return str(info.value)


# values


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("abc", "'abc' is not a number"),
        ("=1+1", "'=1+1' is not a number"),
        ("1_000", "'1_000' is not a number"),
        ("0x10", "not a number"),
        ("True", "not a number"),
        ("inf", "inf is not finite"),
        ("-Infinity", "-inf is not finite"),
        ("1e999", "inf is not finite"),
        ("1e308", "1e+308 is too large"),
        ("-1", "-1 is negative"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_place(tmp_path: Path, cell: str, reason: str) -> None:
    message = refused(tmp_path, f"model,energy\nA,1\nB,{cell}\n", ENERGY)
    assert reason in message
    assert f"{tmp_path / 'table.csv'}, line 3, column energy" in message


def test_a_decimal_comma_gets_a_hint(tmp_path: Path) -> None:
    assert "decimal point" in refused(tmp_path, "model;energy\nA;1,5\n", ENERGY)


@pytest.mark.parametrize("cell", ["", " ", "nan", "NaN", "None", "null", "NA", "N/A", "<NA>"])
def test_missing_is_missing(tmp_path: Path, cell: str) -> None:
    result = read(tmp_path, f"model,energy\nA,1\nB,{cell}\n", ENERGY)
    assert result.frame["energy"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"energy_consumed": -1}, ("line 2", "energy_consumed", "-1 is negative")),
        ({"energy_consumed": "1e99"}, ("line 2", "energy_consumed", "too large")),  # in joules
        ({"duration": "long"}, ("line 2", "duration", "'long' is not a number")),
        ({"cpu_energy": "inf"}, ("line 2", "cpu_energy", "not finite")),
        ({"project_name": ""}, ("line 2", "project_name is empty")),
    ],
)
def test_codecarbon_refuses_impossible_values(tmp_path: Path, fields: dict[str, Any], words: tuple[str, ...]) -> None:
    message = refused(tmp_path, emissions(emissions_row(**fields)))
    assert all(word in message for word in words)


def test_codecarbon_refuses_a_negative_energy_even_in_an_earlier_total(tmp_path: Path) -> None:
    rows = emissions_row(duration=1, energy_consumed=-5), emissions_row(duration=2)
    assert "line 2, column energy_consumed: -5 is negative" in refused(tmp_path, emissions(*rows))


def test_mlflow_refuses_negative_energies_by_their_name(tmp_path: Path) -> None:
    assert "line 2, column metrics.energy: -1 is negative" in refused(tmp_path, mlflow("metrics.energy", "-1"))
    result = read(tmp_path, mlflow("metrics.loss,metrics.acc", "-1,1"))
    assert result.metrics["loss"].weight == 0


def test_formulas_and_control_characters_are_text(tmp_path: Path) -> None:
    result = read(tmp_path, 'model,energy\n=HYPERLINK(1),1\n"@SUM(A1\n:A2)",2\n\x00\x1b[31m,3\n', ENERGY)
    assert result.frame["model"].tolist() == ["=HYPERLINK(1)", "@SUM(A1\n:A2)", "\x00\x1b[31m"]
    assert result.frame["run_id"].tolist()[1] == "table.csv:4"  # the row ends in line 4


# tables


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("model,energy\n", ("a header and no rows",)),
        ("model,energy\n,\n\n", ("a header and no rows",)),
        ("model,energy\nA,1\nB\n", ("line 3 has 1 cells", "2 columns")),
        ("model,energy\nA,1,2\n", ("line 2 has 3 cells",)),
        ("model,energy,energy\nA,1,2\n", ("columns 2 and 3 are both named 'energy'",)),
        ("dataset,energy\nA,1\n", ("no column model",)),
        ("model,energy\n,1\n", ("line 2: model is empty",)),
        ("model,energy\nA,\n", ("no value of any metric",)),
        ("model,energy\nA,NaN\n", ("no value of any metric",)),
        ('model,energy\n"A,1\n', ("line 2",)),
        ('model,energy\n"A"x,1\n', ("line 2",)),
        (f"model,energy\n{'A' * 501},1\n", ("line 2: model has more than 500 characters",)),
        (f"model,energy\n{'A' * 200_000},1\n", ("line 2", "field larger")),
        ("model,energy,provenance\nA,1,guessed\n", ("line 2: provenance is 'guessed'",)),
    ],
)
def test_a_damaged_table_is_refused_with_its_place(tmp_path: Path, table: str, words: tuple[str, ...]) -> None:
    message = refused(tmp_path, table, ENERGY)
    assert all(word in message for word in (str(tmp_path / "table.csv"), *words)), message


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (emissions(emissions_row()).replace("energy_consumed", "energy"), "no column energy_consumed"),
        (mlflow("params.model", "A"), "without a column metrics"),
        (MLFLOW.replace("FINISHED", "RUNNING"), "holds no finished run"),
        (MLFLOW.replace("r1,7", ",7"), "line 3: run_id is empty"),
        (MLFLOW + "r2,7\n", "line 4 has 2 cells"),
    ],
)
def test_a_damaged_export_is_refused(tmp_path: Path, table: str, words: str) -> None:
    assert words in refused(tmp_path, table)


@pytest.mark.parametrize(
    "content",
    [
        *(
            b"",
            b"\n",
            b"{}",
            b"text\n",
            b"\x00" * 5000,
            b"\x80\x02}q\x00.",
            b"a,b\n1,2\n",
            b"# mlee-trace\nt_s,power_w\n0,1\n",
        ),
        *(
            b"model,energy\nA,1\n",
            "model,energy\nA,1\n".encode("utf-16-le"),
            b"\xff\xfe\x00\x00",
            b'"model,energy',
            b"\xef\xbb\xbf",
        ),
    ],
)
def test_what_is_of_no_known_kind_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert read_foreign(path) is None


def test_a_table_that_its_neighbour_does_not_describe_is_none(tmp_path: Path) -> None:
    assert read_foreign(write(tmp_path, "year,papers\n2020,5\n", ENERGY)) is None


def test_latin_1_is_refused_with_the_line(tmp_path: Path) -> None:
    path = write(tmp_path, "", ENERGY)
    path.write_bytes("model,energy\nA,1\nModèle,2\n".encode("latin-1"))
    with pytest.raises(ResultError, match=r"table\.csv, line 3 is not UTF-8.*save the table as UTF-8"):
        read_foreign(path)


def test_a_torn_utf_16_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "", ENERGY)
    path.write_bytes("model,energy\nA,1\n".encode("utf-16")[:-1])
    with pytest.raises(ResultError, match="is not UTF-16"):
        read_foreign(path)


def test_what_is_not_a_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "absent.csv", Path("/dev/zero"), tmp_path / "a\0b"):
        with pytest.raises(ResultError):
            read_foreign(path)


# descriptions


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ("[]", ("valid dictionary",)),
        ('{"energy": 1}', ("field energy",)),
        ('{"energy": {"unit": 5}}', ("field energy.unit",)),
        ('{"energy": {"maximize": "yes"}}', ("field energy.maximize",)),
        ('{"energy": {"weight": -1}}', ("field energy.weight",)),
        ('{"energy": {"weight": NaN}}', ("field energy.weight",)),
        ('{"energy": {"weight": 1e999}}', ("field energy.weight",)),
        ('{"energy": {"weight": true}}', ("field energy.weight",)),
        ('{"energy": {"weight": "1"}}', ("field energy.weight",)),
        ('{"energy": {"name": ["a"]}}', ("field energy.name",)),
        ('{"energy": {}, "energy": {}}', ("field energy is given twice",)),
        ('{"energy": {}', ("not JSON",)),
        ("[" * 100_000, ("not JSON",)),
        ('{"a":' * 100_000, ("not JSON",)),
        ('{"energy": {"weight": ' + "9" * 10_000 + "}}", ("not JSON",)),
        ("", ("not JSON",)),
        ('{"energy": {}, "model": {}}', ("field model is the name of a key column",)),
        (" " * (5 * 2**20), ("larger than 4 MB",)),
    ],
)
def test_a_damaged_description_is_refused_with_its_field(tmp_path: Path, meta: str, words: tuple[str, ...]) -> None:
    message = refused(tmp_path, "model,energy\nA,1\n", meta)
    assert all(word in message for word in (str(tmp_path / "meta_properties.json"), *words)), message


def test_a_description_in_latin_1_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "model,energy\nA,1\n")
    (tmp_path / "meta_properties.json").write_bytes('{"energy": {"name": "Énergie"}}'.encode("latin-1"))
    with pytest.raises(ResultError, match=r"meta_properties\.json is not JSON"):
        read_foreign(path)


# size


def test_a_large_file_of_a_known_kind_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, EMISSIONS)
    os.truncate(path, source.MAX_BYTES + 1)
    start = time.monotonic()
    with pytest.raises(ResultError, match="larger than 64 MB"):
        read_foreign(path)
    assert time.monotonic() - start < 1


def test_a_large_file_of_no_kind_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "nonsense.csv"
    path.touch()
    os.truncate(path, 10 * source.MAX_BYTES)
    start = time.monotonic()
    assert read_foreign(path) is None
    assert time.monotonic() - start < 1


def test_too_many_rows_cells_or_characters_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_ROWS", 2)
    table = "model,energy\nA,1\nB,1\n"
    assert len(read(tmp_path, table, ENERGY).frame) == 2
    assert "2 columns and more than 2 rows" in refused(tmp_path, f"{table}C,1\n")
    monkeypatch.setattr(source, "MAX_CELLS", 2)
    assert "more than 1 rows" in refused(tmp_path, table)
    monkeypatch.undo()
    assert "line 2 has more than 1048576 characters" in refused(tmp_path, f"model,energy\n{',' * (2**20 + 1)}\n")


# Parquet


def parquet_file(folder: Path, **columns: Any) -> Path:
    write(folder, "", ENERGY)
    path = folder / "table.parquet"
    parquet.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize(
    ("energy", "words"),
    [
        ([1.0, float("inf")], "row 2, column energy: inf is not finite"),
        ([1.0, -1.0], "row 2, column energy: -1 is negative"),
        (["1", "x"], "row 2, column energy: 'x' is not a number"),
        ([[1], [2]], "row 1, column energy: '[1]' is not a number"),
        ([True, False], "row 1, column energy: 'True' is not a number"),
        ([b"\xff", b"1"], "row 1, column energy"),
        ([None, None], "no value of any metric"),
    ],
)
def test_parquet_values_are_checked_like_text(tmp_path: Path, energy: list[Any], words: str) -> None:
    with pytest.raises(ResultError) as info:
        read_foreign(parquet_file(tmp_path, model=["A", "B"], energy=energy))
    assert words in str(info.value)


def test_parquet_integers_decimals_and_texts_are_numbers(tmp_path: Path) -> None:
    result = read_foreign(parquet_file(tmp_path, model=["A", "B"], energy=pa.array([1, None], pa.decimal128(5, 2))))
    assert result is not None
    assert result.frame["energy"].fillna(-1).tolist() == [1, -1]


def test_parquet_integers_as_names_stay_integers(tmp_path: Path) -> None:
    result = read_foreign(parquet_file(tmp_path, model=[1, 2], energy=[1, 2]))
    assert result is not None
    assert result.frame["model"].tolist() == ["1", "2"]


def test_parquet_with_too_many_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_ROWS", 2)
    with pytest.raises(ResultError, match="more than 2 rows"):
        read_foreign(parquet_file(tmp_path, model=["A"] * 3, energy=[1.0] * 3))
    monkeypatch.undo()
    monkeypatch.setattr(source, "MAX_UNPACKED_BYTES", 10)
    with pytest.raises(ResultError, match="when unpacked"):
        read_foreign(tmp_path / "table.parquet")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1", b"model,energy\nA,1\n"])
def test_parquet_junk_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "table.parquet"
    path.write_bytes(content)
    with pytest.raises(ResultError, match="Parquet"):
        read_foreign(path)


# fuzzing

FUZZ = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
SEEDS = [table.encode() for table in (STREP, MLFLOW, EMISSIONS)]
CELLS = st.one_of(
    st.text(max_size=8),
    st.floats().map(repr),
    st.sampled_from(
        ["", "nan", "inf", "-1", "1e308", "1e101", "=A1", '"', "\n", "\0", "A", "2025-01-01", "9999-12-31", "0001-01-01"]
    ),
)


def outcome(name: str, content: bytes, meta: bytes) -> ForeignTable | None:
    """Read a file with a description beside it; whatever is not a table, `None` or a `ResultError` fails the test."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "meta_properties.json").write_bytes(meta)
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            result = read_foreign(path)
        except ResultError as error:
            message = str(error)
            result = None
        else:
            message = ""
    assert not message or folder in message
    if result is not None:
        values = result.frame[list(result.metrics)].to_numpy()
        assert not (abs(values) > 1e100).any()
        assert len(result.frame) > 0
        assert result.frame["run_id"].is_unique
        assert not result.frame[["run_id", "task", "dataset", "environment", "model"]].eq("").to_numpy().any()
    return result


@FUZZ
@given(content=st.binary(max_size=300), meta=st.binary(max_size=50), name=st.sampled_from(["t.csv", "t.parquet", "t"]))
@example(content=b"\xff\xfe", meta=b"", name="t.csv")
def test_any_bytes(content: bytes, meta: bytes, name: str) -> None:
    outcome(name, content, meta)


@FUZZ
@given(seed=st.sampled_from(SEEDS), at=st.integers(0, 700), length=st.integers(0, 30), junk=st.binary(max_size=20))
def test_tables_with_a_damaged_spot(seed: bytes, at: int, length: int, junk: bytes) -> None:
    outcome("t.csv", seed[:at] + junk + seed[at + length :], json.dumps(META).encode())


@FUZZ
@given(seed=st.sampled_from(SEEDS), row=st.integers(1, 2), column=st.integers(0, 25), cell=CELLS)
def test_tables_with_any_cell(seed: bytes, row: int, column: int, cell: str) -> None:
    lines = [line.split(",") for line in seed.decode().splitlines()]
    lines[row][column % len(lines[row])] = '"' + cell.replace('"', '""') + '"'
    table = "\n".join(",".join(line) for line in lines)
    outcome("t.csv", table.encode("utf-8", errors="surrogatepass"), json.dumps(META).encode())


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(["name", "shortname", "unit", "group", "maximize", "weight", "independent_of_task", "other"])


@FUZZ
@given(st.dictionaries(st.sampled_from(["top1", "power_draw", "model", "x"]), JSON | st.dictionaries(FIELDS, JSON)))
def test_any_description(meta: Any) -> None:
    outcome("t.csv", STREP.encode(), json.dumps(meta).encode())


@FUZZ
@given(st.lists(st.tuples(st.integers(4, 2000), st.integers(0, 255)), max_size=6), st.integers(0, 3000))
def test_damaged_parquet(changes: list[tuple[int, int]], cut: int) -> None:
    content = bytearray(PARQUET)
    for at, value in changes:
        content[at % len(content)] = value
    outcome(
        "t.parquet", bytes(content[: max(4, len(content) - cut % 40)] if cut % 2 else content), json.dumps(ENERGY).encode()
    )


def _parquet_bytes() -> bytes:
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table({"model": ["A", "B"], "energy": [1.0, 2.0], "dataset": ["x", None]}), sink)
    return bytes(sink.getvalue())


PARQUET = _parquet_bytes()
