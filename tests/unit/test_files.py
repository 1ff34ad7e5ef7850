"""Atomic writing: all or nothing."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mlee.errors import ResultError
from mlee.files import write_atomically


def test_text_is_written_and_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_atomically(path, "first ± µ\n")
    write_atomically(path, "second")
    assert path.read_text(encoding="utf-8") == "second"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace", "fchmod"])
def test_a_failure_names_the_file_and_leaves_the_old_one_and_nothing_else(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.json"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(ResultError, match=r"file\.json cannot be written: No space left on device"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link, dangling = tmp_path / "link", tmp_path / "dangling"
    (tmp_path / "real" / "old").write_text("old")
    link.symlink_to("real/old")
    dangling.symlink_to("real/new")
    for path in (link, dangling):
        write_atomically(path, "fresh")
        assert path.is_symlink()
        assert path.read_text() == "fresh"
    assert sorted(path.name for path in (tmp_path / "real").iterdir()) == ["new", "old"]


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_atomically(pipe, "through")
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "full").symlink_to("/dev/full")
    write_atomically(tmp_path / "null", "into nothing")
    with pytest.raises(ResultError, match=r"full cannot be written: No space left"):
        write_atomically(tmp_path / "full", "x")
    for name in ("null", "full"):
        assert (tmp_path / name).is_symlink()
        assert stat.S_ISCHR(Path(f"/dev/{name}").stat().st_mode)


def test_a_link_to_itself_is_an_expected_error(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ResultError, match="loop"):
        write_atomically(tmp_path / "loop", "x")


def test_an_interruption_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file.json", "new")
    assert list(tmp_path.iterdir()) == []


def test_text_that_utf8_cannot_hold_is_an_expected_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"file\.json"):
        write_atomically(tmp_path / "file.json", "a path of undecodable bytes: \udc80")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_follow_the_umask_like_any_new_file(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "file", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~umask


def test_a_missing_folder_and_a_folder_in_the_way_are_named(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="none/file"):
        write_atomically(tmp_path / "none" / "file", "x")
    (tmp_path / "taken").mkdir()
    with pytest.raises(ResultError, match="taken"):
        write_atomically(tmp_path / "taken", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
