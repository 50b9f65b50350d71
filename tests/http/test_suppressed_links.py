"""A bounce or a complaint ends the links that were on their way."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from newsletter_svc.clock import utcnow
from newsletter_svc.delivery import suppressions
from newsletter_svc.parts import Parts
from tests.inbox import Inbox


def suppress(parts: Parts, *, ago: timedelta = timedelta()) -> None:
    with parts.database.transaction() as session:
        suppressions.add(session, "ada@example.org", reason="complaint abuse", now=utcnow() - ago)


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
