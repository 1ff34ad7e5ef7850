"""The static site: every file of it, from results of 2022, of our own and of other tools."""

from __future__ import annotations

import base64
import csv
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import pytest
import zxingcpp
from PIL import Image

from mlee.assess.rating import RatingOptions, rate
from mlee.cli import site as command
from mlee.errors import ConfigError, ResultError
from mlee.label import render
from mlee.label.describe import describe
from mlee.results import store
from mlee.results.load import load
from mlee.site.build import MANIFEST, Site, write_site
from mlee.site.label import Ground, common_ground, label
from tests import builders, builders_2022, hostile
from tests.elex_data import LONG, SCRIPT, write_results
from tests.unit.test_rate_cli import Call, call  # noqa: F401

MAIN = command.main
SVG = "{http://www.w3.org/2000/svg}"
ISSUED = date(2026, 11, 25)
#: A result takes less than this, the label included [B]; 3 MB for the 232 of 2022.
LARGEST_SHARE = 12_600
NAMES = (*hostile.NAMES, SCRIPT, LONG)


class _Page(HTMLParser):
    """Addresses, identifiers, headings and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.refers: list[str] = []
        self.handlers: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("href", "src"):
                self.addresses.append(value or "")
            elif name == "id":
                self.ids.append(value or "")
            elif name in ("for", "aria-labelledby", "aria-describedby"):
                self.refers += (value or "").split()
            elif name.startswith("on") or name == "style":
                self.handlers.append(name)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(folder: Path) -> dict[str, bytes]:
    """Every file of a folder by its name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def pages(folder: Path) -> Iterator[tuple[Path, _Page]]:
    for path in sorted(folder.rglob("*.html")):
        yield path, _Page(path.read_text(encoding="utf-8"))


def assert_whole(folder: Path) -> None:
    """Every address leads to a file of the site or to a paper, every reference to an element, and nothing is inline."""
    targets = {path.resolve() for path in folder.rglob("*")}
    for path, page in pages(folder):
        for address in page.addresses:
            if not address.startswith(("https://", "data:", "#")):
                target = path.parent / unquote(urlsplit(address).path)
                assert target.resolve() in targets, f"{path.name}: {address}"
        assert len(page.ids) == len(set(page.ids)), path.name
        assert set(page.refers) <= set(page.ids), path.name
        assert page.handlers == [], path.name
        assert page.tags.count("h1") == 1, path.name
        assert {"main", "header", "footer"} <= set(page.tags)
        levels = [int(tag[1]) for tag in page.tags if re.fullmatch("h[1-6]", tag)]
        assert all(later <= earlier + 1 for earlier, later in pairwise(levels)), levels
    listed = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    assert sorted(listed) == sorted(name for name in read(folder) if name != MANIFEST)


def data_of(folder: Path) -> Any:
    text = (folder / "assets" / "data.js").read_text(encoding="utf-8")
    assert text.startswith("window.mlee=")
    assert text.endswith(";\n")
    return json.loads(text.removeprefix("window.mlee=").removesuffix(";\n"))


def build(results: Path, folder: Path, **options: Any) -> Path:
    loaded = load([results])
    rated = rate(loaded.table, list(loaded.metrics.values()), options.pop("rating", None))
    write_site(Site(rated=rated, runs=loaded.runs, title="Models", issued=ISSUED, **options), folder)
    return folder


