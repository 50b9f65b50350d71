"""The law of compiled letters: for any reader, the very octets that the plain way makes, or the same refusal."""

import hashlib
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from newsletter_svc.mail import dkim, mime, slots
from newsletter_svc.mail.bulk.compiled import CompiledLetter
from newsletter_svc.mail.bulk.slot_lines import SlotLine
from newsletter_svc.mail.compose import Composer
from newsletter_svc.mail.message import Letter, Mailbox, OutgoingMessage, Rendered, Stream, UnsendableMessage
from newsletter_svc.settings import Settings
from tests.wire import check_one_click, check_wire

LINK = slots.place("unsubscribe_url")
CHOOSE = slots.place("preferences_url")
NAME = slots.place("name")
DATE = datetime(2026, 11, 24, 7, tzinfo=UTC)
ENVELOPE_SENDER = "bounces+2f.00ff@news.example.org"
HEADERS = (
    ("List-Unsubscribe", f"<{LINK}>"),
    ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ("List-Id", "<briefing.news.example.org>"),
    ("Feedback-ID", "7:briefing:digest:newsexampleorg"),
)
FROZEN = Rendered(
    "Briefing: “Quiet” budgets",
    f"Good morning {NAME},\n\n.hidden\nSat, 01 Jan 2000 00:00:00 +0000\n" + "word " * 40 + f"\n\n{CHOOSE}\n\n{LINK}\n",
    f'<html lang="en"><p style="{"color: #111; " * 30}">Dear {NAME} — £5</p>\n'
    f'<p><a href="{CHOOSE}">Choose</a><br>\n<a href="{LINK}" style="{"margin: 0; " * 60}">Leave</a>'
    f" or copy {LINK}</p></html>",
)

# Dots and "From " at the beginning of a line, blanks at its end, and what has to be escaped: where encoders differ.
awkward = st.sampled_from(
    ["", ".", "From ", "Fro", " ", "\t", "=", "é", "😀", "x" * 73, "a" * 200, "<&\"'>", "=?utf-8?q?"]
)
fragment = st.lists(awkward | st.text(st.characters(exclude_categories=["Cs"]), max_size=90), max_size=4).map("".join)
value = fragment | st.from_regex(
    r"https://news\.example\.org/(unsubscribe|preferences)/[A-Za-z0-9_.-]{20,160}", fullmatch=True
)
place = st.sampled_from([LINK, CHOOSE, NAME])
part = st.lists(fragment | place | st.just("\n"), max_size=12).map("".join)
email = st.sampled_from(
    ["ada@example.org", "Ada.Lovelace+news@sub.example.com", "žofie@bücher.example", "ada@bücher.example", "a@b", ""]
)
name = st.sampled_from(["", "Ada", "Ada Lovelace", "Žofie", "O'Neil-Smith", 'Ada "A" L', "a=?b", "x" * 61]) | fragment


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(Settings(secret_keys=("k" * 40,), mail_reply_to="desk@news.example.org"))


def own_parts(link: str, name: str, choose: str = "https://news.example.org/preferences/1") -> dict[str, str]:
    return {"unsubscribe_url": link, "preferences_url": choose, "name": name}


def compiled(composer: Composer, frozen: Rendered = FROZEN) -> CompiledLetter:
    return composer.compile(frozen, stream=Stream.DIGEST, headers=HEADERS)


def plainly(composer: Composer, frozen: Rendered, recipient: Mailbox, values: dict[str, str]) -> OutgoingMessage:
    headers = tuple((name, slots.fill_text(text, values)) for name, text in HEADERS)
    letter = Letter(recipient, composer.fill(frozen, values), Stream.DIGEST, headers)
    return composer.finish(letter, message_id="<1.a@news.example.org>", date=DATE, envelope_sender=ENVELOPE_SENDER)


def assert_same(composer: Composer, frozen: Rendered, recipient: Mailbox, values: dict[str, str]) -> bytes | None:
    letter = compiled(composer, frozen)
    given_parts = {"recipient": recipient, "message_id": "<1.a@news.example.org>", "date": DATE, "values": values}
    try:
        expected = plainly(composer, frozen, recipient, values)
    except UnsendableMessage as error:
        with pytest.raises(UnsendableMessage, match=re.escape(error.reason)):
            letter.parcel(5, envelope_sender=ENVELOPE_SENDER, **given_parts)  # type: ignore[arg-type]
        return None
    parcel = letter.parcel(5, envelope_sender=ENVELOPE_SENDER, **given_parts)  # type: ignore[arg-type]
    assert parcel.content == expected.content
    assert (parcel.key, parcel.sender.decode(), parcel.recipient.decode()) == (
        5,
        expected.envelope_sender,
        expected.recipient,
    )
    return parcel.content


@given(recipient=st.builds(Mailbox, email, name), link=value, choose=value, greeting=fragment)
@example(
    recipient=Mailbox("ada@example.org"), link="https://a.example/=?utf-8?q?x?=", choose="é", greeting="\r\nBcc: eve"
)
@example(recipient=Mailbox("ada@example.org"), link="https://a.example/" + "x" * 990, choose="", greeting="\ud800")
@settings(max_examples=120)
def test_any_reader_gets_the_octets_of_the_plain_way(
    composer: Composer, recipient: Mailbox, link: str, choose: str, greeting: str
) -> None:
    assert_same(composer, FROZEN, recipient, own_parts(link, greeting, choose))


