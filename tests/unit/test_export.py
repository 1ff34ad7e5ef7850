"""Exports: whatever a name holds, it is one cell of its format and comes back as it was."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlee.assess import thresholds
from mlee.assess.export import FORMATS, latex, printable, readable, records, to_csv, to_json, to_latex, to_markdown
from mlee.assess.metric import Metric
from mlee.assess.metrics import METRICS
from mlee.assess.rating import FROM_DATA, Rated, RatingOptions, rate
from mlee.assess.thresholds import Thresholds
from mlee.errors import ResultError
from tests.hostile import NAMES
from tests.unit.test_load import assert_sound

ENERGY, TIME = METRICS["energy_per_sample"], METRICS["time_per_sample"]


def rated(*names: str, metrics: tuple[Metric, ...] = (ENERGY, TIME), values: Any = None, **fields: Any) -> Rated:
    """A rated table of models with these names, worse one after the other."""
    count = len(names)
    table = pd.DataFrame(
        {
            "task": ["inference"] * count,
            "dataset": ["ImageNet"] * count,
            "environment": ["GPU - PyTorch 2.9"] * count,
            "model": list(names),
            "run_id": [f"run {number}" for number in range(count)],
            "provenance": ["measured"] * count,
            "scope": ["gpu"] * count,
            "repeats": [1] * count,
            **{metric.key: np.arange(1.0, count + 1) if values is None else values for metric in metrics},
            **fields,
        }
    )
    return rate(table, metrics, RatingOptions(reference=names[0], thresholds=FROM_DATA))


def split_markdown(text: str) -> list[list[str]]:
    """Cells of a table in Markdown: a backslash escapes what follows, a bar that is not escaped ends a cell."""
    rows = []
    for line in text.split("\n"):
        if not line.startswith("|"):
            continue
        cells, characters = [""], iter(line)
        for character in characters:
            if character == "|":
                cells.append("")
            else:
                cells[-1] += next(characters) if character == "\\" else character
        assert cells[0] == cells[-1] == ""
        rows.append([cell.strip() for cell in cells[1:-1]])
    return rows


def cells_of_latex(text: str) -> list[list[str]]:
    """Cells of the table's rows, unescaped; every special must be escaped."""
    body = text.split("\\midrule\n")[1].split("\\bottomrule")[0]
    return [[plain_latex(cell) for cell in re.split(r"(?<!\\) & ", row.removesuffix(r" \\"))] for row in body.splitlines()]


