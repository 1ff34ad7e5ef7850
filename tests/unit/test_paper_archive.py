"""Fetching the published results, from a server on this machine that behaves badly on purpose."""

from __future__ import annotations

import gzip
import io
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mlee.errors import ResultError
from mlee.paper import archive
from mlee.paper.archive import CONTENT_DIGEST, PART, URL, content_digest, fetch

DATA = Path(__file__).parents[3] / "shared" / "imageneteff22" / "results"
FILES = {f"infer_2022_{number}.json": f'{{"number": {number}}}'.encode() * 500 for number in range(5)}
DIGEST = content_digest(FILES)


def packed(files: dict[str, bytes], *, extra: list[tarfile.TarInfo] | None = None) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=0) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"repository-1/results/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in extra or []:
            tar.addfile(info)
    return out.getvalue()


class Handler(BaseHTTPRequestHandler):
    """Serves one content with ranges and notes which were asked for; a test replaces what it wants to go wrong."""

    content = b""
    asked: list[str | None]

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.asked.append(wanted)
        self.answer(int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0)

    def answer(self, start: int) -> None:
        if start >= len(self.content):
            self.send_error(416)
            return
        self.begin(start)
        self.wfile.write(self.content[start:])

    def begin(self, start: int) -> None:
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


Answer = Callable[[Handler, int], None]


@contextmanager
def server(served: bytes, answer: Answer | None = None) -> Iterator[tuple[str, list[str | None]]]:
    class Mine(Handler):
        content = served
        asked: list[str | None] = []  # noqa: RUF012

    if answer is not None:
        Mine.answer = answer  # type: ignore[method-assign]
    found = ThreadingHTTPServer(("127.0.0.1", 0), Mine)
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{found.server_port}/results.tar.gz", Mine.asked
    finally:
        found.shutdown()
        thread.join()
        found.server_close()


def get(folder: Path, url: str, digest: str = DIGEST) -> list[tuple[int, int | None]]:
    seen: list[tuple[int, int | None]] = []
    fetch(folder, lambda done, total: seen.append((done, total)), url=url, digest=digest)
    return seen


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def cut(after: int) -> Answer:
    """Break off the first answer."""

    def answer(self: Handler, start: int) -> None:
        self.begin(start)
        end = after if len(self.asked) == 1 else len(self.content)
        self.wfile.write(self.content[start:end])

    return answer


def test_the_results_arrive_and_nothing_else_stays(tmp_path: Path) -> None:
    content = packed(FILES)
    with server(content) as (url, _):
        seen = get(tmp_path / "new", url)
    assert {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()} == FILES
    assert seen[-1] == (len(content), len(content))


def test_what_is_there_is_not_downloaded_again(tmp_path: Path) -> None:
    with server(packed(FILES)) as (url, asked):
        assert fetch(tmp_path, lambda *_: None, url=url, digest=DIGEST)
        assert not fetch(tmp_path, lambda *_: None, url=url, digest=DIGEST)
        (tmp_path / "infer_2022_3.json").write_text("{}")
        get(tmp_path, url)
    assert asked == [None, None]
    assert (tmp_path / "infer_2022_3.json").read_bytes() == FILES["infer_2022_3.json"]


def test_results_of_others_are_not_mixed_with_the_published_ones(tmp_path: Path) -> None:
    (tmp_path / "infer_2026_11_23_15_04_05.json").write_text("{}")
    with server(packed(FILES)) as (url, asked), pytest.raises(ResultError, match="holds other results") as caught:
        get(tmp_path, url)
    assert asked == []
    assert "--directory" in str(caught.value.hint)


def test_a_download_that_broke_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with server(packed(FILES), cut(10_000)) as (url, asked):
        with pytest.raises(ResultError, match="broke off after 10000 of"):
            get(tmp_path, url)
        assert names(tmp_path) == {PART}
        get(tmp_path, url)
    assert asked == [None, "bytes=10000-"]
    assert names(tmp_path) == set(FILES)


def test_without_ranges_it_starts_again(tmp_path: Path) -> None:
    (tmp_path / PART).write_bytes(b"old")

    def answer(self: Handler, _: int) -> None:
        self.begin(0)
        self.wfile.write(self.content)

    with server(packed(FILES), answer) as (url, asked):
        get(tmp_path, url)
    assert asked == ["bytes=3-"]
    assert names(tmp_path) == set(FILES)


def test_a_complete_part_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / PART).write_bytes(packed(FILES))
    with server(packed(FILES)) as (url, _):
        get(tmp_path, url)
    assert names(tmp_path) == set(FILES)


