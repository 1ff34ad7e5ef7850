"""The pictures: every one is a figure that Plotly takes, and every point is a result with its own rating."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlee.elex import figures, overview, parts
from mlee.elex.data import Explored, RatingChoice
from mlee.elex.scatter import log_ticks, scatter
from mlee.elex.selection import pareto_front, select
from mlee.elex.state import SHOW, View, default_view, parse
from mlee.elex.zones import bounds
from mlee.results.load import load
from mlee.units import told_apart
from tests.elex_data import LONG, SCRIPT
from tests.unit.elex_pages import needs_published, published, small


def draw(data: Explored, view: View) -> dict[str, Any]:
    """Draw a view, and check that Plotly takes the figure and JSON its numbers."""
    figure = scatter(select(data, view), "light")
    go.Figure(figure)
    json.dumps(figure, allow_nan=False)
    return figure


def points(figure: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Id -> x, y, letter, name of all points."""
    found = {}
    for trace in figure["data"]:
        for n, (name, shown) in enumerate(trace.get("customdata") or []):
            found[name] = (trace["x"][n], trace["y"][n], trace["text"][n], shown)
    return found


@needs_published
@pytest.mark.parametrize("task", ["inference", "training"])
@pytest.mark.parametrize("count", [1, 3])
def test_every_pair_of_metrics_can_be_drawn(task: str, count: int) -> None:
    data = published()
    start = default_view(data, task)
    found = data.choices[task, start.dataset]
    names = tuple(name for name, _ in found.environments[:count])
    pairs = itertools.product([metric.key for metric in found.metrics], repeat=2)
    for number, (x, y) in enumerate(pairs):
        scale, log = ("value", "index")[number % 2], ((), ("x",), ("y",), ("x", "y"))[number % 4]
        view = replace(start, environments=names, x=x, y=y, scale=scale, log=log, show=SHOW)
        assert points(draw(data, view))


@needs_published
@pytest.mark.parametrize("rating", [RatingChoice(), RatingChoice(rules="2022"), RatingChoice(weights=(("macs", 5.0),))])
def test_points_have_the_numbers_and_ratings_of_their_own_results(rating: RatingChoice) -> None:
    data = published()
    start = default_view(data)
    every = tuple(name for name, _ in data.choices[start.task, start.dataset].environments)
    rated = data.rated(rating)
    for scale in ("value", "index"):
        view = replace(start, environments=every, scale=scale, log=(), rating=rating)
        drawn = points(draw(data, view))
        assert len(drawn) == 176
        for name, (x, y, shown, model) in drawn.items():
            row = data.row_of[name]
            values = rated.table.iloc[row]
            assert model == values["model"]
            assert shown == "ABCDE?"[rated.compound[row]]  # -1 is none
            if scale == "value":
                assert x == pytest.approx(values["energy_per_sample"])
                assert y == pytest.approx(values["top1_accuracy"] * 100)  # shown in %
            else:
                assert x == pytest.approx(rated.index[row, rated.position("energy_per_sample")])


@needs_published
def test_zones_are_the_thresholds_or_the_values_that_have_them() -> None:
    data = published()
    view = replace(default_view(data), scale="index")
    four = data.rated(view.rating).thresholds.get("inference", "energy_per_sample")
    assert bounds(select(data, view), "energy_per_sample", 1.0) == (four, True)
    view = replace(view, scale="value")
    table = data.table
    here = table[
        (table["environment"] == view.environments[0]) & (table["model"] == "ResNet101") & (table["task"] == "inference")
    ]
    reference = float(here["energy_per_sample"].iloc[0])
    found = bounds(select(data, view), "energy_per_sample", 1.0)
    assert found is not None
    assert four is not None
    assert found[0] == pytest.approx([reference / threshold for threshold in four])
    assert found[1] is False


@needs_published
def test_several_environments_have_no_common_zones_on_the_value_scale() -> None:
    data = published()
    start = default_view(data)
    names = tuple(name for name, _ in data.choices[start.task, start.dataset].environments)[:2]
    view = replace(start, environments=names)
    assert draw(data, view)["layout"]["shapes"] == []
    said = parts.state(data, view, "light", ())["notices"]
    assert any(line.startswith("No zones for Energy per sample and Top-1 accuracy") for line in said)
    assert draw(data, replace(view, scale="index"))["layout"]["shapes"]


def test_a_missing_value_is_said_and_never_drawn() -> None:
    data = small()
    view = default_view(data)
    selection = select(data, view)
    missing = next(name for name, model in zip(selection.ids, selection.models, strict=True) if model == "Unknown accuracy")
    drawn = points(draw(data, view))
    assert missing not in drawn
    assert len(drawn) == len(selection.rows) - 1
    said = parts.state(data, view, "light", ())["notices"]
    assert "Not drawn: Unknown accuracy has no Top-1 accuracy." in said
    assert all(y not in (0, None) for _, y, _, _ in drawn.values())


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ("?e=-", "Choose an environment"),
        ("?q=nothing-like-it", "No model has that name"),
        ("?q=Unknown", "No model here has both"),
    ],
)
def test_nothing_to_draw_is_a_sentence(search: str, said: str) -> None:
    view, _ = parse(search, small())
    figure = draw(small(), view)
    assert said in figure["layout"]["annotations"][0]["text"]
    for part in parts.PARTS:
        json.loads(parts.answer(small(), part, search, "dark"))


