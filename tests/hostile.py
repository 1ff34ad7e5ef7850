"""Hostile values, and a document with one of them in each of its places."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Step = str | int
_NEST: Any = 1
for _ in range(60):
    _NEST = [_NEST]

#: Stands for leaving the field out.
MISSING = object()
#: Values that are no quantity: a number that matters must not be one of these.
NO_QUANTITY: dict[str, Any] = {
    "nan": float("nan"),
    "inf": float("inf"),
    "minus inf": float("-inf"),
    "negative": -1.5,
    "text": "12.5",
    "1e308": 1e308,
    "huge": 10**400,
    "list": [],
    "object": {"a": 1},
    "true": True,
    "nested": _NEST,
}
OTHERS: dict[str, Any] = {"null": None, "missing": MISSING, "empty": "", "zero": 0, "markup": "<b>\\x $1$ & | # {%}\n=1+1"}
HOSTILE = {**NO_QUANTITY, **OTHERS}
#: Names that a format could take for more than a name.
NAMES = (
    "a & b % c $d$ # e_f {g} ~h ^i \\j",
    "<script>alert('x')</script> &amp; <!-- -->",
    "| pipe | `code` *bold* _it_ [link](http://x) ![i](j)",
    "=HYPERLINK(1)",
    "+1",
    "-1+1",
    "@SUM(A1)",
    "\ttab",
    "\rreturn",
    "a\nb\r\nc\rd",
    "quote \" comma , semicolon ; apostrophe '",
    "[option",
    "*star",
    "\x1b[31mred\x1b[0m\x07\x00",
    "\u202eright to left\u202c \u2028 line \u2029",
    "模型 Ωmega é 🤖",
    "%s {0} %n",
    "../../etc/passwd",
    "]]> --> <![CDATA[",
    "[bold]rich[/bold]",
    "-",
    "---",
    "None",
    "nan",
    "x" * 450,
)


def places(value: Any, path: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    """Every leaf and every container of a document, the whole excepted."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def at(document: Any, path: tuple[Step, ...]) -> Any:
    for step in path:
        document = document[step]
    return document


def changed(document: Any, path: tuple[Step, ...], value: Any) -> Any:
    """A copy with one value replaced, or left out for `MISSING`."""
    document = copy.deepcopy(document)
    place = at(document, path[:-1])
    if value is MISSING:
        del place[path[-1]]
    else:
        place[path[-1]] = copy.deepcopy(value)
    return document


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def write(path: Path, document: Any) -> Path:
    """Write JSON, with NaN and infinity as other programs would."""
    path.write_text(json.dumps(document), encoding="utf-8")
    return path
