"""How long a mail may be, measured on the octets that Gmail counts; and the web version, which has all of it."""

import quopri
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from email import message_from_bytes

import pytest
from sqlalchemy.orm import Session

from newsletter_svc.articles import store
from newsletter_svc.articles.drafts import ArticleDraft
from newsletter_svc.articles.models import Article
from newsletter_svc.db import Database
from newsletter_svc.digests import editions, fitting, preview
from newsletter_svc.digests.issues import Press
from newsletter_svc.digests.models import Edition
from newsletter_svc.digests.preview import Format
from newsletter_svc.digests.rendering import Heading, RenderedIssue, render_issue
from newsletter_svc.mail import mime
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import newsletters
from tests.factories import DRAFT, PUBLIC_URL, make_press

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
WEB_URL = "https://news.example/digests/abc"
HEADING = Heading("Briefing", date(2026, 11, 24), web_url=WEB_URL)
PARAGRAPH = "The ports get £40 million—twice last year’s sum, «said» one official. " * 6


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


def articles(session: Session, count: int, *, draft: ArticleDraft = DRAFT) -> list[Article]:
    drafts = [replace(draft, title=f"{draft.title} {number}") for number in range(1, count + 1)]
    newsletter_id = newsletters.get(session, "briefing").id
    stored = store.add(session, drafts, newsletter_id=newsletter_id, base_url=PUBLIC_URL, now=NOW)
    return [each.article for each in stored]


def rendered(press: Press, edition: Edition, found: list[Article]) -> RenderedIssue:
    return render_issue(press.composer, edition, found, heading=HEADING)


def assert_fits(issue: RenderedIssue) -> None:
    html = fitting.filled(issue.mail.html)
    assert len(html.encode()) < 100_000
    assert len(mime.quoted_printable(html)) < 102_400


def whole(issue: RenderedIssue) -> int:
    """How many articles the mail has in full."""
    return issue.mail.html.count("«said»") // PARAGRAPH.count("«said»")


LONG = ArticleDraft(title="Long", body="\n\n".join([PARAGRAPH] * 8), summary="In short.")


def test_an_issue_that_is_short_enough_is_not_shortened(session: Session, edition: Edition, press: Press) -> None:
    issue = rendered(press, edition, articles(session, 6))

    assert_fits(issue)
    assert "more in your browser" not in issue.mail.html
    assert f"{WEB_URL}#" not in issue.mail.html


def test_forty_articles_that_can_be_read_nowhere_else_are_shortened_and_link_to_the_web_version(
    session: Session, edition: Edition, press: Press
) -> None:
    issue = rendered(press, edition, articles(session, 40, draft=LONG))

    assert_fits(issue)
    assert whole(issue) == 8  # The paragraphs of the lead alone.
    for number in range(2, 41):
        assert f"Long {number}<" in issue.mail.html
        assert f'href="{WEB_URL}#article-{number}"' in issue.mail.html
        assert f"\n{WEB_URL}#article-{number}\n" in issue.mail.text


def test_the_web_version_has_all_of_it_and_every_place_that_a_mail_links_to(
    session: Session, edition: Edition, press: Press
) -> None:
    issue = rendered(press, edition, articles(session, 40, draft=LONG))

    assert issue.page.count("«said»") == 40 * 8 * PARAGRAPH.count("«said»")
    places = re.findall(r'id="(article-\d+)"', issue.page)
    assert places == [f"article-{number}" for number in range(1, 41)]
    assert set(re.findall(re.escape(WEB_URL) + r"#([\w-]+)", issue.mail.html)) <= set(places)


def test_a_lead_that_is_too_long_by_itself_becomes_an_excerpt(session: Session, edition: Edition, press: Press) -> None:
    issue = rendered(
        press, edition, articles(session, 1, draft=replace(LONG, body=PARAGRAPH + "\n\n" + "word " * 30_000))
    )

    assert_fits(issue)
    assert f'href="{WEB_URL}#article-1"' in issue.mail.html
    assert "In short." in issue.mail.html


def test_the_encoded_octets_count_where_the_plain_ones_would_do(
    session: Session, edition: Edition, press: Press
) -> None:
    # Two octets a letter in UTF-8, six in quoted-printable.
    issue = rendered(press, edition, articles(session, 1, draft=replace(LONG, body="Слово " * 4_500)))

    assert_fits(issue)
    assert f'href="{WEB_URL}#article-1"' in issue.mail.html


def test_titles_without_end_are_counted_instead(session: Session, edition: Edition, press: Press) -> None:
    draft = replace(LONG, title="Заголовок " * 28, body="Short.", url="/articles/a")
    drafts = [replace(draft, url=f"/articles/{number}") for number in range(300)]
    newsletter_id = newsletters.get(session, "briefing").id
    stored = store.add(session, drafts, newsletter_id=newsletter_id, base_url=PUBLIC_URL, now=NOW)
    issue = rendered(press, edition, [each.article for each in stored])

    assert_fits(issue)
    left_out = re.search(r"(\d+) more in your browser", issue.mail.html)
    assert left_out is not None
    assert int(left_out[1]) + issue.mail.html.count("<li") + 5 >= 290
    assert f"{left_out[1]} more in your browser:\n\n{WEB_URL}\n" in issue.mail.text


def test_every_reader_gets_less_than_what_was_measured(session: Session, edition: Edition, press: Press) -> None:
    articles(session, 40, draft=LONG)
    newsletter = newsletters.get(session, "briefing")
    issue = preview.upcoming(session, newsletter, tz="Europe/London", press=press, now=NOW)
    assert issue is not None

    raw = preview.show(issue, Format.EML, press=press, now=NOW)

    part = message_from_bytes(raw).get_payload()[1]  # type: ignore[index]
    encoded = str(part.get_payload())  # type: ignore[union-attr]
    assert len(encoded) < 102_400
    assert len(quopri.decodestring(encoded)) < 100_000


def test_the_address_in_the_browser_is_the_same_for_everybody(session: Session, edition: Edition, press: Press) -> None:
    issue = rendered(press, edition, articles(session, 2))

    assert f'href="{WEB_URL}"' in issue.mail.html
    assert f"\n{WEB_URL}\n" in issue.mail.text
    assert WEB_URL not in issue.page


def test_the_web_version_has_nothing_of_any_reader(session: Session, edition: Edition, press: Press) -> None:
    issue = rendered(press, edition, articles(session, 2))

    assert "nsubscribe" not in issue.page
    assert "\ufdd0" not in issue.page
    assert "<title>Briefing: " in issue.page
    assert press.composer.publication.postal_address in issue.page
