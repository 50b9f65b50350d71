"""What mail providers tell: believed only with their proof, taken once, and nothing lost."""

import hmac
import json
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask.testing import FlaskClient
from sqlalchemy import select, text
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from newsletter_svc import settings as settings_module
from newsletter_svc.app import create_app
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery.models import Bounce, Suppression
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings, SettingsError
from newsletter_svc.subscribers import erasing, people, subscriptions
from newsletter_svc.subscribers.addresses import parse
from newsletter_svc.web.state import EXTENSION
from tests.factories import make_reader

ADA = "Ada@example.org"
SIGNING_KEY = "a signing key"
AUTH = "postmark:a password"
PRIVATE = ec.generate_private_key(ec.SECP256R1())
PUBLIC = b64encode(PRIVATE.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, mailgun_signing_key=SIGNING_KEY, postmark_webhook_auth=AUTH, sendgrid_webhook_key=PUBLIC)


@pytest.fixture(autouse=True)
def reader(database: Database) -> None:
    with database.transaction() as session:
        make_reader(session, ADA, now=utcnow())


def mailgun(event: dict[str, Any], *, token: str = "t" * 50, key: str = SIGNING_KEY, age: int = 0) -> dict[str, Any]:
    timestamp = str(int(utcnow().timestamp()) - age)
    signature = hmac.new(key.encode(), f"{timestamp}{token}".encode(), sha256).hexdigest()
    return {"signature": {"timestamp": timestamp, "token": token, "signature": signature}, "event-data": event}


def send_mailgun(client: FlaskClient, event: dict[str, Any], **how: Any) -> TestResponse:
    return client.post("/webhooks/mail/mailgun", json=mailgun(event, **how))


def send_postmark(client: FlaskClient, told: dict[str, Any], *, auth: str = AUTH) -> TestResponse:
    headers = {"Authorization": f"Basic {b64encode(auth.encode()).decode()}"}
    return client.post("/webhooks/mail/postmark", json=told, headers=headers)


def send_sendgrid(client: FlaskClient, *events: dict[str, Any], body: bytes | None = None) -> TestResponse:
    signed = json.dumps(events).encode()
    headers = {
        "X-Twilio-Email-Event-Webhook-Timestamp": "1764000000",
        "X-Twilio-Email-Event-Webhook-Signature": b64encode(
            PRIVATE.sign(b"1764000000" + signed, ec.ECDSA(SHA256()))
        ).decode(),
        "Content-Type": "application/json",
    }
    return client.post("/webhooks/mail/sendgrid", data=signed if body is None else body, headers=headers)


def failed(**more: Any) -> dict[str, Any]:
    """Mailgun's event for a mailbox that is not there."""
    return {
        "event": "failed",
        "severity": "permanent",
        "id": "G9Bn5sl1TC6nu79C8C0bwg",
        "timestamp": utcnow().timestamp(),
        "recipient": ADA,
        "reason": "bounce",
        "message": {"headers": {"message-id": "1@news.example"}},
        "delivery-status": {"code": 550, "enhanced-code": "5.1.1", "message": "no such user"},
        **more,
    }


def hard_bounce(**more: Any) -> dict[str, Any]:
    """Postmark's record of the same."""
    return {
        "RecordType": "Bounce",
        "ID": 692560173,
        "Type": "HardBounce",
        "MessageID": "2c1b63fe-43f2-4db5-91b0-8bdfa44a9316",
        "Details": "smtp;550 5.1.1 <Ada@example.org> no such user",
        "Email": ADA,
        "BouncedAt": "2026-11-20T13:28:10.2735393-04:00",
        **more,
    }


def bounce(**more: Any) -> dict[str, Any]:
    """SendGrid's event for the same."""
    return {
        "event": "bounce",
        "type": "bounce",
        "email": ADA,
        "timestamp": 1764000000,
        "sg_event_id": "ZXZlbnQ",
        "sg_message_id": "bWVzc2FnZQ",
        "reason": "550 5.1.1 no such user",
        "status": "5.0.0",
        **more,
    }


def suppressed(database: Database) -> dict[str, str]:
    with database.reading() as session:
        return {row.email_key: row.reason for row in session.scalars(select(Suppression))}


def recorded(database: Database) -> list[tuple[str, str | None, str]]:
    with database.reading() as session:
        return [(row.kind, row.status, row.source) for row in session.scalars(select(Bounce))]


