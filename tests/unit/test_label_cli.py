"""`python -m mlee.label_generator`: one label or all of them, or a line that says how to choose."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from mlee.cli import label
from tests import builders, builders_2022, hostile
from tests.unit.test_load import document, put, run, table
from tests.unit.test_rate_cli import Call, call  # noqa: F401 - a fixture

pytest.importorskip("reportlab")
pdfium = pytest.importorskip("pypdfium2")
MAIN = label.main
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two models on a GPU, one of them on a CPU as well, and a training."""
    cpu = run(2, "small", 500.0)
    cpu["platform"]["gpus"] = []
    return put(tmp_path / "results", run(0), run(1, "small", 500.0), cpu, builders_2022.training())


def text_of(path: Path) -> str:
    """What a label says: text and description of an SVG, text of a PDF."""
    if path.suffix == ".svg":
        return " ".join(ElementTree.parse(path).getroot().itertext())
    assert path.read_bytes().startswith(b"%PDF-")
    document_ = pdfium.PdfDocument(path)
    try:
        return " ".join(document_[0].get_textpage().get_text_bounded().split())
    finally:
        document_.close()


ONE = ("-m", "small", "-e", "NVIDIA Test - PyTorch n.a.")


@pytest.mark.parametrize("variant", ["full", "compact", "badge"])
@pytest.mark.parametrize("format_", ["pdf", "svg", "png"])
def test_every_variant_in_every_format(format_: str, variant: str, call: Call, results: Path, tmp_path: Path) -> None:  # noqa: F811
    code, out, _ = call(*ONE, "--format", format_, "--variant", variant, "--dpi", "72")
    assert code == 0
    assert out == f"small inference NVIDIA Test - PyTorch n.a. -> label.{format_}\n"
    path = tmp_path / f"label.{format_}"
    if format_ == "png":
        assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    else:
        assert ("ML energy" if (format_, variant) == ("pdf", "badge") else "small") in text_of(path)


def test_the_ending_of_the_output_chooses_the_format(call: Call, results: Path, tmp_path: Path) -> None:  # noqa: F811
    assert call(*ONE, "-o", "x.SVG")[0] == 0
    assert ElementTree.parse(tmp_path / "x.SVG").getroot().tag == f"{SVG}svg"
    assert call(*ONE, "-o", "x.svg", "--format", "png")[0] == 0
    assert (tmp_path / "x.svg").read_bytes().startswith(b"\x89PNG")
    assert call(*ONE, "-o", "x.label")[0] == 0
    assert (tmp_path / "x.label").read_bytes().startswith(b"%PDF-")


def test_the_numbers_of_the_label(call: Call, results: Path, tmp_path: Path) -> None:  # noqa: F811
    assert call(*ONE, "-r", "resnet-101", "-o", "x.svg", "--issued", "2026-11-30")[0] == 0
    said = text_of(tmp_path / "x.svg")
    for words in ("5.21", "104 ms", "75.0 %", "2.00 x ResNet101", "label issued 2026-11-30", "sha256", "75.0 % / 87.5 %"):
        assert words in said, words
    assert "CPU and DRAM not included" in said


def test_one_day_gives_equal_bytes(call: Call, results: Path, tmp_path: Path) -> None:  # noqa: F811
    for name in ("a.pdf", "b.pdf"):
        assert call(*ONE, "-o", name, "--issued", "2026-11-30")[0] == 0
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


