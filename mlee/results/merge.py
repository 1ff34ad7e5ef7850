"""Merging: experiment folders in, one compact result file a run out.

A run's result holds everything already, so merging opens no trace (only archiving copies, and `verify` reads it): its cost
does not depend on how long the runs were. Folders are read, never changed.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import json
import os
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mlee.errors import ConfigError, MleeError, ResultError
from mlee.experiment import is_experiment, load_result
from mlee.files import write_atomically
from mlee.records import RunResult
from mlee.results import store
from mlee.results.verify import verify
from mlee.results.wall import join_wall_meter
from mlee.wall_meter import WallMeterLog

#: In every output folder: the digest of each file we wrote there. Only what it proves to be ours is ever removed.
MANIFEST_FILE = ".mlee-manifest"
_MANIFEST_FORMAT = "mlee-manifest"
_CHUNK = 64


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of one folder: a result, or the reason why there is none."""

    folder: Path
    result: RunResult | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeOptions:
    """Where results and archives go, and what is joined to them."""

    results_dir: Path
    archive_dir: Path | None = None
    force: bool = False
    verify: bool = False
    wall_meter: WallMeterLog | None = None
    transform: Callable[[RunResult], RunResult] | None = None


class Manifest:
    """The list of files we wrote into a folder, with their digests: as it was read, and what changes since."""

    def __init__(self, folder: Path) -> None:
        """Read the list; raises `ResultError` when the file is damaged."""
        self._path = folder / MANIFEST_FILE
        self._changes: dict[str, str | None] = {}
        self._digests = self._read()

    def _read(self) -> dict[str, str]:
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            if document["format"] != _MANIFEST_FORMAT:
                raise ValueError("unknown format")
            return {str(name): str(digest) for name, digest in document["files"].items()}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ResultError(f"{self._path} cannot be read: {error.strerror}.", "check its permissions") from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ResultError(f"{self._path} is damaged: {error}.", "remove it by hand after a look") from error

    def add(self, name: str, digest: str) -> None:
        """Remember a file."""
        self._changes[name] = self._digests[name] = digest

    def digest(self, name: str) -> str | None:
        """Return the digest of a file as we wrote it; `None` for one that we know nothing of."""
        return self._digests.get(name)

    def ours(self) -> Iterator[Path]:
        """Yield the files that are still exactly as we wrote them."""
        for name, digest in sorted(self._digests.items()):
            path = self._path.parent / name
            if path.name == name and _is_unchanged(path, digest):
                yield path

    def forget(self, name: str) -> None:
        """Drop a file from the list."""
        self._digests.pop(name, None)
        self._changes[name] = None

    def save(self) -> None:
        """Bring the list on disk up to date with our changes, whoever else has changed it meanwhile; an empty one goes."""
        if not self._changes:
            return
        with _locked(self._path.parent):
            files = {name: digest for name, digest in {**self._read(), **self._changes}.items() if digest is not None}
            if files:
                document = {"format": _MANIFEST_FORMAT, "version": 1, "files": dict(sorted(files.items()))}
                write_atomically(self._path, json.dumps(document, indent=1) + "\n")
            else:
                self._path.unlink(missing_ok=True)
        self._digests, self._changes = files, {}


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other merges from a folder's manifest. The folder itself is locked: a lock file would stay behind in it."""
    with ExitStack() as stack:
        with contextlib.suppress(OSError):  # a folder that cannot be listed, or a file system without locks
            directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, directory)
            fcntl.flock(directory, fcntl.LOCK_EX)
        yield


def _is_unchanged(path: Path, digest: str) -> bool:
    try:
        return path.is_file() and not path.is_symlink() and file_digest(path) == digest
    except OSError:  # what cannot be read is not known to be ours
        return False


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_folders(directory: Path, option: str = "--directory") -> list[Path]:
    """List experiment folders directly below `directory`, sorted; raises `ConfigError` naming `option` for no folder."""
    hint = "give the folder infer.py wrote to (--output-dir)"
    try:
        paths = sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError(f"{option} {directory} is not a folder.", hint) from None
    except OSError as error:
        raise ConfigError(f"{option} {directory} cannot be read: {error.strerror}.", hint) from error
    return [path for path in paths if is_experiment(path)]


