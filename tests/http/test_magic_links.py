"""Magic links: looking changes nothing, pressing works once, and nothing forged, foreign or stale gets anybody in."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text, update
from werkzeug.test import TestResponse

from newsletter_svc.app import create_app
from newsletter_svc.auth.models import BrowserSession, MagicLink
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Base, Database
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import newsletters
from newsletter_svc.tokens import Keyring, Purpose
from newsletter_svc.web.state import EXTENSION
from tests.doors import (
    AS_PROGRAM,
    DOORS,
    FOREIGN,
    ask,
    csrf_of,
    is_signed_in,
    link_for,
    session_cookies,
    sign_in,
    stranger_to,
)
from tests.factories import make_reader
from tests.inbox import Inbox

ADA = "ada@example.org"


def everything(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables."""
    with database.reading() as session:
        return {
            table.name: [tuple(row) for row in session.execute(select(table).order_by(*table.primary_key))]
            for table in Base.metadata.sorted_tables
        }


def age(database: Database, by: timedelta) -> None:
    """Let time pass: every moment of every link lies further back."""
    with database.transaction() as session:
        for link in session.scalars(select(MagicLink)):
            link.created_at -= by
            link.expires_at -= by
            link.used_at = link.used_at - by if link.used_at else None


def press(client: FlaskClient, link: str, **headers: str) -> TestResponse:
    """Press the button as a browser does that has looked at the page before."""
    page = client.get(link)
    return client.post(link, data={"csrf": csrf_of(page)}, headers={"Origin": "null", "Accept": "text/html", **headers})


# Looking


@pytest.mark.parametrize("door", DOORS)
def test_looking_at_a_link_changes_nothing(client: FlaskClient, parts: Parts, inbox: Inbox, door: str) -> None:
    link = link_for(client, inbox, door)
    before = everything(parts.database)
    for browser in (client, stranger_to(client)):
        for _ in range(10):
            assert browser.get(link).status_code == 200
            assert browser.head(link).status_code == 200
            assert browser.get(link, headers=AS_PROGRAM).status_code == 200
    assert everything(parts.database) == before
    assert client.post(link, headers=AS_PROGRAM).status_code == 200


def test_the_page_is_a_page_also_for_who_asks_for_json(client: FlaskClient, inbox: Inbox) -> None:
    page = client.get(link_for(client, inbox), headers=AS_PROGRAM)
    assert (page.status_code, page.mimetype) == (200, "text/html")


def test_head_answers_as_get_does_without_a_body(client: FlaskClient, inbox: Inbox) -> None:
    link = link_for(client, inbox)
    shown, asked = stranger_to(client).get(link), stranger_to(client).head(link)
    assert asked.data == b""
    assert [name for name, _ in asked.headers] == [name for name, _ in shown.headers]


@pytest.fixture(params=["good", "used", "expired", "unknown"])
def any_link(request: pytest.FixtureRequest, client: FlaskClient, parts: Parts, inbox: Inbox) -> str:
    link = link_for(client, inbox)
    if request.param == "used":
        stranger_to(client).post(link, headers=AS_PROGRAM)
        age(parts.database, timedelta(minutes=11))
    if request.param == "expired":
        age(parts.database, timedelta(minutes=21))
    return "/magic-link/nonsense" if request.param == "unknown" else link


def test_every_page_of_a_link_carries_the_headers_that_protect_it(client: FlaskClient, any_link: str) -> None:
    for answer in (client.get(any_link), client.head(any_link), stranger_to(client).get(any_link)):
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Robots-Tag"] == "noindex"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        policy = answer.headers["Content-Security-Policy"]
        rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
        assert rules["default-src"] == "'none'"
        assert rules["style-src"] == "'self'"
        assert rules["script-src"] == "'self'"
        assert rules["form-action"].split() == ["'self'", "http://127.0.0.1:8000"]
        assert rules["frame-ancestors"] == "'none'"
        assert rules["base-uri"] == "'none'"


def test_the_form_may_lead_to_every_origin_of_the_frontend(settings: Settings) -> None:
    origins = ("https://www.example.org", "https://m.example.org")
    app = create_app(replace(settings, frontend_url=origins[0], frontend_origins=origins))
    policy = app.test_client().get("/magic-link/nonsense").headers["Content-Security-Policy"]
    assert f"form-action 'self' {origins[0]} {origins[1]};" in policy
    dispose(app)


