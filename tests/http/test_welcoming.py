"""The mail that welcomes a reader: by setting, once, and never to who was known before."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from newsletter_svc.app import create_app
from newsletter_svc.settings import Settings
from newsletter_svc.web.state import EXTENSION
from tests.doors import AS_PROGRAM, ask, link_for, stranger_to
from tests.inbox import Inbox
from tests.wire import check_transactional, check_wire

WELCOME = "Welcome to The Global Diplomat"


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    application = create_app(replace(settings, welcome_mail=True))
    yield application
    application.extensions[EXTENSION].database.dispose()


def test_who_confirms_is_welcomed_once(app: Flask, inbox: Inbox) -> None:
    client = app.test_client()
    link = link_for(client, inbox, "/subscribe", name="Ada")
    for _ in range(2):  # The asking browser may finish twice.
        client.post(link, headers=AS_PROGRAM)
    client.post(link_for(client, inbox, "/signin"), headers=AS_PROGRAM)
    welcomes = [mail for mail in inbox.all() if mail.subject == WELCOME]
    assert len(welcomes) == 1
    assert "Hello Ada," in welcomes[0].text
    assert "You are subscribed to Briefing." in welcomes[0].text
    check_wire(welcomes[0].raw)
    check_transactional(welcomes[0].raw)


def test_an_account_without_a_newsletter_is_welcomed_as_that(app: Flask, inbox: Inbox) -> None:
    client = app.test_client()
    client.post(link_for(client, inbox, "/signup"), headers=AS_PROGRAM)
    [welcome] = [mail for mail in inbox.all() if mail.subject == WELCOME]
    assert "Your account is ready." in welcome.text
    assert "subscribed" not in welcome.text + welcome.html


def test_a_code_brings_the_welcome_too(app: Flask, inbox: Inbox) -> None:
    client = app.test_client()
    asked = ask(client, "/subscribe").json
    assert asked is not None
    answer = client.post("/signin/code", json={"challenge": asked["challenge"], "code": inbox.newest().code})
    assert answer.status_code == 200
    assert [mail.subject for mail in inbox.all()].count(WELCOME) == 1


def test_nobody_is_welcomed_before_confirming(app: Flask, inbox: Inbox) -> None:
    client = app.test_client()
    link = link_for(client, inbox, "/subscribe")
    client.get(link)
    stranger_to(client).head(link)
    assert WELCOME not in [mail.subject for mail in inbox.all()]


def test_without_the_setting_nobody_is_welcomed(settings: Settings) -> None:
    application = create_app(settings)
    client, inbox = application.test_client(), Inbox(application.extensions[EXTENSION])
    client.post(link_for(client, inbox, "/subscribe"), headers=AS_PROGRAM)
    assert [mail.subject for mail in inbox.all()] == ["Confirm your subscription to The Global Diplomat"]
    application.extensions[EXTENSION].database.dispose()
