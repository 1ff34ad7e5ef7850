"""The static site in a browser, opened from the disk: no server, no request to anybody, no word on the console."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from mlee.assess.rating import rate
from mlee.label import render
from mlee.label.describe import describe
from mlee.results.load import load
from mlee.site.build import Site, write_site
from tests.browser.conftest import PUBLISHED
from tests.elex_data import SCRIPT, write_results

ISSUED = date(2026, 11, 25)
SIZES = ((1440, 900), (390, 844))
SCHEMES = ("light", "dark")
MODEL = "models/resnet50-inference-sample-nvidia-test-pytorch-n-a.html"


def _build(results: Path, folder: Path) -> Path:
    loaded = load([results])
    rated = rate(loaded.table, list(loaded.metrics.values()))
    write_site(Site(rated=rated, runs=loaded.runs, title="Models", issued=ISSUED), folder)
    return folder


@pytest.fixture(scope="module")
def small_site(small_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = write_results(tmp_path_factory.mktemp("site_results"))
    return _build(results, tmp_path_factory.mktemp("small_site") / "site")


@pytest.fixture(scope="module")
def published_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not PUBLISHED.is_dir():
        pytest.skip("the published results are not beside the project")
    return _build(PUBLISHED, tmp_path_factory.mktemp("published_site") / "site")


class Reader:
    """Opens pages of a site from the disk, and keeps what went wrong."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.troubles: list[str] = []
        self.contexts: list[Any] = []

    def open(self, path: Path, **options: Any) -> Page:
        context = self.browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        self.contexts.append(context)
        page: Page = context.new_page()
        page.on("console", lambda message: self.troubles.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.troubles.append(f"page error: {error}"))
        page.on("dialog", lambda dialog: (self.troubles.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self._asked(request.url))
        page.on("requestfailed", lambda request: self.troubles.append(f"not loaded: {request.url}"))
        page.goto(path.as_uri())
        return page

    def _asked(self, url: str) -> None:
        if not url.startswith(("file:", "data:")):
            self.troubles.append(f"asked another host: {url}")


@pytest.fixture
def reader(browser: Browser) -> Iterator[Reader]:
    made = Reader(browser)
    yield made
    for context in made.contexts:
        context.close()
    assert made.troubles == []


def _axe(page: Page) -> list[str]:
    """All violations that axe-core finds."""
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    # Style sheets cannot be asked for from the disk; axe reads the computed styles all the same.
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'], preload: false })")
    return [f"{each['id']}: {node['target']}" for each in found["violations"] for node in each["nodes"]]


def _points(page: Page) -> Locator:
    return page.locator("#plot a")


def _models(page: Page) -> list[str]:
    return page.locator(".models tbody tr:visible th").all_inner_texts()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", SIZES)
def test_everybody_can_use_it(reader: Reader, published_site: Path, scheme: str, size: tuple[int, int]) -> None:
    options = {"viewport": {"width": size[0], "height": size[1]}, "color_scheme": scheme, "bypass_csp": True}
    for name in ("index.html", "models/resnet50-training-imagenet-a100-x8-tensorflow-2-8-0.html"):
        page = reader.open(published_site / name, **options)
        expect(page.locator("h1")).to_be_visible()
        assert _axe(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0], name
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, ground[4:-1].split(","))) < 3 * 128) == (scheme == "dark")