def test_a_page_loads_nothing_from_elsewhere(client: FlaskClient, any_link: str) -> None:
    loaded = re.findall(r'(?:src|<link[^>]* href)="([^"]+)"', client.get(any_link).text)
    assert loaded
    assert all(address.startswith("/static/") for address in loaded)


# Once


@pytest.mark.parametrize("door", DOORS)
def test_a_link_works_once(client: FlaskClient, inbox: Inbox, door: str) -> None:
    link = link_for(client, inbox, door)
    first = client.post(link, headers=AS_PROGRAM)
    assert first.status_code == 200
    assert len(session_cookies(first)) == 1
    for _ in range(3):
        second = stranger_to(client).post(link, headers=AS_PROGRAM)
        assert second.status_code == 410
        assert second.mimetype == "application/problem+json"
        assert session_cookies(second) == []


def test_a_second_browser_gets_a_page_and_no_cookie(client: FlaskClient, inbox: Inbox) -> None:
    link = link_for(client, inbox)
    stranger = stranger_to(client)
    csrf = csrf_of(stranger.get(link))
    client.post(link)
    answer = stranger.post(link, data={"csrf": csrf}, headers={"Origin": "null"})
    assert (answer.status_code, answer.mimetype) == (410, "text/html")
    assert session_cookies(answer) == []
    assert "It has been used already." in answer.text


def test_a_double_click_gives_the_same_session_again(client: FlaskClient, inbox: Inbox) -> None:
    link = link_for(client, inbox)
    first, second = client.post(link, headers=AS_PROGRAM), client.post(link, headers=AS_PROGRAM)
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json == second.json
    # The dates beside it differ when a second passes in between.
    secrets = [[cookie.partition(";")[0] for cookie in session_cookies(answer)] for answer in (first, second)]
    assert secrets[0] == secrets[1] != []


def test_who_signed_out_is_not_signed_in_again_by_the_same_link(client: FlaskClient, inbox: Inbox) -> None:
    link = link_for(client, inbox)
    client.post(link)
    client.delete("/session", headers={"Content-Type": "application/json"})
    answer = client.post(link, headers=AS_PROGRAM)
    assert answer.status_code == 410
    assert session_cookies(answer) == []


def test_a_link_through_which_a_scanner_went_still_lets_the_asking_browser_in(
    client: FlaskClient, parts: Parts, inbox: Inbox
) -> None:
    link = link_for(client, inbox)
    scanner = stranger_to(client)
    assert press(scanner, link).status_code == 303
    assert is_signed_in(scanner)
    assert client.get(link).status_code == 200
    age(parts.database, timedelta(minutes=9, seconds=50))
    done = client.post(link, headers=AS_PROGRAM)
    assert done.status_code == 200
    assert done.json is not None
    assert done.json["code"] == "signed_up"
    assert is_signed_in(client)
    assert not is_signed_in(scanner)
    assert press_again(scanner, link).status_code == 410


def press_again(client: FlaskClient, link: str) -> TestResponse:
    return client.post(link, headers=AS_PROGRAM)


