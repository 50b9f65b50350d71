"""The care for claims: a thread beside those that send, which may be waiting for a mail server for minutes."""

import threading
from collections.abc import Callable

import structlog

from newsletter_svc.clock import utcnow
from newsletter_svc.delivery import notices
from newsletter_svc.delivery.sender import Sender

CARE_SECONDS = 5.0

log = structlog.get_logger()


class Care(threading.Thread):
    """Settles what killed senders left, and keeps the leases of the living, until the sender stops.

    And owes the operator what an alert has to say. `found` is called when something became due by that.
    """

    def __init__(self, sender: Sender, *, found: Callable[[], object]) -> None:
        super().__init__(name="sender-care", daemon=True)
        self._sender = sender
        self._found = found

    def run(self) -> None:
        sender, seconds = self._sender, min(CARE_SECONDS, self._sender.settings.delivery_lease_seconds / 3)
        while not sender.stopping.is_set():
            try:
                sender.claims.renew()
                settled = sender.claims.recover()
                sender.claims.fullness.tell(now=utcnow())
                if notices.owe_due(sender.database, sender.settings, now=utcnow()) or settled:
                    self._found()
            except Exception as error:
                # The class only: the text of a database error quotes rows, and rows hold addresses.
                log.error("sender_trouble", during="care", error=type(error).__name__)
            sender.stopping.wait(seconds)
