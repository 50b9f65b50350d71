"""From the greeting to the first message: EHLO, STARTTLS, AUTH. Yields commands, is sent replies, touches no socket."""

import base64
from collections.abc import Generator
from dataclasses import dataclass, field
from enum import Enum, auto

from newsletter_svc.mail import replies
from newsletter_svc.mail.bulk.parcels import RawReply
from newsletter_svc.mail.failures import SenderRefused, ServerUnavailable, Stage
from newsletter_svc.mail.replies import Reply
from newsletter_svc.mail.smtp_server import Security, SmtpServer


class Upgrade(Enum):
    """What the handshake yields where the connection is to be encrypted before the next command."""

    TLS = auto()


@dataclass(frozen=True)
class Features:
    """What a server says of itself after EHLO. `size_limit` is None without SIZE, 0 where it names no limit."""

    has_pipelining: bool = False
    has_starttls: bool = False
    size_limit: int | None = None
    sign_in_ways: frozenset[str] = field(default_factory=frozenset)


Handshake = Generator[bytes | Upgrade, RawReply, Features]


def introduce(server: SmtpServer) -> Handshake:
    """Return the handshake with this server; what is asked for holds, or it ends in a failure.

    Raises `ServerUnavailable` or `SenderRefused`. The first thing yielded is empty: the server speaks first.
    """
    _expect(Stage.CONNECT, (yield b""), 220)
    features = yield from _greet(server.helo, stage=Stage.CONNECT)
    if server.security is Security.STARTTLS:
        if not features.has_starttls:
            raise ServerUnavailable(Stage.TLS, cause="STARTTLS is not offered")
        _expect(Stage.TLS, (yield b"STARTTLS\r\n"), 220)
        yield Upgrade.TLS
        # RFC 3207 4.2: what was said in the clear is forgotten.
        features = yield from _greet(server.helo, stage=Stage.TLS)
    if server.username is not None:
        yield from _sign_in(server.username, server.password or "", features.sign_in_ways)
    return features


def read_features(raw: bytes) -> Features:
    """Return what the lines of an EHLO reply announce; the first one only greets."""
    announced: dict[str, list[str]] = {}
    for line in raw.decode("ascii", "replace").split("\n")[1:]:
        # Some old servers write AUTH=LOGIN.
        word, *values = line.upper().replace("=", " ").split() or [""]
        announced.setdefault(word, []).extend(values)
    stated = announced.get("SIZE")
    return Features(
        has_pipelining="PIPELINING" in announced,
        has_starttls="STARTTLS" in announced,
        size_limit=None if stated is None else int(stated[0]) if stated and stated[0].isdigit() else 0,
        sign_in_ways=frozenset(announced.get("AUTH", ())),
    )


def _greet(helo: str, *, stage: Stage) -> Generator[bytes, RawReply, Features]:
    """Introduce us. Only a server that does not know EHLO is asked with HELO."""
    reply = yield f"EHLO {helo}\r\n".encode("ascii")
    if 500 <= reply.code <= 599:
        _expect(stage, (yield f"HELO {helo}\r\n".encode("ascii")), 250)
        return Features()
    _expect(stage, reply, 250)
    return read_features(reply.text)


def _sign_in(username: str, password: str, ways: frozenset[str]) -> Generator[bytes, RawReply, None]:
    if not (username + password).isascii() or "\0" in username + password:
        raise SenderRefused(Stage.AUTH, cause="only ASCII credentials can be sent")
    secrets = (username, password)
    if "PLAIN" in ways:
        reply = yield b"AUTH PLAIN " + _base64(f"\0{username}\0{password}") + b"\r\n"
    elif "LOGIN" in ways:
        _check_sign_in((yield b"AUTH LOGIN\r\n"), 334, secrets)
        _check_sign_in((yield _base64(username) + b"\r\n"), 334, secrets)
        reply = yield _base64(password) + b"\r\n"
    else:
        raise SenderRefused(Stage.AUTH, cause="the server offers no way of signing in that we know")
    _check_sign_in(reply, 235, secrets)


def _check_sign_in(reply: RawReply, hoped_for: int, secrets: tuple[str, ...]) -> None:
    if reply.code == hoped_for:
        return
    read = replies.read(reply.code, reply.text, secrets=secrets)
    raise (SenderRefused if read.is_permanent else ServerUnavailable)(Stage.AUTH, _or_none(read))


def _expect(stage: Stage, reply: RawReply, hoped_for: int) -> None:
    if reply.code != hoped_for:
        raise ServerUnavailable(stage, _or_none(replies.read(reply.code, reply.text)), cause="nonsense")


def _or_none(reply: Reply) -> Reply | None:
    return reply if reply.code else None


def _base64(text: str) -> bytes:
    return base64.b64encode(text.encode("ascii"))
