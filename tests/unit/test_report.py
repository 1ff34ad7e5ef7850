"""Reports: what is in the results is in the PDF, and the same results give the same bytes."""

from __future__ import annotations

import json
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pypdfium2
import pytest

from mlee.cli import common, report
from mlee.records import RunResult, Warning
from mlee.results import store
from tests import builders
from tests.unit import test_foreign as foreign

PUBLISHED = Path(__file__).parents[3] / "shared" / "imageneteff22" / "results"

#: By the tool that wrote it: name and content of a table.
TABLES = {
    "STREP": ("table.csv", foreign.STREP),
    "MLflow": ("runs.csv", foreign.mlflow("metrics.acc,params.model", "0.9,Net", "0.8,Other")),
    "CodeCarbon": ("emissions.csv", foreign.emissions(foreign.emissions_row())),
}

Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["report", *arguments])
        try:
            code = common.run(report.main)
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out + said.err

    yield run
    signal.signal(signal.SIGTERM, before)


def result(model: str, number: int, **fields: object) -> RunResult:
    made = builders.run_result(run_id=f"infer_2026_11_23_15_04_{number:02d}")
    facts = replace(made.model, name=model, parameters=1_000_000 * number)
    energy = builders.device_energy(energy_j=1000.0 * number)
    return replace(made, model=facts, measurements=(builders.measurement(devices=(energy,)),), **fields)  # type: ignore[arg-type]


def write(folder: Path, *results: RunResult) -> Path:
    folder.mkdir(exist_ok=True)
    for each in results:
        (folder / f"{each.run_id}.json").write_text(store.to_json(each))
    return folder


def text_of(path: Path) -> str:
    document = pypdfium2.PdfDocument(path)
    return " ".join(" ".join(page.get_textpage().get_text_range().split()) for page in document)


def outline(path: Path) -> list[str]:
    return [entry.get_title() for entry in pypdfium2.PdfDocument(path).get_toc()]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write(tmp_path / "results", *(result(name, number) for number, name in enumerate(("Small", "Middle", "Big"), 1)))


def test_a_report_holds_what_the_results_say(call: Call, results: Path, tmp_path: Path) -> None:
    code, said = call("--title", "Our study", "--author", "A. Person")
    assert (code, "3 models in report.pdf" in said) == (0, True), said
    path = tmp_path / "report.pdf"
    text = text_of(path)
    for words in (
        *("Our study", "A. Person", "Runs of 2026-11-23", "Small", "Middle", "Big", "10.4 J", "75.0 %", "Reference Middle."),
        *("NVIDIA Test", "Test CPU", "not readable (sudo chmod)", "short-run", "The window is short: µ ± 5 %."),
        *("batch size 32", "warmup batches 3", "idle seconds 5", "seed 7", "eval preprocessing builtin", "Fischer"),
        *("ML energy label", "Rules 'exact', mode 'optimistic median'"),
    ):
        assert words in text, words
    assert outline(path)[:2] == ["Summary", "Inference on sample, NVIDIA Test - PyTorch n.a."]
    assert {"Energy labels", "Remarks", "Methods", "References"} <= set(outline(path))
    metadata = pypdfium2.PdfDocument(path).get_metadata_dict()
    assert (metadata["Title"], metadata["Author"]) == ("Our study", "A. Person")


def report_of(call: Call, folder: Path, code: str, messages: Sequence[str]) -> str:
    """Text of the report of models `Model1`, ... each with a warning."""
    found = [
        result(f"Model{number}", number, warnings=(Warning(code=code, message=message),))
        for number, message in enumerate(messages, 1)
    ]
    write(folder / "results", *found)
    assert call()[0] == 0
    return text_of(folder / "report.pdf")


