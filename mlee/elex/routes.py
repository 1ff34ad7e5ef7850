"""The addresses of the page beside the page itself: parts as JSON, labels, downloads, uploads to be checked.

Everything is a function of data and address, so answers are remembered by their address, in a bounded number.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlencode

from cachetools import LRUCache, cached
from flask import Flask, Response, abort, request
from werkzeug.exceptions import RequestEntityTooLarge

from mlee.assess.export import to_csv
from mlee.assess.thresholds import to_json as thresholds_json
from mlee.elex import parts
from mlee.elex.data import Explored, RatingChoice
from mlee.elex.selection import rate_or_default, select
from mlee.elex.state import KEYS, MAX_ADDRESS, View, parse
from mlee.elex.tuning import MAX_UPLOAD_BYTES, read_upload, weights_json
from mlee.errors import MleeError
from mlee.label import render
from mlee.label.describe import LABELLED, describe
from mlee.results.load import RESULT_FILE

_TYPES = {"pdf": "application/pdf", "svg": "image/svg+xml", "png": "image/png"}
_VARIANTS = ("full", "compact", "badge")
#: Answers that are kept [B]: parts of the page, and labels (about 20 kB each).
_PARTS_BYTES, _LABELS_BYTES = 2**23, 2**23
_DAY_S = 24 * 3600
_MAX_LOG_BYTES = 2**26


def add_routes(server: Flask, data: Explored, version: str, public_url: str | None) -> None:
    """Add the routes; `version` is that of data and program, `public_url` where QR codes lead to."""
    issued = datetime.now(UTC).date()
    # Nothing but uploads is sent here: Dash's callbacks stay in the browser. Of a body that does not announce its length
    # werkzeug takes as much and says nothing of the rest; by the one byte more it is known.
    server.config["MAX_CONTENT_LENGTH"] = MAX_UPLOAD_BYTES + 1

    @cached(LRUCache(_PARTS_BYTES, getsizeof=len), lock=Lock())
    def kept(part: str, search: str, theme: str) -> bytes:
        return parts.answer(data, part, search, theme).encode()

    @cached(LRUCache(_LABELS_BYTES, getsizeof=len), lock=Lock())
    def label_of(name: str, choice: RatingChoice, format_: str, variant: str, dpi: int) -> bytes:
        rated, _ = rate_or_default(data, choice)
        content = describe(rated, data.row_of[name], data.runs, issued, public_url)
        return render(content, format_, variant, dpi)  # type: ignore[arg-type]

    with contextlib.suppress(ValueError, IndexError):  # what draws labels is loaded before there are threads and processes
        label_of(data.ids[0], RatingChoice(), "svg", "full", 200)

    def asked() -> View:
        if data.empty:
            abort(404)
        return parse(_whole_search(), data)[0]

    def _answer(content: bytes, type_: str, *, kept: bool = True) -> Response:
        answer = Response(content, mimetype=type_)
        if kept:
            answer.set_etag(hashlib.sha256(content).hexdigest()[:16])
            # What an address with this version names does not change; a page of former results asks with theirs.
            lasting = request.args.get("v") == version
            answer.headers["Cache-Control"] = f"private, max-age={_DAY_S}" if lasting else "no-cache"
            return answer.make_conditional(request)  # type: ignore[return-value]
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @server.get("/version")
    def current() -> Response:
        """Tell an open page whether results have come since it was made."""
        return _answer(version.encode(), "text/plain", kept=False)

    @server.get("/view/<part>")
    def view(part: str) -> Response:
        if part not in parts.PARTS or data.empty:
            abort(404)
        search, theme = _search(), request.args.get("theme", "light")
        live = part in parts.LIVE
        if live:
            content = parts.answer(data, part, search, theme).encode()
        else:
            content = kept(part, search, "dark" if theme == "dark" else "light")
        return _answer(content, "application/json", kept=not live)

    @server.get("/label/<name>.<format_>")
    def label(name: str, format_: str) -> Response:
        variant = request.args.get("variant", "full")
        if name not in data.row_of or format_ not in _TYPES or variant not in _VARIANTS:
            abort(404)
        seen = asked()
        try:
            content = label_of(name, seen.rating, format_, variant, 200)
        except ValueError as error:  # a task that has no label
            return Response(str(error), status=404, mimetype="text/plain")
        answer = _answer(content, _TYPES[format_])
        if "download" in request.args:
            answer.headers["Content-Disposition"] = f'attachment; filename="{_file_name(data, name)}.{format_}"'
        return answer

    @server.get("/labels.zip")
    def labels() -> Response:
        seen = asked()
        if seen.task not in LABELLED:
            abort(404, f"There is no label for the task {seen.task!r}.")
        names = [data.ids[row] for row in select(data, seen).rows]
        answer = Response(
            _zipped(
                (f"{number:03d}_{_file_name(data, name)}.pdf", label_of(name, seen.rating, "pdf", "full", 200))
                for number, name in enumerate(names, 1)
            ),
            mimetype="application/zip",
        )
        answer.headers["X-Labels"] = str(len(names))
        answer.headers["Content-Disposition"] = 'attachment; filename="labels.zip"'
        return answer

    @server.get("/table.csv")
    def table() -> Response:
        seen = asked()
        selection = select(data, seen)
        return _download(to_csv(selection.rated, [int(row) for row in selection.rows]), "text/csv", "mlee.csv")

    @server.get("/summary/<name>.json")
    def summary(name: str) -> Response:
        content = parts.summary_json(data, _whole_search(), name)
        if content is None:
            abort(404)
        return _download(content, "application/json", f"{_file_name(data, name)}.json")

    @server.get("/log/<name>.json")
    def log(name: str) -> Response:
        if name not in data.row_of:
            abort(404)
        sources = [data.runs[run].source for run in data.table["run_ids"].iloc[data.row_of[name]] if run in data.runs]
        contents = [_source(Path(source)) for source in sources]
        if not contents:
            abort(404, "This result has no file of its own.")
        content = contents[0] if len(contents) == 1 else b"[\n" + b",\n".join(contents) + b"]\n"
        return _download(content, "application/json", f"{_file_name(data, name)}_log.json")

    @server.get("/weights.json")
    def weights() -> Response:
        seen = asked()
        return _download(weights_json(rate_or_default(data, seen.rating)[0].metrics), "application/json", "weights.json")

    @server.get("/thresholds.json")
    def thresholds() -> Response:
        seen = asked()
        used = rate_or_default(data, seen.rating)[0].thresholds
        return _download(thresholds_json(used), "application/json", "thresholds.json")

    @server.post("/check-upload")
    def check_upload() -> Response | tuple[dict[str, Any], int]:
        try:
            content = request.get_data()
        except RequestEntityTooLarge:  # by the length it announces
            content = None
        if content is None or len(content) > MAX_UPLOAD_BYTES:
            return {"message": f"The file is larger than {MAX_UPLOAD_BYTES // 1024} kB: not weights or thresholds."}, 413
        seen = asked()
        name = request.headers.get("X-Name", "The file")[:80]
        try:
            changed = read_upload(content, name, seen.rating.kind, data.metrics, data.tasks)
        except MleeError as error:
            return {"message": f"{error.message} {(error.hint or '').capitalize()}".strip()}, 400
        return {"weights": changed[0], "thresholds": changed[1], "message": f"{name} is in use."}, 200


def _search() -> str:
    """Return what the address says of the view, never longer than as a browser writes it."""
    return urlencode([(key, value) for key, value in request.args.items(multi=True) if key in KEYS.values()], safe="*")


def _whole_search() -> str:
    """Return the same, for answers that have no place for the notice that an address was too long to be read."""
    search = _search()
    if len(search) > MAX_ADDRESS:
        abort(414, f"The address is longer than {MAX_ADDRESS} characters.")
    return search


def _source(path: Path) -> bytes:
    if path.name != RESULT_FILE and path.suffix != ".json":
        abort(404)
    try:
        if path.stat().st_size > _MAX_LOG_BYTES:
            abort(413)
        return path.read_bytes()
    except OSError:
        abort(404, "The file of this result is not there any more.")


def _zipped(files: Iterator[tuple[str, bytes]]) -> Iterator[bytes]:
    """Write a zip file piece by piece; nobody has to wait for the last label to see the first."""

    class _Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.pieces: list[bytes] = []

        def writable(self) -> bool:
            return True

        def write(self, piece: Any) -> int:
            self.pieces.append(bytes(piece))
            return len(piece)

    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
            yield b"".join(pipe.pieces)
            pipe.pieces.clear()
    yield b"".join(pipe.pieces)


def _file_name(data: Explored, name: str) -> str:
    """Name a file after a model: letters, digits and a few marks only."""
    row = data.table.iloc[data.row_of[name]]
    words = f"{row['model']}_{row['task']}_{name[:8]}"
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in words)[-80:].lstrip("._")


def _download(content: str | bytes, type_: str, name: str) -> Response:
    answer = Response(content, mimetype=type_)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["Cache-Control"] = "no-store"
    return answer
