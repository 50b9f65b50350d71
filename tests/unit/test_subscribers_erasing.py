"""Erasing a person: no table says anything of them any more, and what was owed to them ends."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import String, cast, select, text

from newsletter_svc import audit
from newsletter_svc.billing import customers
from newsletter_svc.db import Base, Database
from newsletter_svc.delivery import bounces, ledger, marks, outcomes
from newsletter_svc.delivery.bounces import BounceEvent, Source
from newsletter_svc.delivery.models import Bounce, BounceKind, Claimed, Delivery, Status
from newsletter_svc.digests import recipients
from newsletter_svc.jobs import purging
from newsletter_svc.mail import replies
from newsletter_svc.mail.failures import PermanentRefusal, Refusal, Stage, TransientRefusal
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import erased, erasing, people
from newsletter_svc.subscribers.addresses import parse
from newsletter_svc.subscribers.erased import KeyLost
from newsletter_svc.subscribers.models import Subscriber
from newsletter_svc.tokens import Keyring
from tests.commands import invoke, succeed
from tests.doors import AS_PROGRAM, ask, is_signed_in, link_for, sign_in
from tests.factories import fill, make_reader
from tests.inbox import Inbox

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
ADA = "Ada@example.org"
OLD, NEW = "an old key that is long enough to sign with", "a new key that is long enough to sign with"


def ring(*keys: str) -> Keyring:
    return Keyring(keys, environment="development")


def cells(database: Database) -> Iterator[tuple[str, str]]:
    """Every value of every table as text, with the place where it stands."""
    with database.reading() as session:
        for table in Base.metadata.sorted_tables:
            for column in table.columns:
                for value in session.scalars(select(cast(column, String)).where(column.is_not(None))):
                    yield f"{table.name}.{column.name}", str(value)


def places_of(database: Database, word: str) -> set[str]:
    """Where in the database the word stands, however it is spelt."""
    return {place for place, value in cells(database) if word.lower() in value.lower()}


def erase(database: Database, email: str = ADA, *, keyring: Keyring | None = None, now: datetime = NOW) -> None:
    with database.transaction() as session:
        found = people.find(session, parse(email))
        assert found is not None
        erasing.erase(session, found.id, by=erasing.By.OPERATOR, keyring=keyring or ring(OLD), now=now)


def statuses(database: Database) -> list[tuple[Status, str | None]]:
    with database.reading() as session:
        rows = session.execute(select(Delivery.status, Delivery.reason).order_by(Delivery.id))
        return [(row.status, row.reason) for row in rows]


def owe(database: Database, count: int) -> None:
    with database.transaction() as session:
        ada = make_reader(session, ADA, now=NOW)
        for number in range(count):
            ledger.enqueue(
                session,
                key=f"note:{number}",
                kind="note",
                recipient=ada.email,
                subscriber_id=ada.id,
                subject_id="1",
                message_domain="news.example",
                now=NOW,
            )


def claim(database: Database, *, limit: int = 1, now: datetime = NOW) -> list[Claimed]:
    with database.transaction() as session:
        lease = ledger.Lease(worker=f"worker at {now}", seconds=300)
        return ledger.claim(session, None, lease=lease, limit=limit, wanted={}, now=now)


def test_nothing_in_any_table_tells_of_who_was_erased(settings: Settings, client: FlaskClient, inbox: Inbox) -> None:
    """A reader with all that a reader can have: links, sessions, a digest, a bounce whose reply quotes the address."""
    client.post(link_for(client, inbox, "/subscribe", "Ada@Lovelace.example", name="Augusta"), headers=AS_PROGRAM)
    ask(client, "/signin", "Ada@Lovelace.example")
    database = Database(settings.database_url)
    fill(database, "A Treaty", readers=1)
    succeed(invoke(settings, "digest", "send"))
    with database.transaction() as session:
        came_back = bounces.of_delivery(
            1, "Ada@lovelace.example", kind=BounceKind.HARD, status="5.1.1", source=Source.SMTP, at=NOW
        )
        bounces.record(session, came_back, now=NOW)
        first = session.scalars(select(Delivery).order_by(Delivery.id)).first()
        assert first is not None
        customers.link(session, first.subscriber_id or 0, "cus_lovelace", now=NOW)
        first.reply = "550 5.1.1 <Ada@Lovelace.example>: Recipient address rejected"
    assert places_of(database, "lovelace") >= {
        "subscribers.email",
        "deliveries.recipient",
        "suppressions.email_key",
        "bounces.email_key",
        "billing_customers.customer_id",
    }
    before = len(statuses(database))

    assert succeed(invoke(settings, "subscribers", "erase", "ada@lovelace.example")) == "Erased.\n"

    assert places_of(database, "lovelace") == set()
    assert places_of(database, "augusta") == set()
    assert len(statuses(database)) == before
    assert [place for place, _ in cells(database) if place.startswith(("magic_links.", "sessions."))] == []
    with database.reading() as session:
        assert session.scalars(select(Delivery.recipient).where(Delivery.recipient != "")).all() == [
            "reader0@example.org"
        ]
        assert session.scalars(select(audit.SecurityEvent.subscriber_id)).all().count(None) == len(
            session.scalars(select(audit.SecurityEvent.id)).all()
        )
    assert not is_signed_in(client)
    with database.transaction() as session:
        assert bounces.record(session, came_back, now=NOW) is bounces.Outcome.REPEATED
    assert places_of(database, "lovelace") == set()
    database.dispose()


def test_the_address_of_a_stranger_cannot_be_erased(settings: Settings) -> None:
    result = invoke(settings, "subscribers", "erase", "nobody@example.org")
    assert (result.exit_code, result.output) == (1, "Error: There is no subscriber with this address.\n")


def test_what_is_being_owed_while_somebody_is_erased_does_not_keep_the_address(database: Database) -> None:
    owe(database, 1)
    erasure = Thread(target=erase, args=(database,))
    with database.transaction() as session:
        delivery = session.scalars(select(Delivery)).one()
        note: dict[str, Any] = {"kind": "note", "recipient": ADA, "message_domain": "example.org", "now": NOW}
        ledger.enqueue(session, key="late", subscriber_id=delivery.subscriber_id, subject_id="1", **note)
        erasure.start()
        erasure.join(0.2)  # Time enough to go wrong: it has to wait for us.
    erasure.join()
    assert statuses(database) == [(Status.CANCELLED, "erased")] * 2
    assert places_of(database, ADA) == set()


def test_what_is_owed_is_cancelled_and_what_went_out_stays_counted(database: Database) -> None:
    owe(database, 4)
    sent, unanswered, refused = claim(database, limit=3)
    with database.transaction() as session:
        marks.sent(session, sent, reply="250 ok", now=NOW)
        marks.unknown(session, unanswered, resend_at=NOW)
        marks.failed(session, refused, reason="refused", reply="550 no", now=NOW)

    erase(database)

    cancelled = (Status.CANCELLED, "erased")
    assert statuses(database) == [(Status.SENT, None), cancelled, (Status.FAILED, "refused"), cancelled]
    assert claim(database, limit=10) == []


def test_what_a_sender_holds_meanwhile_is_marked_by_it(database: Database) -> None:
    owe(database, 1)
    [held] = claim(database)
    erase(database)
    with database.transaction() as session:
        assert marks.sent(session, held, reply="250 ok", now=NOW)
    assert statuses(database) == [(Status.SENT, None)]


@pytest.mark.parametrize(
    "reply",
    [
        PermanentRefusal(Stage.RCPT, replies.read(550, b"5.1.1 <Ada@example.org>: no such user")),
        TransientRefusal(Stage.RCPT, replies.read(451, b"4.3.0 <Ada@example.org>: not now")),
    ],
)
def test_the_server_s_answer_to_a_mail_under_way_does_not_bring_the_address_back(
    database: Database, reply: Refusal
) -> None:
    owe(database, 1)
    [held] = claim(database)
    erase(database)

    with database.transaction() as session:
        outcomes.refused(session, held, reply, now=NOW)

    assert places_of(database, "ada@") == set()
    with database.reading() as session:
        assert session.scalars(select(Bounce.email_key)).all() == ([""] if isinstance(reply, PermanentRefusal) else [])


def test_an_issue_that_is_taken_for_who_was_erased_meanwhile_keeps_no_reply_that_quotes_them(
    settings: Settings, database: Database
) -> None:
    fill(database, "A Treaty", readers=1)
    succeed(invoke(settings, "digest", "send"))
    with database.transaction() as session:
        lease = ledger.Lease(worker="w", seconds=300)
        held = ledger.claim(session, 1, lease=lease, limit=10, wanted={}, now=NOW + timedelta(days=3_650))
    erase(database, "reader0@example.org")
    with database.transaction() as session:
        assert marks.all_sent(session, [(held[0], "250 2.1.5 <reader0@example.org> ok")], now=NOW) == 1
    assert places_of(database, "reader0@") == set()


@pytest.mark.parametrize("kind", [BounceKind.HARD, BounceKind.COMPLAINT])
def test_a_provider_that_tells_of_who_was_erased_brings_no_address_back(parts: Parts, kind: BounceKind) -> None:
    with parts.database.transaction() as session:
        make_reader(session, ADA, now=NOW)
    erase(parts.database, keyring=parts.keyring)
    told = BounceEvent("ses:1", kind, ADA, "ses:message", "5.1.1", Source.SES, NOW)

    with parts.database.transaction() as session:
        known = erasing.blanked(session, told, keyring=parts.keyring)
        assert bounces.take(session, known, complained=parts.complained, now=NOW) is bounces.Outcome.NOBODYS
    assert places_of(parts.database, "ada@") == set()

    with parts.database.transaction() as session:
        make_reader(session, ADA, now=NOW)
        assert erasing.blanked(session, told, keyring=parts.keyring) == told


def test_what_a_sender_gives_back_afterwards_is_not_sent_to_nobody(database: Database) -> None:
    owe(database, 1)
    held = claim(database)
    erase(database)
    with database.transaction() as session:
        marks.give_back(session, held)
    assert claim(database, now=NOW + timedelta(seconds=1)) == []
    assert statuses(database) == [(Status.FAILED, "expired")]


def test_a_digest_that_was_claimed_before_is_not_wanted_any_more(settings: Settings, database: Database) -> None:
    fill(database, "A Treaty", readers=2)
    succeed(invoke(settings, "digest", "send"))
    with database.transaction() as session:
        lease = ledger.Lease(worker="w", seconds=300)
        held = ledger.claim(session, 1, lease=lease, limit=10, wanted={}, now=NOW + timedelta(days=3_650))
    erase(database, "reader0@example.org")
    with database.reading() as session:
        wanted = recipients.still_wanted(session, held, now=NOW)
    assert [row.recipient for row in held if row.id in wanted] == ["reader1@example.org"]


def test_who_was_erased_can_subscribe_again(settings: Settings, client: FlaskClient, inbox: Inbox) -> None:
    sign_in(client, inbox)
    succeed(invoke(settings, "subscribers", "erase", "ada@example.org"))
    client.post(link_for(client, inbox, "/subscribe"), headers=AS_PROGRAM)
    shown = client.get("/session").json
    assert shown is not None
    assert shown["subscriber"]["newsletters"] == ["briefing"]


def test_no_id_is_given_twice(database: Database) -> None:
    """Old mails carry links that name it, and would unsubscribe whoever came next."""
    with database.transaction() as session:
        before = make_reader(session, ADA, now=NOW).id
    erase(database)
    with database.transaction() as session:
        assert make_reader(session, "grace@example.org", now=NOW).id != before


# Knowing the address again


def test_an_erased_address_is_known_again_and_no_other(database: Database) -> None:
    with database.transaction() as session:
        make_reader(session, ADA, now=NOW)
    erase(database)
    with database.reading() as session:
        asked = ["ada@example.org", "grace@example.org"]
        assert erased.among(session, asked, keyring=ring(OLD)) == {"ada@example.org"}


def test_where_nobody_was_erased_nobody_is_known(database: Database) -> None:
    with database.reading() as session:
        assert erased.among(session, ["ada@example.org"], keyring=ring(OLD)) == set()
        assert erased.sealed_by(session) is None


def test_erasing_the_same_address_twice_leaves_one_fingerprint(database: Database) -> None:
    for _ in range(2):
        with database.transaction() as session:
            make_reader(session, ADA, now=NOW)
        erase(database)
    assert len([place for place, _ in cells(database) if place == "erased_addresses.fingerprint"]) == 1


def test_a_purge_after_the_rotation_lets_the_old_key_go(settings: Settings, database: Database) -> None:
    with database.transaction() as session:
        make_reader(session, ADA, now=NOW)
    erase(database, keyring=ring(OLD))
    purging.purge(database, replace(settings, secret_keys=(NEW, OLD)), now=NOW)
    with database.reading() as session:
        assert erased.among(session, ["ada@example.org"], keyring=ring(NEW)) == {"ada@example.org"}


def test_a_lost_key_is_named_and_nobody_slips_through(database: Database) -> None:
    with database.transaction() as session:
        make_reader(session, ADA, now=NOW)
    erase(database, keyring=ring(OLD))
    with database.reading() as session, pytest.raises(KeyLost, match="put it back at the end of SECRET_KEYS"):
        erased.among(session, ["ada@example.org"], keyring=ring(NEW))


def test_retiring_the_key_that_guards_them_warns(settings: Settings, parts: Parts) -> None:
    with parts.database.transaction() as session:
        make_reader(session, ADA, now=NOW)
    erase(parts.database, keyring=parts.keyring)
    result = invoke(settings, "keys", "rotate", "--keep", "0")
    assert "run `newsletter purge` first" in result.stderr


def test_the_database_alone_does_not_tell_who_was_erased(database: Database) -> None:
    """The key rests there sealed: without the secret key it opens nothing, and not by another environment's either."""
    with database.transaction() as session:
        make_reader(session, ADA, now=NOW)
    erase(database)
    with database.reading() as session:
        other = Keyring([OLD], environment="production")
        with pytest.raises(KeyLost):
            erased.among(session, ["ada@example.org"], keyring=other)
        assert session.scalars(select(Subscriber)).all() == []
        assert session.scalar(text("SELECT count(*) FROM erased_addresses")) == 1
