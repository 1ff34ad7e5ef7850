"""Changing how models are rated: each visitor for himself, and nothing that is wrong gets through."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Visitor
from tests.browser.reading import apart, choose, points, searched, shows, until


def letters(page: Page) -> dict[str, str]:
    return {each["name"]: each["letter"] for each in points(page)}


def drawer(page: Page) -> None:
    page.click("#tuning-button")
    expect(page.locator("#tuning-controls fieldset").first).to_be_visible()


def tune(page: Page, metric: str, what: str, number: int | None = None) -> Locator:
    """Find the number for a metric's weight, or for one of its thresholds."""
    which = f'[id*=\'"tune":"{what}"\']' if number is None else f"[id*='\"number\":{number},']"
    return page.locator(f'#tuning-controls input[id*=\'"metric":"{metric}"\']{which}')


def test_weights_thresholds_and_reset(visitor: Visitor, published: str) -> None:
    page = visitor.visit(published)
    before = letters(page)
    drawer(page)
    tune(page, "top1_accuracy", "weight").fill("50")
    page.keyboard.press("Tab")
    until(page, "decodeURIComponent(location.search)", "?w=top1_accuracy:50")
    expect(page.locator("#rating-words")).to_contain_text("weights changed")
    drawn = "JSON.stringify(window.elex.points().map((each) => each.letter))"
    usual = json.dumps(list(before.values()), separators=(",", ":"))
    until(page, f"{drawn} === {json.dumps(usual)}", False)
    tune(page, "top1_accuracy", "threshold", 0).fill("2")
    page.keyboard.press("Tab")
    until(page, "decodeURIComponent(location.search).includes('top1_accuracy:2/')")
    expect(page.locator("#rating-words")).to_contain_text("changed by hand")
    page.click("#reset-button")
    until(page, "location.search", "")
    until(
        page,
        "JSON.stringify(window.elex.points().map((each) => each.letter))",
        json.dumps(list(before.values()), separators=(",", ":")),
    )
    expect(tune(page, "top1_accuracy", "weight")).to_have_value("0.8")


def test_what_is_typed_while_the_controls_are_made_anew_counts(visitor: Visitor, published: str) -> None:
    page = visitor.visit(published)
    drawer(page)
    held: list[Route] = []
    page.route("**/view/tuning?*", lambda route: held.append(route))
    tune(page, "macs", "weight").fill("3")
    until(page, "decodeURIComponent(location.search)", "?w=macs:3")
    tune(page, "top1_accuracy", "weight").fill("7")
    for route in held:  # the new controls come while the number waits for more digits
        route.continue_()
    page.unroute("**/view/tuning?*")
    until(page, "decodeURIComponent(location.search).split('=')[1].split(',').sort().join()", "macs:3,top1_accuracy:7")
    expect(tune(page, "top1_accuracy", "weight")).to_have_value("7")
    expect(page.locator("#tuning-controls")).to_contain_text("Weight")


def test_thresholds_must_fall(visitor: Visitor, published: str) -> None:
    page = visitor.visit(published)
    drawer(page)
    tune(page, "macs", "threshold", 3).fill("99")
    page.keyboard.press("Tab")
    expect(page.locator("#upload-message")).to_contain_text("Thresholds must fall from A to D")
    assert searched(page) == ""


def test_a_slider_moves_a_threshold(visitor: Visitor, published: str) -> None:
    page = visitor.visit(published)
    drawer(page)
    thumb = page.locator("#tuning-controls .thresholds-slider").first.get_by_role("slider").last
    thumb.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    until(page, "decodeURIComponent(location.search).startsWith('?h=reference~inference~parameters:')")


def test_thresholds_from_the_data_are_said(visitor: Visitor, published: str) -> None:
    page = visitor.visit(published)
    drawer(page)
    page.click("#quantiles-button")
    expect(page.locator("#rating-words")).to_contain_text("thresholds quantiles of this data")
    assert searched(page) == "?h=quantiles"


