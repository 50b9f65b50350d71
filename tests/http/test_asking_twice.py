"""Asking again within the minute: there is one mail, and its code goes on working."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from newsletter_svc.app import create_app
from newsletter_svc.settings import Settings
from newsletter_svc.web.state import EXTENSION
from tests.inbox import Inbox


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    application = create_app(replace(settings, limit_per_address="1/minute;5/hour"))
    yield application
    application.extensions[EXTENSION].database.dispose()


def challenge_of(client: FlaskClient, email: str) -> str:
    return str(client.post("/signin", json={"email": email}).json["challenge"])


def test_the_second_answer_keeps_the_first_mails_code_working(client: FlaskClient, inbox: Inbox) -> None:
    challenge_of(client, "ada@example.org")
    again = challenge_of(client, "ada@example.org")

    (mail,) = inbox.all()
    assert client.post("/signin/code", json={"challenge": again, "code": mail.code}).status_code == 200


def test_who_asks_for_somebody_elses_address_keeps_nothing_of_it(client: FlaskClient, app: Flask, inbox: Inbox) -> None:
    first = challenge_of(app.test_client(), "ada@example.org")
    other = challenge_of(client, "ada@example.org")

    (mail,) = inbox.all()
    assert other != first
    assert client.post("/signin/code", json={"challenge": other, "code": mail.code}).status_code == 422


def test_a_pre_session_of_another_reader_is_not_kept(client: FlaskClient, inbox: Inbox) -> None:
    mine = challenge_of(client, "ada@example.org")
    challenge_of(client, "bob@example.org")

    assert challenge_of(client, "bob@example.org") != mine
