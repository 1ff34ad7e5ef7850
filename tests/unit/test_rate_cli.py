"""`python -m mlee.rate`: every format, every option, and one clear line for what cannot be."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlee.assess import thresholds
from mlee.assess.metrics import METRICS
from mlee.cli import common, rate
from mlee.elex.tuning import weights_json
from tests import builders_2022, hostile
from tests.unit.test_load import assert_sound, put, run, table

ROOT = Path(__file__).parents[2]
Call = Callable[..., tuple[int, str, str]]
FORMATS = ("table", "json", "csv", "markdown", "latex")


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> Iterator[Call]:
    """Run the command in this process as from the command line: exit code, stdout, stderr."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    main = getattr(request.module, "MAIN", rate.main)

    def run_it(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mlee", *map(str, arguments)])
        try:
            code = common.run(main)
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    yield run_it
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return put(tmp_path / "results", run(0), run(1, "small", 500.0), run(2, "large", 4000.0))


# formats


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_is_printed_and_written_the_same(format_: str, call: Call, results: Path, tmp_path: Path) -> None:
    code, out, err = call("results", "--format", format_)
    assert (code, err) == (0, "")
    assert all(name in out for name in ("ResNet101", "small", "large", "10.4", "5.2") if format_ != "json")
    assert call("results", "--format", format_, "--output", "out.txt") == (0, "", "")
    written = (tmp_path / "out.txt").read_text(encoding="utf-8")
    if format_ == "table":
        assert written.startswith("| task |"), "a file gets Markdown"
    else:
        assert written == out


def test_json_and_csv_say_the_same(call: Call, results: Path) -> None:
    found = json.loads(call(results, "--format", "json")[1])
    (head, *rows) = csv.reader(io.StringIO(call(results, "--format", "csv")[1], newline=""))
    for record, row in zip(found, rows, strict=True):
        metric = record["metrics"]["energy_per_sample"]
        for part, column in (("value", "value_J"), ("index", "index"), ("n", "n")):
            assert float(row[head.index(f"energy_per_sample_{column}")]) == metric[part]
        assert row[head.index("compound")] == record["compound"]
    assert [record["metrics"]["energy_per_sample"]["index"] for record in found] == [1.0, 2.0, 0.25]


@pytest.mark.parametrize("format_", FORMATS)
def test_hostile_names_are_data_in_every_format(format_: str, call: Call, tmp_path: Path) -> None:
    documents = [run(number, name) for number, name in enumerate(hostile.NAMES) if name.strip()]
    for each, name in zip(documents, hostile.NAMES, strict=True):
        each["dataset"] = name
        each["warnings"] = [{"code": name, "message": name}]
    documents[0]["platform"]["gpus"][0]["name"] = documents[1]["platform"]["cpu_name"] = hostile.NAMES[13]
    put(tmp_path / "results", *documents)
    code, out, err = call("results", "--format", format_, "--reference", "best")
    assert (code, err) == (0, "")
    if format_ in ("json", "csv"):
        names = {
            row["model"] for row in (json.loads(out) if format_ == "json" else csv.DictReader(io.StringIO(out, newline="")))
        }
        assert {name.removeprefix("'") for name in names} == set(hostile.NAMES)
    else:
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e\u2028]", out), "nothing that acts on a terminal"
        assert "[bold]rich[/bold]" in out.replace("\\", "").replace("{[}", "[").replace("{]}", "]")


def test_hostile_references_and_environments_are_said_without_acting(call: Call, tmp_path: Path) -> None:
    documents = [run(0, "\x1b[2J[bold]a[/]"), run(1, "\x1b[31mb")]
    for each in documents:
        each["platform"]["gpus"][0]["name"] = "\x1b]0;title\x07 [red]GPU"
    put(tmp_path / "results", *documents)
    code, out, err = call("results")
    assert code == 0
    assert "\x1b" not in out + err
    assert "[bold]a[/] is the reference" in err
    assert "[red]GPU" in out
    assert "reference" in out