def test_the_plot_follows_its_controls_and_the_address(reader: Reader, published_site: Path) -> None:
    page = reader.open(published_site / "index.html")
    expect(_points(page)).to_have_count(26)
    expect(page.locator("#reference")).to_have_text("ResNet101 (ringed)")
    assert page.locator("#plot .zone").count() > 3
    places = "[...document.querySelectorAll('#plot .dot')].map((dot) => dot.getAttribute('cx'))"
    before = page.evaluate(places)
    page.select_option("#x", label="Parameters")
    expect(page.locator("#plot .title").first).to_have_text("Parameters (less is better)")
    assert page.evaluate(places) != before
    page.select_option("#view", label="RTX 5000 - PyTorch 1.10.2+cu113")
    expect(page.locator("#shown")).to_have_text("22 models: inference on ImageNet, RTX 5000 - PyTorch 1.10.2+cu113")
    expect(_points(page)).to_have_count(22)
    expect(page.locator("#plot .title").first).to_have_text("Parameters (less is better)")
    page.reload()
    expect(page.locator("#shown")).to_have_text("22 models: inference on ImageNet, RTX 5000 - PyTorch 1.10.2+cu113")
    assert page.locator("#x option:checked").inner_text() == "Parameters"
    _points(page).first.click()
    expect(page.locator("h1")).to_be_visible()
    page.go_back()
    expect(page.locator("#shown")).to_contain_text("RTX 5000 - PyTorch")


def test_a_point_shows_its_card_and_opens_its_page(reader: Reader, small_site: Path) -> None:
    page = reader.open(small_site / "index.html")
    point = page.locator("#plot a[aria-label^='ResNet50,']")
    card = page.locator("#card")
    expect(card).to_be_hidden()
    point.hover()
    expect(card).to_be_visible()
    expect(card).to_contain_text("ResNet50")
    expect(card).to_contain_text("Top-1 accuracy")
    page.mouse.move(5, 5)
    expect(card).to_be_hidden()
    point.click()
    expect(page.locator("h1")).to_have_text("ResNet50")
    assert page.url.endswith(MODEL)


