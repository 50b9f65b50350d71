"""A stand-in for Stripe over HTTP, with the faults that one meets; clearly none, to whoever opens its payment page."""

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from tests.fakes.stripe_account import Account, NotFound

SECRET_KEY = "sk_test_of_the_stand_in_4242"
PAY_PAGE = """<!doctype html><html lang="en"><title>Stand-in for Stripe</title>
<h1>This is a stand-in. No card is asked for, no money moves.</h1>
<form method="post"><button name="do" value="save">Save a new card</button></form>
<p><a id="cancel" href="{cancel_url}">Back without saving</a></p>
"""


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


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    idempotency_key: str | None


class StripeStandIn:
    """Listens on a free port of loopback while the block lasts."""

    def __init__(self) -> None:
        self.account = Account()
        self.asked: list[Asked] = []
        self._meanwhile: list[tuple[str, Callable[[], object]]] = []
        self._faults: list[tuple[str, Fault]] = []
        self._answers: dict[str, tuple[object, int, object]] = {}
        self._over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.account.url = self.url

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def fail(self, *faults: Fault, at: str = "/v1/") -> None:
        """The next requests to paths that begin so go wrong, one after the other."""
        self._faults += [(at, fault) for fault in faults]

    def meanwhile(self, happens: Callable[[], object], *, at: str) -> None:
        """Let something happen, once, after a POST to such a path was done and before its answer arrives."""
        self._meanwhile.append((at, happens))

    def keys(self, path: str) -> list[str | None]:
        """The Idempotency-Keys of the POSTs to this path."""
        return [each.idempotency_key for each in self.asked if (each.method, each.path) == ("POST", path)]

    def take_fault(self, path: str) -> Fault | None:
        for number, (start, fault) in enumerate(self._faults):
            if path.startswith(start):
                del self._faults[number]
                return fault
        return None

    def answer(self, asked: Asked, values: dict[str, Any]) -> tuple[int, object]:
        """What Stripe would answer; the same for the same Idempotency-Key, as long as the same is asked."""
        key = asked.idempotency_key
        if key is not None and key in self._answers:
            before, status, body = self._answers[key]
            return (status, body) if before == (asked.path, values) else _error(400, "idempotency_error")
        status, body = self._do(asked, values)
        for each in [each for each in self._meanwhile if asked.method == "POST" and asked.path.startswith(each[0])]:
            self._meanwhile.remove(each)
            each[1]()
        if key is not None:
            self._answers[key] = ((asked.path, values), status, json.loads(json.dumps(body)))
        return status, body

    def _do(self, asked: Asked, values: dict[str, Any]) -> tuple[int, object]:
        account, (kind, _, name) = self.account, asked.path.removeprefix("/v1/").rpartition("/")
        try:
            match asked.method, kind or name:
                case "POST", "checkout":
                    return 200, account.create_session(values)
                case "GET", "subscriptions":
                    return 200, account.list_subscriptions(values)
                case "GET", "checkout/sessions":
                    return 200, _one(account.sessions, name)
                case "GET", "setup_intents":
                    return 200, _one(account.intents, name)
                case "GET", "customers":
                    return 200, _one(account.customers, name)
                case "POST", "customers":
                    return 200, _merge(_one(account.customers, name), values)
                case "POST", "subscriptions":
                    return 200, _merge(_one(account.subscriptions, name), values)
        except NotFound as error:
            return _error(404, "invalid_request_error", code="resource_missing", param=str(error))
        return _error(404, "invalid_request_error")

    def _handler(stand_in) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler inside.
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Tests look at `asked`."""

            def do_GET(self) -> None:
                path, query = urlsplit(self.path).path, dict(parse_qsl(urlsplit(self.path).query))
                if path.startswith("/pay/"):
                    session = stand_in.account.sessions[path.rpartition("/")[2]]
                    return self.send(200, PAY_PAGE.format(cancel_url=session["cancel_url"]), kind="text/html")
                if path == "/favicon.ico":
                    return self.send(204, "", kind="image/x-icon")
                return self.serve("GET", path, query)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                if self.path.startswith("/pay/"):
                    session = stand_in.account.sessions[self.path.rpartition("/")[2]]
                    stand_in.account.enter_card(session["id"])
                    return self.send(303, "", headers={"Location": session["success_url"]})
                return self.serve("POST", self.path, _nested(parse_qsl(body)))

            def serve(self, method: str, path: str, values: dict[str, Any]) -> None:
                asked = Asked(method, path, self.headers.get("Idempotency-Key"))
                stand_in.asked.append(asked)
                if self.headers["Authorization"] != f"Bearer {SECRET_KEY}":
                    status, refusal = _error(
                        401, "invalid_request_error", message="Invalid API Key provided: sk_test_***4242"
                    )
                    return self.send(status, json.dumps(refusal))
                fault = stand_in.take_fault(path)
                if fault is Fault.SLOW:
                    stand_in._over.wait(60)
                if fault in (Fault.DROPPED, Fault.SLOW):
                    return None
                if fault in (Fault.TOO_MANY, Fault.BROKEN):
                    kind = "rate_limit" if fault is Fault.TOO_MANY else "api_error"
                    return self.send(int(fault), json.dumps(_error(0, kind)[1]))
                status, body = stand_in.answer(asked, values)
                if fault is Fault.LOST_ANSWER:
                    return None
                return self.send(status, "<html>" if fault is Fault.NONSENSE else json.dumps(body))

            def send(
                self, status: int, body: str, *, kind: str = "application/json", headers: dict[str, str] | None = None
            ) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Request-Id", "req_of_the_stand_in")
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

        return Handler


def _one(found: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    if name not in found:
        raise NotFound("id")
    return found[name]


def _merge(found: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    for name, value in values.items():
        if isinstance(value, dict):
            _merge(found.setdefault(name, {}), value)
        else:
            found[name] = value
    return found


def _nested(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """`a[b][c]=1` as `{"a": {"b": {"c": "1"}}}`; what the SDK numbers stays a dict."""
    values: dict[str, Any] = {}
    for name, value in pairs:
        *path, last = re.findall(r"[^\[\]]+", name)
        place = values
        for step in path:
            place = place.setdefault(step, {})
        place[last] = value
    return values


def _error(status: int, kind: str, **more: str) -> tuple[int, object]:
    return status, {"error": {"type": kind, "message": "The stand-in says no.", **more}}
