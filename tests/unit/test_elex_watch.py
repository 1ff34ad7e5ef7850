"""Results that change while the explorer runs: noticed when they have come to rest, and shown by both servers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dash import Dash

from mlee.elex.data import Explored
from mlee.elex.serve import Renewal
from mlee.elex.state import MAX_ADDRESS
from mlee.elex.watch import Watcher
from mlee.errors import ConfigError
from mlee.experiment import RESULT_FILE
from mlee.results.load import load
from tests import builders

ROOT = Path(__file__).parents[2]
WAIT_S = 60
#: Runs elex.py where gunicorn is or is not installed.
_RUN = """
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == {hidden!r} else find(name, *more)
from mlee.cli.start import run
sys.argv = ["elex.py", *{arguments!r}]
run("mlee.cli.elex")
"""


def put(folder: Path, number: int, **fields: Any) -> Path:
    run_id = f"infer_2026_11_23_15_00_{number:02d}"
    path = folder / f"{run_id}.json"
    path.write_text(builders.document(run_id=run_id, **fields), encoding="utf-8")
    return path


def _add(folder: Path) -> None:
    put(folder, 1)


def _change(folder: Path) -> None:
    put(folder, 0, dataset="another")


def _remove(folder: Path) -> None:
    (folder / "infer_2026_11_23_15_00_00.json").unlink()


def _complete(folder: Path) -> None:
    (folder / "infer_2026_11_24_15_00_00" / RESULT_FILE).write_text(builders.document(run_id="infer_2026_11_24_15_00_00"))


@pytest.mark.parametrize("change", [_add, _change, _remove, _complete])
def test_a_change_is_told_once_when_it_has_come_to_rest(change: Callable[[Path], None], tmp_path: Path) -> None:
    put(tmp_path, 0)
    (tmp_path / "infer_2026_11_24_15_00_00").mkdir()
    watcher = Watcher([tmp_path])
    assert [watcher.changed() for _ in range(3)] == [False] * 3
    change(tmp_path)
    assert [watcher.changed() for _ in range(3)] == [False, True, False]


def test_another_description_of_a_table_is_a_change_and_makes_other_data(tmp_path: Path) -> None:
    """What a browser keeps under an address is rated by the description that was there then."""
    (tmp_path / "runs.csv").write_text("model,score\nA,1\nB,2\n")
    described = tmp_path / "meta_properties.json"
    described.write_text('{"score": {"maximize": true}}')
    watcher = Watcher([tmp_path])
    digests = [Explored(load([tmp_path])).digest]
    for text in ('{"score": {"maximize": false}}', '{"score": {"name": "Points", "maximize": false}}'):
        described.write_text(text)
        assert [watcher.changed() for _ in range(3)] == [False, True, False]
        digests.append(Explored(load([tmp_path])).digest)
    assert len(set(digests)) == 3
    described.unlink()
    assert [watcher.changed() for _ in range(3)] == [False, True, False]


def test_a_file_that_grows_is_waited_for(tmp_path: Path) -> None:
    watcher = Watcher([tmp_path])
    path = put(tmp_path, 0)
    for size in range(3):
        os.truncate(path, size)
        assert not watcher.changed()
    assert watcher.changed()


def test_what_has_changed_and_changed_back_is_not_told(tmp_path: Path) -> None:
    path = put(tmp_path, 0)
    watcher = Watcher([tmp_path])
    path.rename(tmp_path / "elsewhere")
    assert not watcher.changed()
    (tmp_path / "elsewhere").rename(path)
    assert [watcher.changed() for _ in range(3)] == [False] * 3


def test_what_else_changes_in_a_folder_is_not_looked_at(tmp_path: Path) -> None:
    watcher = Watcher([tmp_path])
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "infer_2026_11_24_15_00_00").mkdir()
    (tmp_path / "infer_2026_11_24_15_00_00" / "trace_nvml.csv").write_text("x")
    assert [watcher.changed() for _ in range(2)] == [False] * 2


@pytest.mark.parametrize("error", [ConfigError("Nothing goes."), IndexError("Nothing goes.")], ids=["ours", "any other"])
def test_where_results_cannot_be_read_anew_the_former_stay(
    error: Exception, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = [Dash("first", update_title="")]

    def make() -> Dash:
        if not made:
            raise error
        return made.pop()

    renewal = Renewal(make, Watcher([tmp_path]))
    first = renewal.app
    renewal()
    assert renewal.app is first
    assert "Nothing goes." in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("hidden", ["nothing", "gunicorn"], ids=["gunicorn", "waitress"])
def test_the_page_shows_results_that_have_come(hidden: str, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["--port", str(port), "--directory", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-c", _RUN.format(hidden=hidden, arguments=arguments)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )

    def until(path: str, said: Callable[[str], bool]) -> str:
        deadline_s = time.monotonic() + WAIT_S
        while time.monotonic() < deadline_s:
            assert process.poll() is None, process.stderr and process.stderr.read()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=WAIT_S) as answer:
                    found = str(answer.read().decode())
            except OSError:
                found = ""
            if found and said(found):
                return found
            time.sleep(0.1)
        raise AssertionError(f"/{path[:60]} does not change")

    try:
        until("_dash-layout", lambda text: "There are no results yet" in text)
        empty = until("version", bool)
        put(tmp_path, 0)
        one = until("version", lambda text: text != empty)
        until("_dash-layout", lambda text: "1 results." in text)
        assert until(f"view/state?theme=light&q={'x' * (MAX_ADDRESS - 2)}", lambda text: "longer than" not in text)
        put(tmp_path, 1)
        until("version", lambda text: text not in (empty, one))
        (tmp_path / "infer_2026_11_23_15_00_01.json").unlink()
        until("version", lambda text: text == one)
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=WAIT_S)
    assert "Traceback" not in errors
