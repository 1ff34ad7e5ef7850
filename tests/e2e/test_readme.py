"""The README's commands work: every ```bash block and every ```python block is run as it stands, one after another."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.slow
def test_commands(tmp_path: Path) -> None:
    """In an empty folder with the project's scripts, so that nothing is written into the project."""
    for script in ROOT.glob("*.py"):
        (tmp_path / script.name).symlink_to(script)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    script = "\n".join(["set -eu", *blocks("bash")])
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 3 runs merged into results" in done.stdout
    assert len(list((tmp_path / "results").glob("infer_*.json"))) == 3
    assert (tmp_path / "energy.json").is_file()


def test_python_snippet(tmp_path: Path) -> None:
    (snippet,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", snippet], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert " J, " in done.stdout


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
