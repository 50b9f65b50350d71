"""The doors: which mail goes out in which state of an address, what its link gives, and what a stranger learns."""

import json
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from newsletter_svc.auth.models import MagicLink
from newsletter_svc.clock import utcnow
from newsletter_svc.delivery import suppressions
from newsletter_svc.delivery.models import Delivery
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import newsletters, people, subscriptions
from newsletter_svc.subscribers.addresses import parse
from newsletter_svc.subscribers.models import Subscriber
from tests import statements
from tests.doors import AS_PROGRAM, DOORS, ask, is_signed_in, link_for, stranger_to
from tests.factories import make_reader
from tests.inbox import Inbox

ADA = "ada@example.org"
CHECK_EMAIL = "Success! Check your email for magic link to sign-in."
SUBSCRIBED = "You've successfully subscribed to The Global Diplomat."
SIGNED_UP = "Great! You’ve successfully signed up."
SIGNED_IN = "Welcome back! You've successfully signed in."


@pytest.fixture(autouse=True)
def second_newsletter(parts: Parts) -> None:
    with parts.database.transaction() as session:
        newsletters.add(session, "harbour", title="Harbour Notes", now=utcnow())


def new(parts: Parts) -> None:
    """Nobody has heard of the address."""


def pending(parts: Parts) -> None:
    with parts.database.transaction() as session:
        people.find_or_add(session, parse(ADA), now=utcnow())


def signed_up(parts: Parts) -> None:
    with parts.database.transaction() as session:
        people.find_or_add(session, parse(ADA), now=utcnow()).confirmed_at = utcnow()


def subscribed(parts: Parts) -> None:
    with parts.database.transaction() as session:
        make_reader(session, ADA, now=utcnow())


def gone(parts: Parts) -> None:
    with parts.database.transaction() as session:
        reader = make_reader(session, ADA, now=utcnow())
        subscriptions.leave(session, reader.id, newsletters.get(session, "briefing").id, now=utcnow())


def suppressed(parts: Parts) -> None:
    subscribed(parts)
    with parts.database.transaction() as session:
        suppressions.add(session, ADA, reason="hard_bounce 5.1.1", now=utcnow())


BOTH = {"briefing", "harbour"}
TABLE = [
    ("/subscribe", new, (), "confirm_subscription", "subscribed", "subscribe", {"briefing"}),
    ("/subscribe", new, ("harbour",), "confirm_subscription", "subscribed", "subscribe", {"harbour"}),
    ("/subscribe", pending, (), "confirm_subscription", "subscribed", "subscribe", {"briefing"}),
    ("/subscribe", gone, (), "confirm_subscription", "subscribed", "subscribe", {"briefing"}),
    ("/subscribe", signed_up, (), "confirm_subscription", "subscribed", "subscribe", {"briefing"}),
    ("/subscribe", subscribed, (), "already_subscribed", "signed_in", "signin", {"briefing"}),
    ("/subscribe", subscribed, ("harbour",), "confirm_subscription", "subscribed", "subscribe", BOTH),
    ("/signup", new, (), "sign_up", "signed_up", "signup", set()),
    ("/signup", new, ("briefing", "harbour"), "sign_up", "signed_up", "signup", BOTH),
    ("/signup", pending, (), "sign_up", "signed_up", "signup", set()),
    ("/signup", subscribed, (), "sign_in", "signed_in", "signin", {"briefing"}),
    ("/signup", gone, (), "sign_in", "signed_in", "signin", set()),
    ("/signin", new, (), "sign_up", "signed_up", "signup", set()),
    ("/signin", pending, (), "sign_up", "signed_up", "signup", set()),
    ("/signin", signed_up, (), "sign_in", "signed_in", "signin", set()),
    ("/signin", subscribed, (), "sign_in", "signed_in", "signin", {"briefing"}),
]  # fmt: skip
SENTENCES = {"subscribed": SUBSCRIBED, "signed_up": SIGNED_UP, "signed_in": SIGNED_IN}


def latest_kind(parts: Parts) -> str:
    with parts.database.reading() as session:
        return session.scalars(select(Delivery.kind).order_by(Delivery.id.desc())).first() or ""


