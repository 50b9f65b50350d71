"""A mail as bytes."""

from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, policy
from quopri import decodestring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter_svc.mail import mime
from newsletter_svc.mail.message import Mailbox, Rendered, UnsendableMessage
from tests.wire import check_wire

SENDER = Mailbox("briefing@news.example.org", "The Global Diplomat")
READER = Mailbox("ada@example.org", "Žofie")
MOMENT = datetime(2026, 11, 24, 7, tzinfo=UTC)
LINES = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\t"), max_size=120)
    | st.sampled_from([".", "..", "From me", " ", "\t", "=", "x" * 75, "x" * 76, "x" * 77, "é" * 40, ".x" * 50]),
    max_size=12,
)


def build(rendered: Rendered, **changes: object) -> bytes:
    given_parts = {"sender": SENDER, "recipient": READER, "message_id": "<a.1@news.example.org>", "date": MOMENT}
    return mime.build(rendered, **{**given_parts, **changes})  # type: ignore[arg-type]


@given(LINES)
def test_quoted_printable_keeps_every_text_in_lines_of_76(lines: list[str]) -> None:
    text = "\n".join(lines)
    encoded = mime.quoted_printable(text)
    assert decodestring(encoded).decode().replace("\r\n", "\n") == text.removesuffix("\n") + "\n"
    for line in encoded.removesuffix(b"\r\n").split(b"\r\n"):
        assert len(line) <= 76
        assert line.isascii()
        assert not line.startswith((b".", b"From "))
        assert not line.endswith((b" ", b"\t"))
        assert b"\n" not in line
        assert b"\r" not in line


@given(LINES, LINES, st.text(st.characters(exclude_categories=["Cs"]), max_size=120))
def test_any_mail_passes_the_wire_and_reads_back(text: list[str], html: list[str], title: str) -> None:
    rendered = Rendered(f"News {title}", "\n".join(["text", *text]), "\n".join(["<p>", *html]))
    raw = build(rendered)
    check_wire(raw)
    parsed = message_from_bytes(raw, policy=policy.default)
    plain, markup = (part.get_payload(decode=True).decode().replace("\r\n", "\n") for part in parsed.iter_parts())
    assert plain.rstrip("\n") == rendered.text.rstrip("\n")
    assert markup.rstrip("\n") == rendered.html.rstrip("\n")


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_break_becomes_crlf(line_break: str) -> None:
    assert mime.quoted_printable(f"one{line_break}{line_break}two") == b"one\r\n\r\ntwo\r\n"


def test_controls_do_not_travel() -> None:
    assert mime.quoted_printable("a\0b\x0bc\x1bd\x7f") == b"abcd\r\n"


def test_unusual_line_separators_stay_in_their_line() -> None:
    assert decodestring(mime.quoted_printable("a\u2028b\x85c")).decode() == "a\u2028b\x85c\r\n"


def test_the_same_arguments_make_the_same_bytes() -> None:
    rendered = Rendered("Subject", "Text", "<p>HTML</p>")
    assert build(rendered) == build(rendered)


def test_a_text_that_imitates_the_boundary_stays_in_its_part() -> None:
    raw = build(Rendered("Subject", "x", "<p>y</p>"))
    boundary = raw.split(b'boundary="')[1].split(b'"')[0].decode()
    imitation = build(Rendered("Subject", f"--{boundary}--", f"--{boundary}"))
    check_wire(imitation)


def test_the_date_has_a_zone_and_none_is_an_error() -> None:
    raw = build(Rendered("s", "t", "h"), date=datetime(2026, 11, 24, 7, tzinfo=timezone(timedelta(hours=2))))
    assert b"\r\nDate: Tue, 24 Nov 2026 07:00:00 +0200\r\n" in raw
    with pytest.raises(ValueError, match="zone"):
        build(Rendered("s", "t", "h"), date=datetime(2026, 11, 24, 7))  # noqa: DTZ001


def test_a_mail_of_text_alone_has_one_part() -> None:
    parsed = message_from_bytes(build(Rendered("s", "Text", "")), policy=policy.default)
    assert parsed.get_content_type() == "text/plain"
    assert parsed.get_content() == "Text\r\n"


@pytest.mark.parametrize(
    "name", ["Bcc", "to", "From", "Subject", "MIME-Version", "Content-Type", "Message-ID", "Sender"]
)
def test_a_letter_cannot_bring_a_header_of_ours(name: str) -> None:
    with pytest.raises(UnsendableMessage, match="only once"):
        build(Rendered("s", "t", "h"), extra=((name, "x@example.org"),))


def test_a_letter_cannot_bring_a_header_twice() -> None:
    with pytest.raises(UnsendableMessage, match="only once"):
        build(Rendered("s", "t", "h"), extra=(("List-Id", "<a.example>"), ("list-id", "<b.example>")))


@pytest.mark.parametrize(
    "message_id", ["", "a@b.example", "<a b@c.example>", "<a@b>\r\nBcc: x", "<@b.example>", "<ž@b.example>"]
)
def test_a_message_id_that_is_none_is_refused(message_id: str) -> None:
    with pytest.raises(UnsendableMessage):
        build(Rendered("s", "t", "h"), message_id=message_id)


@pytest.mark.parametrize(
    "rendered", [Rendered("\ud800", "t", "h"), Rendered("s", "\ud800", "h"), Rendered("s", "t", "\udfff")]
)
def test_half_a_character_anywhere_is_refused(rendered: Rendered) -> None:
    with pytest.raises(UnsendableMessage):
        build(rendered)
