"""`python elex.py`: help without its libraries, clear errors, and a page even where there is nothing."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mlee.cli import elex
from mlee.errors import ConfigError

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_help_needs_no_library() -> None:
    blocked = "import sys; sys.modules.update(dash=None, pandas=None, flask=None, plotly=None); "
    call = "sys.argv = ['elex.py', '--help']; from mlee.cli.start import run; run('mlee.cli.elex')"
    done = run("-c", blocked + call)
    assert done.returncode == 0
    assert "--directory" in done.stdout


def test_a_missing_library_is_named_with_its_mend() -> None:
    blocked = "import sys; sys.modules['dash'] = None; "
    done = run("-c", blocked + "sys.argv = ['elex.py']; from mlee.cli.start import run; sys.exit(run('mlee.cli.elex'))")
    assert done.returncode == 2
    assert "pip install -e .[elex]" in done.stderr


@pytest.mark.parametrize("port", ["0", "70000", "x"])
def test_a_port_is_a_port(port: str) -> None:
    with pytest.raises(SystemExit):
        elex.parser().parse_args(["--port", port])


def test_a_port_in_use_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="Nothing can be served"):
            elex.main(["--port", str(taken.getsockname()[1])])


def test_without_results_there_is_a_page_that_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loaded, problem = elex._load([tmp_path])
    assert loaded is None
    assert "No result could be read" in str(problem)
    assert "No result could be read" in capsys.readouterr().err
