"""What `newsletter purge` takes out of the ledger, what it leaves, and what is still known of it then."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from newsletter_svc.db import Database
from newsletter_svc.delivery import envelope, mailings, purging, returned
from newsletter_svc.delivery.models import Bounce, Delivery, Lane, Mailing, MailingState, PurgedDeliveries, Status
from newsletter_svc.delivery.returned import Ignored
from newsletter_svc.digests.progress import progress, report
from newsletter_svc.tokens import Keyring
from tests.bounced import BOUNCES, block, dsn
from tests.conftest import KEY

NOW = datetime(2026, 11, 24, 3, 17, tzinfo=UTC)
DAY = timedelta(days=1)
YEAR = 365 * DAY
OLD = NOW - YEAR - DAY
ENDED = {Status.SENT, Status.FAILED, Status.SUPPRESSED, Status.CANCELLED}


def owe(
    session: Session,
    *statuses: Status,
    mailing_id: int | None = None,
    due_at: datetime = OLD,
    finished_at: datetime = OLD,
    reason: str | None = None,
) -> list[int]:
    """One delivery of each status; return their ids."""
    rows = [
        Delivery(
            key=uuid4().hex,
            kind="digest" if mailing_id else "sign_in",
            lane=Lane.BULK if mailing_id else Lane.TRANSACTIONAL,
            mailing_id=mailing_id,
            subject_id="7",
            recipient="ada@example.org",
            message_id=f"<{uuid4().hex}@news.example>",
            status=status,
            reason=reason,
            due_at=due_at,
            created_at=due_at,
            finished_at=finished_at if status in ENDED else None,
        )
        for status in statuses
    ]
    session.add_all(rows)
    session.flush()
    return [row.id for row in rows]


def owe_mailing(session: Session, state: MailingState, *statuses: Status, digest_id: int = 7) -> int:
    """A mailing of long ago with one delivery of each status; return its id."""
    mailing_id = mailings.begin(session, kind="digest", subject_id=str(digest_id), now=OLD)
    owe(session, *statuses, mailing_id=mailing_id)
    session.execute(update(Mailing).where(Mailing.id == mailing_id).values(state=state))
    return mailing_id


def owe_today(session: Session) -> int:
    """A mail of today, which stays."""
    return owe(session, Status.PENDING, due_at=NOW)[0]


def purge(database: Database, *, retention: timedelta = YEAR) -> list[int]:
    """Purge until nothing is left to do; how many went with each transaction."""
    counts = []
    while True:
        with database.transaction() as session:
            counts.append(purging.purge(session, retention=retention, now=NOW))
        if not counts[-1]:
            return counts[:-1]


def left(database: Database) -> list[Status]:
    with database.reading() as session:
        return sorted(session.scalars(select(Delivery.status)))


def test_single_mail_that_has_ended_goes_and_what_is_owed_or_undecided_stays(database: Database) -> None:
    with database.transaction() as session:
        owe(session, *Status)
        owe_today(session)

    assert sum(purge(database)) == len(ENDED)
    assert left(database) == sorted([*(set(Status) - ENDED), Status.PENDING])


@pytest.mark.parametrize("state", [MailingState.DONE, MailingState.CANCELLED])
def test_an_issue_that_is_over_keeps_only_what_is_the_operators_to_decide(
    database: Database, state: MailingState
) -> None:
    with database.transaction() as session:
        owe_mailing(session, state, *ENDED, Status.UNKNOWN, Status.RETRY, Status.CLAIMED)
        owe_today(session)

    purge(database)
    assert left(database) == sorted([Status.UNKNOWN, Status.RETRY, Status.CLAIMED, Status.PENDING])


@pytest.mark.parametrize("state", [MailingState.ACTIVE, MailingState.PAUSED])
def test_an_issue_that_is_not_over_keeps_every_delivery(database: Database, state: MailingState) -> None:
    with database.transaction() as session:
        owe_mailing(session, state, Status.SENT, Status.FAILED, Status.PENDING)
        owe_today(session)

    assert purge(database) == []


@pytest.mark.parametrize("in_mailing", [False, True])
def test_the_age_counts_from_the_end_of_a_delivery(database: Database, in_mailing: bool) -> None:
    with database.transaction() as session:
        mailing_id = owe_mailing(session, MailingState.DONE) if in_mailing else None
        owe(session, Status.SENT, mailing_id=mailing_id, finished_at=NOW - YEAR)
        gone = owe(session, Status.SENT, mailing_id=mailing_id, finished_at=NOW - YEAR - DAY / 24)
        owe_today(session)

    assert purge(database) == [1]
    with database.reading() as session:
        assert session.get(Delivery, gone) is None
    assert purge(database, retention=YEAR - DAY) == [1]


def test_an_issue_that_went_on_after_months_waits_for_its_last_mail(database: Database) -> None:
    with database.transaction() as session:
        mailing_id = owe_mailing(session, MailingState.DONE, Status.SENT)
        session.get_one(Mailing, mailing_id).counting_since = NOW - 300 * DAY
        owe_today(session)

    assert purge(database) == []
    assert purge(database, retention=200 * DAY) == [1]


def test_the_report_of_an_issue_is_the_same_afterwards(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "BATCH", 2)
    with database.transaction() as session:
        mailing_id = owe_mailing(session, MailingState.DONE, *[Status.SENT] * 5, Status.CANCELLED, Status.UNKNOWN)
        owe(session, Status.FAILED, Status.FAILED, Status.FAILED, mailing_id=mailing_id, reason="5.1.1")
        owe(session, Status.FAILED, Status.SUPPRESSED, mailing_id=mailing_id)
        # Some ended late, and are in the ledger for a while yet.
        owe(session, Status.FAILED, Status.SENT, mailing_id=mailing_id, finished_at=NOW - 300 * DAY, reason="5.1.1")
        owe_mailing(session, MailingState.DONE, Status.SENT, digest_id=8)
        owe_today(session)
    with database.reading() as session:
        before = report(session, 7, now=NOW)

    assert sum(purge(database)) == 12
    with database.reading() as session:
        assert report(session, 7, now=NOW) == before
        assert progress(session, 8, now=NOW).counts[Status.SENT] == 1
    assert sum(purge(database, retention=DAY)) == 2
    with database.reading() as session:
        after = report(session, 7, now=NOW)
    assert after == before
    assert list(after.failures.items()) == [("5.1.1", 4), ("unknown reason", 1)]
    assert (after.progress.total, after.progress.counts[Status.SENT]) == (14, 6)


def test_a_million_go_in_batches(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "BATCH", 3)
    with database.transaction() as session:
        owe(session, *[Status.SENT] * 4)
        owe_mailing(session, MailingState.DONE, *[Status.SENT] * 7)
        owe_today(session)

    assert purge(database) == [3, 1, 3, 3, 1]


def test_of_mail_to_one_address_only_nothing_is_counted(database: Database) -> None:
    with database.transaction() as session:
        owe(session, Status.SENT, Status.FAILED)
        owe_today(session)

    purge(database)
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(PurgedDeliveries)) == 0


def test_a_purged_id_is_never_given_again(database: Database) -> None:
    with database.transaction() as session:
        ids = owe(session, Status.SENT, Status.SENT, Status.SENT)

    assert purge(database) == [3]
    with database.transaction() as session:
        assert owe_today(session) > max(ids)


@pytest.mark.parametrize("named_by", ["envelope", "message_id"])
def test_what_comes_back_for_a_purged_delivery_is_ignored(database: Database, named_by: str) -> None:
    keyring = Keyring((KEY,), environment="development")
    with database.transaction() as session:
        (delivery_id,) = owe(session, Status.SENT)
        message_id = session.get_one(Delivery, delivery_id).message_id
        owe_today(session)
    purge(database)

    to = envelope.sender_for(delivery_id, bounce_address=BOUNCES, default=BOUNCES, keyring=keyring)
    raw = (
        dsn(block(status="5.1.1"), to=to)
        if named_by == "envelope"
        else dsn(block(status="5.1.1"), returned=f"Message-ID: {message_id}\n")
    )
    with database.transaction() as session:
        reading = returned.take(session, raw, keyring=keyring, complained=nobody_cares, now=NOW)
        assert reading.result is Ignored.NOT_OURS
        assert session.scalar(select(func.count()).select_from(Bounce)) == 0


def nobody_cares(session: Session, email: str, *, now: datetime) -> None:
    """No feature has to hear of a complaint here."""
