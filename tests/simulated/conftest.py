"""Fixtures for tests that need simulated hardware."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulated.compiling import CompilerMissing
from tests.simulated.nvml_stub import StubNvml, installed


@pytest.fixture
def stub_nvml(tmp_path: Path) -> Iterator[StubNvml]:
    """The stub driver in place of the real one, at virtual time 0 and without GPUs until `configure` is called."""
    try:
        with installed(tmp_path) as stub:
            stub.set_clock(0.0)
            yield stub
    except CompilerMissing as reason:
        pytest.skip(str(reason))