@given(text=part, html=part, link=value, choose=value, greeting=fragment)
@settings(max_examples=120)
def test_slots_may_stand_anywhere(
    composer: Composer, text: str, html: str, link: str, choose: str, greeting: str
) -> None:
    values = own_parts(link, greeting, choose)
    assert_same(composer, Rendered("Subject", text, f"<p>{html}"), Mailbox("ada@example.org"), values)


@given(pieces=st.lists(st.text(st.sampled_from("a. Fé=\t"), max_size=170), min_size=3, max_size=3), filled=st.data())
@settings(max_examples=120)
def test_a_line_is_cut_as_if_it_had_no_slot(pieces: list[str], filled: st.DataObject) -> None:
    line = SlotLine([pieces[0], "one", pieces[1], "two", pieces[2]])
    for _ in range(3):  # What was remembered for one value must fit the next one.
        one, two = (filled.draw(st.text(st.sampled_from("a. Fé=rom"), max_size=170)) for _ in range(2))
        expected = mime.quoted_printable(pieces[0] + one + pieces[1] + two + pieces[2])
        assert line.encode({"one": mime.escape(one.encode()), "two": mime.escape(two.encode())}) == expected


@given(pieces=st.lists(st.text(st.sampled_from("a. Fé=\trom"), max_size=170), min_size=2, max_size=4), filled=st.data())
@settings(max_examples=120)
def test_values_that_need_no_care_are_cut_by_their_lengths_alone(pieces: list[str], filled: st.DataObject) -> None:
    names = ["one", "two", "one"][: len(pieces) - 1]
    line = SlotLine([part for pair in zip(pieces, [*names, ""], strict=True) for part in pair][:-1])
    lengths = {name: filled.draw(st.integers(0, 170)) for name in names}
    for _ in range(3):  # The first one makes the form, the others are put into it.
        values = {
            name: filled.draw(st.text(st.sampled_from("a.From~/"), min_size=length, max_size=length))
            for name, length in lengths.items()
        }
        whole = "".join(piece + values.get(name, "") for piece, name in zip(pieces, [*names, ""], strict=True))
        easy = {name: value.encode() for name, value in values.items()}
        assert line.encode_easy(easy) == line.encode(easy) == mime.quoted_printable(whole)


def test_the_mail_passes_on_the_wire_and_offers_one_click(composer: Composer) -> None:
    link = "https://news.example.org/unsubscribe/" + "eyJ" * 40 + ".sig"
    values = own_parts(link, "Žofie & <Co>")
    raw = assert_same(composer, FROZEN, Mailbox("ada@example.org", "Žofie Nováková"), values)
    assert raw is not None
    check_wire(raw)
    assert check_one_click(raw) == link


def test_each_reader_has_their_own_date_id_and_boundary(composer: Composer) -> None:
    letter = compiled(composer)
    values = own_parts("https://news.example.org/u/1", "Ada")
    seen = set()
    # The same moment in two zones is written in two ways.
    for number, date in enumerate([DATE, DATE, DATE.astimezone(timezone(timedelta(hours=2)))]):
        message_id = f"<{number}.a@news.example.org>"
        raw = letter.join(recipient=Mailbox("ada@example.org"), message_id=message_id, date=date, values=values)
        check_wire(raw)
        assert f"Message-ID: {message_id}\r\n".encode() in raw
        assert mime.date_line(date).encode() + b"\r\n" in raw
        seen.add(raw)
    assert len(seen) == 3


def test_a_value_that_is_missing_is_no_empty_place(composer: Composer) -> None:
    with pytest.raises(slots.LostSlot) as caught:
        compiled(composer).join(
            recipient=Mailbox("ada@example.org"),
            message_id="<1.a@news.example.org>",
            date=DATE,
            values={"unsubscribe_url": "https://news.example.org/u/1", "name": "Ada"},
        )
    assert caught.value.slot == "preferences_url"


def test_a_mail_of_text_alone_can_be_compiled(composer: Composer) -> None:
    values = own_parts("https://news.example.org/u/1", "Ada")
    raw = assert_same(composer, Rendered("Subject", f"Leave: {LINK}", ""), Mailbox("ada@example.org"), values)
    assert raw is not None
    assert raw.endswith(b"Leave: https://news.example.org/u/1\r\n")


def test_an_article_that_speaks_of_any_date_keeps_it(composer: Composer) -> None:
    values = own_parts("https://news.example.org/u/1", "Ada")
    frozen = Rendered("Date", f"x\nDate: Sat, 01 Jan 2000 00:00:00 +0000\n{LINK}", "")
    raw = assert_same(composer, frozen, Mailbox("ada@example.org"), values)
    assert raw is not None
    assert raw.count(b"Date: Sat, 01 Jan 2000 00:00:00 +0000") == 1


@given(recipient=st.builds(Mailbox, email, name), link=value, choose=value, greeting=fragment)
@settings(max_examples=100)
def test_the_hash_for_dkim_is_that_of_the_body(
    composer: Composer, recipient: Mailbox, link: str, choose: str, greeting: str
) -> None:
    given_parts = {"message_id": "<1.a@news.example.org>", "date": DATE}
    values = own_parts(link, greeting, choose)
    letter = compiled(composer, FROZEN)
    try:
        content = letter.join(recipient=recipient, values=values, **given_parts)  # type: ignore[arg-type]
    except UnsendableMessage:
        return
    hashed = letter.join_and_hash(recipient=recipient, values=values, **given_parts)  # type: ignore[arg-type]
    body = content.partition(b"\r\n\r\n")[2]
    assert hashed == (content, hashlib.sha256(dkim.relaxed_body(body)).digest())