def test_the_keyboard_reaches_and_opens_a_model(reader: Reader, small_site: Path) -> None:
    page = reader.open(small_site / "index.html")
    for _ in range(5):  # skip link, three selects, the first point
        page.keyboard.press("Tab")
    focused = "document.activeElement.getAttribute('aria-label')"
    first = page.evaluate(focused)
    expect(page.locator("#card")).to_be_visible()
    page.keyboard.press("ArrowRight")
    second = page.evaluate(focused)
    assert first != second
    expect(page.locator("#card")).to_contain_text(second.partition(",")[0])
    page.keyboard.press("Escape")
    expect(page.locator("#card")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(second.partition(", rated")[0])
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Models")


def test_a_finger_sees_the_card_before_it_opens(reader: Reader, small_site: Path) -> None:
    page = reader.open(small_site / "index.html", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.locator("#plot a[aria-label^='VGG16,']").tap()
    expect(page.locator("#card")).to_contain_text("VGG16")
    assert page.url.endswith("index.html")
    page.locator("h2", has_text="All models").tap()
    expect(page.locator("#card")).to_be_hidden()
    page.locator("#plot a[aria-label^='VGG16,']").tap()
    page.locator("#card a").tap()
    expect(page.locator("h1")).to_have_text("VGG16")


def test_the_table_sorts_and_filters(reader: Reader, small_site: Path) -> None:
    page = reader.open(small_site / "index.html")
    energy = page.locator(".models thead button", has_text="Energy per sample")
    energy.click()
    assert _models(page)[0] == "MobileNetV2"
    assert energy.locator("..").get_attribute("aria-sort") == "ascending"
    energy.click()
    assert _models(page)[:2] == ["VGG16", "VGG16"]
    page.locator(".models thead button", has_text="Top-1 accuracy").click()
    assert _models(page)[-1] == "Unknown accuracy"
    page.locator(".models thead button", has_text="Top-1 accuracy").click()
    assert _models(page)[-1] == "Unknown accuracy"  # what is missing comes last both ways
    page.fill("#words", "resnet 101")
    assert set(_models(page)) == {"ResNet101", "ResNet50"}
    expect(page.locator("#count")).to_have_text("4 of 11 results")
    page.select_option("#where", label="NVIDIA Test - PyTorch n.a. (estimated energy)")
    expect(page.locator("#count")).to_have_text("2 of 11 results")
    page.fill("#words", "nothing of that name")
    expect(page.locator("#none")).to_be_visible()
    expect(page.locator(".work")).to_be_hidden()


def test_estimated_points_are_hollow_and_names_are_text(reader: Reader, small_site: Path) -> None:
    page = reader.open(small_site / "index.html")
    assert page.locator("#plot a.open").count() == 0
    expect(page.locator("#plot a[aria-label^='<img']")).to_have_count(1)
    expect(page.locator("#missing")).to_have_text("(1 without a value of both metrics)")
    page.locator("#plot a[aria-label^='<img']").click()
    expect(page.locator("h1")).to_have_text(SCRIPT)
    assert page.locator("img").count() == 0
    page.go_back()
    page.select_option("#view", index=1)
    expect(page.locator("#plot a.open")).to_have_count(3)


@pytest.mark.parametrize("size", SIZES)
def test_a_hundred_metrics_of_another_tool(reader: Reader, tmp_path: Path, size: tuple[int, int]) -> None:
    head = ",".join(f"metrics.score_{number}" for number in range(100))
    rows = [f"r{row},FINISHED,Net {row}" + f",0.{row}" * 100 for row in range(1, 4)]
    (tmp_path / "runs.csv").write_text("\n".join([f"run_id,status,params.model,{head}", *rows, ""]), encoding="utf-8")
    page = reader.open(_build(tmp_path, tmp_path / "site") / "index.html", viewport={"width": size[0], "height": size[1]})
    expect(_points(page)).to_have_count(3)
    ticks = page.locator("#plot .tick").all_text_contents()
    assert ticks
    assert all(re.fullmatch(r"0\.\d+", tick) for tick in ticks), ticks  # not "500 m"
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    page.get_by_role("link", name="Net 2").last.click()
    expect(page.locator(".metrics tbody tr")).to_have_count(100)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert _axe(page) == []


def test_without_scripts_the_table_is_there(reader: Reader, small_site: Path) -> None:
    page = reader.open(small_site / "index.html", java_script_enabled=False)
    assert len(_models(page)) == 11
    expect(page.locator(".notice")).to_contain_text("needs JavaScript")
    page.locator(".models a", has_text="MobileNetV2").click()
    expect(page.locator("svg.label")).to_be_visible()


@pytest.mark.parametrize("number", [1, 9])  # measured, estimated
def test_the_label_looks_like_its_own_file(reader: Reader, small_site: Path, tmp_path: Path, number: int) -> None:
    loaded = load([write_results(tmp_path / "results")])
    rated = rate(loaded.table, list(loaded.metrics.values()))
    content = describe(rated, number, loaded.runs, ISSUED)
    (tmp_path / "own.html").write_bytes(b"<meta charset=utf-8><body>" + render(content, "svg"))
    name = MODEL.replace(".html", "-estimated-energy.html") if content.provenance == "estimated" else MODEL
    pictures = []
    for path in (tmp_path / "own.html", small_site / name):
        page = reader.open(path, bypass_csp=True)
        style = (
            "svg { width: 600px !important; height: 1104px !important; border-radius: 0 !important; outline: 0 !important }"
        )
        page.add_style_tag(content=style + " main, .model, .side { display: block !important }")
        page.locator("svg").first.evaluate("each => document.body.replaceChildren(each)")
        shot = page.locator("svg").screenshot()
        pictures.append(np.asarray(Image.open(BytesIO(shot)).convert("RGB"), dtype=float))
    own, inline = pictures
    assert own.shape == inline.shape
    assert np.ptp(own) == 255
    blocks = (own - inline).reshape(1104 // 12, 12, 600 // 12, 12, 3).mean(axis=(1, 3))
    assert np.abs(blocks).max() < 40  # of 255: edges of letters and modules lie on other parts of a pixel
    assert np.abs(own - inline).mean() < 1.5
