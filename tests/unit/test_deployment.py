"""The examples of deployment name things that exist; nothing here can build or start them."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path

import pytest

from mlee.cli import elex, infer

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.measure"])
def test_container_files_copy_and_install_what_is_there(name: str) -> None:
    lines = (DEPLOY / name).read_text().replace("\\\n", " ").splitlines()
    words = [shlex.split(line) for line in lines if line and not line.startswith("#")]
    assert words[0][0] == "FROM"
    sources = [source for line in words if line[0] == "COPY" for source in line[1:-1]]
    assert [source for source in sources if not (ROOT / source).exists()] == []
    # Setuptools reads the description and the licence that pyproject.toml names.
    assert {"pyproject.toml", "README.md", "LICENSE", "mlee"} <= set(sources)
    extras = re.findall(r"\.\[([a-z,]+)\]", (DEPLOY / name).read_text())
    known = (ROOT / "pyproject.toml").read_text()
    assert all(f"\n{extra} = [" in known for found in extras for extra in found.split(","))


def test_their_commands_are_ours() -> None:
    command = re.search(r"CMD (\[.*\])", (DEPLOY / "Dockerfile").read_text())
    assert command is not None
    elex.parser().parse_args(shlex.split(command[1].strip("[]").replace(",", " "))[2:])
    measure = re.search(r"CMD (\[.*\])", (DEPLOY / "Dockerfile.measure").read_text())
    assert measure is not None
    infer.parser().parse_args(shlex.split(measure[1].strip("[]").replace(",", " "))[2:])


def test_the_service_starts_the_explorer() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "elex.service")
    assert set(unit.sections()) == {"Unit", "Service", "Install"}
    words = shlex.split(unit["Service"]["ExecStart"])
    assert words[1] == "elex.py"
    elex.parser().parse_args(words[2:])


def test_the_rule_opens_the_file_that_the_sensor_reads() -> None:
    (rule,) = [line for line in (DEPLOY / "99-rapl.rules").read_text().splitlines() if not line.startswith("#")]
    keys = dict(re.findall(r"(\w+)(?:==|\+=)\"(.*?)\"(?:,|$)", rule))
    assert keys.keys() == {"SUBSYSTEM", "ACTION", "RUN"}
    assert keys["RUN"].count("/sys%p/energy_uj") == 2
