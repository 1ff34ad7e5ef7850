"""The commands that README and docs tell people to type."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md", *sorted(ROOT.glob("docs/*.md"))]
PAGES += [path for path in (ROOT / "results" / "README.md",) if path.exists()]


def commands(page: Path) -> list[str]:
    """Return the commands in a page's blocks of shell, as they stand there, one after another."""
    found = []
    for block in re.findall(r"```(?:sh|bash)\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
        lines = (line.partition(" #")[0].strip() for line in block.replace("\\\n", " ").splitlines())
        found += [line for line in lines if line]
    return found
