"""The folder of a run."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlee.errors import ConfigError, ResultError
from mlee.experiment import ExperimentFolder, how_far, is_experiment, load_result
from tests import builders
from tests.simulated.rights import without_root_rights


def test_a_folder_is_named_by_task_and_local_time(tmp_path: Path) -> None:
    started = datetime(2026, 11, 23, 15, 4, 5, tzinfo=UTC)
    folder = ExperimentFolder.create(tmp_path / "new" / "deep", "infer", started)
    assert folder.run_id == f"infer_{started.astimezone():%Y_%m_%d_%H_%M_%S}"
    assert re.fullmatch(r"infer_\d{4}(_\d\d){5}", folder.run_id)
    assert folder.path.is_dir()


def test_runs_within_one_second_get_numbers_and_share_no_folder(tmp_path: Path) -> None:
    folders = [ExperimentFolder.create(tmp_path, "infer", builders.STARTED_AT) for _ in range(3)]
    stem = folders[0].run_id
    assert [folder.run_id for folder in folders] == [stem, f"{stem}_2", f"{stem}_3"]


@pytest.mark.parametrize("below", ["file", "file/below"])
def test_a_file_in_the_way_of_the_output_is_a_configuration_error(below: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=f"--output-dir .*{below}.* not writable"):
        ExperimentFolder.create(tmp_path / below, "infer", builders.STARTED_AT)


def test_an_unwritable_output_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="--output-dir /proc/mlee is not writable"):
        ExperimentFolder.create(Path("/proc/mlee"), "infer", builders.STARTED_AT)


def test_a_file_with_the_name_of_the_run_is_a_configuration_error(tmp_path: Path) -> None:
    folder = ExperimentFolder.create(tmp_path, "infer", builders.STARTED_AT)
    folder.path.rmdir()
    folder.path.write_text("")
    with pytest.raises(ConfigError, match="in the way"):
        ExperimentFolder.create(tmp_path, "infer", builders.STARTED_AT)


def test_the_start_of_a_run_is_on_disk_before_any_result(tmp_path: Path) -> None:
    folder = ExperimentFolder.create(tmp_path, "infer", builders.STARTED_AT)
    folder.write_start(builders.config(), builders.platform())
    assert {path.name for path in folder.path.iterdir()} == {"config.json", "execution_platform.json", "requirements.txt"}
    assert json.loads((folder.path / "config.json").read_text())["global_batch_size"] == 64
    assert json.loads((folder.path / "execution_platform.json").read_text())["gpus"][0]["uuid"] == "GPU-1"
    assert (folder.path / "requirements.txt").read_text() == "# Python 3.11.7\nnumpy==2.0.0\n"
    with pytest.raises(ResultError, match="incomplete"):
        load_result(folder.path)


def test_a_path_of_undecodable_bytes_in_the_options_does_not_stop_the_run(tmp_path: Path) -> None:
    folder = ExperimentFolder.create(tmp_path, "infer", builders.STARTED_AT)
    folder.write_start(builders.config(data_path="/data/\udcff"), builders.platform())
    assert json.loads((folder.path / "config.json").read_text())["data_path"] == "/data/\udcff"


def test_the_log_gets_messages_and_the_reason_of_an_end(tmp_path: Path) -> None:
    folder = ExperimentFolder.create(tmp_path, "infer", builders.STARTED_AT)
    logger = logging.getLogger("mlee.test")
    handlers = list(logging.getLogger("mlee").handlers)
    with pytest.raises(RuntimeError), folder.logging():  # noqa: PT012 - what is logged before the end counts too
        logger.info("hello")
        raise RuntimeError("boom")
    assert logging.getLogger("mlee").handlers == handlers
    text = (folder.path / "log.txt").read_text()
    assert "INFO hello" in text
    assert "ERROR ended by RuntimeError: boom" in text
    assert how_far(folder.path) == "ended by RuntimeError: boom, before sampling began"


@pytest.mark.parametrize(
    ("log", "phases", "text"),
    [
        (None, None, "no log, before sampling began"),
        ("INFO run", None, "killed, or still running, before sampling began"),
        ("INFO run", "", "killed, or still running, before the first measurement"),
        ("INFO run", "1.0,open,idle\n", "killed, or still running, during 'idle'"),
        ("INFO run", "1.0,open,idle\n2.0,close,idle\n", "killed, or still running, after 'idle'"),
        ("INFO run", "1.0,open,idle\n2.0,close,idle\n3.0,open,repeat 1\n", "killed, or still running, during 'repeat 1'"),
        ("INFO run", "1.0,open,idle\n2.0,clo", "killed, or still running, during 'idle'"),
        ("x ERROR ended by KeyboardInterrupt: ", "1.0,open,repeat 2\n", "ended by KeyboardInterrupt: , during 'repeat 2'"),
    ],
)
def test_how_far_a_run_came_is_said_in_words(log: str | None, phases: str | None, text: str, tmp_path: Path) -> None:
    if log is not None:
        (tmp_path / "log.txt").write_text(f"2026 {log}\n")
    if phases is not None:
        (tmp_path / "phases.csv").write_text(f"t_s,event,phase\n{phases}")
    assert how_far(tmp_path) == text


@pytest.mark.parametrize(
    "content", [b"t_s,phase\n1,a\n", b"phase\n" + b"x" * 200_000, b"\xff\xfe", b"event,phase\n\x00,\x00\n"]
)
def test_damaged_phases_do_not_hide_the_reason(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "phases.csv").write_bytes(content)
    assert how_far(tmp_path).startswith("no log, ")


def test_a_result_is_loaded_from_its_folder(tmp_path: Path) -> None:
    folder = builders.complete_folder(tmp_path)
    assert load_result(folder) == builders.run_result()


def test_a_result_in_a_renamed_folder_is_refused_with_both_names(tmp_path: Path) -> None:
    folder = builders.complete_folder(tmp_path).rename(tmp_path / "infer_copy")
    with pytest.raises(ResultError, match=f"infer_copy.*{builders.RUN_ID}"):
        load_result(folder)


def test_a_damaged_result_names_its_folder(tmp_path: Path) -> None:
    folder = builders.complete_folder(tmp_path)
    (folder / "result.json").write_text("{")
    with pytest.raises(ResultError, match=builders.RUN_ID):
        load_result(folder)


def test_only_folders_with_our_prefixes_are_experiments(tmp_path: Path) -> None:
    for name in ("infer_1", "train_1", "inference", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "infer_file").write_text("")
    assert [path.name for path in sorted(tmp_path.iterdir()) if is_experiment(path)] == ["infer_1", "train_1"]


def test_an_interrupted_run_says_where_its_measurements_are(tmp_path: Path) -> None:
    folder = ExperimentFolder.create(tmp_path, "infer", builders.STARTED_AT)
    with pytest.raises(KeyboardInterrupt) as stopped, folder.logging():
        raise KeyboardInterrupt
    assert stopped.value.__notes__ == [f"what was measured until now is in {folder.path}"]


def test_a_closed_folder_is_an_experiment_that_cannot_be_read(tmp_path: Path) -> None:
    folder = builders.complete_folder(tmp_path / "runs")
    (tmp_path / "runs" / "other").mkdir()
    folder.chmod(0)
    with without_root_rights():
        assert is_experiment(folder)
        with pytest.raises(ResultError, match=f"{builders.RUN_ID} cannot be read: Permission denied"):
            load_result(folder)
        folder.parent.chmod(0o600)  # names can be listed, nothing behind them can be looked at
        assert is_experiment(folder)
        assert not is_experiment(folder.parent / "other")
    folder.parent.chmod(0o700)
    folder.chmod(0o700)


def test_a_name_too_long_for_a_folder_is_judged_without_a_crash(tmp_path: Path) -> None:
    path = tmp_path / f"infer_{'x' * 300}"
    assert is_experiment(path)
    with pytest.raises(ResultError, match="File name too long"):
        load_result(path)
