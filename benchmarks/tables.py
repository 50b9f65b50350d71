"""Printing results as tables that can be pasted into the documentation."""

from collections.abc import Iterable, Sequence


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a heading and a table in Markdown."""
    print(f"\n{title}\n")
    print(_line(columns))
    print(_line(["---"] * len(columns)))
    for row in rows:
        print(_line(row), flush=True)


def rate(value: float) -> str:
    """`37,000`, or `4.6` where it is slow."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def ratio(value: float, to: float | None) -> str:
    """`1.13`, or nothing where there is nothing to compare with."""
    if not to:
        return ""
    quotient = value / to
    return f"{quotient:.0f}" if quotient >= 10 else f"{quotient:.2f}"


def megabytes(octets: float) -> str:
    return f"{octets / 2**20:.0f} MB"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
