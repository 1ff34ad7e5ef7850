"""What a browser downloads once: scripts and styles, compressed beforehand and kept as long as their address holds.

A brotli file of the best quality takes ten seconds for Plotly alone. So the first start serves a quick one and lets a
separate, patient process write the best into the user's cache folder, from where later starts take it.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dash import Dash
from flask import Flask, Response, request

from mlee.errors import ResultError
from mlee.files import write_atomically

_ON_REQUEST, _QUICK, _BEST, _GZIP = 4, 5, 11, 6
_TEXT = ("text/html", "text/csv", "application/json", "image/svg+xml")
_YEAR_S = 365 * 24 * 3600
_WORTH = 1024  # below this many bytes compression does not pay
#: Asked for by other scripts, so that the index page does not name them.
_LATER = (
    "_dash-component-suites/dash/dcc/async-slider.js",
    "_dash-component-suites/dash_ag_grid/async-community.js",
)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A file as it is, and as brotli (`None` where that is not worth it or not installed)."""

    content: bytes
    type: str
    brotli: bytes | None


def add_bundles(app: Dash) -> None:
    """Collect all scripts and styles of the page, and answer requests for them from memory."""
    server: Flask = app.server
    bundles: dict[str, Bundle] = {}

    @lru_cache
    def gzipped(path: str) -> bytes:
        return gzip.compress(bundles[path].content, _GZIP, mtime=0)

    @server.before_request
    def serve() -> Response | None:
        bundle = bundles.get(request.path)
        if bundle is None:
            return None
        wanted = request.headers.get("Accept-Encoding", "")
        content, encoding = bundle.content, None
        if bundle.brotli is not None and "br" in wanted:
            content, encoding = bundle.brotli, "br"
        elif "gzip" in wanted and len(content) > _WORTH:
            content, encoding = gzipped(request.path), "gzip"
        answer = Response(content, mimetype=bundle.type)
        if encoding is not None:
            answer.headers["Content-Encoding"] = encoding
        answer.headers["Vary"] = "Accept-Encoding"
        answer.headers["Cache-Control"] = f"public, max-age={_YEAR_S if _is_fixed(request.full_path) else 3600}"
        return answer

    prefix = app.config.requests_pathname_prefix
    client = server.test_client()
    index = client.get(prefix).get_data(as_text=True)
    named = re.findall(r'"(/[^"]+\.(?:js|css)(?:\?[^"]*)?)"', index)
    slow: list[Path] = []
    for address in dict.fromkeys([*named, *(prefix + path for path in _LATER)]):
        with client.get(address) as answer:
            content = answer.get_data()
        if answer.status_code == 200:
            bundles[address.partition("?")[0]] = Bundle(content, answer.mimetype or "", _brotli(content, slow))
    if slow:
        _compress_later(slow)


def add_compression(app: Dash) -> None:
    """Compress what is made on request: a view is a few kB then."""
    try:
        import brotli
    except ImportError:
        return

    server: Flask = app.server

    @server.after_request
    def shorten(answer: Response) -> Response:
        plain = answer.status_code == 200 and not answer.is_streamed and "Content-Encoding" not in answer.headers
        if plain and answer.mimetype in _TEXT and "br" in request.headers.get("Accept-Encoding", ""):
            content = answer.get_data()
            if len(content) > _WORTH:
                answer.set_data(brotli.compress(content, quality=_ON_REQUEST))
                answer.headers["Content-Encoding"] = "br"
                answer.headers["Vary"] = "Accept-Encoding"
        return answer


def _is_fixed(address: str) -> bool:
    """Whether the address changes with the content: Dash puts version and time into it."""
    return re.search(r"\.v\d+_\d+_\d+m\d+|\?m=\d+", address) is not None


def _brotli(content: bytes, slow: list[Path]) -> bytes | None:
    """Compress; takes the best from the cache folder where it is, else leaves a copy there to be compressed (`slow`)."""
    try:
        import brotli
    except ImportError:
        return None
    if len(content) < _WORTH:
        return None
    for path in _cached(content):
        try:
            found = path.read_bytes()
            if brotli.decompress(found) == content:
                return found
        except (OSError, brotli.error):
            pass
        try:
            raw = path.with_suffix(".raw")
            raw.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(raw, content)
            slow.append(raw)
        except (OSError, ResultError):
            pass  # no place for a cache: the quick one does
    quick: bytes = brotli.compress(content, quality=_QUICK)
    return quick


def _cached(content: bytes) -> Iterator[Path]:
    """Where the best compression of a content is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(base).expanduser()
    if folder.is_absolute():
        yield folder / "mlee" / "elex" / f"{hashlib.sha256(content).hexdigest()[:32]}.br"


def _compress_later(files: list[Path]) -> None:
    """Start a process of lowest priority that outlives this one if need be."""
    command = [
        sys.executable,
        "-c",
        "import os, sys; os.nice(19); from mlee.elex.bundles import compress; compress(sys.argv[1:])",
        *map(str, files),
    ]
    with contextlib.suppress(OSError):
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )


def compress(names: list[str]) -> None:
    """Write the best brotli of each `.raw` file beside it, and remove that."""
    import brotli

    for raw in map(Path, names):
        write_atomically(raw.with_suffix(".br"), brotli.compress(raw.read_bytes(), quality=_BEST))
        raw.unlink(missing_ok=True)