_COMMANDS = {
    **{r"\textbackslash{}": "\\", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^", r"\textless{}": "<"},
    **{r"\textgreater{}": ">", r"\textbar{}": "|", "{[}": "[", "{]}": "]", "{*}": "*"},
    **{f"\\{character}": character for character in "&%$#_{}"},
}
_TOKEN = re.compile("|".join(map(re.escape, _COMMANDS)) + "|.", re.DOTALL)


def plain_latex(text: str) -> str:
    found = []
    for token in _TOKEN.findall(text):
        assert token in _COMMANDS or token not in "&%$#_{}\\~^<>|[]*", f"{token} is not escaped in {text}"
        found.append(_COMMANDS.get(token, token))
    return "".join(found)


def one_line(text: str) -> str:
    return " ".join(printable(text).split())


@cache
def hostile() -> Rated:
    fields = {name: [f"{name} {text}" for text in NAMES] for name in ("provenance",)}
    return rated(*NAMES, dataset=list(NAMES), **fields)


# formats


def test_json_comes_back_as_the_records() -> None:
    text = to_json(hostile())
    found = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert [row["model"] for row in found] == list(NAMES)
    assert found == json.loads(json.dumps(records(hostile())))
    assert "\x1b" not in text
    assert_sound(found)


def test_csv_comes_back_cell_by_cell() -> None:
    text = to_csv(hostile())
    head, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert len(rows) == len(NAMES)
    assert len(set(head)) == len(head)
    assert {len(row) for row in rows} == {len(head)}
    for column in ("model", "dataset"):
        cells = [row[head.index(column)] for row in rows]
        assert [cell.removeprefix("'") for cell in cells] == list(NAMES)
        for name, cell in zip(NAMES, cells, strict=True):
            assert cell.startswith("'") == name.startswith(("=", "+", "-", "@", "\t", "\r"))
    values = [float(row[head.index("energy_per_sample_value_J")]) for row in rows]
    assert values == hostile().table["energy_per_sample"].tolist()


def test_csv_is_read_by_pandas_too() -> None:
    found = pd.read_csv(io.StringIO(to_csv(rated("a\rb", "c\nd", 'e"f', "g,h"))), keep_default_na=False)
    assert found["model"].tolist() == ["a\rb", "c\nd", 'e"f', "g,h"]
    assert found["energy_per_sample_value_J"].tolist() == [1.0, 2.0, 3.0, 4.0]


def test_the_head_of_a_csv_is_escaped_and_has_no_name_twice() -> None:
    groups = ("=1+1", "model", "warnings", "a,b\r\n", "@x")
    metrics = tuple(replace(ENERGY, key=f"={group}", group=group, tasks=()) for group in groups)
    (head, *rows) = csv.reader(io.StringIO(to_csv(rated("A", "B", metrics=metrics)), newline=""), strict=True)
    assert not any(name.startswith(("=", "@")) for name in head)
    assert len(set(head)) == len(head)
    assert {"'=1+1", "model group", "warnings group", "a,b\r\n", "'@x", "model", "warnings"} <= set(head)
    assert rows[0][head.index("model")] == "A"


def test_markdown_comes_back_cell_by_cell() -> None:
    head, line, *rows = split_markdown(to_markdown(hostile()))
    assert head == ["task", "dataset", "environment", "model", "rating", "Resources", "Energy per sample", "Time per sample"]
    assert set(line) == {"---"}
    assert [row[3] for row in rows] == [one_line(name) for name in NAMES]
    assert {len(row) for row in rows} == {len(head)}


def test_markdown_has_no_markup_of_its_own() -> None:
    text = to_markdown(rated(*NAMES[1:]))
    assert not re.search(r"(?<!\\)[<>`*_\[\]&~$#]", text)
    assert "\\<script\\>" in text.split("\n\n")[-1], "the reference below the table is a name as well"


def test_latex_escapes_every_special() -> None:
    rows = cells_of_latex(to_latex(hostile()))
    assert len(rows) == len(NAMES)
    assert {len(row) for row in rows} == {8}
    for row, name in zip(rows, NAMES, strict=True):
        assert row[3] == printable(name)


def test_a_row_of_latex_does_not_begin_with_what_the_line_before_takes_for_its_option() -> None:
    table = rated("A", "B").table
    table["task"] = ["[1cm]", "*"]
    metrics = tuple(replace(metric, tasks=()) for metric in (ENERGY, TIME))
    text = to_latex(rate(table.drop(columns=["n", "runs", "run_ids"]), metrics, RatingOptions(thresholds=FROM_DATA)))
    for line in text.splitlines():
        assert not line.startswith(("[", "*"))


def test_the_comment_below_a_latex_table_stays_one_line() -> None:
    text = to_latex(rated("a\nb\r\\input{x}\u2028c\x0bd", "B"))
    (comment,) = [line for line in re.split(r"[\r\n\v\f\u2028\x85]", text) if "Rules" in line]
    assert comment.startswith("% ")
    assert text.endswith(comment + "\n")


@given(st.text(max_size=40))
@example("\\&")
@example("a\\")
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_text_is_escaped_for_latex(text: str) -> None:
    assert plain_latex(latex(text)) == printable(text)
    assert latex(text).isprintable()


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12), min_size=2, max_size=4, unique=True)
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_any_names_come_back_from_every_format(names: list[str]) -> None:
    result = rated(*names)
    assert [row["model"] for row in json.loads(to_json(result))] == names
    (head, *rows) = csv.reader(io.StringIO(to_csv(result), newline=""), strict=True)
    for row, name in zip(rows, names, strict=True):
        assert row[head.index("model")] in (name, f"'{name}")
    markdown = split_markdown(to_markdown(result))[2:]
    assert [row[2] for row in markdown] == [one_line(name) for name in names]
    assert [row[2] for row in cells_of_latex(to_latex(result))] == [printable(name) for name in names]


# numbers


