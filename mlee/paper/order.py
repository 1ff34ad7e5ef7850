"""What the paper shows, chosen by rule from any results: the order of environments, the models of the table, short names."""

from __future__ import annotations

import re

from mlee.assess.rating import Rated

_EXAMPLE = "EfficientNetB0"


def environments(rated: Rated, task: str = "inference") -> list[str]:
    """Environments of a task: many GPUs before one before none, by hardware, and those with the most models first."""
    table = rated.table[rated.table["task"] == task]
    models = table["environment"].value_counts()

    def key(name: str) -> tuple[int, str, bool, int, str]:
        hardware, _, software = name.partition(" - ")
        count = re.search(r" x(\d+)", hardware)
        is_cpu = bool(re.search(r"Xeon|EPYC|Core|Ryzen|Threadripper|CPU", hardware))
        gpus = 0 if is_cpu else int(count[1]) if count else 1
        return (-gpus, hardware, "ONNX" in software, -int(models[name]), software)

    return sorted(models.index, key=key)


def short(environment: str, separator: str = " ") -> str:
    """Drop the version: "A100 x8 - TensorFlow 2.8.0" becomes "A100 x8 TensorFlow"."""
    hardware, _, software = environment.partition(" - ")
    name = re.sub(r"\s+(n\.a\.|v?\d[\w.+-]*)(?=$|,|\s\()", "", software).replace(" Export", "")
    return f"{hardware}{separator}{name}".strip()


def table_models(rated: Rated, environment: str) -> list[int]:
    """Rows of the two models of the indexing table: the reference, and EfficientNetB0 or else the best-rated other model."""
    table = rated.table
    mine = table.index[(table["task"] == "inference") & (table["environment"] == environment)]
    reference = [number for number in mine if table["model"].iloc[number] == table["reference"].iloc[number]]
    others = [number for number in mine if number not in reference]
    named = [number for number in others if table["model"].iloc[number] == _EXAMPLE]
    rest = sorted(
        others, key=lambda number: (rated.compound[number] < 0, rated.compound[number], table["model"].iloc[number])
    )
    return [*reference[:1], *(named or rest)[:1]]


def main_environment(rated: Rated, task: str) -> str | None:
    """Return the environment with the most models of a task, the first of them in the order of the table."""
    table = rated.table[rated.table["task"] == task]
    if table.empty:
        return None
    counts = table["environment"].value_counts()
    return next(name for name in environments(rated, task) if counts[name] == counts.max())
