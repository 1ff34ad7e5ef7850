"""The view: everything a visitor chose, as the page's address holds it.

Keys are short, defaults are left out, and whatever an address says is checked against the data: what does not exist falls
back to the default, with a notice. The address is all there is; the server remembers nothing.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from urllib.parse import parse_qsl, quote, urlencode

from mlee.assess.compound import MODES
from mlee.assess.metric import Metric
from mlee.assess.rating import BEST, FROM_DATA
from mlee.assess.rules import RULES
from mlee.elex.data import Choices, Explored, RatingChoice
from mlee.elex.tuning import read_thresholds, read_weights, write_thresholds, write_weights

#: Longest address that is read [characters]: with path, theme and version it fits into a request line (serve.py).
MAX_ADDRESS = 8000
#: Longest that the page makes: it asks for parts with the digest of a model added.
MAX_WRITTEN = MAX_ADDRESS - 50
MAX_COMPARED = 4
TABS = ("scatter", "ratings", "table", "metrics", "compare", "time")
SCALES = ("value", "index")
AXES = ("x", "y")
SHOW = ("zones", "front", "names", "errors", "lines")
#: What is shown at first. Lines join a model across environments: with one there are none.
DEFAULT_SHOW = ("zones", "front", "errors", "lines")
NONE = "-"  # an empty list, where an empty list is not the default
ALL = "*"  # all environments: an address could not list a hundred of them
_FAVOURITE_X = ("energy_per_sample", "energy_per_epoch", "time_per_sample", "time_per_epoch")
_FAVOURITE_Y = ("top1_accuracy",)
#: Metrics that people read on a linear axis; all others span decades.
_LINEAR_GROUPS = ("Quality",)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One view of the data; every field is valid for it."""

    tab: str
    task: str
    dataset: str
    environments: tuple[str, ...]
    models: str  # words that a model's name must contain, any of them
    x: str
    y: str
    scale: str
    log: tuple[str, ...]
    show: tuple[str, ...]
    rating: RatingChoice
    selected: str | None = None
    compared: tuple[str, ...] = ()
    trace: str | None = None


#: Field -> key in the address.
KEYS = {
    "tab": "tab",
    "task": "t",
    "dataset": "d",
    "environments": "e",
    "models": "q",
    "x": "x",
    "y": "y",
    "scale": "s",
    "log": "l",
    "show": "o",
    "reference": "r",
    "mode": "m",
    "rules": "u",
    "weights": "w",
    "thresholds": "h",
    "selected": "i",
    "compared": "c",
    "trace": "n",
}


def default_view(data: Explored, task: str | None = None, dataset: str | None = None, scale: str = "value") -> View:
    """Return the view of an address that says nothing but these; `data` must not be empty."""
    tasks = data.tasks
    task = task or ("inference" if "inference" in tasks else tasks[0])
    dataset = dataset or data.datasets(task)[0]
    found = data.choices[task, dataset]
    keys = [metric.key for metric in found.metrics]
    x = next((key for key in _FAVOURITE_X if key in keys), keys[0])
    y = next((key for key in _FAVOURITE_Y if key in keys and key != x), next((key for key in keys if key != x), x))
    return View(
        tab="scatter",
        task=task,
        dataset=dataset,
        environments=tuple(name for name, _ in found.environments[:1]),
        models="",
        x=x,
        y=y,
        scale=scale,
        log=default_log(data.metrics, x, y),
        show=DEFAULT_SHOW,
        rating=RatingChoice(),
    )


def default_log(metrics: Mapping[str, Metric], x: str, y: str) -> tuple[str, ...]:
    """Return which axes are logarithmic at first."""
    return tuple(
        axis for axis, key in zip(AXES, (x, y), strict=True) if key in metrics and metrics[key].group not in _LINEAR_GROUPS
    )


class _Address:
    """The pairs of an address, read once; collects notices about what it cannot mean."""

    def __init__(self, search: str) -> None:
        self.notices: list[str] = []
        if len(search) > MAX_ADDRESS:
            self.notices.append(f"The address is longer than {MAX_ADDRESS} characters and was not read.")
            search = ""
        self._pairs: dict[str, list[str]] = {}
        for key, value in parse_qsl(search.removeprefix("?"), keep_blank_values=True):
            self._pairs.setdefault(key, []).append(value)

    def text(self, key: str) -> str | None:
        return self._pairs.get(key, [None])[-1]

    def one_of(self, key: str, known: Iterable[str], default: str, what: str) -> str:
        value, known = self.text(key), tuple(known)
        if value is None or value in known:
            return default if value is None else value
        self.notices.append(f"There is no {what} “{_short(value)}” here; showing {_short(default)}.")
        return default

    def some_of(self, key: str, known: Container[str], default: tuple[str, ...], what: str) -> tuple[str, ...]:
        values = self._pairs.get(key)
        if values is None:
            return default
        found = tuple(name for name in dict.fromkeys(values) if name in known)
        odd = [value for value in dict.fromkeys(values) if value not in known and value != NONE]
        if odd:
            self.notices.append(f"There is no {what} {', '.join(f'“{_short(value)}”' for value in odd[:3])} here.")
            return found or default
        return found

    def environments(self, found: Choices, default: tuple[str, ...]) -> tuple[str, ...]:
        if self._pairs.get("e") == [ALL] and ALL not in found.rows:
            return tuple(name for name, _ in found.environments)
        return self.some_of("e", found.rows, default, "environment")


