"""The public doors under whatever can be sent: by the description, and byte by byte."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from werkzeug.test import create_environ, run_wsgi_app

from newsletter_svc.app import create_app
from newsletter_svc.auth import api_keys
from newsletter_svc.clock import utcnow
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.web.cookies import Cookie
from newsletter_svc.web.operations.operation import Tag
from tests import junk
from tests.conftest import KEY
from tests.doors import link_for, sign_in
from tests.fuzzing import census, check_answer, check_books
from tests.inbox import Inbox
from tests.junk import JSON, Request

SHARED = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much)
"""All examples of a test share one database on purpose: what one of them did must not break the next."""
SHORT = how(max_examples=8, derandomize=True, database=None, suppress_health_check=SHARED)
LONG = how(max_examples=2_000, database=None, suppress_health_check=SHARED)
BYTES_SHORT = how(SHORT, max_examples=200)
BYTES_LONG = how(LONG, max_examples=20_000)


# By the description.


def _description(*, seed: int | None) -> schemathesis.BaseSchema:
    app = create_app(Settings(secret_keys=(KEY,), database_url="sqlite://"))
    document = app.test_client().get("/openapi.json").get_json()
    return schemathesis.openapi.from_dict(document, config=schemathesis.Config(seed=seed))


description = _description(seed=1)
Send = Callable[[schemathesis.Case], None]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With billing, so that its doors look at what was sent. Nobody is a customer, so nothing goes to Stripe."""
    return replace(
        settings,
        stripe_secret_key="sk_test_x",
        stripe_webhook_secret="whsec_x",
        stripe_api_base="http://127.0.0.1:9",
    )


@pytest.fixture
def send(app: Flask, parts: Parts) -> Iterator[Send]:
    """Send a case, and hold the answer against the description and against what must always hold."""

    def send(case: schemathesis.Case, **sent: Any) -> None:
        case.operation.schema.app = app  # Probes that checks send of their own accord go there too.
        before = census(parts.database)
        # Whether a token or a code exists is no matter of its form. In a form, text is all there is, and empty
        # fields are left out: only JSON can have wrong types. And a cookie that a case lacks is there all the same when
        # the test hands one over.
        cannot_be_wrong = case.media_type != JSON or (_lacks_a_cookie(case) and "cookies" in sent)
        left_out = [positive_data_acceptance, *([negative_data_rejection] if cannot_be_wrong else [])]
        response = case.call_and_validate(app=app, excluded_checks=left_out, **sent)
        headers = {name.lower(): values[0] for name, values in response.headers.items()}
        for_program = response.request.headers.get("Content-Type") == JSON
        check_answer(response.status_code, headers, response.content, for_program=for_program)
        if response.status_code >= 400:
            assert census(parts.database) == before, "a refused request left something behind"

    yield send
    check_books(parts.database)


def _lacks_a_cookie(case: schemathesis.Case) -> bool:
    cookies = case.meta.components.get(ParameterLocation.COOKIE) if case.meta else None
    return cookies is not None and cookies.mode.is_negative


# Of lists a stranger gets nothing: that is asserted where they are tested.
@description.exclude(path_regex="^/api/su").parametrize()
@SHORT
def test_a_stranger_gets_only_what_is_described(case: schemathesis.Case, send: Send) -> None:
    send(case)


@pytest.fixture
def credentials(parts: Parts, client: FlaskClient, inbox: Inbox) -> dict[str, Any]:
    """The cookie of a signed-in reader, and an operator's key."""
    sign_in(client, inbox)
    cookie = client.get_cookie(Cookie.SESSION)
    assert cookie is not None
    with parts.database.transaction() as session:
        _, key = api_keys.create(session, api_keys.SCOPES, now=utcnow())
    return {"cookies": {Cookie.SESSION.value: cookie.value}, "headers": {"Authorization": f"Bearer {key}"}}


@description.include(tag=[Tag.READER, Tag.BILLING, Tag.OPERATORS]).parametrize()
@SHORT
def test_readers_and_operators_get_only_what_is_described(
    case: schemathesis.Case, send: Send, credentials: dict[str, Any]
) -> None:
    send(case, **credentials)


@pytest.mark.long
@pytest.mark.timeout(3600)
@_description(seed=None).parametrize()
@LONG
def test_a_stranger_gets_only_what_is_described_however_long_it_is_tried(case: schemathesis.Case, send: Send) -> None:
    send(case)


# Byte by byte.


