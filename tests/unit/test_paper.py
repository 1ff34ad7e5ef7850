"""The paper's tables and figures from other results than its own: few models, odd names, nothing to compare."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlee.cli.paper import main
from mlee.errors import ConfigError
from mlee.results import store
from tests.builders import run_result


def results(folder: Path, *models: str) -> Path:
    folder.mkdir()
    for number, name in enumerate(models):
        result = run_result()
        result = replace(
            result, run_id=f"infer_{number}", model=replace(result.model, name=name, parameters=10**6 * (number + 1))
        )
        (folder / f"infer_{number}.json").write_text(store.to_json(result))
    return folder


@pytest.mark.parametrize("models", [("a_b & 50 %",), ("small", r"C:\{x}$^~#"), ("ResNet101", "EfficientNetB0", "x" * 200)])
def test_any_results_give_tables_and_figures(tmp_path: Path, models: tuple[str, ...]) -> None:
    assert main(["--directory", str(results(tmp_path / "results", *models)), "--output", str(tmp_path / "out")]) == 0
    table = (tmp_path / "out" / "indexing-results.tex").read_text()
    assert "Test x2 PyTorch" in table or "Test PyTorch" in table
    for line in table.splitlines():
        if line.endswith(r"\\") and "Environment" not in line:
            assert line.count(" & ") == 9, "specials in names are escaped"
    assert (tmp_path / "out" / "hist_ratings.pdf").read_bytes().startswith(b"%PDF")
    assert not (tmp_path / "out" / "scatter_train_power_acc.pdf").exists()
    assert "of " in (tmp_path / "out" / "differences.md").read_text()


def test_without_data_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist") as caught:
        main(["--directory", str(tmp_path / "none"), "--output", str(tmp_path)])
    assert "--fetch" in str(caught.value.hint)
