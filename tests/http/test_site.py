"""The demo site as a reader without JavaScript meets it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from newsletter_svc import demo
from newsletter_svc.app import create_app
from newsletter_svc.articles import importing, store
from newsletter_svc.clock import utcnow
from newsletter_svc.delivery.models import Delivery
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import newsletters
from tests.inbox import Inbox
from tests.markup import assert_sound


@pytest.fixture
def articles(parts: Parts) -> None:
    """The sample articles, as the demo begins."""
    with parts.database.transaction() as session:
        newsletter = newsletters.get(session, newsletters.DEFAULT_SLUG)
        reading = importing.read_files(demo.sample_files())
        assert not reading.problems
        store.add(
            session,
            reading.drafts,
            newsletter_id=newsletter.id,
            base_url=parts.settings.public_url,
            now=utcnow(),
        )


def subscribe(client: FlaskClient, inbox: Inbox, email: str = "ada@example.org") -> None:
    client.post("/subscribe", json={"email": email})
    assert client.post(inbox.newest().link, json={}).status_code == 200


def csrf_of(html: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', html)
    assert found is not None
    return found.group(1)


def bar_of(html: str) -> str | None:
    found = re.search(r'<div class="notice [^>]*>\s*<p>\s*(.*?)\s*</p>', html, re.DOTALL)
    return found.group(1) if found else None


@pytest.mark.usefixtures("articles")
@pytest.mark.parametrize("path", ["/", "/articles/mountain-pass", "/sign-in", "/sign-up"])
def test_every_page_is_sound_html_without_anything_inline(client: FlaskClient, path: str) -> None:
    page = client.get(path)
    assert page.status_code == 200
    assert_sound(page.text)
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.usefixtures("articles")
def test_the_front_page_leads_with_the_newest_article_and_shows_the_others(client: FlaskClient) -> None:
    page = client.get("/").text
    titles = [
        "The port that wants to be a corridor",
        "Four parties, one budget, and a calendar that decides",
        "Crowded sky: twelve states agree on who moves first",
    ]
    assert [page.index(f">{title}</a>") for title in titles] == sorted(page.index(f">{title}</a>") for title in titles)
    assert "Lights in the strait" not in page


def test_a_front_page_without_articles_says_how_they_come(client: FlaskClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "newsletter articles add FILE" in page.text


@pytest.mark.usefixtures("articles")
def test_an_article_is_shown_whole(client: FlaskClient) -> None:
    page = client.get("/articles/port-corridor").text
    assert "“Nobody planned that. It grew.”" in page
    assert "£310 million" in page
    assert "€1.4 billion" in page
    assert "<blockquote>" in page
    assert 'alt="Three gantry cranes at a quay' in page


@pytest.mark.usefixtures("articles")
@pytest.mark.parametrize("path", ["/articles/no-such-story", "/articles/..%2f..%2fetc%2fpasswd", "/media/nothing.jpg"])
def test_what_is_not_there_is_404(client: FlaskClient, path: str) -> None:
    page = client.get(path)
    assert page.status_code == 404
    assert_sound(page.text)


@pytest.mark.parametrize("path", [*demo.sample_files(), *demo.held_back_files()], ids=lambda path: path.stem)
def test_every_sample_article_can_be_read_and_has_a_picture_that_is_served(client: FlaskClient, path: Path) -> None:
    reading = importing.read_files([path])
    assert not reading.problems
    (draft,) = reading.drafts
    assert draft.image is not None
    assert draft.image_alt
    with client.get(draft.image) as picture:
        assert picture.status_code == 200
        assert picture.mimetype == "image/jpeg"
        assert picture.headers["Cache-Control"] != "no-store"
        assert len(picture.data) < 120_000


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("action=subscribe&success=true", "You&#39;ve successfully subscribed to The Global Diplomat."),
        ("action=signup&success=true", "Great! You’ve successfully signed up."),
        ("action=signin&success=true", "Welcome back! You&#39;ve successfully signed in."),
        ("stripe=success", "Success! Check your email for magic link to sign-in."),
        ("stripe=billing-update-success", "Success! Your billing info has been updated."),
        ("stripe=billing-update-cancel", "Your billing was not updated."),
    ],
)
def test_the_bar_shows_the_sentence_of_the_query(client: FlaskClient, query: str, sentence: str) -> None:
    assert bar_of(client.get(f"/?{query}").text) == sentence


@pytest.mark.parametrize("query", ["", "action=signin", "success=true", "action=signin&success=maybe", "stripe=<b>"])
def test_the_bar_is_silent_about_everything_else(client: FlaskClient, query: str) -> None:
    assert bar_of(client.get(f"/?{query}").text) is None


@pytest.mark.parametrize(
    ("action", "door"), [("subscribe", "/#subscribe"), ("signup", "/sign-up"), ("signin", "/sign-in")]
)
def test_a_link_that_failed_greets_nobody_and_offers_a_new_one(client: FlaskClient, action: str, door: str) -> None:
    bar = bar_of(client.get(f"/?action={action}&success=false").text)
    assert bar is not None
    assert "This link no longer works." in bar
    assert f'<a href="{door}">Send me a new one</a>' in bar
    assert "Welcome" not in bar


@pytest.mark.parametrize(("page", "door"), [("/", "/subscribe"), ("/sign-in", "/signin"), ("/sign-up", "/signup")])
def test_the_plain_forms_reach_their_doors(client: FlaskClient, page: str, door: str) -> None:
    html = client.get(page).text
    assert f'method="post" action="{door}"' in html
    assert 'name="website"' in html
    answer = client.post(door, data={"email": "ada@example.org", "redirect": "/", "website": ""})
    assert answer.status_code == 202
    assert_sound(answer.text)
    assert "Success! Check your email for magic link to sign-in." in answer.text
    assert 'href="/mailbox/"' in answer.text


def test_the_code_signs_in_without_javascript(client: FlaskClient, inbox: Inbox) -> None:
    subscribe(client, inbox)
    client.delete("/session", json={})
    page = client.post("/signin", data={"email": "ada@example.org", "redirect": "/sign-in"}).text
    challenge = re.search(r'name="challenge" value="([^"]+)"', page)
    assert challenge is not None
    answer = client.post("/signin/code", data={"challenge": challenge.group(1), "code": inbox.newest().code})
    assert answer.status_code == 303
    assert answer.headers["Location"] == "http://127.0.0.1:8000/sign-in?action=signin&success=true"
    assert "ada@example.org" in client.get("/").text


def test_a_subscriber_is_greeted_and_told_so(client: FlaskClient, inbox: Inbox) -> None:
    subscribe(client, inbox)
    page = client.get("/").text
    assert "You receive the briefing" in page
    assert "ada@example.org" in page
    assert ">Sign in</a>" not in page
    assert_sound(page)


def test_signing_out_works_without_javascript(client: FlaskClient, inbox: Inbox) -> None:
    subscribe(client, inbox)
    answer = client.post("/sign-out", data={"csrf": csrf_of(client.get("/").text)})
    assert answer.status_code == 303
    assert client.get("/session").json == {"signed_in": False, "subscriber": None}
    assert ">Sign in</a>" in client.get("/").text


def test_another_site_cannot_sign_a_reader_out(client: FlaskClient, inbox: Inbox) -> None:
    subscribe(client, inbox)
    assert client.post("/sign-out", headers={"Origin": "https://evil.example"}).status_code == 403
    assert client.get("/session").json["signed_in"] is True  # type: ignore[index]


def test_a_name_is_text_and_never_markup(client: FlaskClient, inbox: Inbox) -> None:
    client.post("/subscribe", json={"email": "ada@example.org", "name": "<b>Ada</b> {{7*7}}"})
    client.post(inbox.newest().link, json={})
    page = client.get("/").text
    assert "<b>Ada</b>" not in page
    assert "49" not in re.sub(r'value="[0-9a-f]+"', "", page)


@pytest.mark.usefixtures("articles")
def test_the_next_issue_reaches_who_has_just_subscribed(client: FlaskClient, inbox: Inbox) -> None:
    subscribe(client, inbox)
    answer = client.post("/demo/next-issue", data={"csrf": csrf_of(client.get("/").text)})
    assert answer.headers["Location"] == "/mailbox/?issue=sent"
    assert "Lights in the strait: a truce that began with a lamp" in inbox.newest().text
    assert "Lights in the strait" in client.get("/").text


@pytest.mark.usefixtures("articles")
def test_each_press_sends_one_more_article_until_none_is_left(client: FlaskClient, inbox: Inbox, parts: Parts) -> None:
    subscribe(client, inbox)
    csrf = csrf_of(client.get("/").text)
    presses = [client.post("/demo/next-issue", data={"csrf": csrf}).headers["Location"] for _ in range(3)]
    assert presses == ["/mailbox/?issue=sent", "/mailbox/?issue=sent", "/mailbox/?issue=none"]
    with parts.database.reading() as session:
        assert session.query(Delivery).where(Delivery.kind == "digest").count() == 2
    assert "There is nothing new to send" in client.get(presses[-1]).text


def test_another_site_cannot_send_an_issue(client: FlaskClient) -> None:
    assert client.post("/demo/next-issue", headers={"Origin": "https://evil.example"}).status_code == 403


def test_production_has_no_demo_site(settings: Settings) -> None:
    production = replace(settings, env="production", mail_server="127.0.0.1")
    client = create_app(production).test_client()
    for path in ("/", "/articles/mountain-pass", "/sign-in", "/media/mountain-pass.jpg"):
        assert client.get(path).status_code == 404
    assert client.post("/demo/next-issue").status_code == 404
