"""Which GPUs a run may use, as CUDA decides it: CUDA_VISIBLE_DEVICES, or what the framework says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from mlee.records import Gpu


@dataclass(frozen=True, slots=True)
class GpuSelection:
    """Indices of the chosen GPUs in the driver's order, remarks, and why there are none, where there are none."""

    indices: tuple[int, ...]
    notes: tuple[str, ...] = ()
    reason: str | None = None
    hint: str | None = None


def select_gpus(
    gpus: Sequence[Gpu],
    environ: Mapping[str, str],
    framework_uuids: Sequence[str] | None,
    mig_parents: Mapping[str, int],
) -> GpuSelection:
    """Choose the GPUs of a run.

    The framework's own list of UUIDs wins, since its order may differ from the driver's. Without it CUDA_VISIBLE_DEVICES
    is read by CUDA's rules: indices, "GPU-" UUIDs or unique prefixes of them, "MIG-" ids, up to the first invalid entry;
    "-1" or an empty string mean none. A MIG slice is charged its whole GPU (the driver does not measure slices).
    """
    if not gpus:
        return GpuSelection((), reason="The driver reports no GPU.")
    if framework_uuids is not None:
        return _resolve([_prefixed(uuid) for uuid in framework_uuids], gpus, mig_parents)
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return GpuSelection(tuple(gpu.index for gpu in gpus))
    entries = [entry.strip() for entry in visible.split(",")]
    selection = _resolve(entries, gpus, mig_parents)
    if not selection.indices:
        reason = f"CUDA_VISIBLE_DEVICES={visible!r} hides every GPU."
        return GpuSelection((), selection.notes, reason, "unset CUDA_VISIBLE_DEVICES to use all GPUs")
    differ = len({gpu.name for gpu in gpus}) > 1
    by_index = any(entry.isdigit() for entry in entries)
    if differ and by_index and environ.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID":
        note = "GPUs of several types chosen by index: set CUDA_DEVICE_ORDER=PCI_BUS_ID, or CUDA may count otherwise"
        return GpuSelection(selection.indices, (*selection.notes, note))
    return selection


def _prefixed(uuid: str) -> str:
    return uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"


def _resolve(entries: Sequence[str], gpus: Sequence[Gpu], mig_parents: Mapping[str, int]) -> GpuSelection:
    chosen: list[int] = []
    notes: list[str] = []
    valid = list(takewhile(lambda entry: _index_of(entry, gpus, mig_parents) is not None, entries))
    if len(set(valid)) < len(valid):  # CUDA then shows none (torch.cuda, _parse_visible_devices)
        return GpuSelection((), ("a GPU named twice makes CUDA hide all",))
    for entry in entries:
        index = _index_of(entry, gpus, mig_parents)
        if index is None:
            if entry not in ("", "-1"):
                notes.append(f"'{entry}' names no GPU of this machine: it and what follows are ignored, as CUDA does")
            break
        if entry.startswith("MIG-"):
            notes.append(f"'{entry}' is a slice of GPU {index}: the run is charged the whole GPU")
        if index not in chosen:
            chosen.append(index)
    return GpuSelection(tuple(chosen), tuple(notes))


def _index_of(entry: str, gpus: Sequence[Gpu], mig_parents: Mapping[str, int]) -> int | None:
    if entry.isascii() and entry.isdigit():
        number = int(entry)
        return gpus[number].index if number < len(gpus) else None
    if entry.startswith("MIG-GPU-"):  # the older spelling: MIG-<GPU UUID>/<GPU instance>/<compute instance>
        entry = entry.removeprefix("MIG-").partition("/")[0]
    if entry.startswith("MIG-"):
        parents = {parent for uuid, parent in mig_parents.items() if uuid.startswith(entry)}
    elif entry.startswith("GPU-"):
        parents = {gpu.index for gpu in gpus if gpu.uuid.lower().startswith(entry.lower())}
    else:
        return None
    return parents.pop() if len(parents) == 1 else None
