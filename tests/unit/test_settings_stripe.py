"""Stripe's settings: what cannot be meant stops the start, and no problem quotes a key."""

import pytest

from newsletter_svc.doctor import settings_check
from newsletter_svc.doctor.findings import Verdict
from newsletter_svc.doctor.setup import Setup
from newsletter_svc.settings import Settings, SettingsError, load
from tests.unit.test_doctor_settings import setup_of

KEY = "a key for tests that is long enough to sign with"
PRODUCTION = {
    "NEWSLETTER_ENV": "production",
    "MAIL_SERVER": "127.0.0.1",
    "PUBLIC_URL": "https://news.example.org",
    "MAIL_DEFAULT_SENDER": "briefing@example.org",
    "POSTAL_ADDRESS": "1 Example Street, London",
}


def loaded(**environ: str) -> Settings:
    return load({"SECRET_KEYS": KEY} | environ)


def problems(**environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        loaded(**environ)
    return caught.value.problems


def said_of_stripe(setup: Setup) -> list[tuple[Verdict, str]]:
    return [(each.verdict, each.subject) for each in settings_check.check(setup) if "STRIPE" in each.subject]


def test_the_three_settings_are_read_and_the_secrets_do_not_show() -> None:
    settings = loaded(
        STRIPE_SECRET_KEY="sk_test_hunter2",
        STRIPE_WEBHOOK_SECRET="whsec_hunter2",
        STRIPE_API_BASE="http://127.0.0.1:12111/",
    )
    assert (settings.stripe_secret_key, settings.stripe_webhook_secret) == ("sk_test_hunter2", "whsec_hunter2")
    assert settings.stripe_api_base == "http://127.0.0.1:12111"
    assert "hunter2" not in repr(settings)


def test_without_them_billing_is_off_and_the_address_is_that_of_stripe() -> None:
    settings = loaded()
    assert (settings.stripe_secret_key, settings.stripe_webhook_secret) == (None, None)
    assert settings.stripe_api_base == "https://api.stripe.com"


@pytest.mark.parametrize(
    ("environ", "begins"),
    [
        ({"STRIPE_SECRET_KEY": "pk_test_hunter2"}, "STRIPE_SECRET_KEY must be a secret or restricted key"),
        ({"STRIPE_SECRET_KEY": "sk_test_hunter2\u00e9"}, "STRIPE_SECRET_KEY must be a secret or restricted key"),
        ({"STRIPE_SECRET_KEY": "sk_live_hunter2"}, "STRIPE_SECRET_KEY is a live key, and this is not production"),
        ({"STRIPE_SECRET_KEY": "rk_live_hunter2"}, "STRIPE_SECRET_KEY is a live key, and this is not production"),
        ({"STRIPE_WEBHOOK_SECRET": "whsec_hunter2"}, "STRIPE_WEBHOOK_SECRET is of no use without STRIPE_SECRET_KEY"),
        ({"STRIPE_API_BASE": "127.0.0.1:12111"}, "STRIPE_API_BASE must be an address"),
        ({"STRIPE_API_BASE": "https://api.stripe.com/v1"}, "STRIPE_API_BASE must be an address"),
    ],
)
def test_what_cannot_be_meant_is_named_at_the_start(environ: dict[str, str], begins: str) -> None:
    [problem] = problems(**environ)
    assert problem.startswith(begins)
    assert "hunter2" not in problem


def test_a_live_key_is_for_production_and_never_leaves_in_plain_text() -> None:
    live = PRODUCTION | {"STRIPE_SECRET_KEY": "sk_live_hunter2"}
    assert loaded(**live).stripe_secret_key == "sk_live_hunter2"
    assert loaded(**live, STRIPE_API_BASE="http://localhost:12111").stripe_api_base == "http://localhost:12111"
    [problem] = problems(**live, STRIPE_API_BASE="http://proxy.example.org")
    assert problem.startswith("STRIPE_API_BASE must be https in production")


def test_the_doctor_warns_of_a_test_key_in_production_and_of_events_that_nobody_hears() -> None:
    warned = said_of_stripe(setup_of(stripe_secret_key="sk_test_x"))
    assert warned == [(Verdict.WARNING, "STRIPE_SECRET_KEY"), (Verdict.WARNING, "STRIPE_WEBHOOK_SECRET")]
    assert said_of_stripe(setup_of(stripe_secret_key="sk_live_x", stripe_webhook_secret="whsec_x")) == []
    assert said_of_stripe(setup_of()) == []
