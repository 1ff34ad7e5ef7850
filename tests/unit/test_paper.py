"""The paper's tables and figures from other results than its own: few models, odd names, no training, nothing to compare."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlee.assess.rating import Rated, rate
from mlee.cli.paper import main
from mlee.errors import ConfigError
from mlee.paper import figures, figures_bars, tables
from mlee.paper.archive import PART
from mlee.paper.order import datasets, environments, main_environment, short_names, table_models
from mlee.paper.placement import place
from mlee.results import store
from mlee.results.load import Loaded, load
from tests import builders_2022
from tests.builders import config, cpu_energy, measurement, platform, run_result

ODD = ["a_b & 50 %", r"C:\{x}$^~#", "名前 $x", "x" * 200, "ResNet50"]


def results(folder: Path, *models: str, **fields: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(models):
        result = run_result(**fields)
        facts = replace(result.model, name=name, parameters=10**6 * (number + 1))
        run_id = f"infer_{len(list(folder.iterdir()))}"
        (folder / f"{run_id}.json").write_text(store.to_json(replace(result, run_id=run_id, model=facts)))
    return folder


def rated(folder: Path) -> tuple[Rated, Loaded]:
    loaded = load([folder])
    return rate(loaded.table, list(loaded.metrics.values())), loaded


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the figures, which take most of the time."""
    monkeypatch.setattr(figures, "scatter", lambda *_: b"%PDF")
    monkeypatch.setattr(figures_bars, "histogram", lambda _: b"%PDF")


