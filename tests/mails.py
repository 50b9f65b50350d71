"""Every kind of mail as it goes out, with whatever names and titles a test puts into it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

from newsletter_svc.digests import content
from newsletter_svc.digests.calendar import Frequency
from newsletter_svc.digests.content import Image
from newsletter_svc.digests.letter import Issue, compile_issue
from newsletter_svc.mail.compose import Composer
from newsletter_svc.mail.message import Letter, Mailbox, OutgoingMessage, Stream
from newsletter_svc.samples import article, samples
from newsletter_svc.settings import Settings

KINDS = tuple(samples())
UNSUBSCRIBE = "https://news.example.org/unsubscribe/" + "b4Dq-z" * 16
PREFERENCES = "https://news.example.org/preferences/" + "Wzdd.k3" * 9
NOW = datetime(2026, 11, 24, 7, tzinfo=UTC)
SETTINGS = Settings(
    secret_keys=("k" * 40,),
    public_url="https://news.example.org",
    frontend_url="https://www.example.org",
    mail_default_sender="briefing@news.example.org",
    mail_transactional_sender="sign-in@news.example.org",
    postal_address="1 Example Street, London",
)


def context_of(kind: str, text: str | None = None, *, articles: int = 5) -> Mapping[str, Any]:
    """What a mail of this kind says; `text` stands wherever a stranger, a reader or an editor chooses the words."""
    if kind == content.KIND:
        return issue_context(text, articles=articles)
    context = dict(samples()[kind].context)
    if text is not None:
        typed = {"name": text, "newsletters": [text, "Weekend"], "asked_from": text, "detail": text}
        context |= {key: value for key, value in typed.items() if key in context}
    return context


def issue_context(text: str | None, *, articles: int) -> Mapping[str, Any]:
    entries = [article(f"The treaty, part {number}") for number in range(1, articles + 1)]
    if text is not None:
        entries[0] = replace(
            entries[0],
            title=text,
            author=text,
            summary=text,
            excerpt=text,
            image=Image("https://x.example/p.jpg", text),
        )
        entries[1] = replace(entries[1], title=text, author=text, excerpt=text)
        entries.append(replace(entries[0], url="https://x.example/brief"))
    return content.issue_context(
        entries,
        newsletter=text or "Briefing",
        day=date(2026, 11, 24),
        frequency=Frequency.WEEKLY,
        web_url="https://news.example.org/digests/4f2a",
    )


@cache
def _composer(settings: Settings) -> Composer:
    # With its templates compiled, which takes longer than all else that is done here.
    return Composer(settings)


def outgoing(
    kind: str, text: str | None = None, *, settings: Settings = SETTINGS, articles: int = 5
) -> OutgoingMessage:
    """The finished mail, by the same way as every other: digests compiled, the others one by one."""
    composer = _composer(settings)
    reader = Mailbox("ada@example.net", text or "Ada")
    message_id, envelope_sender = f"<{kind}.4f2a@news.example.org>", "bounces+1f.0ab3@news.example.org"
    if kind != content.KIND:
        letter = Letter(reader, composer.render(kind, context_of(kind, text)), Stream.TRANSACTIONAL)
        return composer.finish(letter, message_id=message_id, date=NOW, envelope_sender=envelope_sender)
    frozen = composer.render_with_slots(kind, context_of(kind, text, articles=articles), content.SLOTS)
    issue = Issue(digest_id=7, newsletter_id=1, newsletter_slug="briefing", rendered=frozen)
    compiled = compile_issue(issue, composer=composer, mail_domain=settings.message_domain)
    values = {"unsubscribe_url": UNSUBSCRIBE, "preferences_url": PREFERENCES}
    octets = compiled.join(recipient=reader, message_id=message_id, date=NOW, values=values)
    return OutgoingMessage(envelope_sender, reader.email, message_id, octets)