def test_remarks_of_one_kind_stand_together(call: Call, tmp_path: Path) -> None:
    def remark(source: str, times: int) -> Warning:
        return Warning(code="published-accuracy", message=f"Published ({source}), after {times} runs (as it was).")

    models = ("Small", "Middle", "Big")
    write(
        tmp_path / "results",
        *(result(name, number, warnings=(remark(f"{name}_Weights", number),)) for number, name in enumerate(models, 1)),
    )
    assert call()[0] == 0
    text = text_of(tmp_path / "report.pdf")
    assert text.count("published-accuracy") == 1
    assert "Published (…), after 1 to 3 runs (as it was)." in text
    assert "_Weights" not in text


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        (
            [f"Only {share}% of the window is covered by readings of GPU 0." for share in (94, 12, 0)],
            "Only 0% to 94% of the window is covered by readings of GPU 0.",
        ),
        (
            [
                "GPU 0: the counter differs by +12%.",
                "GPU 1: the counter differs by -3%.",
                "GPU 0: the counter differs by +9%.",
            ],
            "GPU 0 to 1: the counter differs by -3% to +12%.",
        ),
        (
            [
                "7 W lies outside 20.5 to 30 W (a).",
                "90 W lies outside 20.5 to 30 W (b).",
                "1,000 W lies outside 20.5 to 30 W (c).",
            ],
            "7 to 1,000 W lies outside 20.5 to 30 W (…).",
        ),
        (
            [
                f"m.csv has a gap: it covers 20% of the run at 2026-11-23 {time} UTC."
                for time in ("12:15:09", "13:05:11", "12:58:30")
            ],
            "it covers 20% of the run at 2026-11-23 12:15:09 to 13:05:11 UTC.",
        ),
        (["It differs by up to 1.2e-05.", "It differs by up to 0.3.", "It differs by up to 5e-06."], "up to 5e-06 to 0.3."),
    ],
)
def test_remarks_that_differ_in_numbers_are_true_of_all_models(
    call: Call, tmp_path: Path, messages: list[str], said: str
) -> None:
    text = report_of(call, tmp_path, "remark", messages)
    assert f"{said} (Model1, Model2, Model3)" in text
    assert text.count("remark ") == 1


def test_remarks_that_differ_in_names_stay_apart(call: Call, tmp_path: Path) -> None:
    """Digits of names are no numbers: nothing is "ResNet18 to ResNet50"."""
    messages = ("ResNet18 of package-0 and 2.14.1 is odd.", "ResNet50 of package-0 and 2.14.1 is odd.")
    messages += ("ResNet18 of package-1 and 2.14.1 is odd.", "ResNet18 of package-0 and 2.15.1 is odd.", "(a 5", "(b 5")
    text = report_of(call, tmp_path, "odd", messages)
    for number, message in enumerate(messages, 1):
        assert f"odd {message} (Model{number})" in text


def test_bars_of_many_models_go_on_on_further_pages(call: Call, tmp_path: Path) -> None:
    write(tmp_path / "results", *(result(f"Model {number:03d}", number) for number in range(1, 132)))
    assert call("--no-labels")[0] == 0
    text = text_of(tmp_path / "report.pdf")
    titles = [f"Energy per sample ({part} of 3)" for part in (1, 2, 3)]
    first, *_ = places = [text.index(title) for title in titles]
    assert places == sorted(places)
    assert all(f"Model {number:03d}" in text[first:] for number in range(1, 132))


def test_the_same_results_give_the_same_bytes(call: Call, results: Path, tmp_path: Path) -> None:
    call("-o", "a.pdf")
    call("-o", "b.pdf")
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_nothing_is_overwritten_unless_asked_for(call: Call, results: Path, tmp_path: Path) -> None:
    (tmp_path / "report.pdf").write_text("mine")
    code, said = call()
    assert (code, "report.pdf exists" in said) == (2, True)
    assert (tmp_path / "report.pdf").read_text() == "mine"
    assert call("--force")[0] == 0
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


def test_without_labels_and_on_letter_paper(call: Call, results: Path, tmp_path: Path) -> None:
    assert call("--no-labels", "--paper", "letter")[0] == 0
    assert "ML energy label" not in text_of(tmp_path / "report.pdf")
    assert pypdfium2.PdfDocument(tmp_path / "report.pdf")[0].get_size() == (612, 792)


def test_strange_names_are_text(call: Call, tmp_path: Path) -> None:
    names = ("<b>bold</b>", "a & b </para>", "x" * 300, "名前")
    found = [replace(result(name, number), dataset="<font size=99>") for number, name in enumerate(names, 1)]
    write(tmp_path / "results", *found)
    assert call()[0] == 0
    text = text_of(tmp_path / "report.pdf")
    assert "<b>bold</b>" in text
    assert "a & b </para>" in text
    assert "<font size=99>" in text


