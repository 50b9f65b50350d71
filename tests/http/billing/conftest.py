"""A service whose Stripe is the stand-in, and a signed-in reader who is a customer there."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from newsletter_svc.billing import customers
from newsletter_svc.clock import utcnow
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import people
from newsletter_svc.subscribers.addresses import parse
from tests.doors import sign_in
from tests.fakes.stripe import SECRET_KEY, WEBHOOK_SECRET, StripeStandIn
from tests.inbox import Inbox


@pytest.fixture
def stripe() -> Iterator[StripeStandIn]:
    with StripeStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def settings(settings: Settings, stripe: StripeStandIn) -> Settings:
    return replace(
        settings,
        stripe_secret_key=SECRET_KEY,
        stripe_webhook_secret=WEBHOOK_SECRET,
        stripe_api_base=stripe.url,
    )


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK waits half a second and more before each retry; what it does then is the same without."""
    monkeypatch.setattr("stripe.HTTPClient.INITIAL_DELAY", 0)
    monkeypatch.setattr("stripe.HTTPClient.MAX_DELAY", 0)


@pytest.fixture
def reader(client: FlaskClient, inbox: Inbox) -> FlaskClient:
    """The browser of ada@example.org, signed in."""
    sign_in(client, inbox)
    return client


@pytest.fixture
def customer(parts: Parts, stripe: StripeStandIn, reader: FlaskClient) -> str:
    """Who the reader is at Stripe."""
    customer_id = stripe.account.add_customer()
    with parts.database.transaction() as session:
        person = people.find(session, parse("ada@example.org"))
        assert person is not None
        customers.link(session, person.id, customer_id, now=utcnow())
    return customer_id
