"""Raw bytes on a socket, through gunicorn: whatever comes in, the service answers or hangs up, and goes on."""

import re
import socket
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter_svc.parts import Parts
from tests import junk
from tests.e2e.service import Service
from tests.fuzzing import INSIDE, check_books

BY_THE_SERVER = {501, 505}
"""gunicorn's own answers to what it does not speak: a foreign Transfer-Encoding, a foreign version of HTTP."""
SHARED = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)
SHORT = settings(max_examples=150, derandomize=True, database=None, suppress_health_check=SHARED)
LONG = settings(max_examples=10_000, database=None, suppress_health_check=SHARED)
HOST = b"Host: localhost\r\nConnection: close\r\n"
POST = b"POST /signin HTTP/1.1\r\n" + HOST
MISSHAPEN = (
    b"",
    b"\r\n\r\n\r\n",
    b"GET /\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /\x00 HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /?\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /%00%ff%c0%80 HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET http://evil.example/session HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /session HTTP/1.1\r\n\r\n",
    b"GET /session HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /session HTTP/1.1\r\nHost: " + b"x" * 64 + b"\r\n\r\n",
    b"GET /session HTTP/1.1\r\n" + HOST + b"Cookie: session=\xff\x00\r\n\r\n",
    b"GET /session HTTP/1.1\r\n" + HOST + b"Cookie: " + b"session=a;" * 700 + b"\r\n\r\n",
    b"GET /session HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 500 + b"\r\n",
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /session HTTP/1.1\r\n" + HOST + b"X: a\r\n folded\r\n\r\n",
    b"GET /session HTTP/1.1\r\n" + HOST + b"Bad Name: a\r\n\r\n",
    POST + b"Content-Length: -1\r\n\r\n",
    POST + b"Content-Length: 99999999999999999999\r\n\r\n{}",
    POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    POST + b"Content-Length: 50\r\nContent-Type: application/json\r\n\r\n{",
    POST + b"Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\nffffffff\r\n{",
    POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    POST + b"Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
)


def on_the_wire(request: junk.Request) -> bytes:
    """The request as a client writes it that escapes its address, and nothing else."""
    kind, body = request.content
    target = quote_from_bytes(request.path, "/%") + "?" + quote_from_bytes(request.query[:2_000], "=&%")
    lines = [
        f"{request.method} {target} HTTP/1.1".encode(),
        b"Connection: close",
        b"Host: localhost",
        b"Content-Type: " + kind.encode("latin-1"),
        b"Content-Length: %d" % len(body),
    ]
    for name, value in request.headers.items():
        lines.append(name.replace("_", "-").encode() + b": " + value.encode("latin-1"))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


whole = junk.requests().map(on_the_wire)
spoilt = st.builds(
    lambda sent, at, spice: sent[:at] + spice + sent[at:], whole, st.integers(0, 200), junk.raw | st.just(b"\r\n\r\n")
)
cut = st.builds(lambda sent, at: sent[:at], whole, st.integers(0, 300))


def tell(port: int, sent: bytes) -> bytes:
    """Send these bytes and nothing more; whatever comes back until the service hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        answer = b""
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            while received := connection.recv(65_536):
                answer += received
        except TimeoutError:
            raise
        except OSError:
            pass  # It hung up before it had heard everything, as it should on 70 kB of nonsense.
        return answer


def check_told(port: int, sent: bytes) -> None:
    answer = tell(port, sent)
    assert not INSIDE.search(answer), answer[:2_000]
    for status in map(int, re.findall(rb"^HTTP/1\.1 (\d{3}) ", answer)):
        assert status < 500 or status in BY_THE_SERVER, answer[:500]


def tell_often(service: Service, parts: Parts, how: settings) -> None:
    """Tell the service all sorts of things; afterwards it must be what it was before."""
    workers = service.worker_ids()

    @how
    @given(sent=st.one_of(whole, spoilt, st.one_of(cut, junk.raw)))
    def telling(sent: bytes) -> None:
        check_told(service.port, sent)

    telling()
    for sent in MISSHAPEN:
        check_told(service.port, sent)
    assert service.worker_ids() == workers, "a worker has died"
    assert service.is_ready()
    log = service.log.read_text(errors="replace")
    assert "Traceback" not in log
    assert "request_failed" not in log
    check_books(parts.database)


def test_no_bytes_on_the_socket_break_the_service(service: Service, parts: Parts) -> None:
    tell_often(service, parts, SHORT)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_no_bytes_on_the_socket_break_the_service_however_many(service: Service, parts: Parts) -> None:
    tell_often(service, parts, LONG)


@pytest.mark.parametrize("path", [b"/subscribe", b"/signin"])
@pytest.mark.parametrize("kind", [b"application/json", b"application/x-www-form-urlencoded"])
@pytest.mark.parametrize("is_chunked", [True, False], ids=["chunks", "a declared length"])
def test_a_body_beyond_the_limit_is_refused_and_the_refusal_arrives(
    service: Service, path: bytes, kind: bytes, is_chunked: bool
) -> None:
    start = b'{"email": "ada@example.org"}' if kind.endswith(b"json") else b"email=ada@example.org&name=Ada"
    head = b"POST " + path + b" HTTP/1.1\r\n" + HOST + b"Content-Type: " + kind + b"\r\n"
    for body, status in ((start, b"202"), (start + b" " * 900_000, b"413")):
        if is_chunked:
            sent = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
        else:
            sent = b"Content-Length: %d\r\n\r\n" % len(body) + body
        assert tell(service.port, head + sent).split(b" ", 2)[1] == status
