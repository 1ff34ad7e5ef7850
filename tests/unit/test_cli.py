"""Command lines: bad input gets one clear line, exit codes mean what they say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlee.cli import common, infer
from mlee.errors import MleeError
from mlee.experiment import load_result
from tests.simulated.rights import give_up_root_rights

ROOT = Path(__file__).parents[2]
QUICK = [
    *("--backend", "simulated", "--sensors", "simulated", "--data-path", "synthetic:8", "--batch-size", "4"),
    *("--idle-seconds", "0", "--warmup-batches", "0"),
]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """Run infer.py in this process as from the command line: exit code, stdout, stderr."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["infer.py", *arguments])
        try:
            code = common.run(infer.main)
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    yield run
    signal.signal(signal.SIGTERM, before)


def _folders(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "experiments").glob("*"))


def test_a_run_leaves_a_folder_and_a_table(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = call(*QUICK, "--infer-model", "Tiny", "--repeats", "2", "--seed", "5")
    assert code == 0
    (folder,) = _folders(tmp_path)
    assert folder.name in out.replace("\n", "")
    result = load_result(folder)
    assert (result.outcome.samples, len(result.measurements), result.config.seed) == (8, 2, 5)
    assert result.measurements[0].provenance == "estimated"
    assert "Tiny" in out


def test_quiet_prints_only_the_folders(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, out, err = call(*QUICK, "--infer-model", "Tiny", "small", "--quiet")
    assert (code, err) == (0, "")
    assert [Path(line).name for line in out.splitlines()] == [folder.name for folder in _folders(tmp_path)]
    assert len(out.splitlines()) == 2


def test_one_model_that_fails_does_not_stop_the_others_and_makes_the_exit_code_1(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, _, err = call(*QUICK, "--infer-model", "Tiny", "Failing", "Small", "--quiet")
    assert code == 1
    assert "1 of 3 models failed: Failing" in err
    done = [folder for folder in _folders(tmp_path) if (folder / "result.json").exists()]
    assert [load_result(folder).model.name for folder in done] == ["Tiny", "Small"]


def test_a_model_given_twice_runs_once(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert call(*QUICK, "--infer-model", "Tiny", "Tiny", "--quiet")[0] == 0
    assert len(_folders(tmp_path)) == 1


def test_all_takes_every_model_of_the_backend(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, _, err = call(*QUICK, "--infer-model", "all", "--quiet")
    assert code == 1
    assert "1 of 4 models failed: Failing" in err


def test_the_models_of_a_backend_are_listed_one_a_line(call) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = call("--list-models", "--backend", "simulated")
    assert (code, out.split()) == (0, ["Tiny", "Small", "Large", "Failing"])


_BAD: list[tuple[list[str], str]] = [
    (["--batch-size", "0"], "--batch-size"),
    (["--batch-size", "-3"], "--batch-size"),
    (["--batch-size", "1.5"], "--batch-size"),
    (["--gpu-monitor-interval", "0"], "--gpu-monitor-interval"),
    (["--gpu-monitor-interval", "-1"], "--gpu-monitor-interval"),
    (["--cpu-monitor-interval", "nan"], "--cpu-monitor-interval"),
    (["--cpu-monitor-interval", "inf"], "--cpu-monitor-interval"),
    (["--cpu-monitor-interval", "fast"], "--cpu-monitor-interval"),
    (["--cpu-monitor-interval", "1e10"], "--cpu-monitor-interval"),
    (["--cpu-monitor-interval", "1e-310"], "--cpu-monitor-interval"),
    (["--gpu-monitor-interval", "3601"], "--gpu-monitor-interval"),
    (["--idle-seconds", "1e300"], "--idle-seconds"),
    (["--idle-seconds", "604801"], "--idle-seconds"),
    (["--idle-seconds", "-1"], "--idle-seconds"),
    (["--idle-seconds", "nan"], "--idle-seconds"),
    (["--warmup-batches", "-1"], "--warmup-batches"),
    (["--workers", "-1"], "--workers"),
    (["--repeats", "0"], "--repeats"),
    (["--repeats", "two"], "--repeats"),
    (["--n-batches", "0"], "--n-batches"),
    (["--n-batches", "-2"], "--n-batches"),
    (["--n-batches", "x"], "--n-batches"),
    (["--image-size", "0"], "--image-size"),
    (["--seed", "x"], "--seed"),
    (["--seed", "-2"], "--seed"),
    (["--seed", "1" * 30], "--seed"),
    (["--cpu-watts", "120"], "--cpu-watts"),
    (["--cpu-watts", "120:35"], "--cpu-watts"),
    (["--cpu-watts", ""], "--cpu-watts"),
    (["--backend", "jax"], "--backend"),
    (["--precision", "int4"], "--precision"),
    (["--accuracy", "guessed"], "--accuracy"),
    (["--infer-model", "Tinny"], "Tiny"),
    (["--infer-model", "/tmp"], "folder"),
    (["--data-path", "synthetic:0"], "synthetic:0"),
    (["--data-path", "synthetic:²"], "synthetic:²"),
    (["--output-dir", "/proc/none"], "--output-dir"),
    (["--sensors", "thermometer"], "thermometer"),
    (["--sensors", "rapl", "cpu_model"], "cpu_model"),
    (["--sensors", "auto", "rapl"], "auto"),
    (["--sensors", ","], "--sensors"),
    (["--sensors", "simulated:steady", "simulated:square"], "simulated"),
    (["--sensors", "simulated:banana"], "banana"),
    (["--sensors", "simulated:1e308"], "1e308"),
    (["--sensors", "simulated:-5"], "-5"),
    (["--speed", "9"], "--speed"),
]


@pytest.mark.parametrize(("arguments", "named"), _BAD, ids=[" ".join(arguments) for arguments, _ in _BAD])
def test_bad_input_is_named_in_one_line_with_exit_code_2_and_leaves_no_folder(
    arguments: list[str],
    named: str,
    call,  # type: ignore[no-untyped-def]
    tmp_path: Path,
) -> None:
    code, out, err = call(*QUICK, "--infer-model", "Tiny", *arguments)
    assert code == 2
    assert out == ""
    assert named in err
    assert "Traceback" not in err
    (line,) = [line for line in err.splitlines() if "error:" in line]
    assert line
    assert _folders(tmp_path) == []


def test_a_missing_data_path_is_named(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, _, err = call(*QUICK, "--data-path", "/none/imagenet")
    assert code in (1, 2)
    assert "/none/imagenet" in err or "Unknown model" in err
    assert _folders(tmp_path) == []


@pytest.mark.parametrize("sensor", ["external", "nvml"])
def test_a_named_sensor_that_is_not_there_ends_the_run_before_it_starts(
    sensor: str,
    call,  # type: ignore[no-untyped-def]
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mlee.backends.simulated import SimulatedInference

    def never(*_: object) -> None:
        pytest.fail("the model ran")

    monkeypatch.setattr(SimulatedInference, "warm_up", never)
    code, _, err = call(*QUICK, "--infer-model", "Tiny", "--sensors", sensor)
    assert code == 1
    assert f"Sensor {sensor} cannot be used" in err
    assert _folders(tmp_path) == [], "a run that never started must not be listed as incomplete by the merger"


def test_an_accuracy_nobody_published_is_refused_before_the_run(
    call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    from mlee.backends.simulated import SimulatedInference

    def never(*_: object) -> None:
        pytest.fail("the model ran")

    monkeypatch.setattr(SimulatedInference, "evaluate", never)
    code, _, err = call(*QUICK, "--infer-model", "Tiny", "--accuracy", "published")
    assert code == 2
    assert "No accuracy is published" in err
    assert _folders(tmp_path) == []


_NOT_FOR_HELP = ("torch", "torchvision", "tensorflow", "onnxruntime", "pynvml", "dash", "pandas", "scipy", "PIL")


@pytest.mark.parametrize("script", ["infer.py", "merge_results.py", "-m mlee.monitor", "-m mlee.calibrate"])
def test_help_is_quick_because_it_imports_nothing_heavy(script: str) -> None:
    modules = {
        "infer.py": "infer",
        "merge_results.py": "merge",
        "-m mlee.monitor": "monitor",
        "-m mlee.calibrate": "calibrate",
    }
    code = (
        f"import sys\nfrom mlee.cli.{modules[script]} import main\n"
        "try: main(['--help'])\nexcept SystemExit as end: assert end.code == 0\n"
        f"print('HEAVY', sorted(set({_NOT_FOR_HELP!r}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "usage:" in done.stdout
    assert "HEAVY []" in done.stderr


@pytest.mark.parametrize("script", ["infer.py", "merge_results.py"])
def test_the_scripts_run_from_any_folder(script: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(ROOT / script), "--help"], capture_output=True, cwd=tmp_path, check=False)
    assert done.returncode == 0


def _monitor(*arguments: str, sensors: str = "simulated") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mlee.monitor", "--sensors", sensors, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 3"], 3),
        (["sh", "-c", "kill -TERM $$"], 143),
        (["sh", "-c", "kill -KILL $$"], 137),
        (["mlee-no-such-command"], 127),
        (["/tmp"], 126),
        (["sh", "-c", "exit 2", "--", "--json"], 2),
    ],
)
def test_the_monitor_ends_with_the_exit_code_of_the_command(command: list[str], code: int) -> None:
    assert _monitor("--", *command).returncode == code


def test_the_monitor_leaves_the_output_of_the_command_clean() -> None:
    done = _monitor("--", "echo", "hello")
    assert done.stdout == "hello\n"
    assert "J" in done.stderr


def test_the_monitor_without_a_command_says_how() -> None:
    done = _monitor()
    assert done.returncode == 2
    assert "--" in done.stderr


def test_the_report_of_the_monitor_has_the_promised_fields(tmp_path: Path) -> None:
    path = tmp_path / "energy.json"
    assert _monitor("--json", str(path), "--interval", "0.05", "--", "sleep", "0.2").returncode == 0
    report = json.loads(path.read_text())
    assert report["duration_s"] >= 0.2
    assert report["exit_code"] == 0
    assert report["command"] == ["sleep", "0.2"]
    assert {"energy_j", "not_added", "not_measured", "warnings", "provenance", "format", "version"} <= report.keys()
    (device,) = report["devices"]
    wanted = "kind index name uuid sensor energy_j energy_uncertainty_j mean_power_w max_power_w readings coverage method"
    assert {*wanted.split(), "provenance"} <= device.keys()
    assert device["energy_j"] == pytest.approx(100 * report["duration_s"], rel=0.1)
    assert (device["sensor"], device["provenance"], device["coverage"]) == ("simulated", "estimated", 1.0)


def test_a_sensor_without_energy_is_no_energy_of_zero(tmp_path: Path) -> None:
    path = tmp_path / "energy.json"
    assert _monitor("--json", str(path), "--", "true", sensors="process").returncode == 0
    report = json.loads(path.read_text())
    assert report["energy_j"] is None
    assert report["devices"] == []


@pytest.mark.parametrize("target", ["none/energy.json", "."])
def test_a_report_that_cannot_be_written_is_refused_before_the_command_runs(target: str, tmp_path: Path) -> None:
    done = _monitor("--json", str(tmp_path / target), "--", "touch", str(tmp_path / "ran"))
    assert done.returncode == 2
    assert "--json" in done.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("ended", "code"), [(0, 1), (3, 3)])
def test_a_report_that_lost_its_place_is_said_after_the_report_and_keeps_the_code_of_the_command(
    ended: int, code: int, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    done = _monitor("--json", str(place / "energy.json"), "--", "sh", "-c", f"rmdir {place}; exit {ended}")
    assert done.returncode == code
    assert "simulated device" in done.stderr.partition("error:")[0]
    assert "energy.json cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_goes_through_a_pipe(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "mlee.monitor", "--sensors", "simulated", "--json", f"/dev/fd/{writer}", "--", "true"]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, check=False, timeout=60, pass_fds=[writer])
    os.close(writer)
    with open(reader) as pipe:
        assert json.loads(pipe.read())["command"] == ["true"]
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("path", "code", "said"),
    [
        ("shut/command", 126, "Permission denied"),
        ("x" * 300, 126, "File name too long"),
        ("none/command", 127, "not found"),
        ("file/command", 127, "not found"),
        ("file", 126, "not executable"),
    ],
)
def test_a_command_that_cannot_be_started_is_named_as_shells_do(path: str, code: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0)
    (tmp_path / "file").write_text("")
    command = [sys.executable, "-m", "mlee.monitor", "--sensors", "simulated", "--", str(tmp_path / path)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=60, preexec_fn=give_up_root_rights
    )
    assert (done.returncode, done.stderr) == (code, f"error: {tmp_path / path}: {said}\n")


def test_a_report_in_a_closed_folder_is_refused_before_the_command_runs(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0)
    for path in ("shut/energy.json", "shut/inside/energy.json", "x" * 300):
        command = [sys.executable, "-m", "mlee.monitor", "--sensors", "simulated", "--json", str(tmp_path / path)]
        done = subprocess.run(
            [*command, "--", "touch", str(tmp_path / "ran")],
            capture_output=True, text=True, cwd=ROOT, check=False, timeout=60, preexec_fn=give_up_root_rights,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        if path.startswith("shut"):
            assert done.returncode == 2
            assert not (tmp_path / "ran").exists()


def test_the_monitor_refuses_bad_options_before_the_command_runs(tmp_path: Path) -> None:
    for arguments in (["--interval", "0"], ["--interval", "nan"], ["--sensors", "thermometer"]):
        done = _monitor(*arguments, "--", "touch", str(tmp_path / "ran"))
        assert done.returncode == 2
    assert not (tmp_path / "ran").exists()


def test_an_expected_error_becomes_error_and_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise MleeError("It [bold]broke[/bold] at /tmp/[x].", "mend [it]")

    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert common.run(fail) == 1
    assert capsys.readouterr().err.splitlines() == ["error: It [bold]broke[/bold] at /tmp/[x].", "hint: mend [it]"]


@pytest.mark.parametrize("note", ["what was measured until now is in experiments/[x]", None])
def test_ctrl_c_ends_with_130_and_names_the_folder_where_there_is_one(
    note: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: object) -> int:
        stop = KeyboardInterrupt()
        if note is not None:
            stop.add_note(note)
        raise stop

    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert common.run(interrupt) == 130
    assert capsys.readouterr().err == ("interrupted\n" if note is None else f"interrupted: {note}\n")


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(ZeroDivisionError):
        common.run(lambda _: 1 // 0)


def test_clean_asks_nobody_where_nobody_can_answer(tmp_path: Path) -> None:
    """A terminal to write to is not yet a terminal to answer from: `--clean < /dev/null` must not crash."""
    from tests import builders

    builders.complete_folder(tmp_path / "experiments")
    merge = [sys.executable, str(ROOT / "merge_results.py")]
    subprocess.run(merge, cwd=tmp_path, check=True, capture_output=True)
    environment = {**os.environ, "FORCE_COLOR": "1"}  # rich then takes its output for a terminal
    done = subprocess.run(
        [*merge, "--clean"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert "Traceback" not in done.stderr
