"""The summary table: a narrow terminal loses columns, never the model or a part of a number."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from mlee.cli.tables import Row, summary_row, summary_table
from tests import builders

NAMES = ("EfficientNetLite0", "ResNet50", "[bold]odd[/]")


def rows(*, several: bool = False) -> list[Row]:
    found = []
    for number, name in enumerate(NAMES):
        result = builders.run_result(model=replace(builders.run_result().model, name=name))
        if several and number:
            result = replace(result, config=replace(result.config, backend="simulated"))
        found.append(summary_row(result))
    return found


def rendered(width: int, *, several: bool = False) -> str:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(summary_table("Inference", rows(several=several), width))
    return out.getvalue()


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("width", [20, 30, 40, 50, 60, 70, 80, 100, 120, 160])
def test_every_model_is_there_and_nothing_is_cut(width: int, several: bool) -> None:
    text = rendered(width, several=several)
    lines = text.splitlines()
    for name in NAMES:
        assert any(line.strip().startswith(name) for line in lines), text
    assert "…" not in text
    assert max(len(line) for line in lines) <= width


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (20, ["model"]),
        (40, ["model", "energy/sample"]),
        (80, ["model", "time/sample", "energy/sample", "top-1", "parameters"]),
        (160, ["model", "samples", "time/sample", "energy/sample", "power", "top-1", "top-5", "parameters", "MACs"]),
    ],
)
def test_the_least_important_columns_go_first(width: int, shown: list[str]) -> None:
    header = next(line for line in rendered(width).splitlines() if "model" in line)
    assert header.split() == shown


def test_a_name_longer_than_the_terminal_is_folded() -> None:
    row = summary_row(builders.run_result(model=replace(builders.run_result().model, name="x" * 50)))
    out = io.StringIO()
    Console(file=out, width=20).print(summary_table("Inference", [row], 20))
    assert out.getvalue().count("x") == 50
