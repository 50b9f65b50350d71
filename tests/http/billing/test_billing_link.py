"""`newsletter billing link`: an operator says which subscriber is which customer."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from newsletter_svc.billing import customers
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import people
from newsletter_svc.subscribers.addresses import parse
from tests.commands import invoke, succeed
from tests.doors import sign_in
from tests.fakes.stripe import Fault, StripeStandIn
from tests.inbox import Inbox


def linked(parts: Parts, email: str = "ada@example.org") -> str | None:
    with parts.database.reading() as session:
        person = people.find(session, parse(email))
        return customers.customer_of(session, person.id) if person else None


@pytest.mark.usefixtures("reader")
def test_a_subscriber_is_linked_to_a_customer_and_may_be_to_another(
    settings: Settings, stripe: StripeStandIn, parts: Parts
) -> None:
    first, second = stripe.account.add_customer(), stripe.account.add_customer()
    said = succeed(invoke(settings, "billing", "link", "Ada@Example.org", first))
    assert said.startswith(f"Ada@example.org is {first}.")
    assert linked(parts) == first
    succeed(invoke(settings, "billing", "link", "ada@example.org", first))
    assert f"(before: {first})" in succeed(invoke(settings, "billing", "link", "ada@example.org", second))
    assert linked(parts) == second


def test_a_customer_belongs_to_one_subscriber(
    settings: Settings, customer: str, client: FlaskClient, inbox: Inbox, parts: Parts
) -> None:
    sign_in(client, inbox, email="eve@example.org")
    result = invoke(settings, "billing", "link", "eve@example.org", customer)
    assert (result.exit_code, linked(parts, "eve@example.org")) == (1, None)
    assert "belongs to another subscriber already" in result.output


@pytest.mark.usefixtures("reader")
def test_what_stripe_does_not_know_is_not_linked(settings: Settings, stripe: StripeStandIn, parts: Parts) -> None:
    deleted = stripe.account.add_customer()
    stripe.account.customers[deleted]["deleted"] = True
    for customer in ("cus_nobody", deleted):
        result = invoke(settings, "billing", "link", "ada@example.org", customer)
        assert (result.exit_code, linked(parts)) == (1, None)
        assert f"Stripe has no customer {customer}" in result.output


@pytest.mark.usefixtures("reader")
def test_while_stripe_is_down_nothing_is_linked(settings: Settings, stripe: StripeStandIn, parts: Parts) -> None:
    stripe.fail(*[Fault.BROKEN] * 3)
    result = invoke(settings, "billing", "link", "ada@example.org", stripe.account.add_customer())
    assert (result.exit_code, linked(parts)) == (1, None)
    assert "Stripe does not answer. Nothing was changed: try again." in result.output


@pytest.mark.usefixtures("reader")
def test_a_refused_key_is_named_without_being_quoted(settings: Settings, stripe: StripeStandIn) -> None:
    wrong = replace(settings, stripe_secret_key="sk_test_hunter2")
    result = invoke(wrong, "billing", "link", "ada@example.org", stripe.account.add_customer())
    assert result.exit_code == 1
    assert "Stripe refuses STRIPE_SECRET_KEY (AuthenticationError 401)" in result.output
    assert "hunter2" not in result.output


def test_unknown_subscribers_and_what_is_no_customer_are_refused(settings: Settings, stripe: StripeStandIn) -> None:
    customer = stripe.account.add_customer()
    unknown = invoke(settings, "billing", "link", "nobody@example.org", customer)
    assert unknown.exit_code == 1
    assert "There is no subscriber nobody@example.org." in unknown.output
    assert invoke(settings, "billing", "link", "not an address", customer).exit_code == 1
    for wrong in ("sub_1", "cus_", "cus_1/../x", "pm_card_visa"):
        assert invoke(settings, "billing", "link", "ada@example.org", wrong).exit_code == 2


@pytest.mark.usefixtures("reader")
def test_without_a_key_the_link_is_made_and_said_to_be_unchecked(settings: Settings, parts: Parts) -> None:
    plain = replace(settings, stripe_secret_key=None, stripe_webhook_secret=None)
    said = succeed(invoke(plain, "billing", "link", "ada@example.org", "cus_NffrFeUfNV2Hib"))
    assert "was not checked: STRIPE_SECRET_KEY is not set" in said
    assert linked(parts) == "cus_NffrFeUfNV2Hib"
