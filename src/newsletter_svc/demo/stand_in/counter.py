"""What people meet at the stand-in: the payment page, and the shop in which a reader of the demo becomes a customer."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from newsletter_svc.billing.gateway import SUBSCRIBER
from newsletter_svc.demo.stand_in.account import Account, Object
from newsletter_svc.demo.stand_in.events import Herald

PAGES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)


@dataclass(frozen=True)
class Page:
    """What a browser gets: a page, or with `location` the way to another one."""

    status: int
    html: str = ""
    location: str | None = field(default=None)


class Counter:
    """Serves visitors in the name of one account. `herald` hears what they did; `shop_url` is where the shop ends."""

    def __init__(self, account: Account, *, herald: Herald | None = None, shop_url: str = "/") -> None:
        self._account = account
        self._herald = herald
        self._shop_url = shop_url

    def show(self, path: str) -> Page:
        """GET: the payment page of a Checkout session, or what this server is."""
        session = self._session(path)
        if session is not None:
            return _page(200, "pay.html", session=session)
        return _page(200 if path == "/" else 404, "stand_in.html", shop_url=self._shop_url)

    def take(self, path: str, fields: dict[str, str]) -> Page:
        """POST: a new card on the payment page, or a purchase in the shop."""
        if path == "/shop" and fields.get("subscriber"):
            return self._sell(fields["subscriber"])
        session = self._session(path)
        if session is None or session["status"] != "open":
            return _page(404, "stand_in.html", shop_url=self._shop_url)
        return self._save_card(session)

    def _save_card(self, session: Object) -> Page:
        """The events go their own way, as the real ones: before the visitor is back, or after."""
        self._account.enter_card(session["id"])
        intent = self._account.intents[session["setup_intent"]]
        told = (("checkout.session.completed", session), ("setup_intent.succeeded", intent))
        threading.Thread(target=self._tell, args=told, name="herald", daemon=True).start()
        return Page(303, location=session["success_url"])

    def _sell(self, subscriber: str) -> Page:
        """A customer with a subscription; the service knows of it before the visitor is back."""
        customer_id = self._account.add_customer(**{SUBSCRIBER: subscriber})
        self._account.add_subscription(customer_id)
        self._tell(("customer.created", self._account.customers[customer_id]))
        return Page(303, location=self._shop_url)

    def _tell(self, *events: tuple[str, Object]) -> None:
        for kind, subject in events:
            if self._herald is not None:
                self._herald.tell(kind, subject)

    def _session(self, path: str) -> Object | None:
        return self._account.sessions.get(path.removeprefix("/pay/")) if path.startswith("/pay/") else None


def _page(status: int, template: str, **values: object) -> Page:
    return Page(status, PAGES.get_template(template).render(values))
