"""Header lines: cleaned, encoded, folded."""

import re
from email import message_from_bytes, policy
from email.header import decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter_svc.mail import headers
from newsletter_svc.mail.addresses import wire_address
from newsletter_svc.mail.message import Mailbox, UnsendableMessage
from tests.wire import ENCODED_WORD

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
HOSTILE = st.lists(
    st.sampled_from(
        [
            "=?utf-8?q?a=0D=0ABcc:x@y?=",
            "\r\n",
            "\nBcc: x@y.example",
            "\u202e",
            "\u200b",
            '"',
            "\\",
            "<x@y>",
            ",",
            ";",
            "Žofie",
            "👩‍💻",
            " ",
            "a" * 90,
            "\0",
            "=",
            "?",
            "=?",
            "?=",
        ]
    ),
    max_size=8,
).map("".join)


def unfolded(line: str) -> str:
    return line.replace("\r\n ", " ").split(": ", 1)[1]


@given(st.one_of(ANY_TEXT, HOSTILE))
def test_any_subject_reads_as_its_clean_text(text: str) -> None:
    line = headers.text_line("Subject", text, limit=200)
    parsed = message_from_bytes(line.encode("ascii") + b"\r\n\r\n", policy=policy.default)
    assert parsed["Subject"] == headers.clean(text, limit=200)
    assert parsed.keys() == ["Subject"]
    assert all(len(physical) <= 76 for physical in line.split("\r\n"))
    assert all(len(word) <= 75 for word in ENCODED_WORD.findall(line.encode()))


@given(st.one_of(ANY_TEXT, HOSTILE))
def test_any_display_name_is_one_name_of_one_address(name: str) -> None:
    line = headers.address_line("To", Mailbox("ada@example.org", name))
    parsed = message_from_bytes(line.encode("ascii") + b"\r\n\r\n", policy=policy.compat32)
    assert parsed.keys() == ["To"]
    display = unfolded(line).removesuffix("<ada@example.org>").strip()
    if display.startswith('"'):
        display = re.sub(r"\\(.)", r"\1", display[1:-1])
    expected = headers.clean(name, limit=100)
    assert str(make_header(decode_header(display))) == expected or not expected
    assert all(len(physical) <= 76 for physical in line.split("\r\n"))


@given(st.one_of(ANY_TEXT, HOSTILE))
def test_clean_text_is_one_line_without_controls_and_stays_as_it_is(text: str) -> None:
    line = headers.clean(text, limit=80)
    assert len(line) <= 80
    assert "=?" not in line
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u200b-\u200c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]", line)
    assert headers.clean(line, limit=80) == line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ada\r\nBcc: eve@example.org", "Ada Bcc: eve@example.org"),
        ("pay\u202egnp.exe", "paygnp.exe"),
        ("a\u200bb\ufeffc", "abc"),
        ("=?utf-8?q?a=0D=0ABcc:x?=", "= ?utf-8?q?a=0D=0ABcc:x?="),
        ("=\u200b?utf-8?q?x?=", "= ?utf-8?q?x?="),
        ("👩\u200d💻 and 🏳️\u200d🌈", "👩\u200d💻 and 🏳️\u200d🌈"),
        ("a\u200db", "ab"),
        ("tab\tand\x00nul", "tab and nul"),
        ("“Curly” – £5 – Привет", "“Curly” – £5 – Привет"),
    ],
)
def test_cleaning_takes_out_what_hurts_and_leaves_the_rest(text: str, expected: str) -> None:
    assert headers.clean(text, limit=100) == expected


def test_a_name_of_ten_kilobytes_is_cut() -> None:
    line = headers.address_line("To", Mailbox("ada@example.org", "Ž" * 10_000))
    assert len(line) < 700


def test_half_a_character_is_refused_by_name() -> None:
    with pytest.raises(UnsendableMessage, match="lone surrogate"):
        headers.clean("Ada \ud800", limit=100)


@pytest.mark.parametrize("length", [50, 300, 900])
def test_a_long_link_for_machines_is_never_encoded(length: int) -> None:
    value = f"<https://news.example.org/unsubscribe/{'a' * length}>"
    assert headers.token_line("List-Unsubscribe", value) == f"List-Unsubscribe: {value}"


def test_a_second_address_for_machines_goes_on_the_next_line() -> None:
    line = headers.token_line("List-Unsubscribe", f"<https://x.example/{'a' * 70}>, <mailto:u@x.example>")
    assert line.split("\r\n")[1:] == [" <mailto:u@x.example>"]


@pytest.mark.parametrize("value", ["", " x", "a\r\nBcc: x", "a\nb", "naïve", "=?utf-8?q?x?=", "x" * 1_000, "a\x7f"])
def test_what_may_not_stand_before_machines_is_refused(value: str) -> None:
    with pytest.raises(UnsendableMessage):
        headers.token_line("List-Id", value)


@pytest.mark.parametrize("name", ["", "List Id", "List-Id:", "Bcc\r\nX", "Ž"])
def test_a_header_has_a_proper_name(name: str) -> None:
    with pytest.raises(UnsendableMessage):
        headers.token_line(name, "x")


@pytest.mark.parametrize(
    ("given_address", "expected"),
    [
        ("ada@example.org", "ada@example.org"),
        ("Ada.Lovelace+news@Example.ORG", "Ada.Lovelace+news@Example.ORG"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@правительство.рф", "ada@xn--80aealotwbjpid2k.xn--p1ai"),
        ("o'brien@localhost", "o'brien@localhost"),
    ],
)
def test_an_address_goes_out_in_ascii(given_address: str, expected: str) -> None:
    assert wire_address(given_address) == expected


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "a@x.org,b@y.org",
        "a@x.org\r\nRCPT TO:<b@y.org>",
        '"a@x"@y.org',
        "<a@x.org>",
        "a@x.org (c)",
        "žofie@example.org",
        "a b@x.org",
        "a..b@x.org",
        ".a@x.org",
        "a@-x.org",
        "a@x..org",
        "a@[127.0.0.1]",
        "=?utf-8?q?a?=@example.org",
        "a@\ud800.org",
        "a@" + "x" * 64 + ".org",
        "a" * 65 + "@x.org",
        "a@" + ".".join(["x" * 60] * 5),
        "a\0@x.org",
        "a@x.org>",
        "a@xn--\u00fc.org",
    ],
)
def test_what_is_not_one_plain_address_never_reaches_an_envelope(address: str) -> None:
    with pytest.raises(UnsendableMessage) as caught:
        wire_address(address)
    assert "@" not in caught.value.reason.removeprefix("the part before the @")
