"""The demo's stand-in for Stripe on a port of its own, with the faults that one meets."""

import socket
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Self

from newsletter_svc.demo.stand_in import events
from newsletter_svc.demo.stand_in.account import Account
from newsletter_svc.demo.stand_in.api import Answer, Api, Asked, Outcome, error, written
from newsletter_svc.demo.stand_in.counter import Counter
from newsletter_svc.demo.stand_in.server import StandInServer, url_of

SECRET_KEY = "sk_test_of_the_stand_in_4242"
WEBHOOK_SECRET = "whsec_of_the_stand_in"


class Fault(StrEnum):
    """What can go wrong with one request."""

    TOO_MANY = "429"
    BROKEN = "500"
    DROPPED = "dropped"
    """The connection closes before anything is done."""
    LOST_ANSWER = "lost answer"
    """All is done, and the connection closes before anybody hears of it."""
    SLOW = "slow"
    """Nothing comes until the test is over."""
    NONSENSE = "nonsense"


class HangUp(Exception):
    """Close the connection without an answer."""


class StripeStandIn:
    """Listens on a free port of loopback while the block lasts."""

    def __init__(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = url_of(listener)
        self.account = Account()
        self.account.url = self.url
        self._api = _FaultyApi(self.account, secret_key=SECRET_KEY)
        self._server = _QuietServer(listener, self._api, Counter(self.account))

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._api.over.set()
        self._server.__exit__()

    @property
    def asked(self) -> list[Asked]:
        """Every request to the API, as it came."""
        return self._api.asked

    def fail(self, *faults: Fault, at: str = "/v1/") -> None:
        """The next requests to paths that begin so go wrong, one after the other."""
        self._api.faults += [(at, fault) for fault in faults]

    def meanwhile(self, happens: Callable[[], object], *, at: str) -> None:
        """Let something happen, once, after a POST to such a path was done and before its answer arrives."""
        self._api.meanwhile.append((at, happens))

    def keys(self, path: str) -> list[str | None]:
        """The Idempotency-Keys of the POSTs to this path."""
        return [each.idempotency_key for each in self.asked if (each.method, each.path) == ("POST", path)]


class _QuietServer(StandInServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """What goes wrong here was asked for; the connection is closed by whoever calls this."""


class _FaultyApi(Api):
    def __init__(self, account: Account, *, secret_key: str) -> None:
        super().__init__(account, secret_key=secret_key)
        self.asked: list[Asked] = []
        self.faults: list[tuple[str, Fault]] = []
        self.meanwhile: list[tuple[str, Callable[[], object]]] = []
        self.over = threading.Event()

    def answer(self, asked: Asked, values: dict[str, Any], *, authorization: str | None) -> Answer:
        self.asked.append(asked)
        fault = self._take_fault(asked.path)
        if fault is Fault.SLOW:
            self.over.wait(60)
        if fault in (Fault.DROPPED, Fault.SLOW):
            raise HangUp
        if fault in (Fault.TOO_MANY, Fault.BROKEN):
            return written(error(int(fault), "rate_limit" if fault is Fault.TOO_MANY else "api_error"))
        answer = super().answer(asked, values, authorization=authorization)
        if fault is Fault.LOST_ANSWER:
            raise HangUp
        return Answer(answer.status, "<html>") if fault is Fault.NONSENSE else answer

    def perform(self, asked: Asked, values: dict[str, Any]) -> Outcome:
        outcome = super().perform(asked, values)
        for each in [each for each in self.meanwhile if asked.method == "POST" and asked.path.startswith(each[0])]:
            self.meanwhile.remove(each)
            each[1]()
        return outcome

    def _take_fault(self, path: str) -> Fault | None:
        for number, (start, fault) in enumerate(self.faults):
            if path.startswith(start):
                del self.faults[number]
                return fault
        return None


def signature(payload: bytes, *, secret: str = WEBHOOK_SECRET, seconds: int = 0) -> str:
    """The header for these bytes, made so many seconds from now."""
    return events.signature(payload, secret=secret, seconds=seconds)