def parse(search: str, data: Explored) -> tuple[View, tuple[str, ...]]:
    """Read an address; returns a valid view and notices for people. `data` must not be empty."""
    address = _Address(search)
    task = address.one_of("t", data.tasks, default_view(data).task, "task")
    datasets = data.datasets(task)
    dataset = address.one_of("d", datasets, datasets[0], "data set")
    start = default_view(data, task, dataset)
    found = data.choices[task, dataset]
    keys = [metric.key for metric in found.metrics]
    x = address.one_of("x", keys, start.x, "metric")
    y = address.one_of("y", keys, start.y, "metric")
    view = replace(
        start,
        tab=address.one_of("tab", TABS, start.tab, "tab"),
        environments=address.environments(found, start.environments),
        models=(address.text("q") or "").strip()[:200],
        x=x,
        y=y,
        scale=address.one_of("s", SCALES, start.scale, "scale"),
        log=address.some_of("l", AXES, default_log(data.metrics, x, y), "axis"),
        show=address.some_of("o", SHOW, start.show, "option"),
        rating=_rating(address, data, found),
        selected=_known_id(address, data),
        compared=address.some_of("c", data.row_of, (), "result")[:MAX_COMPARED],
        trace=(address.text("n") or "")[:300] or None,
    )
    return view, tuple(address.notices)


def _known_id(address: _Address, data: Explored) -> str | None:
    value = address.text("i")
    if not value:
        return None
    if value not in data.row_of:
        address.notices.append(f"There is no result {_short(value)} here.")
        return None
    return value


def _rating(address: _Address, data: Explored, found: Choices) -> RatingChoice:
    rules = address.one_of("u", RULES, RatingChoice().rules, "rule set")
    reference: str | None = address.text("r") or None
    if reference is not None and reference not in (BEST, *found.references):
        address.notices.append(f"There is no model “{_short(reference)}” here to be the reference.")
        reference = None
    choice = RatingChoice(reference=reference, mode=address.one_of("m", MODES, RatingChoice().mode, "mode"), rules=rules)
    weights, odd = read_weights(address.text("w") or "", data.metrics)
    address.notices += odd
    text = address.text("h") or ""
    if text == FROM_DATA:
        return replace(choice, weights=weights, thresholds=FROM_DATA)
    thresholds, odd = read_thresholds(text, choice.kind, data.metrics, data.tasks)
    address.notices += odd
    return replace(choice, weights=weights, thresholds=thresholds)


def values(view: View) -> dict[str, str | list[str]]:
    """Return the value of every key of the address."""
    found: dict[str, str | list[str]] = {}
    for field in fields(View):
        value = getattr(view, field.name)
        if isinstance(value, RatingChoice):
            found |= {
                "r": value.reference or "",
                "m": value.mode,
                "u": value.rules,
                "w": write_weights(value.weights),
                "h": write_thresholds(value.thresholds, value.kind),
            }
        else:
            found[KEYS[field.name]] = list(value) if isinstance(value, tuple) else value or ""
    return found


def defaults(view: View, data: Explored) -> dict[str, str | list[str]]:
    """Return the value each key has when the address leaves it out, next to the others of this view."""
    start = default_view(data)
    task, dataset = start.task, start.dataset
    if view.task != task:
        dataset = default_view(data, view.task).dataset
    here = default_view(data, view.task, view.dataset)
    found = values(replace(here, log=default_log(data.metrics, view.x, view.y)))
    return found | {"t": task, "d": dataset}


def write(view: View, data: Explored) -> str:
    """Write the address of a view (`?...`, empty for the default view)."""
    usual = defaults(view, data)
    everywhere = [name for name, _ in data.choices[view.task, view.dataset].environments]
    pairs: list[tuple[str, str]] = []
    for key, value in values(view).items():
        if value == usual[key]:
            continue
        if key == KEYS["environments"] and value == everywhere and ALL not in everywhere:
            value = [ALL]
        if isinstance(value, list):
            pairs += [(key, each) for each in value] or [(key, NONE)]
        else:
            pairs.append((key, value))
    return "?" + urlencode(pairs, quote_via=quote, safe="~:/,*") if pairs else ""


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
