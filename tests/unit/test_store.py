"""Result files: whole or refused with the name of file and field."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlee.errors import MleeError, ResultError, UnsupportedVersion
from mlee.results import store
from tests import builders

Document = dict[str, Any]


def _document() -> Document:
    document: Document = json.loads(builders.document())
    return document


def _changed(*path: str | int, value: object) -> Document:
    document = _document()
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return document


def _without(*path: str | int) -> Document:
    document = _document()
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return document


def test_a_result_comes_back_as_it_was(tmp_path: Path) -> None:
    result = builders.run_result()
    path = tmp_path / "result.json"
    path.write_text(store.to_json(result), encoding="utf-8")
    assert store.load(path) == result


def test_a_result_without_optional_parts_comes_back_as_it_was() -> None:
    result = builders.run_result(
        idle=None,
        warnings=(),
        details={},
        measurements=(builders.measurement(devices=(), not_added=(), idle_power_w=None),) * 3,
    )
    assert store.from_json(store.to_json(result), "here") == result


def test_format_and_version_come_first_and_writing_is_deterministic() -> None:
    text = builders.document()
    assert list(json.loads(text))[:3] == ["format", "version", "run_id"]
    assert text == store.to_json(store.from_json(text, "here"))


_ENERGY = ("measurements", 0, "devices", 0, "energy_j")
_HOSTILE: dict[str, tuple[Callable[[], Document], str]] = {
    "negative energy": (lambda: _changed(*_ENERGY, value=-1.0), "energy_j"),
    "text for a number": (lambda: _changed(*_ENERGY, value="1000.0"), "energy_j"),
    "list for a number": (lambda: _changed(*_ENERGY, value=[1]), "energy_j"),
    "true for a number": (lambda: _changed("outcome", "samples", value=True), "samples"),
    "fraction for a count": (lambda: _changed("outcome", "samples", value=1.5), "samples"),
    "number for a text": (lambda: _changed("model", "name", value=5), "name"),
    "number for a time": (lambda: _changed("started_at", value=5), "started_at"),
    "time without zone": (lambda: _changed("started_at", value="2026-11-23T15:04:05"), "started_at"),
    "accuracy above 1": (lambda: _changed("outcome", "top1_accuracy", value=75.0), "top1_accuracy"),
    "unknown field": (lambda: _changed("outcome", "energy", value=1), "energy"),
    "unknown field on top": (lambda: _changed("inference_power_draw", value=1), "inference_power_draw"),
    "missing field": (lambda: _without("model", "parameters"), "parameters"),
    "missing field on top": (lambda: _without("measurements"), "measurements"),
    "unknown device kind": (lambda: _changed("measurements", 0, "devices", 0, "device", "kind", value="tpu"), "kind"),
    "unknown task": (lambda: _changed("task", value="baking"), "task"),
    "no measurement": (lambda: _changed("measurements", value=[]), "measurements"),
    "huge whole number": (lambda: _changed("model", "parameters", value=10**400), "parameters"),
    "huge energy": (lambda: _changed(*_ENERGY, value=10**400), "energy_j"),
    "no samples": (lambda: _changed("outcome", "samples", value=0), "samples"),
    "no duration": (lambda: _changed("measurements", 0, "duration_s", value=0.0), "duration_s"),
    "null for a section": (lambda: _changed("platform", value=None), "platform"),
    "version 1": (lambda: _changed("version", value=1), "version"),
    "version as text": (lambda: _changed("version", value="2"), "version"),
    "version as list": (lambda: _changed("version", value=[2]), "version"),
    "no version": (lambda: _without("version"), "version"),
    "no format": (lambda: _without("format"), "format"),
    "other format": (lambda: _changed("format", value="mlee-trace"), "format"),
}


@pytest.mark.parametrize("name", _HOSTILE)
def test_a_hostile_document_is_refused_by_file_and_field(name: str, tmp_path: Path) -> None:
    make, field = _HOSTILE[name]
    path = tmp_path / "hostile.json"
    path.write_text(json.dumps(make()), encoding="utf-8")
    with pytest.raises(ResultError, match=field) as refused:
        store.load(path)
    assert str(path) in str(refused.value)
    assert not isinstance(refused.value, UnsupportedVersion)


@pytest.mark.parametrize("version", [3, 10**30])
def test_a_newer_version_says_so(version: int, tmp_path: Path) -> None:
    path = tmp_path / "newer.json"
    path.write_text(json.dumps(_changed("version", value=version)), encoding="utf-8")
    with pytest.raises(UnsupportedVersion, match=r"newer\.json"):
        store.load(path)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1" * 5000])
@pytest.mark.parametrize("key", ["energy_j", "readings", "threads"])
def test_a_number_that_is_none_is_refused(key: str, number: str, tmp_path: Path) -> None:
    text = builders.document()
    start = text.index(f'"{key}":') + len(key) + 3
    end = min(position for mark in ",}" if (position := text.find(mark, start)) > 0)
    path = tmp_path / "number.json"
    path.write_text(text[:start] + number + text[end:], encoding="utf-8")
    with pytest.raises(ResultError, match=r"number\.json"):
        store.load(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b'"mlee-result"',
        b"42",
        b"{",
        b"{}",
        b"\xef\xbb\xbf{}",
        b"\x00\x01\x02",
        b"[" * 100_000,
        b'{"a":' * 990 + b"1" + b"}" * 990,
        builders.document().encode()[:-20],
        builders.document().encode() * 2,
        builders.document().encode("utf-16"),
        builders.document().encode("latin-1"),
        builders.document().encode().replace(b'"sample"', b'"\\ud800"'),
    ],
)
def test_a_file_that_is_no_result_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "odd.json"
    path.write_bytes(content)
    with pytest.raises(ResultError, match=r"odd\.json"):
        store.load(path)


def test_a_field_given_twice_is_refused_since_one_of_them_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "twice.json"
    path.write_text(builders.document().replace('"energy_j":', '"energy_j":5,"energy_j":', 1), encoding="utf-8")
    with pytest.raises(ResultError, match="energy_j"):
        store.load(path)


def test_a_huge_file_is_refused_without_reading_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "huge.json"
    with open(path, "wb") as file:
        file.truncate(100 * 2**20)
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: pytest.fail("the file was read"))
    with pytest.raises(ResultError, match=r"huge\.json is larger"):
        store.load(path)


@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir])
def test_a_missing_file_and_a_folder_are_refused_by_name(make: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    make(path)
    with pytest.raises(ResultError, match=r"none\.json"):
        store.load(path)


def _places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found.extend(_places(inner, (*path, key)))
    return found


_VALID = _document()
_JUNK = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**300, 10**320)
    | st.floats()
    | st.text(max_size=5)
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
)


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_document_changed_at_random_is_read_or_refused_but_never_crashes(data: st.DataObject) -> None:
    document = copy.deepcopy(_VALID)
    for path in data.draw(st.lists(st.sampled_from(_places(_VALID)), min_size=1, max_size=3)):
        place: Any = document
        try:
            for step in path[:-1]:
                place = place[step]
            if data.draw(st.booleans()):
                place[path[-1]] = data.draw(_JUNK)
            else:
                del place[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took that place away
    try:
        result = store.from_json(json.dumps(document), "mutant")
    except MleeError as error:
        assert "mutant" in error.message  # noqa: PT017 - both ends are right
    else:
        assert store.from_json(store.to_json(result), "again") == result


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=12), st.integers(0, 10**6), st.integers(0, 30))
def test_bytes_changed_at_random_are_read_or_refused_but_never_crash(
    tmp_path_factory: pytest.TempPathFactory, inserted: bytes, where: int, cut: int
) -> None:
    content = builders.document().encode()
    position = where % len(content)
    path = tmp_path_factory.getbasetemp() / "bytes.json"
    path.write_bytes(content[:position] + inserted + content[position + cut :])
    try:
        store.load(path)
    except MleeError as error:
        assert "bytes.json" in error.message  # noqa: PT017 - both ends are right