def test_the_second_chance_ends_after_ten_minutes(client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    link = link_for(client, inbox)
    scanner = stranger_to(client)
    scanner.post(link, headers=AS_PROGRAM)
    age(parts.database, timedelta(minutes=10))
    assert client.get(link).status_code == 410
    assert client.post(link, headers=AS_PROGRAM).status_code == 410
    assert not is_signed_in(client)
    assert is_signed_in(scanner)


def test_the_second_chance_is_the_asking_browsers_alone(client: FlaskClient, inbox: Inbox) -> None:
    link = link_for(client, inbox)
    scanner, other = stranger_to(client), stranger_to(client)
    scanner.post(link, headers=AS_PROGRAM)
    ask(other, "/signin", "bob@example.org")
    assert other.post(link, headers=AS_PROGRAM).status_code == 410
    assert not is_signed_in(other)


def test_a_new_link_leaves_the_older_one_good(client: FlaskClient, inbox: Inbox) -> None:
    links = [link_for(client, inbox), link_for(client, inbox)]
    assert links[0] != links[1]
    for link in links:
        assert stranger_to(client).post(link, headers=AS_PROGRAM).status_code == 200


@pytest.mark.parametrize("presses", [20])
def test_of_many_strangers_who_press_at_once_exactly_one_gets_in(
    client: FlaskClient, parts: Parts, inbox: Inbox, presses: int
) -> None:
    link = link_for(client, inbox, "/signup", newsletters=["briefing"])
    browsers = [stranger_to(client) for _ in range(presses)]
    with ThreadPoolExecutor(presses) as pool:
        answers = list(pool.map(lambda browser: browser.post(link, headers=AS_PROGRAM), browsers))
    assert sorted(answer.status_code for answer in answers) == [200] + [410] * (presses - 1)
    assert sum(is_signed_in(browser) for browser in browsers) == 1
    with parts.database.reading() as session:
        assert len(session.scalars(select(BrowserSession)).all()) == 1


def test_the_asking_browser_that_presses_many_times_at_once_has_one_session(
    client: FlaskClient, parts: Parts, inbox: Inbox
) -> None:
    link = link_for(client, inbox)
    presession = client.get_cookie("presession")
    assert presession is not None
    browsers = [stranger_to(client) for _ in range(10)]
    for browser in browsers:
        browser.set_cookie("presession", presession.value)
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda browser: browser.post(link, headers=AS_PROGRAM), browsers))
    assert [answer.status_code for answer in answers] == [200] * 10
    with parts.database.reading() as session:
        assert len(session.scalars(select(BrowserSession)).all()) == 1


def test_many_links_of_one_reader_pressed_at_once_make_one_subscription(
    client: FlaskClient, parts: Parts, inbox: Inbox
) -> None:
    for _ in range(8):
        ask(client, "/subscribe")
    links = [mail.link for mail in inbox.all()]
    assert len(links) == 8
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda link: stranger_to(client).post(link, headers=AS_PROGRAM), links))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len(everything(parts.database)["subscriptions"]) == 1


# Forged