def test_names_are_text_in_a_picture() -> None:
    drawn = points(draw(small(), default_view(small())))
    names = {name for _, _, _, name in drawn.values()}
    assert SCRIPT not in names
    assert "&lt;img src=x onerror=alert(1)&gt;" in names
    assert f"{LONG[:41]}…" in names


def test_environments_with_long_names_have_bars_of_their_own(tmp_path: Path) -> None:
    names = [
        f"AMD Ryzen Threadripper PRO 7995WX 96-Cores - {software} <b>" for software in ("PyTorch 2.9.0", "TensorFlow 2.20.0")
    ]
    names += ["2024", "2025"]  # no numbers
    rows = [f"{model},{name},{own}" for name in names for own, model in enumerate("ABC", 1)]
    (tmp_path / "runs.csv").write_text("\n".join(["model,environment,energy", *rows]))
    (tmp_path / "meta_properties.json").write_text('{"energy": {"unit": "J", "maximize": false}}')
    data = Explored(load([tmp_path]))
    figure = overview.ratings(select(data, replace(default_view(data), environments=tuple(names))), "light")
    go.Figure(figure)
    assert figure["data"]
    for trace in figure["data"]:
        assert trace["y"] == names
        axis = figure["layout"][f"yaxis{trace['yaxis'][1:]}"]
        assert axis["type"] == "category"
        assert axis["tickvals"] == names
        assert axis["ticktext"][0] == "AMD Ryzen Threadr…yTorch 2.9.0 &lt;b&gt;"
        assert len(set(axis["ticktext"])) == 4
        assert trace["customdata"][0] == names[0].replace("<", "&lt;").replace(">", "&gt;")


def test_metrics_with_one_label_have_places_of_their_own(tmp_path: Path) -> None:
    keys = ["first", "second", "third"]
    rows = [f"{model},{own},{own + 1},{own + 2}" for own, model in enumerate("ABCDE", 1)]
    (tmp_path / "runs.csv").write_text("\n".join([f"model,{','.join(keys)}", *rows]))
    meta = {key: {"name": "Share of <all>", "maximize": True} for key in keys}
    (tmp_path / "meta_properties.json").write_text(json.dumps(meta))
    data = Explored(load([tmp_path]))
    selection = select(data, parse("?h=quantiles", data)[0])
    matrix = overview.correlation(selection, list(data.metrics.values()), "light")
    radar = overview.profile(selection, [0], "light")
    go.Figure(matrix), go.Figure(radar)
    assert matrix["data"][0]["x"] == matrix["data"][0]["y"] == keys
    assert radar["data"][0]["theta"] == [*keys, keys[0]]
    for axis in (matrix["layout"]["xaxis"], matrix["layout"]["yaxis"], radar["layout"]["polar"]["angularaxis"]):
        assert (axis["type"], axis["tickvals"]) == ("category", keys)
        assert {name.replace("<br>", " ") for name in axis["ticktext"]} == {"Share of &lt;all&gt;"}


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["abcdefghij", "abc"], ["abcdefghij", "abc"]),
        (["abcdefghijklm"], ["abcde…jklm"]),
        (["0abcdefghijkl", "1abcdefghijkl"], ["0abcd…ijkl", "1abcd…ijkl"]),
        (["abcdefghijkl0", "abcdefghijkl1"], ["abcde…jkl0", "abcde…jkl1"]),
        (["abcdef1hijklm", "abcdef2hijklm"], ["abcdef1…lm", "abcdef2…lm"]),
        (["abcdefghijklmno1qrstuvwxyzabcde", "abcdefghijklmno2qrstuvwxyzabcde"], ["1 abcde…bcde", "2 abcde…bcde"]),
        (["abcdefghijklmno1qrstuvwxyzabcde", "1 abcd"] * 2, ["abcde…bcde", "1 abcd"] * 2),
    ],
)
def test_long_names_are_shortened_where_they_can_be_told_apart(names: list[str], short: list[str]) -> None:
    assert told_apart(names, 10) == short


def test_estimated_energy_is_hollow_and_repeats_have_bars() -> None:
    data = small()
    every = tuple(name for name, _ in data.choices["inference", "sample"].environments)
    figure = draw(data, replace(default_view(data), environments=every))
    traces = [trace for trace in figure["data"] if trace.get("customdata")]
    for trace in traces:
        hollow = "estimated" in trace["name"]
        assert set(trace["marker"]["line"]["width"]) == {3 if hollow else 1}
    bars = [trace["error_x"] for trace in traces if "error_x" in trace]
    assert any(value for bar in bars for value in bar["array"])


def test_a_logarithmic_axis_has_no_zero() -> None:
    data = small()
    view = replace(default_view(data), rating=RatingChoice(reference="VGG16"), scale="index", log=("x", "y"))
    assert all(x > 0 and y > 0 for x, y, _, _ in points(draw(data, view)).values())