def put_2022(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for number, model in enumerate(("ResNet101", "VGG16", "MobileNetV2", "EfficientNetB0")):
        documents = {
            f"infer_2022_03_03_17_36_0{number}": builders_2022.inference,
            f"train_2022_03_10_16_29_3{number}": builders_2022.training,
        }
        for name, make in documents.items():
            document = make(name, model, gpu_j=28_000.0 * (number + 1))
            (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write_results(tmp_path / "results")


def put_named(folder: Path, names: Sequence[str]) -> Path:
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        run_id = f"infer_2026_11_23_18_00_{number:02d}"
        result = builders.run_result(run_id=run_id)
        text = store.to_json(replace(result, model=replace(result.model, name=name)))
        (folder / f"{run_id}.json").write_text(text, encoding="utf-8")
    return folder


# files


def test_a_site_of_2022_is_whole_and_small(tmp_path: Path) -> None:
    folder = build(put_2022(tmp_path / "results"), tmp_path / "site")
    assert_whole(folder)
    names = [path.name for path in (folder / "models").iterdir()]
    assert "vgg16-inference-imagenet-rtx-5000-pytorch-1-10-2-cu113.html" in names
    assert len(names) == 8
    shared = sum(len(content) for name, content in read(folder).items() if name.startswith("assets/"))
    shared -= (folder / "assets" / "data.js").stat().st_size
    assert (sum(map(len, read(folder).values())) - shared) / 8 < LARGEST_SHARE
    page = (folder / "models" / "vgg16-training-imagenet-rtx-5000-pytorch-1-10-2-cu113.html").read_text(encoding="utf-8")
    assert 'href="vgg16-inference-imagenet-rtx-5000-pytorch-1-10-2-cu113.html"' in page
    assert "https://arxiv.org/abs/1409.1556" in page


def test_our_own_results(results: Path, tmp_path: Path) -> None:
    folder = build(results, tmp_path / "site")
    assert_whole(folder)
    measured, estimated = data_of(folder)
    assert {point["hollow"] for point in measured["points"]} == {False}
    assert {point["hollow"] for point in estimated["points"]} == {True}
    energy = next(number for number, axis in enumerate(estimated["axes"]) if axis["label"] == "Energy per sample")
    assert all(point["texts"][energy].startswith("~") for point in estimated["points"])
    page = (folder / "models" / "resnet50-inference-sample-nvidia-test-pytorch-n-a-estimated-energy.html").read_text("utf-8")
    assert "<td>~14.6 J" in page
    assert "Energy estimated by a model, not measured" in page
    assert "python infer.py --backend pytorch --infer-model ResNet50 --weights random" in page
    assert "--data-path sample</code>" in page


def test_published_accuracies_are_marked(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    result = builders.run_result()
    published = replace(result.outcome, accuracy_provenance="published")
    (folder / "a.json").write_text(store.to_json(replace(result, outcome=published)), encoding="utf-8")
    site = build(folder, tmp_path / "site")
    (view,) = data_of(site)
    assert "75.0 % (p)" in view["points"][0]["texts"]
    page = next((site / "models").iterdir()).read_text(encoding="utf-8")
    assert "<td>75.0 % (p)" in page
    assert "(p) published, not measured here." in page


def test_the_same_results_give_the_same_bytes(results: Path, tmp_path: Path) -> None:
    first, second = (build(results, tmp_path / name) for name in ("first", "second"))
    assert read(first) == read(second)
    again = build(results, first)
    assert read(again) == read(second)


def test_names_that_are_up_to_no_good(tmp_path: Path) -> None:
    folder = build(put_named(tmp_path / "results", NAMES), tmp_path / "site")
    assert_whole(folder)
    files = list((folder / "models").iterdir())
    assert len(files) == len(NAMES)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9-]*\.html", path.name) and len(path.name) < 140 for path in files)
    for _, page in pages(folder):
        assert page.tags.count("script") in (0, 3)
        assert "img" not in page.tags
    index = _Page((folder / "index.html").read_text(encoding="utf-8"))
    assert any("<script>alert('x')</script>" in text for text in index.texts)
    assert "</script" not in (folder / "assets" / "data.js").read_text(encoding="utf-8").replace("</script>", "", 1)
    names = {point["name"] for view in data_of(folder) for point in view["points"]}
    assert names == set(NAMES)


def test_models_that_differ_in_punctuation_alone_have_pages_of_their_own(tmp_path: Path) -> None:
    names = ("regnet_x_3_2gf", "regnet_x_32gf", "regnet-x-3-2gf", "REGNET x 3.2gf")
    folder = build(put_named(tmp_path / "results", names), tmp_path / "site")
    assert len(list((folder / "models").iterdir())) == len(names)
    assert_whole(folder)


def test_a_table_of_another_tool_has_pages_without_labels(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text(
        "task,dataset,environment,model,energy,score\n"
        "forecasting,M4,Laptop,Naive,1.5,0.2\nforecasting,M4,Laptop,<b>Deep</b>,20,0.9\nforecasting,M4,Laptop,None,,0.5\n",
        encoding="utf-8",
    )
    metric = {"group": "Resources", "weight": 1, "unit": "J", "maximize": False, "shortname": "E", "name": "Energy"}
    quality = {**metric, "group": "Quality", "maximize": True, "unit": "number", "name": "Score", "shortname": "S"}
    (tmp_path / "meta_properties.json").write_text(json.dumps({"energy": metric, "score": quality}), encoding="utf-8")
    folder = build(tmp_path / "runs.csv", tmp_path / "site", rating=RatingOptions(reference="best"))
    assert_whole(folder)
    (view,) = data_of(folder)
    assert view["reference"] == "the best of each metric"
    assert [view["axes"][number]["label"] for number in view["start"]] == ["Energy", "Score"]
    assert view["points"][2]["values"][0] is None
    assert not (folder / "assets" / "label.svg").exists()
    assert all("<svg" not in path.read_text(encoding="utf-8") for path in (folder / "models").iterdir())


def test_a_hundred_metrics_of_another_tool_beside_results_of_ours(results: Path, tmp_path: Path) -> None:
    names = [f"score_{number}" for number in range(100)]
    table = [",".join(["run_id,status,params.model,params.task,params.environment", *(f"metrics.{name}" for name in names)])]
    table += [f"r{row},FINISHED,{model},inference,Laptop" + ",0.5" * 100 for row, model in enumerate(("One", "Two"))]
    table.append("r3,FINISHED,Three,inference,Laptop,," + ",0.5" * 98)
    (results / "runs.csv").write_text("\n".join(table) + "\n", encoding="utf-8")
    meta = {name: {"group": "Quality", "maximize": True, "unit": "number", "weight": 1} for name in names}
    (results / "meta_properties.json").write_text(json.dumps(meta), encoding="utf-8")
    folder = build(results, tmp_path / "site")
    assert_whole(folder)
    ours, theirs, lacking = (
        (folder / "models" / f"{name}.html").read_text("utf-8")
        for name in (
            "vgg16-inference-sample-nvidia-test-pytorch-n-a",
            "one-inference-unknown-laptop",
            "three-inference-unknown-laptop",
        )
    )
    assert "score_" not in ours
    assert "Energy per sample" in ours
    assert [name for name in names if f"<th scope=row>{name}<" not in theirs] == []
    assert "No thresholds for score_0, score_1, score_2, score_3, score_4, score_5 and 94 more: not rated." in theirs
    assert "<th scope=row>score_1<td>not measured" in lacking


# rating regions


def test_the_plot_knows_where_classes_end(results: Path, tmp_path: Path) -> None:
    """A point lies on the side of each threshold that its class says: the regions behind it are the table's."""
    for view in data_of(build(results, tmp_path / "site")):
        for number, axis in enumerate(view["axes"]):
            ends = [
                (four * axis["reference"] if axis["higher"] else axis["reference"] / four) for four in axis["thresholds"]
            ]
            for point in view["points"]:
                value = point["values"][number]
                if value is None:
                    continue
                passed = sum(value < end if axis["higher"] else value > end for end in ends)
                on = any(abs(value - end) < 1e-5 * end for end in ends)
                assert on or "ABCDE"[passed] == point["classes"][number], (axis["label"], point["name"])


# the label


def test_the_label_says_what_its_own_file_says(results: Path) -> None:
    loaded = load([results])
    rated = rate(loaded.table, list(loaded.metrics.values()))
    contents = [describe(rated, number, loaded.runs, ISSUED) for number in range(len(rated.table))]
    ground = common_ground(contents)
    assert ground.parts
    below = [each.text for each in ElementTree.fromstring(ground.svg()).iter(f"{SVG}text")]
    assert "ML energy label" in below
    for content in contents:
        own = ElementTree.fromstring(render(content, "svg"))
        inline = label(content, ground, "label.svg").replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        assert 'href="label.svg"' in inline
        drawn = ElementTree.fromstring(inline)
        texts = [[each.text for each in tree.iter(f"{SVG}text")] for tree in (own, drawn)]
        assert sorted(texts[0]) == sorted(texts[1] + below)
        assert len(inline) < 0.45 * len(render(content, "svg"))


def test_a_label_that_lacks_a_shape_of_the_ground_is_drawn_without_it(results: Path) -> None:
    loaded = load([results])
    rated = rate(loaded.table, list(loaded.metrics.values()))
    content = describe(rated, 0, loaded.runs, ISSUED)
    other = Ground((*common_ground([content]).parts, '<rect x="1" y="2" width="3" height="4" fill="#000000"/>'))
    assert "label.svg" not in label(content, other, "label.svg")


def test_a_qr_code_leads_to_the_site(results: Path, tmp_path: Path) -> None:
    papers, own = (build(results, tmp_path / name, url=url) for name, url in (("a", None), ("b", "https://me.example/x/")))
    name = "models/resnet50-inference-sample-nvidia-test-pytorch-n-a.html"
    assert b"me.example/x/models/resnet50-" in read(own)[name]
    assert b"me.example" not in read(papers)[name]


def test_a_qr_code_in_a_page_can_be_read(results: Path, tmp_path: Path) -> None:
    folder = build(results, tmp_path / "site")
    for path in (folder / "models").glob("resnet*.html"):
        (found,) = re.findall(r'href="data:image/png;base64,([^"]+)"', path.read_text(encoding="utf-8"))
        with Image.open(BytesIO(base64.b64decode(found))) as picture:
            large = picture.convert("L").resize((picture.width * 6, picture.height * 6), Image.Resampling.NEAREST)
            framed = Image.new("L", (large.width + 48, large.height + 48), 255)
            framed.paste(large, (24, 24))
        (code,) = zxingcpp.read_barcodes(framed)
        assert re.fullmatch(r"https://arxiv\.org/abs/1512\.03385#sha256=[0-9a-f]{16}", code.text)


# the folder


def test_a_folder_with_something_else_is_not_touched(results: Path, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="not empty") as caught:
        build(results, folder)
    assert "--force" in str(caught.value)
    assert read(folder) == {"index.html": b"mine"}
    (folder / "index.html").rename(folder / "mine.html")
    loaded = load([results])
    rated = rate(loaded.table, list(loaded.metrics.values()))
    write_site(Site(rated=rated, runs=loaded.runs, title="Models", issued=ISSUED), folder, force=True)
    assert (folder / "mine.html").read_text(encoding="utf-8") == "mine"
    assert (folder / "index.html").exists()


def test_a_site_takes_the_place_of_an_earlier_one(results: Path, tmp_path: Path) -> None:
    folder = build(results, tmp_path / "site")
    (folder / "models" / "notes.html").write_text("mine", encoding="utf-8")
    before = set(read(folder))
    (results / "infer_2026_11_23_15_00_02.json").unlink()
    build(results, folder)
    assert before - set(read(folder)) == {"models/vgg16-inference-sample-nvidia-test-pytorch-n-a.html"}
    assert (folder / "models" / "notes.html").exists()


def test_a_list_of_files_that_leads_outside_removes_nothing(results: Path, tmp_path: Path) -> None:
    folder = build(results, tmp_path / "site")
    victim = tmp_path / "victim.html"
    victim.write_text("mine", encoding="utf-8")
    listed = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    listed["files"] += ["../victim.html", str(victim), "models/../../victim.html", 7]
    (folder / MANIFEST).write_text(json.dumps(listed), encoding="utf-8")
    build(results, folder)
    assert victim.exists()


def test_a_site_that_was_cut_short_is_made_anew(results: Path, tmp_path: Path) -> None:
    loaded = load([results])
    site = Site(rated=rate(loaded.table, list(loaded.metrics.values())), runs=loaded.runs, title="Models", issued=ISSUED)

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_site(site, tmp_path / "site", progress=stop)
    assert len(list((tmp_path / "site" / "models").iterdir())) == 3
    write_site(site, tmp_path / "site")
    assert_whole(tmp_path / "site")


def test_a_folder_that_cannot_be_written(results: Path) -> None:
    with pytest.raises(ResultError, match="cannot be made"):
        build(results, Path("/proc/site"))


# the command


def test_neither_dash_nor_plotly_is_needed() -> None:
    said = "import sys, mlee.site.build; print({'dash', 'plotly', 'matplotlib', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_table_holds_all_values(results: Path, tmp_path: Path) -> None:
    folder = build(results, tmp_path / "site")
    with open(folder / "results.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 11
    assert {row["provenance"] for row in rows} == {"measured", "estimated"}


def test_the_command(call: Call, results: Path, tmp_path: Path) -> None:  # noqa: F811
    code, out, err = call(results, "-o", "site", "--title", "Our <models>", "--issued", "2026-11-25")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"site/index.html: 11 results, 19 files, 0\.\d\d MB \(\d+\.\d s\)\n", out)
    assert "<h1>Our &lt;models&gt;</h1>" in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert call("-o", "other", "--issued", "2026-11-25", "--title", "Our <models>")[0] == 0  # results/ is there
    assert read(tmp_path / "other") == read(tmp_path / "site")


def test_the_command_names_what_it_cannot_read(call: Call, results: Path, tmp_path: Path) -> None:  # noqa: F811
    (results / "broken.json").write_text("{", encoding="utf-8")
    code, out, err = call(results)
    assert code == 1
    assert "broken.json" in err
    assert "11 results" in out
    code, _, err = call("nowhere", "-o", "empty")
    assert code == 1
    assert err.startswith("error: No result could be read in nowhere")
    assert not (tmp_path / "empty").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--mode", "luck"), "Unknown mode 'luck'"),
        (("--reference", "Nothing"), "Unknown model 'Nothing'"),
        (("--title", " "), "--title"),
        (("--url", "javascript:alert(1)"), "--url"),
        (("--issued", "today"), "--issued"),
        (("-o", "results"), "results is not empty and holds no earlier site"),
        (("-o", "results/file.json"), "is not a folder"),
    ],
)
def test_the_command_refuses(call: Call, results: Path, arguments: tuple[str, ...], message: str) -> None:  # noqa: F811
    (results / "file.json").write_text(next(results.glob("infer*15_00_00.json")).read_text("utf-8"), encoding="utf-8")
    before = read(results)
    code, _, err = call(*arguments)
    assert code == 2
    assert message in err
    assert read(results) == before


def test_rules_of_2022(call: Call, tmp_path: Path) -> None:  # noqa: F811
    put_2022(tmp_path / "results")
    assert call("--rules", "2022")[0] == 0
    assert "Rules 2022" in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
