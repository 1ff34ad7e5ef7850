"""Standard streams that nothing can break."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlee.cli import common, start
from mlee.cli.streams import lasting_streams

ROOT = Path(__file__).parents[2]
RUN = [sys.executable, str(ROOT / "infer.py"), "--backend", "simulated", "--sensors", "simulated", "--idle-seconds", "0"]
RUN += ["--warmup-batches", "0", "--data-path", "synthetic:8", "--infer-model", "Tiny", "Small"]


class Broken(io.StringIO):
    """A stream whose reader is gone."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


def test_what_cannot_be_written_is_dropped_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Broken(BrokenPipeError())
    monkeypatch.setattr(sys, "stdout", gone)
    with lasting_streams() as lost:
        print("nobody reads this")
        common.stdout.print("nor this")
        assert [type(error) for error in lost][:1] == [BrokenPipeError]
    assert sys.stdout is gone


def test_a_stream_that_was_closed_from_the_start_stays_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with lasting_streams():
        common.stdout.print("nobody is meant to read this")
    assert sys.stdout is None


def test_letters_that_the_encoding_lacks_are_written_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    with lasting_streams():
        print("5 µJ ±3 % ─ 日")
    assert raw.getvalue() == b"5 uJ +-3 % - ?\n"


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_a_run_goes_on_when_its_output_is_closed(quiet: list[str], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(
        [*RUN, *quiet], stdout=writer, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(tmp_path.glob("experiments/*/result.json"))) == 2


def test_output_that_has_no_place_is_an_error_after_the_run(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(RUN, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: The output cannot be written: No space left on device.\n"
    assert len(list(tmp_path.glob("experiments/*/result.json"))) == 2


def test_errors_that_nobody_reads_keep_their_exit_code(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([*RUN, "--batch-size", "0"], stdout=subprocess.PIPE, stderr=full, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout) == (2, b"")


def test_an_ascii_terminal_gets_its_table(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(RUN, capture_output=True, cwd=tmp_path, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"EfficientNet" not in done.stdout
    assert b"Tiny" in done.stdout.splitlines()[-4]
    assert b"?" not in done.stdout


def test_ctrl_c_while_the_command_line_is_imported_is_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "impatient.py").write_text("raise KeyboardInterrupt\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert start.run("impatient") == common.INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize(
    "script", ["infer.py", "merge_results.py", "mlee/calibrate.py", "mlee/monitor/__main__.py", "mlee/rate.py"]
)
def test_a_script_imports_nothing_slow_before_it_can_be_interrupted(script: str) -> None:
    how = f"runpy.run_path({script!r}, run_name='__main__')"
    if script.startswith("mlee/"):
        how = f"runpy.run_module({script.removesuffix('.py').replace('/', '.')!r}, run_name='__main__')"
    code = (
        "import runpy, sys; from unittest import mock\n"
        "with mock.patch('mlee.cli.start.run', lambda module: 7):\n"
        f"    try: {how}\n"
        "    except SystemExit as end: assert end.code == 7\n"
        "print(sorted({'rich', 'numpy', 'pydantic', 'mlee.cli.common'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "[]\n"
