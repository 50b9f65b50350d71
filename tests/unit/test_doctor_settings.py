"""What the doctor says of the settings by themselves, and of the service at PUBLIC_URL as a browser meets it."""

import secrets
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trustme
from flask import Flask, redirect
from werkzeug.serving import make_server

from newsletter_svc.doctor import reach_check, settings_check
from newsletter_svc.doctor.domains import organisation
from newsletter_svc.doctor.findings import Finding, Verdict
from newsletter_svc.doctor.lookups import Dns
from newsletter_svc.doctor.setup import Setup
from newsletter_svc.settings import Settings

KEY = secrets.token_urlsafe(48)


def setup_of(tls: ssl.SSLContext | None = None, **settings: Any) -> Setup:
    given = {
        "env": "production",
        "secret_keys": (KEY,),
        "public_url": "https://news.example.org",
        "frontend_url": "https://www.example.org",
        "frontend_origins": ("https://www.example.org",),
        "trusted_proxies": 1,
        "operator_address": "operator@example.org",
        "bounce_address": "bounces@example.org",
        "mail_server": "smtp.example.org",
        **settings,
    }
    return Setup(Settings(**given), Dns(), tls=tls)


def said(**settings: Any) -> list[Finding]:
    return [each for each in settings_check.check(setup_of(**settings)) if each.verdict is not Verdict.GOOD]


def test_where_all_is_well_nothing_is_said() -> None:
    assert said() == []


@pytest.mark.parametrize("key", ["brief", "k" * 64, "abcabcabcabcabcabcabcabcabcabcabcabcabc", "password" * 4])
def test_a_key_that_can_be_guessed_is_a_failure_and_is_not_shown(key: str) -> None:
    (found,) = said(secret_keys=(KEY, key))
    assert (found.verdict, found.subject) == (Verdict.FAILURE, "SECRET_KEYS")
    assert found.text.startswith("key 2 of 2 is short or easy to guess")
    assert key not in found.text
    assert said(secret_keys=(key,), env="development")[0].verdict is Verdict.WARNING


def test_the_same_key_twice_is_a_warning() -> None:
    (found,) = said(secret_keys=(KEY, KEY))
    assert found.verdict is Verdict.WARNING


@pytest.mark.parametrize("make_key", [lambda: secrets.token_urlsafe(32), lambda: secrets.token_hex(32)])
def test_keys_as_they_are_usually_made_are_good(make_key: Callable[[], str]) -> None:
    assert said(secret_keys=tuple(make_key() for _ in range(50))) == []


@pytest.mark.parametrize(
    ("url", "env", "verdict"),
    [
        ("http://127.0.0.1:8000", "development", Verdict.UNCHECKED),
        ("http://127.0.0.1:8000", "production", Verdict.FAILURE),
        ("http://news.example.org", "development", Verdict.WARNING),
        ("http://news.example.org", "production", Verdict.FAILURE),
        ("https://192.0.2.80", "production", Verdict.WARNING),
        ("https://[2001:db8::80]:8443", "production", Verdict.WARNING),
    ],
)
def test_an_address_that_readers_cannot_use_is_named(url: str, env: str, verdict: Verdict) -> None:
    found = said(public_url=url, frontend_url=url, frontend_origins=(url,), env=env)
    assert [(each.subject, each.verdict) for each in found] == [("PUBLIC_URL", verdict)]


@pytest.mark.parametrize(
    ("public", "frontend", "is_same_site"),
    [
        ("https://news.example.co.uk", "https://www.example.co.uk", True),
        ("https://news.example.co.uk", "https://other.co.uk", False),
        ("https://one.github.io", "https://two.github.io", False),
        ("https://news.example.org", "http://www.example.org", False),
        ("http://127.0.0.1:8000", "http://127.0.0.1:3000", True),
        ("http://127.0.0.1:8000", "http://127.0.2.1:8000", False),
        ("http://localhost:8000", "http://127.0.0.1:8000", False),
    ],
)
def test_a_frontend_of_another_site_is_told_what_it_cannot_use(public: str, frontend: str, is_same_site: bool) -> None:
    settings = {"public_url": public, "frontend_url": frontend, "frontend_origins": (frontend, public)}
    found = [each for each in said(env="development", **settings) if each.subject == "FRONTEND_URL"]
    assert [each.verdict for each in found] == ([] if is_same_site else [Verdict.WARNING])
    assert is_same_site or "`challenge`" in found[0].text


@pytest.mark.parametrize(
    ("domain", "whole"),
    [
        ("News.Example.Org", "example.org"),
        ("a.b.example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("localhost", "localhost"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_an_organisation_is_one_label_more_than_a_public_suffix(domain: str, whole: str) -> None:
    assert organisation(domain) == whole


@pytest.mark.parametrize(
    ("missing", "subject"),
    [
        ({"operator_address": None}, "OPERATOR_ADDRESS"),
        ({"bounce_address": None}, "BOUNCE_ADDRESS"),
        ({"trusted_proxies": 0}, "TRUSTED_PROXIES"),
    ],
)
def test_what_is_missed_later_is_a_warning(missing: dict[str, Any], subject: str) -> None:
    (found,) = said(**missing)
    assert (found.verdict, found.subject) == (Verdict.WARNING, subject)


@contextmanager
def served(app: Flask, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, ssl_context=tls)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def reached(url: str, tls: ssl.SSLContext | None = None) -> Finding:
    (found,) = reach_check.check(setup_of(public_url=url, tls=tls))
    return found


def test_the_service_itself_is_recognised(app: Flask) -> None:
    with served(app) as url:
        assert reached(url).verdict is Verdict.GOOD


def test_a_certificate_is_judged_as_browsers_do(app: Flask) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with served(app, context) as url:
        assert reached(url, trusting).verdict is Verdict.GOOD
        found = reached(url)
    assert found.verdict is Verdict.FAILURE
    assert "a certificate that browsers refuse: unable to get local issuer certificate" in found.text


def test_something_else_at_that_address_is_a_failure() -> None:
    other = Flask("other")
    other.add_url_rule("/healthz", view_func=lambda: {"status": "fine"})
    with served(Flask("empty")) as empty, served(other) as url:
        assert reached(empty).verdict is Verdict.FAILURE
        assert "answers 404" in reached(empty).text
        assert "something else than this service" in reached(url).text


def test_a_redirect_is_a_failure_since_a_button_in_a_page_would_not_survive_it() -> None:
    app = Flask("redirecting")
    app.add_url_rule("/healthz", view_func=lambda: redirect("/elsewhere", 301))
    with served(app) as url:
        assert "answers 301" in reached(url).text


def test_no_answer_is_a_warning_since_the_service_may_not_be_running_yet() -> None:
    with served(Flask("gone")) as url:
        pass
    found = reached(url)
    assert found.verdict is Verdict.WARNING
    assert "ConnectionRefusedError" in found.text
