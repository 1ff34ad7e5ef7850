"""The address: whatever it says becomes a valid view, and what a view holds is read back exactly."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlee.assess import thresholds as thresholds_
from mlee.assess.compound import MODES
from mlee.assess.rating import BEST
from mlee.elex import tuning
from mlee.elex.data import Explored, RatingChoice
from mlee.elex.selection import matches, select
from mlee.elex.state import AXES, MAX_ADDRESS, MAX_COMPARED, SCALES, SHOW, TABS, View, default_view, parse, write
from mlee.errors import ResultError
from mlee.results.load import load
from tests.unit.elex_pages import crowded, needs_published, published, small

METRICS = ("parameters", "macs", "energy_per_sample", "time_per_sample", "top1_accuracy")


def _falling(values: list[float]) -> tuple[float, float, float, float]:
    a, b, c, d = sorted(values, reverse=True)
    return a, b, c, d


def _subset(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), unique=True).map(tuple)


@st.composite
def views(draw: st.DrawFn) -> View:
    data = small()
    start = default_view(data)
    found = data.choices[start.task, start.dataset]
    names = tuple(name for name, _ in found.environments)
    reference = draw(st.sampled_from((None, BEST, "ResNet50")))
    number = st.floats(0, 1e9, allow_nan=False)
    weights = draw(st.dictionaries(st.sampled_from(METRICS), number))
    changed = draw(st.dictionaries(st.sampled_from(METRICS), st.lists(number, min_size=4, max_size=4).map(_falling)))
    choice = RatingChoice(
        reference=reference,
        mode=draw(st.sampled_from(MODES)),
        rules=draw(st.sampled_from(("exact", "2022"))),
        weights=tuple((k, weights[k]) for k in data.metrics if k in weights and weights[k] != data.metrics[k].weight),
        thresholds=draw(
            st.sampled_from(("quantiles", tuple((start.task, k, changed[k]) for k in data.metrics if k in changed)))
        ),
    )
    return View(
        tab=draw(st.sampled_from(TABS)),
        task=start.task,
        dataset=start.dataset,
        environments=draw(_subset(names)),
        models=draw(st.text(max_size=30)).strip(),
        x=draw(st.sampled_from(METRICS)),
        y=draw(st.sampled_from(METRICS)),
        scale=draw(st.sampled_from(SCALES)),
        log=draw(_subset(AXES)),
        show=draw(_subset(SHOW)),
        rating=choice,
        selected=draw(st.sampled_from((None, *data.ids))),
        compared=draw(_subset(data.ids))[:MAX_COMPARED],
        trace=draw(st.sampled_from((None, "infer_2026_11_23_15_04_05"))),
    )


@given(views())
@settings(max_examples=150, deadline=None)
def test_a_view_is_read_back_exactly(view: View) -> None:
    found, notices = parse(write(view, small()), small())
    assert found == view
    assert notices == ()


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_text_gives_a_valid_view(text: str) -> None:
    view, _ = parse(text, small())
    assert parse(write(view, small()), small())[0] == view


@given(st.lists(st.tuples(st.sampled_from("tdqxyslormuwhictabn"), st.text(max_size=40)), max_size=12))
@settings(max_examples=200, deadline=None)
def test_any_values_give_a_view_that_can_be_drawn(pairs: list[tuple[str, str]]) -> None:
    view, _ = parse(urlencode(pairs, errors="replace"), small())
    assert len(select(small(), view).rows) <= 12


def test_the_usual_view_has_no_address() -> None:
    assert write(default_view(small()), small()) == ""


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ("?x=nonsense", "no metric “nonsense”"),
        ("?t=dreaming", "no task “dreaming”"),
        ("?e=Moon", "no environment “Moon”"),
        ("?i=123", "no result 123"),
        ("?r=Nobody", "no model “Nobody”"),
        ("?w=macs:-1", "macs:-1"),
        ("?w=macs:inf", "macs:inf"),
        ("?h=reference~inference~macs:1/2/3/4", "must fall"),
        ("?h=reference~inference~macs:1/2", "four numbers"),
        ("?h=best~inference~macs:4/3/2/1", "another kind of reference"),
        ("?" + "x" * (MAX_ADDRESS + 1), "longer than"),
        ("?" + "&".join(["x=1"] * 300), "no metric “1”"),
        ("?c=*", "no result “*”"),
    ],
)
def test_what_an_address_cannot_mean_is_said(search: str, said: str) -> None:
    view, notices = parse(search, small())
    assert any(said in notice for notice in notices), notices
    assert view == default_view(small())


@needs_published
def test_each_task_has_metrics_of_its_own() -> None:
    training, notices = parse("?t=training", published())
    assert (training.x, training.y, notices) == ("energy_per_epoch", "top1_accuracy", ())
    found, notices = parse("?t=training&x=energy_per_sample", published())
    assert found.x == "energy_per_epoch"
    assert len(notices) == 1


@needs_published
def test_an_empty_choice_of_environments_stays_empty() -> None:
    view = replace(default_view(published()), environments=())
    assert write(view, published()) == "?e=-"
    assert parse("?e=-", published())[0] == view


def test_all_environments_have_an_address_however_many_they_are() -> None:
    data = crowded()
    start = default_view(data)
    names = tuple(name for name, _ in data.choices[start.task, start.dataset].environments)
    view = replace(start, environments=names)
    assert write(view, data) == "?e=*"
    assert parse("?e=*", data) == (view, ())
    assert len(select(data, view).rows) == 600
    backwards = replace(start, environments=names[::-1])  # their order gives them their shapes
    assert "e=Intel" in write(backwards, data)


def test_more_environments_than_an_address_holds_are_said() -> None:
    data = crowded()
    start = default_view(data)
    names = tuple(name for name, _ in data.choices[start.task, start.dataset].environments)
    many = write(replace(start, environments=names[:60]), data)
    assert parse(many, data) == (replace(start, environments=names[:60]), ())
    more = write(replace(start, environments=names[1:]), data)
    assert parse(more, data) == (start, (f"The address is longer than {MAX_ADDRESS} characters and was not read.",))


def test_an_environment_may_be_called_as_all_of_them_are(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text("model,environment,energy\nA,GPU,1\nB,GPU,1\nA,*,2\n")
    (tmp_path / "meta_properties.json").write_text('{"energy": {"unit": "J", "maximize": false}}')
    data = Explored(load([tmp_path]))
    for environments in (("*",), ("GPU",), ("GPU", "*"), ("*", "GPU")):
        view = replace(default_view(data), environments=environments)
        assert parse(write(view, data), data) == (view, ())


@pytest.mark.parametrize(
    ("name", "words", "found"),
    [
        ("ResNet50", "", True),
        ("ResNet50", "res", True),
        ("ResNet50", "vgg, RESNET-50", True),
        ("ResNet50", "vgg", False),
        ("ResNet50", ",,", True),
        ("EfficientNet-B0", "net_b0", True),
    ],
)
def test_models_are_found_by_parts_of_their_names(name: str, words: str, found: bool) -> None:
    assert matches(name, words) is found


def _upload(content: bytes | str, kind: str = "reference") -> tuple[str | None, str | None]:
    data = small()
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    return tuning.read_upload(raw, "mine.json", kind, data.metrics, data.tasks)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("hello", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        (b" " * (tuning.MAX_UPLOAD_BYTES + 1), "larger than"),
        ("[1, 2]", "must hold an object"),
        ("{}", "must hold an object"),
        ('{"speed": 1}', "no metric “speed”"),
        ('{"macs": -1}', "must be 0 to"),
        ('{"macs": NaN}', "must be 0 to"),
        ('{"macs": Infinity}', "must be 0 to"),
        ('{"macs": true}', "must be 0 to"),
        ('{"macs": "1"}', "must be 0 to"),
        ('{"macs": 1, "macs": 2}', "macs"),
        ('{"macs": 1, "gflops": 2}', "given twice"),
        ('{"macs": [1, 2, 3, 4]}', "must not rise"),
        ('{"macs": [4, 3, 2]}', "four numbers"),
        ('{"macs": [4, 3, 2, -1]}', "0 or more"),
        ('{"macs": [4, 3, 2, NaN]}', "finite"),
        ('{"macs": [4, 3, "2", 1]}', "four numbers"),
        ('{"speed": [4, 3, 2, 1]}', "no metric “speed”"),
        ('{"format": "else"}', "format and version"),
        ('{"format": "mlee-weights", "weights": [1]}', "field weights"),
    ],
)
def test_a_hostile_upload_is_refused_with_its_reason(content: bytes | str, said: str) -> None:
    with pytest.raises(ResultError) as refused:
        _upload(content)
    assert said in f"{refused.value.message} {refused.value.hint}"


def test_good_uploads_become_changes() -> None:
    assert _upload('{"gflops": 3, "parameters": 0.4}') == ("macs:3", None)
    assert _upload('{"gflops": {"weight": 3}}') == ("macs:3", None)
    metrics = [replace(small().metrics["macs"], weight=7.5)]
    assert _upload(tuning.weights_json(metrics)) == ("macs:7.5", None)
    assert _upload('{"gflops": [4, 3, 2, 1]}') == (None, "reference~inference~macs:4/3/2/1")
    whole = thresholds_.shipped("exact", "reference")
    text = _upload(thresholds_.to_json(whole))[1]
    read, odd = tuning.read_thresholds(text or "", "reference", small().metrics, small().tasks)
    assert not odd
    assert all(whole.get(task, key) == four for task, key, four in read)
    assert {key for _, key, _ in read} == set(whole.by_task["inference"])


def test_thresholds_of_another_index_are_refused() -> None:
    best = thresholds_.to_json(thresholds_.shipped("exact", "best"))
    with pytest.raises(ResultError, match="relative to the best"):
        _upload(best)
    assert _upload(best, kind="best")[1]


def test_an_upload_must_fit_into_an_address_as_it_is_written_there() -> None:
    """What is not plain letters takes three characters or more there."""
    keys = [f"{'ä' * 8} {number}" for number in range(10, 78)]
    metrics = {key: replace(small().metrics["macs"], key=key) for key in keys}
    fitting, most = json.dumps(dict.fromkeys(keys[:60], 3)), json.dumps(dict.fromkeys(keys, 3))
    text = tuning.read_upload(fitting.encode(), "mine.json", "reference", metrics, ("inference",))[0]
    assert tuning.read_weights(text or "", metrics) == (tuple((key, 3.0) for key in keys[:60]), [])
    assert len(urlencode({"w": text})) < tuning.MAX_TEXT
    with pytest.raises(ResultError, match="more than an address can take"):
        tuning.read_upload(most.encode(), "mine.json", "reference", metrics, ("inference",))


def test_exact_numbers_survive_the_address() -> None:
    four = (3.3757264575209986, 1 / 3, 0.1, 5e-324)
    text = tuning.write_thresholds((("inference", "macs", four),), "reference")
    assert tuning.read_thresholds(text, "reference", small().metrics, small().tasks)[0] == (("inference", "macs", four),)
    assert json.loads(tuning.weights_json([small().metrics["macs"]]))["weights"] == {"macs": 0.2}
