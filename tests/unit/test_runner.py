"""What a run makes of its options and outcomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlee.backends.base import InferenceRequest
from mlee.errors import ConfigError
from mlee.measuring import MeasuringOptions
from mlee.records import Outcome
from mlee.runner import _repeat_warnings, run_inference


def outcome(loss: float | None = 1.25, top1: float | None = 0.75) -> Outcome:
    return Outcome(samples=96, loss=loss, top1_accuracy=top1, top5_accuracy=top1)


@pytest.mark.parametrize(
    ("repeats", "said"),
    [
        ([outcome()], None),
        ([outcome(), outcome()], None),
        ([outcome(None, None), outcome(None, None)], None),
        ([outcome(), outcome(loss=1.25 * (1 + 1e-6))], None),  # sums in another order
        ([outcome(), outcome(loss=1.3)], "The loss of the repeats goes from 1.25 to 1.3"),
        ([outcome(), outcome(), outcome(top1=0.5)], "The repeats classified images differently"),
        ([outcome(), outcome(loss=1.3, top1=0.5)], "The repeats classified images differently"),
    ],
)
def test_repeats_that_differ_are_said_for_what_they_differ_in(repeats: list[Outcome], said: str | None) -> None:
    warnings = _repeat_warnings(repeats)
    assert [warning.code for warning in warnings] == ([] if said is None else ["not-repeatable"])
    if said is not None:
        assert warnings[0].message.startswith(said)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf"), 1e300, 8 * 24 * 3600.0])
def test_idle_seconds_that_nobody_waits_for_are_refused_before_anything_is_made(seconds: float, tmp_path: Path) -> None:
    options = MeasuringOptions(output_dir=tmp_path / "out", sensors=("simulated",), idle_seconds=seconds)
    with pytest.raises(ConfigError, match="--idle-seconds must be 0 to 604800"):
        run_inference(InferenceRequest(model="Tiny", data_path="synthetic:8"), "simulated", options)
    assert not (tmp_path / "out").exists()
