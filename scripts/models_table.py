"""Write docs/models.md: what each backend can build, as counted here and as published.

Run by hand after a change of the catalogue or of a framework (two minutes, 4 GB of memory)::

    python scripts/models_table.py

Each framework is asked in a process of its own. The slow tests compare what is counted with what is published.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_HEADER = """\
# Models

Written by `python scripts/models_table.py`, from {packages}. Parameters and MACs are counted on the networks as
`infer.py` builds them, for one image of the size given; a published figure stands in brackets where it is another number.
The slow tests hold every count against the published figure: parameters must be equal, MACs within 2 %.

`--backend onnx_pytorch` takes the models of PyTorch, `--backend onnx_tensorflow` those of TensorFlow but QuickNet. Their
results count the parameters of the exported graph: up to 3 % fewer, since normalisations are folded into convolutions, and
without the heads that only training uses (InceptionV3 of PyTorch). MACs are those of the original.

The same name is not the same network: compare ResNet50, InceptionV3 or EfficientNetB2 below. Keras counts the running means
and variances of normalisations as parameters, PyTorch does not.

"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One model of one backend."""

    name: str
    identifier: str
    size: int
    parameters: int
    parameters_published: str | None
    macs: int | None
    macs_published: str | None
    top1: float | None
    top5: float | None
    sources: tuple[str, ...]


def rows_of_pytorch() -> list[Row]:
    """Build every model of the PyTorch backend; torchvision's metadata state all that is published."""
    import torchvision

    from mlee.backends.pytorch.facts import count_macs, count_parameters
    from mlee.backends.pytorch.models import find_model, model_names
    from mlee.catalogue import TORCHVISION_NAMES

    rows = []
    for name in model_names():
        source = find_model(name)
        size = int(source.preprocessing().crop_size[0])
        model = source.build(pretrained=False)
        identifier = TORCHVISION_NAMES.get(name, name)
        published: dict[str, float] = {}
        if not name.startswith("EfficientNetLite"):
            published = torchvision.models.get_model_weights(identifier).DEFAULT.meta
        accuracy = source.published_accuracy()
        rows.append(
            Row(
                name=name,
                identifier=identifier,
                size=size,
                parameters=count_parameters(model),
                parameters_published=f"{published['num_params']:,}" if published else None,
                macs=count_macs(model, size),
                macs_published=f"{published['_ops']:g}" if published else None,
                top1=None if accuracy is None else accuracy.top1,
                top5=None if accuracy is None else accuracy.top5,
                sources=(
                    ("everything: torchvision's metadata of its default weights",)
                    if published
                    else ("accuracy: " + (accuracy.source if accuracy else "none"),)
                ),
            )
        )
        print(f"{name}: {rows[-1].parameters:,}", file=sys.stderr, flush=True)
    return rows


def rows_of_tensorflow() -> list[Row]:
    """Build every model of the TensorFlow backend that this environment has."""
    from mlee.backends.tensorflow.facts import count_macs, count_parameters
    from mlee.backends.tensorflow.models import find_model, model_names

    rows = []
    for name in model_names():
        source = find_model(name)
        published = source.published
        model = source.build(published.size, pretrained=False)
        stated = published.parameters
        rows.append(
            Row(
                name=name,
                identifier=name,
                size=published.size,
                parameters=count_parameters(model),
                parameters_published=f"{stated:,}" if isinstance(stated, int) else stated,
                macs=count_macs(model),
                macs_published=published.macs,
                top1=None if published.top1 is None else published.top1 / 100,
                top5=None if published.top5 is None else published.top5 / 100,
                sources=tuple(
                    dict.fromkeys(
                        [
                            *([f"accuracy: {published.accuracy_source}"] if published.top1 is not None else []),
                            f"parameters: {published.parameters_source}",
                            *([f"MACs: {published.macs_source}"] if published.macs else []),
                        ]
                    )
                ),
            )
        )
        print(f"{name}: {rows[-1].parameters:,}", file=sys.stderr, flush=True)
    return rows


def table(rows: list[Row]) -> str:
    """Format rows as Markdown, with the sources as numbered notes below."""
    notes: list[str] = []
    lines = [
        "| name | identifier | px | parameters | GMACs | top-1 [%] | top-5 [%] | sources |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        notes += [source for source in row.sources if source not in notes]
        parameters = f"{row.parameters:,}"
        if row.parameters_published not in (None, parameters):
            parameters += f" ({row.parameters_published})"
        macs = "-" if row.macs is None else f"{row.macs / 1e9:.3f}"
        if row.macs_published is not None and float(row.macs_published) != round((row.macs or 0) / 1e9, 3):
            macs += f" ({row.macs_published})"
        accuracies = [
            ("-" if value is None else f"{100 * value:.3f}".rstrip("0").rstrip(".")) for value in (row.top1, row.top5)
        ]
        numbers = ", ".join(str(notes.index(source) + 1) for source in row.sources)
        lines.append(
            f"| {row.name} | {row.identifier} | {row.size} | {parameters} | {macs} | {' | '.join(accuracies)} | {numbers} |"
        )
    return "\n".join([*lines, "", *(f"{number}. {note}" for number, note in enumerate(notes, start=1))])


def ask(framework: str) -> tuple[list[Row], str]:
    """Count in a process of its own; return the rows and the version of the framework."""
    done = subprocess.run(
        [sys.executable, __file__, "--framework", framework], stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return [Row(**{**row, "sources": tuple(row["sources"])}) for row in found["rows"]], found["packages"]


def main() -> None:
    summary, _, _ = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument(
        "--framework", choices=("pytorch", "tensorflow"), help="print the rows of one as JSON, write nothing"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "models.md", help="file to write")
    args = parser.parse_args()
    if args.framework:
        sys.path.insert(0, str(ROOT))
        from importlib.metadata import version

        rows = rows_of_pytorch() if args.framework == "pytorch" else rows_of_tensorflow()
        package = "torchvision" if args.framework == "pytorch" else "keras"
        print(json.dumps({"rows": [asdict(row) for row in rows], "packages": f"{package} {version(package)}"}))
        return
    pytorch, torchvision_version = ask("pytorch")
    tensorflow, keras_version = ask("tensorflow")
    text = _HEADER.format(packages=f"{torchvision_version} and {keras_version}")
    text += f"## `--backend pytorch`\n\n{table(pytorch)}\n\n## `--backend tensorflow`\n\n{table(tensorflow)}\n"
    args.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
