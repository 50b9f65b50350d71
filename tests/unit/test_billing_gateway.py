"""The gateway to Stripe where a whole request would hide it: timeouts, and what of keys may be seen."""

from collections.abc import Iterator

import pytest

from newsletter_svc.billing.failures import StripeUnavailable
from newsletter_svc.billing.gateway import ANSWER_SECONDS, CONNECT_SECONDS, Gateway
from tests.fakes.stripe import SECRET_KEY, Fault, StripeStandIn


@pytest.fixture
def stripe() -> Iterator[StripeStandIn]:
    with StripeStandIn() as stand_in:
        yield stand_in


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between retries."""
    monkeypatch.setattr("stripe.HTTPClient.INITIAL_DELAY", 0)
    monkeypatch.setattr("stripe.HTTPClient.MAX_DELAY", 0)


def test_who_waits_for_stripe_does_not_wait_long() -> None:
    assert CONNECT_SECONDS + ANSWER_SECONDS <= 20


def test_an_answer_that_does_not_come_is_given_up(stripe: StripeStandIn) -> None:
    customer = stripe.account.add_customer()
    stripe.fail(Fault.SLOW, Fault.SLOW, Fault.SLOW)
    with pytest.raises(StripeUnavailable) as caught:
        Gateway(SECRET_KEY, api_base=stripe.url, answer_seconds=0.2).customer(customer)
    assert len(stripe.asked) == 3
    assert str(caught.value) == "APIConnectionError"
    assert caught.value.__cause__ is None


def test_nobody_listening_is_stripe_not_answering(stripe: StripeStandIn) -> None:
    with StripeStandIn() as gone:
        gateway = Gateway(SECRET_KEY, api_base=gone.url)
    with pytest.raises(StripeUnavailable):
        gateway.customer("cus_x")


def test_the_key_does_not_show_where_the_gateway_is_printed(stripe: StripeStandIn) -> None:
    gateway = Gateway(SECRET_KEY, api_base=stripe.url)
    gateway.customer(stripe.account.add_customer())
    assert SECRET_KEY not in repr(gateway) + str(gateway)
