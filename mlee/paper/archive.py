"""Fetching the published results of 2022 from their public repository.

Only https, a fixed commit, a limit on the size, and a digest over the names and contents of all result files: what arrives
is either exactly the 232 published files or an error. A download that breaks off goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import urllib.request
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from urllib.error import URLError
from urllib.parse import urlsplit

from mlee.errors import ResultError
from mlee.files import write_atomically

_COMMIT = "6f0e3814a3b451781389b9534b05027887a76f46"
URL = f"https://codeload.github.com/raphischer/imagenet-energy-efficiency/tar.gz/{_COMMIT}"
#: SHA-256 over the sorted lines "<sha256 of the file>  <name>" of the published files. The archive itself has no digest that
#: lasts: the server compresses it anew.
CONTENT_DIGEST = "eebe31679d224738003c65a2357bc9cbc0ca45a8eac2fe967047872254a08153"
_MAX_ARCHIVE_BYTES = 500 * 2**20
_MAX_FILE_BYTES = 8 * 2**20
_CHUNK = 2**18
_HINT = (
    f"download {URL} elsewhere, unpack it, and pass --directory with its folder results; what has arrived is kept and "
    "goes on the next time"
)


def fetch(folder: Path, progress: Callable[[int, int | None], None], url: str = URL, digest: str = CONTENT_DIGEST) -> None:
    """Download, check and unpack the published results into `folder`; raises `ResultError`.

    `progress` is called with the bytes that have arrived and their number, `None` where the server does not say it.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost"):
        raise ResultError(f"{url} is not an https address.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultError(f"{folder} cannot be made: {error.strerror}.") from error
    part = folder / ".published.tar.gz.part"
    try:
        _download(url, part, progress)
    except (URLError, TimeoutError, OSError) as error:
        raise ResultError(f"The published results could not be downloaded: {error}.", _HINT) from error
    try:
        files = _unpack(part)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        part.unlink(missing_ok=True)
        raise ResultError(f"The archive that arrived is damaged: {error}.", "start again") from error
    found = content_digest(files)
    if found != digest:
        part.unlink(missing_ok=True)
        raise ResultError(
            f"What arrived are not the published results (digest {found[:16]}, expected {digest[:16]}).", _HINT
        )
    for name, content in files.items():
        write_atomically(folder / name, content)
    part.unlink(missing_ok=True)


def content_digest(files: dict[str, bytes]) -> str:
    """Digest of a set of files by their names and contents."""
    lines = (f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _download(url: str, part: Path, progress: Callable[[int, int | None], None]) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # nothing is missing any more
            raise
        return
    with response:
        resumed = response.status == 206
        length = response.headers.get("Content-Length")
        total = None if length is None else int(length) + (have if resumed else 0)
        done = have if resumed else 0
        with open(part, "ab" if resumed else "wb") as file:
            while chunk := response.read(_CHUNK):
                done += len(chunk)
                if done > _MAX_ARCHIVE_BYTES:
                    raise OSError(f"it is larger than {_MAX_ARCHIVE_BYTES // 2**20} MB")
                file.write(chunk)
                progress(done, total)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and done < total:
        raise OSError(f"the connection broke off after {done} of {total} bytes")


def _unpack(archive: Path) -> dict[str, bytes]:
    """Read the result files of an archive: plain JSON files of its folder `results`, nothing else is looked at."""
    files: dict[str, bytes] = {}
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if not (member.isfile() and path.suffix == ".json" and len(path.parts) == 3 and path.parts[1] == "results"):
                continue
            if member.size > _MAX_FILE_BYTES:
                raise ValueError(f"{path.name} is too large")
            content = tar.extractfile(member)
            assert content is not None
            files[path.name] = content.read()
    return files
