"""Making an issue: what it carries, who gets it, and that it stays as it was made."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from newsletter_svc.articles.models import Article
from newsletter_svc.db import Database
from newsletter_svc.delivery.models import Delivery, Lane, Status
from newsletter_svc.digests import editions
from newsletter_svc.digests.issues import NothingNew, Press, Published, publish
from newsletter_svc.digests.models import Digest, DigestArticle, Edition
from newsletter_svc.digests.rendering import Heading, NothingRenders, render_issue
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import newsletters, subscriptions
from newsletter_svc.subscribers.models import SubscriptionStatus
from tests.factories import make_articles, make_press, make_reader

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
HEADING = Heading("Briefing", NOW.date(), web_url="https://news.example/digests/1")


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.transaction() as session:
        yield session


@pytest.fixture
def press(settings: Settings) -> Press:
    return make_press(settings)


@pytest.fixture
def edition(session: Session) -> Edition:
    return editions.edition_of(session, newsletters.get(session, "briefing").id, tz="Europe/London", now=NOW)


@pytest.fixture
def made(session: Session, edition: Edition, press: Press) -> Callable[[datetime], Digest]:
    """Publish and return the digest."""

    def make(now: datetime) -> Digest:
        result = publish(session, edition, press=press, now=now)
        assert isinstance(result, Published)
        return session.get_one(Digest, result.digest_id)

    return make


def carried(session: Session, digest: Digest) -> list[str]:
    query = select(Article.title).join(DigestArticle).where(DigestArticle.digest_id == digest.id)
    return list(session.scalars(query.order_by(DigestArticle.position)))


def owed(session: Session) -> list[Delivery]:
    return list(session.scalars(select(Delivery).order_by(Delivery.id)))


def test_an_issue_carries_what_is_new_in_the_order_of_first_sight(
    session: Session, made: Callable[[datetime], Digest]
) -> None:
    make_articles(session, "Second", now=LATER)
    make_articles(session, "First", now=NOW)

    assert carried(session, made(LATER)) == ["First", "Second"]


def test_no_article_is_carried_twice(
    session: Session, edition: Edition, press: Press, made: Callable[[datetime], Digest]
) -> None:
    make_articles(session, "One", now=NOW)
    made(NOW)
    make_articles(session, "One", "Two", now=LATER)

    assert carried(session, made(LATER)) == ["Two"]
    assert publish(session, edition, press=press, now=LATER) == NothingNew()


def test_an_article_committed_late_is_not_lost(session: Session, made: Callable[[datetime], Digest]) -> None:
    # It was seen, and got its id, before the one that an issue has carried already.
    late, early = make_articles(session, "Late", "Early", now=NOW)
    session.expunge(late)
    session.execute(text("DELETE FROM articles WHERE id = :id"), {"id": late.id})
    assert carried(session, made(NOW)) == [early.title]

    session.merge(late)
    session.flush()

    assert late.id < early.id
    assert carried(session, made(LATER)) == ["Late"]


def test_the_database_refuses_to_carry_an_article_twice(
    session: Session, edition: Edition, made: Callable[[datetime], Digest]
) -> None:
    (article,) = make_articles(session, "One", now=NOW)
    made(NOW)
    make_articles(session, "Two", now=NOW)
    second = made(LATER)

    again = insert(DigestArticle).values(digest_id=second.id, edition_id=edition.id, article_id=article.id, position=9)
    with session.begin_nested() as savepoint:
        with pytest.raises(IntegrityError):
            session.execute(again)
        savepoint.rollback()


def test_an_edition_made_later_starts_with_what_comes_later(
    session: Session, edition: Edition, made: Callable[[datetime], Digest]
) -> None:
    edition.carries_since = NOW
    make_articles(session, "Before", now=NOW)
    make_articles(session, "After", now=NOW + timedelta(seconds=1))

    assert carried(session, made(LATER)) == ["After"]


def test_other_newsletters_keep_their_articles(session: Session, edition: Edition, press: Press) -> None:
    newsletters.add(session, "ports", title="Ports", now=NOW)
    make_articles(session, "Ports only", now=NOW, slug="ports")

    assert publish(session, edition, press=press, now=NOW) == NothingNew()
    assert owed(session) == []


def test_only_confirmed_readers_of_the_newsletter_are_owed_an_issue(
    session: Session, edition: Edition, made: Callable[[datetime], Digest]
) -> None:
    newsletters.add(session, "ports", title="Ports", now=NOW)
    make_reader(session, "ada@example.org", now=NOW)
    make_reader(session, "ports@example.org", now=NOW, slug="ports")
    left = make_reader(session, "left@example.org", now=NOW)
    subscriptions.leave(session, left.id, edition.newsletter_id, now=NOW)
    make_reader(session, "unproved@example.org", now=NOW).confirmed_at = None
    pending = make_reader(session, "pending@example.org", now=NOW)
    session.execute(
        text("UPDATE subscriptions SET status = :status WHERE subscriber_id = :id"),
        {"status": SubscriptionStatus.UNCONFIRMED.value, "id": pending.id},
    )
    make_articles(session, "One", now=NOW)
    made(NOW)
    make_reader(session, "joined-after@example.org", now=LATER)

    assert [delivery.recipient for delivery in owed(session)] == ["ada@example.org"]


def test_each_reader_is_owed_one_message_with_an_id_of_its_own(
    session: Session, made: Callable[[datetime], Digest], press: Press
) -> None:
    readers = [make_reader(session, f"reader{number}@example.org", now=NOW) for number in range(40)]
    make_articles(session, "One", now=NOW)
    digest = made(NOW)

    rows = owed(session)
    assert [row.key for row in rows] == [f"digest:{digest.id}:{reader.id}" for reader in readers]
    assert {(row.kind, row.lane, row.status, row.subject_id) for row in rows} == {
        ("digest", Lane.BULK, Status.PENDING, str(digest.id))
    }
    assert {(row.attempts, row.resends, row.due_at, row.created_at, row.finished_at) for row in rows} == {
        (0, 0, NOW, NOW, None)
    }
    assert len({row.message_id for row in rows}) == 40
    assert all(re.fullmatch(rf"<[0-9a-f]{{32}}@{re.escape(press.message_domain)}>", row.message_id) for row in rows)


def test_an_issue_without_readers_is_made_all_the_same(session: Session, edition: Edition, press: Press) -> None:
    make_articles(session, "One", "Two", now=NOW)

    result = publish(session, edition, press=press, now=NOW)

    assert isinstance(result, Published)
    assert (result.articles, result.skipped, result.recipients) == (2, 0, 0)


def test_an_issue_stays_as_it_was_made(session: Session, made: Callable[[datetime], Digest]) -> None:
    (article,) = make_articles(session, "One", now=NOW)
    digest = made(NOW)
    before = (digest.subject, digest.text_body, digest.html_body)

    article.title, article.body_text, article.body_html = "Changed", "Changed", "<p>Changed</p>"
    session.flush()
    session.refresh(digest)

    assert (digest.subject, digest.text_body, digest.html_body) == before
    assert "Ports get £40 million—twice last year’s sum." in digest.text_body
    assert "“We have waited,” said" in digest.html_body


def test_public_ids_cannot_be_guessed(session: Session, made: Callable[[datetime], Digest]) -> None:
    ids = set()
    for number in range(5):
        make_articles(session, f"Article {number}", now=NOW)
        ids.add(made(NOW).public_id)

    assert len(ids) == 5
    assert all(len(public_id) == 24 for public_id in ids)


def test_an_article_that_cannot_be_rendered_is_left_out_and_the_others_go(
    session: Session, edition: Edition, press: Press
) -> None:
    good, poisoned = make_articles(session, "Good", "Poisoned", now=NOW)
    session.expunge(poisoned)
    poisoned.title = "Half a character: \ud83d"

    issue = render_issue(press.composer, edition, [poisoned, good], heading=HEADING)

    assert issue.articles == [good]
    assert "Half a character" not in issue.mail.text
    assert "Half a character" not in issue.page
    assert issue.mail.subject.isprintable()


def test_when_nothing_renders_no_issue_is_made_of_nothing(session: Session, edition: Edition, press: Press) -> None:
    (poisoned,) = make_articles(session, "Poisoned", now=NOW)
    session.expunge(poisoned)
    poisoned.title = "Half a character: \ud83d"

    with pytest.raises(NothingRenders) as caught:
        render_issue(press.composer, edition, [poisoned], heading=HEADING)

    assert caught.value.article_ids == [poisoned.id]


def test_a_damaged_row_does_not_stop_the_issue(session: Session, edition: Edition, press: Press) -> None:
    if session.get_bind().dialect.name != "sqlite":
        pytest.skip("PostgreSQL lets no such row in")
    _, damaged = make_articles(session, "Good", "Damaged", now=NOW)
    session.execute(text("UPDATE articles SET body_html = x'ff' WHERE id = :id"), {"id": damaged.id})
    session.expire_all()

    result = publish(session, edition, press=press, now=NOW)

    assert isinstance(result, Published)
    assert (result.articles, result.skipped) == (1, 1)
    assert [article.title for article in editions.new_articles(session, edition)] == ["Damaged"]
