"""From a rated row to the words of its label: what is shown, in which unit, with how many digits, what is not included."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple, cast, get_args

from mlee import __version__
from mlee.assess.compound import letter
from mlee.assess.environment import ESTIMATED
from mlee.assess.identity import SHORT, row_digest
from mlee.assess.metric import Metric
from mlee.assess.pooling import SEVERAL
from mlee.assess.rating import BEST, Rated
from mlee.assess.run import RunSummary
from mlee.assess.table import COUNT, STANDARD_ERROR, UNCERTAINTY
from mlee.assess.uncertainty import half_width_of
from mlee.catalogue import PUBLICATIONS, published_epochs
from mlee.label.content import LabelContent, Letter, Pictogram, Provenance, Task, Tile
from mlee.records import FROM_FILE, TRAINED_IN
from mlee.units import J_PER_WH, significant, with_unit

#: Where a QR code leads when neither the model's paper nor a page of results is known: the paper of the method.
METHOD_URL = "https://doi.org/10.1007/978-3-031-23618-1_3"
#: Tasks that have a label.
LABELLED: tuple[str, ...] = get_args(Task)
_SENSOR_NAMES = {"nvml": "NVML", "rapl": "RAPL", "cpu_model": "CPU model", "simulated": "simulated"}
_KIND_NAMES = {"gpu": "GPU", "cpu": "CPU", "dram": "DRAM", "system": "whole machine"}

#: Name of a tile, the metrics whose class it has (the first that is known), and those whose values it shows.
_Shown = tuple[str, tuple[str, ...], tuple[str, ...]]


class _Row(NamedTuple):
    """A row of the rated table with what is needed to look its numbers up."""

    rated: Rated
    number: int
    values: Mapping[str, Any]

    def value(self, key: str, suffix: str = "") -> float | None:
        found = self.values.get(key + suffix)
        return float(found) if found is not None and math.isfinite(found) else None

    def metric(self, *keys: str) -> tuple[int, Metric] | None:
        """Column and metric of the first key that has a value, else of the first that applies."""
        known = {metric.key: column for column, metric in enumerate(self.rated.metrics)}
        applying = [key for key in keys if key in known and self.rated.applies[self.number, known[key]]]
        chosen = next((key for key in applying if self.value(key) is not None), next(iter(applying), None))
        return None if chosen is None else (known[chosen], self.rated.metrics[known[chosen]])


def describe(
    rated: Rated, number: int, runs: Mapping[str, RunSummary], issued: date, base_url: str | None = None
) -> LabelContent:
    """Describe row `number` of a rated table; `runs` are the loaded runs by id, `base_url` a page that knows digests.

    Raises `ValueError` for a task that has no label.
    """
    row = _Row(rated, number, rated.table.iloc[number].to_dict())
    task = row.values["task"]
    if task not in LABELLED:
        raise ValueError(f"there is a label for inference and training, not for {task!r}")
    mine = [runs[name] for name in row.values["run_ids"] if name in runs]
    digest = row_digest(row.values, runs)[:SHORT]
    network = mine[0].model if mine else str(row.values["model"])
    url = f"{base_url or _publication_url(network)}#sha256={digest}"
    energy = _energy(row, task, network)
    own, best, worst = (
        cast("Letter | None", letter(part[number])) for part in (rated.compound, rated.compound_best, rated.compound_worst)
    )
    hardware, _, software = str(row.values["environment"]).removesuffix(f" {ESTIMATED}").partition(" - ")
    provenance = cast("Provenance | None", _text(row.values.get("provenance"))) if energy["energy_value"] else None
    return LabelContent(
        task=cast(Task, task),
        model=str(row.values["model"]),
        dataset=str(row.values["dataset"]),
        hardware=hardware or "unknown hardware",
        software=software or "unknown software",
        rating=own,
        rating_range=(best, worst) if own and best and worst and best != worst else None,
        energy_per="per image" if task == "inference" else "per epoch",
        provenance=provenance or ("measured" if energy["energy_value"] else None),
        sensors=_sensors(mine),
        not_included=_not_included(row, mine),
        tiles=_tiles(row, task, estimated=provenance == "estimated"),
        foot=_foot(row, mine, issued),
        url=url,
        short_url=url.removeprefix("https://").partition("#")[0],
        digest=f"sha256 {digest}",
        title=f"Energy label of {row.values['model']}, {task} on {row.values['dataset']}",
        **energy,
    )


def _publication_url(model: str) -> str:
    publication = PUBLICATIONS.get(model)
    return METHOD_URL if publication is None else publication.url


def _energy(row: _Row, task: str, network: str) -> dict[str, Any]:
    """Write the headline: energy per sample or epoch with its uncertainty, and the extrapolated total of a training."""
    key, unit, factor = ("energy_per_sample", "J", 1.0) if task == "inference" else ("energy_per_epoch", "Wh", J_PER_WH)
    value = row.value(key)
    if value is None:
        return {"energy_value": None}
    text, _, prefixed = with_unit(value / factor, unit).rpartition(" ")
    found: dict[str, Any] = {"energy_value": text, "energy_unit": prefixed}
    spread = half_width_of(row.value(key, STANDARD_ERROR), int(row.values.get(key + COUNT, row.values["n"])))
    unsure = max(spread or 0.0, row.value(key, UNCERTAINTY) or 0.0)
    if unsure:
        scale = float(text) / (value / factor) if value else 1.0  # of the prefix
        found["energy_uncertainty"] = f"± {significant(unsure / factor * scale, 2)} {prefixed}"
    total = row.value("energy_full_training")
    if task == "training" and total is None:
        found["energy_total"] = "full training not known: no published number of epochs"
    elif task == "training" and total is not None:
        epochs = round(total / value) if value else published_epochs(network)
        behind = f" for {epochs} epochs" if epochs else ""
        found["energy_total"] = f"{with_unit(total / factor, unit)}{behind}, extrapolated"
    return found


def _sensors(runs: list[RunSummary]) -> str | None:
    names = dict.fromkeys(_SENSOR_NAMES.get(sensor, sensor) for run in runs for sensor in run.sensors)
    if not names:
        return None
    gpus = max(len(run.gpu_names) for run in runs)
    count = f"{gpus} GPUs" if gpus > 1 else "1 GPU"
    return ", ".join(f"{name}, {count}" if name == "NVML" else name for name in names)


def _not_included(row: _Row, runs: list[RunSummary]) -> str | None:
    # Of runs that are pooled, each may have its own.
    scopes = (_text(row.values.get("scope")) or "").split(SEVERAL)
    scope = set.intersection(*(set(each.split("+")) for each in scopes))
    if "system" in scope:
        return None
    expected = ["cpu", "dram", *(["gpu"] if any(run.gpu_names for run in runs) else [])]
    missing = [_KIND_NAMES[kind] for kind in expected if kind not in scope]
    return f"{' and '.join(missing)} not included" if missing else "fans, disks, power supply not included"


def _tiles(row: _Row, task: str, *, estimated: bool) -> tuple[Tile, Tile, Tile, Tile]:
    energy: _Shown
    time: _Shown
    if task == "inference":
        energy = ("Energy per image", ("energy_per_sample",), ("energy_per_sample",))
        time = ("Time per image", ("time_per_sample",), ("time_per_sample",))
    elif row.value("energy_full_training") is None and row.value("time_full_training") is None:
        energy = ("Energy per epoch", ("energy_per_epoch",), ("energy_per_epoch",))
        time = ("Time per epoch", ("time_per_epoch",), ("time_per_epoch",))
    else:
        energy = ("Energy per epoch / in full", ("energy_full_training",), ("energy_per_epoch", "energy_full_training"))
        time = ("Time per epoch / in full", ("time_full_training",), ("time_per_epoch", "time_full_training"))
    published = row.values.get("accuracy_provenance") == "published"
    accuracy = "Top-1 / top-5, published" if published else "Top-1 / top-5 accuracy"
    return (
        _tile(row, "energy", *energy, estimated=estimated),
        _tile(row, "time", *time),
        _tile(row, "accuracy", accuracy, ("top1_accuracy",), ("top1_accuracy", "top5_accuracy")),
        _tile(row, "size", "Parameters / MACs", ("parameters",), ("parameters", "macs")),
    )


def _tile(
    row: _Row, pictogram: Pictogram, name: str, rated_by: tuple[str, ...], shown: tuple[str, ...], *, estimated: bool = False
) -> Tile:
    """Make a tile that shows some metrics and has the class of the first of `rated_by` that is known."""
    values = tuple(_write(key, row.value(key)) for key in shown)
    found = row.metric(*rated_by)
    if found is None:
        return Tile(pictogram=pictogram, name=name, values=values, estimated=estimated)
    column, metric = found
    rated, number = row.rated, row.number
    own, best, worst = (
        cast("Letter | None", letter(part[number, column])) for part in (rated.rating, rated.rating_best, rated.rating_worst)
    )
    other = next((each for each in (worst, best) if each not in (own, None)), None)
    index = float(rated.index[number, column])
    return Tile(
        pictogram=pictogram,
        name=name,
        values=values,
        letter=own,
        could_be=other if own else None,
        index=f"{significant(index)} x {_reference(row)}" if math.isfinite(index) else None,
        bounds=None if own is None else _bounds(own, rated.thresholds.get(row.values["task"], metric.key)),
        estimated=estimated,
    )


def _write(key: str, value: float | None) -> str | None:
    if value is None:
        return None
    if key.endswith("_accuracy"):
        return f"{value * 100:.1f} %"
    if key in ("energy_per_epoch", "energy_full_training"):
        return with_unit(value / J_PER_WH, "Wh")
    if key.startswith("time_"):
        for length_s, unit in ((3600, "h"), (60, "min")):
            if value >= 2 * length_s:
                return f"{significant(value / length_s)} {unit}"
        return with_unit(value, "s")
    return with_unit(value, "J" if key == "energy_per_sample" else "")


def _bounds(own: Letter, four: tuple[float, float, float, float] | None) -> str | None:
    if four is None:
        return None
    position = "ABCDE".index(own)
    if position == 0:
        return f"A: above {significant(four[0])}"
    if position == 4:
        return f"E: up to {significant(four[3])}"
    return f"{own}: {significant(four[position])} to {significant(four[position - 1])}"


def _reference(row: _Row) -> str:
    return "best" if row.rated.options.reference == BEST else str(row.values["reference"])


def _foot(row: _Row, runs: list[RunSummary], issued: date) -> tuple[str, ...]:
    options = row.rated.options
    days = sorted({run.started_at.date().isoformat() for run in runs})
    measured = "date unknown" if not days else days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    passes = sum(len(run.repeats) for run in runs)
    idle = [run.idle_power_w for run in runs if run.idle_power_w is not None]
    counted = f"{len(runs)} run{'s' * (len(runs) != 1)}, {passes} timed pass{'es' * (passes != 1)}; " if runs else ""
    subtracted = f"idle power {with_unit(idle[0], 'W')} not subtracted" if idle else "gross energy, idle not subtracted"
    codes = dict.fromkeys(w.code for w in (*(w for run in runs for w in run.warnings), *row.rated.warnings[row.number]))
    return (
        *_settings(runs),
        f"Rules {options.rules.name}, {options.mode}, thresholds {row.rated.thresholds.name}",
        f"Index: 1 is as good as {_reference(row)} in this environment, more is better",
        counted + subtracted,
        f"Measured {measured}, label issued {issued.isoformat()}, mlee {__version__}",
        *([f"Warnings: {', '.join(codes)}"] if codes else []),
    )


def _settings(runs: list[RunSummary]) -> list[str]:
    """Say in one line how a model was run that results of ours tell of: the same for all its runs."""
    if not runs or not runs[0].settings:
        return []
    run = runs[0]
    weights = str(run.setting("weights"))
    said = [f"{run.setting('image_size')} px"]
    if run.task == "inference":
        said.append(weights if weights.startswith((TRAINED_IN, FROM_FILE)) else f"{weights} weights")
    said += ["compiled"] if run.setting("compile") else []
    return [f"Run with {', '.join(said)}"]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