def test_shares_are_shown_in_percent() -> None:
    metric = small().metrics["top1_accuracy"]
    assert figures.written(metric, 0.73) == "73.0 %"
    assert figures.written(metric, None) == "not measured"
    assert figures.written(metric, float("nan")) == "not measured"
    assert figures.scaling(small().metrics["time_per_epoch"], 7300.0) == (1 / 3600, "h")
    assert figures.scaling(small().metrics["energy_per_epoch"], 1e6) == (1 / 3600, "Wh")


def test_numbers_without_a_unit_have_no_small_prefixes(tmp_path: Path) -> None:
    table = "run_id,status,params.model,metrics.f1,metrics.words\nr1,FINISHED,One,0.5,5e6\nr2,FINISHED,Two,0.6,9e6\n"
    (tmp_path / "runs.csv").write_text(table, encoding="utf-8")
    data = Explored(load([tmp_path]))
    view = replace(default_view(data), x="f1", y="words", log=())
    layout = draw(data, view)["layout"]
    assert "tickformat" not in layout["xaxis"]  # 0.5, not 500m
    assert layout["yaxis"]["tickformat"] == "~s"
    logarithmic = draw(data, replace(view, log=("x",)))["layout"]["xaxis"]["ticktext"]
    assert logarithmic
    assert all(text.startswith("0.") and text.replace(".", "").isdigit() for text in logarithmic)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=25), st.booleans(), st.booleans())
def test_the_front_is_what_nothing_beats(pairs: list[tuple[int, int]], x_higher: bool, y_higher: bool) -> None:
    x = np.array([float(a) if a else np.nan for a, _ in pairs])
    y = np.array([float(b) for _, b in pairs])
    front = pareto_front(x, y, x_higher, y_higher)
    better_x, better_y = x if x_higher else -x, y if y_higher else -y
    known = [n for n in range(len(pairs)) if not np.isnan(x[n])]
    beaten = {
        n
        for n in known
        for m in known
        if better_x[m] >= better_x[n]
        and better_y[m] >= better_y[n]
        and (better_x[m], better_y[m]) != (better_x[n], better_y[n])
    }
    assert {(x[n], y[n]) for n in front} == {(x[n], y[n]) for n in known if n not in beaten}
    assert list(x[front]) == sorted(x[front])


@pytest.mark.parametrize(("low", "high"), [(-3.0, 5.0), (0.1, 0.5), (-0.2, 1.0), (0.0, 2.0), (-40.0, 40.0)])
def test_ticks_lie_inside_the_axis(low: float, high: float) -> None:
    ticks = log_ticks(low, high)
    assert 2 <= len(ticks) <= 20
    assert all(10**low * (1 - 1e-9) <= tick <= 10**high * (1 + 1e-9) for tick in ticks)


def test_a_task_that_has_no_label_shows_none(tmp_path: Path) -> None:
    table = "run_id,status,params.model,params.task,metrics.f1\n"
    table += "r1,FINISHED,One,search,0.5\nr2,FINISHED,Two,search,0.6\nr3,FINISHED,Three,inference,0.7\n"
    (tmp_path / "runs.csv").write_text(table, encoding="utf-8")
    data = Explored(load([tmp_path]))
    for number, name in enumerate(data.ids):
        labelled = data.table["task"].iloc[number] == "inference"
        task = f"t={data.table['task'].iloc[number]}"
        facts = json.loads(parts.answer(data, "facts", f"{task}&i={name}", "light"))
        assert (facts["alt"] is not None) == labelled
        compared = json.loads(parts.answer(data, "compare", f"{task}&c={name}", "light"))["labels"]
        assert [each["labelled"] for each in compared] == [labelled]


def test_ranks_share_their_mean() -> None:
    a = np.array([1.0, 2.0, 2.0, 3.0, np.nan])
    assert overview.rank_correlation(a, a) == pytest.approx(1.0)
    assert overview.rank_correlation(a, -a) == pytest.approx(-1.0)
    assert overview.rank_correlation(a, np.ones(5)) is None
    assert overview.rank_correlation(a[:3], a[:3]) is None


@needs_published
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("search", ["", "?t=training", "?u=2022", "?r=best&m=worst", "?h=quantiles"])
def test_every_part_is_json_with_figures_that_plotly_takes(search: str, theme: str) -> None:
    data = published()
    more = f"{search}{'&' if search else '?'}i={data.ids[0]}&c={data.ids[1]}&c={data.ids[2]}"
    for part in parts.PARTS:
        found = json.loads(parts.answer(data, part, more, theme))
        if found.get("figure"):
            go.Figure(found["figure"])


@needs_published
def test_counts_are_those_of_the_ratings() -> None:
    data = published()
    selection = select(data, default_view(data))
    figure = overview.ratings(selection, "light")
    counted = {trace["name"]: sum(trace["x"]) for trace in figure["data"] if trace["xaxis"] == "x"}
    assert counted == {
        letter: int((selection.compound == n).sum()) for n, letter in enumerate("ABCDE") if (selection.compound == n).any()
    }
