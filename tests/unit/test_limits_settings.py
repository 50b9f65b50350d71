"""Settings of limits, proxies, lifetimes: what they may say, and what is refused at the start."""

from dataclasses import asdict
from ipaddress import ip_network

import pytest

from newsletter_svc.settings import Settings, SettingsError, load

KEY = "k" * 32


def problems(**environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load({"SECRET_KEYS": KEY, **environ})
    return caught.value.problems


def test_the_defaults_are_those_that_the_documents_promise() -> None:
    settings = asdict(load({"SECRET_KEYS": KEY}))

    promised = {
        "limit_per_address": "1/minute;5/hour",
        "limit_per_ip": "20/hour",
        "limit_global": "2000/hour",
        "limit_wrong_codes": "10/hour;20/day",
        "ratelimit_storage_uri": "database://",
        "trusted_proxies": 0,
        "disposable_domains": "allow",
        "sign_in_link_minutes": 20,
        "confirmation_hours": 48,
        "unconfirmed_days": 7,
        "session_days": 30,
        "session_max_days": 365,
        "audit_retention_days": 180,
        "delivery_retention_days": 365,
    }
    assert {name: settings[name] for name in promised} == promised


@pytest.mark.parametrize("name", ["LIMIT_PER_ADDRESS", "LIMIT_PER_IP", "LIMIT_GLOBAL", "LIMIT_WRONG_CODES"])
@pytest.mark.parametrize("value", ["many", "5", "5/fortnight", "0/hour", "-1/hour", "5/hour;", "5/hour;0/day"])
def test_a_rate_that_cannot_be_kept_is_named(name: str, value: str) -> None:
    assert problems(**{name: value}) == [f"{name} must be one or more rates such as 1/minute;5/hour, not {value!r}."]


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("2", 2),
        ("", 0),
        ("10.0.0.0/8", (ip_network("10.0.0.0/8"),)),
        ("10.1.2.3/8, fd00::1", (ip_network("10.0.0.0/8"), ip_network("fd00::1/128"))),
    ],
)
def test_trusted_proxies_are_a_number_or_networks(value: str, meant: object) -> None:
    assert load({"SECRET_KEYS": KEY, "TRUSTED_PROXIES": value}).trusted_proxies == meant


@pytest.mark.parametrize("value", ["yes", "1,2,x", "10.0.0.0/99", "-1", "1000"])
def test_proxies_that_are_neither_are_named(value: str) -> None:
    assert problems(TRUSTED_PROXIES=value)[0].startswith("TRUSTED_PROXIES must be a number of proxies, or networks")


def test_every_wrong_value_is_named_at_once() -> None:
    found = problems(
        RATELIMIT_STORAGE_URI="memcached://127.0.0.1",
        DISPOSABLE_DOMAINS="perhaps",
        SIGN_IN_LINK_MINUTES="0",
        SESSION_DAYS="30",
        SESSION_MAX_DAYS="7",
        OPERATOR_ADDRESS="nobody",
    )

    assert [problem.split()[0] for problem in found] == [
        "DISPOSABLE_DOMAINS",
        "SIGN_IN_LINK_MINUTES",
        "OPERATOR_ADDRESS",
        "RATELIMIT_STORAGE_URI",
        "SESSION_MAX_DAYS",
    ]


def test_the_password_of_the_counters_storage_stands_in_no_printed_settings() -> None:
    assert "hunter2" not in repr(Settings(secret_keys=(KEY,), ratelimit_storage_uri="redis://:hunter2@127.0.0.1"))