def test_another_part_than_asked_for_is_refused(tmp_path: Path) -> None:
    (tmp_path / PART).write_bytes(packed(FILES)[:100])

    def answer(self: Handler, _: int) -> None:
        self.send_response(206)
        self.send_header("Content-Range", f"bytes 50-{len(self.content) - 1}/{len(self.content)}")
        self.send_header("Content-Length", "10")
        self.end_headers()
        self.wfile.write(self.content[50:60])

    with server(packed(FILES), answer) as (url, _), pytest.raises(ResultError, match="another part"):
        get(tmp_path, url)
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nshort", id="chunk cut"),
        pytest.param(b"not HTTP at all\r\n\r\n", id="nonsense"),
        pytest.param(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", id="gone"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_broken_answers_are_errors_that_say_what_to_do(tmp_path: Path, lines: bytes) -> None:
    with (
        server(b"", lambda self, _: self.wfile.write(lines) and None) as (url, _),
        pytest.raises(ResultError, match="could not be downloaded") as caught,
    ):
        get(tmp_path, url)
    assert URL in str(caught.value.hint)
    assert not [name for name in names(tmp_path) if name != PART]


def test_other_contents_are_refused(tmp_path: Path) -> None:
    with (
        server(packed({**FILES, "infer_2022_9.json": b"{}"})) as (url, _),
        pytest.raises(ResultError, match="not the published results"),
    ):
        get(tmp_path, url)
    assert names(tmp_path) == set()


def test_links_and_paths_that_lead_out_are_never_written(tmp_path: Path) -> None:
    link = tarfile.TarInfo("repository-1/results/link.json")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    hard = tarfile.TarInfo("repository-1/results/hard.json")
    hard.type, hard.linkname = tarfile.LNKTYPE, "repository-1/results/infer_2022_0.json"
    outside = [
        tarfile.TarInfo(name) for name in ("repository-1/results/../../evil.json", "/evil.json", "../results/evil.json")
    ]
    with server(packed(FILES, extra=[link, hard, *outside[:2]])) as (url, _):
        get(tmp_path / "in", url)
    assert names(tmp_path / "in") == set(FILES)
    assert names(tmp_path) == {"in"}
    with server(packed(FILES, extra=outside[2:])) as (url, _), pytest.raises(ResultError, match="not the published"):
        get(tmp_path / "other", url)
    assert names(tmp_path) == {"in", "other"}


@pytest.mark.parametrize(
    "content",
    [b"not an archive", gzip.compress(b"no tar" * 200, mtime=0), packed(FILES)[:-4000]],
    ids=["no gzip", "no tar", "cut off"],
)
def test_a_damaged_archive_is_refused_and_removed(tmp_path: Path, content: bytes) -> None:
    with server(content) as (url, _), pytest.raises(ResultError, match=r"damaged|not the published"):
        get(tmp_path, url)
    assert names(tmp_path) == set()


def test_sizes_have_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(packed(FILES)) as (url, _):
        for name, value, message in (
            ("_MAX_FILE_BYTES", 1000, "too large"),
            ("_MAX_UNPACKED_BYTES", 20_000, "unpacks to more"),
            ("_MAX_ARCHIVE_BYTES", 1000, "larger than"),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(archive, name, value)
                with pytest.raises(ResultError, match=message):
                    get(tmp_path, url)
        get(tmp_path, url)
    assert names(tmp_path) == set(FILES)


def test_without_a_connection_the_way_by_hand_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="could not be downloaded") as caught:
        get(tmp_path, "http://127.0.0.1:9/results.tar.gz")
    assert URL in str(caught.value.hint)
    assert "--directory" in str(caught.value.hint)


@pytest.mark.parametrize("url", ["http://example.org/results.tar.gz", "file://localhost/etc/passwd", "ftp://127.0.0.1/x"])
def test_only_https(tmp_path: Path, url: str) -> None:
    with pytest.raises(ResultError, match="not an https address"):
        get(tmp_path / "new", url)
    assert not (tmp_path / "new").exists()


def test_only_https_after_a_redirection_too(tmp_path: Path) -> None:
    def answer(self: Handler, _: int) -> None:
        self.send_response(302)
        self.send_header("Location", "http://example.org/results.tar.gz")
        self.end_headers()

    with server(b"", answer) as (url, _), pytest.raises(ResultError, match=r"example\.org.* is not an https address"):
        get(tmp_path, url)
    assert URL.startswith("https://")


def test_a_place_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="cannot be used"):
        get(tmp_path / "file", "http://127.0.0.1:9/")


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the published results are not at {DATA}")
def test_the_digest_is_that_of_the_published_files() -> None:
    assert content_digest({path.name: path.read_bytes() for path in DATA.glob("*.json")}) == CONTENT_DIGEST
