"""Building a site: all its files, and the folder they go to.

A site is a folder with `site.json`, which lists its files: what an earlier site left and the new one lacks is removed, and
nothing else is ever touched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

from mlee import __version__
from mlee.assess.export import to_csv
from mlee.assess.rating import Rated
from mlee.assess.run import RunSummary
from mlee.errors import ConfigError, ResultError
from mlee.files import write_atomically
from mlee.label.content import LabelContent
from mlee.label.describe import LABELLED, describe
from mlee.site.entries import FOLDER, Entry, entries
from mlee.site.label import CSS, Ground, common_ground, label
from mlee.site.markup import ASSETS, escape, tokens
from mlee.site.model_page import model_page
from mlee.site.overview import DATA, overview
from mlee.site.views import script

MANIFEST = "site.json"
_FORMAT, _VERSION = "mlee-site", 1
_GROUND = f"{ASSETS}/label.svg"
#: Labels that the shapes shared by all are looked for in.
_LOOKED_AT = 40
_OWN_FILE = re.compile(rf"(?:{FOLDER}|{ASSETS})/[a-z0-9][a-z0-9.-]*|index\.html|results\.csv|\.nojekyll")
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What a site shows and how: a rated table, its runs by id, a title, the day of issue, and where it will be reached."""

    rated: Rated
    runs: Mapping[str, RunSummary]
    title: str
    issued: date
    url: str | None = None

    def files(self, progress: Progress | None = None) -> Iterator[tuple[str, str]]:
        """Yield name and content of each file, the first page last; equal sites give equal bytes."""
        every = entries(self.rated, self.runs)
        by_network: dict[str, list[Entry]] = {}
        for entry in every:
            by_network.setdefault(entry.network, []).append(entry)
        labelled = [entry for entry in every if entry.values["task"] in LABELLED]
        ground = common_ground(self._content(entry) for entry in labelled[:: len(labelled) // _LOOKED_AT + 1])
        yield ".nojekyll", ""
        if ground.parts:
            yield _GROUND, ground.svg()
        yield DATA, to_csv(self.rated)
        yield f"{ASSETS}/data.js", script(self.rated, every)
        yield f"{ASSETS}/site.css", tokens() + CSS + _asset("site.css")
        yield f"{ASSETS}/scatter.js", _asset("scatter.js")
        yield f"{ASSETS}/site.js", _asset("site.js")
        for number, entry in enumerate(every, start=1):
            others = [other for other in by_network[entry.network] if other is not entry]
            yield entry.file, model_page(self.rated, entry, others, self._label(entry, ground), self.title)
            if progress is not None:
                progress(number, len(every))
        yield "index.html", overview(self.rated, every, self.title, self._foot())

    def _content(self, entry: Entry) -> LabelContent:
        base = None if self.url is None else f"{self.url.rstrip('/')}/{entry.file}"
        return describe(self.rated, entry.number, self.runs, self.issued, base)

    def _label(self, entry: Entry, ground: Ground) -> str | None:
        if entry.values["task"] not in LABELLED:
            return None
        return label(self._content(entry), ground, f"../{_GROUND}")

    def _foot(self) -> str:
        return escape(f"Made by mlee {__version__} on {self.issued.isoformat()}.")


def write_site(site: Site, folder: Path, *, force: bool = False, progress: Progress | None = None) -> list[Path]:
    """Write a site; return its files. What is being written is listed first, so that a site cut short can be made anew.

    Raises `ConfigError` where the folder holds something else and `force` is not given, `ResultError` where it cannot be
    written.
    """
    before = _earlier(folder, force=force)
    made: list[str] = []
    try:
        for name in (FOLDER, ASSETS):
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultError(f"{folder} cannot be made: {error.strerror}.", "choose another folder") from error
    try:
        _write_manifest(folder, before)
        for name, content in site.files(progress):
            made.append(name)
            write_atomically(folder / name, content)
    finally:
        _write_manifest(folder, [*dict.fromkeys([*made, *before])])
    for name in before:
        if name not in made:
            with suppress(FileNotFoundError):
                (folder / name).unlink()
    _write_manifest(folder, made)
    return [folder / name for name in made]


def _earlier(folder: Path, *, force: bool) -> list[str]:
    """Return the files of the site that is in a folder; nothing for a new or empty one."""
    try:
        if not folder.exists() or not any(folder.iterdir()):
            return []
        listed: Any = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if listed["format"] == _FORMAT and listed["version"] == _VERSION:
            return [name for name in listed["files"] if isinstance(name, str) and _OWN_FILE.fullmatch(name)]
    except NotADirectoryError as error:
        raise ConfigError(f"{folder} is not a folder.", "choose another one with --output") from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    if force:
        return []
    raise ConfigError(f"{folder} is not empty and holds no earlier site.", "choose another folder, or pass --force")


def _write_manifest(folder: Path, names: list[str]) -> None:
    document = {"format": _FORMAT, "version": _VERSION, "files": names}
    write_atomically(folder / MANIFEST, json.dumps(document, indent=1) + "\n")


def _asset(name: str) -> str:
    return files("mlee.site").joinpath("assets", name).read_text(encoding="utf-8")