def test_what_is_missing_is_null_empty_or_a_dash() -> None:
    values = np.array([1.0, np.nan, 2.0])
    result = rated("A", "B", "C", metrics=(ENERGY,), values=values)
    found = json.loads(to_json(result))[1]
    assert found["metrics"]["energy_per_sample"] == {
        **{"value": None, "unit": "J", "index": None, "rating": None, "rating_range": [None, None], "weight": 0.7},
        **{"standard_error": None, "uncertainty": None, "n": 1},
    }
    assert found["compound"] is None
    (head, _, row, _) = csv.reader(io.StringIO(to_csv(result)))
    assert [row[head.index(f"energy_per_sample_{part}")] for part in ("value_J", "index", "rating")] == ["", "", ""]
    assert split_markdown(to_markdown(result))[3][-1] == "-"
    assert cells_of_latex(to_latex(result))[1][-1] == "-"


def test_an_index_without_bound_is_null_and_rated() -> None:
    found = json.loads(to_json(rated("A", "B", "C", metrics=(ENERGY,), values=np.array([1.0, 0.0, 2.0]))))
    assert found[1]["metrics"]["energy_per_sample"]["index"] is None
    assert found[1]["metrics"]["energy_per_sample"]["rating"] == "A"


@given(st.lists(st.floats(0, 1e100, allow_subnormal=True), min_size=2, max_size=6))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_no_value_makes_an_export_that_is_no_number(values: list[float]) -> None:
    names = [f"m{number}" for number in range(len(values))]
    result = rated(*names, metrics=(ENERGY,), values=np.array(values))
    assert_sound(records(result))
    found = json.loads(to_json(result))
    assert [row["metrics"]["energy_per_sample"]["value"] for row in found] == values
    for text in (to_csv(result), to_markdown(result), to_latex(result)):
        assert not re.search(r"\b(nan|inf)\b", text, re.IGNORECASE)


def test_estimates_are_marked_and_ranges_written() -> None:
    table = rated("A", "B").table.drop(columns=["n", "runs", "run_ids", "reference"])
    table["provenance"] = "estimated"
    table["repeats"] = 3
    table["energy_per_sample__standard_error"] = [0.01, 0.8]
    own = Thresholds(name="own", index="reference", by_task={"*": {ENERGY.key: (1.3, 1.2, 0.9, 0.2)}})
    result = rate(table, (ENERGY, TIME), RatingOptions(reference="A", thresholds=own))
    _, rows = readable(result)
    assert rows[1][-2] == "2.00 J D (could be A or E) est."
    _, rows = readable(result, compact=True)
    assert rows[1][-2] == "~2.00 J D [A-E]"
    assert json.loads(to_json(result))[1]["metrics"]["energy_per_sample"]["rating_range"] == ["A", "E"]
    assert "No thresholds for Time per sample" in result.warnings[0][0].message


def test_every_row_names_rules_mode_thresholds_and_reference() -> None:
    result = rated("A", "B")
    for row in records(result):
        assert (row["rules"], row["mode"], row["thresholds"], row["reference"]) == (
            *("exact", "optimistic median", "quantiles of this data"),
            "A",
        )
    for name, export in FORMATS.items():
        for word in ("exact", "optimistic median", "quantiles of this data"):
            assert word in export(result), name


# thresholds


FOUR = [2.0, 1.5, 1.0, 0.5]
OURS: dict[str, Any] = {
    "format": "mlee-thresholds",
    "version": 1,
    "name": "own",
    "index": "reference",
    "made_by": None,
    "input_digest": None,
    "thresholds": {"inference": {"energy_per_sample": FOUR}, "*": {"top1_accuracy": FOUR}},
}


def test_both_formats_of_thresholds_are_read() -> None:
    ours = thresholds.from_json(json.dumps(OURS), "own.json")
    assert ours.get("inference", "energy_per_sample") == tuple(FOUR)
    assert ours.get("training", "energy_per_sample") is None
    assert ours.get("training", "top1_accuracy") == tuple(FOUR)
    assert thresholds.from_json(thresholds.to_json(ours), "again") == ours
    old = thresholds.from_json(json.dumps({"inference_power_draw": FOUR, "macs": [1, 1, 0, 0]}), "boundaries.json")
    assert old.get("inference", "energy_per_sample") == tuple(FOUR)
    assert (old.name, old.index, old.get("x", "macs")) == ("boundaries.json", "reference", (1.0, 1.0, 0.0, 0.0))


def with_(**fields: Any) -> dict[str, Any]:
    return {**OURS, **fields}