def test_a_model_named_none_can_be_the_reference(call: Call, tmp_path: Path) -> None:
    put(tmp_path / "results", run(0, "None"), run(1, "b"))
    _, out, _ = call("results", "--reference", "None")
    assert "reference None" in out
    assert "not rated" not in out.splitlines()[-3:]


# what is left out, and exit codes


def test_what_is_left_out_is_named_and_makes_the_exit_code_1(call: Call, results: Path) -> None:
    hostile.write(results / "bad.json", hostile.changed(run(9), ("outcome", "samples"), -1))
    (results / "nonsense.json").write_bytes(b"\xff\xfe\x00")
    (results / "[bold]x.json").write_text("{}")
    code, out, err = call(results, "--format", "csv")
    assert code == 1
    assert len(list(csv.reader(io.StringIO(out)))) == 4
    lines = [line for line in err.splitlines() if line.startswith("left out")]
    assert len(lines) == 3
    assert any("bad.json" in line and "outcome" in line and "samples" in line for line in lines)
    assert any("[bold]x.json" in line for line in lines)


def test_nothing_to_rate_is_one_clear_line(call: Call, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in ("empty", "none"):
        code, out, err = call(path)
        assert (code, out) == (1, "")
        assert "No result could be read" in err
        assert "hint:" in err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--mode", "banana"], 2, "optimistic median, pessimistic median"),
        (["--rules", "2023"], 2, "--rules"),
        (["--format", "xml"], 2, "--format"),
        (["--reference", "smal"], 2, "did you mean small"),
        (["--reference", "Zebra-9000"], 2, "the results hold ResNet101, small, large"),
        (["--weights", "none.json"], 1, "none.json"),
        (["--thresholds", "none.json"], 1, "none.json"),
        (["--thresholds", "."], 1, "is not a file"),
        (["--weights", "."], 1, "is not a file"),
        (["--weights", "/dev/zero"], 1, "is not a file"),
        (["--rules", "2022", "--reference", "best"], 2, "know no index 'best'"),
        (["--output", "none/out.json", "--format", "json"], 1, "none/out.json cannot be written"),
        (["--output", ".", "--format", "json"], 1, "cannot be written"),
        (["--output", "/proc/none", "--format", "json"], 1, "/proc/none cannot be written"),
        (["--save-thresholds", "none/own.json"], 1, "none/own.json cannot be written"),
        (["--output", "\udcff"], 2, "not UTF-8"),
    ],
    ids=lambda value: " ".join(map(ascii, value)) if isinstance(value, list) else "",
)
def test_a_wrong_option_is_named(arguments: list[str], code: int, said: str, call: Call, results: Path) -> None:
    found, _, err = call(results, *arguments)
    assert found == code
    assert said in err
    assert sum("error:" in line for line in err.splitlines()) == 1


def test_no_path_is_an_error_of_usage(call: Call) -> None:
    code, _, err = call()
    assert code == 2
    assert "PATH" in err


def test_repeats_under_rules_of_2022_say_what_to_do(call: Call, tmp_path: Path) -> None:
    put(tmp_path / "results", builders_2022.inference("infer_a"), builders_2022.inference("infer_b"))
    code, out, err = call("results", "--rules", "2022")
    assert (code, out) == (1, "")
    assert "several runs of inference, ImageNet, RTX 5000 - PyTorch 1.10.2+cu113, VGG16" in err
    assert "--rules exact" in err
    assert call("results")[0] == 0


# weights


def weigh(call: Call, results: Path, text: str | bytes) -> tuple[int, str, str]:
    path = results.parent / "weights.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return call(results, "--weights", path, "--format", "json", "--reference", "ResNet101")


