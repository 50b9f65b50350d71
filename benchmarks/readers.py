"""Readers and articles: any number of readers, written by the database itself, and an issue whose mails have one size.

The statements are the same on SQLite and PostgreSQL.
"""

from collections.abc import Callable

from sqlalchemy import bindparam, text

from newsletter_svc import migrations
from newsletter_svc.articles import store
from newsletter_svc.articles.drafts import ArticleDraft
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database, UtcDateTime
from newsletter_svc.digests import preview
from newsletter_svc.digests.issues import Press
from newsletter_svc.links import Links
from newsletter_svc.mail.compose import Composer
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import newsletters
from newsletter_svc.tokens import Keyring
from newsletter_svc.words import shipped

ARTICLES = 5
MOST_PARAGRAPHS = 100
"""More make a mail so long that it is shortened."""
_PARAGRAPH = (
    "The council met until late in the evening — “longer than ever”, said its chair — and put off what it had been "
    "called to decide. Delegates spoke of *progress on paper* and of a bill of £12 million that nobody wants to pay. "
    "[The full text](https://www.example.org/articles/council) was not made public."
)
_READERS = """
    WITH RECURSIVE numbers (number) AS (
        SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < :readers
    )
    INSERT INTO subscribers (public_id, email, email_key, name, created_at, confirmed_at)
    SELECT 'reader' || number, 'reader' || number || '@example.org', 'reader' || number || '@example.org',
        'Ada Reader ' || number, :now, :now
    FROM numbers
"""
_SUBSCRIPTIONS = """
    INSERT INTO subscriptions (subscriber_id, newsletter_id, status, created_at, confirmed_at)
    SELECT subscribers.id, newsletters.id, 'confirmed', :now, :now
    FROM subscribers JOIN newsletters ON newsletters.slug = :slug ORDER BY subscribers.id
"""
_NOW = bindparam("now", type_=UtcDateTime())


def fill(settings: Settings, *, readers: int, size: int) -> None:
    """Make the tables, so many confirmed readers, and articles that give each of them a mail of `size` octets."""
    database, now = Database(settings.database_url), utcnow()
    migrations.upgrade(database)
    with database.transaction() as session:
        newsletters.ensure_default(session, words=shipped(), now=now)
        session.execute(text(_READERS).bindparams(_NOW), {"readers": readers, "now": now})
        session.execute(text(_SUBSCRIPTIONS).bindparams(_NOW), {"slug": newsletters.DEFAULT_SLUG, "now": now})
    paragraphs = paragraphs_for(size, lambda count: _mail_size(database, settings, count))
    with database.transaction() as session:
        newsletter_id = newsletters.get(session, newsletters.DEFAULT_SLUG).id
        store.add(session, drafts(paragraphs), newsletter_id=newsletter_id, base_url=settings.public_url, now=now)
        session.execute(text("ANALYZE"))
    database.dispose()


def drafts(paragraphs: int) -> list[ArticleDraft]:
    """A few articles. The first one, which an issue carries whole, has so many paragraphs."""
    return [
        ArticleDraft(
            title=f"Article {number} of those that no issue has carried",
            body="\n\n".join([_PARAGRAPH] * (paragraphs if number == 1 else 1)),
            url=f"https://www.example.org/articles/{number}",
            author="A Correspondent",
            summary="What was decided, what was not, and who is going to pay.",
        )
        for number in range(1, ARTICLES + 1)
    ]


def paragraphs_for(size: int, measure: Callable[[int], int]) -> int:
    """How many paragraphs make a mail of at least `size` octets, by halving; `measure` makes one and looks."""
    low, high = 1, MOST_PARAGRAPHS
    while low < high:
        middle = (low + high) // 2
        if measure(middle) < size:
            low = middle + 1
        else:
            high = middle
    return low


def _mail_size(database: Database, settings: Settings, paragraphs: int) -> int:
    """The octets of the mail that `digest preview` would show; nothing is stored."""
    links = Links(settings, Keyring(settings.secret_keys, environment=settings.env))
    press, now = Press(Composer(settings), settings.message_domain, links), utcnow()
    with database.reading() as session:
        newsletter = newsletters.get(session, newsletters.DEFAULT_SLUG)
        store.add(session, drafts(paragraphs), newsletter_id=newsletter.id, base_url=settings.public_url, now=now)
        issue = preview.upcoming(session, newsletter, tz=settings.timezone, press=press, now=now)
        assert issue is not None
        return len(preview.show(issue, preview.Format.EML, press=press, now=now))