_HOSTILE_THRESHOLDS: dict[str, tuple[str, str]] = {
    "nan": ('{"macs": [NaN, 1, 1, 1]}', "macs must be four finite numbers"),
    "inf": ('{"macs": [Infinity, 1, 1, 1]}', "macs must be four finite numbers"),
    "1e999": ('{"macs": [1e999, 1, 1, 1]}', "macs must be four finite numbers"),
    "negative": ('{"macs": [1, 1, 1, -1]}', "macs must be four finite numbers"),
    "huge": (json.dumps({"macs": [10**400, 1, 1, 1]}), "too large"),
    "rising": ('{"macs": [1, 2, 1, 1]}', "macs must not rise"),
    "three": ('{"macs": [1, 1, 1]}', "macs must be four numbers"),
    "five": ('{"macs": [1, 1, 1, 1, 1]}', "macs must be four numbers"),
    "texts": ('{"macs": ["1", 1, 1, 1]}', "macs must be four numbers"),
    "true": ('{"macs": [true, 1, 1, 1]}', "macs must be four numbers"),
    "null": ('{"macs": null}', "macs must be four numbers"),
    "object": ('{"macs": {"a": 1}}', "macs must be four numbers"),
    "long": (json.dumps({"macs": "x" * 10**5}), "macs must be four numbers"),
    "twice": ('{"macs": [1,1,1,1], "macs": [2,1,1,1]}', "macs is given twice"),
    "by both names": ('{"macs": [1,1,1,1], "gflops": [2,1,1,1]}', "macs is given twice"),
    "list": ("[]", "no object"),
    "no json": ("{", "holds no thresholds"),
    "empty": ("", "holds no thresholds"),
    "deep": ("[" * 100_000, "holds no thresholds"),
    "surrogate": ('{"\\ud800": [1,1,1,1]}', "surrogates not allowed"),
    "version": (json.dumps(with_(version=2)), "format and version"),
    "format": (json.dumps(with_(format="mlee-result")), "format and version"),
    "index": (json.dumps(with_(index="worst")), "index must be reference or best"),
    "name": (json.dumps(with_(name=["x"])), "field name must be a text"),
    "made by": (json.dumps(with_(made_by={})), "field made_by must be a text"),
    "thresholds list": (json.dumps(with_(thresholds=[1])), "field thresholds must hold an object"),
    "task null": (json.dumps(with_(thresholds={"inference": None})), "field thresholds must hold an object"),
    "thresholds missing": (
        json.dumps({"format": "mlee-thresholds", "version": 1, "index": "best"}),
        "'thresholds' is missing",
    ),
}


@pytest.mark.parametrize("name", _HOSTILE_THRESHOLDS)
def test_hostile_thresholds_are_refused_by_file_and_field(name: str, tmp_path: Path) -> None:
    text, said = _HOSTILE_THRESHOLDS[name]
    path = tmp_path / "own.json"
    path.write_text(text)
    with pytest.raises(ResultError, match=re.escape(said)) as info:
        thresholds.load(path)
    assert "own.json" in info.value.message
    assert len(info.value.message) < 500


def test_thresholds_from_what_is_no_small_text_file_are_refused(tmp_path: Path) -> None:
    with open(tmp_path / "huge.json", "wb") as file:
        file.truncate(100 * 2**20)
    (tmp_path / "latin.json").write_bytes(b'{"\xff": [1,1,1,1]}')
    for path, said in (
        *((tmp_path / "huge.json", "too large"), (tmp_path / "latin.json", "cannot be read")),
        *((tmp_path, "not a file"), (Path("/dev/zero"), "not a file"), (tmp_path / "none.json", "cannot be read")),
    ):
        with pytest.raises(ResultError, match=said):
            thresholds.load(path)


_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.floats(), max_size=5)


@given(st.dictionaries(st.sampled_from(list(OURS)) | st.text(max_size=4), _VALUES | st.dictionaries(st.text(), _VALUES)))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_document_is_thresholds_or_refused(document: dict[str, Any]) -> None:
    for each in (document, {**OURS, **document}):
        try:
            found = thresholds.from_json(json.dumps(each), "any.json")
        except ResultError as error:
            assert "any.json" in error.message  # noqa: PT017 - both ends are right
        else:
            assert thresholds.from_json(thresholds.to_json(found), "any.json").by_task == found.by_task


def test_equal_thresholds_are_said_in_every_export() -> None:
    result = rated("A", "B", metrics=(ENERGY,), values=np.array([1.0, 1.0]))
    assert "degenerate-thresholds" in {warning["code"] for row in records(result) for warning in row["warnings"]}
    assert "All four thresholds of energy_per_sample (inference) are equal" in to_csv(result)