@pytest.fixture
def unsaved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Draw figures without writing them as PDF; the list gets their texts."""
    from matplotlib.text import Text

    drawn: list[str] = []
    for module in (figures, figures_bars):
        monkeypatch.setattr(
            module, "to_pdf", lambda figure: drawn.extend(text.get_text() for text in figure.findobj(Text)) or b"%PDF"
        )
    return drawn


def braces_match(text: str) -> bool:
    depth = 0
    for token in re.findall(r"\\.|[{}]", text):
        depth += {"{": 1, "}": -1}.get(token, 0)
        if depth < 0:
            return False
    return depth == 0


def test_any_results_give_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = results(tmp_path / "results", *ODD), tmp_path / "out"
    assert main(["--directory", str(folder), "--output", str(out)]) == 0
    for place_ in (out, out / "exact"):
        rows = [line for line in (place_ / "indexing-results.tex").read_text().splitlines() if line.endswith(r"\\")]
        assert [line.count(" & ") for line in rows] == [5, 0, 9, 9], "specials in names are escaped"
        assert (place_ / "hist_ratings.pdf").read_bytes().startswith(b"%PDF")
        assert (place_ / "scatter_power_acc.pdf").stat().st_size < 60_000
        assert not (place_ / "scatter_train_power_acc.pdf").exists()
    text = (out / "differences.md").read_text()
    assert re.search(r"\d of 5 compound ratings differ", text)
    said = " ".join(capsys.readouterr().err.split())
    assert "scatter_train_power_acc.pdf: no model has a value on both axes" in said
    assert "There is no ResNet101 here" in said


def test_names_are_escaped_in_tables(tmp_path: Path) -> None:
    odd = r"100% #1 $x_{y}^2~\input{evil} <a|b>"
    named, loaded = rated(results(tmp_path / "results", odd, platform=platform(cpu_name=odd, packages={"torch": odd})))
    for text in (tables.indexing(named), tables.exec_envs(named, loaded)):
        assert r"100\% \#1 \$x\_\{y\}\textasciicircum{}2\textasciitilde{}\textbackslash{}input\{evil\}" in text
        assert braces_match(text)


def test_a_table_defines_its_colours_and_cleans_up(tmp_path: Path) -> None:
    text = tables.indexing(rated(results(tmp_path / "results", "a", "b"))[0])
    assert re.findall(r"\\providecolor{R(.)}{HTML}{([0-9A-F]{6})}", text) == [
        *(("A", "195C23"), ("B", "54BB71"), ("C", "DDD23D"), ("D", "E27312"), ("E", "BA1535"))
    ]
    assert text.count(r"\begingroup") == text.count(r"\endgroup") == 1
    assert text.index(r"\begingroup") < text.index(r"\renewcommand{\colorbox}") < text.index(r"\begin{tabular}")


def test_repeats_are_pooled_under_both_rules_and_said(tmp_path: Path, fast: None) -> None:
    folder = results(tmp_path / "results", "a", "a", "b")
    assert main(["--directory", str(folder), "--output", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "differences.md").read_text()
    assert "of 2 compound ratings" in text
    assert "their runs are pooled" in text


def test_trainings_alone(tmp_path: Path, unsaved: list[str]) -> None:
    (tmp_path / "in").mkdir()
    for number, model in enumerate(["ResNet101", "VGG16", "Xception"]):
        document = builders_2022.training(f"train_2022_03_10_16_29_3{number}", model, gpu_j=1e7 * (number + 1))
        (tmp_path / "in" / f"{number}.json").write_text(json.dumps(document))
    assert main(["--directory", str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 0
    assert "RTX 5000 PyTorch" in (tmp_path / "out" / "exec-envs.tex").read_text()
    assert r"\colorbox{R" not in (tmp_path / "out" / "indexing-results.tex").read_text()
    assert not (tmp_path / "out" / "scatter_train_power_acc.pdf").exists(), "trainings alone have no accuracy"


@pytest.mark.parametrize("models", [("a", "b"), ()])
def test_tables_of_other_tools(tmp_path: Path, unsaved: list[str], models: tuple[str, ...]) -> None:
    folder = results(tmp_path / "results", *models)
    (folder / "table.csv").write_text("model,environment,task,score\nm1,e1,inference,0.5\nm2,e1,inference,0.9\n")
    meta = {"score": {"name": "Score", "unit": "", "group": "Quality", "weight": 1, "maximize": True}}
    (folder / "meta_properties.json").write_text(json.dumps(meta))
    assert main(["--directory", str(folder), "--output", str(tmp_path / "out")]) == 0
    table = (tmp_path / "out" / "exec-envs.tex").read_text()
    assert re.search(r"e1[^&]* & n\.a\. & n\.a\. & n\.a\. &  & \d & 0 ", table)


def test_what_cannot_be_read_is_named_and_the_rest_is_made(
    tmp_path: Path, fast: None, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = results(tmp_path / "results", "a", "b")
    (folder / "broken.json").write_text("{")
    assert main(["--directory", str(folder), "--output", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.count("broken.json is not JSON") == 1
    assert (tmp_path / "out" / "differences.md").exists()


def test_an_older_figure_that_is_not_made_again_is_named(
    tmp_path: Path, fast: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "scatter_train_power_acc.pdf").write_text("old")
    monkeypatch.setattr(figures, "scatter", lambda _, task, *__: None if task == "training" else b"%PDF")
    main(["--directory", str(results(tmp_path / "results", "a", "b")), "--output", str(tmp_path / "out")])
    assert " ".join(capsys.readouterr().err.split()).count("the file there is an older one") == 1


def test_without_data_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in ([], ["--directory", "none"]):
        with pytest.raises(ConfigError, match="does not exist") as caught:
            main(arguments)
        assert "--fetch" in str(caught.value.hint)
        assert "--directory" in str(caught.value.hint)
    assert list(tmp_path.iterdir()) == []


def test_without_a_directory_the_fetched_results_come_before_the_own(
    tmp_path: Path, fast: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    results(tmp_path / "results", "own1", "own2")
    (tmp_path / "published_results").mkdir()  # left by a download that failed
    with pytest.raises(ConfigError, match="paper_results holds what the published results make"):
        main([])
    assert not Path("paper_results").exists()
    assert main(["--output", "own_results"]) == 0
    assert "own1" in Path("own_results", "indexing-results.tex").read_text()
    results(tmp_path / "published_results", "fetched1", "fetched2")
    assert main([]) == 0
    assert "fetched1" in Path("paper_results", "indexing-results.tex").read_text()


def test_half_of_a_download_is_not_taken_for_all(tmp_path: Path) -> None:
    folder = results(tmp_path / "results", "a")
    (folder / PART).write_bytes(b"")
    with pytest.raises(ConfigError, match="not complete") as caught:
        main(["--directory", str(folder), "--output", str(tmp_path / "out")])
    assert "--fetch" in str(caught.value.hint)


def test_environments_are_found_by_any_spelling(tmp_path: Path, fast: None) -> None:
    folder = results(tmp_path / "results", "a", "b")
    arguments = ["--directory", str(folder), "--output", str(tmp_path / "out"), "--environments"]
    assert main([*arguments, "TEST - pytorch n.a."]) == 0
    with pytest.raises(ConfigError, match="Unknown environment 'abacus'") as caught:
        main([*arguments, "abacus"])
    assert "PyTorch" in str(caught.value.hint)


def test_environments_come_with_many_gpus_first_and_cpus_last(tmp_path: Path) -> None:
    gpu = run_result().platform.gpus[0]
    cpu_only = {"measurements": (measurement(devices=(cpu_energy(),)),)}
    for gpus, fields in ((0, cpu_only), (1, {}), (8, {})):
        machine = platform(gpus=(gpu,) * gpus, packages={"torch": "2.9"}, cpu_name="AAA")
        results(tmp_path / "in", "a", platform=machine, **fields)
    found, _ = rated(tmp_path / "in")
    assert environments(found) == ["Test x8 - PyTorch 2.9", "Test - PyTorch 2.9", "AAA - PyTorch 2.9"]
    assert environments(found, "training") == []
    assert main_environment(found, "training") is None
    assert main_environment(found, "inference") == "Test x8 - PyTorch 2.9"


def test_versions_are_left_out_of_names_only_where_they_stay_apart() -> None:
    names = ["A100 x8 - TensorFlow 2.8.0", "A100 - PyTorch 2.8", "A100 - PyTorch 2.9", "X - ONNX TF Export 1.10.0", "plain"]
    assert list(short_names(names).values()) == [
        *("A100 x8 TensorFlow", "A100 PyTorch 2.8", "A100 PyTorch 2.9", "X ONNX TF", "plain")
    ]


def test_the_models_of_the_table(tmp_path: Path) -> None:
    for dataset, models in (("sample", ["VGG16", "ResNet101", "EfficientNetB0"]), ("other", ["big", "small"])):
        results(tmp_path / "in", *models, dataset=dataset)
    found, _ = rated(tmp_path / "in")
    (environment,) = environments(found)
    assert datasets(found, environment) == ["sample", "other"]
    models = found.table["model"].iloc[table_models(found, environment, "sample")]
    assert list(models) == ["ResNet101", "EfficientNetB0"]
    assert len(table_models(found, environment, "other")) == 2
    assert tables.indexing(found).count("(other)") == 1


def test_the_same_results_give_the_same_figure(tmp_path: Path) -> None:
    found, _ = rated(results(tmp_path / "in", "a", "b", "c"))
    names = environments(found)
    first, again = (figures.scatter(found, "inference", "energy_per_sample", "parameters", names) for _ in range(2))
    assert first is not None
    assert first == again
    assert b"/CreationDate" not in first
    assert b"/FontFile2" in first, "TrueType fonts are embedded"


def test_a_figure_needs_two_known_metrics(tmp_path: Path) -> None:
    found, _ = rated(results(tmp_path / "in", "a", "b"))
    names = environments(found)
    assert figures.scatter(found, "inference", "unheard_of", "parameters", names) is None
    assert figures.scatter(found, "training", "parameters", "top1_accuracy", names) is None


def test_values_that_are_missing_are_named_and_not_drawn(tmp_path: Path, unsaved: list[str]) -> None:
    folder = results(tmp_path / "in", "known", "known too")
    results(folder, "nothing", outcome=replace(run_result().outcome, top1_accuracy=None, top5_accuracy=None))
    found, _ = rated(folder)
    figures.scatter(found, "inference", "parameters", "top1_accuracy", environments(found))
    assert {"known", "known too"} <= set(unsaved)
    assert any("Not shown, since a value is missing: nothing." in text for text in unsaved)
    assert any(text.startswith("2 models compared with") for text in unsaved)


def test_several_environments_have_a_legend(tmp_path: Path, unsaved: list[str]) -> None:
    for backend in ("pytorch", "other"):
        results(tmp_path / "in", "a", "b", config=config(backend=backend))
    found, _ = rated(tmp_path / "in")
    figures.scatter(found, "inference", "parameters", "energy_per_sample", environments(found))
    assert {"Inference, 2 environments", "NVIDIA Test PyTorch", "NVIDIA Test other"} <= set(unsaved)


@pytest.mark.parametrize("seed", range(2))
def test_names_lie_apart_and_inside(seed: int) -> None:
    random = np.random.default_rng(seed)
    points, sizes = random.uniform(20, 380, (20, 2)), np.column_stack([random.uniform(20, 60, 20), np.full(20, 8.0)])
    frame = (0.0, 0.0, 400.0, 400.0)
    block = (150.0, 150.0, 160.0, 160.0)
    found = place(points, sizes, frame, 4.0, [block])
    assert found == place(points, sizes, frame, 4.0, [block])
    boxes = [each.box for each in found if each is not None]
    assert len(boxes) >= 19, "there is room for nearly all"
    obstacles = [(x - 4, y - 4, x + 4, y + 4) for x, y in points] + [block]
    for number, box in enumerate(boxes):
        assert frame[0] < box[0] < box[2] < frame[2]
        assert frame[1] < box[1] < box[3] < frame[3]
        for other in [*boxes[:number], *obstacles]:
            depth = min(min(box[2], other[2]) - max(box[0], other[0]), min(box[3], other[3]) - max(box[1], other[1]))
            assert depth <= 1.5


def test_names_without_room_are_left_out() -> None:
    assert place(np.empty((0, 2)), np.empty((0, 2)), (0, 0, 10, 10), 4.0) == []
    crowd = np.full((12, 2), 50.0)
    found = place(crowd, np.full((12, 2), 30.0), (0, 0, 100, 100), 4.0)
    assert 0 < sum(each is not None for each in found) < 12
    assert place(np.array([[50.0, 50.0]]), np.array([[500.0, 8.0]]), (0, 0, 100, 100), 4.0) == [None]
