"""Sessions: who is signed in, for how long, and that signing out is final on the server."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from newsletter_svc.app import create_app
from newsletter_svc.auth.models import BrowserSession
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.web.state import EXTENSION
from tests.doors import AS_PROGRAM, FOREIGN, ask, is_signed_in, link_for, sign_in, stranger_to
from tests.inbox import Inbox

OWN = {"Origin": "http://127.0.0.1:8000"}
WWW, MOBILE = "https://www.example.org", "https://m.example.org"


def cookie_lines(answer: TestResponse) -> dict[str, list[str]]:
    """The attributes of each cookie that an answer sets, by its name."""
    lines = (line.split("; ") for line in answer.headers.getlist("Set-Cookie"))
    return {parts[0].partition("=")[0]: [part.lower() for part in parts[1:]] for parts in lines}


def let_pass(parts: Parts, time: timedelta) -> None:
    """Every moment of every session lies further back."""
    with parts.database.transaction() as session:
        for row in session.scalars(select(BrowserSession)):
            row.created_at -= time
            row.last_seen_at -= time
            row.expires_at -= time


def copied(client: FlaskClient) -> FlaskClient:
    """Another browser with a copy of the session cookie."""
    cookie = client.get_cookie("session")
    assert cookie is not None
    thief = stranger_to(client)
    thief.set_cookie("session", cookie.value)
    return thief


def test_nobody_is_signed_in_at_first(client: FlaskClient) -> None:
    answer = client.get("/session")
    assert (answer.status_code, answer.json) == (200, {"signed_in": False, "subscriber": None})


def test_a_signed_in_reader_sees_the_own_data_and_nothing_else(client: FlaskClient, inbox: Inbox) -> None:
    client.post(link_for(client, inbox, "/subscribe", name="Ada"), headers=AS_PROGRAM)
    shown = client.get("/session").json
    assert shown is not None
    assert shown["signed_in"] is True
    reader = shown["subscriber"]
    assert (reader["email"], reader["name"], reader["newsletters"]) == ("ada@example.org", "Ada", ["briefing"])
    assert not {"id", "email_key", "confirmed_at"} & set(reader)


def test_no_answer_about_a_session_is_kept_by_a_cache(client: FlaskClient) -> None:
    assert client.get("/session").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("value", ["x", "x" * 101, "../..", "' OR 1=1 --", "\u00e9", "%00", "null"])
def test_an_odd_cookie_signs_nobody_in(client: FlaskClient, value: str) -> None:
    client.set_cookie("session", value)
    assert not is_signed_in(client)


def test_cookies_are_out_of_reach_for_scripts_and_other_sites(client: FlaskClient, inbox: Inbox) -> None:
    asked = ask(client, "/signin")
    link = inbox.newest().link
    page = stranger_to(client).get(link)
    done = client.post(link)
    for answer, name, seconds in (
        (asked, "presession", 15 * 60),
        (page, "form", 12 * 3600),
        (done, "session", 365 * 86_400),
    ):
        attributes = cookie_lines(answer)[name]
        assert {"httponly", "samesite=lax", "path=/", f"max-age={seconds}"} <= set(attributes)
        assert not any(attribute.startswith("domain") for attribute in attributes)


def test_over_https_cookies_belong_to_this_host_alone(settings: Settings) -> None:
    app = create_app(replace(settings, public_url="https://news.example.org"))
    client = app.test_client()
    with_https = {"base_url": "https://news.example.org"}
    asked = client.post("/signin", json={"email": "ada@example.org"}, **with_https)  # type: ignore[arg-type]
    link = Inbox(app.extensions[EXTENSION]).newest().link
    done = client.post(link, json={}, **with_https)  # type: ignore[arg-type]
    for answer, name in ((asked, "__Host-presession"), (done, "__Host-session")):
        attributes = cookie_lines(answer)[name]
        assert {"secure", "httponly", "samesite=lax", "path=/"} <= set(attributes)
        assert not any(attribute.startswith("domain") for attribute in attributes)
    assert client.get("/session", **with_https).json["signed_in"]  # type: ignore[arg-type, index]
    assert done.headers["Strict-Transport-Security"]
    app.extensions[EXTENSION].database.dispose()


def test_a_cookie_without_the_prefix_is_not_believed_over_https(settings: Settings) -> None:
    app = create_app(replace(settings, public_url="https://news.example.org"))
    client = app.test_client()
    client.post("/signin", json={"email": "ada@example.org"}, base_url="https://news.example.org")
    link = Inbox(app.extensions[EXTENSION]).newest().link
    client.post(link, json={}, base_url="https://news.example.org")
    cookie = client.get_cookie("__Host-session", domain="news.example.org")
    assert cookie is not None
    other = app.test_client()
    other.set_cookie("session", cookie.value)
    assert not is_signed_in(other)
    app.extensions[EXTENSION].database.dispose()


# Signing out


@pytest.mark.parametrize("headers", [OWN, {"Content-Type": "application/json"}])
def test_signing_out_makes_a_copied_cookie_worthless(
    client: FlaskClient, inbox: Inbox, headers: dict[str, str]
) -> None:
    sign_in(client, inbox)
    thief = copied(client)
    assert is_signed_in(thief)
    answer = client.delete("/session", headers=headers)
    assert (answer.status_code, answer.data) == (204, b"")
    assert client.get_cookie("session") is None
    assert not is_signed_in(client)
    assert not is_signed_in(thief)


def test_signing_out_here_leaves_the_other_browsers(client: FlaskClient, inbox: Inbox) -> None:
    phone = stranger_to(client)
    sign_in(phone, inbox)
    sign_in(client, inbox)
    client.delete("/session", headers=OWN)
    assert is_signed_in(phone)


def test_signing_out_everywhere_ends_every_session_of_this_reader_alone(client: FlaskClient, inbox: Inbox) -> None:
    phone, bob = stranger_to(client), stranger_to(client)
    sign_in(phone, inbox)
    sign_in(bob, inbox, "bob@example.org")
    sign_in(client, inbox)
    assert client.delete("/session?everywhere=true", headers=OWN).status_code == 204
    assert not is_signed_in(client)
    assert not is_signed_in(phone)
    assert is_signed_in(bob)


def test_signing_out_twice_or_without_a_session_is_no_error(client: FlaskClient) -> None:
    for _ in range(2):
        assert client.delete("/session", headers=OWN).status_code == 204


@pytest.mark.parametrize(
    "headers",
    [FOREIGN, {"Origin": "https://evil.example"}, {"Origin": "null"}, {}, {"Content-Type": "text/plain"}],
)
def test_another_site_cannot_sign_a_reader_out(client: FlaskClient, inbox: Inbox, headers: dict[str, str]) -> None:
    sign_in(client, inbox)
    answer = client.delete("/session", headers={**headers, **AS_PROGRAM})
    assert answer.status_code == 403
    assert answer.json is not None
    assert answer.json["code"] == "forged_request"
    assert is_signed_in(client)


def test_a_planted_cookie_is_not_adopted(client: FlaskClient, inbox: Inbox) -> None:
    client.set_cookie("session", "a-value-that-the-attacker-knows")
    client.post(link_for(client, inbox), headers=AS_PROGRAM)
    cookie = client.get_cookie("session")
    assert cookie is not None
    assert cookie.value != "a-value-that-the-attacker-knows"
    attacker = stranger_to(client)
    attacker.set_cookie("session", "a-value-that-the-attacker-knows")
    assert not is_signed_in(attacker)


def test_a_planted_session_of_somebody_else_gives_way(client: FlaskClient, inbox: Inbox) -> None:
    attacker = stranger_to(client)
    sign_in(attacker, inbox, "eve@example.org")
    planted = attacker.get_cookie("session")
    assert planted is not None
    client.set_cookie("session", planted.value)
    sign_in(client, inbox)
    shown = client.get("/session").json
    assert shown is not None
    assert shown["subscriber"]["email"] == "ada@example.org"


def test_a_planted_presession_is_not_adopted(client: FlaskClient) -> None:
    client.set_cookie("presession", "a-value-that-the-attacker-knows")
    answer = ask(client, "/signin")
    cookie = client.get_cookie("presession")
    assert cookie is not None
    assert answer.json is not None
    assert cookie.value == answer.json["challenge"] != "a-value-that-the-attacker-knows"


# Time


def test_a_session_ends_thirty_days_after_the_reader_was_last_seen(
    client: FlaskClient, parts: Parts, inbox: Inbox
) -> None:
    sign_in(client, inbox)
    let_pass(parts, timedelta(days=30))
    assert not is_signed_in(client)


def test_a_reader_who_comes_back_stays_signed_in_up_to_a_year(client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    sign_in(client, inbox)
    for _ in range(12):
        let_pass(parts, timedelta(days=29))
        assert is_signed_in(client)
    let_pass(parts, timedelta(days=18))
    assert not is_signed_in(client)


def test_looking_again_within_the_hour_writes_nothing(client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    sign_in(client, inbox)
    let_pass(parts, timedelta(minutes=59))
    with parts.database.reading() as session:
        before = session.scalars(select(BrowserSession.last_seen_at)).one()
    is_signed_in(client)
    with parts.database.reading() as session:
        assert session.scalars(select(BrowserSession.last_seen_at)).one() == before


# Frontends on other origins


@pytest.fixture
def elsewhere(settings: Settings) -> Iterator[Flask]:
    app = create_app(replace(settings, frontend_url=WWW, frontend_origins=(WWW, MOBILE)))
    yield app
    app.extensions[EXTENSION].database.dispose()


@pytest.mark.parametrize("origin", [WWW, MOBILE])
@pytest.mark.parametrize("path", ["/session", "/messages", "/signin", "/nowhere"])
def test_a_page_of_the_frontend_may_read_answers_with_credentials(elsewhere: Flask, origin: str, path: str) -> None:
    answer = elsewhere.test_client().get(path, headers={"Origin": origin})
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        WWW + ".evil.example",
        "http://www.example.org",
        WWW + ":444",
        "https://example.org",
    ],
)
def test_no_other_page_may(elsewhere: Flask, origin: str) -> None:
    client = elsewhere.test_client()
    asked = client.options("/signin", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
    for answer in (client.get("/session", headers={"Origin": origin}), asked):
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(("path", "method"), [("/signin", "POST"), ("/session", "DELETE"), ("/signin/code", "POST")])
def test_a_browser_that_asks_first_is_let_through(elsewhere: Flask, path: str, method: str) -> None:
    asking = {
        "Origin": WWW,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type",
    }
    answer = elsewhere.test_client().options(path, headers=asking)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == WWW
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert method in answer.headers["Access-Control-Allow-Methods"]
    assert "content-type" in answer.headers["Access-Control-Allow-Headers"].lower()


@pytest.mark.parametrize("origin", [WWW, MOBILE])
def test_a_page_of_the_frontend_may_sign_its_reader_out(elsewhere: Flask, origin: str) -> None:
    client = elsewhere.test_client()
    sign_in(client, Inbox(elsewhere.extensions[EXTENSION]))
    assert client.delete("/session", headers={"Origin": origin}).status_code == 204
    assert not is_signed_in(client)
