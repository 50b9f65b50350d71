"""Fetching a provider's certificate: https that is checked, no redirects, no long waits for what is not there."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from newsletter_svc.delivery.providers import fetching
from newsletter_svc.delivery.providers.fetching import LIMIT, NotFetched


class Answers(BaseHTTPRequestHandler):
    """`/file`, `/long`, `/elsewhere` (which leads to `/file`); nothing else."""

    def do_GET(self) -> None:
        known = {"/file": (200, b"a file"), "/long": (200, b"x" * 2 * LIMIT), "/elsewhere": (302, b"")}
        status, body = known.get(self.path, (404, b""))
        self.send_response(status)
        self.send_header("Location", "/file")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Tests print nothing."""


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as running:
        running.socket = context.wrap_socket(running.socket, server_side=True)
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"https://localhost:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))


def test_a_file_is_fetched_up_to_a_limit(server: str, trusted: None) -> None:
    assert fetching.fetch(f"{server}/file") == b"a file"
    assert len(fetching.fetch(f"{server}/long")) == LIMIT


@pytest.mark.parametrize("path", ["/elsewhere", "/nothing"])
def test_a_redirect_is_not_followed_and_an_error_is_no_file(server: str, trusted: None, path: str) -> None:
    with pytest.raises(NotFetched):
        fetching.fetch(f"{server}{path}")


def test_a_server_with_a_certificate_of_its_own_making_is_not_believed(server: str) -> None:
    with pytest.raises(NotFetched):
        fetching.fetch(f"{server}/file")


def test_a_server_that_is_not_there_is_no_file(server: str) -> None:
    with pytest.raises(NotFetched):
        fetching.fetch("https://127.0.0.1:1/file")
