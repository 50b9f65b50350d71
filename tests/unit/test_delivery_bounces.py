"""What an event does to an address: the policy, and what a second telling changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter_svc.db import Database
from newsletter_svc.delivery import bounces, ledger, outcomes, suppressions
from newsletter_svc.delivery.bounces import BounceEvent, Outcome, Source
from newsletter_svc.delivery.models import Bounce, BounceKind, Scope, Suppression
from newsletter_svc.mail import replies
from newsletter_svc.mail.failures import PermanentRefusal, Stage, TransientRefusal
from tests.factories import owe_single

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
DAY = timedelta(days=1)
READER = "Ada@example.org"
HARD = BounceEvent("1", BounceKind.HARD, READER, "delivery:1", "5.1.1", Source.DSN, NOW)
SOFT = replace(HARD, kind=BounceKind.SOFT, status="5.2.2")
COMPLAINT = replace(HARD, kind=BounceKind.COMPLAINT, status="abuse", source=Source.ARF)


def nobody_cares(session: Session, email: str, *, now: datetime) -> None:
    """Features that have nothing to do about a complaint."""


def tell(database: Database, event: BounceEvent, *, now: datetime = NOW) -> Outcome:
    with database.transaction() as session:
        return bounces.take(session, event, complained=nobody_cares, now=now)


def tell_many(database: Database, event: BounceEvent, *, count: int, every: timedelta = DAY) -> list[Outcome]:
    """The same of so many messages, one after the other."""
    return [
        tell(
            database,
            replace(event, id=f"{event.id}.{n}", message=f"delivery:{n}", at=NOW + n * every),
            now=NOW + n * every,
        )
        for n in range(count)
    ]


def suppressed(database: Database) -> dict[str, tuple[str, Scope]]:
    with database.reading() as session:
        return {row.email_key: (row.reason, row.scope) for row in session.scalars(select(Suppression))}


@pytest.mark.parametrize(
    ("event", "reason", "scope"),
    [
        (HARD, "hard_bounce 5.1.1", Scope.EVERYTHING),
        (replace(HARD, status=None), "hard_bounce", Scope.EVERYTHING),
        (COMPLAINT, "complaint abuse", Scope.NEWSLETTERS),
    ],
)
def test_a_hard_bounce_or_a_complaint_suppresses_at_once(
    database: Database, event: BounceEvent, reason: str, scope: Scope
) -> None:
    assert tell(database, event) is Outcome.SUPPRESSED
    assert suppressed(database) == {"ada@example.org": (reason, scope)}


def test_the_fifth_message_that_comes_back_in_two_weeks_suppresses_newsletters(database: Database) -> None:
    assert tell_many(database, SOFT, count=5) == [Outcome.COUNTED] * 4 + [Outcome.SUPPRESSED]
    assert suppressed(database) == {"ada@example.org": ("soft_bounces 5.2.2", Scope.NEWSLETTERS)}


def test_a_full_mailbox_once_in_four_days_is_never_suppressed(database: Database) -> None:
    assert set(tell_many(database, SOFT, count=12, every=4 * DAY)) == {Outcome.COUNTED}
    assert suppressed(database) == {}


def test_several_reports_of_one_message_count_once(database: Database) -> None:
    for number in range(9):
        assert tell(database, replace(SOFT, id=str(number))) is Outcome.COUNTED
    assert suppressed(database) == {}


def test_a_report_from_long_ago_does_not_count_now(database: Database) -> None:
    tell_many(database, SOFT, count=4)
    assert tell(database, replace(SOFT, id="late", message="late", at=NOW - 20 * DAY)) is Outcome.COUNTED


def test_a_domain_that_is_not_found_is_given_a_second_chance(database: Database) -> None:
    gone = replace(HARD, status="5.1.2")
    assert tell_many(database, gone, count=2) == [Outcome.COUNTED, Outcome.SUPPRESSED]
    assert suppressed(database) == {"ada@example.org": ("hard_bounce 5.1.2", Scope.EVERYTHING)}


def test_the_second_telling_of_an_event_changes_nothing_not_even_after_the_suppression_was_lifted(
    database: Database,
) -> None:
    tell(database, HARD)
    assert tell(database, HARD) is Outcome.REPEATED
    with database.transaction() as session:
        assert suppressions.lift(session, "ada@EXAMPLE.org")
        assert not suppressions.lift(session, "ada@example.org")

    assert tell(database, HARD) is Outcome.REPEATED
    assert suppressed(database) == {}


def test_what_came_back_before_a_suppression_was_lifted_counts_no_more(database: Database) -> None:
    tell_many(database, SOFT, count=5)
    with database.transaction() as session:
        suppressions.lift(session, READER)

    again = replace(SOFT, id="again")
    assert tell_many(database, again, count=5) == [Outcome.COUNTED] * 4 + [Outcome.SUPPRESSED]


def test_a_complaint_is_told_to_the_features_once(database: Database) -> None:
    heard: list[str] = []

    def complained(session: Session, email: str, *, now: datetime) -> None:
        heard.append(email)

    for event in (COMPLAINT, COMPLAINT, replace(HARD, id="2")):
        with database.transaction() as session:
            bounces.take(session, event, complained=complained, now=NOW)
    assert heard == [READER]


def test_a_mailbox_that_is_gone_after_a_complaint_stops_sign_in_mail_too(database: Database) -> None:
    tell(database, COMPLAINT)
    tell(database, replace(HARD, id="2"))
    assert suppressed(database) == {"ada@example.org": ("complaint abuse", Scope.EVERYTHING)}

    tell(database, replace(COMPLAINT, id="3"))
    assert suppressed(database) == {"ada@example.org": ("complaint abuse", Scope.EVERYTHING)}


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("550 5.1.1 no such user", BounceKind.HARD),
        ("550 5.1.2 no such domain", BounceKind.HARD),
        ("552 5.2.2 full", BounceKind.SOFT),
        ("452 4.2.2 full", BounceKind.SOFT),
        ("550 5.0.0 undefined", BounceKind.SOFT),
        ("451 local trouble", BounceKind.SOFT),
        ("450 4.7.28 too much mail from you", None),
        ("550 5.7.1 blocked", None),
        ("550 5.1.8 your domain", None),
        ("552 too large", None),
        ("552 5.3.4 too large", None),
        ("554 no", None),
    ],
)
def test_a_refusal_says_something_of_the_address_or_nothing(line: str, kind: BounceKind | None) -> None:
    assert bounces.kind_of(replies.read(int(line[:3]), line[4:].encode())) == kind


def test_a_refusal_that_ends_a_delivery_is_an_event_and_one_that_is_tried_again_is_none(database: Database) -> None:
    for lives, status in ((DAY, None), (timedelta(seconds=1), "4.2.2")):
        with database.transaction() as session:
            owe_single(session, f"{status}@example.org", now=NOW, expires_at=NOW + lives)
            lease = ledger.Lease(worker="first", seconds=300)
            (delivery,) = ledger.claim(session, None, lease=lease, limit=1, wanted={}, now=NOW)
            reply = replies.read(452, b"4.2.2 mailbox full")
            outcomes.refused(session, delivery, TransientRefusal(Stage.RCPT, reply), now=NOW)
        with database.reading() as session:
            found = [(row.kind, row.status, row.source) for row in session.scalars(select(Bounce))]
            assert found == ([(BounceKind.SOFT, status, "smtp")] if status else [])


def test_a_refusal_and_a_report_of_the_same_delivery_are_one_event(database: Database) -> None:
    with database.transaction() as session:
        owe_single(session, READER, now=NOW)
        lease = ledger.Lease(worker="first", seconds=300)
        (delivery,) = ledger.claim(session, None, lease=lease, limit=1, wanted={}, now=NOW)
        reply = replies.read(550, b"5.1.1 no such user")
        outcomes.refused(session, delivery, PermanentRefusal(Stage.RCPT, reply), now=NOW)

    report = bounces.of_delivery(delivery.id, READER, kind=BounceKind.HARD, status="5.1.1", source=Source.DSN, at=NOW)
    assert tell(database, report) is Outcome.REPEATED


def test_events_are_forgotten_when_they_are_too_old_to_be_told_again(database: Database) -> None:
    tell(database, HARD)
    tell(database, replace(HARD, id="2", at=NOW - bounces.KEEP - DAY))
    with database.transaction() as session:
        assert bounces.purge(session, now=NOW) == 1
