"""What a user's file says about its metrics (`meta_properties.json`), and what names and units say without it.

`meta_properties.json` is STREP's: `{column: {name, shortname, unit, group, maximize, weight, independent_of_task}}`, each
field optional. STREP minimises whatever lacks `maximize`; its own files leave it out for energy, time and size. Here a
direction is stated, or it follows from a unit or a name that has one meaning only, or the metric is shown and not rated.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from mlee.errors import ResultError
from mlee.results.foreign.units import to_si

META_NAME = "meta_properties.json"
#: The largest of STREP's own has 44 kB [B].
MAX_META_BYTES = 4 * 2**20
QUALITY, RESOURCES, COMPLEXITY, OTHER = "Quality", "Resources", "Complexity", "Other"

_HIGHER = {
    *("accuracy", "acc", "f1", "auc", "auroc", "auprc", "precision", "recall", "bleu", "iou", "miou", "dice", "ndcg", "mrr"),
    *("r2", "throughput"),
}
_LOWER = {
    **dict.fromkeys(("loss", "logloss", "error", "mse", "rmse", "mae", "mape", "smape", "mase", "perplexity"), QUALITY),
    **dict.fromkeys(("wer", "cer"), QUALITY),
    **dict.fromkeys(("time", "runtime", "duration", "latency", "energy", "emissions", "co2", "co2e"), RESOURCES),
    **dict.fromkeys(("parameters", "params", "flops", "gflops", "macs", "fsize", "memory"), COMPLEXITY),
}
#: One of these turns a name round or makes it something else: energy_saved, accuracy_std, loss_scale, start_time.
_TWISTS = {
    *("neg", "negative", "inverse", "saved", "saving", "savings", "reduction", "improvement", "gain", "drop", "gap"),
    *("diff", "difference", "delta", "ratio", "efficiency", "factor", "per", "std", "stderr", "var", "variance", "ci"),
    *(
        "uncertainty",
        "scale",
        "weight",
        "limit",
        "budget",
        "target",
        "threshold",
        "left",
        "remaining",
        "start",
        "end",
        "stamp",
    ),
    *("step", "steps", "hyper", "system", "rank"),
}
_PER_WHAT = {"sample", "inference", "batch", "epoch", "image", "token", "request", "query"}
_UNIT_GROUPS = {"J": RESOURCES, "s": RESOURCES, "kg": RESOURCES, "B": COMPLEXITY}
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_WORD = re.compile(r"[^A-Za-z0-9]+")


class _MetaProperty(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    name: str | None = None
    shortname: str | None = None
    unit: str | None = None
    group: str | None = None
    maximize: bool | None = None
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    independent_of_task: bool | None = None


_META = TypeAdapter(dict[str, _MetaProperty])


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """A metric as its file describes it, before its values are known."""

    column: str  # name in the table
    key: str
    label: str
    symbol: str
    unit: str = ""  # as written
    group: str = OTHER
    higher_is_better: bool | None = None  # None: not known, not rated
    guessed: bool = False  # the direction was not stated
    weight: float | None = None
    independent_of_task: bool = False
    never_negative: bool = False


def guess(column: str, key: str, unit: str = "") -> Property:
    """Describe a metric by its unit and name alone; `higher_is_better` stays `None` unless both leave no doubt.

    >>> [guess(name, name).higher_is_better for name in ("val_accuracy", "trainLoss", "energy_saved", "score")]
    [True, False, None, None]
    """
    words = set(_NO_WORD.split(_CAMEL.sub("_", key).lower()))
    twists = words & _TWISTS
    if words & _PER_WHAT:
        twists -= {"per"}  # energy per sample is an energy, accuracy per joule is not an accuracy
    lower = sorted({_LOWER[word] for word in words & _LOWER.keys()})
    higher = bool(words & _HIGHER)
    si_unit = to_si(unit)[1]
    described = Property(column=column, key=key, label=key, symbol=key, unit=unit, guessed=True)
    if si_unit in _UNIT_GROUPS and not higher and not twists:
        return replace(described, higher_is_better=False, group=_UNIT_GROUPS[si_unit])
    if twists or (higher and lower) or len(lower) > 1 or not (higher or lower):
        return described
    if higher:
        return replace(described, higher_is_better=True, group=RESOURCES if "throughput" in words else QUALITY)
    return replace(described, higher_is_better=False, group=lower[0], never_negative=lower[0] != QUALITY)


def load_properties(folder: Path) -> dict[str, Property] | None:
    """Read `meta_properties.json` of a folder, `None` without one; raises `ResultError` naming file and field."""
    path = folder / META_NAME
    try:
        if not path.is_file():
            return None
        if path.stat().st_size > MAX_META_BYTES:
            raise ResultError(f"{path} is larger than {MAX_META_BYTES // 2**20} MB: not a description of metrics.")
        document: Any = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_unique)
        meta = _META.validate_python(document, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ResultError(f"{path}: {f'field {where}: ' if where else ''}{first['msg']}", _hint()) from error
    except (ValueError, RecursionError) as error:
        raise ResultError(f"{path} is not JSON: {error}", _hint()) from error
    except OSError as error:
        raise ResultError(f"{path} cannot be read: {error}") from error
    return {column: _property(column, described) for column, described in meta.items()}


def _property(column: str, meta: _MetaProperty) -> Property:
    unit = (meta.unit or "").strip()
    guessed = guess(column, column, unit)
    stated = meta.maximize is not None
    return replace(
        guessed,
        label=(meta.name or "").strip() or column,
        symbol=(meta.shortname or "").strip() or column,
        group=(meta.group or "").strip() or guessed.group,
        higher_is_better=meta.maximize if stated else guessed.higher_is_better,
        guessed=not stated,
        weight=meta.weight,
        independent_of_task=bool(meta.independent_of_task),
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"field {next(name for name in names if names.count(name) > 1)} is given twice")
    return fields


def _hint() -> str:
    return 'write {"<column>": {"name": "...", "unit": "J", "group": "Resources", "maximize": false}, ...}'
