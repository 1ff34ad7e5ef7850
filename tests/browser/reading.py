"""Reading a page and acting on it, as a person would."""

from __future__ import annotations

import math
import re
from typing import Any, cast

from playwright.sync_api import Locator, Page, expect


def control(page: Page, key: str) -> Locator:
    """Find a control by its key in the address."""
    return page.locator(f'[id*=\'"control":"{key}"\']').first


def choose(page: Page, key: str, name: str) -> None:
    """Choose from a select."""
    control(page, key).click()
    page.locator("[role=option]:visible").get_by_text(name, exact=True).click()


def points(page: Page) -> list[dict[str, Any]]:
    """All points of the plot: id, name, letter, x, y, and where they are on the screen."""
    script = """() => {
      const plot = document.getElementById('graph'), box = plot.getBoundingClientRect(), full = plot._fullLayout;
      const place = (each) => ({ left: box.left + full.xaxis._offset + full.xaxis.d2p(each.x),
        top: box.top + full.yaxis._offset + full.yaxis.d2p(each.y) });
      return window.elex.points().map((each) => ({ ...each, ...place(each) }));
    }"""
    return cast(list[dict[str, Any]], page.evaluate(script))


def point(page: Page, name: str) -> dict[str, Any]:
    """One point by the model's name."""
    return next(each for each in points(page) if each["name"] == name)


def apart(page: Page) -> list[dict[str, Any]]:
    """All points, those farthest from others first: a pointer finds them and nothing else."""
    page.evaluate("window.scrollTo(0, 0)")  # to where the mouse can go
    every = points(page)

    def room(one: dict[str, Any]) -> float:
        return min(math.hypot(one["left"] - each["left"], one["top"] - each["top"]) for each in every if each is not one)

    return sorted(every, key=room, reverse=True)


def figure(page: Page) -> Any:
    """Data and layout of the plot."""
    script = """() => { const { data, layout } = document.getElementById('graph');
      return { data, x: layout.xaxis.title.text, y: layout.yaxis.title.text, kinds: [layout.xaxis.type, layout.yaxis.type],
        zones: (layout.shapes || []).length }; }"""
    return page.evaluate(script)


def names_of_traces(page: Page) -> set[str]:
    """Names of what is drawn: environments, front, names, reference, same model."""
    return {trace["name"] for trace in figure(page)["data"]}


def searched(page: Page) -> str:
    """The address behind the question mark."""
    return cast(str, page.evaluate("decodeURIComponent(location.search)"))


def until(page: Page, script: str, wanted: Any = True) -> None:
    """Wait until a script gives a value; the page's policy forbids Playwright's own way."""
    for _ in range(400):
        found = page.evaluate(script)
        if found == wanted:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{script} gave {found!r}, not {wanted!r}")


def shows(page: Page, digest: str) -> None:
    """Wait until the panel shows a result, with its label loaded."""
    expect(page.locator("#label")).to_have_attribute("src", re.compile(digest))
    until(page, "document.getElementById('label').complete && document.getElementById('label').naturalWidth > 0")