def test_one_run_without_energy_or_accuracy(call: Call, tmp_path: Path) -> None:
    lonely = result("Lonely", 1, warnings=(Warning(code="other-load", message="Others used 31 %."),))
    measured = builders.measurement(devices=(), not_added=())
    bare = replace(lonely.outcome, top1_accuracy=None, top5_accuracy=None)
    write(tmp_path / "results", replace(lonely, measurements=(measured,), outcome=bare))
    code, said = call()
    assert code == 0, said
    text = text_of(tmp_path / "report.pdf")
    assert "Lonely" in text
    assert "Others used 31 %." in text
    assert "Top-1" not in text.replace("Top-1 accuracy", "").replace("Top-1 / top-5", "")


def test_what_cannot_be_read_is_named_and_the_rest_is_reported(call: Call, results: Path, tmp_path: Path) -> None:
    (results / "infer_broken.json").write_text("{")
    code, said = call()
    assert (code, "infer_broken.json" in said) == (1, True)
    assert (tmp_path / "report.pdf").exists()
    code, said = call("nowhere", "-o", "other.pdf")
    assert (code, "No result could be read" in said) == (1, True)
    assert not (tmp_path / "other.pdf").exists()


def test_settings_that_differ_are_listed(call: Call, results: Path, tmp_path: Path) -> None:
    path = next(results.glob("*01.json"))
    document = json.loads(path.read_text())
    document["config"]["batch_size"] = 1
    path.write_text(json.dumps(document))
    assert call()[0] == 0
    assert "batch size 1; 32" in text_of(tmp_path / "report.pdf")


def test_a_report_names_no_folder_of_the_machine(call: Call, tmp_path: Path) -> None:
    config = builders.config(
        data_path="/home/me/secret/imagenet", weights="/home/me/secret/own.pt", infer_model="/home/me/secret/train_1"
    )
    write(tmp_path / "results", result("Small", 1, config=config))
    assert call()[0] == 0
    text = text_of(tmp_path / "report.pdf")
    assert "weights own.pt" in text
    assert "data path" not in text
    assert [word for word in ("secret", "/home", "imagenet") if word in text] == []


@pytest.mark.parametrize("mixed", [False, True], ids=["alone", "beside a result of ours"])
@pytest.mark.parametrize("tool", TABLES)
def test_tables_of_other_tools(call: Call, tmp_path: Path, tool: str, mixed: bool) -> None:
    """Their groups have no runs of which anything but the values is known."""
    folder = write(tmp_path / "results", *([result("Ours", 1)] if mixed else []))
    name, table = TABLES[tool]
    foreign.write(folder, table, foreign.META if tool == "STREP" else None, name)
    code, said = call()
    assert code == 0, said
    text = text_of(tmp_path / "report.pdf")
    rows = {"STREP": 2, "MLflow": 2, "CodeCarbon": 1}[tool]
    runs = {"STREP": 3, "MLflow": 2, "CodeCarbon": 1}[tool]
    assert "it says no more about how it was measured" in text
    assert f"{runs + mixed} run{'s' if runs + mixed > 1 else ''} of {rows + mixed} model" in text
    assert ("Ours" in text, "Test CPU" in text, "batch size 32" in text) == (mixed, mixed, mixed)
    days = {"STREP": "unknown days", "MLflow": "2025-03-12", "CodeCarbon": "2025-10-11"}[tool]
    if not mixed:
        assert f"Runs of {days}" in text


def test_every_column_of_a_hundred_metrics_can_be_read(call: Call, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    names = [f"s{number}_accuracy" for number in range(101)]
    rows = [[f"{(100 * row + number) / 1000}" for number in range(101)] for row in range(2)]
    table = foreign.mlflow(
        ",".join(["params.model", *(f"metrics.{name}" for name in names)]),
        *(",".join([model, *row]) for model, row in zip(("One", "Two"), rows, strict=True)),
    )
    foreign.write(tmp_path / "results", table)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # pandas warns of tables with many columns
        assert call()[0] == 0
    text = text_of(tmp_path / "report.pdf")
    for row in rows:
        assert [value for value in row if f"{100 * float(value):.1f} %" not in text] == []
    assert text.count("Model Rating") == text.count("One -") == text.count("Two -") == 12


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published results of 2022 are not here")
def test_the_published_results(call: Call, tmp_path: Path) -> None:
    assert call(str(PUBLISHED))[0] == 0
    text = text_of(tmp_path / "report.pdf")
    for words in (
        "232 runs of 31 models in 12 groups",
        "Energy is measured for 232 results.",
        "QuickNetLarge",
        "8 x NVIDIA",
    ):
        assert words in text, words
