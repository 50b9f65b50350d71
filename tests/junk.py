"""Hypothesis strategies for requests that nobody's browser would send, and for those that almost could be."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_from_bytes

from hypothesis import strategies as st
from hypothesis.vendor.pretty import RepresentationPrinter

JSON = "application/json"
FIELDS = (
    *("email", "name", "newsletters", "redirect", "website", "challenge", "code", "csrf", "List-Unsubscribe"),
    *("frequencies", "send_hour", "timezone", "language", "pause_weeks"),
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUUX", "post")
DOORS = (
    *(("POST", path) for path in ("/subscribe", "/signup", "/signin", "/signin/code", "/session/token")),
    *(("GET", path) for path in ("/session", "/sessions", "/messages", "/readyz", "/.well-known/jwks.json", "/")),
    *(("DELETE", path) for path in ("/session", "/sessions/7", "/sessions/9223372036854775808")),
    ("POST", "/api/digests/run-due"),
    *(("POST", "/api/subscribers"), ("GET", "/api/subscribers.csv"), ("POST", "/api/suppressions.csv")),
    *(("POST", "/billing/update"), ("GET", "/billing/return"), ("POST", "/webhooks/stripe")),
)
TOKEN_DOORS = tuple(
    (method, door) for door in ("/magic-link/", "/unsubscribe/", "/preferences/") for method in ("GET", "POST")
)
FOLDERS = ("/articles/", "/media/", "/mailbox/", "/static/", "/", "//", "/%00", "/../", "/signin/", "")
KINDS = (
    *(JSON, "application/json; charset=utf-16", "application/problem+json", "application/x-www-form-urlencoded"),
    *("multipart/form-data; boundary=b", "multipart/form-data", "multipart/form-data; boundary=", "text/plain", ""),
    *("application/x-www-form-urlencoded; charset=nonsense", "multipart/form-data; boundary*=utf-8''b", "a/b/c;;=,"),
)
HEADERS = (
    *("ACCEPT", "ACCEPT_LANGUAGE", "AUTHORIZATION", "COOKIE", "HOST", "ORIGIN", "REFERER", "SEC_FETCH_SITE", "RANGE"),
    *("USER_AGENT", "X_FORWARDED_FOR", "X_FORWARDED_HOST", "FORWARDED", "IF_NONE_MATCH", "IF_MODIFIED_SINCE"),
    *("CONTENT_ENCODING", "TRANSFER_ENCODING", "EXPECT", "X_HTTP_METHOD_OVERRIDE", "ACCESS_CONTROL_REQUEST_METHOD"),
)
SPICE = (
    b"\0",
    b"%00",
    b"%ff",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xe2\x80\xae",
    b"\r\n",
    b"%0d%0a",
    b"..",
    b"{{7*7}}",
    b"'",
)
"""Bytes that have broken something somewhere: NUL, halves of surrogates, marks that turn text, line ends."""

raw = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(SPICE),
    st.sampled_from(SPICE).map(lambda spice: spice * 400),
    st.text(max_size=30).map(lambda text: text.encode(errors="surrogatepass")),
)
header_text = st.one_of(
    st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=60),
    st.sampled_from(
        (JSON, "text/html", "*/*;q=0", "a" * 5_000, "http://", "null", "bytes=9-1", "gzip", "chunked", "[::", "é")
    ),
)
json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("ada@example.org"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), inner),
    max_leaves=12,
)


def _form(pairs: list[tuple[str, bytes]]) -> bytes:
    return b"&".join(name.encode() + b"=" + quote_from_bytes(value).encode() for name, value in pairs)


def _multipart(pairs: list[tuple[str, bytes]]) -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'
    return b"".join(head % name.encode() + value + b"\r\n" for name, value in pairs) + b"--b--\r\n"


def _mostly(usual: st.SearchStrategy[Any], odd: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 3).flatmap(lambda chance: usual if chance else odd)


address = st.sampled_from((b"ada@example.org", b"grace@example.org", b"a@\xc3\xa9.example"))
fields = st.builds(
    lambda given, more: [("email", given), *more],
    _mostly(address, raw),
    st.lists(st.tuples(st.sampled_from(FIELDS), raw | st.just(b"briefing")), max_size=4),
)
json_object = st.builds(
    lambda given, more: json.dumps({"email": given, **more}).encode(),
    _mostly(address.map(bytes.decode), json_value),
    st.dictionaries(st.sampled_from(FIELDS[1:]), json_value, max_size=4),
)
broken_json = st.one_of(
    json_value.map(lambda value: json.dumps(value).encode()),
    st.builds(lambda whole, length: whole[:length], json_object, st.integers(0, 60)),
    st.sampled_from((b"[" * 60_000, b'{"email":' + b"9" * 50_000 + b"}")),
)
any_body = st.one_of(
    raw, json_object, fields.map(_form), st.sampled_from((b"x" * 70_000, b"a=&" * 2_000, b"--b\r\n" * 2_000))
)
content = st.one_of(
    st.tuples(st.just(JSON), _mostly(json_object, broken_json)),
    st.tuples(st.just("application/x-www-form-urlencoded"), fields.map(_form)),
    st.tuples(st.just("multipart/form-data; boundary=b"), fields.map(_multipart)),
    st.tuples(st.sampled_from(KINDS) | header_text, any_body),
)
"""A body and what it says that it is; mostly both are right."""
queries = st.one_of(st.just(b""), raw, fields.map(_form), st.just(b"everywhere=true"), st.just(b"x=%" * 20_000))


@dataclass(frozen=True)
class Request:
    """A request as bytes, before a server has read it."""

    method: str
    path: bytes
    query: bytes
    headers: dict[str, str]
    content: tuple[str, bytes]

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:
        """Short: hypothesis refuses to print 60 kB of the same."""
        kind, body = self.content
        headers = {name: value[:200] for name, value in self.headers.items()}
        printer.text(
            f"{self.method} {self.path[:500]!r} ? {self.query[:500]!r} {headers} {kind[:200]!r} {body[:2000]!r}"
        )


@st.composite
def requests(draw: st.DrawFn, tokens: tuple[str, ...] = ()) -> Request:
    """A request of any sort; `tokens` are good ones, which appear whole, cut and with junk behind them."""
    method, path = draw(st.one_of(_doors, _token_doors(tokens), _wrong_methods, _folders))
    return Request(
        method,
        path,
        query=draw(queries),
        headers=draw(st.dictionaries(st.sampled_from(HEADERS), header_text, max_size=4)),
        content=draw(content),
    )


_paths = st.sampled_from([path.encode() for _, path in DOORS])
_doors = st.sampled_from([(method, path.encode()) for method, path in DOORS])
_wrong_methods = st.tuples(st.sampled_from(METHODS), _paths)
_folders = st.tuples(
    st.sampled_from(METHODS), st.builds(lambda head, end: head.encode() + end, st.sampled_from(FOLDERS), raw)
)


def _token_doors(tokens: tuple[str, ...]) -> st.SearchStrategy[tuple[str, bytes]]:
    token = st.one_of(raw, *[_mostly(st.just(good), _spoilt(good)) for good in map(str.encode, tokens)])
    end = st.sampled_from((b"", b"", b"/renew"))
    return st.builds(
        lambda door, token, end: (door[0], door[1].encode() + token + end), st.sampled_from(TOKEN_DOORS), token, end
    )


def _spoilt(token: bytes) -> st.SearchStrategy[bytes]:
    return st.builds(lambda length, junk: token[:length] + junk, st.integers(0, len(token)), raw)
