"""All that we ask of Stripe, and nothing of the SDK beyond this module."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from newsletter_svc.billing.events import UPDATE_KEY
from newsletter_svc.billing.failures import NotAtStripe, StripeRefused, StripeUnavailable

# The SDK takes as long to import as the rest of a command; who has nothing to do with billing does not wait for it.
if TYPE_CHECKING:
    from stripe import StripeClient
    from stripe.params.checkout import SessionCreateParams

CONNECT_SECONDS = 4.0
ANSWER_SECONDS = 12.0
RETRIES = 2
"""By the SDK, after a pause, with the same Idempotency-Key."""
SUBSCRIBER = "newsletter_subscriber"
"""In the metadata of a customer or a Checkout session: the subscriber's public id, the `sub` of a pass."""
_PAYING = frozenset({"active", "trialing", "past_due", "unpaid", "incomplete", "paused"})
"""Subscriptions for which money may still be taken."""


@dataclass(frozen=True)
class PaymentPage:
    """Where a reader enters a new card."""

    session_id: str
    url: str


@dataclass(frozen=True)
class Checkout:
    """A Checkout session as it is now."""

    customer_id: str | None
    update_key: str | None
    subscriber: str | None
    """The public id of the subscriber whom a shop of the publication made it for."""
    card: str | None
    """The payment method that was set up; None while, or if, there is none."""


@dataclass(frozen=True)
class CustomerRecord:
    """A customer as Stripe has it now."""

    is_deleted: bool
    subscriber: str | None


class Gateway:
    """Stripe, as far as billing needs it. Every method may raise StripeUnavailable, StripeRefused and NotAtStripe."""

    def __init__(self, secret_key: str, *, api_base: str, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._secret_key = secret_key
        self._api_base = api_base
        self._timeout = (CONNECT_SECONDS, answer_seconds)

    def open_page(self, key: str, customer_id: str, *, success_url: str, cancel_url: str) -> PaymentPage:
        """A page on which this customer sets up a card. The same key gets the same page."""
        wanted: SessionCreateParams = {
            "mode": "setup",
            "customer": customer_id,
            "allowed_payment_method_types": ["card"],
            "success_url": success_url,
            "cancel_url": cancel_url,
            "metadata": {UPDATE_KEY: key},
            "setup_intent_data": {"metadata": {UPDATE_KEY: key}},
        }
        with _translated():
            made = self._client.v1.checkout.sessions.create(wanted, {"idempotency_key": key})
        if not made.url:
            raise StripeUnavailable("a page without an address")
        return PaymentPage(made.id, made.url)

    def checkout(self, session_id: str) -> Checkout:
        """What has become of a visit to the payment page."""
        with _translated():
            found = self._client.v1.checkout.sessions.retrieve(session_id).to_dict()
            is_done = found.get("mode") == "setup" and found.get("status") == "complete"
            intent_id = _id(found.get("setup_intent")) if is_done else None
            intent = self._client.v1.setup_intents.retrieve(intent_id).to_dict() if intent_id else {}
        metadata = found.get("metadata") or {}
        customer_id = _id(found.get("customer"))
        is_good = intent.get("status") == "succeeded" and _id(intent.get("customer")) in (None, customer_id)
        card = _id(intent.get("payment_method")) if is_good else None
        return Checkout(customer_id, metadata.get(UPDATE_KEY), metadata.get(SUBSCRIBER), card)

    def customer(self, customer_id: str) -> CustomerRecord:
        with _translated():
            found = self._client.v1.customers.retrieve(customer_id).to_dict()
        metadata = found.get("metadata") or {}
        return CustomerRecord(bool(found.get("deleted")), metadata.get(SUBSCRIBER))

    def use_card(self, customer_id: str, card: str) -> None:
        """Make this card the one that invoices and every living subscription are paid with. Repeating it is harmless.

        The SDK makes a new Idempotency-Key for each call. One that outlived the call would be answered with the
        failure of the first try for a day, whenever Stripe has noted one.
        """
        with _translated():
            paying = self._client.v1.subscriptions.list({"customer": customer_id, "limit": 100})
            for each in paying.auto_paging_iter():
                if each.status in _PAYING:
                    self._client.v1.subscriptions.update(each.id, {"default_payment_method": card})
            # Last, so that a customer with the new card is one whose subscriptions all have it.
            self._client.v1.customers.update(customer_id, {"invoice_settings": {"default_payment_method": card}})

    @cached_property
    def _client(self) -> "StripeClient":
        from stripe import RequestsClient, StripeClient

        return StripeClient(
            self._secret_key,
            base_addresses={"api": self._api_base},
            max_network_retries=RETRIES,
            http_client=RequestsClient(timeout=self._timeout),
        )


@contextmanager
def _translated() -> Iterator[None]:
    """Errors of the SDK in our words. Theirs quote the ends of keys, and what was sent."""
    import stripe

    try:
        yield
    except stripe.InvalidRequestError as error:
        if error.code == "resource_missing":
            raise NotAtStripe(f"no such {error.param or 'object'}") from None
        raise StripeRefused(_reason(error)) from None
    except (stripe.APIConnectionError, stripe.RateLimitError, stripe.IdempotencyError) as error:
        raise StripeUnavailable(_reason(error)) from None
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        raise StripeRefused(_reason(error)) from None
    except stripe.StripeError as error:
        raise StripeUnavailable(_reason(error)) from None


def _reason(error: Any) -> str:
    """`RateLimitError 429 rate_limit`: enough to look it up by."""
    return " ".join(str(each) for each in (type(error).__name__, error.http_status, error.code) if each)


def _id(value: Any) -> str | None:
    """The id of an object that Stripe gives as its id or whole."""
    found = value.get("id") if isinstance(value, dict) else value
    return found if isinstance(found, str) else None