def variants(link: str) -> Iterator[str]:
    """What is nearly the link: other spellings of the same signature, and damage of every kind."""
    token = link.removeprefix("/magic-link/")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spare = alphabet.index(token[-1]) & ~3
    yield from (token[:-1] + alphabet[spare + bits] for bits in range(4))
    yield from (token + tail for tail in ("=", "==", "!!", "%21%21", "\u200b", "%00", "%0A", ".", "%20", "a", "?x=1"))
    yield from (token[:-count] for count in (1, 2, 10, len(token) // 2))
    for place in range(0, len(token), 7):
        flipped = chr(ord(token[place]) ^ 1)
        yield token[:place] + (flipped if flipped in alphabet else "A") + token[place + 1 :]


def test_no_other_spelling_of_a_used_link_works(client: FlaskClient, inbox: Inbox) -> None:
    link = link_for(client, inbox)
    client.post(link)
    for token in variants(link):
        stranger = stranger_to(client)
        page, answer = stranger.get(f"/magic-link/{token}"), stranger.post(f"/magic-link/{token}", headers=AS_PROGRAM)
        assert (page.status_code, answer.status_code) == (410, 410), ascii(token)
        assert session_cookies(answer) == []


def test_a_link_is_used_up_in_all_its_spellings(client: FlaskClient, inbox: Inbox) -> None:
    link = link_for(client, inbox)
    codes = [stranger_to(client).post(f"/magic-link/{token}").status_code for token in variants(link)]
    assert set(codes) <= {303, 410}
    assert codes.count(303) == 1


FORGED = [
    "x", "..", "%2e%2e", "nonsense", "a.b", "a.b.c", ".", "%00", "%0d%0a", "\u200b", "é", "null", "[]", "{}", "%22%22",
    "WyJ4Il0.c2ln", "%ff%fe", "a" * 2_001, "A" * 1_000_000, "%25", "'%20OR%201=1--", "<script>", "W10.", ".W10",
]  # fmt: skip


@pytest.mark.parametrize("token", FORGED, ids=lambda token: ascii(token)[:20])
def test_a_forged_link_is_always_the_same_refusal(client: FlaskClient, token: str) -> None:
    expected = (410, "This link or code no longer works. Please ask for a new one.")
    answer = client.post(f"/magic-link/{token}", json={})
    assert answer.json is not None
    assert (answer.status_code, answer.json["detail"]) == expected
    for page in (client.get(f"/magic-link/{token}"), client.post(f"/magic-link/{token}")):
        assert (page.status_code, page.mimetype) == (410, "text/html")
        assert "We do not recognise it." in page.text
        assert token not in page.text or len(token) < 10
    assert client.post(f"/magic-link/{token}/renew", json={}).status_code == 410


@pytest.mark.parametrize("path", ["/magic-link", "/magic-link/", "/magic-link/a/b", "/magic-link/%2F%2Fevil.example"])
def test_no_token_at_all_is_not_found(client: FlaskClient, path: str) -> None:
    for answer in (client.get(path, headers=AS_PROGRAM), client.post(path, json={})):
        assert answer.status_code == 404
        assert "evil" not in answer.headers.get("Location", "")


def test_a_token_for_another_purpose_opens_nothing(client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    token = link_for(client, inbox).removeprefix("/magic-link/")
    payload = parts.keyring.read(Purpose.MAGIC_LINK, token)
    for purpose in set(Purpose) - {Purpose.MAGIC_LINK}:
        forged = parts.keyring.issue(purpose, payload)
        assert client.post(f"/magic-link/{forged}", headers=AS_PROGRAM).status_code == 410
    assert not is_signed_in(client)


def test_a_token_says_nothing_about_the_reader(client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    token = link_for(client, inbox, redirect="/secret-page").removeprefix("/magic-link/")
    payload = str(parts.keyring.read(Purpose.MAGIC_LINK, token))
    assert "ada" not in payload
    assert "secret-page" not in payload


def test_a_well_signed_token_with_an_odd_payload_is_refused(client: FlaskClient, parts: Parts) -> None:
    for payload in ([], [1, 2, 3], ["x", "signin", "soon"], {"nonce": "x"}, None, "x", ["x", "signin", 10**20]):
        token = parts.keyring.issue(Purpose.MAGIC_LINK, payload)
        assert client.post(f"/magic-link/{token}", json={}).status_code == 410


def test_the_database_holds_nothing_that_signs_in(client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    link = link_for(client, inbox)
    code = inbox.newest().code
    presession = client.get_cookie("presession")
    client.post(link, headers=AS_PROGRAM)
    session_cookie = client.get_cookie("session")
    assert presession is not None
    assert session_cookie is not None
    [nonce, *_] = parts.keyring.read(Purpose.MAGIC_LINK, link.removeprefix("/magic-link/"))
    rows = str(everything(parts.database))
    for secret in (link.removeprefix("/magic-link/"), nonce, presession.value, session_cookie.value, f"'{code}'"):
        assert secret not in rows


# Keys


OLD, NEW, OTHER = (f"a test key, the {word}, that is long enough" for word in ("old one", "new one", "other one"))


def dispose(app: Flask) -> None:
    app.extensions[EXTENSION].database.dispose()


@pytest.fixture
def asked_before(settings: Settings) -> Iterator[tuple[Flask, str]]:
    """A service with the old key, and the link that it has sent."""
    app = create_app(replace(settings, secret_keys=(OLD,)))
    yield app, link_for(app.test_client(), Inbox(app.extensions[EXTENSION]))
    dispose(app)


@pytest.mark.parametrize(
    ("keys", "status"),
    [((NEW, OLD), 200), ((OLD, NEW), 200), ((OTHER, NEW, OLD), 200), ((NEW,), 410), ((NEW, OTHER), 410)],
)
def test_a_link_outlives_a_rotation_until_its_key_is_retired(
    settings: Settings, asked_before: tuple[Flask, str], keys: tuple[str, ...], status: int
) -> None:
    rotated = create_app(replace(settings, secret_keys=keys))
    client = rotated.test_client()
    answer = client.post(asked_before[1], headers=AS_PROGRAM)
    assert answer.status_code == status
    assert is_signed_in(client) == (status == 200)
    dispose(rotated)


def test_a_link_sent_after_a_rotation_dies_with_the_key_that_it_was_made_with(settings: Settings) -> None:
    before = create_app(replace(settings, secret_keys=(OLD,)))
    asking = before.test_client()
    challenge = ask(asking, "/signin").json["challenge"]  # type: ignore[index]
    during = create_app(replace(settings, secret_keys=(NEW, OLD)))
    mail = Inbox(during.extensions[EXTENSION]).newest()
    after = create_app(replace(settings, secret_keys=(NEW,)))
    client = after.test_client()
    assert client.get(mail.link).status_code == 410
    assert client.post(mail.link, json={}).status_code == 410
    assert client.post("/signin/code", json={"challenge": challenge, "code": mail.code}).status_code == 410
    assert during.test_client().post(mail.link, json={}).status_code == 200
    for app in (before, during, after):
        dispose(app)


def test_a_link_of_another_environment_is_refused(settings: Settings, client: FlaskClient, inbox: Inbox) -> None:
    token = link_for(client, inbox).removeprefix("/magic-link/")
    ours = Keyring(settings.secret_keys, environment=settings.env)
    theirs = Keyring(settings.secret_keys, environment="production")
    forged = theirs.issue(Purpose.MAGIC_LINK, ours.read(Purpose.MAGIC_LINK, token))
    assert client.post(f"/magic-link/{forged}", json={}).status_code == 410


# Time


def test_a_sign_in_link_lives_twenty_minutes(client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    link = link_for(client, inbox)
    age(parts.database, timedelta(minutes=19, seconds=50))
    assert client.get(link).status_code == 200
    age(parts.database, timedelta(seconds=10))
    assert client.get(link).status_code == 410
    assert client.post(link, headers=AS_PROGRAM).status_code == 410
    assert not is_signed_in(client)


def test_a_confirmation_lives_two_days(client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    link = link_for(client, inbox, "/subscribe")
    age(parts.database, timedelta(hours=47, minutes=59))
    assert client.post(link, headers=AS_PROGRAM).status_code == 200


def test_a_link_whose_signer_was_ahead_of_us_is_good(client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    link = link_for(client, inbox)
    age(parts.database, timedelta(seconds=-2))
    assert client.post(link, headers=AS_PROGRAM).status_code == 200


def test_what_is_used_stays_used_when_the_clock_jumps_back(client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    link = link_for(client, inbox)
    client.post(link)
    age(parts.database, timedelta(hours=-1))
    assert stranger_to(client).post(link, headers=AS_PROGRAM).status_code == 410


@pytest.mark.parametrize("door", DOORS)
def test_an_expired_page_sends_a_new_link_that_works(
    client: FlaskClient, parts: Parts, inbox: Inbox, door: str
) -> None:
    link = link_for(client, inbox, door, redirect="/welcome", name="Ada")
    age(parts.database, timedelta(hours=49))
    stranger = stranger_to(client)
    page = stranger.get(link)
    assert page.status_code == 410
    assert "It has expired." in page.text
    asked = stranger.post(f"{link}/renew", data={"csrf": csrf_of(page)}, headers={"Origin": "null"})
    assert asked.status_code == 202
    assert "Success! Check your email for magic link to sign-in." in asked.text
    done = stranger.post(inbox.newest().link, headers={"Accept": "text/html"})
    assert done.status_code == 303
    assert done.headers["Location"].startswith("http://127.0.0.1:8000/welcome?action=")


def test_a_page_from_another_site_sends_no_new_link(client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    link = link_for(client, inbox)
    age(parts.database, timedelta(hours=49))
    for headers in (FOREIGN, {"Origin": "null"}, {}):
        assert client.post(f"{link}/renew", headers=headers).status_code == 403
    assert len(inbox.all()) == 1


def test_a_new_link_for_who_was_subscribed_already_subscribes_to_nothing_else(
    client: FlaskClient, parts: Parts, inbox: Inbox
) -> None:
    with parts.database.transaction() as session:
        newsletters.add(session, "harbour", title="Harbour Notes", now=utcnow())
        make_reader(session, ADA, now=utcnow(), slug="harbour")
    link = link_for(client, inbox, "/subscribe", newsletters=["harbour"])
    age(parts.database, timedelta(hours=49))
    asked = client.post(f"{link}/renew", data={"csrf": csrf_of(client.get(link))})
    assert asked.status_code == 202
    done = client.post(inbox.newest().link, headers=AS_PROGRAM)
    assert done.json is not None
    assert done.json["code"] == "signed_in"
    shown = client.get("/session").json
    assert shown is not None
    assert shown["subscriber"]["newsletters"] == ["harbour"]


# Other sites


@pytest.mark.parametrize(
    "headers",
    [
        FOREIGN,
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1:8000.evil.example"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example", "Content-Type": "text/plain"},
        {"Origin": "https://evil.example", "Content-Type": "application/x-www-form-urlencoded; application/json"},
    ],
)
def test_another_site_cannot_press_the_button_for_a_visitor(
    client: FlaskClient, inbox: Inbox, headers: dict[str, str]
) -> None:
    link = link_for(client, inbox)
    victim = stranger_to(client)
    for body in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": csrf_of(stranger_to(client).get(link))}):
        sent = {"data": body} if "Content-Type" not in headers else {"data": "csrf="}
        answer = victim.post(link, headers=headers, **sent)  # type: ignore[arg-type]
        assert answer.status_code == 403
        assert session_cookies(answer) == []
    assert client.post(link, headers=AS_PROGRAM).status_code == 200


@pytest.mark.parametrize("origin", ["null", "http://127.0.0.1:8000"])
def test_the_button_of_our_page_works_in_any_browser(client: FlaskClient, inbox: Inbox, origin: str) -> None:
    answer = press(stranger_to(client), link_for(client, inbox), Origin=origin)
    assert answer.status_code == 303
    assert len(session_cookies(answer)) == 1


def test_the_asking_browser_needs_no_field(client: FlaskClient, inbox: Inbox) -> None:
    link = link_for(client, inbox)
    assert client.post(link, headers={"Origin": "null", "Sec-Fetch-Site": "same-origin"}).status_code == 303


def test_two_tabs_opened_from_a_mail_program_both_work(client: FlaskClient, inbox: Inbox) -> None:
    links = [link_for(client, inbox), link_for(client, inbox)]
    browser = stranger_to(client)
    pages = [browser.get(link) for link in links]
    assert "samesite=lax" in pages[0].headers["Set-Cookie"].lower(), (
        "a strict cookie is not sent by a mail program's link"
    )
    for link, page in zip(links, pages, strict=True):
        data = {"csrf": csrf_of(page)}
        assert browser.post(link, data=data, headers={"Origin": "null"}).status_code == 303


def test_a_field_of_the_previous_key_is_good(client: FlaskClient, settings: Settings, inbox: Inbox) -> None:
    link = link_for(client, inbox)
    browser = stranger_to(client)
    csrf, cookie = csrf_of(browser.get(link)), browser.get_cookie("form")
    assert cookie is not None
    rotated = create_app(replace(settings, secret_keys=(NEW, *settings.secret_keys)))
    later = rotated.test_client()
    later.set_cookie("form", cookie.value)
    assert later.post(link, data={"csrf": csrf}, headers={"Origin": "null"}).status_code == 303
    dispose(rotated)


# Where it leads


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example", "///evil.example", "https:evil.example", "https:/evil.example", "https://evil.example",
        "\\\\evil.example", "/\\evil.example", "\\/evil.example", "%2f%2fevil.example", "/%2fevil.example",
        "/%2Fevil.example", "/%5cevil.example", "javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x",
        "/\r\nSet-Cookie: session=x", "/%0d%0a\r\n", "https://127.0.0.1:8000@evil.example", "@evil.example",
        "http://127.0.0.1:8000@evil.example/", "http://evil.example@127.0.0.1:8000/", "http://127.0.0.1:8000.evil.example",
        "http://127.0.0.1:8000\\@evil.example", "/\t/evil.example", "\t//evil.example", "ht\ttp://evil.example",
        "//127.0.0.1:8000",
        "ftp://127.0.0.1:8000/", "http://127.0.0.1:8001/", "https://127.0.0.1:8000/", "evil.example",
        "", " ", "/\x00", "\x01//evil.example", "/\u2028", "/x" * 2_000, "http://[::1", "http://127.0.0.1:8000:80/",
        "?x=1",
    ],
    ids=lambda text: ascii(text)[:40],
)  # fmt: skip
def test_a_treacherous_redirect_leads_to_the_front_page(client: FlaskClient, inbox: Inbox, wanted: str) -> None:
    link = link_for(client, inbox, redirect=wanted)
    done = client.post(link, headers={"Accept": "text/html"})
    assert done.status_code == 303
    assert done.headers["Location"] == "http://127.0.0.1:8000/?action=signup&success=true"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("/", "/?{}"),
        ("/a/b", "/a/b?{}"),
        ("/a?x=1&y=%20z", "/a?x=1&y=%20z&{}"),
        ("/a?action=subscribe&success=false&x=1", "/a?x=1&{}"),
        ("/a?%61ction=subscribe&success=false", "/a?{}"),
        ("/a?x=1#part", "/a?x=1&{}#part"),
        ("/a?x&&y=", "/a?x&y=&{}"),
        ("/a?next=https://127.0.0.1/b", "/a?next=https://127.0.0.1/b&{}"),
        ("http://127.0.0.1:8000/a?x=1", "/a?x=1&{}"),
        ("http://127.0.0.1:8000", "?{}"),
    ],
)
def test_the_frontends_own_parameters_stay(client: FlaskClient, inbox: Inbox, wanted: str, expected: str) -> None:
    done = client.post(link_for(client, inbox, redirect=wanted), headers={"Accept": "text/html"})
    said = "action=signup&success=true"
    assert done.headers["Location"] == "http://127.0.0.1:8000" + expected.format(said)


def test_the_frontend_may_live_on_other_origins(settings: Settings) -> None:
    origins = ("https://www.example.org", "https://m.example.org")
    app = create_app(replace(settings, frontend_url=origins[0], frontend_origins=origins))
    client, inbox = app.test_client(), Inbox(app.extensions[EXTENSION])
    for wanted, expected in (
        ("/x", "https://www.example.org/x"),
        ("https://m.example.org/x", "https://m.example.org/x"),
        ("https://evil.example/x", "https://www.example.org/"),
        ("https://m.example.org.evil.example/", "https://www.example.org/"),
        ("/x?next=https://y.example", "https://www.example.org/x"),
    ):
        done = client.post(link_for(client, inbox, redirect=wanted), headers={"Accept": "text/html"})
        assert done.headers["Location"].partition("?")[0] == expected
    dispose(app)


SPOOFED = {
    "Host": "evil.example",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "gopher",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": "host=evil.example;proto=https",
    "X-Original-URL": "/evil",
}


def test_a_spoofed_host_changes_no_link(client: FlaskClient, inbox: Inbox) -> None:
    asked = client.post("/signin", json={"email": ADA}, headers=SPOOFED)
    assert asked.status_code == 202
    mail = inbox.newest()
    assert "evil" not in mail.raw.decode()
    assert "http://127.0.0.1:8000/magic-link/" in mail.text
    page = client.get(mail.link, headers=SPOOFED)
    assert "evil" not in page.text
    done = client.post(mail.link, headers={**SPOOFED, "Accept": "text/html"})
    assert done.headers["Location"] == "http://127.0.0.1:8000/?action=signup&success=true"
    assert parse_qs(urlsplit(done.headers["Location"]).query) == {"action": ["signup"], "success": ["true"]}


@pytest.mark.parametrize(
    "path", ["//magic-link/x", "/magic-link//x", "//evil.example/x", "/magic-link/x/", "/session/"]
)
def test_no_spelling_of_a_path_leads_to_another_host(client: FlaskClient, path: str) -> None:
    for answer in (client.get(path, headers=SPOOFED), client.post(path, headers=SPOOFED, json={})):
        assert "evil" not in answer.headers.get("Location", "")


def test_an_unknown_method_is_405(client: FlaskClient, inbox: Inbox) -> None:
    link = link_for(client, inbox)
    for method in ("PUT", "PATCH", "DELETE"):
        assert client.open(link, method=method).status_code == 405
    assert client.post(link, headers=AS_PROGRAM).status_code == 200


def test_a_busy_database_is_503_and_the_link_stays_good(client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    if parts.database.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL locks rows, not the database")
    link = link_for(client, inbox)
    other = Database(parts.settings.database_url)
    with parts.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 100")
    with other.transaction() as session:
        session.execute(update(MagicLink).values(name="held"))
        answer = client.post(link, headers=AS_PROGRAM)
        session.execute(text("SELECT 1"))
    other.dispose()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert session_cookies(answer) == []
    assert client.post(link, headers=AS_PROGRAM).status_code == 200


def test_signing_in_again_starts_another_session_and_ends_the_one_before(client: FlaskClient, inbox: Inbox) -> None:
    sign_in(client, inbox)
    before = client.get_cookie("session")
    assert before is not None
    sign_in(client, inbox, "bob@example.org")
    thief = stranger_to(client)
    thief.set_cookie("session", before.value)
    assert not is_signed_in(thief)
