"""The entries of a site: one a model, task, data set and environment, each with the address of its page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mlee.assess.identity import row_digest
from mlee.assess.metric import Metric
from mlee.assess.rating import Rated
from mlee.assess.run import RunSummary
from mlee.elex.figures import is_share, written
from mlee.elex.words import known

FOLDER = "models"
_MAX_STEM = 110
_DIGEST = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """Row `number` of the rated table, its values, its runs, and the file of its page (from the folder of the site)."""

    number: int
    values: Mapping[Any, Any]
    runs: tuple[RunSummary, ...]
    digest: str
    file: str

    @property
    def model(self) -> str:
        """Its name."""
        return str(self.values["model"])

    @property
    def network(self) -> str:
        """Name of the model without what sets it apart from other runs of the same."""
        return self.runs[0].model if self.runs else self.model

    @property
    def environment(self) -> str:
        """Where it ran."""
        return str(self.values["environment"])

    @property
    def work(self) -> str:
        """What it did: task and data set."""
        return f"{self.values['task']} on {self.values['dataset']}"

    @property
    def estimated(self) -> bool:
        """Whether its energy was estimated by a model."""
        return bool(self.values.get("provenance") == "estimated")

    @property
    def hollow(self) -> bool:
        """Whether its energy was not measured: estimated, or taken from another tool."""
        return self.values.get("provenance") in ("estimated", "external")

    def value(self, metric: Metric) -> float | None:
        """Value of a metric in SI units."""
        return known(self.values.get(metric.key))

    def text(self, metric: Metric) -> str:
        """Write a value for people: `~` before an estimated energy, `(p)` behind a published accuracy."""
        value = self.value(metric)
        before = "~" if value is not None and self.estimated and metric.key.startswith("energy") else ""
        published = self.values.get("accuracy_provenance") == "published"
        return f"{before}{written(metric, value)}{' (p)' if value is not None and published and is_share(metric) else ''}"


def entries(rated: Rated, runs: Mapping[str, RunSummary]) -> list[Entry]:
    """Make the entries of a rated table, in its order."""
    rows = rated.table.to_dict("records")
    digests = [row_digest(row, runs) for row in rows]
    return [
        Entry(
            number=number,
            values=row,
            runs=tuple(runs[name] for name in row["run_ids"] if name in runs),
            digest=digest,
            file=f"{FOLDER}/{name}.html",
        )
        for number, (row, digest, name) in enumerate(zip(rows, digests, _names(rows, digests), strict=True))
    ]


def _names(rows: Iterable[Mapping[Any, Any]], digests: list[str]) -> list[str]:
    """Name files so that they can be read, written anywhere, and stay the same when other models are added.

    Where names would be the same, or had to be cut, the digest of the result is a part of them.
    """
    keys = ("model", "task", "dataset", "environment")
    words = [re.sub("[^a-z0-9]+", "-", " ".join(str(row[key]) for key in keys).lower()).strip("-") for row in rows]
    counts = Counter(words)
    lossy = [not re.search("[a-z0-9]", str(row["model"]).lower()) for row in rows]
    return [
        word
        if counts[word] == 1 and len(word) <= _MAX_STEM and not unreadable
        else f"{word[:_MAX_STEM].strip('-')}-{digest[:_DIGEST]}".strip("-")
        for word, digest, unreadable in zip(words, digests, lossy, strict=True)
    ]
