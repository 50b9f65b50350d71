"""An account at the stand-in for Stripe: customers, Checkout in setup mode, set-up intents, subscriptions."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

Object = dict[str, Any]


class NotFound(Exception):
    """`resource_missing`, with the parameter that named it."""


class NotWanted(Exception):
    """A parameter that is missing, or asks for what the stand-in does not do."""


class Account:
    """What the account holds, by id; whoever holds it changes it as a shop, or Stripe itself, would."""

    def __init__(self) -> None:
        self.url = ""
        """Where payment pages are."""
        self.customers: dict[str, Object] = {}
        self.sessions: dict[str, Object] = {}
        self.intents: dict[str, Object] = {}
        self.subscriptions: dict[str, Object] = {}

    # What a shop does.

    def add_customer(self, customer_id: str | None = None, **metadata: str) -> str:
        customer_id = customer_id or _new("cus")
        self.customers[customer_id] = {
            "id": customer_id,
            "object": "customer",
            "metadata": metadata,
            "invoice_settings": {"default_payment_method": "pm_old"},
        }
        return customer_id

    def add_subscription(self, customer_id: str, status: str = "active") -> str:
        found = {
            "id": _new("sub"),
            "object": "subscription",
            "customer": customer_id,
            "status": status,
            "default_payment_method": "pm_old",
        }
        self.subscriptions[found["id"]] = found
        return str(found["id"])

    def default_card(self, customer_id: str) -> str:
        return str(self.customers[customer_id]["invoice_settings"]["default_payment_method"])

    def cards(self, customer_id: str) -> set[str]:
        """Every card that something of this customer's is paid with."""
        paid = (each for each in self.subscriptions.values() if each["customer"] == customer_id)
        return {self.default_card(customer_id), *(each["default_payment_method"] for each in paid)}

    # What a reader does on the payment page.

    def enter_card(self, session_id: str, *, status: str = "succeeded") -> str:
        """A new card; its id. With another status the bank has not agreed (yet)."""
        session = self.sessions[session_id]
        intent = self.intents[session["setup_intent"]]
        intent |= {"status": status, "payment_method": _new("pm")}
        session |= {"status": "complete", "url": None}
        return str(intent["payment_method"])

    # What the API does.

    def create_session(self, wanted: Mapping[str, Any]) -> Object:
        if wanted["customer"] not in self.customers or self.customers[wanted["customer"]].get("deleted"):
            raise NotFound("customer")
        if wanted.get("mode") != "setup":
            raise NotWanted("mode")
        if not (wanted.get("currency") or wanted.get("allowed_payment_method_types")):
            raise NotWanted("currency")
        session_id = _new("cs_test")
        intent = {
            "id": _new("seti"),
            "object": "setup_intent",
            "status": "requires_payment_method",
            "customer": wanted["customer"],
            "payment_method": None,
            "metadata": wanted.get("setup_intent_data", {}).get("metadata", {}),
        }
        self.intents[intent["id"]] = intent
        self.sessions[session_id] = {
            "id": session_id,
            "object": "checkout.session",
            "mode": "setup",
            "status": "open",
            "customer": wanted["customer"],
            "setup_intent": intent["id"],
            "metadata": wanted.get("metadata", {}),
            "success_url": wanted["success_url"].replace("{CHECKOUT_SESSION_ID}", session_id),
            "cancel_url": wanted["cancel_url"],
            "url": f"{self.url}/pay/{session_id}",
        }
        return self.sessions[session_id]

    def list_subscriptions(self, query: Mapping[str, str]) -> Object:
        """Two on a page, whatever is asked for, so that whoever reads only the first page is found out."""
        mine = [
            each
            for each in list(self.subscriptions.values())
            if each["customer"] == query["customer"] and each["status"] != "canceled"
        ]
        ids = [each["id"] for each in mine]
        start = ids.index(query["starting_after"]) + 1 if "starting_after" in query else 0
        page = mine[start : start + 2]
        return {"object": "list", "url": "/v1/subscriptions", "data": page, "has_more": start + 2 < len(mine)}


def _new(prefix: str) -> str:
    return f"{prefix}_{uuid4().hex}"