def test_reference_mode_and_rules(visitor: Visitor, published: str) -> None:
    page = visitor.visit(published)
    before = letters(page)
    drawer(page)
    choose(page, "r", "MobileNetV3Small")
    expect(page.locator("#rating-words")).to_contain_text("Reference MobileNetV3Small")
    choose(page, "m", "worst")
    expect(page.locator("#rating-words")).to_contain_text("worst")
    choose(page, "r", "best of each metric")
    expect(page.locator("#rating-words")).to_contain_text("Reference best of each metric")
    choose(page, "u", "2022 (as published)")
    expect(page.locator("#notices")).to_contain_text("Rated with the default settings instead")
    choose(page, "r", "automatic (ResNet101 where it is)")
    expect(page.locator("#rating-words")).to_contain_text("rules 2022 · thresholds 2022-reference")
    until(
        page,
        "JSON.stringify(window.elex.points().map((each) => each.letter)) !== "
        f"{json.dumps(json.dumps(list(before.values()), separators=(',', ':')))}",
    )


def test_two_visitors_never_see_each_other(visitors: Any, published: str) -> None:
    first, second = visitors().visit(published), visitors().visit(f"{published}?r=MobileNetV3Small")
    own = letters(second)
    drawer(first)
    for weight in ("3", "7", "20"):
        first.evaluate(f"window.elex.change({{ w: 'macs:{weight}' }})")  # as the controls do
        until(first, "decodeURIComponent(location.search)", f"?w=macs:{weight}")
        place = apart(second)[0]
        digest = place["id"]
        second.mouse.move(place["left"] + 40, place["top"] + 40)
        second.mouse.move(place["left"], place["top"])
        shows(second, digest)
        assert "r=MobileNetV3Small" in str(second.get_attribute("#label", "src"))
        assert "w=" not in str(second.get_attribute("#label", "src"))
        assert letters(second) == own
    second.reload()
    until(second, "window.elex && document.getElementById('graph')?.data && window.elex.points().length", 26)
    assert letters(second) == own
    expect(second.locator("#rating-words")).to_contain_text("Reference MobileNetV3Small")


def upload(page: Page, path: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.click("#upload-button")
    chooser.value.set_files(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("hello", "is not JSON"),
        ("[" * 50_000, "is not JSON"),
        (" " * 200_000, "larger than 128 kB"),
        ('{"speed": 1}', "there is no metric “speed”"),
        ('{"macs": NaN}', "must be 0 to"),
        ('{"macs": -1}', "must be 0 to"),
        ('{"macs": [1, 2, 3, 4]}', "must not rise"),
    ],
)
def test_a_hostile_file_changes_nothing(visitors: Any, published: str, tmp_path: Path, content: str, said: str) -> None:
    visitor = visitors()
    page = visitor.visit(f"{published}?w=macs:3")
    before = letters(page)
    drawer(page)
    path = tmp_path / "mine.json"
    path.write_text(content, encoding="utf-8")
    upload(page, path)
    expect(page.locator("#upload-message")).to_contain_text(said)
    assert searched(page) == "?w=macs:3"
    assert letters(page) == before
    # The browser notes that the server refused the file; nothing else may go wrong.
    visitor.troubles[:] = [trouble for trouble in visitor.troubles if "400 (BAD REQUEST)" not in trouble]


def test_an_upload_is_used_and_does_not_undo_what_comes_after(visitor: Visitor, published: str, tmp_path: Path) -> None:
    page = visitor.visit(published)
    drawer(page)
    path = tmp_path / "weights.json"
    path.write_text('{"gflops": 4, "parameters": 2}', encoding="utf-8")
    upload(page, path)
    expect(page.locator("#upload-message")).to_have_text("weights.json is in use.")
    until(page, "decodeURIComponent(location.search)", "?w=parameters:2,macs:4")
    expect(tune(page, "macs", "weight")).to_have_value("4")
    tune(page, "macs", "weight").fill("6")
    page.keyboard.press("Tab")
    until(page, "decodeURIComponent(location.search).includes('macs:6')")
    path.write_text('{"gflops": [9, 5, 2, 1]}', encoding="utf-8")
    upload(page, path)
    until(page, "decodeURIComponent(location.search).includes('macs:9/5/2/1')")
    assert "macs:6" in searched(page)