@pytest.mark.parametrize(("door", "state", "named", "kind", "code", "action", "gets"), TABLE)
def test_a_program_goes_through_the_door_in_json(
    client: FlaskClient,
    parts: Parts,
    inbox: Inbox,
    door: str,
    state: Callable[[Parts], None],
    named: tuple[str, ...],
    kind: str,
    code: str,
    action: str,
    gets: set[str],
) -> None:
    state(parts)
    link = link_for(client, inbox, door, **({"newsletters": list(named)} if named else {}))
    assert latest_kind(parts) == kind
    done = client.post(link, headers=AS_PROGRAM)
    assert done.status_code == 200
    assert done.json == {
        "code": code,
        "message": SENTENCES[code],
        "redirect": f"http://127.0.0.1:8000/?action={action}&success=true",
    }
    assert who(client) == gets


@pytest.mark.parametrize(("door", "state", "named", "kind", "code", "action", "gets"), TABLE)
@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_browser_goes_through_the_door_with_a_form(
    client: FlaskClient,
    parts: Parts,
    inbox: Inbox,
    door: str,
    state: Callable[[Parts], None],
    named: tuple[str, ...],
    kind: str,
    code: str,
    action: str,
    gets: set[str],
    content_type: str,
) -> None:
    state(parts)
    form = {"email": ADA, "newsletters": list(named), "redirect": "/welcome?from=form"}
    asked = client.post(door, data=form, content_type=content_type, headers={"Accept": "text/html"})
    assert asked.status_code == 202
    assert CHECK_EMAIL in asked.text
    assert latest_kind(parts) == kind
    done = client.post(inbox.newest().link, headers={"Accept": "text/html"})
    assert done.status_code == 303
    target = urlsplit(done.headers["Location"])
    assert target.path == "/welcome"
    assert parse_qs(target.query) == {"from": ["form"], "action": [action], "success": ["true"]}
    assert who(client) == gets


def who(client: FlaskClient) -> set[str]:
    """The newsletters of whoever is signed in, who must be Ada."""
    shown = client.get("/session").json
    assert shown is not None
    assert shown["signed_in"]
    assert shown["subscriber"]["email"] == ADA
    return set(shown["subscriber"]["newsletters"])


@pytest.mark.parametrize("door", DOORS)
def test_nothing_is_subscribed_before_the_button_is_pressed(client: FlaskClient, parts: Parts, door: str) -> None:
    ask(client, door, newsletters=["harbour"])
    with parts.database.reading() as session:
        reader = people.find(session, parse(ADA))
        assert reader is not None
        assert reader.confirmed_at is None
        assert subscriptions.confirmed_ids(session, reader.id) == set()
    assert not is_signed_in(client)


