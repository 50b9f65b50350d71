"""Updating payment details as a reader does: press, and come back from the payment page."""

from urllib.parse import urlsplit

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.fakes.stripe import StripeStandIn

UPDATED = {"code": "billing_updated", "message": "Success! Your billing info has been updated."}
NOT_UPDATED = {"code": "billing_not_updated", "message": "Your billing was not updated."}


def press(client: FlaskClient, **fields: str) -> str:
    """Press "update billing"; the address of the payment page."""
    answer = client.post("/billing/update", json=fields)
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    assert set(answer.json) == {"url"}
    return str(answer.json["url"])


def session_of(url: str) -> str:
    """The Checkout session behind a payment page of the stand-in."""
    return url.rpartition("/")[2]


def come_back(
    client: FlaskClient, stripe: StripeStandIn, url: str, *, headers: dict[str, str] | None = None
) -> TestResponse:
    """Go where the payment page sends its visitors."""
    back = urlsplit(stripe.account.sessions[session_of(url)]["success_url"])
    return client.get(f"{back.path}?{back.query}", headers=headers)
