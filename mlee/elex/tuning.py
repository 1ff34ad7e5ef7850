"""Weights and thresholds that a visitor changed: in the address, and in files that are uploaded and downloaded."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from mlee.assess.metric import Metric
from mlee.assess.metrics import WEIGHTS_FORMAT, canonical_key
from mlee.assess.thresholds import Four, Thresholds, from_json
from mlee.elex.data import CustomThresholds
from mlee.errors import MleeError, ResultError
from mlee.files import unique_fields

MAX_WEIGHT = 1e9
MAX_UPLOAD_BYTES = 2**17
#: Longest part of the address that an upload may take [characters, as they are written there].
MAX_TEXT = 6000


def write_weights(weights: Sequence[tuple[str, float]]) -> str:
    """Write `metric:weight,metric:weight`."""
    return ",".join(f"{quote(key, safe='')}:{_number(weight)}" for key, weight in weights)


def read_weights(text: str, metrics: Mapping[str, Metric]) -> tuple[tuple[tuple[str, float], ...], list[str]]:
    """Read what `write_weights` writes, without those that are as they were; returns notices for what is wrong."""
    found: dict[str, float] = {}
    notices: list[str] = []
    for part in filter(None, text.split(",")):
        name, _, value = part.partition(":")
        key, weight = unquote(name), _parse(value)
        if key not in metrics or weight is None or not 0 <= weight <= MAX_WEIGHT:
            notices.append(f"The weight “{part[:60]}” of the address was not understood.")
        elif weight != metrics[key].weight:
            found[key] = weight
    return tuple((key, found[key]) for key in metrics if key in found), notices


def write_thresholds(thresholds: CustomThresholds | str, kind: str) -> str:
    """Write `kind~task~metric:a/b/c/d,...`, or `quantiles`."""
    if isinstance(thresholds, str):
        return thresholds
    if not thresholds:
        return ""
    parts = (
        f"{quote(task, safe='')}~{quote(key, safe='')}:{'/'.join(map(_number, four))}" for task, key, four in thresholds
    )
    return f"{kind}~{','.join(parts)}"


def read_thresholds(
    text: str, kind: str, metrics: Mapping[str, Metric], tasks: Sequence[str]
) -> tuple[CustomThresholds, list[str]]:
    """Read what `write_thresholds` writes; those of the other kind of index do not count, and a notice says so."""
    if not text:
        return (), []
    written_for, _, rest = text.partition("~")
    if written_for in ("reference", "best") and written_for != kind:
        return (), ["Thresholds were changed for another kind of reference; those of the rules are used here."]
    found: dict[tuple[str, str], Four] = {}
    notices: list[str] = []
    for part in filter(None, rest.split(",")) if written_for == kind else [text]:
        where, _, numbers = part.partition(":")
        task, _, key = (unquote(piece) for piece in where.partition("~"))
        four = [_parse(number) for number in numbers.split("/")]
        if task not in tasks or key not in metrics or (problem := check_four(four)) is not None:
            problem = "" if task not in tasks or key not in metrics else f": {problem}"
            notices.append(f"The thresholds “{part[:60]}” of the address were not understood{problem}.")
        else:
            a, b, c, d = (float(value) for value in four if value is not None)
            found[task, key] = (a, b, c, d)
    return tuple((task, key, found[task, key]) for task in tasks for key in metrics if (task, key) in found), notices


def check_four(four: Sequence[float | None]) -> str | None:
    """Say what is wrong with four thresholds, `None` if nothing is."""
    if len(four) != 4 or any(value is None or not math.isfinite(value) or value < 0 for value in four):
        return "four numbers of 0 or more are needed"
    falling = [value for value in four if value is not None]
    if any(later > earlier for earlier, later in pairwise(falling)):
        return "they must fall from A to E"
    return None


def read_upload(
    content: bytes, name: str, kind: str, metrics: Mapping[str, Metric], tasks: Sequence[str]
) -> tuple[str | None, str | None]:
    """Read an uploaded file: weights or thresholds, ours or of 2022; returns them as in the address (weights, thresholds).

    Raises `ResultError` that says what is wrong; `None` stands for what the file does not hold.
    """
    if len(content) > MAX_UPLOAD_BYTES:
        raise ResultError(f"{name} is larger than {MAX_UPLOAD_BYTES // 1024} kB: not a file of weights or thresholds.")
    try:
        text = content.decode("utf-8-sig")
        document: Any = json.loads(text, object_pairs_hook=unique_fields)
    except (ValueError, RecursionError) as error:
        raise ResultError(f"{name} is not JSON: {str(error)[:120]}.") from error
    if not isinstance(document, dict) or not document:
        raise ResultError(f"{name} must hold an object {{metric: …}}.")
    if document.get("format") == WEIGHTS_FORMAT:
        document = document.get("weights")
        if not isinstance(document, dict):
            raise ResultError(f"{name}: field weights must hold an object {{metric: weight}}.")
    elif "format" in document or any(isinstance(value, list) for value in document.values()):
        return None, _thresholds(text, name, kind, metrics, tasks)
    return _weights(document, name, metrics), None


def weights_json(metrics: Sequence[Metric]) -> str:
    """Write the weights of metrics as a file that `read_upload` reads."""
    document = {"format": WEIGHTS_FORMAT, "version": 1, "weights": {metric.key: metric.weight for metric in metrics}}
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _weights(document: Mapping[str, Any], name: str, metrics: Mapping[str, Metric]) -> str:
    found: dict[str, float] = {}
    for given, value in document.items():
        key = canonical_key(given)
        if key not in metrics:
            raise ResultError(f"{name}: there is no metric “{given[:60]}” here.", f"known: {', '.join(metrics)}")
        weight = value.get("weight") if isinstance(value, dict) else value  # 2022 keeps a weight beside other facts
        if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 <= weight <= MAX_WEIGHT:
            raise ResultError(f"{name}: the weight of {key} must be 0 to {MAX_WEIGHT:g}, got {str(weight)[:40]}.")
        if key in found:
            raise ResultError(f"{name}: the weight of {key} is given twice.")
        found[key] = float(weight)
    changed = [(key, found[key]) for key in metrics if key in found and found[key] != metrics[key].weight]
    return _fitting(write_weights(changed), name)


def _thresholds(text: str, name: str, kind: str, metrics: Mapping[str, Metric], tasks: Sequence[str]) -> str:
    try:
        thresholds = from_json(text, name)
    except MleeError as error:
        raise ResultError(error.message, error.hint) from error
    if thresholds.index != kind:
        wanted = "the best of each metric" if thresholds.index == "best" else "a reference model"
        raise ResultError(f"{name} belongs to an index relative to {wanted}.", f"choose {wanted} as reference first")
    unknown = sorted({key for found in thresholds.by_task.values() for key in found} - set(metrics))
    if unknown:
        raise ResultError(f"{name}: there is no metric “{unknown[0][:60]}” here.", f"known: {', '.join(metrics)}")
    return _fitting(as_changes(thresholds, metrics, tasks), name)


def as_changes(thresholds: Thresholds, metrics: Mapping[str, Metric], tasks: Sequence[str]) -> str:
    """Write thresholds of these metrics and tasks as changes, as the address holds them."""
    changes = []
    for task in tasks:
        for key, metric in metrics.items():
            four = thresholds.get(task, key)
            if four is not None and (not metric.tasks or task in metric.tasks):
                changes.append((task, key, four))
    return write_thresholds(tuple(changes), thresholds.index)


def _fitting(text: str, name: str) -> str:
    if len(quote_plus(text)) > MAX_TEXT:
        raise ResultError(f"{name} holds more than an address can take.", "rate with python -m mlee.rate instead")
    return text


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e15 else repr(value)


def _parse(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