def test_the_code_gives_what_the_link_would_give(client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    for state, code in ((new, "signed_up"), (subscribed, "signed_in")):
        state(parts)
        challenge = ask(client, "/signin").json["challenge"]  # type: ignore[index]
        done = client.post("/signin/code", json={"challenge": challenge, "code": inbox.newest().code})
        assert done.json is not None
        assert (done.status_code, done.json["code"]) == (200, code)


def test_an_address_is_one_reader_however_its_letters_are_typed(
    client: FlaskClient, parts: Parts, inbox: Inbox
) -> None:
    client.post(link_for(client, inbox, "/signup", "Ada.Lovelace@Example.ORG"), headers=AS_PROGRAM)
    client.post(link_for(client, inbox, "/signin", "ada.lovelace@example.org"), headers=AS_PROGRAM)
    with parts.database.reading() as session:
        assert session.scalars(select(Subscriber.email)).all() == ["Ada.Lovelace@example.org"]


def test_a_name_is_taken_over_when_the_link_is_redeemed(client: FlaskClient, inbox: Inbox) -> None:
    client.post(link_for(client, inbox, "/signup", name="  Ada Lovelace "), headers=AS_PROGRAM)
    shown = client.get("/session").json
    assert shown is not None
    assert shown["subscriber"]["name"] == "Ada Lovelace"


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("as_form", [True, False])
def test_a_stranger_cannot_tell_one_address_from_another(
    client: FlaskClient, parts: Parts, door: str, as_form: bool
) -> None:
    answers = []
    for state in (new, pending, signed_up, subscribed, gone, suppressed):
        with parts.database.transaction() as session:
            for table in ("deliveries", "magic_links", "subscriptions", "subscribers", "suppressions"):
                session.connection().exec_driver_sql(f"DELETE FROM {table}")
        state(parts)
        browser = stranger_to(client)
        answer = browser.post(door, data={"email": ADA}) if as_form else browser.post(door, json={"email": ADA})
        answers.append(without_secrets(answer))
    assert answers[0][0] == 202
    assert all(answer == answers[0] for answer in answers)


def without_secrets(answer: TestResponse) -> tuple[int, object, list[tuple[str, str]]]:
    """Status, body and headers, without what is random in every answer."""
    headers = [(name, value) for name, value in answer.headers.items() if name != "Date"]
    headers = [(name, value.partition("=")[0] if name == "Set-Cookie" else value) for name, value in headers]
    body: object = answer.text
    if answer.is_json:
        assert answer.json is not None
        body = [(name, "" if name == "challenge" else value) for name, value in answer.json.items()]
    elif 'name="challenge"' in answer.text:
        before, _, after = answer.text.partition('name="challenge" value="')
        body = before + after.partition('"')[2]
        headers = [(name, value) for name, value in headers if name != "Content-Length"]
    return answer.status_code, body, headers


def test_a_known_and_an_unknown_address_cost_the_same_statements(client: FlaskClient, parts: Parts) -> None:
    subscribed(parts)
    known = statements.sent(parts.database, lambda: ask(client, "/signin", ADA))
    unknown = statements.sent(parts.database, lambda: ask(client, "/signin", "nobody@example.org"))
    assert unknown == known
    assert any("magic_links" in statement for statement in known)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("as_form", [True, False])
def test_who_fills_in_the_trap_hears_the_same_and_gets_no_mail(
    client: FlaskClient, parts: Parts, inbox: Inbox, door: str, as_form: bool
) -> None:
    honest, bot = {"email": ADA}, {"email": "bot@example.org", "website": "https://spam.example"}
    if as_form:
        answers = [stranger_to(client).post(door, data=body) for body in (honest, bot)]
    else:
        answers = [stranger_to(client).post(door, json=body) for body in (honest, bot)]
    assert without_secrets(answers[0]) == without_secrets(answers[1])
    assert [str(mail.message["To"]) for mail in inbox.all()] == [ADA]
    with parts.database.reading() as session:
        assert people.find(session, parse("bot@example.org")) is None


def test_an_empty_trap_catches_nobody(client: FlaskClient, inbox: Inbox) -> None:
    client.post("/signin", data={"email": ADA, "website": ""})
    assert len(inbox.all()) == 1


@pytest.mark.parametrize("door", DOORS)
def test_an_unknown_newsletter_is_named_and_nothing_is_sent(
    client: FlaskClient, parts: Parts, inbox: Inbox, door: str
) -> None:
    answer = client.post(door, json={"email": ADA, "newsletters": ["briefing", "gossip"]})
    problem = assert_problem(answer, 422)
    assert problem["errors"] == [{"field": "newsletters", "detail": "There is no newsletter called 'gossip'."}]
    assert inbox.all() == []
    assert nothing_was_written(parts)


def assert_problem(answer: TestResponse, status: int) -> dict[str, object]:
    """The answer is problem+json as RFC 9457 wants it, and says nothing about our insides."""
    assert answer.status_code == status, answer.text[:500]
    assert answer.mimetype == "application/problem+json"
    problem: dict[str, object] = json.loads(answer.text)
    assert {"type", "title", "status", "detail", "code"} <= set(problem)
    assert problem["status"] == status
    assert problem["detail"]
    assert "Traceback" not in answer.text
    return problem


def nothing_was_written(parts: Parts) -> bool:
    with parts.database.reading() as session:
        rows = [session.scalar(select(func.count()).select_from(table)) for table in (Subscriber, MagicLink, Delivery)]
    return rows == [0, 0, 0]


NO_ADDRESSES = [
    "", " ", "ada", "@", "@example.org", "ada@", "ada@example", "ada@@example.org", "ada@example..org", "ada@-x.org",
    "ada@example.org,bob@example.org", "ada@example.org bob@example.org", "ada@example.org;bob@example.org",
    "ada@example.org\nbob@example.org", "ada@example.org\r\nBcc: bob@example.org", "ada\n@example.org",
    "ada@example.org\n", "\tada@example.org", "ada@example.org\x00", "ad\x00a@example.org",
    '"ada"@example.org', '"ada bob"@example.org', "<ada@example.org>", "Ada <ada@example.org>", "ada@example.org (c)",
    "ada(c)@example.org", "ada@[127.0.0.1]", "ada@127.0.0.1", "\u212aate@example.org", "d\u0131na@example.org",
    "åda@example.org", "a" * 65 + "@example.org", "a" * 10_000 + "@example.org", "ada@" + "x" * 64 + ".org",
    "ada@" + "example." * 40 + "org", "ada@example.org\u200b", "\u202eada@example.org", "ad\u00ada@example.org",
    "..@example.org", "ada.@example.org", "mailto:ada@example.org", "ada@exam ple.org", "ada=?x@example.org",
    "ada@example.org%0abob@x.org",
]  # fmt: skip


@pytest.mark.parametrize("email", NO_ADDRESSES, ids=lambda text: ascii(text)[:40])
def test_what_is_not_exactly_one_plain_address_is_refused(client: FlaskClient, parts: Parts, email: str) -> None:
    problem = assert_problem(client.post("/signin", json={"email": email}), 422)
    [error] = problem["errors"]  # type: ignore[misc]
    assert error["field"] == "email"
    page = client.post("/signin", data={"email": email})
    assert page.status_code == 422
    assert page.mimetype == "text/html"
    assert nothing_was_written(parts)


@pytest.mark.parametrize(
    "email", ["ada+news@example.org", "o'brien@example.org", " ada@example.org ", "a@bücher.example"]
)
def test_unusual_addresses_are_taken(client: FlaskClient, inbox: Inbox, email: str) -> None:
    ask(client, "/signin", email)
    assert len(inbox.all()) == 1


WRONG_FIELDS: list[tuple[dict[str, object], str]] = [
    ({}, "email"),
    ({"email": None}, "email"),
    ({"email": [ADA]}, "email"),
    ({"email": {"address": ADA}}, "email"),
    ({"email": 7}, "email"),
    ({"email": True}, "email"),
    ({"email": "\ud800@example.org"}, "email"),
    ({"email": ADA, "name": "x" * 10_000}, "name"),
    ({"email": ADA, "name": ["Ada"]}, "name"),
    ({"email": ADA, "name": "Ada\r\nBcc: bob@example.org"}, "name"),
    ({"email": ADA, "name": "Ada\x00"}, "name"),
    ({"email": ADA, "name": "Ada\x1b[31m"}, "name"),
    ({"email": ADA, "name": "Ada \udcff"}, "name"),
    ({"email": ADA, "newsletters": "briefing"}, "newsletters"),
    ({"email": ADA, "newsletters": [7]}, "newsletters.0"),
    ({"email": ADA, "newsletters": ["briefing", None]}, "newsletters.1"),
    ({"email": ADA, "newsletters": ["\ud800"]}, "newsletters.0"),
    ({"email": ADA, "newsletters": ["x" * 64]}, "newsletters.0"),
    ({"email": ADA, "newsletters": ["briefing"] * 51}, "newsletters"),
    ({"email": ADA, "newsletters": ["brief\x00ing"]}, "newsletters"),
    ({"email": ADA, "newsletters": [""]}, "newsletters"),
    ({"email": ADA, "redirect": ["/"]}, "redirect"),
    ({"email": ADA, "website": 5}, "website"),
]


@pytest.mark.parametrize("door", ["/subscribe", "/signup"])
@pytest.mark.parametrize(("body", "field"), WRONG_FIELDS, ids=lambda given: ascii(given)[:50])
def test_a_wrong_field_is_named(
    client: FlaskClient, parts: Parts, door: str, body: dict[str, object], field: str
) -> None:
    problem = assert_problem(client.post(door, json=body), 422)
    errors = problem["errors"]
    assert isinstance(errors, list)
    assert field in {error["field"] for error in errors}
    assert all(error["detail"] for error in errors)
    assert nothing_was_written(parts)


def test_every_wrong_field_is_named_at_once(client: FlaskClient) -> None:
    problem = assert_problem(client.post("/signup", json={"email": 7, "name": 8, "redirect": 9}), 422)
    errors = problem["errors"]
    assert isinstance(errors, list)
    assert [error["field"] for error in errors] == ["email", "name", "redirect"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"nonsense", b"\xff\xfe", b"\x00", b'{"email": "ada@example.org"', b"[]", b"null", b"7", b'"text"',
        b'["ada@example.org"]', b"NaN", b"[" * 60_000, b'{"email":' * 6_000, b'{"email": 1' + b"0" * 5_000 + b"}",
        b'{"email": "ada@example.org", "extra": ' + b"[" * 60_000,
    ],
    ids=lambda body: ascii(body)[:30],
)  # fmt: skip
@pytest.mark.parametrize("path", [*DOORS, "/signin/code"])
def test_what_is_no_json_object_is_refused(client: FlaskClient, parts: Parts, path: str, body: bytes) -> None:
    answer = client.post(path, data=body, content_type="application/json")
    assert_problem(answer, 400)
    assert nothing_was_written(parts)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "application/octet-stream", "image/png", "x"]
)
@pytest.mark.parametrize("path", [*DOORS, "/signin/code"])
def test_another_kind_of_body_is_415(client: FlaskClient, path: str, content_type: str) -> None:
    body = b'{"email": "ada@example.org"}'
    page = client.post(path, data=body, content_type=content_type)
    assert (page.status_code, page.mimetype) == (415, "text/html")
    assert_problem(client.post(path, data=body, content_type=content_type, headers=AS_PROGRAM), 415)


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("path", [*DOORS, "/signin/code"])
def test_a_body_of_more_than_64_kilobytes_is_413(
    client: FlaskClient, parts: Parts, path: str, content_type: str
) -> None:
    padding = 64 * 1024 + 1 - len(b'{"email":""}')
    body = b'{"email":"' + b"a" * padding + b'"}'
    assert len(body) == 64 * 1024 + 1
    answer = client.post(path, data=body, content_type=content_type, headers=AS_PROGRAM)
    assert_problem(answer, 413)
    assert nothing_was_written(parts)


