"""Fixtures for tests that need simulated hardware."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.simulated.compiling import CompilerMissing
from tests.simulated.machine import VirtualMachine
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


@pytest.fixture
def make_machine(tmp_path: Path) -> Iterator[Callable[..., VirtualMachine]]:
    """Make machines in virtual time (arguments of `VirtualMachine` but the folder); they are closed after the test."""
    with ExitStack() as stack:

        def make(**hardware: object) -> VirtualMachine:
            machine = VirtualMachine(tmp_path / f"machine{len(made)}", **hardware)  # type: ignore[arg-type]
            made.append(machine)
            stack.callback(machine.close)
            return machine

        made: list[VirtualMachine] = []
        yield make
