"""What an import says while it works: a bar on a terminal, plain lines elsewhere, one JSON document for machines."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from newsletter_svc.subscribers.csv_file import CsvFile
from newsletter_svc.subscribers.import_plans import Refusal, RowOutcome
from newsletter_svc.subscribers.importing import Counts


class Telling(NamedTuple):
    """Who is told of each refused row and of the counts after each chunk, and what there is to say at the end."""

    refuse: Callable[[Refusal], None]
    progress: Callable[[Counts], None]
    ending: Callable[[Counts], str]


@contextmanager
def telling(file: CsvFile, *, confirmed: bool, dry_run: bool, as_json: bool) -> Iterator[Telling]:
    """Tell of an import of this file in the way that whoever started it can read."""
    console = Console()
    if as_json:
        click.echo('{"refusals": [', nl=False)
        yield Telling(_JsonItems(), lambda counts: None, partial(_json_end, file=file, dry_run=dry_run))
        return
    ending = partial(summary, confirmed=confirmed, dry_run=dry_run)
    if file.unknown:
        click.echo(f"Columns left alone: {', '.join(file.unknown)}", err=True)
    if console.is_terminal and not console.is_dumb_terminal:
        with _bar(file, console) as (refuse, progress):
            yield Telling(refuse, progress, ending)
    else:
        yield Telling(_say_refused, _Lines(file), ending)


def counted(counts: Counts) -> dict[str, int]:
    """Every outcome with its count, also those that there were none of."""
    return {each.value: counts[each] for each in RowOutcome}


def summary(counts: Counts, *, confirmed: bool, dry_run: bool) -> str:
    """`3 rows: 2 added, 0 changed, 0 unchanged, 0 repeated, 1 refused.`, and what that means where it is not plain."""
    said = [f"{counts.total():,} rows: {', '.join(f'{count:,} {what}' for what, count in counted(counts).items())}."]
    if not confirmed and counts[RowOutcome.ADDED]:
        said.append(
            "Who was added is pending, and gets nothing before subscribing; --confirmed is for recorded consent."
        )
    if dry_run:
        said.append("This was a dry run: nothing was changed.")
    return "\n".join(said)


def _said(refusal: Refusal) -> str:
    return ": ".join(filter(None, [f"Line {refusal.line}", refusal.email, refusal.reason]))


def _say_refused(refusal: Refusal) -> None:
    click.echo(_said(refusal), err=True)


class _Lines:
    """One line for each tenth of the way."""

    def __init__(self, file: CsvFile) -> None:
        self._file = file
        self._tenth = 0

    def __call__(self, counts: Counts) -> None:
        tenth = 10 * self._file.position() // max(self._file.size, 1)
        if self._tenth < tenth < 10:
            click.echo(f"{tenth * 10} %: {counts.total():,} rows")
            self._tenth = tenth


@contextmanager
def _bar(file: CsvFile, console: Console) -> Iterator[tuple[Callable[[Refusal], None], Callable[[Counts], None]]]:
    rows = TextColumn("{task.fields[rows]:,} rows")
    with Progress(TextColumn("Importing"), BarColumn(), TaskProgressColumn(), rows, TimeRemainingColumn()) as bar:
        task = bar.add_task("import", total=file.size, rows=0)

        def refuse(refusal: Refusal) -> None:
            bar.console.print(_said(refusal), markup=False, highlight=False, soft_wrap=True)

        def progress(counts: Counts) -> None:
            bar.update(task, completed=file.position(), rows=counts.total())

        yield refuse, progress


class _JsonItems:
    """One document, written as it comes: whoever has a million rows refused need not have room for them."""

    def __init__(self) -> None:
        self._before = "\n"

    def __call__(self, refusal: Refusal) -> None:
        click.echo(self._before + json.dumps(refusal._asdict(), ensure_ascii=False), nl=False)
        self._before = ",\n"


def _json_end(counts: Counts, *, file: CsvFile, dry_run: bool) -> str:
    facts = {"rows": counts.total(), **counted(counts), "dry_run": dry_run, "ignored_columns": file.unknown}
    return "], " + json.dumps(facts, ensure_ascii=False)[1:]
