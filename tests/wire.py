"""What every mail must be on the wire, asserted on the raw bytes that a server received."""

import base64
import re
from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime

ONCE = ("from", "to", "subject", "date", "message-id", "mime-version")
NEVER_ENCODED = ("list-", "message-id", "feedback-id", "date", "auto-submitted")
ENCODED_WORD = re.compile(rb"=\?[^\s?]+\?[bBqQ]\?[^?\s]*\?=")


def check_wire(raw: bytes) -> None:
    """Assert RFC 5321 2.3.8, RFC 5322 2.1.1, RFC 2045 6.7 and RFC 2047 2 and 5 on one whole mail."""
    _check_lines(raw)
    head, _, _ = raw.partition(b"\r\n\r\n")
    fields = _fields(head)
    names = [name for name, _ in fields]
    for name in ONCE:
        assert names.count(name) == 1, f"{name} stands {names.count(name)} times in the mail"
    assert len(names) == len(set(names)), f"a header stands twice: {names}"
    assert "bcc" not in names
    _check_encoded_words(head, fields)
    _check_values(dict(fields))
    _check_parts(raw)


def check_one_click(raw: bytes) -> str:
    """Assert what RFC 8058, 2369 and 2919 ask of a digest; return the address that unsubscribes."""
    fields = dict(_fields(raw.partition(b"\r\n\r\n")[0]))
    match = re.fullmatch(rb"<(https?://[!-;=?-~]+)>(?:, <mailto:[!-;=?-~]+>)?", fields["list-unsubscribe"])
    assert match, f"List-Unsubscribe is {fields['list-unsubscribe']!r}"
    assert fields["list-unsubscribe-post"] == b"List-Unsubscribe=One-Click"
    assert re.search(rb"<[a-z0-9.-]+>\Z", fields["list-id"])
    *_, sender_id = fields["feedback-id"].split(b":")
    assert fields["feedback-id"].count(b":") == 3
    assert 5 <= len(sender_id) <= 15
    return match[1].decode()


def check_transactional(raw: bytes) -> None:
    """Assert that the mail says it was sent by a machine and offers no one-click (RFC 3834 5)."""
    fields = dict(_fields(raw.partition(b"\r\n\r\n")[0]))
    assert fields["auto-submitted"] == b"auto-generated"
    assert not any(name.startswith("list-") for name in fields)


def _check_lines(raw: bytes) -> None:
    assert b"\0" not in raw
    assert raw.isascii(), "octets above 127 without 8BITMIME"
    assert raw.endswith(b"\r\n")
    lines = raw.split(b"\r\n")
    for line in lines:
        assert b"\r" not in line, f"a bare CR: {line!r}"
        assert b"\n" not in line, f"a bare LF: {line!r}"
        assert len(line) <= 998, f"{len(line)} octets in a line"
        assert not line.startswith(b"."), "a line begins with a dot"


def _fields(head: bytes) -> list[tuple[str, bytes]]:
    fields = []
    for line in head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n"):
        name, colon, value = line.partition(b":")
        assert colon, f"not a header: {line!r}"
        assert re.fullmatch(rb"[A-Za-z0-9-]+", name), f"not a header's name: {name!r}"
        fields.append((name.decode().lower(), value.strip()))
    return fields


def _check_encoded_words(head: bytes, fields: list[tuple[str, bytes]]) -> None:
    for line in head.split(b"\r\n"):
        words = ENCODED_WORD.findall(line)
        assert not words or len(line) <= 76, f"{len(line)} octets in a line with an encoded word"
        for word in words:
            assert len(word) <= 75, f"an encoded word of {len(word)} octets"
            _decoded(word)
    for name, value in fields:
        if name.startswith(NEVER_ENCODED):
            assert b"=?" not in value, f"an encoded word in {name}"
        for address in re.findall(rb"<[^>]*>", value):
            assert b"=?" not in address, f"an encoded word in the address of {name}"


def _decoded(word: bytes) -> str:
    """Decode one encoded word by itself: it must hold whole characters."""
    _, charset, scheme, text, _ = word.split(b"?")
    if scheme.lower() == b"b":
        return base64.b64decode(text, validate=True).decode(charset.decode())
    octets = re.sub(rb"=([0-9A-F]{2})", lambda match: bytes([int(match[1], 16)]), text.replace(b"_", b" "))
    return octets.decode(charset.decode())


def _check_values(fields: dict[str, bytes]) -> None:
    assert re.fullmatch(rb"(?:[^<>]+ )?<?[^\s<>@,]+@[^\s<>@,]+>?", fields["from"]), f"From is {fields['from']!r}"
    assert re.fullmatch(rb"<[^\s<>@]+@[a-z0-9-]+(\.[a-z0-9-]+)+>", fields["message-id"])
    assert re.search(rb"[+-]\d{4}\Z", fields["date"])
    assert parsedate_to_datetime(fields["date"].decode()).tzinfo is not None
    assert fields["mime-version"] == b"1.0"


def _check_parts(raw: bytes) -> None:
    message = message_from_bytes(raw, policy=policy.default)
    assert not message.defects
    assert message.get_content_type() == "multipart/alternative"
    parts = list(message.iter_parts())
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]
    for part in parts:
        assert not part.defects
        assert part.get_content_charset() == "utf-8"
        assert part["Content-Transfer-Encoding"] in ("quoted-printable", "base64")
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        payload.decode("utf-8")
        for line in str(part.get_payload(decode=False)).splitlines():
            assert len(line) <= 76, f"{len(line)} octets in an encoded line"
