"""Tables for spreadsheets: cells that would be run are marked on the way out, and as they were on the way back in."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

AT_ONCE = 1_000
"""Rows of one piece of text: few enough that a table of any length takes no more memory than a short one."""

# Spreadsheets take the wide forms for the narrow ones.
_RUNS = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_MARKED = re.compile(r"'+[=+\-@\t\r\n＝＋－＠]")


def guarded(cell: str) -> str:
    """`=1+1` as `'=1+1`, which a spreadsheet shows and does not work out; all else as it is."""
    return f"'{cell}" if _RUNS.match(cell) else cell


def unguarded(cell: str) -> str:
    """The cell that `guarded` was given."""
    return cell[1:] if _MARKED.match(cell) else cell


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The table as CSV, piece by piece, its header first. No cell of it is run by a spreadsheet."""
    rest = iter(rows)
    yield _lines([columns])
    while some := list(islice(rest, AT_ONCE)):
        yield _lines(some)


def _lines(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([guarded(cell) for cell in row] for row in rows)
    return text.getvalue()
