"""Where a request comes from: proxies are believed when the operator trusts them, and nobody else is."""

from dataclasses import replace
from ipaddress import ip_network

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from newsletter_svc import gunicorn_conf
from newsletter_svc.app import create_app
from newsletter_svc.environment import Network
from newsletter_svc.settings import Settings
from newsletter_svc.web.peers import client_of
from newsletter_svc.web.state import EXTENSION
from tests.inbox import Inbox

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
CLIENT = "192.0.2.7"


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "client"),
    [
        ("192.0.2.7", "", 0, "192.0.2.7"),
        ("192.0.2.7", "198.51.100.1", 0, "192.0.2.7"),
        ("192.0.2.7", "198.51.100.1", PROXIES, "192.0.2.7"),
        ("10.0.0.1", "192.0.2.7", 1, "192.0.2.7"),
        ("10.0.0.1", "198.51.100.1, 192.0.2.7", 1, "192.0.2.7"),
        ("10.0.0.1", "198.51.100.1, 192.0.2.7, 10.0.0.2", 2, "192.0.2.7"),
        ("10.0.0.1", "", 2, "10.0.0.1"),
        ("10.0.0.1", "192.0.2.7", 2, "192.0.2.7"),
        ("10.0.0.1", "198.51.100.1, 192.0.2.7, 10.9.9.9", PROXIES, "192.0.2.7"),
        ("fd00::1", "192.0.2.7", PROXIES, "192.0.2.7"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", PROXIES, "10.0.0.3"),
        ("::ffff:10.0.0.1", "192.0.2.7", PROXIES, "192.0.2.7"),
        ("", "192.0.2.7", PROXIES, "192.0.2.7"),
        ("", "192.0.2.7", 1, "192.0.2.7"),
        ("", "192.0.2.7", 0, ""),
        ("10.0.0.1", "192.0.2.7:4711", 1, "192.0.2.7"),
        ("10.0.0.1", "[2001:db8::1]:4711", 1, "2001:db8::1"),
        ("10.0.0.1", "2001:db8::1", 1, "2001:db8::1"),
        ("10.0.0.1", "::ffff:192.0.2.7", 1, "192.0.2.7"),
        ("10.0.0.1", "192.0.2.7, unknown", 1, "10.0.0.1"),
        ("10.0.0.1", "192.0.2.7, unknown, 10.0.0.2", PROXIES, "10.0.0.2"),
        ("10.0.0.1", "192.0.2.7, 1.2.3.4.5", PROXIES, "10.0.0.1"),
    ],
)
def test_the_rightmost_address_that_no_trusted_proxy_has_is_the_clients(
    peer: str, forwarded: str, trusted: int | tuple[Network, ...], client: str
) -> None:
    words = [word for word in forwarded.split(",") if word.strip()]
    assert client_of(peer, words, trusted) == client


@given(st.lists(st.text(alphabet="0123456789abcdefx.:[]% ,-_", max_size=40), max_size=10))
def test_nothing_that_a_client_writes_changes_what_its_proxy_says(garbage: list[str]) -> None:
    assert client_of("10.0.0.1", [*garbage, CLIENT], 1) == CLIENT
    assert client_of("10.0.0.1", [*garbage, CLIENT], PROXIES) == CLIENT
    assert client_of(CLIENT, garbage, 0) == CLIENT
    assert client_of(CLIENT, garbage, PROXIES) == CLIENT


def statuses(client: FlaskClient, headers: list[dict[str, str]]) -> list[int]:
    return [
        client.post("/signin", json={"email": f"r{number}@example.org"}, headers=each).status_code
        for number, each in enumerate(headers)
    ]


def test_a_header_from_nobody_trusted_evades_no_limit(settings: Settings) -> None:
    app = create_app(replace(settings, limit_per_ip="3/hour"))
    headers = [{"X-Forwarded-For": f"198.51.100.{number}", "Forwarded": f"for=192.0.2.{number}"} for number in range(5)]
    assert statuses(app.test_client(), headers) == [202, 202, 202, 429, 429]
    app.extensions[EXTENSION].database.dispose()


@pytest.mark.parametrize("word", ["{}.example", "300.1.1.{}", "1.2.3.{}.5", "::{}::", "<{}>", "unknown-{}", "%00{}"])
def test_garbage_behind_a_trusted_proxy_evades_no_limit(settings: Settings, word: str) -> None:
    app = create_app(replace(settings, limit_per_ip="3/hour", trusted_proxies=1))
    headers = [{"X-Forwarded-For": word.format(number)} for number in range(5)]
    assert statuses(app.test_client(), headers) == [202, 202, 202, 429, 429]
    app.extensions[EXTENSION].database.dispose()


@pytest.mark.parametrize("trusted", [0, 1, (ip_network("127.0.0.0/8"),)])
def test_no_forwarded_header_changes_a_link_or_a_cookie(settings: Settings, trusted: int | tuple[Network, ...]) -> None:
    app = create_app(replace(settings, trusted_proxies=trusted))
    headers = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/evil",
        "Forwarded": "host=evil.example;proto=https",
    }

    answer = app.test_client().post("/signin", json={"email": "ada@example.org"}, headers=headers)

    mail = Inbox(app.extensions[EXTENSION]).newest()
    assert "evil" not in mail.raw.decode()
    assert f"{settings.public_url}/magic-link/" in mail.text
    assert "Secure" not in answer.headers["Set-Cookie"]
    app.extensions[EXTENSION].database.dispose()


def test_gunicorn_leaves_all_forwarded_headers_to_us() -> None:
    assert gunicorn_conf.forwarded_allow_ips == ""
    assert gunicorn_conf.secure_scheme_headers == {}
    assert gunicorn_conf.forwarder_headers == ""


@pytest.mark.parametrize(
    ("peer", "headers", "trusted", "named"),
    [
        ("10.0.0.1", {"X-Forwarded-For": CLIENT}, 0, ["untrusted_proxy"]),
        ("10.0.0.1", {"X-Forwarded-For": CLIENT}, 1, []),
        ("10.0.0.1", {}, 0, []),
        ("9.9.9.9", {"X-Forwarded-For": CLIENT}, 0, []),
    ],
)
def test_a_proxy_that_the_operator_forgot_is_an_alert_once_it_keeps_readers_out(
    settings: Settings, peer: str, headers: dict[str, str], trusted: int, named: list[str]
) -> None:
    app = create_app(replace(settings, limit_per_ip="3/hour", trusted_proxies=trusted))
    client = app.test_client()
    for number in range(4):
        body = {"email": f"r{number}@example.org"}
        answer = client.post("/signin", json=body, headers=headers, environ_base={"REMOTE_ADDR": peer})
    assert answer.status_code == 429
    assert [alert["name"] for alert in client.get("/readyz").get_json()["alerts"]] == named
    app.extensions[EXTENSION].database.dispose()
