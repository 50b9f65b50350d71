"""Keeping articles: each once, however often and in whatever spelling it comes."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session

from newsletter_svc.articles import store
from newsletter_svc.articles.drafts import ArticleDraft
from newsletter_svc.articles.store import Outcome
from newsletter_svc.db import Database
from newsletter_svc.subscribers import newsletters

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
BASE = "https://news.example"
BUDGET = ArticleDraft(
    title="The “Quiet” Budget",
    body="Ports get £40 million.\n\nRail gets [nothing](/rail).",
    url="/articles/quiet-budget",
    published=NOW - timedelta(days=3),
    image="/media/quiet-budget.jpg",
)


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.transaction() as session:
        yield session


@pytest.fixture
def newsletter_id(session: Session) -> int:
    return newsletters.add(session, "ports", title="Ports", now=NOW).id


def add(session: Session, newsletter_id: int, *drafts: ArticleDraft, now: datetime = NOW) -> list[store.Stored]:
    return store.add(session, drafts, newsletter_id=newsletter_id, base_url=BASE, now=now)


def test_a_new_article_is_rendered_and_its_addresses_are_absolute(session: Session, newsletter_id: int) -> None:
    (stored,) = add(session, newsletter_id, BUDGET)

    article = stored.article
    assert stored.outcome is Outcome.CREATED
    assert (article.slug, article.url) == ("quiet-budget", "https://news.example/articles/quiet-budget")
    assert article.image_url == "https://news.example/media/quiet-budget.jpg"
    assert '<a href="https://news.example/rail">nothing</a>' in article.body_html
    assert article.body_text == "Ports get £40 million.\n\nRail gets nothing (https://news.example/rail)."
    assert article.standfirst.startswith("Ports get £40 million. Rail")
    assert article.reading_minutes == 1


def test_the_same_article_again_is_unchanged(session: Session, newsletter_id: int) -> None:
    add(session, newsletter_id, BUDGET)
    later = add(session, newsletter_id, BUDGET, replace(BUDGET, published=None), now=NOW + timedelta(days=1))

    assert [stored.outcome for stored in later] == [Outcome.UNCHANGED, Outcome.UNCHANGED]
    assert later[0].article.updated_at == NOW


def test_a_changed_title_updates_the_article_that_has_the_address(session: Session, newsletter_id: int) -> None:
    (first,) = add(session, newsletter_id, BUDGET)
    changed = replace(BUDGET, title="Not so quiet", url="https://NEWS.example/articles/quiet-budget?utm_source=x#top")
    (second,) = add(session, newsletter_id, changed, now=NOW + timedelta(hours=1))

    assert second.outcome is Outcome.UPDATED
    assert second.article.id == first.article.id
    assert (second.article.title, second.article.slug) == ("Not so quiet", "quiet-budget")
    assert second.article.first_seen_at == NOW
    assert second.article.updated_at == NOW + timedelta(hours=1)


def test_without_an_address_the_title_tells_articles_apart(session: Session, newsletter_id: int) -> None:
    plain = ArticleDraft(title="A  Plain Title", body="One.")
    outcomes = add(
        session, newsletter_id, plain, replace(plain, title="a plain TITLE", body="Two."), replace(plain, title="Other")
    )

    assert [stored.outcome for stored in outcomes] == [Outcome.CREATED, Outcome.UPDATED, Outcome.CREATED]
    assert outcomes[0].article.slug == "a-plain-title"


@pytest.mark.parametrize("published", [None, NOW + timedelta(seconds=1), NOW + timedelta(days=900)])
def test_a_missing_or_future_date_becomes_first_sight(
    session: Session, newsletter_id: int, published: datetime | None
) -> None:
    (stored,) = add(session, newsletter_id, replace(BUDGET, published=published))

    assert stored.article.published_at == NOW


def test_slugs_are_unique_within_a_newsletter_and_never_empty(session: Session, newsletter_id: int) -> None:
    drafts = [
        replace(BUDGET, url="https://a.example/2026/budget.html"),
        replace(BUDGET, url="https://b.example/budget/"),
        replace(BUDGET, url="https://c.example/"),
        ArticleDraft(title="Бюджет", body="x"),
    ]
    slugs = [stored.article.slug for stored in add(session, newsletter_id, *drafts)]

    assert slugs[:3] == ["budget", "budget-2", "the-quiet-budget"]
    assert slugs[3].startswith("article-")


def test_newsletters_do_not_share_articles(session: Session, newsletter_id: int) -> None:
    other = newsletters.add(session, "rail", title="Rail", now=NOW).id
    first, second = (add(session, each, BUDGET)[0] for each in (newsletter_id, other))

    assert second.outcome is Outcome.CREATED
    assert store.listed(session, newsletter_id=other) == [second.article]
    assert store.by_slug(session, "quiet-budget", newsletter_id=other) == second.article
    assert store.by_slug(session, "quiet-budget") == first.article


def test_the_list_is_newest_first_by_the_date_on_the_article(session: Session, newsletter_id: int) -> None:
    drafts = [
        ArticleDraft(title=f"{days} days old", body="x", published=NOW - timedelta(days=days)) for days in (2, 1, 3)
    ]
    add(session, newsletter_id, *drafts)

    titles = [article.title for article in store.listed(session)]
    assert titles == ["1 days old", "2 days old", "3 days old"]
    assert [article.title for article in store.listed(session, limit=1, offset=1)] == ["2 days old"]
    assert store.by_slug(session, "missing") is None


def test_an_unknown_newsletter_is_an_error(session: Session) -> None:
    with pytest.raises(NoResultFound):
        add(session, 4711, BUDGET)


def test_the_same_article_from_eight_imports_at_once_goes_in_once(database: Database, database_url: str) -> None:
    with database.transaction() as session:
        newsletter_id = newsletters.add(session, "ports", title="Ports", now=NOW).id
    start = Barrier(8)

    def import_it(_number: int) -> Outcome:
        own = Database(database_url)
        start.wait()
        with own.transaction() as session:
            (stored,) = add(session, newsletter_id, BUDGET)
        own.dispose()
        return stored.outcome

    with ThreadPoolExecutor(8) as pool:
        outcomes = Counter(pool.map(import_it, range(8)))

    assert outcomes == {Outcome.CREATED: 1, Outcome.UNCHANGED: 7}