def merge(folders: list[Path], options: MergeOptions, progress: Callable[[int], None]) -> Iterator[Merged]:
    """Merge folders in parallel; yield what became of each, in their order.

    An existing result is left alone unless `force` is set; that too is a reason. `progress` is called with the number of
    folders done.
    """
    targets = [path for path in (options.results_dir, options.archive_dir) if path is not None]
    for target in targets:
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{target} cannot be made: {error.strerror}.", "choose another folder") from error
    manifests = {target.resolve(): Manifest(target) for target in targets}
    names = Counter(folder.name for folder in {folder.resolve() for folder in folders})
    doubles = {name for name, count in names.items() if count > 1}
    try:
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            for start in range(0, len(folders), _CHUNK):  # in chunks, so that finished results do not pile up
                outcomes = pool.map(
                    lambda folder: _merge_one(folder, options, doubles, manifests), folders[start : start + _CHUNK]
                )
                for number, (merged, written) in enumerate(outcomes, start=start + 1):
                    for path, digest in written:
                        manifests[path.parent.resolve()].add(path.name, digest)
                    progress(number)
                    yield merged
    finally:
        for manifest in manifests.values():
            manifest.save()


def _merge_one(
    folder: Path, options: MergeOptions, doubles: Set[str], manifests: Mapping[Path, Manifest]
) -> tuple[Merged, list[tuple[Path, str]]]:
    written: list[tuple[Path, str]] = []
    try:
        if folder.name in doubles:
            raise ResultError(
                f"{folder}: another folder has the same name, so both would be written to one file.",
                "merge them into different --output-agglog-dir",
            )
        result = load_result(folder)
        if options.verify:
            verify(folder, result)
        if options.wall_meter is not None:
            result = join_wall_meter(result, options.wall_meter)
        if options.transform is not None:
            result = options.transform(result)
        target = options.results_dir / f"{folder.name}.json"
        text = store.to_json(result)
        if not target.exists() or options.force:
            write_atomically(target, text)
            written.append((target, hashlib.sha256(text.encode()).hexdigest()))
        elif target.read_text(encoding="utf-8", errors="replace") != text:
            raise ResultError(f"{target} exists and differs.", _other_run(target, result))
        if options.archive_dir is not None:
            archive = options.archive_dir / f"{folder.name}.tar.gz"
            if not archive.exists() or options.force:
                _archive(folder, archive)
                written.append((archive, file_digest(archive)))
            elif file_digest(archive) != (manifests[options.archive_dir.resolve()].digest(archive.name) or _packed(folder)):
                raise ResultError(
                    f"{archive} is not what a merge wrote: it was changed or damaged.", "pass --force to write it again"
                )
    except MleeError as error:
        return Merged(folder, reason=str(error)), written
    except OSError as error:
        return Merged(folder, reason=f"{error.filename or folder}: {error.strerror or error}"), written
    return Merged(folder, result=result), written


def _other_run(target: Path, result: RunResult) -> str:
    """Say what to do about a file that is there already: it may be another run that began in the same second."""
    try:
        there = store.load(target)
    except MleeError:
        return "pass --force to write it again"
    if (there.started_at, there.platform.host) == (result.started_at, result.platform.host):
        return "pass --force to write it again"
    return "it holds another run of that name: merge this one into another --output-agglog-dir"


def _archive(folder: Path, target: Path) -> None:
    """Pack a folder; the archive appears under its name only when it is whole."""
    fd, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    try:
        with os.fdopen(fd, "wb") as file:
            _pack(folder, file)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _pack(folder: Path, file: IO[bytes]) -> None:
    """Pack a folder, always to the same bytes: merges that run at the same time then agree."""
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        archive.add(folder, arcname=folder.name, filter=lambda entry: None if _is_weights(entry.name) else entry)


def _is_weights(name: str) -> bool:
    """Whether a file of a training holds weights: they stay where they are, an archive keeps what was measured."""
    return name.count("/") == 1 and name.partition("/")[2].startswith(("weights_", "state_"))


def _packed(folder: Path) -> str:
    """Return the digest of a folder's archive, to compare with one that no manifest tells of."""
    with tempfile.TemporaryFile() as file:
        _pack(folder, file)
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()


def clean(folders: list[Path]) -> dict[Path, list[Path]]:
    """List, for each output folder, the files that are provably ours and unchanged."""
    return {folder: list(Manifest(folder).ours()) for folder in folders if os.path.isdir(folder)}


def remove(found: dict[Path, list[Path]]) -> None:
    """Remove the files that `clean` listed, and their entries in the manifests; raises `ResultError`."""
    for folder, paths in found.items():
        manifest = Manifest(folder)
        try:
            for path in paths:
                path.unlink(missing_ok=True)
                manifest.forget(path.name)
        except OSError as error:
            raise ResultError(f"{error.filename} cannot be removed: {error.strerror}.", "check its permissions") from error
        finally:
            manifest.save()
