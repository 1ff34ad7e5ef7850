"""Pointing at models, keeping, comparing and saving them: with the mouse, by touch, with the keyboard alone."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visitor, serving
from tests.browser.reading import apart, choose, point, points, shows, until
from tests.elex_data import FORMULA, SCRIPT


def test_pointing_shows_a_label_and_clicking_keeps_it(visitor: Visitor, published: str) -> None:
    page = visitor.visit(published)
    other, place = apart(page)[:2]
    for each in (other, place):
        page.mouse.move(each["left"], each["top"])
        shows(page, each["id"])
        expect(page.locator("#facts h2")).to_have_text(each["name"])
    page.mouse.click(place["left"], place["top"])
    expect(page.locator("#pin-words")).to_have_text("kept")
    page.mouse.move(other["left"], other["top"])
    page.wait_for_timeout(300)
    shows(page, place["id"])  # kept
    page.click("#unpin-button")
    expect(page.locator("#pin-words")).to_have_text("click to keep")
    page.mouse.move(other["left"] + 60, other["top"] + 60)
    page.mouse.move(other["left"], other["top"])
    shows(page, other["id"])


def test_a_finger_opens_the_label_on_a_phone(visitors: Any, published: str) -> None:
    visitor = visitors(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = visitor.visit(published)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    place = apart(page)[0]
    page.touchscreen.tap(place["left"], place["top"])
    shows(page, place["id"])
    expect(page.locator("#panel.pinned")).to_be_in_viewport()
    expect(page.locator("#label")).to_be_in_viewport()
    page.locator("#unpin-button").tap()
    expect(page.locator("#panel.pinned")).to_have_count(0)


def test_the_keyboard_alone_is_enough(visitor: Visitor, published: str) -> None:
    page = visitor.visit(published)
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "plot":
            break
    assert page.evaluate("document.activeElement.id") == "plot"
    ordered = sorted(points(page), key=lambda each: (each["x"], each["y"]))
    page.keyboard.press("Home")
    shows(page, ordered[0]["id"])
    page.keyboard.press("ArrowRight")
    shows(page, ordered[1]["id"])
    expect(page.locator("#spoken")).to_have_text(f"{ordered[1]['name']}, rated {ordered[1]['letter']}")
    page.keyboard.press("ArrowUp")
    up = sorted(points(page), key=lambda each: (each["y"], each["x"]))
    shows(page, up[[each["id"] for each in up].index(ordered[1]["id"]) + 1]["id"])
    page.keyboard.press("End")
    shows(page, ordered[-1]["id"])
    page.keyboard.press("Enter")
    expect(page.locator("#pin-words")).to_have_text("kept")
    page.keyboard.press("Escape")
    expect(page.locator("#pin-words")).to_have_text("click to keep")


def test_models_side_by_side(visitor: Visitor, published: str) -> None:
    page = visitor.visit(published)
    both = apart(page)[:2]
    for each in both:
        page.mouse.move(each["left"], each["top"])
        expect(page.locator("#facts h2")).to_have_text(each["name"])
        page.click("#compare-button")
        expect(page.locator("#compare-button")).to_contain_text("Compared")
    expect(page.locator("#compare-count")).to_have_text(" (2)")
    page.get_by_role("tab", name="Compare").click()
    expect(page.locator(".comparison thead")).to_contain_text(both[0]["name"])
    expect(page.locator(".comparison")).to_contain_text("\N{MULTIPLICATION SIGN}")
    expect(page.locator("#compare-labels img")).to_have_count(2)
    page.locator("#compared-names button").first.click()
    expect(page.locator("#comparison")).to_contain_text("Choose two to four models")


def _saved(page: Page, selector: str, folder: Path) -> Path:
    with page.expect_download() as download:
        page.click(selector)
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_everything_can_be_saved(visitor: Visitor, small: str, tmp_path: Path) -> None:
    page = visitor.visit(small)
    assert _saved(page, "#label-pdf", tmp_path).read_bytes().startswith(b"%PDF")
    assert _saved(page, "#label-svg", tmp_path).read_bytes().startswith(b"<svg")
    assert _saved(page, "#label-png", tmp_path).read_bytes().startswith(b"\x89PNG")
    assert '"compound"' in _saved(page, "#summary-link", tmp_path).read_text(encoding="utf-8")
    assert '"mlee-result"' in _saved(page, "#log-link", tmp_path).read_text(encoding="utf-8")
    page.get_by_role("tab", name="Table").click()
    expect(page.locator("#grid .ag-row").first).to_be_visible()
    rows = list(csv.DictReader(_saved(page, "[id='table.csv']", tmp_path).read_text(encoding="utf-8").splitlines()))
    assert f"'{FORMULA}" in [row["model"] for row in rows]
    archive = zipfile.ZipFile(_saved(page, "#zip-button", tmp_path))
    assert len(archive.namelist()) == len(rows)
    expect(page.locator("#zip-progress")).to_have_text(f"{len(rows)} labels saved")


def test_saving_all_labels_can_be_cancelled(visitor: Visitor, published: str) -> None:
    page = visitor.visit(f"{published}?tab=table")
    page.click("#all-environments")
    expect(page.locator("#summary")).to_contain_text("176 results")
    page.click("#zip-button")
    expect(page.locator("#zip-progress")).to_contain_text("of 176 labels")
    page.click("#zip-button")
    expect(page.locator("#zip-progress")).to_have_text("cancelled")
    expect(page.locator("#zip-button")).to_have_text("All labels (zip)")


def test_a_task_without_labels_offers_none(visitor: Visitor, tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text("task,model,energy,score\njob,A,1,2\njob,B,2,3\ninference,C,3,4\ninference,D,4,5\n")
    meta = '{"energy": {"unit": "J", "maximize": false}, "score": {"maximize": true}}'
    (tmp_path / "meta_properties.json").write_text(meta)
    with serving(tmp_path) as url:
        page = visitor.visit(f"{url}?t=job&tab=compare")
        for name in ("A", "B"):
            page.get_by_role("tab", name="Scatter").click()
            place = point(page, name)
            page.mouse.click(place["left"], place["top"])
            page.click("#compare-button")
        page.get_by_role("tab", name="Compare").click()
        expect(page.locator("#comparison th .badge")).to_have_count(2)
        expect(page.locator("#compare-labels img")).to_have_count(0)
        page.get_by_role("tab", name="Table").click()
        expect(page.locator("[id='table.csv']")).to_be_visible()
        expect(page.locator("#summary-link")).to_be_visible()
        for selector in ("#zip-button", "#label", "#label-pdf"):
            expect(page.locator(selector)).to_be_hidden()
        choose(page, "t", "Inference")
        for selector in ("#zip-button", "#label", "#label-pdf"):
            expect(page.locator(selector)).to_be_visible()


def test_names_never_become_markup(visitor: Visitor, small: str) -> None:
    page = visitor.visit(small)
    place = next(each for each in points(page) if "onerror" in each["name"])
    page.mouse.move(place["left"], place["top"])
    expect(page.locator("#facts h2")).to_have_text(SCRIPT)
    page.click("#compare-button")
    page.get_by_role("tab", name="Table").click()
    expect(page.locator("#grid")).to_contain_text(SCRIPT)
    assert page.locator("img[src='x']").count() == 0
    until(page, "document.querySelectorAll('#grid .ag-row').length > 3")


def test_estimates_are_hollow_and_said(visitor: Visitor, small: str) -> None:
    page = visitor.visit(small)
    page.click("#all-environments")
    until(page, "window.elex.points().length", 10)
    widths = page.evaluate(
        "document.getElementById('graph').data.filter((t) => t.customdata).map((t) => t.marker.line.width[0])"
    )
    assert sorted(widths) == [1, 3]
    estimated = page.evaluate(
        "document.getElementById('graph').data.find((t) => (t.name || '').includes('estimated')).customdata[0][0]"
    )
    place = next(each for each in points(page) if each["id"] == estimated)
    page.mouse.move(place["left"], place["top"])
    shows(page, estimated)
    expect(page.locator("#facts")).to_contain_text("Energy estimated by a model, not measured")
    expect(page.locator("#notices")).to_contain_text("Unknown accuracy has no Top-1 accuracy")
