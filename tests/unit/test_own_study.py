"""The study in results/ is what its README says it is."""

from __future__ import annotations

from collections import Counter

import pytest

from mlee.records import InferenceConfig, Outcome, RunResult
from scripts import own_study_readme as page

MOST_BYTES = 2_000_000


@pytest.fixture(scope="module")
def results() -> list[RunResult]:
    return page.study()


def test_the_readme_is_the_one_of_these_results(results: list[RunResult]) -> None:
    found = (page.FOLDER / "README.md").read_text(encoding="utf-8")
    assert found == page.text(results, found.partition("## What is not in it\n\n")[2].strip())


def test_every_network_ran_once_with_a_backend_and_says_what_was_not_measured(results: list[RunResult]) -> None:
    runs = Counter((result.model.name, result.config.backend) for result in results)
    assert set(runs.values()) == {1}
    for result in results:
        assert isinstance(result.config, InferenceConfig)
        assert isinstance(result.outcome, Outcome)
        assert (len(result.measurements), result.config.weights) == (3, "random")
        assert {measurement.provenance for measurement in result.measurements} == {"estimated"}
        assert result.outcome.accuracy_provenance == "published"


def test_the_study_is_small(results: list[RunResult]) -> None:
    assert sum((page.FOLDER / f"{result.run_id}.json").stat().st_size for result in results) < MOST_BYTES
