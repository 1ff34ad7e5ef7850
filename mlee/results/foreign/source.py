"""Tables as cells of text: CSV and Parquet files of unknown origin, read within limits.

Nothing is executed and nothing is unpickled: a cell is text, a formula in it is text too. The header is looked at first (at
most `MAX_LINE` characters); only a table of a known kind is read on, and only the columns that kind asks for.
"""

from __future__ import annotations

import codecs
import csv
import io
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from mlee.errors import ResultError
from mlee.results.foreign.cells import Cells, Floats, parse_numbers

if TYPE_CHECKING:
    from pyarrow import Array
    from pyarrow.parquet import ParquetFile

#: Limits of a table [B], [rows], [rows x columns], [characters of a line]: some seconds of reading. `mlflow.search_runs`
#: gives up to 100 000 runs.
MAX_BYTES = 64 * 2**20
MAX_ROWS = 200_000
MAX_CELLS = 5_000_000
MAX_LINE = 2**20
#: A Parquet file says how large it is when unpacked [B].
MAX_UNPACKED_BYTES = 16 * MAX_BYTES
#: Cells converted at a time: few enough to stay in the processor's cache, which is three times as fast.
_BLOCK_CELLS = 5000
_PARQUET_MAGIC = b"PAR1"
_PARQUET_SUFFIXES = (".parquet", ".pq")
_DELIMITERS = ",;\t"
_SPLIT_HINT = "is it a table of results, one row a run? Split it if it is"


#: Texts or, from a file that stores numbers, numbers.
Column = Sequence[str] | Floats


