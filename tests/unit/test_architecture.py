"""What may import what, and who may print (CONTRIBUTING.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Lowest first. A name with a dot at its end stands for everything below it.
LEVELS: tuple[tuple[str, ...], ...] = (
    ("mlee", "mlee.errors", "mlee.units", "mlee.record_checks"),
    ("mlee.training_records",),
    ("mlee.records",),
    ("mlee.readings", "mlee.files", "mlee.catalogue", "mlee.training."),
    ("mlee.edges",),
    ("mlee.energy", "mlee.traces", "mlee.sensors.", "mlee.datasets.", "mlee.results", "mlee.results.store", "mlee.assess."),
    ("mlee.results.limits",),
    ("mlee.sensor_thread", "mlee.results.legacy", "mlee.results.foreign."),
    ("mlee.sampling", "mlee.wall_meter", "mlee.platform_info", "mlee.calibration", "mlee.backends."),
    ("mlee.monitor.",),
    ("mlee.experiment", "mlee.results.remeasuring", "mlee.results.wall"),
    ("mlee.results.verify_training",),
    ("mlee.results.verify",),
    ("mlee.measuring", "mlee.training_progress"),
    ("mlee.training_hosts", "mlee.training_result", "mlee.trained_folder"),
    ("mlee.runner", "mlee.training_runner", "mlee.results.merge", "mlee.results.load"),
    ("mlee.label.", "mlee.paper.", "mlee.sweep."),
    ("mlee.elex.", "mlee.report."),
    ("mlee.site.",),
    ("mlee.cli.",),
    (
        *(
            "mlee.monitor.__main__",
            "mlee.sweep.__main__",
            "mlee.report.__main__",
            "mlee.site.__main__",
            "mlee.calibrate",
            "mlee.rate",
            "mlee.label_generator",
        ),
        *("infer", "train", "merge_results", "elex", "create_paper_results"),
    ),
)
#: The two halves of the project meet in records and files only. Command lines and results know both.
MEASURE = (
    *("mlee.sensors", "mlee.sensor_thread", "mlee.sampling", "mlee.backends", "mlee.platform_info", "mlee.monitor"),
    *("mlee.experiment", "mlee.measuring", "mlee.runner", "mlee.training.", "mlee.training_hosts"),
    *("mlee.training_progress", "mlee.training_result", "mlee.training_runner", "mlee.trained_folder", "mlee.sweep"),
)
ASSESS = ("mlee.assess", "mlee.label", "mlee.paper", "mlee.elex", "mlee.report", "mlee.site")
HEAVY = {
    *("torch", "torchvision", "tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "pynvml", "psutil", "dash"),
    *("plotly", "pandas", "reportlab", "matplotlib", "scipy", "sklearn", "skimage", "PIL", "segno", "pypdfium2", "pyarrow"),
    *("submitit", "dash_mantine_components", "dash_ag_grid", "flask", "gunicorn", "waitress"),
}
#: TensorFlow must be imported behind a guard (see there); tf2onnx imports it, too.
TENSORFLOW = {"tensorflow", "keras", "triton"}
TENSORFLOW_GUARD = "mlee.backends.tensorflow.framework"
FRAMEWORKS = ("mlee.backends.pytorch", "mlee.backends.tensorflow", "mlee.backends.onnx")
#: Modules that only their package imports, lazily: they may import heavy libraries at their top.
LEAVES = (*FRAMEWORKS, "mlee.label.draw", "mlee.label.export", "mlee.paper.figures", "mlee.elex", "mlee.report", "mlee.site")
MAX_LINES = 300
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (*sorted((ROOT / "mlee").rglob("*.py")), *sorted(ROOT.glob("*.py")))
}


def _level(module: str) -> int | None:
    exact = next((level for level, names in enumerate(LEVELS) if module in names), None)
    if exact is not None:
        return exact
    below = [(name, level) for level, names in enumerate(LEVELS) for name in names if name.endswith(".")]
    return next((level for name, level in below if f"{module}.".startswith(name)), None)


def _package(module: str) -> str:
    """The package whose modules may import each other freely: sensors, backends, datasets, cli."""
    return next((name for names in LEVELS for name in names if name.endswith(".") and f"{module}.".startswith(name)), module)


def _imports(tree: ast.AST, *, top_only: bool) -> Iterator[tuple[str, int]]:
    """Yield imported modules with their lines; `top_only` leaves out functions and `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield (submodule if submodule in FILES else str(node.module)), node.lineno
        elif not (top_only and (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _is_for_types(node))):
            yield from _imports(node, top_only=top_only)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _tree(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


def test_the_tree_is_found() -> None:
    assert {"mlee.records", "mlee.sensors.nvml", "mlee.cli.infer", "infer"} <= FILES.keys()


@pytest.mark.parametrize("module", FILES)
def test_a_module_has_a_level_and_imports_only_lower_ones_or_its_own_package(module: str) -> None:
    own = _level(module)
    assert own is not None, f"give {module} a level in LEVELS"
    for imported, line in _imports(_tree(module), top_only=False):
        if imported.split(".")[0] != "mlee":
            continue
        level = _level(imported)
        assert level is not None, f"{module}:{line} imports {imported}, which has no level"
        same = _package(imported) == _package(module) != module
        assert level < own or same, f"{module}:{line} (level {own}) imports {imported} (level {level})"


@pytest.mark.parametrize("module", FILES)
def test_heavy_libraries_are_imported_late_or_by_their_own_leaf(module: str) -> None:
    if module.startswith(LEAVES):
        return
    heavy = [
        f"{name} in line {line}" for name, line in _imports(_tree(module), top_only=True) if name.split(".")[0] in HEAVY
    ]
    assert not heavy, f"{module} imports {', '.join(heavy)} at its top"


@pytest.mark.parametrize("module", [name for name in FILES if name.startswith((*MEASURE, *ASSESS))])
def test_measuring_and_assessing_do_not_know_each_other(module: str) -> None:
    other = ASSESS if module.startswith(MEASURE) else MEASURE
    found = [name for name, _ in _imports(_tree(module), top_only=False) if name.startswith(other)]
    assert not found


@pytest.mark.parametrize(
    "module",
    [name for name in FILES if not name.startswith(("mlee.label", "mlee.paper", "mlee.elex", "mlee.report", "mlee.site"))],
)
def test_leaves_are_imported_late(module: str) -> None:
    found = [name for name, _ in _imports(_tree(module), top_only=True) if name.startswith(LEAVES) and module not in LEAVES]
    assert not found or module.startswith(FRAMEWORKS)


@pytest.mark.parametrize("module", [name for name in FILES if name.startswith(("mlee.", "infer", "merge"))])
def test_frameworks_are_reached_by_name_only(module: str) -> None:
    if module.startswith(FRAMEWORKS):
        return
    reached = [name for name, _ in _imports(_tree(module), top_only=False) if name.startswith(FRAMEWORKS)]
    assert not reached


@pytest.mark.parametrize("module", [name for name in FILES if name != TENSORFLOW_GUARD])
def test_tensorflow_is_imported_in_one_place(module: str) -> None:
    found = [name for name, _ in _imports(_tree(module), top_only=False)]
    assert not TENSORFLOW & {name.split(".")[0] for name in found}
    if "tf2onnx" in found:
        assert found.index(TENSORFLOW_GUARD) < found.index("tf2onnx"), "the guard comes first"


def _speaks(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in ("print", "sys.exit", "exit", "quit", "input", "sys.stdout.write", "sys.stderr.write"):
                yield f"{name} in line {node.lineno}"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            yield from (
                f"{name} in line {node.lineno}" for name in names if (name or "").split(".")[0] in ("argparse", "rich")
            )


@pytest.mark.parametrize("module", FILES)
def test_only_the_command_line_prints_parses_and_exits(module: str) -> None:
    if module.startswith("mlee.cli"):
        return
    spoken = list(_speaks(_tree(module)))
    if _level(module) == len(LEVELS) - 1:
        spoken = [word for word in spoken if not word.startswith("sys.exit")]
    assert not spoken


@pytest.mark.parametrize("module", FILES)
def test_a_module_is_short(module: str) -> None:
    lines = len(FILES[module].read_text(encoding="utf-8").splitlines())
    limit = 15 if _level(module) == len(LEVELS) - 1 else MAX_LINES
    assert lines <= limit, f"{module} has {lines} lines: split it by noun"
