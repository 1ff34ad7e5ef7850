"""Fetching the published results, from a server on this machine that behaves badly on purpose."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mlee.errors import ResultError
from mlee.paper.archive import URL, content_digest, fetch

FILES = {f"infer_{number}.json": f'{{"number": {number}}}'.encode() * 500 for number in range(5)}


def archive(files: dict[str, bytes], *, extra: list[tarfile.TarInfo] | None = None) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=0) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"repository-1/results/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in extra or []:
            tar.addfile(info)
    return out.getvalue()


@contextmanager
def server(content: bytes, cut_after: int | None = None) -> Iterator[tuple[str, list[str | None]]]:
    """Serve one file with ranges; the first answer breaks off after `cut_after` bytes."""
    asked: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            asked.append(wanted)
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            end = cut_after if cut_after is not None and len(asked) == 1 else len(content)
            self.wfile.write(content[start:end])

        def log_message(self, *_: object) -> None:
            return

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{found.server_port}/results.tar.gz", asked
    finally:
        found.shutdown()
        thread.join()
        found.server_close()


def get(folder: Path, url: str, digest: str) -> list[int]:
    seen: list[int] = []
    fetch(folder, lambda done, total: seen.append(done), url=url, digest=digest)
    return seen


def test_the_results_arrive_and_nothing_else_stays(tmp_path: Path) -> None:
    with server(archive(FILES)) as (url, _):
        seen = get(tmp_path / "new", url, content_digest(FILES))
    assert {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()} == FILES
    assert seen[-1] == len(archive(FILES))


def test_a_download_that_broke_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with server(archive(FILES), cut_after=10_000) as (url, asked):
        with pytest.raises(ResultError, match="could not be downloaded"):
            get(tmp_path, url, content_digest(FILES))
        get(tmp_path, url, content_digest(FILES))
    assert asked == [None, "bytes=10000-"]
    assert len(list(tmp_path.glob("*.json"))) == len(FILES)


def test_other_contents_are_refused(tmp_path: Path) -> None:
    with (
        server(archive({**FILES, "infer_9.json": b"{}"})) as (url, _),
        pytest.raises(ResultError, match="not the published results"),
    ):
        get(tmp_path, url, content_digest(FILES))
    assert list(tmp_path.iterdir()) == []


def test_links_and_paths_that_lead_out_are_never_written(tmp_path: Path) -> None:
    link = tarfile.TarInfo("repository-1/results/link.json")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    out = tarfile.TarInfo("repository-1/results/../../evil.json")
    with server(archive(FILES, extra=[link, out])) as (url, _):
        get(tmp_path / "in", url, content_digest(FILES))
    assert not (tmp_path / "evil.json").exists()
    assert {path.name for path in (tmp_path / "in").iterdir()} == set(FILES)


def test_a_damaged_archive_is_refused_and_removed(tmp_path: Path) -> None:
    with server(b"not an archive") as (url, _), pytest.raises(ResultError, match="damaged"):
        get(tmp_path, url, content_digest(FILES))
    assert list(tmp_path.iterdir()) == []


def test_without_a_connection_the_way_by_hand_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="could not be downloaded") as caught:
        get(tmp_path, "http://127.0.0.1:9/results.tar.gz", "")
    assert URL in str(caught.value.hint)


def test_only_https(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="not an https address"):
        get(tmp_path, "http://example.org/results.tar.gz", "")