@dataclass(frozen=True, slots=True)
class Source(ABC):
    """A table whose column names are known and whose rows are not read yet."""

    path: Path
    header: tuple[str, ...]
    word = "row"

    def read(self, texts: Sequence[str], numbers: Sequence[str]) -> Cells:
        """Read the columns that the table has; raises `ResultError` naming the place of what is wrong."""
        if self.path.stat().st_size > MAX_BYTES:
            raise ResultError(f"{self.path} is larger than {MAX_BYTES // 2**20} MB.", _SPLIT_HINT)
        at: dict[str, int] = {}
        for number, name in enumerate(self.header):
            if name and at.setdefault(name, number) != number:
                raise ResultError(f"{self.path}: the columns {at[name] + 1} and {number + 1} are both named '{name}'.")
        text_columns: dict[str, list[str]] = {name: [] for name in texts if name in at}
        number_columns: dict[str, list[Floats]] = {name: [] for name in numbers if name in at}
        places: list[int] = []
        wanted = {name: at[name] for name in (*text_columns, *number_columns)}
        for columns, lines in self._blocks(wanted, numbers=set(number_columns)):
            places += lines
            if len(places) > self.max_rows:
                shape = f"{len(self.header)} columns and more than {self.max_rows} rows"
                raise ResultError(f"{self.path} has {shape}.", _SPLIT_HINT)
            for name, cells in text_columns.items():
                cells += [str(cell).strip() for cell in columns[name]]
            for name, parts in number_columns.items():
                column = columns[name]
                if not isinstance(column, np.ndarray):
                    column = parse_numbers(column, name, self.path, self.word, lines)
                parts.append(column)
        if not places:
            raise ResultError(f"{self.path} has a header and no rows.")
        values = {name: np.concatenate(parts) for name, parts in number_columns.items()}
        return Cells(self.path, self.word, places, text_columns, values)

    @property
    def max_rows(self) -> int:
        """Rows that a table of this width may have."""
        return min(MAX_ROWS, MAX_CELLS // max(1, len(self.header)))

    @property
    def _block_rows(self) -> int:
        return max(1, _BLOCK_CELLS // max(1, len(self.header)))

    @abstractmethod
    def _blocks(self, wanted: Mapping[str, int], numbers: Set[str]) -> Iterator[tuple[dict[str, Column], Sequence[int]]]:
        """Yield some columns by name for some rows at a time, with the places of the rows."""


@dataclass(frozen=True, slots=True)
class CsvSource(Source):
    """Text with delimiters: comma, semicolon or tab; UTF-8, or UTF-16 with a byte-order mark."""

    delimiter: str
    encoding: str
    word = "line"

    def _blocks(self, wanted: Mapping[str, int], numbers: Set[str]) -> Iterator[tuple[dict[str, Column], Sequence[int]]]:
        rows = self._rows()
        while block := list(islice(rows, self._block_rows)):
            places, cells = zip(*block, strict=True)
            columns = list(zip(*cells, strict=True))
            yield {name: columns[index] for name, index in wanted.items()}, places

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        try:
            with open(self.path, newline="", encoding=self.encoding) as file:
                reader = csv.reader(_lines(file, self.path), delimiter=self.delimiter, strict=True)
                try:
                    rows = filter(any, reader)
                    next(rows)
                    for row in rows:
                        if len(row) != len(self.header):
                            counts = f"{len(row)} cells, the header names {len(self.header)} columns"
                            raise ResultError(f"{self.path}, line {reader.line_num} has {counts}.")
                        yield reader.line_num, row
                except csv.Error as error:
                    raise ResultError(f"{self.path}, line {reader.line_num}: {error}") from error
        except UnicodeError as error:
            raise ResultError(
                f"{self.path}{_undecodable_line(self.path, self.encoding)} is not {self.encoding.upper()} text.",
                "save the table as UTF-8",
            ) from error


@dataclass(frozen=True, slots=True)
class ParquetSource(Source):
    """A Parquet file, read by pyarrow."""

    file: ParquetFile

    def _blocks(self, wanted: Mapping[str, int], numbers: Set[str]) -> Iterator[tuple[dict[str, Column], Sequence[int]]]:
        metadata = self.file.metadata
        unpacked = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
        if unpacked > MAX_UNPACKED_BYTES:
            raise ResultError(f"{self.path} is larger than {MAX_UNPACKED_BYTES // 2**20} MB when unpacked.", _SPLIT_HINT)
        count = 0
        try:
            for batch in self.file.iter_batches(batch_size=self._block_rows, columns=list(wanted), use_threads=False):
                columns = {name: _column(batch.column(name), number=name in numbers) for name in wanted}
                yield columns, range(count + 1, count + len(batch) + 1)
                count += len(batch)
        except _arrow_errors() as error:
            raise ResultError(f"{self.path} is a damaged Parquet file: {error}") from error


def open_source(path: Path) -> Source | None:
    """Look at the header of a table; `None` if the file has none, `ResultError` if it cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ResultError(f"{path} is not a file.")
        with open(path, "rb") as file:
            start = file.read(MAX_LINE)
    except (OSError, ValueError) as error:
        raise ResultError(f"{path} cannot be read: {error}") from error
    if start.startswith(_PARQUET_MAGIC):
        return _open_parquet(path)
    if path.suffix.lower() in _PARQUET_SUFFIXES:
        raise ResultError(f"{path} is not a Parquet file.")
    return _open_csv(path, start)


def _open_csv(path: Path, start: bytes) -> CsvSource | None:
    encoding = "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    text = start.decode(encoding, errors="replace")
    if len(start) == MAX_LINE and not ("\n" in text or "\r" in text):
        return None
    headers = [(delimiter, _first_row(text, delimiter)) for delimiter in _DELIMITERS]
    delimiter, header = max(headers, key=lambda pair: len(pair[1]))
    if len(header) < 2 or any("\0" in name for name in header):
        return None
    return CsvSource(path, header, delimiter, encoding)


def _first_row(text: str, delimiter: str) -> tuple[str, ...]:
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        return tuple(name.strip() for name in next((row for row in rows if row), []))
    except csv.Error:
        return ()


def _lines(file: TextIO, path: Path) -> Iterator[str]:
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise ResultError(f"{path}, line {number} has more than {MAX_LINE} characters.")
        yield line


def _undecodable_line(path: Path, encoding: str) -> str:
    """Name the first line that is not UTF-8; nothing for UTF-16, whose lines cannot be told apart in bytes."""
    if encoding == "utf-8-sig":
        with open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError:
                    return f", line {number}"
    return ""


def _open_parquet(path: Path) -> ParquetSource:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ResultError(f"{path} is a Parquet file, and pyarrow is not installed.", "pip install pyarrow") from error
    try:
        file = pyarrow.parquet.ParquetFile(path)
        return ParquetSource(path, tuple(file.schema_arrow.names), file)
    except _arrow_errors() as error:
        raise ResultError(f"{path} is a damaged Parquet file: {error}") from error


def _arrow_errors() -> tuple[type[Exception], ...]:
    import pyarrow

    return (pyarrow.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError)


def _column(array: Array, *, number: bool) -> Column:
    import pyarrow

    if number and (pyarrow.types.is_integer(array.type) or pyarrow.types.is_floating(array.type)):
        numbers: Floats = array.cast(pyarrow.float64(), safe=False).to_numpy(zero_copy_only=False)
        return numbers
    return [_text(cell) for cell in array.to_pylist()]


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    return cell.decode("utf-8", errors="replace") if isinstance(cell, bytes) else str(cell)
