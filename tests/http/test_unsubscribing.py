"""Leaving: one click from a mail program, one press on a page, at once and for good (RFC 8058)."""

from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from newsletter_svc.app import create_app
from newsletter_svc.clock import utcnow
from newsletter_svc.delivery.models import Delivery, Status
from newsletter_svc.links import Links
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import newsletters, subscriptions
from newsletter_svc.subscribers.models import Subscription, SubscriptionStatus
from newsletter_svc.tokens import Keyring, Purpose
from newsletter_svc.web.state import EXTENSION
from tests.doors import AS_PROGRAM, is_signed_in, link_for
from tests.factories import make_articles, make_reader, send_now
from tests.inbox import Inbox

ADA = "ada@example.org"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
CONTENT_TYPES = ["application/x-www-form-urlencoded", "multipart/form-data"]
FROM_ELSEWHERE = [{}, {"Origin": "https://mail.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]


@pytest.fixture
def path(parts: Parts) -> str:
    """The address that stands in Ada's digests of `briefing`; she also reads `harbour`."""
    with parts.database.transaction() as session:
        newsletters.add(session, "harbour", title="Harbour Notes", now=utcnow())
        make_reader(session, ADA, now=utcnow(), slug="harbour")
        ada = make_reader(session, ADA, now=utcnow())
        newsletter = newsletters.get(session, "briefing")
        return urlsplit(parts.links.unsubscribe(subscriber_id=ada.id, newsletter_id=newsletter.id)).path


def standing(parts: Parts, slug: str = "briefing") -> SubscriptionStatus:
    with parts.database.reading() as session:
        newsletter = newsletters.get(session, slug)
        found = session.scalars(select(Subscription).where(Subscription.newsletter_id == newsletter.id)).one()
        return found.status


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
@pytest.mark.parametrize("headers", FROM_ELSEWHERE)
def test_one_click_leaves_at_once_without_cookie_or_origin(
    client: FlaskClient, parts: Parts, path: str, content_type: str, headers: dict[str, str]
) -> None:
    answer = client.post(path, data=ONE_CLICK, content_type=content_type, headers=headers)
    assert answer.status_code == 200
    assert "Location" not in answer.headers
    assert standing(parts) == SubscriptionStatus.UNSUBSCRIBED


@pytest.mark.parametrize("body", [b"", b"List-Unsubscribe=One-Click", b"x" * 1_000, b"\xff\x00"])
def test_one_click_asks_for_no_particular_body(client: FlaskClient, parts: Parts, path: str, body: bytes) -> None:
    assert client.post(path, data=body).status_code == 200
    assert standing(parts) == SubscriptionStatus.UNSUBSCRIBED


def test_looking_leaves_nothing(client: FlaskClient, parts: Parts, path: str) -> None:
    for _ in range(20):
        page = client.get(path)
        assert (page.status_code, client.head(path).status_code) == (200, 200)
    assert standing(parts) == SubscriptionStatus.CONFIRMED
    assert "Briefing" in page.text
    assert "a•••@example.org" in page.text
    assert ADA not in page.text
    assert f'<form method="post" action="{path}">' in page.text


def test_leaving_again_is_no_error(client: FlaskClient, parts: Parts, path: str) -> None:
    for _ in range(3):
        assert client.post(path, data=ONE_CLICK).status_code == 200
    assert client.get(path).status_code == 200
    assert standing(parts) == SubscriptionStatus.UNSUBSCRIBED


def test_only_the_one_newsletter_is_left(client: FlaskClient, parts: Parts, path: str) -> None:
    client.post(path, data=ONE_CLICK)
    assert standing(parts, "harbour") == SubscriptionStatus.CONFIRMED


@pytest.mark.parametrize("token", ["x", "a.b", "%00", "é", "WzEsMV0.c2ln", "a" * 3_000, "=", "%20"])
def test_a_bad_token_is_refused_and_says_nothing(client: FlaskClient, parts: Parts, path: str, token: str) -> None:
    answers = [client.post(f"/unsubscribe/{token}", headers=AS_PROGRAM), client.get(f"/unsubscribe/{token}")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json is not None
    assert answers[0].json["detail"] == "This link is not one of ours."
    assert standing(parts) == SubscriptionStatus.CONFIRMED


def test_a_damaged_token_is_refused(client: FlaskClient, parts: Parts, path: str) -> None:
    token = path.rpartition("/")[2]
    for damaged in (token[:-4], token[4:], token.swapcase(), token.replace(".", ""), token + "x"):
        assert client.post(f"/unsubscribe/{damaged}").status_code == 404
    assert standing(parts) == SubscriptionStatus.CONFIRMED


@pytest.mark.parametrize("payload", [[1], [1, 2, 3], ["1", "1"], {"a": 1}, None, [1, 999], [999, 1], [-1, -1]])
def test_a_well_signed_token_for_nobody_is_refused(
    client: FlaskClient, parts: Parts, path: str, payload: object
) -> None:
    token = parts.keyring.issue(Purpose.UNSUBSCRIBE, payload)
    assert client.post(f"/unsubscribe/{token}").status_code == 404
    assert standing(parts) == SubscriptionStatus.CONFIRMED


def test_the_token_cannot_sign_in_and_a_sign_in_token_cannot_unsubscribe(
    client: FlaskClient, parts: Parts, inbox: Inbox, path: str
) -> None:
    token = path.rpartition("/")[2]
    assert client.post(f"/magic-link/{token}", json={}).status_code == 410
    assert not is_signed_in(client)
    link = link_for(client, inbox).rpartition("/")[2]
    assert client.post(f"/unsubscribe/{link}").status_code == 404
    assert standing(parts) == SubscriptionStatus.CONFIRMED


def test_the_token_outlives_a_rotation_of_keys(settings: Settings, parts: Parts, path: str) -> None:
    app = create_app(replace(settings, secret_keys=("another key that is long enough to sign", *settings.secret_keys)))
    assert app.test_client().post(path, data=ONE_CLICK).status_code == 200
    assert standing(parts) == SubscriptionStatus.UNSUBSCRIBED
    app.extensions[EXTENSION].database.dispose()


def test_the_token_is_the_same_in_every_digest(settings: Settings, parts: Parts) -> None:
    links = [Links(settings, Keyring(settings.secret_keys, environment="development")) for _ in range(2)]
    assert len({each.unsubscribe(subscriber_id=1, newsletter_id=1) for each in links}) == 1


def test_what_is_queued_already_is_not_sent(client: FlaskClient, parts: Parts, inbox: Inbox, path: str) -> None:
    with parts.database.transaction() as session:
        make_reader(session, "bob@example.org", now=utcnow())
        make_articles(session, "One", "Two", now=utcnow())
    send_now(parts)
    assert client.post(path, data=ONE_CLICK).status_code == 200
    assert [str(mail.message["To"]) for mail in inbox.all()] == ["bob@example.org"]
    with parts.database.reading() as session:
        ended = {row.recipient: row.status for row in session.scalars(select(Delivery))}
        reason = session.scalars(select(Delivery.reason).where(Delivery.recipient == ADA)).one()
    assert ended == {ADA: Status.CANCELLED, "bob@example.org": Status.SENT}
    assert reason == "not_wanted"


def test_the_address_in_a_digest_is_the_one_that_works(client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    with parts.database.transaction() as session:
        make_reader(session, ADA, now=utcnow())
        make_articles(session, "One", now=utcnow())
    send_now(parts)
    mail = inbox.newest()
    header = str(mail.message["List-Unsubscribe"])
    assert mail.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert header.startswith("<http://127.0.0.1:8000/unsubscribe/")
    assert header.strip("<>") in mail.text.replace("\r", "")
    assert client.post(urlsplit(header.strip("<>")).path, data=ONE_CLICK).status_code == 200
    assert standing(parts) == SubscriptionStatus.UNSUBSCRIBED


def test_who_has_left_still_gets_sign_in_mail(client: FlaskClient, parts: Parts, inbox: Inbox, path: str) -> None:
    client.post(path, data=ONE_CLICK)
    done = client.post(link_for(client, inbox), headers=AS_PROGRAM)
    assert done.json is not None
    assert done.json["code"] == "signed_in"
    shown = client.get("/session").json
    assert shown is not None
    assert shown["subscriber"]["newsletters"] == ["harbour"]


def test_coming_back_takes_a_new_confirmation(client: FlaskClient, parts: Parts, inbox: Inbox, path: str) -> None:
    client.post(path, data=ONE_CLICK)
    link = link_for(client, inbox, "/subscribe")
    assert standing(parts) == SubscriptionStatus.UNSUBSCRIBED
    client.post(link, headers=AS_PROGRAM)
    assert standing(parts) == SubscriptionStatus.CONFIRMED


def test_a_fault_of_ours_makes_the_mail_provider_try_again(client: FlaskClient, parts: Parts, path: str) -> None:
    with parts.database.transaction() as session:
        session.connection().exec_driver_sql("ALTER TABLE subscriptions RENAME TO subscriptions_away")
    try:
        answer = client.post(path, data=ONE_CLICK)
    finally:
        with parts.database.transaction() as session:
            session.connection().exec_driver_sql("ALTER TABLE subscriptions_away RENAME TO subscriptions")
    assert answer.status_code in (500, 503)
    assert standing(parts) == SubscriptionStatus.CONFIRMED


def test_other_methods_are_refused(client: FlaskClient, parts: Parts, path: str) -> None:
    for method in ("PUT", "PATCH", "DELETE"):
        assert client.open(path, method=method).status_code == 405
    assert standing(parts) == SubscriptionStatus.CONFIRMED


def test_sign_in_mail_offers_no_one_click(client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    link_for(client, inbox)
    message = inbox.newest().message
    assert message["List-Unsubscribe"] is None
    assert message["List-Unsubscribe-Post"] is None
    assert message["Auto-Submitted"] == "auto-generated"


def test_a_subscription_that_ended_long_ago_can_still_be_looked_at(
    client: FlaskClient, parts: Parts, path: str
) -> None:
    with parts.database.transaction() as session:
        newsletter = newsletters.get(session, "briefing")
        subscriptions.leave(session, 1, newsletter.id, now=utcnow() - timedelta(days=2_000))
    assert client.get(path).status_code == 200
