"""Updating a card in a real browser: to the payment page of the stand-in for Stripe, and back with the sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import fresh_database
from tests.e2e.chromium import chromium
from tests.e2e.house import House, opened
from tests.e2e.service import Service, magic_link
from tests.fakes.smtp import Sink
from tests.fakes.stripe import SECRET_KEY, WEBHOOK_SECRET, StripeStandIn

ADA = "ada@example.org"
UPDATED = "Success! Your billing info has been updated."
NOT_UPDATED = "Your billing was not updated."

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def stripe() -> Iterator[StripeStandIn]:
    with StripeStandIn() as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def house(migrated_url: str, tmp_path_factory: pytest.TempPathFactory, stripe: StripeStandIn) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    environ = {
        "STRIPE_SECRET_KEY": SECRET_KEY,
        "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "STRIPE_API_BASE": stripe.url,
    }
    with opened(fresh_database(migrated_url, folder), folder, **environ) as house:
        yield house


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@contextmanager
def signed_in(browser: Browser, service: Service, sink: Sink, *, scripts: bool) -> Iterator[Page]:
    """A window in which Ada is signed in; whatever its console complains of fails the test."""
    context = browser.new_context(java_script_enabled=scripts, viewport={"width": 375, "height": 800})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    service.ask("POST", "/signin", {"email": ADA})
    page.goto(magic_link(sink.wait_for(1)[0]))
    page.get_by_role("button").first.click()
    expect(page.locator(".account")).to_contain_text(ADA)
    yield page
    context.close()
    assert complaints == []


def expect_sentence(page: Page, sentence: str) -> None:
    expect(page.locator("[data-newsletter-notice] p")).to_have_text(sentence)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_reader_cancels_and_then_updates_their_card(
    browser: Browser, service: Service, sink: Sink, stripe: StripeStandIn, scripts: bool
) -> None:
    customer = stripe.account.add_customer()
    with signed_in(browser, service, sink, scripts=scripts) as page:
        page.goto(f"{service.url}/account")
        expect(page.locator("main")).to_contain_text("There is no payment on record for this address.")
        service.command("billing", "link", ADA, customer)
        page.reload()
        page.get_by_role("button", name="Update billing").click()
        expect(page.get_by_role("heading")).to_contain_text("This is a stand-in for Stripe.")
        page.get_by_role("link", name="Back without saving").click()
        expect_sentence(page, NOT_UPDATED)
        assert page.url.startswith(f"{service.url}/account")
        assert stripe.account.default_card(customer) == "pm_old"

        page.get_by_role("button", name="Update billing").click()
        page.get_by_role("button", name="Save a new card").click()
        expect_sentence(page, UPDATED)
        assert stripe.account.default_card(customer) != "pm_old"
        assert sink.wait_for(2)[-1].recipients == (ADA,)

        page.goto(f"{service.url}/billing/return")
        expect_sentence(page, NOT_UPDATED)
