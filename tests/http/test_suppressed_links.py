"""A bounce or a complaint ends the links that were on their way."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from newsletter_svc.clock import utcnow
from newsletter_svc.delivery import suppressions
from newsletter_svc.delivery.models import Suppression
from newsletter_svc.parts import Parts
from tests.inbox import Inbox


def suppress(parts: Parts, *, ago: timedelta = timedelta(), reason: str = "complaint abuse") -> None:
    with parts.database.transaction() as session:
        suppressions.add(session, "ada@example.org", reason=reason, now=utcnow() - ago)


def suppressed(parts: Parts) -> list[tuple[str, str]]:
    with parts.database.reading() as session:
        return [(row.reason, row.scope.value) for row in session.scalars(select(Suppression))]


@pytest.fixture
def asked(client: FlaskClient) -> str:
    """The challenge of a sign-in that is under way."""
    return str(client.post("/signin", json={"email": "Ada@example.org"}).json["challenge"])


def test_a_complaint_ends_the_link_and_the_code_on_their_way(
    client: FlaskClient, parts: Parts, inbox: Inbox, asked: str
) -> None:
    mail = inbox.newest()
    suppress(parts)

    assert client.get(mail.link).status_code == 410
    assert client.post(mail.link, json={}).status_code == 410
    assert client.post("/signin/code", json={"challenge": asked, "code": mail.code}).status_code == 410
    assert client.get("/session").json["signed_in"] is False


def test_who_complained_before_can_ask_for_a_link_that_works(client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    suppress(parts, ago=timedelta(days=1))
    client.post("/signin", json={"email": "ada@example.org"})

    assert client.post(inbox.newest().link, json={}).status_code == 200


def test_a_complaint_ends_no_session(client: FlaskClient, parts: Parts, inbox: Inbox, asked: str) -> None:
    client.post(inbox.newest().link, json={})
    suppress(parts)

    assert client.get("/session").json["signed_in"] is True


@pytest.mark.parametrize(
    ("door", "reasons", "left"),
    [
        ("/signin", ["hard_bounce 5.1.1"], []),
        ("/signin", ["soft_bounces 5.2.2"], []),
        ("/signin", ["complaint abuse"], [("complaint abuse", "newsletters")]),
        ("/signin", ["complaint abuse", "hard_bounce 5.1.1"], [("complaint abuse", "newsletters")]),
        ("/subscribe", ["hard_bounce 5.1.1"], []),
        ("/subscribe", ["complaint abuse"], []),
    ],
)
def test_who_reads_a_mail_has_a_mailbox_and_who_subscribes_again_no_longer_complains(
    client: FlaskClient, parts: Parts, inbox: Inbox, door: str, reasons: list[str], left: list[tuple[str, str]]
) -> None:
    for reason in reasons:
        suppress(parts, ago=timedelta(days=1), reason=reason)
    client.post(door, json={"email": "ada@example.org"})
    link = inbox.newest().link
    assert client.get(link).status_code == 200
    assert len(suppressed(parts)) == 1

    assert client.post(link, json={}).status_code == 200
    assert suppressed(parts) == left
