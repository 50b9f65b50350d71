"""Cells that a spreadsheet would run: marked on the way out, and as they were on the way back in."""

import re

# Spreadsheets take the wide forms for the narrow ones.
_RUNS = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_MARKED = re.compile(r"'+[=+\-@\t\r\n＝＋－＠]")


def guarded(cell: str) -> str:
    """`=1+1` as `'=1+1`, which a spreadsheet shows and does not work out; all else as it is."""
    return f"'{cell}" if _RUNS.match(cell) else cell


def unguarded(cell: str) -> str:
    """The cell that `guarded` was given."""
    return cell[1:] if _MARKED.match(cell) else cell