def gets_newsletters(database: Database) -> bool:
    with database.reading() as session:
        reader = people.find(session, parse(ADA))
        assert reader is not None
        return bool(subscriptions.confirmed_ids(session, reader.id))


def taken(response: TestResponse) -> int:
    assert response.status_code == 200, response.text
    count: int = response.get_json()["taken"]
    return count


def test_each_provider_tells_of_a_hard_bounce_once(client: FlaskClient, database: Database) -> None:
    assert taken(send_mailgun(client, failed())) == 1
    assert taken(send_mailgun(client, failed(), token="u" * 50)) == 1
    assert taken(send_postmark(client, hard_bounce())) == 1
    assert taken(send_postmark(client, hard_bounce())) == 1
    assert taken(send_sendgrid(client, bounce(), bounce())) == 2

    assert suppressed(database) == {"ada@example.org": "hard_bounce 5.1.1"}
    assert sorted(recorded(database)) == [("hard", "5.1.1", name) for name in ("mailgun", "postmark", "sendgrid")]
    assert gets_newsletters(database)


@pytest.mark.parametrize("provider", ["mailgun", "postmark", "sendgrid"])
def test_each_provider_tells_of_a_complaint(client: FlaskClient, database: Database, provider: str) -> None:
    if provider == "mailgun":
        response = send_mailgun(client, failed(event="complained"))
    elif provider == "postmark":
        response = send_postmark(client, hard_bounce(RecordType="SpamComplaint", Type="SpamComplaint"))
    else:
        response = send_sendgrid(client, bounce(event="spamreport"))

    assert taken(response) == 1
    assert suppressed(database) == {"ada@example.org": "complaint"}
    assert not gets_newsletters(database)


def test_a_soft_bounce_counts_and_suppresses_nobody(client: FlaskClient, database: Database) -> None:
    no_code = {"code": 550, "message": "try again"}
    assert taken(send_mailgun(client, failed(**{"delivery-status": no_code}))) == 1
    assert taken(send_postmark(client, hard_bounce(Details="smtp;552 5.2.2 full"))) == 1
    assert taken(send_sendgrid(client, bounce(reason="552 5.2.2 full"))) == 1
    assert [kind for kind, _, _ in recorded(database)] == ["soft"] * 3
    assert suppressed(database) == {}


def test_what_does_not_speak_of_the_address_is_answered_well_and_changes_nothing(
    client: FlaskClient, database: Database
) -> None:
    for number, event in enumerate(
        [
            failed(severity="temporary"),
            failed(event="opened"),
            failed(event="something new"),
            failed(recipient=None),
            failed(recipient={"deep": ["er"]}),
            failed(id=None, timestamp=None),
            failed(**{"delivery-status": {"enhanced-code": "5.7.1"}}),
            {},
        ]
    ):
        assert taken(send_mailgun(client, event, token=str(number))) == 0
    for told in [
        hard_bounce(RecordType="Open"),
        hard_bounce(Type="AutoResponder"),
        hard_bounce(Type="Blocked"),
        hard_bounce(Details="smtp;550 5.7.1 blocked"),
        hard_bounce(ID=None),
        {},
    ]:
        assert taken(send_postmark(client, told)) == 0
    events: list[Any] = [bounce(event="delivered"), bounce(type="blocked"), bounce(email=7), "no object", None]
    assert taken(send_sendgrid(client, *events)) == 0
    assert recorded(database) == []


def test_without_the_providers_proof_nothing_is_taken(client: FlaskClient, database: Database) -> None:
    refusals = [
        send_mailgun(client, failed(), key="another key"),
        send_mailgun(client, failed(), age=301),
        send_mailgun(client, failed(), age=-301),
        client.post("/webhooks/mail/mailgun", json={"event-data": failed()}),
        client.post("/webhooks/mail/mailgun", json=[1]),
        send_postmark(client, hard_bounce(), auth="postmark:wrong"),
        client.post("/webhooks/mail/postmark", json=hard_bounce()),
        client.post("/webhooks/mail/postmark", json=hard_bounce(), headers={"Authorization": "Basic ÿ"}),
        send_sendgrid(client, bounce(), body=json.dumps([bounce(email="eve@example.org")]).encode()),
        client.post("/webhooks/mail/sendgrid", json=[bounce()]),
        client.post(
            "/webhooks/mail/sendgrid",
            json=[bounce()],
            headers={"X-Twilio-Email-Event-Webhook-Signature": "no base64!"},
        ),
    ]
    assert [(answer.status_code, answer.get_json()["code"]) for answer in refusals] == [(401, "bad_signature")] * 11
    assert recorded(database) == []


