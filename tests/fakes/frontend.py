"""Somebody's own site: pages on an origin of its own, each under the content policy that the site was given."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit


class Frontend:
    """Listens on a free port of loopback while the block lasts. `127.0.0.2` is another site, not only an origin."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.pages: dict[str, str] = {}
        self.policy = "default-src 'none'"
        self._server = ThreadingHTTPServer((host, 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.url = f"http://{host}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        frontend = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = urlsplit(self.path).path
                page = frontend.pages.get(path)
                kind = {"js": "text/javascript", "css": "text/css"}.get(path.rpartition(".")[2], "text/html")
                self.send_response(204 if page is None else 200)
                self.send_header("Content-Security-Policy", frontend.policy)
                self.send_header("Content-Type", f"{kind}; charset=utf-8")
                self.end_headers()
                with contextlib.suppress(BrokenPipeError):  # The window was closed meanwhile.
                    self.wfile.write((page or "").encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler
