"""Merging: every folder accounted for, nothing overwritten, only our own files removed."""

from __future__ import annotations

import fcntl
import json
import os
import tarfile
import threading
import time
from pathlib import Path

import pytest

from mlee.calibration import Calibration, save_calibration
from mlee.cli import merge as cli
from mlee.errors import ConfigError, MleeError, ResultError
from mlee.results import store
from mlee.results.merge import (
    MANIFEST_FILE,
    Manifest,
    Merged,
    MergeOptions,
    clean,
    file_digest,
    find_folders,
    merge,
    remove,
)
from mlee.wall_meter import WallMeterLog
from tests import builders
from tests.simulated.rights import without_root_rights

OTHER = "infer_2026_11_23_16_00_00"


def _merge(folders: list[Path], **options: object) -> list[Merged]:
    return list(merge(folders, MergeOptions(**options), lambda done: None))  # type: ignore[arg-type]


def _digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): file_digest(path) for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two complete runs, one that was killed, one that is damaged, and a folder that is none of ours."""
    runs = tmp_path / "experiments"
    builders.complete_folder(runs)
    builders.complete_folder(runs, OTHER)
    builders.incomplete_folder(runs, "infer_2026_11_23_17_00_00")
    damaged = builders.complete_folder(runs, "infer_2026_11_23_18_00_00")
    text = (damaged / "result.json").read_text()
    (damaged / "result.json").write_text(text.replace('"energy_j":1000.0', '"energy_j":-1.0', 1))
    (runs / "notes").mkdir()
    return runs


@pytest.fixture
def complete(tmp_path: Path) -> Path:
    runs = tmp_path / "experiments"
    builders.complete_folder(runs)
    return runs


@pytest.mark.parametrize("closed", ["the run", "its parent's entries"])
def test_a_closed_folder_is_listed_with_the_reason_and_the_others_are_merged(
    closed: str, complete: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    builders.complete_folder(complete, OTHER)
    shut, mode = (complete / OTHER, 0) if closed == "the run" else (complete, 0o600)
    shut.chmod(mode)
    try:
        with without_root_rights():
            assert cli.main(_arguments(complete, tmp_path / "results")) == 1
    finally:
        shut.chmod(0o700)
    said = capsys.readouterr().out
    assert "cannot be read: Permission denied" in said
    assert f"{1 if closed == 'the run' else 0} of 2 runs merged" in said


@pytest.mark.parametrize("option", ["--directory", "--train-dirs"])
@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("none", "none is not a folder"),
        ("shut", "shut cannot be read: Permission denied"),
        ("shut/inside", "inside cannot be read: Permission denied"),
        ("x" * 300, "cannot be read: File name too long"),
    ],
)
def test_a_directory_that_cannot_be_listed_is_named_with_its_option(
    place: str, said: str, option: str, complete: Path, tmp_path: Path
) -> None:
    (tmp_path / "shut" / "inside").mkdir(parents=True)
    (tmp_path / "shut").chmod(0)
    more = [option, str(tmp_path / place)]
    with without_root_rights(), pytest.raises(ConfigError, match=f"^{option} .*{said}"):
        cli.main(_arguments(complete, tmp_path / "results", *more))
    (tmp_path / "shut").chmod(0o700)


def test_results_in_a_closed_folder_are_an_expected_error(complete: Path, tmp_path: Path) -> None:
    (tmp_path / "shut" / "results").mkdir(parents=True)
    (tmp_path / "shut").chmod(0)
    with without_root_rights(), pytest.raises(MleeError, match="Permission denied"):
        cli.main(_arguments(complete, tmp_path / "shut" / "results"))
    (tmp_path / "shut").chmod(0o700)


def _meter(path: Path, watts: float = 200.0) -> Path:
    start = builders.STARTED_AT.timestamp()
    lines = ["unix_s,power_w", *(f"{start + second},{watts}" for second in range(-5, 20))]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_every_folder_ends_as_a_result_or_with_a_reason(runs: Path, tmp_path: Path) -> None:
    merged = _merge(find_folders(runs), results_dir=tmp_path / "results")
    reasons = {entry.folder.name: entry.reason for entry in merged}
    assert list(reasons) == sorted(reasons)
    assert reasons[builders.RUN_ID] is None
    assert reasons[OTHER] is None
    assert "incomplete: killed, or still running, during 'repeat 1'" in (reasons["infer_2026_11_23_17_00_00"] or "")
    assert "energy_j" in (reasons["infer_2026_11_23_18_00_00"] or "")
    written = sorted(path.name for path in (tmp_path / "results").glob("*.json") if path.name != MANIFEST_FILE)
    assert written == [f"{builders.RUN_ID}.json", f"{OTHER}.json"]
    assert store.load(tmp_path / "results" / f"{builders.RUN_ID}.json") == builders.run_result()


def test_folders_are_only_read(runs: Path, tmp_path: Path) -> None:
    before = _digests(runs)
    _merge(find_folders(runs), results_dir=tmp_path / "results", archive_dir=tmp_path / "logs", force=True)
    assert _digests(runs) == before


def test_one_folder_that_cannot_be_judged_does_not_stop_the_others(runs: Path, tmp_path: Path) -> None:
    (runs / "infer_2026_11_23_17_00_00" / "phases.csv").write_text("t_s,phase\n1.0,x\n")
    merged = _merge(find_folders(runs), results_dir=tmp_path / "results")
    assert len(merged) == 4
    assert sum(entry.result is not None for entry in merged) == 2


def test_merging_again_changes_nothing(complete: Path, tmp_path: Path) -> None:
    targets = {"results_dir": tmp_path / "results", "archive_dir": tmp_path / "logs"}
    _merge(find_folders(complete), **targets)
    before = {path: (file_digest(path), path.stat().st_mtime_ns) for path in tmp_path.glob("results/infer*")}
    archives = _digests(tmp_path / "logs")
    merged = _merge(find_folders(complete), **targets)
    assert [entry.reason for entry in merged] == [None]
    assert before == {path: (file_digest(path), path.stat().st_mtime_ns) for path in tmp_path.glob("results/infer*")}
    assert _digests(tmp_path / "logs") == archives


@pytest.mark.parametrize("force", [False, True])
def test_a_result_that_differs_is_only_overwritten_by_force(force: bool, complete: Path, tmp_path: Path) -> None:
    target = tmp_path / "results" / f"{builders.RUN_ID}.json"
    target.parent.mkdir()
    target.write_text("mine")
    (merged,) = _merge(find_folders(complete), results_dir=target.parent, force=force)
    assert (target.read_text() == "mine") is not force
    assert (merged.reason is None) is force
    if not force:
        assert "--force" in (merged.reason or "")
        assert list(Manifest(target.parent).ours()) == []


@pytest.mark.parametrize("force", [False, True])
def test_two_runs_of_one_name_are_never_mistaken_for_each_other(force: bool, complete: Path, tmp_path: Path) -> None:
    builders.complete_folder(tmp_path / "other_machine", dataset="imagenet")
    folders = [*find_folders(complete), *find_folders(tmp_path / "other_machine")]
    merged = _merge(folders, results_dir=tmp_path / "results", force=force)
    assert sum(entry.result is not None for entry in merged) <= 1
    assert any("same name" in (entry.reason or "") or "differs" in (entry.reason or "") for entry in merged)


def test_an_archive_is_whole_and_holds_the_folder(complete: Path, tmp_path: Path) -> None:
    _merge(find_folders(complete), results_dir=tmp_path / "results", archive_dir=tmp_path / "logs")
    with tarfile.open(tmp_path / "logs" / f"{builders.RUN_ID}.tar.gz", "r:gz") as archive:
        archive.extractall(tmp_path / "out", filter="data")
    assert _digests(tmp_path / "out" / builders.RUN_ID) == _digests(complete / builders.RUN_ID)
    assert not [path for path in (tmp_path / "logs").iterdir() if path.suffix == ".tmp"]


def test_a_folder_is_always_packed_to_the_same_bytes(
    complete: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for now, logs in ((1e9, "early"), (2e9, "late")):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        _merge(find_folders(complete), results_dir=tmp_path / "results", archive_dir=tmp_path / logs)
    name = f"{builders.RUN_ID}.tar.gz"
    assert (tmp_path / "early" / name).read_bytes() == (tmp_path / "late" / name).read_bytes()


def test_an_archive_that_fails_leaves_nothing_and_a_reason(
    complete: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "add", fail)
    (merged,) = _merge(find_folders(complete), results_dir=tmp_path / "results", archive_dir=tmp_path / "logs")
    assert "No space left" in (merged.reason or "")
    assert list((tmp_path / "logs").iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"changed"])
@pytest.mark.parametrize("known", [True, False], ids=["in the manifest", "not in the manifest"])
def test_an_archive_that_was_damaged_is_reported_and_only_written_again_by_force(
    known: bool, content: bytes, complete: Path, tmp_path: Path
) -> None:
    targets = {"results_dir": tmp_path / "results", "archive_dir": tmp_path / "logs"}
    _merge(find_folders(complete), **targets)
    archive = tmp_path / "logs" / f"{builders.RUN_ID}.tar.gz"
    whole = archive.read_bytes()
    archive.write_bytes(content)
    if not known:
        (tmp_path / "logs" / MANIFEST_FILE).unlink()
    (merged,) = _merge(find_folders(complete), **targets)
    assert merged.result is None
    assert f"{archive} is not what a merge wrote" in (merged.reason or "")
    assert "--force" in (merged.reason or "")
    assert archive.read_bytes() == content
    (merged,) = _merge(find_folders(complete), **targets, force=True)
    assert merged.reason is None
    assert archive.read_bytes() == whole


def test_a_whole_archive_that_no_manifest_tells_of_is_left_alone(complete: Path, tmp_path: Path) -> None:
    targets = {"results_dir": tmp_path / "results", "archive_dir": tmp_path / "logs"}
    _merge(find_folders(complete), **targets)
    (tmp_path / "logs" / MANIFEST_FILE).unlink()
    assert [merged.reason for merged in _merge(find_folders(complete), **targets)] == [None]


def test_a_merge_that_wrote_nothing_leaves_the_manifest_of_another(complete: Path, tmp_path: Path) -> None:
    """Both begin before either has a manifest; the one that comes late finds everything written."""
    results = tmp_path / "results"
    options = MergeOptions(results_dir=results)
    late = merge(find_folders(complete), options, lambda done: _merge(find_folders(complete), results_dir=results))
    assert [merged.reason for merged in late] == [None]
    assert [path.name for path in Manifest(results).ours()] == [f"{builders.RUN_ID}.json"]


def test_manifests_of_merges_at_the_same_time_are_joined(tmp_path: Path) -> None:
    first, second = Manifest(tmp_path), Manifest(tmp_path)
    for manifest, name in ((first, "a"), (second, "b")):
        (tmp_path / name).write_text(name)
        manifest.add(name, file_digest(tmp_path / name))
    first.save()
    second.save()
    assert [path.name for path in Manifest(tmp_path).ours()] == ["a", "b"]
    first.forget("a")
    first.save()
    written = (tmp_path / MANIFEST_FILE).stat()
    second.save()  # nothing to say: nothing is written
    assert (tmp_path / MANIFEST_FILE).stat() == written
    assert [path.name for path in Manifest(tmp_path).ours()] == ["b"]
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", MANIFEST_FILE}


def test_a_manifest_waits_for_another_that_is_being_written(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    (tmp_path / "a").write_text("a")
    manifest.add("a", file_digest(tmp_path / "a"))
    directory = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    saving = threading.Thread(target=manifest.save)
    saving.start()
    saving.join(timeout=0.05)
    assert saving.is_alive()
    assert not (tmp_path / MANIFEST_FILE).exists()
    os.close(directory)
    saving.join(timeout=10)
    assert (tmp_path / MANIFEST_FILE).exists()


def test_a_file_that_cannot_be_read_is_not_known_to_be_ours(complete: Path, tmp_path: Path) -> None:
    _merge(find_folders(complete), results_dir=tmp_path / "results")
    (tmp_path / "results" / f"{builders.RUN_ID}.json").chmod(0)
    with without_root_rights():
        assert clean([tmp_path / "results"]) == {tmp_path / "results": []}


def test_clean_lists_what_we_wrote_and_removing_it_leaves_an_empty_folder(complete: Path, tmp_path: Path) -> None:
    _merge(find_folders(complete), results_dir=tmp_path / "results", archive_dir=tmp_path / "logs")
    found = clean([tmp_path / "results", tmp_path / "logs", tmp_path / "none"])
    assert sorted(path.name for paths in found.values() for path in paths) == [
        f"{builders.RUN_ID}.json",
        f"{builders.RUN_ID}.tar.gz",
    ]
    remove(found)
    assert list((tmp_path / "results").iterdir()) == []
    assert list((tmp_path / "logs").iterdir()) == []


def test_a_file_the_user_changed_is_left_alone(complete: Path, tmp_path: Path) -> None:
    _merge(find_folders(complete), results_dir=tmp_path / "results")
    target = tmp_path / "results" / f"{builders.RUN_ID}.json"
    target.write_text(target.read_text() + " ")
    assert clean([target.parent]) == {target.parent: []}


def test_a_foreign_file_is_left_alone(complete: Path, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "infer_2022_03_03_17_16_59.json").write_text("{}")
    _merge(find_folders(complete), results_dir=tmp_path / "results")
    remove(clean([tmp_path / "results"]))
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["infer_2022_03_03_17_16_59.json"]


def _manifest(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / MANIFEST_FILE).write_text(json.dumps({"format": "mlee-manifest", "version": 1, "files": files}))


@pytest.mark.parametrize("name", ["../outside", "sub/inside", "/abs", "..", ".", "", "\0", "./plain", "link"])
def test_a_manifest_cannot_reach_beyond_plain_files_of_its_folder(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    (folder / "sub").mkdir(parents=True)
    outside = tmp_path / "outside"
    for path in (outside, folder / "sub" / "inside", folder / "plain"):
        path.write_text("x")
    os.symlink(outside, folder / "link")
    name = str(outside) if name == "/abs" else name
    _manifest(folder, {name: file_digest(outside)})
    assert clean([folder]) == {folder: []}
    remove(clean([folder]))
    assert outside.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b"{}", b'"x"', b"\xff", b"[" * 100_000, b'{"format":"other","files":{}}',
     b'{"format":"mlee-manifest","files":[]}', b'{"format":"mlee-manifest","files":{}}junk'],
)  # fmt: skip
def test_a_damaged_manifest_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    (tmp_path / MANIFEST_FILE).write_bytes(content)
    with pytest.raises(ResultError, match=r"manifest is damaged"):
        clean([tmp_path])


def test_a_wall_meter_is_put_beside_every_window_and_not_added(complete: Path, tmp_path: Path) -> None:
    meter = WallMeterLog(_meter(tmp_path / "meter.csv"))
    (merged,) = _merge(find_folders(complete), results_dir=tmp_path / "results", wall_meter=meter)
    assert merged.result is not None
    (window,) = merged.result.measurements
    assert window.energy_j == builders.measurement().energy_j
    assert window.not_added[-1].energy_j == pytest.approx(2000.0)
    assert window.not_added[-1].provenance == "external"
    assert store.load(tmp_path / "results" / f"{builders.RUN_ID}.json") == merged.result


def test_a_wall_meter_of_another_day_gives_a_warning_and_no_number(tmp_path: Path) -> None:
    runs = tmp_path / "experiments"
    later = builders.measurement(started_at=builders.STARTED_AT.replace(day=24))
    builders.complete_folder(runs, measurements=(later,))
    meter = WallMeterLog(_meter(tmp_path / "meter.csv"))
    (merged,) = _merge(find_folders(runs), results_dir=tmp_path / "results", wall_meter=meter)
    assert merged.result is not None
    assert merged.result.measurements == (later,)
    assert merged.result.warnings[-1].code == "no-wall-meter"


def test_a_target_that_cannot_be_made_is_a_configuration_error(complete: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file"):
        _merge(find_folders(complete), results_dir=tmp_path / "file")


# --- the command line


def _arguments(directory: Path, results: Path, *more: str) -> list[str]:
    return ["--directory", str(directory), "--output-agglog-dir", str(results), *more]


def test_the_exit_code_is_1_when_a_folder_is_left_out(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(_arguments(runs, tmp_path / "results")) == 1
    said = capsys.readouterr().out
    assert "2 of 4 runs merged" in said
    assert "infer_2026_11_23_17_00_00" in said
    assert "infer_2026_11_23_18_00_00" in said


def test_the_exit_code_is_0_when_all_are_merged_and_the_table_shows_them(
    complete: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(_arguments(complete, tmp_path / "results")) == 0
    said = capsys.readouterr().out
    assert "1 of 1 runs merged" in said
    assert "ResNet50" in said


def test_clean_without_a_terminal_needs_yes(complete: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    assert cli.main(_arguments(complete, results)) == 0
    before = _digests(results)
    with pytest.raises(ConfigError, match="--clean would remove 1 files") as refused:
        cli.main(_arguments(complete, results, "--clean"))
    assert "--yes" in (refused.value.hint or "")
    assert _digests(results) == before


def test_clean_with_yes_removes_stale_results_and_merges_anew(complete: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    builders.complete_folder(complete, OTHER)
    assert cli.main(_arguments(complete, results)) == 0
    (complete / OTHER).rename(tmp_path / OTHER)
    assert cli.main(_arguments(complete, results, "--clean", "--yes")) == 0
    assert [path.name for path in results.glob("infer*")] == [f"{builders.RUN_ID}.json"]


def test_clean_removes_nothing_when_there_is_nothing_to_merge(complete: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    assert cli.main(_arguments(complete, results)) == 0
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no experiment folders"):
        cli.main(_arguments(tmp_path / "empty", results, "--clean", "--yes"))
    assert (results / f"{builders.RUN_ID}.json").exists()


def test_a_calibration_is_joined(complete: Path, tmp_path: Path) -> None:
    calibration = Calibration(
        host="node1", scope=("cpu", "gpu"), offset_w=50, slope=1.0, residual_w=1, points=5, min_power_w=100,
        max_power_w=200, made_at="2026-11-23T00:00:00+00:00",
    )  # fmt: skip
    save_calibration(calibration, tmp_path / "c.json")
    assert cli.main(_arguments(complete, tmp_path / "results", "--calibration", str(tmp_path / "c.json"))) == 0
    result = store.load(tmp_path / "results" / f"{builders.RUN_ID}.json")
    assert result.measurements[0].not_added[-1].energy_j == pytest.approx(2000.0)


@pytest.mark.parametrize("option", ["--external-log", "--calibration"])
def test_a_missing_input_is_an_expected_error(option: str, complete: Path, tmp_path: Path) -> None:
    with pytest.raises(MleeError, match="none"):
        cli.main(_arguments(complete, tmp_path / "results", option, str(tmp_path / "none")))


@pytest.mark.parametrize("directory", ["none", "empty"])
def test_a_directory_without_runs_is_a_configuration_error(directory: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=f"--directory .*{directory}"):
        cli.main(_arguments(tmp_path / directory, tmp_path / "results"))


def test_more_directories_are_merged_too(complete: Path, tmp_path: Path) -> None:
    builders.complete_folder(tmp_path / "more", OTHER)
    assert cli.main(_arguments(complete, tmp_path / "results", "--train-dirs", str(tmp_path / "more"))) == 0
    assert len(list((tmp_path / "results").glob("infer*"))) == 2


def test_runs_of_one_model_with_other_settings_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    builders.complete_folder(tmp_path / "e", "infer_1")
    builders.complete_folder(tmp_path / "e", "infer_2", config=builders.config(compile=True))
    assert cli.main(["--directory", str(tmp_path / "e"), "--output-agglog-dir", str(tmp_path / "r")]) == 0
    models = [line.split("  ")[0].strip() for line in capsys.readouterr().out.splitlines() if "ResNet50" in line]
    assert models == ["ResNet50", "ResNet50 (compile)"]