# which result


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        ([], "4 results fit", "--task with one of: inference; training"),
        (["-t", "inference"], "3 results fit", "--model with one of: ResNet101; small"),
        (["-m", "small"], "2 results fit", "--environment with one of: NVIDIA Test - PyTorch n.a.; Test CPU - PyTorch n.a."),
        (
            ["-m", "small", "-e", "banana"],
            "Unknown environment 'banana'",
            "pass one of: NVIDIA Test - PyTorch n.a.; Test CPU",
        ),
        (["-m", "smal"], "Unknown model 'smal'", "did you mean small?"),
        (["-m", "Zebra-9000"], "Unknown model 'Zebra-9000'", "the results hold ResNet101, small, VGG16"),
        (["-m", "small", "-t", "training"], "No result fits", "leave one of them out"),
        (["-f", "9.json"], "--filename 9.json is no result in results", "one of its files"),
        (["-d", "none"], "No result could be read in none", "give result files"),
        (["-t", "baking"], "--task", "training"),
        ([*ONE, "--dpi", "0"], "--dpi", "1 or more"),
        ([*ONE, "--dpi", "nan"], "--dpi", "1 or more"),
        ([*ONE, "--dpi", "100000", "--format", "png"], "dpi must be from 20 to 1200, not 100000", ""),
        ([*ONE, "--dpi", "19", "--format", "png"], "dpi must be from 20 to 1200, not 19", ""),
        ([*ONE, "--issued", "tomorrow"], "must be a date such as 2026-11-23, got 'tomorrow'", ""),
        ([*ONE, "--issued", "2026-02-30"], "must be a date", ""),
        ([*ONE, "--url", "no url"], "url must be an absolute", ""),
        ([*ONE, "--url", "https://x/" + "y" * 400], "at most 300 characters", ""),
        ([*ONE, "-o", "none/x.pdf"], "none/x.pdf cannot be written", "choose another folder"),
        ([*ONE, "-o", "."], "cannot be written", ""),
        ([*ONE, "--all", "-o", "results/0.json"], "--output results/0.json cannot be made", "another folder"),
        ([*ONE, "--all", "-o", "/proc/none"], "--output /proc/none cannot be made", "another folder"),
        ([*ONE, "--weights", "none.json"], "none.json", ""),
        ([*ONE, "--thresholds", "results/0.json"], "holds no thresholds", ""),
        ([*ONE, "--mode", "banana"], "banana", "optimistic median"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_what_cannot_be_drawn_says_how_to_choose(
    arguments: list[str],
    said: str,
    hint: str,
    call: Call,  # noqa: F811
    results: Path,
    tmp_path: Path,
) -> None:
    before = {path: path.read_bytes() for path in results.iterdir()}
    code, out, err = call(*arguments)
    assert code in (1, 2)
    assert out == ""
    assert said in err
    assert hint in err
    assert sum("error:" in line for line in err.splitlines()) == 1
    assert {path: path.read_bytes() for path in results.iterdir()} == before
    assert not list(tmp_path.glob("label*"))


def test_environment_and_model_are_matched_leniently(call: Call, results: Path) -> None:  # noqa: F811
    for model, environment in (("SMALL", "test cpu - pytorch N.A."), ("s-mall", "nvidia TEST - pytorch n.a.")):
        assert call("-m", model, "-e", environment)[0] == 0
    assert "Test CPU" in call("-m", "small", "-e", "test   CPU  -PyTorch n.a.")[1]


def test_a_file_is_chosen_by_its_name_alone(call: Call, results: Path, tmp_path: Path) -> None:  # noqa: F811
    code, out, _ = call("-f", "2.json", "-m", "ignored", "-o", "x.svg")
    assert code == 0
    assert out.startswith("small inference Test CPU")
    assert call("-f", str(results / "3.json"))[1].startswith("VGG16 training")


def test_a_file_that_cannot_be_read_is_named(call: Call, results: Path) -> None:  # noqa: F811
    (results / "bad.json").write_text("{")
    code, _, err = call("-f", "bad.json")
    assert code == 2
    assert "left out results/bad.json" in err
    assert "--filename bad.json is no result" in err
    assert call("-f", "2.json")[0] == 0


def test_results_on_several_data_sets_are_told_apart(call: Call, tmp_path: Path) -> None:  # noqa: F811
    put(tmp_path / "results", run(0), {**run(1), "dataset": "other"})
    code, _, err = call("-m", "ResNet101")
    assert code == 2
    assert "on different data sets" in err
    assert "--filename, or --all" in err
    assert call("-f", "1.json")[0] == 0


def test_a_task_without_label_is_refused_clearly(call: Call, results: Path, tmp_path: Path) -> None:  # noqa: F811
    meta = json.dumps({"energy": {"unit": "J", "maximize": False}})
    table(tmp_path / "other", "model,task,energy\nA,translation,1\nB,translation,2\n", meta)
    code, out, err = call("-d", "other", "-m", "A")
    assert (code, out) == (2, "")
    assert "There is a label for inference and training, not for the task 'translation'" in err
    assert "mlee.rate" in err
    table(tmp_path / "results", "model,task,energy\nA,translation,1\n", meta)
    code, _, err = call("-m", "A")
    assert code == 2
    assert "A has only results of the task 'translation'" in err
    assert call(*ONE)[0] == 0


def test_a_table_of_another_tool_may_have_a_label(call: Call, tmp_path: Path) -> None:  # noqa: F811
    meta = {"energy_per_sample": {"unit": "J", "maximize": False}}
    text = "model,task,dataset,environment,provenance,energy_per_sample\n"
    text += "A,inference,D,GPU - X 1,external,0\nB,inference,D,GPU - X 1,external,2\n"
    table(tmp_path / "other", text, json.dumps(meta))
    code, out, err = call("-d", "other", "--all", "--format", "svg", "--thresholds", "quantiles", "-o", "labels")
    assert (code, out[:9]) == (0, "2 labels "), err
    said = text_of(tmp_path / "labels" / "A_inference_GPU-X_1.svg")
    assert "external" in said
    assert "not measured" in said


# hostile results


@pytest.mark.parametrize("variant", ["full", "compact", "badge"])
def test_hostile_names_make_labels_of_every_kind(variant: str, call: Call, tmp_path: Path) -> None:  # noqa: F811
    names = [name for name in hostile.NAMES if name.strip()]
    documents = [run(number, name) for number, name in enumerate(names)]
    for each, name in zip(documents, reversed(names), strict=True):
        each["dataset"] = name
        each["warnings"] = [{"code": name, "message": name}]
    documents[0]["platform"]["gpus"][0]["name"] = names[1]
    documents[1]["platform"]["cpu_name"] = names[0]
    put(tmp_path / "results", *documents)
    code, out, err = call("--all", "--format", "svg", "--variant", variant, "-o", "labels", "-r", "best")
    assert (code, err) == (0, "")
    assert out.startswith(f"{len(names)} labels in labels")
    files = sorted((tmp_path / "labels").iterdir())
    assert len(files) == len(names)
    assert not list(tmp_path.glob("**/passwd*"))
    said = " ".join(text_of(path) for path in files)
    for name in ("<script>alert('x')</script> &amp;", "\\j", "=HYPERLINK(1)", "]]> -->", "[bold]rich[/bold]", "模型"):
        assert name in said
    for path in files:
        assert {element.tag for element in ElementTree.parse(path).iter()} & {f"{SVG}script", f"{SVG}foreignObject"} == set()
        assert re.fullmatch(r"[\w.+-]+\.svg", path.name)


@pytest.mark.parametrize("format_", ["pdf", "png"])
def test_hostile_names_in_the_other_formats(format_: str, call: Call, tmp_path: Path) -> None:  # noqa: F811
    names = [name for name in hostile.NAMES if name.strip()][::3]
    put(tmp_path / "results", *(run(number, name) for number, name in enumerate(names)))
    code, _, err = call("--all", "--format", format_, "--dpi", "40", "-o", "labels", "-r", "best")
    assert (code, err) == (0, "")
    files = sorted((tmp_path / "labels").iterdir())
    assert len(files) == len(names)
    if format_ == "pdf":
        said = [text_of(path).replace(" ", "") for path in files]
        assert any("a&b%c$d$#e_f{g}~h^i\\j" in text for text in said), said


def test_names_that_become_one_file_name_do_not_overwrite_each_other(call: Call, tmp_path: Path) -> None:  # noqa: F811
    names = ("a b", "a  b", "A_b", "a/b", "a_b inference NVIDIA Test-PyTorch n.a_2", "模" * 300, "模" * 299, "...", "/")
    documents = [run(number, name) for number, name in enumerate(names)]
    put(tmp_path / "results", *documents)
    code, out, err = call("--all", "--format", "svg", "--variant", "badge", "-o", "labels", "-r", "best")
    assert (code, err) == (0, "")
    assert out.startswith("9 labels")
    files = [path.name for path in (tmp_path / "labels").iterdir()]
    assert len({name.lower() for name in files}) == len(names)
    assert all(len(name.encode()) <= 255 for name in files)


def test_control_characters_do_not_act_on_the_terminal(call: Call, tmp_path: Path) -> None:  # noqa: F811
    put(tmp_path / "results", run(0, "\x1b[31mred\x07"))
    code, out, err = call("--format", "svg")
    assert code == 0
    assert "\x1b" not in out + err
    assert "red" in out + err
    assert "\x1b" not in (tmp_path / "label.svg").read_text()


def test_what_is_left_out_makes_all_end_with_1(call: Call, results: Path, tmp_path: Path) -> None:  # noqa: F811
    hostile.write(results / "bad.json", hostile.changed(run(9), ("model", "parameters"), -5))
    code, out, err = call("--all", "--format", "svg", "--variant", "badge")
    assert code == 1
    assert out.startswith("4 labels in labels")
    assert "bad.json" in err
    assert "parameters" in err


def test_an_energy_of_zero_is_written_as_zero(call: Call, tmp_path: Path) -> None:  # noqa: F811
    zero = builders_2022.training(gpu_j=0.0, cpu_j=0.0, dram_w=0.0)
    put(tmp_path / "results", zero, run(0, "idle", 0.0))
    assert call("-t", "training", "-o", "x.svg")[0] == 0
    assert "0 Wh for 90 epochs, extrapolated" in text_of(tmp_path / "x.svg")
    assert call("-t", "inference", "-o", "y.svg")[0] == 0
    assert "0 J" in text_of(tmp_path / "y.svg")


def test_nothing_measured_is_a_label_that_says_so(call: Call, tmp_path: Path) -> None:  # noqa: F811
    put(
        tmp_path / "results",
        document(measurements=(builders.measurement(devices=(), not_added=(), idle_power_w=None),)),
        builders_2022.training(gpu_j=None, cpu_j=None),
    )
    for task in ("inference", "training"):
        assert call("-t", task, "-o", "x.svg", "--rules", "2022")[0] == 0
        assert "not measured" in text_of(tmp_path / "x.svg")


def test_an_unrated_environment_makes_a_label_without_class(call: Call, results: Path, tmp_path: Path) -> None:  # noqa: F811
    code, _, err = call("-m", "small", "-e", "Test CPU - PyTorch n.a.", "-r", "ResNet101", "-o", "x.svg")
    assert code == 0
    assert "No result of the reference model 'ResNet101' in this environment" in err
    assert "not rated" in text_of(tmp_path / "x.svg")


def test_estimates_pooled_runs_and_scopes_are_written(call: Call, tmp_path: Path) -> None:  # noqa: F811
    estimated = (builders.measurement(devices=(builders.device_energy(provenance="estimated"),)),)
    external = (builders.measurement(devices=(builders.device_energy(provenance="external"), builders.cpu_energy())),)
    put(
        tmp_path / "results",
        *(run(0, "estimate", measurements=estimated), run(1, "pooled"), run(2, "pooled", measurements=external)),
    )
    assert call("-m", "estimate", "-o", "x.svg")[0] == 0
    said = text_of(tmp_path / "x.svg")
    assert "estimated" in said
    assert "(estimated energy)" not in said
    assert call("-m", "pooled", "-o", "y.svg")[0] == 0
    said = text_of(tmp_path / "y.svg")
    assert "external" in said
    assert "2 runs, 2 timed passes" in said
    assert "CPU and DRAM not included" in said, "one of the two runs has no CPU energy"
