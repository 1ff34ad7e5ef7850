"""Every command in README and docs is one that its program takes; tests/e2e/test_commands.py runs them."""

from __future__ import annotations

import re
import shlex
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from tests.commands import PAGES, ROOT, commands

#: Programs of others.
FOREIGN = {"pip", "source", "docker", "sudo", "cd", "git", "export", "nvidia-smi"}
#: Of our own, the module with the parser.
PARSERS = {
    "infer.py": "infer",
    "train.py": "train",
    "merge_results.py": "merge",
    "elex.py": "elex",
    "create_paper_results.py": "paper",
    "mlee.rate": "rate",
    "mlee.label_generator": "label",
    "mlee.monitor": "monitor",
    "mlee.calibrate": "calibrate",
    "mlee.report": "report",
    "mlee.site": "site",
    "mlee.sweep": "sweep",
}


COMMANDS = list(dict.fromkeys((page.relative_to(ROOT).as_posix(), command) for page in PAGES for command in commands(page)))


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 40


def test_every_extra_that_is_named_exists() -> None:
    known = set(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"])
    for page in PAGES:
        for named in re.findall(r"(?<=[\"` ])\.\[([\w,]+)\]", page.read_text(encoding="utf-8")):
            assert set(named.split(",")) <= known, f"{page}: .[{named}]"


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=[command[:60] for _, command in COMMANDS])
def test_a_command_is_one_that_its_program_takes(page: str, command: str) -> None:
    words = shlex.split(command)
    while "=" in words[0]:  # variables of the environment
        words = words[1:]
    program = Path(words[0]).name
    if program in FOREIGN:
        return
    if words[0].startswith("scripts/"):
        assert (ROOT / words[0]).is_file()
        return
    if program == "torchrun":
        words = ["python", *words[next(place for place, word in enumerate(words) if word.endswith(".py")) :]]
    assert Path(words[0]).name.startswith("python"), f"{page}: what is {words[0]}?"
    name = words[2] if words[1] == "-m" else words[1]
    arguments = words[3:] if words[1] == "-m" else words[2:]
    if name == "pytest":
        return
    if name.startswith(("benchmarks/", "scripts/")):
        assert (ROOT / name).is_file(), f"{page}: {name}"
        return
    parser = import_module(f"mlee.cli.{PARSERS[name]}").parser()
    if PARSERS[name] == "monitor":  # what stands behind -- is another program's
        arguments = arguments[: arguments.index("--") + 2] if "--" in arguments else arguments
    parser.parse_args(arguments)  # a wrong option ends the process
