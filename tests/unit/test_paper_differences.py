"""What exact rules change in the published results, counted by choice, against what is known of them (docs/rating.md)."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mlee.assess.metrics import METRICS
from mlee.assess.rating import Rated
from mlee.assess.rules import RULES_2022, RULES_EXACT
from mlee.paper import figures_bars, tables
from mlee.paper.choices import ALL, CHOICES, NONE, Letters, Rater, values_changed
from mlee.paper.differences import Change, find_changes, to_markdown
from mlee.paper.order import environments
from mlee.results.load import Loaded, load

DATA = Path(__file__).parents[3] / "shared" / "imageneteff22" / "results"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the published results are not at {DATA}")


@pytest.fixture(scope="module")
def loaded() -> tuple[Loaded, Loaded]:
    return load([DATA], RULES_2022), load([DATA], RULES_EXACT)


@pytest.fixture(scope="module")
def rater(loaded: tuple[Loaded, Loaded]) -> Rater:
    return Rater(*loaded)


@pytest.fixture(scope="module")
def changes(rater: Rater) -> list[Change]:
    return find_changes(rater)


def spread(letters: Letters, task: str) -> list[int]:
    counts = Counter(letter for key, letter in letters.items() if key[0] == task)
    return [counts[name] for name in "ABCDE"]


def test_the_median_alone_makes_what_rating_md_says(rater: Rater) -> None:
    before, alone = rater.letters(NONE), rater.letters(frozenset({"median"}))
    assert [spread(before, task) for task in ("inference", "training")] == [[32, 55, 52, 37, 0], [5, 12, 23, 15, 1]]
    assert [spread(alone, task) for task in ("inference", "training")] == [[19, 37, 59, 45, 16], [0, 8, 23, 21, 4]]
    changed = Counter(key[0] for key in before if before[key] != alone[key])
    assert changed == {"inference": 79, "training": 17}


def test_all_choices_together_are_exact_rules(rater: Rater) -> None:
    assert rater.left_over() == (0, 0)


def test_values_change_where_the_data_say_so(rater: Rater, loaded: tuple[Loaded, Loaded]) -> None:
    old = rater.table(NONE)
    changed = {name: values_changed(old, rater.table(frozenset({name}))) for name in ("CPU at training", "DRAM", "MACs")}
    # 22 trainings on the RTX 5000 machine, 16 of them of known full length; 128 inferences with a CPU's memory;
    # 13 trainings with 0 MACs and 32 ONNX inferences.
    assert changed == {"CPU at training": 22 + 16, "DRAM": 128 + 22 + 16, "MACs": 13 + 32}
    assert rater.table(NONE) is not rater.table(ALL)
    np.testing.assert_array_equal(rater.table(ALL)[list(METRICS)], loaded[1].table[list(METRICS)])


def test_every_change_has_smallest_causes_that_make_it(rater: Rater, changes: list[Change]) -> None:
    assert len(changes) == 88
    assert all(change.published != change.exact for change in changes)
    for change in changes:
        assert change.causes
        for cause in change.causes:
            assert rater.letters(cause)[change.key] == change.exact
            assert not any(other < cause for other in change.causes)
    together = [change for change in changes if all(len(cause) > 1 for cause in change.causes)]
    assert len(together) == 14


def test_the_page_tells_what_was_counted(rater: Rater, changes: list[Change], loaded: tuple[Loaded, Loaded]) -> None:
    text = to_markdown(changes, rater, loaded[0])
    assert "88 of 232 compound ratings differ" in text
    assert "80 become worse, 8 better" in text
    assert "| inference | exact | 27 | 37 | 54 | 37 | 21 | 0 |" in text
    pattern = r"^\| ([\w ]+) \| (\d*) \| (\d+) \| (\d+) \| (\d+) \| [a-z]"
    found = {row[0]: row[1:] for row in re.findall(pattern, text, re.MULTILINE | re.IGNORECASE)}
    assert list(found) == [choice.name for choice in CHOICES]
    assert found["median"] == ("", "96", "60", "61")
    assert found["thresholds"] == ("", "73", "46", "54")
    assert found["CPU at training"] == ("38", "1", "1", "3")
    assert "`train_2022_03_26_13_23_34` (training, MobileNetV3Large): The sensors were read for +3601 s longer" in text
    assert "| inference | A100 x8 - TensorFlow 2.8.0 | MobileNetV2 | A | B | median |" in text
    steps = [int(cell) for cell in re.findall(r"^\| \+ [\w ]+ \| (\d+) \|", text, re.MULTILINE)]
    assert len(steps) == len(CHOICES)
    assert steps[0] == 96


def test_environments_in_the_order_of_the_paper(rater: Rater) -> None:
    exact = rater.rated(ALL)
    rows = re.findall(r"^(\w[^&]*) & ResNet101 ", tables.indexing(exact), re.MULTILINE)
    assert rows == [
        *("A100 x8 TensorFlow", "A100 x8 PyTorch", "RTX 5000 TensorFlow", "RTX 5000 PyTorch"),
        *("Xeon W-2155 TensorFlow", "Xeon W-2155 PyTorch", "Xeon W-2155 ONNX TF", "Xeon W-2155 ONNX PT"),
    ]
    assert len(environments(exact, "training")) == 4


def test_the_bars_hold_the_numbers(rater: Rater, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def texts(figure: object) -> bytes:
        from matplotlib.text import Text

        drawn.extend(artist.get_text() for artist in figure.findobj(Text))  # type: ignore[attr-defined]
        return b""

    monkeypatch.setattr(figures_bars, "to_pdf", texts)
    published: Rated = rater.rated(NONE)
    assert figures_bars.histogram(published) is not None
    assert {"Inference", "Training", "26 models", "10 models"} <= set(drawn)
    counts = Counter({name: 0 for name in "ABCDE"})
    for text in drawn:
        if found := re.fullmatch(r"([A-E]) (\d+)", text):
            counts[found[1]] += int(found[2])
    small = Counter(text for text in drawn if re.fullmatch("[A-E]", text))  # too narrow for a number
    total = Counter(letter for letter in rater.letters(NONE).values())
    assert all(counts[name] <= total[name] <= counts[name] + 2 * small[name] for name in "ABCDE")
