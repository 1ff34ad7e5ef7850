"""What a study runs: every combination of models, backends, batch sizes and precisions that can exist, in a drawn order."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from mlee.catalogue import match_name
from mlee.errors import ConfigError
from mlee.record_checks import Strict, require
from mlee.records import Task
from mlee.sweep.recipes import RECIPES

ALL = "all"
_ONNX = "onnx_"
#: The option of `infer.py` and of `train.py` that names the model.
_MODEL_OPTION: dict[Task, str] = {"inference": "--infer-model", "training": "--model"}
#: What the study decides itself: an option that is handed through must not say otherwise.
_RESERVED = ("--infer-model", "--model", "--backend", "--batch-size", "--precision", "--seed", "--output-dir", "--data-path")


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepOptions(Strict):
    """What the user asks for; `more` is handed through to `infer.py` or `train.py`.

    With `recipes`, models are trained with the options of the study of 2022, and those without any are left out.
    """

    task: Task = "inference"
    models: tuple[str, ...] = (ALL,)
    backends: tuple[str, ...] = ("pytorch",)
    batch_sizes: tuple[int, ...] = (32,)
    precisions: tuple[str, ...] = ("fp32",)
    repeats: int = 1
    data_path: str | None = None
    seed: int = 0
    recipes: bool = False
    more: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the invariants."""
        require(self.repeats >= 1, self, "repeats", "1 or more")
        require(not self.recipes or self.task == "training", self, "recipes", "for training alone")
        for field in ("models", "backends", "batch_sizes", "precisions"):
            require(len(getattr(self, field)) > 0, self, field, "at least one")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Strict):
    """One run of a study; `number` is its place in the order."""

    number: int
    task: Task
    model: str
    backend: str
    batch_size: int
    precision: str
    repeat: int
    seed: int

    @property
    def title(self) -> str:
        """The run in words."""
        precision = "" if self.precision == "fp32" else f" {self.precision}"
        return f"{self.model} {self.backend} batch {self.batch_size}{precision} #{self.repeat}"

    @property
    def kind(self) -> tuple[str, ...]:
        """What repeats of a run have in common."""
        return self.task, self.model, self.backend, str(self.batch_size), self.precision


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut(Strict):
    """A combination that cannot exist, and why."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Strict):
    """The runs of a study in their order, and what was left out."""

    options: SweepOptions
    runs: tuple[Run, ...]
    left_out: tuple[LeftOut, ...] = ()


def make_plan(options: SweepOptions, known: Mapping[str, Sequence[str]]) -> Plan:
    """Combine everything and draw the order; `known` has the models of each backend.

    The order is drawn so that what drifts (temperature, other load) favours no model. Raises `ConfigError` for options that
    the study decides itself, and where nothing is left to run.
    """
    for word in options.more:
        name = word.partition("=")[0]
        if len(name) > 2 and any(option.startswith(name) for option in _RESERVED):  # argparse takes abbreviations, too
            raise ConfigError(f"{word} cannot be handed through: the study decides it.", "see `python -m mlee.sweep --help`")
    left_out: dict[LeftOut, None] = {}
    wanted: list[tuple[str, str, int, str]] = []
    for backend in dict.fromkeys(options.backends):
        for model in _models(options.models, backend, known, left_out):
            if options.recipes and model not in RECIPES:
                left_out[LeftOut(what=f"{backend} {model}", reason="the study of 2022 did not train it")] = None
                continue
            for batch_size, precision in product(dict.fromkeys(options.batch_sizes), dict.fromkeys(options.precisions)):
                if precision != "fp32" and backend.startswith(_ONNX):
                    left_out[LeftOut(what=f"{backend} {precision}", reason="ONNX Runtime runs in fp32 only")] = None
                else:
                    wanted.append((model, backend, batch_size, precision))
    draw = random.Random(options.seed)
    combined = [(*each, repeat) for each, repeat in product(dict.fromkeys(wanted), range(1, options.repeats + 1))]
    draw.shuffle(combined)
    runs = tuple(
        Run(
            number=number,
            task=options.task,
            model=model,
            backend=backend,
            batch_size=batch_size,
            precision=precision,
            repeat=repeat,
            seed=options.seed,
        )
        for number, (model, backend, batch_size, precision, repeat) in enumerate(combined, start=1)
    )
    if not runs:
        reasons = "; ".join(f"{entry.what}: {entry.reason}" for entry in left_out)
        raise ConfigError(f"Nothing is left to run ({reasons}).", "see `python infer.py --list-models --backend NAME`")
    return Plan(options=options, runs=runs, left_out=tuple(left_out))


def _models(
    names: Sequence[str], backend: str, known: Mapping[str, Sequence[str]], left_out: dict[LeftOut, None]
) -> list[str]:
    found: dict[str, None] = {}
    for name in names:
        if name == ALL:
            found.update(dict.fromkeys(known[backend]))
            continue
        try:
            found[match_name(name, known[backend])] = None
        except ConfigError as error:
            hint = f" ({error.hint})" if error.hint else ""
            others = [other for other in known if _has(known[other], name)]
            reason = f"a model of {' and '.join(others)}" if others else f"{error.message}{hint}"
            left_out[LeftOut(what=f"{backend} {name}", reason=reason)] = None
    return list(found)


def _has(known: Sequence[str], name: str) -> bool:
    try:
        match_name(name, known)
    except ConfigError:
        return False
    return True


def command_options(run: Run, options: SweepOptions, output_dir: str) -> list[str]:
    """Return the options of `infer.py` or `train.py` for a run."""
    words = [_MODEL_OPTION[run.task], run.model, "--backend", run.backend, "--batch-size", str(run.batch_size)]
    words += ["--precision", run.precision, "--seed", str(run.seed), "--output-dir", output_dir, "--quiet"]
    if options.data_path is not None:
        words += ["--data-path", options.data_path]
    recipe = RECIPES[run.model] if options.recipes else ()
    return [*words, *recipe, *options.more]