def test_weights_by_our_names_and_those_of_2022_rate_by_them_alone(call: Call, results: Path) -> None:
    others = {"parameters": 0, "gflops": 0, "fsize": 0, "top1_val": 0, "top5_accuracy": 0, "time_per_sample": 0}
    code, out, _ = weigh(call, results, json.dumps({**others, "inference_power_draw": 0.5}))
    assert code == 0
    for row in json.loads(out):
        assert row["compound"] == row["metrics"]["energy_per_sample"]["rating"] == row["groups"]["Resources"]
        assert row["groups"]["Quality"] is None
    assert weigh(call, results, b"\xef\xbb\xbf{}")[0] == 0


def test_weights_that_the_explorer_wrote_are_read(call: Call, results: Path) -> None:
    metrics = [metric for metric in METRICS.values() if metric.key != "energy_per_sample"]
    changed = [replace(METRICS["energy_per_sample"], weight=7.0), *metrics]
    code, out, _ = weigh(call, results, weights_json(changed))
    assert code == 0
    assert {row["metrics"]["energy_per_sample"]["weight"] for row in json.loads(out)} == {7.0}
    assert weigh(call, results, '{"format": "mlee-weights", "version": 1}')[0] == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"energy_per_sample": NaN}', "energy_per_sample must be 0 to 1e+09, got nan"),
        ('{"energy_per_sample": Infinity}', "got inf"),
        ('{"energy_per_sample": -1}', "got -1"),
        ('{"energy_per_sample": 1e308}', "got 1e+308"),
        (json.dumps({"energy_per_sample": 10**400}), "energy_per_sample must be"),
        ('{"energy_per_sample": "1"}', "one object {metric: weight}"),
        ('{"energy_per_sample": true}', "one object {metric: weight}"),
        ('{"energy_per_sample": null}', "one object {metric: weight}"),
        ('{"energy_per_sample": [1]}', "one object {metric: weight}"),
        ('{"energy_per_sample": {}}', "one object {metric: weight}"),
        ('{"energy_per_sample": {"a": 1}}', "one object {metric: weight}"),
        ("[]", "one object {metric: weight}"),
        ("[1]", "one object {metric: weight}"),
        ("5", "one object {metric: weight}"),
        ("null", "one object {metric: weight}"),
        ('{"speed": 1}', "unknown metric 'speed'"),
        ('{"\\ud800": 1}', "surrogates not allowed"),
        ('{"[bold]": 1}', "unknown metric '[bold]'"),
        ('{"macs": 1, "macs": 2}', "the weight of macs is given twice"),
        ('{"macs": 1, "gflops": 2}', "the weight of gflops is given twice"),
        ("{", "cannot be read"),
        ("", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        (b'{"\xff": 1}', "cannot be read"),
        (json.dumps({"macs": 1}).encode("utf-16"), "cannot be read"),
        (b" " * 2**21, "too large"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_hostile_weights_are_refused(text: str | bytes, said: str, call: Call, results: Path) -> None:
    code, out, err = weigh(call, results, text)
    assert code in (1, 2)
    assert out == ""
    assert said in err
    assert len(err) < 1500


def test_no_weight_at_all_rates_nothing(call: Call, results: Path) -> None:
    from mlee.assess.metrics import METRICS

    code, out, _ = weigh(call, results, json.dumps(dict.fromkeys(METRICS, 0)))
    assert code == 0
    assert all(row["compound"] is None for row in json.loads(out))


# thresholds


def test_thresholds_are_saved_with_their_origin_and_rate_the_same_again(call: Call, results: Path, tmp_path: Path) -> None:
    arguments = (results, "--format", "json", "--reference", "ResNet101")
    first = json.loads(call(*arguments, "--thresholds", "quantiles", "--save-thresholds", "own.json")[1])
    saved = thresholds.load(tmp_path / "own.json")
    assert saved.name == "own"
    assert saved.made_by == (
        "python -m mlee.rate results --format json --reference ResNet101 --thresholds quantiles --save-thresholds own.json"
    )
    assert re.fullmatch("[0-9a-f]{64}", saved.input_digest or "")
    code, out, err = call(*arguments, "--thresholds", "own.json")
    assert code == 0
    assert "degenerate" in err
    second = json.loads(out)
    assert [row["thresholds"] for row in second] == ["own"] * 3
    assert [row["metrics"] for row in second] == [row["metrics"] for row in first]


def test_boundaries_of_2022_are_read_and_degenerate_ones_are_said(call: Call, results: Path, tmp_path: Path) -> None:
    old = {"inference_power_draw": [1.5, 1.2, 0.9, 0.5], "inference_time": [1, 1, 1, 1]}
    hostile.write(tmp_path / "boundaries.json", old)
    code, out, err = call(results, "--thresholds", "boundaries.json", "--format", "json")
    assert code == 0
    energies = [row["metrics"]["energy_per_sample"]["rating"] for row in json.loads(out)]
    assert energies == ["C", "A", "E"]
    assert "All four thresholds of time_per_sample (*) are equal" in err
    assert "No thresholds for Parameters" in err


@pytest.mark.parametrize(
    "text", ['{"macs": [1, NaN, 1, 1]}', '{"macs": [1, 2, 1, 1]}', json.dumps({"macs": [10**400, 1, 1, 1]}), "[", "[]"]
)
def test_hostile_thresholds_are_refused(text: str, call: Call, results: Path, tmp_path: Path) -> None:
    (tmp_path / "own.json").write_text(text)
    code, out, err = call(results, "--thresholds", "own.json")
    assert (code, out) == (1, "")
    assert "own.json holds no thresholds" in err


# tables of other tools


def test_a_hostile_table_is_rated_in_every_format(call: Call, tmp_path: Path) -> None:
    rows = "".join(
        f'"{name}",{number + 1}\r\n' for number, name in enumerate(hostile.NAMES) if '"' not in name and "\0" not in name
    )
    meta = {"energy": {"name": "=E & <b>|%\x1b[1m", "group": "=G{}\n|", "unit": "J\n|", "maximize": False}}
    table(tmp_path / "other", "model,energy\n" + rows, json.dumps(meta))
    for format_ in FORMATS:
        code, out, _ = call("other", "--format", format_, "--thresholds", "quantiles", "--reference", "best")
        assert code == 0
        if format_ != "csv":  # data as it is
            assert "\x1b" not in out
        if format_ == "csv":
            found = list(csv.reader(io.StringIO(out, newline=""), strict=True))
            assert {len(row) for row in found} == {len(found[0])}
            assert not any(cell.startswith(("=", "@", "+")) for row in found for cell in row)
        if format_ == "json":
            assert_sound(json.loads(out))


def test_a_reserved_metric_is_said(call: Call, tmp_path: Path) -> None:
    table(tmp_path / "other", "model,energy,n\nA,1,5\n", json.dumps({"energy": {"unit": "J"}, "n": {"unit": "J"}}))
    code, _, err = call("other", "--thresholds", "quantiles")
    assert code == 0
    assert "n left out: the rating has columns of that name" in err


@pytest.mark.parametrize("format_", ["table", "json"])
def test_the_command_runs_as_a_program_on_a_terminal_with_a_small_alphabet(format_: str, results: Path) -> None:
    hostile.write(results / "own.json", run(7, "模型"))
    command = [sys.executable, "-m", "mlee.rate", str(results), "--format", format_]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "200"}
    done = subprocess.run(command, capture_output=True, cwd=ROOT, env=environment, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    if format_ == "json":
        assert json.loads(done.stdout.decode("utf-8"))[-1]["model"] == "模型"
    else:
        assert b"small" in done.stdout
        assert b"??" in done.stdout


def test_a_reader_that_has_seen_enough_is_no_error(results: Path) -> None:
    command = f"{sys.executable} -m mlee.rate {results} --format json | head -c 5"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout == "[\n {\n"
    assert "Traceback" not in done.stderr
    assert os.path.exists(results)