def test_a_token_of_mailguns_is_good_for_one_event_whatever_else_the_body_says(
    client: FlaskClient, database: Database
) -> None:
    """Its signature does not cover the event, so who has seen one request could write others."""
    assert taken(send_mailgun(client, failed(event="opened"))) == 0
    assert taken(send_mailgun(client, failed())) == 0
    assert suppressed(database) == {}


def test_an_event_that_could_not_be_stored_is_taken_at_the_next_try(client: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        session.execute(text("ALTER TABLE bounces RENAME TO away"))
    assert send_mailgun(client, failed()).status_code >= 500
    with database.transaction() as session:
        session.execute(text("ALTER TABLE away RENAME TO bounces"))

    assert taken(send_mailgun(client, failed())) == 1
    assert suppressed(database) == {"ada@example.org": "hard_bounce 5.1.1"}


def test_a_body_is_read_up_to_a_megabyte(client: FlaskClient) -> None:
    assert taken(send_postmark(client, hard_bounce(Content="x" * 900_000))) == 1
    assert send_postmark(client, hard_bounce(Content="x" * 1_100_000)).status_code == 413


def test_what_is_signed_and_no_json_is_named(client: FlaskClient) -> None:
    headers = {"Authorization": f"Basic {b64encode(AUTH.encode()).decode()}", "Accept": "application/json"}
    for body in (b"", b"{", b"\xff", b"[" * 100_000):
        answer = client.post("/webhooks/mail/postmark", data=body, headers=headers)
        assert (answer.status_code, answer.get_json()["detail"]) == (400, "the body is no JSON")
    assert send_sendgrid(client).status_code == 200


def test_an_unknown_provider_is_not_found(client: FlaskClient) -> None:
    assert client.post("/webhooks/mail/pigeon", json={}).status_code == 404
    assert client.get("/webhooks/mail/mailgun").status_code == 405


def test_a_provider_without_its_setting_is_told_which_one(settings: Settings, client: FlaskClient) -> None:
    app = create_app(replace(settings, postmark_webhook_auth=None))
    answer = send_postmark(app.test_client(), hard_bounce())
    app.extensions[EXTENSION].database.dispose()
    assert (answer.status_code, answer.get_json()["code"]) == (503, "not_set_up")
    assert "POSTMARK_WEBHOOK_AUTH" in answer.get_json()["detail"]
    assert int(answer.headers["Retry-After"]) > 0


def test_no_address_is_logged(client: FlaskClient) -> None:
    with capture_logs() as logged:
        send_postmark(client, hard_bounce())
        send_postmark(client, hard_bounce(Type="Blocked"))
        send_mailgun(client, failed(event="opened"))
    assert len(logged) >= 3
    assert "@" not in str(logged)


def test_settings_that_cannot_prove_anything_stop_the_start() -> None:
    environ = {"POSTMARK_WEBHOOK_AUTH": "no colon", "SENDGRID_WEBHOOK_KEY": "AAAA"}
    with pytest.raises(SettingsError) as caught:
        settings_module.load(environ)
    assert [problem.partition(" ")[0] for problem in caught.value.problems] == [
        "POSTMARK_WEBHOOK_AUTH",
        "SENDGRID_WEBHOOK_KEY",
    ]
    assert "no colon" not in str(caught.value.problems)


def test_events_that_come_out_of_order_count_when_they_happened(client: FlaskClient, database: Database) -> None:
    for days in (20, 1, 19, 2, 18):
        then = (utcnow() - timedelta(days=days)).isoformat()
        told = hard_bounce(ID=days, MessageID=str(days), Type="SoftBounce", Details="", BouncedAt=then)
        assert taken(send_postmark(client, told)) == 1
    assert suppressed(database) == {}


def test_what_is_told_of_who_was_erased_is_counted_without_the_address(
    client: FlaskClient, database: Database, parts: Parts
) -> None:
    with database.transaction() as session:
        reader = people.find(session, parse(ADA))
        assert reader is not None
        erasing.erase(session, reader.id, by=erasing.By.READER, keyring=parts.keyring, now=utcnow())
    assert taken(send_postmark(client, hard_bounce())) == 1
    assert suppressed(database) == {}
    with database.reading() as session:
        assert session.scalars(select(Bounce.email_key)).all() == [""]
