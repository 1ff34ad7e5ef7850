"""UUIDs of the GPUs of a run, for frameworks that do not tell them."""

from __future__ import annotations

import pytest

from mlee.backends.gpus import visible_uuids
from tests.simulated.nvml_stub import StubGpu, StubNvml


@pytest.mark.parametrize(("visible", "expected"), [(None, [0, 1, 2]), ("2,0", [2, 0]), ("1", [1]), ("", []), ("-1", [])])
def test_uuids_are_those_cuda_shows_in_its_order(
    visible: str | None, expected: list[int], stub_nvml: StubNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus = stub_nvml.configure([StubGpu(), StubGpu(), StubGpu()])
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert visible_uuids() == tuple(gpus[index].uuid for index in expected)
    assert len({gpu.uuid for gpu in gpus}) == 3


def test_without_a_driver_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    import pynvml

    def fail() -> None:
        raise pynvml.NVMLError_LibraryNotFound

    monkeypatch.setattr(pynvml, "nvmlInit", fail)
    assert visible_uuids() == ()