def test_a_multipart_body_of_more_than_64_kilobytes_is_413(client: FlaskClient) -> None:
    form = {"email": ADA, "name": "x" * 65_536}
    assert client.post("/signup", data=form, content_type="multipart/form-data").status_code == 413


def test_a_body_of_exactly_64_kilobytes_is_read(client: FlaskClient) -> None:
    body = b'{"email":"ada@example.org","extra":"'
    body += b"a" * (64 * 1024 - len(body) - 2) + b'"}'
    assert client.post("/signin", data=body, content_type="application/json").status_code == 202


@pytest.mark.parametrize(
    "body",
    [b"email=\xff\xfe", b"email=%00", b"email", b"=", b"&" * 1000, b"email=a&email=b", b"%", b"email=%zz"],
)
def test_a_broken_form_is_a_page_that_says_so(client: FlaskClient, parts: Parts, body: bytes) -> None:
    answer = client.post("/signin", data=body, content_type="application/x-www-form-urlencoded")
    assert (answer.status_code, answer.mimetype) == (422, "text/html")
    assert nothing_was_written(parts)


def test_a_broken_multipart_body_is_a_page_that_says_so(client: FlaskClient, parts: Parts) -> None:
    for content_type in ("multipart/form-data", "multipart/form-data; boundary=x"):
        answer = client.post("/signin", data=b"--x\r\nnonsense", content_type=content_type)
        assert answer.status_code in (400, 422)
        assert answer.mimetype == "text/html"
    assert nothing_was_written(parts)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("door", DOORS)
