"""The paper's tables from its data: the numbers that were published, and files that come out the same each time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlee.assess.rating import Rated, RatingOptions, rate
from mlee.assess.rules import RULES_2022
from mlee.cli.paper import main
from mlee.paper import tables
from mlee.results.load import Loaded, load

DATA = Path(__file__).parents[3] / "shared" / "imageneteff22"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the published results are not at {DATA}")

#: The published table: environment -> model -> (value, class and index) of energy [Ws], time [ms], parameters, accuracy.
PUBLISHED = """
A100 x8 TensorFlow | ResNet101 | 0.859 C1.00 | 1.579 C1.00 | 44.7e6 D1.00 | 0.718 C1.00
A100 x8 TensorFlow | EfficientNetB0 | 0.673 B1.28 | 1.369 B1.15 | 5.3e6 B8.39 | 0.681 D0.95
A100 x8 PyTorch | ResNet101 | 0.897 C1.00 | 1.664 C1.00 | 44.5e6 D1.00 | 0.770 C1.00
A100 x8 PyTorch | EfficientNetB0 | 0.877 C1.02 | 1.870 C0.89 | 5.3e6 A8.42 | 0.777 B1.01
RTX 5000 TensorFlow | ResNet101 | 0.680 C1.00 | 2.653 C1.00 | 44.7e6 D1.00 | 0.718 C1.00
RTX 5000 TensorFlow | EfficientNetB0 | 0.260 A2.62 | 1.180 A2.25 | 5.3e6 B8.39 | 0.681 D0.95
RTX 5000 PyTorch | ResNet101 | 0.740 C1.00 | 2.643 C1.00 | 44.5e6 D1.00 | 0.770 C1.00
RTX 5000 PyTorch | EfficientNetB0 | 0.288 A2.57 | 1.143 A2.31 | 5.3e6 A8.42 | 0.777 B1.01
Xeon W-2155 TensorFlow | ResNet101 | 3.115 C1.00 | 25.305 C1.00 | 44.7e6 D1.00 | 0.718 C1.00
Xeon W-2155 TensorFlow | EfficientNetB0 | 1.706 A1.83 | 13.911 A1.82 | 5.3e6 B8.39 | 0.681 D0.95
Xeon W-2155 PyTorch | ResNet101 | 4.121 C1.00 | 33.532 C1.00 | 44.5e6 D1.00 | 0.770 C1.00
Xeon W-2155 PyTorch | EfficientNetB0 | 1.330 A3.10 | 11.909 A2.82 | 5.3e6 A8.42 | 0.777 B1.01
Xeon W-2155 ONNX TF | ResNet101 | 2.188 C1.00 | 15.947 C1.00 | 44.7e6 D1.00 | 0.720 C1.00
Xeon W-2155 ONNX TF | EfficientNetB0 | 1.059 A2.07 | 9.309 B1.71 | 5.3e6 B8.39 | 0.683 D0.95
Xeon W-2155 ONNX PT | ResNet101 | 2.110 C1.00 | 15.101 C1.00 | 44.5e6 D1.00 | 0.770 C1.00
Xeon W-2155 ONNX PT | EfficientNetB0 | 0.745 A2.83 | 6.388 A2.36 | 5.3e6 A8.42 | 0.777 B1.01
"""


@pytest.fixture(scope="module")
def published() -> tuple[Rated, Loaded]:
    loaded = load([DATA / "results"], RULES_2022)
    return rate(loaded.table, list(loaded.metrics.values()), RatingOptions(rules=RULES_2022)), loaded


def test_the_indexing_table_value_for_value(published: tuple[Rated, Loaded]) -> None:
    found, environment = [], ""
    for line in tables.indexing(published[0]).splitlines():
        cells = [cell.strip() for cell in line.removesuffix(r"\\").split(" & ")]
        if len(cells) != 10 or cells[0] == "Environment":
            continue
        environment = cells[0] or environment
        pairs = [
            f"{value} " + re.sub(r"\\colorbox\{R(.)\}\{(.*)\}", r"\1\2", index)
            for value, index in zip(cells[2::2], cells[3::2], strict=True)
        ]
        found.append(" | ".join([environment, cells[1], *pairs]))
    assert found == PUBLISHED.strip().splitlines()


def test_the_table_of_environments(published: tuple[Rated, Loaded]) -> None:
    text = tables.exec_envs(*published)
    assert "A100 x8 TensorFlow & AMD EPYC 7742 64-Core Processor & 8 $" in text
    assert r"$\times$ NVIDIA A100-SXM4-40GB & tensorflow & 2.8.0 & 26 & 21" in text
    assert (
        r"RTX 5000 PyTorch & Intel(R) Xeon(R) W-2155 CPU @ 3.30GHz & Quadro RTX 5000 & torch & 1.10.2+cu113 & 22 & 12"
        in text
    )
    assert "onnxruntime & 1.10.0 & 17 & 0" in text


@pytest.mark.slow
def test_everything_is_written_and_comes_out_the_same_again(tmp_path: Path) -> None:
    arguments = ["--directory", str(DATA / "results"), "--output"]
    assert main([*arguments, str(tmp_path / "once")]) == 0
    assert main([*arguments, str(tmp_path / "again")]) == 0
    names = {str(path.relative_to(tmp_path / "once")) for path in (tmp_path / "once").rglob("*.*")}
    figures = {"scatter_power_acc.pdf", "scatter_parameters_runtime.pdf", "scatter_train_power_acc.pdf", "hist_ratings.pdf"}
    rest = {"exec-envs.tex", "indexing-results.tex", "label_inference_MobileNetV2.pdf", "label_training_EfficientNetB2.pdf"}
    assert names == {*figures, *rest, *(f"exact/{name}" for name in figures | rest), "differences.md"}
    for name in names:
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name
    text = (tmp_path / "once" / "differences.md").read_text()
    assert "88 of 232 compound ratings differ" in text
    assert "| inference | A100 x8 - TensorFlow 2.8.0 | MobileNetV2 | A | B |" in text
    assert text.count("\n| inference |") + text.count("\n| training |") == 88 + 4
