"""The way back, with a real mail server: Postfix cannot hand on a digest, says so, and what it says is believed."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from newsletter_svc.db import Database
from newsletter_svc.delivery.models import Suppression
from newsletter_svc.settings import Settings
from tests.commands import invoke, succeed
from tests.factories import fill
from tests.fakes import postfix
from tests.fakes.smtp import Sink

pytestmark = [
    pytest.mark.postfix,
    pytest.mark.skipif(not postfix.IS_RELAY_POSSIBLE, reason="Postfix is not installed, or we are not root"),
]


@pytest.mark.parametrize(
    ("refusal", "said", "suppressed"),
    [
        ("550 5.1.1 no such user", "hard bounce 5.1.1", {"reader1@example.org": "hard_bounce 5.1.1"}),
        ("552 5.2.2 mailbox full", "soft bounce 5.2.2", {}),
        ("550 5.7.1 we do not like you", "it speaks of us", {}),
    ],
)
@pytest.mark.parametrize("bounce_address", ["bounces@news.example", pytest.param(None, marks=pytest.mark.long)])
def test_what_postfix_reports_finds_its_reader(
    settings: Settings,
    database: Database,
    bounce_address: str | None,
    refusal: str,
    said: str,
    suppressed: dict[str, str],
) -> None:
    """By the envelope sender, or without one by the Message-ID of the returned letter."""
    fill(database, "A Treaty", readers=2)
    with Sink() as sink, postfix.relay(next_port=sink.port) as port:
        sink.answer("rcpt", refusal, recipient="reader1@example.org")
        service = replace(settings, mail_server="127.0.0.1", mail_port=port, bounce_address=bounce_address)
        assert "2 sent" in succeed(invoke(service, "digest", "send", "--wait"))
        mails = sink.wait_for(2, seconds=60)

    (report,) = [mail.raw for mail in mails if mail.recipients != ("reader0@example.org",)]
    assert said in succeed(invoke(service, "bounces", "read", stdin=report))
    with database.reading() as session:
        assert {row.email_key: row.reason for row in session.scalars(select(Suppression))} == suppressed