def test_an_unknown_method_is_405_and_names_the_known_ones(client: FlaskClient, door: str, method: str) -> None:
    answer = client.open(door, method=method, headers=AS_PROGRAM)
    assert_problem(answer, 405)
    assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize(
    "name",
    [
        "=?utf-8?q?a=0D=0ABcc:_bob=40example.org?=",
        "<b>Ada</b>",
        "{{7*7}}",
        "Ada\u202eadA",
        "{% raw %}",
        "Ada, Bob <b@x.org>",
    ],
)
def test_a_name_has_no_power_over_the_mail(client: FlaskClient, inbox: Inbox, name: str) -> None:
    ask(client, "/signup", ADA, name=name)
    mail = inbox.newest()
    assert mail.message["Bcc"] is None
    assert [address.addr_spec for address in mail.message["To"].addresses] == [ADA]
    assert "49" not in mail.subject
    assert "<b>Ada</b>" not in mail.html
    assert "\u202e" not in mail.text + mail.html


def test_who_posts_a_form_from_another_site_may_ask(client: FlaskClient, inbox: Inbox) -> None:
    form = {"email": ADA}
    foreign = {"Origin": "https://blog.example", "Sec-Fetch-Site": "cross-site"}
    assert client.post("/subscribe", data=form, headers=foreign).status_code == 202
    assert len(inbox.all()) == 1
