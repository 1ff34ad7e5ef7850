"""The page as a whole: without results, with a run that goes on, with ten thousand, and for everybody."""

from __future__ import annotations

import csv
import json
import random
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visitor, serving
from tests.browser.reading import choose, figure, until
from tests.elex_data import reading, write_results, write_trace


def test_without_results_the_page_says_what_to_do(visitor: Visitor, tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        visitor.page.goto(url)
        expect(visitor.page.locator("h2")).to_have_text("There are no results yet")
        expect(visitor.page.locator("main")).to_contain_text("scripts/quickstart.sh")
        visitor.settled()


def test_a_page_without_results_shows_those_that_come(visitor: Visitor, tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        visitor.page.goto(url)
        expect(visitor.page.locator("h2")).to_have_text("There are no results yet")
        write_results(tmp_path)
        expect(visitor.page.locator("#summary")).to_contain_text("results", timeout=60_000)
        visitor.settled()


def test_an_open_page_says_that_results_have_changed_and_keeps_its_view(visitor: Visitor, tmp_path: Path) -> None:
    write_results(tmp_path)
    with serving(tmp_path) as url:
        page = visitor.visit(f"{url}?tab=ratings&q=ResNet")
        expect(page.locator("#news")).to_be_hidden()
        for path in tmp_path.glob("infer_2026_11_24_*.json"):
            path.unlink()
        expect(page.locator("#news")).to_contain_text("The results have changed.", timeout=60_000)
        assert _axe(page) == []
        before = page.url
        page.click("#news-button")
        expect(page.locator("#news")).to_be_hidden()
        visitor.settled()
        assert page.url == before
        expect(page.get_by_role("tab", name="Ratings")).to_have_attribute("aria-selected", "true")
        page.wait_for_timeout(6000)  # another look at the server's version
        expect(page.locator("#news")).to_be_hidden()


def test_a_run_is_followed_while_it_goes_on(visitor: Visitor, small: str, small_folder: Path) -> None:
    trace = write_trace(small_folder / "infer_2026_11_21_10_00_00", complete=False, seconds=5)
    visitor.page.goto(f"{small}?tab=time&n=infer_2026_11_21_10_00_00")
    page = visitor.page
    expect(page.locator("#time-words")).to_contain_text("This run is going on")
    until(page, "document.getElementById('time-graph').data[0].x.length", 5)
    with open(trace, "a", encoding="utf-8") as file:
        file.write("".join(f"{reading(number)}\n" for number in range(5, 9)))
    until(page, "document.getElementById('time-graph').data[0].x.length", 9)
    write_trace(trace.parent, complete=True, seconds=12)
    expect(page.locator("#time-words")).to_be_empty()
    until(page, "document.getElementById('time-graph').data[0].x.length", 12)


def test_ten_thousand_results(visitor: Visitor, tmp_path: Path) -> None:
    chance = random.Random(1)
    with open(tmp_path / "runs.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["task", "dataset", "environment", "model", "energy", "accuracy"])
        for number in range(10_000):
            energy, accuracy = 10 ** chance.uniform(-2, 1), chance.uniform(0.5, 0.9)
            rows.writerow(["inference", "ImageNet", f"GPU {number % 5}", f"Model{number // 5:04d}", energy, accuracy])
    metric = {"group": "Resources", "weight": 1, "unit": "J", "maximize": False}
    properties = {
        "energy": {**metric, "name": "Energy", "shortname": "E"},
        "accuracy": {**metric, "name": "Accuracy", "shortname": "Q", "unit": "number", "maximize": True, "group": "Quality"},
    }
    (tmp_path / "meta_properties.json").write_text(json.dumps(properties), encoding="utf-8")
    with serving(tmp_path) as url:
        page = visitor.visit(url)
        page.click("#all-environments")
        expect(page.locator("#summary")).to_contain_text("10000 results")
        until(page, "window.elex.points().length", 10_000)
        assert {trace["type"] for trace in figure(page)["data"] if "customdata" in trace} == {"scattergl"}
        choose(page, "x", "Accuracy")
        until(page, "document.getElementById('graph').layout.xaxis.title.text.startsWith('Accuracy')")
        page.get_by_role("tab", name="Table").click()
        expect(page.locator("#grid .ag-row").first).to_be_visible()
        visitor.settled()


def _axe(page: Page) -> list[str]:
    """Serious and critical findings of axe-core."""
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{each['id']}: {node['target']} {node['failureSummary'][:300]}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)])
def test_everybody_can_use_it(visitors: Any, published: str, scheme: str, size: tuple[int, int]) -> None:
    visitor = visitors(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, bypass_csp=True)
    page = visitor.visit(f"{published}?e=A100+x8+-+TensorFlow+2.8.0&e=RTX+5000+-+TensorFlow+2.4.1")
    assert _axe(page) == []
    for tab in ("Ratings", "Table", "Metrics", "Compare", "Power over time"):
        page.get_by_role("tab", name=tab).click()
        visitor.settled()
        page.wait_for_timeout(400)
        assert _axe(page) == [], tab
    page.get_by_role("tab", name="Scatter").click()
    page.click("#tuning-button")
    expect(page.locator("#tuning-controls fieldset").first).to_be_visible()
    page.wait_for_timeout(500)
    assert _axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_a_server_that_is_gone_is_said(visitors: Any, tmp_path: Path, small_folder: Path) -> None:
    visitor = visitors()
    with serving(small_folder) as url:
        page = visitor.visit(url)
    choose(page, "x", "Parameters")
    until(page, "document.body.classList.contains('lost')")
    visitor.troubles[:] = [trouble for trouble in visitor.troubles if "ERR_CONNECTION_REFUSED" not in trouble]
