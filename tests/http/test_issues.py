"""Issues in the browser: the web version, which has no power; the archive and its feed, by setting."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from xml.etree import ElementTree as ET

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select

from newsletter_svc.app import create_app
from newsletter_svc.clock import utcnow
from newsletter_svc.delivery import mailings
from newsletter_svc.digests.content import KIND
from newsletter_svc.digests.models import Digest, WebVersion
from newsletter_svc.digests.runs import send_now
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import newsletters
from newsletter_svc.web.state import EXTENSION
from tests.factories import make_articles, make_reader
from tests.inbox import Inbox

ATOM = "{http://www.w3.org/2005/Atom}"
NOW = utcnow()


def publish(parts: Parts, *titles: str, slug: str = "briefing", now: datetime = NOW) -> str:
    """Make an issue; return its name in addresses."""
    with parts.database.transaction() as session:
        make_articles(session, *titles, now=now, slug=slug)
        newsletter = newsletters.get(session, slug)
        run = send_now(session, newsletter, tz="Europe/London", press=parts.press, now=now)
        return session.get_one(Digest, run.digest_id).public_id


@pytest.fixture
def open_client(settings: Settings) -> Iterator[FlaskClient]:
    """The service with ARCHIVE on."""
    app = create_app(replace(settings, archive=True))
    yield app.test_client()
    app.extensions[EXTENSION].database.dispose()


def test_the_link_in_the_mail_leads_to_the_issue(parts: Parts, client: FlaskClient, inbox: Inbox) -> None:
    with parts.database.transaction() as session:
        make_reader(session, "ada@example.org", now=NOW)
    public_id = publish(parts, "The “Quiet” Budget", "Ports")

    (mail,) = inbox.all()
    answer = client.get(f"/digests/{public_id}")

    assert parts.links.digest(public_id) in mail.html
    assert parts.links.digest(public_id) in mail.text.split("\n")
    assert answer.status_code == 200
    assert answer.mimetype == "text/html"
    assert answer.text.count("twice last year’s sum") == 2
    unsubscribe_url = re.search(r"https?://\S+/unsubscribe/\S+", mail.text)
    assert unsubscribe_url is not None
    assert "/unsubscribe/" not in answer.text


def test_nobody_finds_it_and_it_can_do_nothing(parts: Parts, client: FlaskClient) -> None:
    answer = client.get(f"/digests/{publish(parts, 'One')}")

    assert answer.headers["X-Robots-Tag"] == "noindex"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "form-action 'none'" in policy
    assert "Set-Cookie" not in answer.headers
    assert not re.search(r"<(form|script|iframe|base)\b", answer.text)


def test_it_stays_as_it_was_made(parts: Parts, client: FlaskClient) -> None:
    public_id = publish(parts, "One")
    before = client.get(f"/digests/{public_id}")
    with parts.database.transaction() as session:
        newsletters.get(session, "briefing").title = "Another title"
    after = client.get(f"/digests/{public_id}")
    again = client.get(f"/digests/{public_id}", headers={"If-None-Match": before.headers["ETag"]})

    assert before.data == after.data
    assert again.status_code == 304


def test_an_issue_of_before_is_shown_as_its_mail_was_without_the_readers_links(
    parts: Parts, client: FlaskClient
) -> None:
    public_id = publish(parts, "One")
    with parts.database.transaction() as session:
        session.execute(delete(WebVersion))

    answer = client.get(f"/digests/{public_id}")

    assert answer.status_code == 200
    assert "One" in answer.text
    assert "\ufdd0" not in answer.text
    assert "/unsubscribe/" not in answer.text


@pytest.mark.parametrize("name", ["x" * 24, "preview", "%00", "x" * 500, "..", "%F0%9F%98%80"])
def test_what_there_is_not_is_not_found(client: FlaskClient, name: str) -> None:
    assert client.get(f"/digests/{name}").status_code == 404


@pytest.mark.parametrize("path", ["/digests/", "/digests/feed.atom", "/digests/?page=1"])
def test_without_the_setting_there_is_no_archive(parts: Parts, client: FlaskClient, path: str) -> None:
    publish(parts, "One")
    assert client.get(path).status_code == 404


def test_the_archive_lists_issues_the_newest_first_on_pages(parts: Parts, open_client: FlaskClient) -> None:
    ids = [publish(parts, f"Title {number}", now=NOW + timedelta(minutes=number)) for number in range(23)]

    first, second = open_client.get("/digests/"), open_client.get("/digests/?page=2")

    listed = re.findall(r'href="[^"]*/digests/([\w-]{24})"', first.text + second.text)
    assert listed == ids[::-1]
    assert 'page=2" rel="next"' in first.text
    assert 'rel="next"' not in second.text
    assert '/digests/" rel="prev"' in second.text
    assert open_client.get("/digests/?page=3").status_code == 404


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "page=²", "page=99999999999", "newsletter=nothing"])
def test_pages_and_newsletters_that_there_are_not_are_not_found(open_client: FlaskClient, query: str) -> None:
    assert open_client.get(f"/digests/?{query}").status_code == 404
    assert open_client.get(f"/digests/feed.atom?{query}").status_code == 404


def test_the_address_without_its_last_slash_shows_the_same_and_leads_nowhere_else(open_client: FlaskClient) -> None:
    answer = open_client.get("/digests", headers={"Host": "elsewhere.example"})
    assert answer.status_code == 200
    assert "elsewhere.example" not in answer.text


def test_titles_in_another_script_keep_their_direction_in_the_archive(parts: Parts, open_client: FlaskClient) -> None:
    publish(parts, "Ports!", "نص!", "Grain?", "شيء", "Fifth")

    words = open_client.get("/digests/").text

    assert "<bdi>Briefing: Ports!</bdi>" in words
    assert "<bdi>نص!</bdi> · <bdi>Grain?</bdi> · <bdi>شيء</bdi> · 1 more" in words


def test_an_empty_archive_says_so(open_client: FlaskClient) -> None:
    assert "There is none yet." in open_client.get("/digests/").text
    assert ET.fromstring(open_client.get("/digests/feed.atom").data).findall(f"{ATOM}entry") == []


def test_one_newsletter_can_be_looked_at_by_itself(parts: Parts, open_client: FlaskClient) -> None:
    with parts.database.transaction() as session:
        newsletters.add(session, "ports", title="Ports & Rails", now=NOW)
    publish(parts, "Of the briefing")
    publish(parts, "Of the ports", slug="ports")

    page = open_client.get("/digests/?newsletter=ports").text
    feed = ET.fromstring(open_client.get("/digests/feed.atom?newsletter=ports").data)

    assert "Of the ports" in page
    assert "Of the briefing" not in page
    assert feed.findtext(f"{ATOM}title") == "The Global Diplomat: Ports & Rails"
    assert [entry.findtext(f"{ATOM}title") for entry in feed.iter(f"{ATOM}entry")] == ["Ports & Rails: Of the ports"]


def test_the_feed_is_atom_with_the_issues_addresses(parts: Parts, open_client: FlaskClient) -> None:
    public_id = publish(parts, "The “Quiet” <Budget> & 😀", "Second")

    answer = open_client.get("/digests/feed.atom")

    assert answer.content_type == "application/atom+xml; charset=utf-8"
    feed = ET.fromstring(answer.data)
    assert feed.get("{http://www.w3.org/XML/1998/namespace}lang") == "en-GB"
    (entry,) = feed.findall(f"{ATOM}entry")
    assert entry.findtext(f"{ATOM}id") == parts.links.digest(public_id)
    assert entry.findtext(f"{ATOM}title") == "Briefing: The “Quiet” <Budget> & 😀"
    assert entry.findtext(f"{ATOM}summary") == "The “Quiet” <Budget> & 😀\nSecond"
    assert datetime.fromisoformat(entry.findtext(f"{ATOM}updated") or "").tzinfo is not None
    assert feed.findtext(f"{ATOM}id") == parts.links.feed()
    assert feed.findtext(f"{ATOM}author/{ATOM}name") == "The Global Diplomat"


def test_the_pages_of_the_feed_lead_to_each_other(parts: Parts, open_client: FlaskClient) -> None:
    ids = [publish(parts, f"Title {number}", now=NOW + timedelta(minutes=number)) for number in range(23)]
    found, path = [], "/digests/feed.atom"
    while path:
        feed = ET.fromstring(open_client.get(path).data)
        found += [entry.findtext(f"{ATOM}id") for entry in feed.iter(f"{ATOM}entry")]
        following = feed.find(f"{ATOM}link[@rel='next']")
        path = "" if following is None else following.attrib["href"].removeprefix(parts.settings.public_url)
    assert found == [parts.links.digest(public_id) for public_id in reversed(ids)]


def test_an_issue_that_was_cancelled_is_not_listed_and_its_readers_can_still_read_it(
    parts: Parts, open_client: FlaskClient
) -> None:
    public_id = publish(parts, "Withdrawn")
    with parts.database.transaction() as session:
        digest_id = session.scalars(select(Digest.id).where(Digest.public_id == public_id)).one()
        mailing = mailings.find(session, kind=KIND, subject_id=str(digest_id))
        assert mailing is not None
        mailings.cancel(session, mailing.id)

    assert "Withdrawn" not in open_client.get("/digests/").text
    assert open_client.get(f"/digests/{public_id}").status_code == 200


def test_nothing_of_it_is_about_a_reader_so_it_may_be_kept(parts: Parts, open_client: FlaskClient, app: Flask) -> None:
    public_id = publish(parts, "One")
    for path in (f"/digests/{public_id}", "/digests/", "/digests/feed.atom"):
        assert open_client.get(path).headers["Cache-Control"] == "public, max-age=300"
