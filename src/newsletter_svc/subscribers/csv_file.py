"""Reading a list of addresses as CSV: encodings, lines, quotes and columns, and nothing of what they mean."""

import codecs
import csv
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

from newsletter_svc.errors import NewsletterError
from newsletter_svc.subscribers.spreadsheets import unguarded

COLUMNS = ("email", "name", "newsletters")
_NEEDED = COLUMNS[0]
_BLOCK = 64 * 1024
_LONGEST_LINE = 64 * 1024
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class BrokenFile(NewsletterError):
    """A file of which nothing can be taken; the text names the line and says why."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"Line {line} {reason}.")
        self.line = line


class Record(NamedTuple):
    """One row as it stands in the file."""

    line: int
    email: str
    name: str
    newsletters: str


class Cells(NamedTuple):
    """One row of any list: what stands in the columns that were asked for."""

    line: int
    values: tuple[str, ...]


class BrokenRow(NamedTuple):
    """A row that is none, such as one with a quote that is never closed."""

    line: int
    reason: str


class CsvFile:
    """An open list. It was read through once before, so what is broken as a whole is refused before anything is done.

    Lines are counted from 1, the header included.
    """

    def __init__(self, file: BinaryIO, *, columns: tuple[str, ...] = COLUMNS) -> None:
        """Look at all of it. Raises BrokenFile."""
        self._file = file
        self._wanted = columns
        self.size = os.fstat(file.fileno()).st_size
        """In bytes."""
        # Kept, since it closes the file when nobody has it any more.
        self._text = io.TextIOWrapper(file, encoding=_checked_encoding(file), newline="")
        header = self._text.readline()
        delimiter = max(",;\t", key=header.count)
        self._reader = csv.reader(chain([header], self._text), delimiter=delimiter, strict=True)
        self._columns = self._read_header()
        self.unknown = [column for column in self._columns if column not in columns]
        """Columns that are left alone."""

    def position(self) -> int:
        """How far it has been read, in bytes."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file, and so end one that has no name."""
        self._text.close()

    def rows(self) -> Iterator[Record | BrokenRow]:
        """Every row of a list of readers that says something, in turn; empty ones are passed over."""
        for row in self.cells():
            yield row if isinstance(row, BrokenRow) else Record(row.line, *row.values)

    def cells(self) -> Iterator[Cells | BrokenRow]:
        """The same of any list. What stands in no column of this file is empty."""
        places = {column: self._columns.index(column) for column in self._wanted if column in self._columns}
        while True:
            line = self._reader.line_num + 1
            try:
                fields = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield BrokenRow(line, f"is broken CSV up to line {self._reader.line_num}: {error}")
                continue
            if not any(map(str.strip, fields)):
                continue
            if len(fields) == len(self._columns):
                values = (unguarded(fields[places[name]]) if name in places else "" for name in self._wanted)
                yield Cells(line, tuple(values))
            else:
                said = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
                yield BrokenRow(line, f"has {said} in place of {len(self._columns)}")

    def _read_header(self) -> list[str]:
        try:
            columns = [field.strip().lower() for field in next(self._reader, [])]
        except csv.Error as error:
            raise BrokenFile(1, f"is broken CSV: {error}") from error
        if _NEEDED not in columns:
            raise BrokenFile(1, f"must name the columns, {','.join(self._wanted)}; there is none called {_NEEDED}")
        twice = [column for column in self._wanted if columns.count(column) > 1]
        if twice:
            raise BrokenFile(1, f"names the column {twice[0]} twice")
        return columns


@contextmanager
def opened(path: Path) -> Iterator[CsvFile]:
    """The list in this file. Raises BrokenFile for one of which nothing can be taken, and OSError."""
    with path.open("rb") as file:
        if not file.seekable():
            raise BrokenFile(1, "cannot be read twice: give a file, not a pipe")
        yield CsvFile(file)


def _checked_encoding(file: BinaryIO) -> str:
    """The encoding in which all of it is text, with the file behind its mark. Raises BrokenFile."""
    start = file.read(max(len(mark) for mark, _ in _BOMS))
    mark, encoding = next(((mark, name) for mark, name in _BOMS if start.startswith(mark)), (b"", "utf-8"))
    file.seek(len(mark))
    _check(file, encoding)
    file.seek(len(mark))
    return encoding


def _check(file: BinaryIO, encoding: str) -> None:
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
    line, length = 1, 0
    while True:
        block = file.read(_BLOCK)
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode(encoding)
            raise BrokenFile(line + before.count("\n"), _not_text(error, encoding)) from error
        if "\0" in text:
            at = line + text[: text.index("\0")].count("\n")
            raise BrokenFile(at, "holds a NUL, which no text does; save the file as UTF-8")
        line += text.count("\n")
        length = len(text) - text.rindex("\n") - 1 if "\n" in text else length + len(text)
        if length > _LONGEST_LINE:
            raise BrokenFile(line, f"is longer than {_LONGEST_LINE:,} characters")
        if not block:
            return


def _not_text(error: UnicodeDecodeError, encoding: str) -> str:
    byte = error.object[error.start]
    name = encoding.upper().removesuffix("-LE").removesuffix("-BE")
    return f"is not {name} (byte 0x{byte:02x}); save the file as UTF-8"
