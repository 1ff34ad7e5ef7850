"""The two tables of the paper in LaTeX: environments with their software, and values with indices of two models each."""

from __future__ import annotations

from collections.abc import Sequence

from mlee.assess.compound import LETTERS, letter
from mlee.assess.export import latex
from mlee.assess.rating import Rated
from mlee.assess.run import RunSummary
from mlee.paper.order import environments, short, table_models
from mlee.results.load import Loaded

#: Class -> colour, as on the label.
PALETTE: dict[str, str] = dict(zip(LETTERS, ("195c23", "54bb71", "ddd23d", "e27312", "ba1535"), strict=True))
_LIBRARIES = ("torch", "torchvision", "tensorflow", "larq", "onnxruntime", "onnxruntime-gpu", "onnx")
_OF_BACKEND = {
    "pytorch": ("torch", "torchvision"),
    "tensorflow": ("tensorflow", "larq"),
    "onnx_tensorflow": ("onnxruntime", "onnx", "tensorflow", "larq"),
    "onnx_pytorch": ("onnxruntime", "onnx", "torch", "torchvision"),
}
_COLUMNS = (
    ("energy_per_sample", "Energy [Ws]", 1.0),
    ("time_per_sample", "Time [ms]", 1e3),
    ("parameters", "Parameters", 1.0),
    ("top1_accuracy", "Top-1 accuracy", 1.0),
)


def exec_envs(rated: Rated, loaded: Loaded) -> str:
    """Write the table of environments: hardware, libraries with versions, and the number of experiments of each task."""
    table = rated.table
    blocks = []
    for name in environments(rated):
        rows = table[table["environment"] == name]
        run = loaded.runs[rows["run_ids"].iloc[0][0]]
        counts = [str(int(rows.loc[rows["task"] == task, "runs"].sum())) for task in ("inference", "training")]
        gpus = f"{len(run.gpu_names)} $\\times$ {latex(run.gpu_names[0])}" if run.gpu_names else "n.a."
        gpus = gpus.removeprefix("1 $\\times$ ")
        libraries = _libraries(run) or [("n.a.", "")]
        first = [latex(short(name)), latex(run.cpu_name), gpus, *map(latex, libraries[0]), *counts]
        lines = [" & ".join(first) + r" \\"]
        lines += [f" & & & {latex(library)} & {latex(version)} & & " + r"\\" for library, version in libraries[1:]]
        blocks.append("\n".join(lines))
    head = "Environment & CPU & GPU & Library & Version & Inference & Training"
    return _tabular("lllllrr", head, blocks)


def indexing(rated: Rated) -> str:
    """Write the indexing table: value and index of two models in each environment, the index on the colour of its class."""
    blocks = []
    for name in environments(rated):
        lines = []
        for position, number in enumerate(table_models(rated, name)):
            cells = [latex(short(name)) if position == 0 else "", latex(str(rated.table["model"].iloc[number]))]
            for key, _, scale in _COLUMNS:
                cells += _value_and_index(rated, number, key, scale)
            lines.append(" & ".join(cells) + r" \\")
        blocks.append("\n".join(lines))
    head = "Environment & Model & " + " & ".join(rf"\multicolumn{{2}}{{c}}{{{latex(label)}}}" for _, label, _ in _COLUMNS)
    return _tabular("ll" + "rr" * len(_COLUMNS), head, blocks)


def _libraries(run: RunSummary) -> list[tuple[str, str]]:
    wanted = _OF_BACKEND.get(run.backend, ())
    packages = {name.lower().replace("_", "-"): version for name, version in run.packages.items()}
    found = []
    for name in wanted:
        for candidate in (name, f"{name}-gpu"):
            if candidate in packages and candidate in _LIBRARIES:
                found.append((candidate, packages[candidate]))
                break
    return found


def _value_and_index(rated: Rated, number: int, key: str, scale: float) -> list[str]:
    column = rated.position(key)
    value, index = rated.table[key].iloc[number], rated.index[number, column]
    name = letter(rated.rating[number, column])
    shown = "n.a." if value != value else f"{value * 1e-6:.1f}e6" if key == "parameters" else f"{value * scale:.3f}"
    if index != index:
        return [shown, "n.a."]
    return [shown, rf"\colorbox{{R{name}}}{{{index:.2f}}}" if name else f"{index:.2f}"]


def _tabular(columns: str, head: str, blocks: Sequence[str]) -> str:
    colours = [rf"\definecolor{{R{name}}}{{HTML}}{{{colour.upper()}}}" for name, colour in PALETTE.items()]
    body = "\n\\midrule\n".join(blocks)
    return "\n".join(
        [
            "% needs the packages booktabs, xcolor and graphicx",
            *colours,
            r"\resizebox{\linewidth}{!}{%",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            head + r" \\",
            r"\midrule",
            body,
            r"\bottomrule",
            r"\end{tabular}}",
            "",
        ]
    )