@pytest.fixture
def tokens(parts: Parts, client: FlaskClient, inbox: Inbox) -> tuple[str, ...]:
    """What opens doors: a link that is used, one that is not, one to leave by and one to choose by."""
    sign_in(client, inbox)
    fresh = link_for(client, inbox, email="brief@example.org").rpartition("/")[2]
    used = link_for(client, inbox, email="used@example.org")
    client.post(used)
    leave = parts.links.unsubscribe(subscriber_id=1, newsletter_id=1).rpartition("/")[2]
    choose = parts.links.preferences(1).rpartition("/")[2]
    return fresh, used.rpartition("/")[2], leave, choose


def knock(app: Flask, parts: Parts, sent: Request) -> None:
    """Hand one request to the application as a server would, and look at what it did."""
    before = census(parts.database)
    kind, body = sent.content
    environ = create_environ(method=sent.method, data=body, headers=[("Content-Type", kind)])
    environ |= {"PATH_INFO": sent.path.decode("latin-1"), "QUERY_STRING": sent.query.decode("latin-1")}
    environ |= {f"HTTP_{name}": value for name, value in sent.headers.items()}
    chunks, status, headers = run_wsgi_app(app.wsgi_app, environ, buffered=True)
    code = int(status.partition(" ")[0])
    is_look = sent.method in ("GET", "HEAD", "OPTIONS")
    # A magic link shows its page to everybody, since mail scanners ask for anything.
    for_program = kind == JSON and not (is_look and sent.path.startswith(b"/magic-link/"))
    lowered = {name.lower(): value for name, value in headers}
    check_answer(code, lowered, b"".join(chunks), for_program=for_program)
    if code >= 400 or is_look:
        assert census(parts.database) == before, "a refused request left something behind"


def knock_often(app: Flask, parts: Parts, tokens: tuple[str, ...], settings: how) -> None:
    @settings
    @given(sent=junk.requests(tokens))
    def knocking(sent: Request) -> None:
        knock(app, parts, sent)

    knocking()
    check_books(parts.database)


def test_no_bytes_break_the_application(app: Flask, parts: Parts, tokens: tuple[str, ...]) -> None:
    knock_often(app, parts, tokens, BYTES_SHORT)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_no_bytes_break_the_application_however_many(app: Flask, parts: Parts, tokens: tuple[str, ...]) -> None:
    knock_often(app, parts, tokens, BYTES_LONG)


# What was found.


def test_a_session_id_beyond_what_databases_count_is_not_found(client: FlaskClient, inbox: Inbox) -> None:
    sign_in(client, inbox)
    for session_id in (2**31, 2**63, 10**40):
        answer = client.delete(f"/sessions/{session_id}", json={})
        assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_a_slug_with_a_nul_is_an_unknown_newsletter(client: FlaskClient) -> None:
    for slug in ("\0", "briefing\0", "Ⅷ", "'"):
        answer = client.post("/subscribe", json={"email": "ada@example.org", "newsletters": [slug]})
        assert answer.status_code == 422
        assert answer.get_json()["code"] == "unknown_newsletter"


def test_a_host_that_cannot_be_is_refused_and_says_so_in_json(client: FlaskClient) -> None:
    for path in ("/", "/signin", "/nowhere"):
        answer = client.get(path, headers={"Host": "x" * 64 + ".example"})
        assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")


def test_doors_that_know_no_page_refuse_in_json(client: FlaskClient) -> None:
    for method, path in (
        ("DELETE", "/session"),
        ("GET", "/sessions"),
        ("POST", "/session/token"),
        ("POST", "/messages"),
    ):
        answer = client.open(path, method=method, headers={"Accept": "*/*"})
        assert answer.status_code in (401, 403, 405), path
        assert answer.mimetype == "application/problem+json", path


def test_a_query_that_is_no_text_is_refused(app: Flask) -> None:
    for path in ("/", "/session", "/mailbox/"):
        for query in ("action=\xff", "action=\r\nX: y", "\0"):
            environ = create_environ(path) | {"QUERY_STRING": query}
            _, status, _ = run_wsgi_app(app.wsgi_app, environ)
            assert status.startswith("400"), (path, query)


def test_no_redirect_follows_the_host_that_a_request_names(app: Flask) -> None:
    for path in ("//session", "//", "/signin//code"):
        environ = create_environ(headers={"Host": "evil.example"}) | {"PATH_INFO": path}
        _, status, headers = run_wsgi_app(app.wsgi_app, environ)
        assert status.startswith(("200", "404")), path
        assert "Location" not in headers, path
