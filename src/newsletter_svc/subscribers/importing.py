"""Importing a list of readers, of any length in the same memory: chunk by chunk, each in a transaction of its own."""

import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from typing import NamedTuple

from newsletter_svc.db import Database
from newsletter_svc.mail.headers import clean
from newsletter_svc.subscribers import addresses, import_plans, import_writes
from newsletter_svc.subscribers.addresses import Address, BadAddress
from newsletter_svc.subscribers.csv_file import BrokenRow, CsvFile, Record
from newsletter_svc.subscribers.import_plans import Refusal, RowOutcome, Terms, Wanted
from newsletter_svc.subscribers.newsletters import DEFAULT_SLUG

CHUNK = 1_000
"""Rows of one transaction: enough to be fast, and on SQLite short enough that a sign-in hardly waits for it."""
LONGEST_NAME = 200
_SHOWN = 100
_BETWEEN_SLUGS = re.compile(r"[\s,;|]+")

Counts = Counter[RowOutcome]


def import_file(
    database: Database,
    file: CsvFile,
    *,
    terms: Terms,
    dry_run: bool,
    refuse: Callable[[Refusal], None],
    progress: Callable[[Counts], None],
) -> Counts:
    """Take in the readers of a list; return how many rows came to what. A dry run counts the same and writes nothing.

    `refuse` is told of each row of which not all was done, `progress` of the counts after each chunk. Whoever is cut
    short begins again: what is in already is found unchanged.
    """
    counts: Counts = Counter()
    for batch in batches(database, file, terms=terms, dry_run=dry_run):
        counts = batch.counts
        for refusal in batch.refusals:
            refuse(refusal)
        progress(counts)
    return counts


class Batch(NamedTuple):
    """How far an import has come: what is counted here is in for good."""

    counts: Counts
    """Of all rows so far."""
    refusals: list[Refusal]
    """Of this batch, by their lines."""


def batches(database: Database, file: CsvFile, *, terms: Terms, dry_run: bool) -> Iterator[Batch]:
    """The same step by step, one batch after the other. Who asks for no more leaves whole batches."""
    counts: Counts = Counter()
    rows = file.rows()
    with closing(_Seen()) as seen:
        while chunk := list(islice(rows, CHUNK)):
            wanted, refusals = _check_all(chunk, counts, seen, terms)
            refusals += _import_chunk(database, wanted, counts, terms=terms, dry_run=dry_run)
            yield Batch(counts.copy(), sorted(refusals))


class NotTaken(ValueError):
    """A row that cannot be taken; the text says why."""


def check(record: Record, *, terms: Terms) -> Wanted:
    """The row as it is to be taken in. Odd names are mended. Raises NotTaken."""
    try:
        address = addresses.parse(record.email.strip())
    except BadAddress as error:
        raise NotTaken(str(error).rstrip(".")) from error
    slugs = [slug for slug in _BETWEEN_SLUGS.split(record.newsletters.lower()) if slug] or [DEFAULT_SLUG]
    for slug in slugs:
        if slug not in terms.ids:
            raise NotTaken(f"there is no newsletter called {clean(slug, limit=_SHOWN)!r}")
    name = clean(record.name, limit=LONGEST_NAME)
    return Wanted(record.line, address, name, frozenset(terms.ids[slug] for slug in slugs))


def _check_all(
    chunk: list[Record | BrokenRow], counts: Counts, seen: "_Seen", terms: Terms
) -> tuple[list[Wanted], list[Refusal]]:
    """The rows to take in, each address once, and those that cannot be."""
    wanted: dict[str, Wanted] = {}
    refusals = []
    for row in chunk:
        try:
            if isinstance(row, BrokenRow):
                raise NotTaken(row.reason)
            found = check(row, terms=terms)
        except NotTaken as reason:
            email = "" if isinstance(row, BrokenRow) else clean(row.email, limit=_SHOWN)
            refusals.append(Refusal(row.line, email, str(reason)))
            counts[RowOutcome.REFUSED] += 1
            continue
        key = found.address.key
        is_repeated = seen.before(found.address)
        if key in wanted:
            wanted[key] = _joined(wanted[key], found)
            counts[RowOutcome.REPEATED] += 1
        else:
            wanted[key] = found._replace(is_repeated=is_repeated)
    return list(wanted.values()), refusals


def _joined(first: Wanted, second: Wanted) -> Wanted:
    newsletter_ids = first.newsletter_ids | second.newsletter_ids
    return first._replace(name=first.name or second.name, newsletter_ids=newsletter_ids)


def _import_chunk(
    database: Database, wanted: list[Wanted], counts: Counts, *, terms: Terms, dry_run: bool
) -> list[Refusal]:
    with database.reading() if dry_run else database.transaction() as session:
        made = import_plans.plan(session, wanted, terms=terms)
        if not dry_run:
            import_writes.carry_out(session, made, terms=terms)
    counts.update(made.outcomes)
    return made.refusals


class _Seen:
    """Which addresses stood on an earlier line: in a file of SQLite's own, since a million would fill the memory.

    Two addresses of which one hash is made only count as one that is repeated; both are taken in.
    """

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.execute("CREATE TABLE seen (hash INTEGER PRIMARY KEY)")
        self._file.execute("BEGIN")

    def before(self, address: Address) -> bool:
        """Whether this address was asked for already."""
        done = self._file.execute("INSERT OR IGNORE INTO seen VALUES (?)", (hash(address.key),))
        return done.rowcount == 0

    def close(self) -> None:
        self._file.close()
