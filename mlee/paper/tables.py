"""The two tables of the paper in LaTeX: environments with their software, and values with indices of two models each."""

from __future__ import annotations

from collections.abc import Sequence

from mlee.assess.compound import LETTERS, letter
from mlee.assess.export import latex
from mlee.assess.rating import Rated
from mlee.assess.run import RunSummary
from mlee.paper.order import datasets, environments, short_names, table_models
from mlee.results.load import Loaded

#: Class -> colour, as on the label.
PALETTE: dict[str, str] = dict(zip(LETTERS, ("195c23", "54bb71", "ddd23d", "e27312", "ba1535"), strict=True))
UNKNOWN = "n.a."
#: Backend -> packages that say what it ran; `-gpu` and `-cpu` builds count as well.
_OF_BACKEND = {
    "pytorch": ("torch", "torchvision"),
    "tensorflow": ("tensorflow", "larq"),
    "onnx_tensorflow": ("onnxruntime", "onnx", "tensorflow", "larq"),
    "onnx_pytorch": ("onnxruntime", "onnx", "torch", "torchvision"),
}
_BUILDS = ("", "-gpu", "-cpu")
#: Makes the figures on the two dark colours white, in this table only.
_WHITE_ON_DARK = (
    r"\let\mleebox\colorbox",
    *(rf"\expandafter\def\csname mleeon R{name}\endcsname{{\color{{white}}}}" for name in "AE"),
    r"\renewcommand{\colorbox}[2]{\mleebox{#1}{\csname mleeon #1\endcsname #2}}%",
)
#: Metric -> head and scale of its column.
_COLUMNS = {
    "energy_per_sample": ("Energy [Ws]", 1.0),
    "time_per_sample": ("Time [ms]", 1e3),
    "parameters": ("Parameters", 1.0),
    "top1_accuracy": ("Top-1 accuracy", 1.0),
}


def exec_envs(rated: Rated, loaded: Loaded) -> str:
    """Write the table of environments: hardware, libraries with versions, and the number of experiments of each task."""
    table = rated.table
    names = environments(rated)
    short = short_names(names)
    blocks = []
    for name in names:
        rows = table[table["environment"] == name]
        counts = [str(int(rows.loc[rows["task"] == task, "runs"].sum())) for task in ("inference", "training")]
        # A table of another tool has no run that could say more.
        run = next((loaded.runs[run_id] for ids in rows["run_ids"] for run_id in ids if run_id in loaded.runs), None)
        libraries = _libraries(run)
        first = [latex(short[name]), *_hardware(run), *map(latex, libraries[0]), *counts]
        lines = [" & ".join(first) + r" \\"]
        lines += [f" & & & {latex(library)} & {latex(version)} & & " + r"\\" for library, version in libraries[1:]]
        blocks.append("\n".join(lines))
    head = [
        r"&&&&&\multicolumn{2}{c}{Experiments}\\",
        r"\cmidrule(l){6-7}",
        r"Environment & CPU & GPU & Library & Version & Inference & Training \\",
    ]
    return _document("lllllrr", head, blocks, coloured=False)


def indexing(rated: Rated) -> str:
    """Write the indexing table: value and index of two models in each environment, the index on the colour of its class."""
    names = environments(rated, "inference")
    short = short_names(names)
    blocks = []
    for name in names:
        several = datasets(rated, name)
        for dataset in several:
            first = short[name] + (f" ({dataset})" if len(several) > 1 else "")
            lines: list[str] = []
            for number in table_models(rated, name, dataset):
                cells = ["" if lines else latex(first), latex(str(rated.table["model"].iloc[number]))]
                for key, (_, scale) in _COLUMNS.items():
                    cells += _value_and_index(rated, number, key, scale)
                lines.append(" & ".join(cells) + r" \\")
            blocks.append("\n".join(lines))
    labels = [rf"\multicolumn{{2}}{{c}}{{{latex(label)}}}" for label, _ in _COLUMNS.values()]
    rules = [rf"\cmidrule(lr){{{column}-{column + 1}}}" for column in range(3, 3 + 2 * len(_COLUMNS), 2)]
    head = [
        "Environment & Model & " + " & ".join(labels) + r" \\",
        " ".join(rules),
        "&" + "&Value&Index" * len(_COLUMNS) + r"\\",
    ]
    return _document("ll" + "rr" * len(_COLUMNS), head, blocks, coloured=True)


def _hardware(run: RunSummary | None) -> list[str]:
    if run is None:
        return [UNKNOWN, UNKNOWN]
    kinds = {name: run.gpu_names.count(name) for name in run.gpu_names}
    gpus = [(rf"{count} $\times$ " if count > 1 else "") + latex(name) for name, count in kinds.items()]
    return [latex(run.cpu_name), ", ".join(gpus) or UNKNOWN]


def _libraries(run: RunSummary | None) -> list[tuple[str, str]]:
    """Return the packages of a run's backend with their versions; at least one row."""
    if run is None:
        return [(UNKNOWN, "")]
    packages = {name.lower().replace("_", "-"): version for name, version in run.packages.items()}
    installed = ([f"{name}{build}" for build in _BUILDS if f"{name}{build}" in packages] for name in _wanted(run))
    return [(names[0], packages[names[0]]) for names in installed if names] or [(run.software[0], UNKNOWN)]


def _wanted(run: RunSummary) -> tuple[str, ...]:
    return _OF_BACKEND.get(run.backend, (run.backend.lower().replace("_", "-"),))


def _value_and_index(rated: Rated, number: int, key: str, scale: float) -> list[str]:
    column = next((place for place, metric in enumerate(rated.metrics) if metric.key == key), None)
    if column is None:
        return [UNKNOWN, UNKNOWN]
    value, index = float(rated.table[key].iloc[number]), float(rated.index[number, column])
    name = letter(rated.rating[number, column])
    shown = UNKNOWN if value != value else f"{value * 1e-6:.1f}e6" if key == "parameters" else f"{value * scale:.3f}"
    if index != index:
        return [shown, UNKNOWN]
    text = r"$\infty$" if index == float("inf") else f"{index:.2f}"
    return [shown, rf"\colorbox{{R{name}}}{{{text}}}" if name else text]


def _document(columns: str, head: Sequence[str], blocks: Sequence[str], *, coloured: bool) -> str:
    packages = ["booktabs", "graphicx", *(["xcolor"] if coloured else [])]
    colours = [rf"\providecolor{{R{name}}}{{HTML}}{{{colour.upper()}}}" for name, colour in PALETTE.items()]
    return "\n".join(
        [
            f"% Made by create_paper_results.py; needs the packages {', '.join(packages)}.",
            *(colours if coloured else []),
            r"\begingroup",
            *(_WHITE_ON_DARK if coloured else []),
            r"\resizebox{\linewidth}{!}{%",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            *head,
            r"\midrule",
            *(["\n\\midrule\n".join(blocks)] if blocks else []),
            r"\bottomrule",
            r"\end{tabular}}%",
            r"\endgroup",
            "",
        ]
    )
