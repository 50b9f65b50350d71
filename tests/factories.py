"""Making what a test starts from: readers, articles and what is owed, as if they had come by the front door."""

from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from sqlalchemy.orm import Session

from newsletter_svc.articles import store
from newsletter_svc.articles.drafts import ArticleDraft
from newsletter_svc.articles.models import Article
from newsletter_svc.auth import asking
from newsletter_svc.auth.models import Door
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery import ledger, mailings
from newsletter_svc.delivery.models import Delivery, Lane
from newsletter_svc.digests import runs
from newsletter_svc.digests.issues import Press
from newsletter_svc.digests.runs import Run
from newsletter_svc.links import Links
from newsletter_svc.mail.compose import Composer
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import newsletters, people, subscriptions
from newsletter_svc.subscribers.addresses import parse
from newsletter_svc.subscribers.models import Subscriber
from newsletter_svc.tokens import Keyring

PUBLIC_URL = "https://news.example"
DRAFT = ArticleDraft(
    title="The “Quiet” Budget",
    body="Ports get £40 million—twice last year’s sum.\n\n## Rail\n\n“We have waited,” said [one official](/rail).",
    author="Iris Vandermeer",
)


def make_reader(session: Session, email: str, *, now: datetime, name: str = "", slug: str = "briefing") -> Subscriber:
    """A confirmed reader of the newsletter."""
    subscriber = people.find_or_add(session, parse(email), now=now)
    subscriber.name = name
    subscriber.confirmed_at = now
    subscriptions.confirm(session, subscriber.id, [newsletters.get(session, slug).id], now=now)
    session.flush()
    return subscriber


def make_articles(session: Session, *titles: str, now: datetime, slug: str = "briefing") -> list[Article]:
    """One article for each title, first seen `now`."""
    drafts = [replace(DRAFT, title=title) for title in titles]
    newsletter_id = newsletters.get(session, slug).id
    stored = store.add(session, drafts, newsletter_id=newsletter_id, base_url=PUBLIC_URL, now=now)
    return [each.article for each in stored]


def fill(database: Database, *titles: str, readers: int = 0) -> None:
    """One article for each title, and so many readers: reader0@example.org and on."""
    now = utcnow()
    with database.transaction() as session:
        make_articles(session, *titles, now=now)
        for number in range(readers):
            make_reader(session, f"reader{number}@example.org", now=now)


def ask_for_link(parts: Parts, *emails: str, door: Door = Door.SIGN_IN, now: datetime | None = None) -> None:
    """Somebody asks for a link at each of these addresses, now if no other moment is given."""
    with parts.database.transaction() as session:
        for email in emails:
            asking.request_link(
                session,
                asking.Request(door=door, address=parse(email)),
                keyring=parts.keyring,
                message_domain=parts.message_domain,
                lifetimes=parts.lifetimes,
                now=now or utcnow(),
            )


def owe_issue(parts: Parts, title: str = "The quiet budget") -> Run:
    """Make an issue of one article, owed to every reader from now on."""
    with parts.database.transaction() as session:
        make_articles(session, title, now=utcnow())
    return send_now(parts)


def send_now(parts: Parts) -> Run:
    """Make an issue of everything new, if there is anything."""
    with parts.database.transaction() as session:
        newsletter = newsletters.get(session, newsletters.DEFAULT_SLUG)
        return runs.send_now(session, newsletter, tz="Europe/London", press=parts.press, now=utcnow())


def make_press(settings: Settings) -> Press:
    """What issues are made with, without the rest of the service."""
    links = Links(settings, Keyring(settings.secret_keys, environment=settings.env))
    return Press(Composer(settings), settings.message_domain, links)


def owe_single(
    session: Session, recipient: str, *, now: datetime, kind: str = "note", expires_at: datetime | None = None
) -> int:
    """A mail that somebody waits for; return the delivery's id."""
    return ledger.enqueue(
        session,
        key=f"{kind}:{recipient}",
        kind=kind,
        recipient=recipient,
        subscriber_id=None,
        subject_id="1",
        message_domain="news.example",
        now=now,
        expires_at=expires_at,
    )


def owe_bulk(
    session: Session,
    *recipients: str,
    now: datetime,
    kind: str = "note",
    subject_id: str = "1",
    expires_at: datetime | None = None,
) -> int:
    """Deliveries of one mailing, which is begun unless there is one already; return the mailing's id."""
    mailing = mailings.find(session, kind=kind, subject_id=subject_id)
    mailing_id = mailing.id if mailing else mailings.begin(session, kind=kind, subject_id=subject_id, now=now)
    for recipient in recipients:
        session.add(
            Delivery(
                key=f"{kind}:{subject_id}:{recipient}",
                kind=kind,
                lane=Lane.BULK,
                mailing_id=mailing_id,
                subject_id=subject_id,
                recipient=recipient,
                message_id=f"<{uuid4().hex}@news.example>",
                due_at=now,
                expires_at=expires_at,
                created_at=now,
            )
        )
        session.flush()
    return mailing_id
