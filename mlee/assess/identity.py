"""What identifies a row of a rated table: a digest that labels, pages and addresses share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from mlee.assess.run import RunSummary

#: Digits of a digest that are shown and stand in addresses.
SHORT = 16
#: Columns that depend on how a row is rated, not on what was measured.
_OF_RATING = ("reference",)


def row_digest(row: Mapping[Any, Any], runs: Mapping[str, RunSummary]) -> str:
    """SHA-256 of the row's result file; of several files' digests, or of the row's values where there is no file."""
    mine = [runs[name] for name in row["run_ids"] if name in runs]
    if len(mine) == 1:
        return mine[0].digest
    values = sorted((str(key), str(value)) for key, value in row.items() if key not in _OF_RATING)
    text = "".join(sorted(run.digest for run in mine)) or repr(values)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
