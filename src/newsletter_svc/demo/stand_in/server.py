"""The stand-in over HTTP, on a socket of loopback: the API under `/v1/`, pages for people elsewhere."""

import socket
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from newsletter_svc.demo.stand_in.account import Account
from newsletter_svc.demo.stand_in.api import Api, Asked, nested
from newsletter_svc.demo.stand_in.counter import Counter, Page
from newsletter_svc.demo.stand_in.events import Herald

LONGEST_BODY = 64 * 1024
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


class StandInServer(ThreadingHTTPServer):
    """Listens while the block lasts."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, api: Api, counter: Counter) -> None:
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.api = api
        self.counter = counter
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, name="stand-in")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


def open_for(
    listener: socket.socket,
    *,
    secret_key: str,
    webhook_secret: str,
    webhook_url: str,
    shop_url: str,
    customers: Iterable[str] = (),
) -> StandInServer:
    """A server with an account of its own, whose events go to this webhook and which has these customers already."""
    account = Account()
    account.url = url_of(listener)
    for customer_id in customers:
        account.add_subscription(account.add_customer(customer_id))
    herald = Herald(webhook_url, secret=webhook_secret)
    counter = Counter(account, herald=herald, shop_url=shop_url)
    return StandInServer(listener, Api(account, secret_key=secret_key), counter)


def url_of(listener: socket.socket) -> str:
    """`http://127.0.0.1:41234`, where such a server is found."""
    host, port = listener.getsockname()
    return f"http://{host}:{port}"


class _Handler(BaseHTTPRequestHandler):
    server: StandInServer

    def log_message(self, *_: object) -> None:
        """The terminal belongs to the service."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path.startswith("/v1/"):
            self._serve_api(parts.path, parse_qsl(parts.query))
        elif parts.path == "/favicon.ico":
            self._send(204, "", kind="image/x-icon")
        else:
            self._show(self.server.counter.show(parts.path))

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > LONGEST_BODY:
            return self._send(413, "", kind="text/plain")
        fields = parse_qsl(self.rfile.read(int(length)).decode(errors="replace"))
        if self.path.startswith("/v1/"):
            return self._serve_api(self.path, fields)
        return self._show(self.server.counter.take(self.path, dict(fields)))

    def _serve_api(self, path: str, fields: list[tuple[str, str]]) -> None:
        asked = Asked(self.command, path, self.headers.get("Idempotency-Key"))
        authorization = self.headers.get("Authorization")
        answer = self.server.api.answer(asked, nested(fields), authorization=authorization)
        self._send(answer.status, answer.body, kind="application/json")

    def _show(self, page: Page) -> None:
        headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-store"}
        if page.location is not None:
            headers["Location"] = page.location
        self._send(page.status, page.html, kind="text/html; charset=utf-8", headers=headers)

    def _send(self, status: int, body: str, *, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body.encode())))
        self.send_header("Request-Id", "req_of_the_stand_in")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())
