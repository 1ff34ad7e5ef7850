"""Fetching the published results of 2022 from their public repository.

Only https, a fixed commit, limits on every size, and a digest over the names and contents of all result files: what
arrives is either exactly the 232 published files or an error. A download that breaks off goes on where it stopped, if
the server can do that.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import tarfile
import urllib.request
import zlib
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from mlee.errors import ResultError
from mlee.files import write_atomically

_COMMIT = "6f0e3814a3b451781389b9534b05027887a76f46"
URL = f"https://codeload.github.com/raphischer/imagenet-energy-efficiency/tar.gz/{_COMMIT}"
#: SHA-256 over the lines "<sha256 of the file>  <name>" of the published files, sorted by name. The archive itself has no
#: digest that lasts: the server compresses it anew whenever it likes.
CONTENT_DIGEST = "eebe31679d224738003c65a2357bc9cbc0ca45a8eac2fe967047872254a08153"
#: Here while a download is not complete.
PART = ".published.tar.gz.part"
#: How all published files are named.
_PUBLISHED_NAME = re.compile(r"(infer|train)_2022_\w+\.json")
_MAX_ARCHIVE_BYTES = 500 * 2**20
_MAX_UNPACKED_BYTES = 2**30
_MAX_FILE_BYTES = 8 * 2**20
_CHUNK = 2**18
_TIMEOUT_S = 30
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_HINT = f"download {URL} in a browser, unpack it, and pass --directory with its folder results"
_LATER = f"try again: what has arrived is kept; or {_HINT}"

Progress = Callable[[int, int | None], None]


def fetch(folder: Path, progress: Progress, url: str = URL, digest: str = CONTENT_DIGEST) -> bool:
    """Download, check and unpack the published results into `folder`; raises `ResultError`.

    Returns whether anything had to be downloaded. `progress` is called with the bytes that have arrived and their number,
    `None` where the server does not say it. Nothing is written before everything has been checked.
    """
    _check_address(url)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if _is_complete(folder, digest):
            return False
    except OSError as error:
        raise ResultError(f"{folder} cannot be used: {error.strerror}.", "choose another --directory") from error
    part = folder / PART
    try:
        _download(url, part, progress)
    except (HTTPException, OSError) as error:  # URLError and timeouts are OSErrors
        reason = error.reason if type(error) is URLError else error
        raise ResultError(f"The published results could not be downloaded: {reason}.", _LATER) from error
    try:
        files = _unpack(part)
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        part.unlink(missing_ok=True)
        raise ResultError(f"The archive that arrived is damaged: {error}.", "start again: it was removed") from error
    found = content_digest(files)
    if found != digest:
        part.unlink(missing_ok=True)
        message = (
            f"What arrived are not the published results (digest {found[:16]}, expected {digest[:16]}): it was removed."
        )
        raise ResultError(message, _HINT)
    for name, content in files.items():
        write_atomically(folder / name, content)
    part.unlink(missing_ok=True)
    return True


def content_digest(files: dict[str, bytes]) -> str:
    """Digest of a set of files by their names and contents."""
    lines = (f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _is_complete(folder: Path, digest: str) -> bool:
    """Whether the published results are there already; raises `ResultError` where they would be mixed with others."""
    paths = [path for path in folder.iterdir() if path.suffix == ".json" and path.is_file()]
    strangers = sorted(path.name for path in paths if not _PUBLISHED_NAME.fullmatch(path.name))
    if strangers:
        raise ResultError(
            f"{folder} holds other results already ({strangers[0]}): the published ones would be mixed with them.",
            "pass --directory with a new folder",
        )
    small = all(path.stat().st_size <= _MAX_FILE_BYTES for path in paths)
    return small and content_digest({path.name: path.read_bytes() for path in paths}) == digest


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ResultError(f"{url} is not an https address.", _HINT)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirection to another https address only."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        _check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(url: str, part: Path, progress: Progress) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.build_opener(_Redirects).open(request, timeout=_TIMEOUT_S)
    except HTTPError as error:
        with error:
            if error.code != 416 or not have:
                raise
        return  # nothing is missing any more, or what is there will be found damaged
    with response:
        resumed = response.status == 206
        if resumed and not (response.headers.get("Content-Range") or "").startswith(f"bytes {have}-"):
            part.unlink(missing_ok=True)
            raise OSError("the server sent another part than it was asked for")
        done = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length is not None and length.isdecimal() else None
        with open(part, "ab" if resumed else "wb") as file:
            try:
                _copy(response, file, done, total, progress)
            finally:
                file.flush()
                os.fsync(file.fileno())


def _copy(response: Any, file: IO[bytes], done: int, total: int | None, progress: Progress) -> None:
    while chunk := response.read(_CHUNK):
        done += len(chunk)
        if done > _MAX_ARCHIVE_BYTES:
            file.truncate(0)
            raise OSError(f"it is larger than {_MAX_ARCHIVE_BYTES // 2**20} MB")
        file.write(chunk)
        progress(done, total)
    if total is not None and done < total:
        raise OSError(f"the connection broke off after {done} of {total} bytes")


class _Limited(io.RawIOBase):
    """A stream that ends in an error when it gives more than it may."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream
        self._left = _MAX_UNPACKED_BYTES

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise ValueError(f"it unpacks to more than {_MAX_UNPACKED_BYTES // 2**20} MB")
        return data


def _unpack(archive: Path) -> dict[str, bytes]:
    """Read the result files of an archive: plain JSON files of its folder `results`; nothing else is looked at."""
    files: dict[str, bytes] = {}
    with gzip.open(archive) as stream, tarfile.open(fileobj=_Limited(stream), mode="r|") as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if not (member.isreg() and path.suffix == ".json" and len(path.parts) == 3 and path.parts[1] == "results"):
                continue
            if member.size > _MAX_FILE_BYTES:
                raise ValueError(f"{path.name} is too large")
            content = tar.extractfile(member)
            assert content is not None
            files[path.name] = content.read()
    return files
