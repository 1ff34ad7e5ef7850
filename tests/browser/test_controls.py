"""Every control changes what it should, and the address holds all of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import Visitor, serving
from tests.browser.reading import apart, choose, control, figure, names_of_traces, point, points, searched, shows, until


def test_the_first_view_has_points_a_label_and_how_to_read_it(visitor: Visitor, published: str) -> None:
    page = visitor.visit(published)
    assert len(points(page)) == 26
    assert {each["letter"] for each in points(page)} <= set("ABCDE")
    expect(page.locator(".legend-classes")).to_contain_text("next to the reference model")
    shows(page, point(page, "ResNet101")["id"])
    expect(page.locator("#facts h2")).to_have_text("ResNet101")
    assert searched(page) == ""
    page.click("#help-button")
    expect(page.get_by_role("dialog")).to_contain_text("a weighted median of the classes")


def test_task_and_data_set(visitor: Visitor, published: str) -> None:
    page = visitor.visit(published)
    choose(page, "t", "Training")
    expect(page.locator("#summary")).to_contain_text("training on ImageNet")
    expect(control(page, "x")).to_have_value("Energy per epoch")
    until(page, "document.getElementById('graph').layout.xaxis.title.text.includes('Energy per epoch')")
    choose(page, "t", "Inference")
    expect(control(page, "x")).to_have_value("Energy per sample")
    expect(page.locator("#summary")).to_contain_text("26 results: inference")
    until(page, "location.search", "")


def test_environments_any_number_of_them(visitor: Visitor, published: str) -> None:
    page = visitor.visit(published)
    page.click("#all-environments")
    expect(page.locator("#summary")).to_contain_text("176 results: inference on ImageNet, 8 environments")
    expect(page.locator("#environments input:checked")).to_have_count(8)
    until(page, "window.elex.points().length", 176)
    symbols = {trace["marker"]["symbol"] for trace in figure(page)["data"] if "customdata" in trace}
    assert len(symbols) == 8
    expect(page.locator("#notices")).to_contain_text("No zones for Energy per sample and Top-1 accuracy")
    assert figure(page)["zones"] == 0
    page.click("#one-environment")
    until(page, "window.elex.points().length", 26)
    page.locator("#environments input").first.uncheck()
    expect(page.locator("#graph")).to_contain_text("Choose an environment to see its models.")
    page.locator("#environments input").nth(1).check()
    until(page, "window.elex.points().length", 26)


def test_more_environments_than_an_address_takes(visitor: Visitor, tmp_path: Path) -> None:
    names = [f"Intel(R) Xeon(R) Platinum {number} CPU @ 2.40GHz - PyTorch 2.9.0+cu126" for number in range(150)]
    rows = [
        f"inference,{model},{name},{number + own},0.5" for number, name in enumerate(names) for own, model in enumerate("AB")
    ]
    (tmp_path / "runs.csv").write_text("\n".join(["task,model,environment,energy,accuracy", *rows]))
    meta = {"energy": {"unit": "J", "maximize": False}, "accuracy": {"maximize": True}}
    (tmp_path / "meta_properties.json").write_text(json.dumps(meta))
    with serving(tmp_path) as url:
        page = visitor.visit(url)
        page.click("#all-environments")
        expect(page.locator("#summary")).to_contain_text("300 results: inference on unknown, 150 environments")
        until(page, "location.search", "?e=*")
        page.locator("#environments input").first.click()
        expect(page.locator("#notices")).to_contain_text("Nothing was changed: an address takes")
        expect(page.locator("#environments input").first).to_be_checked()
        assert searched(page) == "?e=*"
        page.click("#one-environment")
        expect(page.locator("#summary")).to_contain_text("2 results")
        expect(page.locator("#notices")).not_to_contain_text("Nothing was changed")
        # An address that somebody wrote, every comma of which becomes three characters on its way to the server.
        visitor.visit(f"{url}?w={',' * 7000}")
        expect(page.locator("#notices")).to_contain_text("characters and was not read")
        assert searched(page) == ""
        choose(page, "x", "accuracy")
        expect(page.locator("#summary")).to_contain_text("2 results")
        expect(page.locator("#notices")).not_to_contain_text("was not read")


def test_models_are_filtered_by_name(visitor: Visitor, published: str) -> None:
    page = visitor.visit(published)
    control(page, "q").fill("vgg, resnet50")
    until(page, "window.elex.points().map((each) => each.name).sort().join()", "ResNet50,VGG16,VGG19")
    control(page, "q").fill("nothing like it")
    expect(page.locator("#graph")).to_contain_text("No model has that name here.")


def test_axes_scale_and_logarithm(visitor: Visitor, published: str) -> None:
    page = visitor.visit(published)
    choose(page, "x", "Parameters")
    choose(page, "y", "Time per sample")
    until(page, "document.getElementById('graph').layout.yaxis.title.text.startsWith('Time per sample')")
    assert figure(page)["x"].startswith("Parameters (less is better)")
    assert figure(page)["kinds"] == ["log", "log"]
    page.get_by_label("x axis").uncheck()
    until(page, "document.getElementById('graph').layout.xaxis.type", "linear")
    page.locator("#controls").get_by_text("Index", exact=True).click()
    until(page, "document.getElementById('graph').layout.xaxis.title.text", "Parameters, index (more is better)")
    assert point(page, "ResNet101")["x"] == 1
    until(page, "decodeURIComponent(location.search)", "?x=parameters&y=time_per_sample&s=index&l=y")


def test_what_is_shown(visitor: Visitor, published: str) -> None:
    page = visitor.visit(f"{published}?s=index&e=A100+x8+-+TensorFlow+2.8.0&e=Xeon+W-2155+-+TensorFlow+2.4.1")
    everything = {"same model", "Pareto front", "reference"}
    assert everything <= names_of_traces(page)
    assert figure(page)["zones"] > 0
    page.get_by_label("Zones of the classes").uncheck()
    until(page, "document.getElementById('graph').layout.shapes.length", 0)
    for label, name in (("Pareto front", "Pareto front"), ("Join the same model", "same model")):
        page.get_by_label(label).uncheck()
        until(page, f"document.getElementById('graph').data.some((trace) => trace.name === '{name}')", False)
    page.get_by_label("Names at the front").check()
    until(page, "document.getElementById('graph').data.some((trace) => trace.name === 'names')")


def test_tabs(visitor: Visitor, published: str) -> None:
    page = visitor.visit(published)
    page.get_by_role("tab", name="Ratings").click()
    expect(page.locator("#ratings-words")).to_contain_text("26 models:")
    expect(page.locator("#ratings-graph .bars .point").first).to_be_visible()
    page.get_by_role("tab", name="Metrics").click()
    expect(page.locator("#metrics-graph .heatmaplayer image").first).to_be_visible()
    page.get_by_role("tab", name="Table").click()
    expect(page.locator("#grid .ag-center-cols-container .ag-row").first).to_be_visible()
    rows = page.locator("#grid .ag-pinned-left-cols-container .ag-row")
    names = {each["name"] for each in points(page)}
    assert rows.first.inner_text().strip() in names
    rows.first.click()
    expect(page.locator("#facts h2")).to_have_text(rows.first.inner_text().strip())
    until(page, "location.search.includes('tab=table') && location.search.includes('i=')")


def test_a_plot_fills_its_tab_whichever_is_there_first(visitor: Visitor, small: str) -> None:
    for tab in ("ratings", "metrics") * 3:
        page = visitor.visit(f"{small}?tab={tab}")
        plot = f"document.getElementById('{tab}-graph')"
        until(page, f"{plot}.clientWidth && {plot}.querySelector('.main-svg').clientWidth - {plot}.clientWidth", 0)
        assert page.evaluate(f"{plot}.clientWidth") > 0


def test_the_address_opens_the_same_view(visitors: Any, published: str) -> None:
    first = visitors().visit(published)
    choose(first, "y", "Parameters")
    first.locator("#controls").get_by_text("Index", exact=True).click()
    first.locator("#environments input").nth(2).check()
    control(first, "q").fill("net")
    first.get_by_label("Names at the front").check()
    until(first, "location.search.includes('q=net') && location.search.includes('o=names')")
    first.wait_for_load_state("networkidle")  # a notice above the plot moves it
    place = apart(first)[0]
    first.mouse.move(place["left"], place["top"])
    shows(first, place["id"])
    first.mouse.click(place["left"], place["top"])
    until(first, "location.search.includes('i=')")
    first.wait_for_load_state("networkidle")
    second = visitors().visit(first.url)
    assert searched(second) == searched(first)
    assert figure(second) == figure(first)
    for key in ("t", "d", "x", "y", "q"):
        assert control(second, key).input_value() == control(first, key).input_value()
    assert second.locator("#environments input:checked").count() == 2
    expect(second.locator("#facts h2")).to_have_text(place["name"])
    expect(second.locator("#pin-words")).to_have_text("kept")


def test_back_goes_to_the_view_before(visitor: Visitor, published: str) -> None:
    page = visitor.visit(published)
    choose(page, "x", "Parameters")
    until(page, "document.getElementById('graph').layout.xaxis.title.text.startsWith('Parameters')")
    page.go_back()
    until(page, "document.getElementById('graph').layout.xaxis.title.text.startsWith('Energy per sample')")
    expect(control(page, "x")).to_have_value("Energy per sample")
    page.go_forward()
    expect(control(page, "x")).to_have_value("Parameters")


def test_an_address_that_makes_no_sense_gives_the_usual_view_and_says_so(visitor: Visitor, published: str) -> None:
    page = visitor.visit(f"{published}?x=nonsense&e=Moon&i=0000")
    expect(page.locator("#notices")).to_contain_text("There is no metric “nonsense” here")
    expect(page.locator("#notices")).to_contain_text("There is no environment “Moon” here")
    assert len(points(page)) == 26


def test_the_digest_of_a_label_opens_its_model(visitor: Visitor, published: str) -> None:
    page = visitor.visit(published)
    digest = point(page, "VGG16")["id"]
    again = visitor.visit(f"{published}?scan=1#sha256={digest}")
    expect(again.locator("#facts h2")).to_have_text("VGG16")
    expect(again).to_have_url(re.compile(f"i={digest}"))


def test_light_and_dark(visitor: Visitor, published: str) -> None:
    page = visitor.visit(published)
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.click("#theme-button")
    until(page, "document.getElementById('graph').layout.font.color", "#eef2f6")
    assert page.evaluate(ground) != light
    page.reload()
    until(page, "document.getElementById('graph') && document.getElementById('graph').layout?.font?.color", "#eef2f6")
    expect(page.locator("#theme-button")).to_have_text("Light")
