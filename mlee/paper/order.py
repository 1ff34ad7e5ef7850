"""What the paper shows, chosen by rule from any results: the order of environments, the models of the table, short names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from mlee.assess.rating import Rated

_EXAMPLE = "EfficientNetB0"


def environments(rated: Rated, task: str | None = None) -> list[str]:
    """Environments of a task, or of all: many GPUs before one before none, by hardware, and those with most models first."""
    table = rated.table if task is None else rated.table[rated.table["task"] == task]
    models = rated.table["environment"].value_counts()  # of all tasks: the order is the same everywhere
    scopes = rated.table["scope"] if "scope" in rated.table else rated.table["model"].map(lambda _: "")
    with_gpu = {name for name, scope in zip(rated.table["environment"], scopes, strict=True) if "gpu" in str(scope)}

    def key(name: str) -> tuple[int, str, bool, int, str]:
        hardware, _, software = name.partition(" - ")
        count = re.search(r" x(\d+)(?= \+|$)", hardware)
        gpus = 0 if name not in with_gpu else int(count[1]) if count else 1
        return (-gpus, hardware, "ONNX" in software, -int(models[name]), software)

    return sorted(table["environment"].unique(), key=key)


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Leave versions out where names stay apart: "A100 x8 - TensorFlow 2.8.0" -> "A100 x8 TensorFlow"."""
    names = list(names)
    shorter = {name: _without_version(name) for name in names}
    found = Counter(shorter.values())
    return {name: short if found[short] == 1 else name.replace(" - ", " ", 1) for name, short in shorter.items()}


def _without_version(environment: str) -> str:
    hardware, _, software = environment.partition(" - ")
    name = re.sub(r"\s+(n\.a\.|v?\d[\w.+-]*)(?=$|,|\s\()", "", software).replace(" Export", "")
    return f"{hardware} {name}".strip() or environment


def datasets(rated: Rated, environment: str) -> list[str]:
    """Return the data sets of inference in an environment, the one with the most models first."""
    table = rated.table
    mine = table[(table["task"] == "inference") & (table["environment"] == environment)]
    counts = mine["dataset"].value_counts()
    return sorted(counts.index, key=lambda name: (-int(counts[name]), str(name)))


def table_models(rated: Rated, environment: str, dataset: str) -> list[int]:
    """Rows of the two models of the indexing table: the reference, and EfficientNetB0 or else the best-rated other model."""
    table = rated.table
    fits = (table["task"] == "inference") & (table["environment"] == environment) & (table["dataset"] == dataset)
    mine = [int(number) for number in fits.to_numpy().nonzero()[0]]
    models, references = table["model"], table["reference"]
    reference = [number for number in mine if models.iloc[number] == references.iloc[number]]
    others = [number for number in mine if number not in reference]
    named = [number for number in others if models.iloc[number] == _EXAMPLE]
    rest = sorted(others, key=lambda number: (rated.compound[number] < 0, rated.compound[number], models.iloc[number]))
    return [*reference[:1], *(named or rest)[:1]]


def main_environment(rated: Rated, task: str) -> str | None:
    """Return the environment with the most models of a task, the first of them in the order of the table."""
    table = rated.table[rated.table["task"] == task]
    if table.empty:
        return None
    counts = table["environment"].value_counts()
    return next(name for name in environments(rated, task) if counts[name] == counts.max())
