"""Alerts by mail: what the operator gets, and that the sender raises and sends them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from newsletter_svc import alerts
from newsletter_svc.alerts import Alert, Cause
from newsletter_svc.app import create_app
from newsletter_svc.clock import utcnow
from newsletter_svc.delivery import notices
from newsletter_svc.delivery.models import Delivery
from newsletter_svc.mail.compose import Composer
from newsletter_svc.parts import Parts
from newsletter_svc.samples import samples
from newsletter_svc.settings import Settings
from newsletter_svc.web.state import EXTENSION
from tests.inbox import Inbox
from tests.wire import check_transactional, check_wire


@pytest.fixture
def parts(settings: Settings) -> Iterator[Parts]:
    app = create_app(replace(settings, operator_address="operator@example.org"))
    yield app.extensions[EXTENSION]
    app.extensions[EXTENSION].database.dispose()


def report(parts: Parts, *, times: int = 1, detail: str = "mail: 530 5.7.0") -> None:
    for _ in range(times):
        with parts.database.transaction() as session:
            alerts.report(session, Cause.SENDER_REFUSED, detail=detail, now=utcnow())


def owe(parts: Parts) -> bool:
    return notices.owe_due(parts.database, parts.settings, now=utcnow())


def test_the_operator_reads_what_happened_how_often_and_what_to_do(parts: Parts) -> None:
    report(parts, times=3, detail="mail: 530 5.7.0 <b>no</b>")
    assert owe(parts)

    (mail,) = Inbox(parts).all()

    check_wire(mail.raw)
    check_transactional(mail.raw)
    assert str(mail.message["To"]) == "operator@example.org"
    assert mail.subject == "The Global Diplomat: The mail server refuses us"
    for part in (mail.text, mail.html):
        words = " ".join(part.split())
        assert "3 times since" in words
        assert "sender_refused" in words
        assert "MAIL_PASSWORD" in words
    assert "530 5.7.0 <b>no</b>" in mail.text
    assert "530 5.7.0 &lt;b&gt;no&lt;/b&gt;" in mail.html


def test_its_times_are_written_as_the_publications_language_does(settings: Settings) -> None:
    composer = Composer(replace(settings, language="de", timezone="Europe/Berlin"))
    rendered = composer.render(notices.KIND, samples()[notices.KIND].context)
    assert "24. November 2026, 18:05 (Europe/Berlin)" in " ".join(rendered.text.split())


def test_an_alert_that_goes_on_is_mailed_once_an_hour(parts: Parts) -> None:
    report(parts)
    assert owe(parts)
    report(parts)
    assert not owe(parts)

    with parts.database.transaction() as session:
        alert = session.scalars(select(Alert)).one()
        alert.mailed_at = utcnow() - timedelta(hours=1)

    assert owe(parts)
    assert len(Inbox(parts).all()) == 2


def test_without_an_operator_nobody_is_owed_a_mail(parts: Parts) -> None:
    report(parts)
    assert not notices.owe_due(parts.database, replace(parts.settings, operator_address=None), now=utcnow())
    with parts.database.reading() as session:
        assert session.scalars(select(Delivery)).all() == []
