"""The audit trail as requests write it: what happened, to whom, from where, and never an address or a token."""

from dataclasses import replace
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete, select
from structlog.testing import capture_logs

from newsletter_svc import audit
from newsletter_svc.app import create_app
from newsletter_svc.audit import SecurityEvent
from newsletter_svc.auth import api_keys
from newsletter_svc.auth.models import MagicLink
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery import outcomes
from newsletter_svc.delivery.models import Delivery, Status
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import addresses, people
from newsletter_svc.subscribers.models import Subscriber
from newsletter_svc.web.state import EXTENSION
from tests.doors import AS_PROGRAM, ask, link_for, sign_in, stranger_to
from tests.inbox import Inbox

ADA = "ada@example.org"


def trail(database: Database, email: str = ADA) -> list[tuple[str, str | None]]:
    with database.reading() as session:
        subscriber = people.find(session, addresses.parse(email))
        assert subscriber is not None
        return [(event.event.value, event.reason) for event in audit.trail(session, subscriber.id)]


def rows(database: Database) -> list[SecurityEvent]:
    with database.reading() as session:
        return list(session.scalars(select(SecurityEvent).order_by(SecurityEvent.id)))


def test_a_sign_in_from_the_form_to_the_end_of_the_session(
    client: FlaskClient, database: Database, inbox: Inbox
) -> None:
    sign_in(client, inbox, ADA)
    client.delete("/session", headers={"Content-Type": "application/json"})

    assert trail(database) == [
        ("asked", "sign_up"),
        ("sent", "sign_up"),
        ("redeemed", "signed_up"),
        ("signed_out", "here"),
    ]


def test_the_subjects_lead_to_the_rows_and_equal_peers_are_equal(
    client: FlaskClient, database: Database, inbox: Inbox
) -> None:
    sign_in(client, inbox, ADA)

    asked, sent, redeemed = rows(database)
    with database.reading() as session:
        link = session.scalars(select(MagicLink)).one()
    assert asked.subject == redeemed.subject == f"link:{link.id}"
    assert sent.subject == "delivery:1"
    assert asked.peer == redeemed.peer
    assert asked.peer is not None
    assert sent.peer is None


def test_a_refusal_is_recorded_with_the_reason_that_nobody_is_told(
    client: FlaskClient, database: Database, inbox: Inbox
) -> None:
    link = link_for(client, inbox)
    assert client.post(link, headers=AS_PROGRAM).status_code == 200
    assert stranger_to(client).post(link, headers=AS_PROGRAM).status_code == 410
    assert trail(database)[-1] == ("refused", "used")

    late = link_for(client, inbox)
    with database.transaction() as session:
        for each in session.scalars(select(MagicLink)):
            each.expires_at -= timedelta(hours=1)
    assert client.post(late, headers=AS_PROGRAM).status_code == 410
    assert trail(database)[-1] == ("refused", "expired")

    challenge = ask(client, "/signin").get_json()["challenge"]
    assert client.post("/signin/code", json={"challenge": challenge, "code": "xxxxxx"}).status_code == 422
    assert trail(database)[-1] == ("refused", "wrong_code")


def test_what_was_never_ours_is_logged_and_fills_no_table(client: FlaskClient, database: Database) -> None:
    with capture_logs() as logged:
        assert client.post("/magic-link/nonsense", headers=AS_PROGRAM).status_code == 410
        assert client.post("/signin/code", json={"challenge": "x", "code": "123456"}).status_code == 410
        assert client.post("/api/digests/run-due", headers={"Authorization": "Bearer x"}).status_code == 401

    assert [(line["what"], line["reason"]) for line in logged if line["event"] == "security_event"] == [
        ("refused", "unknown"),
        ("refused", "unknown"),
        ("key_refused", "unknown"),
    ]
    assert rows(database) == []


def test_a_key_used_wrongly_is_recorded_by_its_number(client: FlaskClient, database: Database) -> None:
    now = utcnow()
    with database.transaction() as session:
        key, secret = api_keys.create(session, ["digests:send"], now=now)
        key.scopes = []
    headers = {"Authorization": f"Bearer {secret}"}
    assert client.post("/api/digests/run-due", headers=headers).status_code == 403
    with database.transaction() as session:
        api_keys.revoke(session, key.id, now=now)
    assert client.post("/api/digests/run-due", headers=headers).status_code == 401

    assert [(row.event.value, row.reason, row.subject) for row in rows(database)] == [
        ("key_made", "digests:send", f"key:{key.id}"),
        ("key_refused", "digests:send", f"key:{key.id}"),
        ("key_revoked", None, f"key:{key.id}"),
        ("key_refused", "revoked", f"key:{key.id}"),
    ]


@pytest.mark.parametrize(
    ("path", "reason"), [("/session", "here"), ("/session?everywhere=true", "everywhere"), ("/sessions/1", "one")]
)
def test_every_way_of_signing_out_is_recorded(
    client: FlaskClient, database: Database, inbox: Inbox, path: str, reason: str
) -> None:
    sign_in(client, inbox, ADA)
    assert client.delete(path, headers={"Content-Type": "application/json"}).status_code == 204
    assert trail(database)[-1] == ("signed_out", reason)


def test_limits_that_were_hit_are_recorded(settings: Settings, database: Database) -> None:
    app = create_app(replace(settings, limit_per_address="1/hour", limit_per_ip="3/hour"))
    client = app.test_client()
    for _ in range(6):
        client.post("/signin", json={"email": ADA})
    client.post("/signin", json={"email": "bot@example.org", "website": "x"})

    assert trail(database) == [("asked", "sign_up"), ("withheld", "limit"), ("withheld", "limit")]
    assert [(row.event.value, row.reason) for row in rows(database)][3:] == [("limited", "ip")]
    app.extensions[EXTENSION].database.dispose()


def test_neither_rows_nor_logs_hold_an_address_a_token_or_a_code(
    client: FlaskClient, database: Database, parts: Parts, inbox: Inbox
) -> None:
    with capture_logs() as logged:
        link = link_for(client, inbox, email=ADA)
        code = inbox.newest().code
        challenge = ask(client, "/signin", ADA).get_json()["challenge"]
        client.post("/signin/code", json={"challenge": challenge, "code": "xxxxxx"})
        client.post(link, headers=AS_PROGRAM)
        stranger_to(client).post(link, headers=AS_PROGRAM)
        client.delete("/session", headers={"Content-Type": "application/json"})

    columns = [column.key for column in SecurityEvent.__table__.columns]
    stored = str([[getattr(row, column) for column in columns] for row in rows(database)])
    for secret in (ADA, "127.0.0.1", link.rpartition("/")[2], code, challenge):
        assert secret not in stored
        assert secret not in str(logged)


def test_a_reader_who_is_erased_while_the_mail_is_under_way_does_not_undo_that_it_was_sent(
    client: FlaskClient, database: Database, parts: Parts
) -> None:
    ask(client, "/signin", ADA)
    with parts.sender.claims.take(limit=1) as claim:
        assert claim is not None
        (delivery,) = claim.deliveries
        with database.transaction() as session:
            session.execute(delete(Subscriber))
        with database.transaction() as session:
            outcomes.accepted(session, delivery, "250 2.0.0 Ok", now=utcnow())

    with database.reading() as session:
        assert session.scalars(select(Delivery.status)).all() == [Status.SENT]
    assert [row.event.value for row in rows(database)] == ["asked"]
