"""CUDA_VISIBLE_DEVICES by CUDA's rules."""

from __future__ import annotations

import pytest

from mlee.records import Gpu
from mlee.sensors.visible_gpus import select_gpus

UUIDS = ("GPU-aaaa1111-0000-0000-0000-000000000000", "GPU-aaaa2222-0000", "GPU-bbbb3333-0000", "GPU-cccc4444-0000")
GPUS = tuple(Gpu(index=index, name="H100", uuid=uuid) for index, uuid in enumerate(UUIDS))
MIG = {"MIG-1111aaaa-0000": 1, "MIG-2222bbbb-0000": 1, "MIG-3333cccc-0000": 3}


def _visible(value: str) -> dict[str, str]:
    return {"CUDA_VISIBLE_DEVICES": value}


@pytest.mark.parametrize(
    ("value", "indices"),
    [
        ("0", (0,)),
        ("2,0", (2, 0)),
        (" 1 , 3 ", (1, 3)),
        ("0,1,2,3", (0, 1, 2, 3)),
        ("0,9,1", (0,)),
        ("0,-1,1", (0,)),
        ("1,,2", (1,)),
        ("1,abc,2", (1,)),
        ("9", ()),
        ("-1", ()),
        ("", ()),
        (" ", ()),
        ("NoDevFiles", ()),
        (UUIDS[2], (2,)),
        (UUIDS[2].upper().replace("GPU", "GPU"), (2,)),
        (f"{UUIDS[3]},{UUIDS[0]}", (3, 0)),
        ("GPU-bbbb", (2,)),
        ("GPU-b", (2,)),
        ("GPU-aaaa1", (0,)),
        ("GPU-aaaa", ()),
        ("GPU-", ()),
        ("GPU-bbbb,GPU-aaaa,GPU-cccc", (2,)),
        ("GPU-dddd", ()),
        (UUIDS[2] + "0", ()),
        ("MIG-1111aaaa-0000", (1,)),
        ("MIG-3333", (3,)),
        ("MIG-1111aaaa-0000,MIG-2222bbbb-0000", (1,)),
        ("MIG-9999", ()),
        ("MIG-GPU-bbbb3333-0000/1/0", (2,)),
        ("²", ()),
        ("٣", ()),
    ],
)
def test_cuda_visible_devices_chooses(value: str, indices: tuple[int, ...]) -> None:
    assert select_gpus(GPUS, _visible(value), None, MIG).indices == indices


@pytest.mark.parametrize("value", ["0,0", "1,0,1", f"{UUIDS[2]},{UUIDS[2]}"])
def test_a_gpu_named_twice_leaves_none_as_in_cuda(value: str) -> None:
    assert select_gpus(GPUS, _visible(value), None, MIG).indices == ()


def test_unset_means_all() -> None:
    assert select_gpus(GPUS, {}, None, MIG).indices == (0, 1, 2, 3)


@pytest.mark.parametrize("value", ["", "-1", "GPU-aaaa", "9"])
def test_nothing_visible_has_a_reason_and_a_mend(value: str) -> None:
    selection = select_gpus(GPUS, _visible(value), None, MIG)
    assert selection.reason is not None
    assert repr(value) in selection.reason
    assert selection.hint is not None


def test_an_invalid_entry_is_named_in_a_note() -> None:
    assert any("'9'" in note for note in select_gpus(GPUS, _visible("0,9,1"), None, MIG).notes)
    assert select_gpus(GPUS, _visible("0,-1"), None, MIG).notes == ()


def test_a_slice_is_charged_the_whole_gpu_and_says_so() -> None:
    selection = select_gpus(GPUS, _visible("MIG-3333cccc-0000"), None, MIG)
    assert selection.indices == (3,)
    assert any("whole GPU" in note for note in selection.notes)


@pytest.mark.parametrize("uuids", [[UUIDS[3], UUIDS[1]], [uuid.removeprefix("GPU-") for uuid in (UUIDS[3], UUIDS[1])]])
def test_the_uuids_of_the_framework_win_with_or_without_their_prefix(uuids: list[str]) -> None:
    assert select_gpus(GPUS, _visible("0"), uuids, MIG).indices == (3, 1)


def test_slices_of_one_gpu_named_by_the_framework_count_once() -> None:
    selection = select_gpus(GPUS, {}, ["MIG-1111aaaa-0000", "MIG-2222bbbb-0000"], MIG)
    assert selection.indices == (1,)


@pytest.mark.parametrize(
    ("environ", "noted"),
    [
        ({"CUDA_VISIBLE_DEVICES": "1"}, True),
        ({"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, False),
        ({"CUDA_VISIBLE_DEVICES": "GPU-b"}, False),
    ],
)
def test_an_index_among_gpus_of_several_types_is_only_sure_in_bus_order(environ: dict[str, str], noted: bool) -> None:
    mixed = (*GPUS[:3], Gpu(index=3, name="T4", uuid=UUIDS[3]))
    notes = select_gpus(mixed, environ, None, MIG).notes
    assert any("CUDA_DEVICE_ORDER" in note for note in notes) is noted


def test_a_machine_without_gpus_says_so() -> None:
    selection = select_gpus((), _visible("0"), None, {})
    assert selection.indices == ()
    assert selection.reason == "The driver reports no GPU."
