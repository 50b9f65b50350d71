"""Lists of addresses that are not written to, in and out: of any length in the same memory, batch by batch."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from newsletter_svc.db import Database, change, insert_into
from newsletter_svc.delivery import suppressions
from newsletter_svc.delivery.models import Scope, Suppression
from newsletter_svc.delivery.suppressions import Reason
from newsletter_svc.mail.headers import clean
from newsletter_svc.subscribers import addresses
from newsletter_svc.subscribers.addresses import BadAddress
from newsletter_svc.subscribers.csv_file import BrokenRow, Cells, CsvFile
from newsletter_svc.subscribers.import_plans import Refusal

COLUMNS = ("email", "reason", "scope")
EXPORTED = (*COLUMNS, "since")
CHUNK = 1_000
_SHOWN = 100
_REASON = re.compile(rf"(?:{'|'.join(Reason)})(?: [245]\.\d{{1,3}}\.\d{{1,3}}| [a-z-]{{1,20}})?")


class Outcome(StrEnum):
    """What became of a row; each has one."""

    ADDED = "added"
    CHANGED = "changed"
    """It is suppressed already, and nothing at all is sent there from now on."""
    UNCHANGED = "unchanged"
    REFUSED = "refused"


class Wanted(NamedTuple):
    """One address that is not to be written to."""

    email_key: str
    reason: str
    scope: Scope


class Batch(NamedTuple):
    """How far an import has come: what is counted here is in for good."""

    counts: Counter[Outcome]
    """Of all rows so far."""
    refusals: list[Refusal]
    """Of this batch."""


class BadSuppression(ValueError):
    """A suppression that cannot be; the text says why."""


def wanted(email: str, reason: str, scope: str) -> Wanted:
    """What is asked for: no reason is an operator's, no scope is that of the reason. Raises BadSuppression."""
    try:
        key = addresses.parse(email.strip()).key
    except BadAddress as error:
        raise BadSuppression(str(error).rstrip(".")) from error
    reason = reason.strip().lower() or Reason.OPERATOR
    if not _REASON.fullmatch(reason):
        known = ", ".join(Reason)
        raise BadSuppression(f"{clean(reason, limit=_SHOWN)!r} is no reason, which begins with one of: {known}")
    scope = scope.strip().lower()
    if scope and scope not in list(Scope):
        raise BadSuppression(f"{clean(scope, limit=_SHOWN)!r} is no scope, which is one of: {', '.join(Scope)}")
    return Wanted(key, reason, Scope(scope) if scope else suppressions.scope_of(reason))


def batches(database: Database, file: CsvFile, *, dry_run: bool, now: datetime) -> Iterator[Batch]:
    """Take a list in step by step. A dry run counts the same and writes nothing.

    Who asks for no more leaves whole batches. Nobody is written to again by a list: the first reason stays, and the
    wider scope.
    """
    counts: Counter[Outcome] = Counter()
    rows = file.cells()
    while chunk := list(islice(rows, CHUNK)):
        rows_wanted, refusals = _check_all(chunk)
        with database.reading() if dry_run else database.transaction() as session:
            outcomes = _take(session, rows_wanted, dry_run=dry_run, now=now)
        counts.update(outcomes)
        counts[Outcome.REFUSED] += len(refusals)
        yield Batch(counts.copy(), refusals)


def exported(database: Database) -> Iterator[tuple[str, ...]]:
    """Every suppression, oldest first, page by page, so that a long list takes no more memory than a short one."""
    after, page = 0, None
    while page is None or len(page) == CHUNK:
        with database.reading() as session:
            page = suppressions.listed(session, after=after, limit=CHUNK)
        yield from map(_row, page)
        after = page[-1].id if page else after


def _row(found: Suppression) -> tuple[str, ...]:
    return found.email_key, found.reason, found.scope.value, found.created_at.isoformat(timespec="seconds")


def _check_all(chunk: Sequence[Cells | BrokenRow]) -> tuple[list[Wanted], list[Refusal]]:
    found, refusals = [], []
    for row in chunk:
        if isinstance(row, BrokenRow):
            refusals.append(Refusal(row.line, "", row.reason))
            continue
        try:
            found.append(wanted(*row.values))
        except BadSuppression as reason:
            refusals.append(Refusal(row.line, clean(row.values[0], limit=_SHOWN), str(reason)))
    return found, refusals


def _take(session: Session, rows: Sequence[Wanted], *, dry_run: bool, now: datetime) -> list[Outcome]:
    """What becomes of each row, in turn, done unless it is a dry run."""
    known = _known(session, rows)
    new: dict[str, Wanted] = {}
    widened: set[str] = set()
    outcomes = []
    for row in rows:
        scope = new[row.email_key].scope if row.email_key in new else known.get(row.email_key)
        if scope is None:
            new[row.email_key] = row
            outcomes.append(Outcome.ADDED)
        elif scope is Scope.NEWSLETTERS and row.scope is Scope.EVERYTHING and row.email_key not in widened:
            widened.add(row.email_key)
            outcomes.append(Outcome.CHANGED)
        else:
            outcomes.append(Outcome.UNCHANGED)
    if not dry_run:
        _write(session, list(new.values()), widened, now=now)
    return outcomes


def _known(session: Session, rows: Sequence[Wanted]) -> dict[str, Scope]:
    columns = (Suppression.email_key, Suppression.scope)
    found = select(*columns).where(Suppression.email_key.in_({row.email_key for row in rows}))
    return {row.email_key: row.scope for row in session.connection().execute(found)}


def _write(session: Session, new: Sequence[Wanted], widened: set[str], *, now: datetime) -> None:
    if new:
        statement = insert_into(session.get_bind().dialect.name, Suppression)
        # In one order, so that two lists at once wait for each other and never in a ring.
        values = [{**row._asdict(), "created_at": now} for row in sorted(new)]
        session.connection().execute(statement.on_conflict_do_nothing(index_elements=["email_key"]), values)
    if widened:
        mine = Suppression.email_key.in_(widened)
        change(session, update(Suppression).where(mine).values(scope=Scope.EVERYTHING))
