"""Merging: experiment folders in, one compact result file a run out.

A run's result holds everything already, so merging opens no trace (only archiving copies, and `verify` reads it): its cost
does not depend on how long the runs were. Folders are read, never changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from mlee.errors import ConfigError, MeasurementError, MleeError, ResultError
from mlee.experiment import is_experiment, load_result
from mlee.files import write_atomically
from mlee.records import RunResult, Warning
from mlee.results import store
from mlee.results.verify import verify
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
    """The list of files we wrote into a folder, with their digests."""

    def __init__(self, folder: Path) -> None:
        """Read the list; raises `ResultError` when the file is damaged."""
        self._path = folder / MANIFEST_FILE
        self._digests: dict[str, str] = {}
        if self._path.exists():
            try:
                document = json.loads(self._path.read_text(encoding="utf-8"))
                if document["format"] != _MANIFEST_FORMAT:
                    raise ValueError("unknown format")
                self._digests = {str(name): str(digest) for name, digest in document["files"].items()}
            except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise ResultError(f"{self._path} is damaged: {error}.", "remove it by hand after a look") from error

    def add(self, name: str, digest: str) -> None:
        """Remember a file."""
        self._digests[name] = digest

    def ours(self) -> Iterator[Path]:
        """Yield the files that are still exactly as we wrote them."""
        for name, digest in sorted(self._digests.items()):
            path = self._path.parent / name
            if path.name == name and path.is_file() and not path.is_symlink() and file_digest(path) == digest:
                yield path

    def forget(self, name: str) -> None:
        """Drop a file from the list."""
        self._digests.pop(name, None)

    def save(self) -> None:
        """Write the list, or remove it when it is empty."""
        if not self._digests:
            self._path.unlink(missing_ok=True)
            return
        document = {"format": _MANIFEST_FORMAT, "version": 1, "files": dict(sorted(self._digests.items()))}
        write_atomically(self._path, json.dumps(document, indent=1) + "\n")


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_folders(directory: Path) -> list[Path]:
    """List experiment folders directly below `directory`, sorted; raises `ConfigError` when it is not a folder."""
    if not directory.is_dir():
        raise ConfigError(f"--directory {directory} is not a folder.", "give the folder infer.py wrote to (--output-dir)")
    return [path for path in sorted(directory.iterdir()) if is_experiment(path)]


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
                outcomes = pool.map(lambda folder: _merge_one(folder, options, doubles), folders[start : start + _CHUNK])
                for number, (merged, written) in enumerate(outcomes, start=start + 1):
                    for path, digest in written:
                        manifests[path.parent.resolve()].add(path.name, digest)
                    progress(number)
                    yield merged
    finally:
        for manifest in manifests.values():
            manifest.save()


def _merge_one(folder: Path, options: MergeOptions, doubles: Set[str]) -> tuple[Merged, list[tuple[Path, str]]]:
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
            result = _join_wall_meter(result, options.wall_meter)
        if options.transform is not None:
            result = options.transform(result)
        target = options.results_dir / f"{folder.name}.json"
        text = store.to_json(result)
        if not target.exists() or options.force:
            write_atomically(target, text)
            written.append((target, hashlib.sha256(text.encode()).hexdigest()))
        elif target.read_text(encoding="utf-8", errors="replace") != text:
            raise ResultError(f"{target} exists and differs.", "pass --force to write it again")
        if options.archive_dir is not None:
            archive = options.archive_dir / f"{folder.name}.tar.gz"
            if not archive.exists() or options.force:
                _archive(folder, archive)
                written.append((archive, file_digest(archive)))
    except MleeError as error:
        return Merged(folder, reason=str(error)), written
    except OSError as error:
        return Merged(folder, reason=f"{error.filename or folder}: {error.strerror or error}"), written
    return Merged(folder, result=result), written


def _archive(folder: Path, target: Path) -> None:
    """Pack a folder; the archive appears under its name only when it is whole."""
    fd, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    try:
        with os.fdopen(fd, "wb") as file, tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as archive:
            archive.add(folder, arcname=folder.name)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _join_wall_meter(result: RunResult, meter: WallMeterLog) -> RunResult:
    """Put the wall meter's energy beside every window: it contains all other devices, so it is recorded, not added."""
    try:
        measurements = tuple(
            replace(measurement, not_added=(*measurement.not_added, meter.energy(measurement)))
            for measurement in result.measurements
        )
    except MeasurementError as error:
        return replace(result, warnings=(*result.warnings, Warning(code="no-wall-meter", message=error.message)))
    return replace(result, measurements=measurements)


def clean(folders: list[Path]) -> dict[Path, list[Path]]:
    """List, for each output folder, the files that are provably ours and unchanged."""
    return {folder: list(Manifest(folder).ours()) for folder in folders if folder.is_dir()}


def remove(found: dict[Path, list[Path]]) -> None:
    """Remove the files that `clean` listed, and their entries in the manifests."""
    for folder, paths in found.items():
        manifest = Manifest(folder)
        for path in paths:
            path.unlink()
            manifest.forget(path.name)
        manifest.save()
