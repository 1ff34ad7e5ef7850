"""Explored data and pages for the tests of the explorer."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

from mlee.elex.data import Explored
from mlee.results.load import load
from tests.elex_data import write_results

PUBLISHED = Path(__file__).parents[3] / "shared" / "imageneteff22" / "results"
needs_published = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published results are not beside the project")


@cache
def small() -> Explored:
    """The small, nasty data set."""
    return Explored(load([write_results(Path(mkdtemp()))]))


@cache
def crowded() -> Explored:
    """Models in 300 environments, whose names are too long for an address that lists them."""
    folder = Path(mkdtemp())
    names = [f"Intel(R) Xeon(R) Platinum {number} CPU @ 2.40GHz - PyTorch 2.9.0+cu126" for number in range(300)]
    rows = [f"{model},{name},{number + own}" for number, name in enumerate(names) for own, model in enumerate("AB")]
    (folder / "runs.csv").write_text("\n".join(["model,environment,energy", *rows]))
    (folder / "meta_properties.json").write_text('{"energy": {"unit": "J", "maximize": false}}')
    return Explored(load([folder]))


@cache
def published() -> Explored:
    """The results of 2022."""
    return Explored(load([PUBLISHED]))
