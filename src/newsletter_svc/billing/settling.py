"""What follows from a visit to the payment page, whoever tells us of it first: the reader who is back, or an event."""

from datetime import datetime
from enum import StrEnum

import structlog

from newsletter_svc import audit
from newsletter_svc.audit import Event
from newsletter_svc.billing import customers, events, updates
from newsletter_svc.billing.events import EventType, StripeEvent
from newsletter_svc.billing.failures import NotAtStripe
from newsletter_svc.billing.gateway import Checkout, Gateway
from newsletter_svc.billing.models import BillingUpdate
from newsletter_svc.db import Database

log = structlog.get_logger()


class Outcome(StrEnum):
    UPDATED = "updated"
    NOT_UPDATED = "not_updated"


class Settler:
    """Brings what Stripe knows into effect. No transaction is open while Stripe is asked."""

    def __init__(self, database: Database, gateway: Gateway, *, message_domain: str) -> None:
        self._database = database
        self._gateway = gateway
        self._message_domain = message_domain

    def settle(self, begun: BillingUpdate, *, session_id: str | None, now: datetime) -> Outcome:
        """Put the new card to use, if there is one; doing it again, or at the same time, changes nothing more."""
        if begun.done_at is not None:
            return Outcome.UPDATED
        if session_id is None:
            return Outcome.NOT_UPDATED
        card = _card_of(self._gateway.checkout(session_id), begun, session_id)
        if card is None or self._is_overtaken(begun):
            return Outcome.NOT_UPDATED
        self._gateway.use_card(begun.customer_id, card)
        with self._database.transaction() as session:
            updates.finish(session, begun, message_domain=self._message_domain, now=now)
        return Outcome.UPDATED

    def hear(self, event: StripeEvent, *, now: datetime) -> None:
        """Do what an event asks for, and remember that. What Stripe has no longer is nothing to act on."""
        with self._database.reading() as session:
            if events.is_heard(session, event):
                return
        try:
            self._act(event, now=now)
        except NotAtStripe:
            log.info("stripe_event_without_object", stripe_event=event.id, type=event.type)
        with self._database.transaction() as session:
            events.remember(session, event, now=now)

    def _act(self, event: StripeEvent, *, now: datetime) -> None:
        match event.type:
            case EventType.CHECKOUT_COMPLETED if event.update_key is None:
                found = self._gateway.checkout(event.object_id)
                self._link(found.subscriber, found.customer_id, now=now)
            case EventType.CUSTOMER_CREATED | EventType.CUSTOMER_UPDATED:
                customer = self._gateway.customer(event.object_id)
                self._link(None if customer.is_deleted else customer.subscriber, event.object_id, now=now)
            case EventType.CHECKOUT_COMPLETED | EventType.CARD_SAVED:
                self._settle_named(event, now=now)

    def _settle_named(self, event: StripeEvent, *, now: datetime) -> None:
        """The press that an event names. The event may come before the answer that told us the session's id."""
        with self._database.reading() as session:
            begun = updates.find(session, event.update_key or "")
        if begun is not None:
            is_session = event.type == EventType.CHECKOUT_COMPLETED
            self.settle(begun, session_id=event.object_id if is_session else begun.session_id, now=now)

    def _link(self, public_id: str | None, customer_id: str | None, *, now: datetime) -> None:
        if public_id is None or customer_id is None:
            return
        with self._database.transaction() as session:
            subscriber_id = customers.link_unless_linked(session, public_id, customer_id, now=now)
            if subscriber_id is not None:
                audit.record(session, Event.BILLING_LINKED, reason="event", subscriber_id=subscriber_id, now=now)

    def _is_overtaken(self, begun: BillingUpdate) -> bool:
        with self._database.reading() as session:
            return updates.is_overtaken(session, begun)


def _card_of(checkout: Checkout, begun: BillingUpdate, session_id: str) -> str | None:
    """The card that was set up, unless the session is of another press or of another customer."""
    is_its_own = begun.session_id in (None, session_id) and checkout.update_key == begun.key
    if not is_its_own or checkout.customer_id != begun.customer_id:
        log.warning("stripe_session_of_somebody_else", billing_update=begun.id)
        return None
    return checkout.card
