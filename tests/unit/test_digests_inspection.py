"""What the checks say of a finished mail, read from its bytes."""

from datetime import UTC, datetime

import pytest

from newsletter_svc.digests.inspection import Remark, inspect
from newsletter_svc.mail import mime
from newsletter_svc.mail.message import Mailbox, Rendered

GOOD = '<p><a href="https://news.example/a">Read on</a> <img src="https://news.example/a.jpg" alt="A port."></p>'


def remarks(html: str = GOOD, *, text: str = "https://news.example/a", subject: str = "Ports") -> dict[str, Remark]:
    raw = mime.build(
        Rendered(subject, text, f"<html><head></head><body>{html}</body></html>"),
        sender=Mailbox("briefing@news.example"),
        recipient=Mailbox("ada@example.org"),
        message_id="<1@news.example>",
        date=datetime(2026, 11, 24, tzinfo=UTC),
    )
    return {remark.about: remark for remark in inspect(raw)}


def test_a_good_mail_is_called_good_in_every_respect() -> None:
    assert {about: remark.is_good for about, remark in remarks().items()} == {
        "Subject": True,
        "Size": True,
        "Links": True,
        "Text part": True,
        "Pictures": True,
    }


def test_a_subject_is_measured_in_characters_as_it_is_read() -> None:
    assert remarks(subject="Ж" * 60)["Subject"] == Remark(True, "Subject", "It has 60 characters.")
    assert not remarks(subject="Ж" * 61)["Subject"].is_good


def test_the_size_is_that_of_the_encoded_part() -> None:
    assert not remarks(GOOD + "<p>" + "Слово " * 4_000 + "</p>")["Size"].is_good
    assert remarks(GOOD + "<p>" + "Words " * 4_000 + "</p>")["Size"].is_good


@pytest.mark.parametrize(
    ("link", "fault"),
    [
        ('<a href="http://news.example/a">x</a>', "http://news.example/a is not https"),
        ('<a href="http://127.0.0.1:8000/a">x</a>', "opens on this machine alone"),
        ('<a href="/relative">x</a>', "/relative is no address that a reader can open"),
        ('<a href="javascript:alert(1)">x</a>', "is no address that a reader can open"),
        ('<a href="">x</a>', "a link without address"),
        ("<a>x</a>", "a link without address"),
        ('<a href="https://news.example/a"> </a>', "has no text"),
        ('<a href="https://news.example/a"><img src="https://x.example/a" alt=""></a>', "has no text"),
    ],
)
def test_a_link_that_does_not_serve_its_reader_is_named(link: str, fault: str) -> None:
    remark = remarks(GOOD + link)["Links"]
    assert not remark.is_good
    assert fault in remark.text


@pytest.mark.parametrize(
    "link",
    [
        '<a href="mailto:editor@news.example">Write</a>',
        '<a href="https://news.example/a" aria-label="Read on"></a>',
        '<a href="https://news.example/a"><img src="https://news.example/b.jpg" alt="A port."></a>',
        '<a href="https://news.example/a"><b>Read</b> on</a>',
    ],
)
def test_a_link_that_does_is_not(link: str) -> None:
    assert remarks(GOOD + link, text="https://news.example/a mailto:editor@news.example")["Links"].is_good


def test_many_faults_are_counted_after_the_first_three() -> None:
    links = "".join(f'<a href="http://news.example/{number}">x</a>' for number in range(10))
    assert remarks(links)["Links"].text.endswith("http://news.example/2 is not https; and 7 more.")


def test_what_is_wrong_in_two_places_is_said_once() -> None:
    assert remarks('<a href="http://news.example/1">x</a>' * 2)["Links"].text == "http://news.example/1 is not https."


def test_a_link_that_the_text_part_lacks_is_named() -> None:
    remark = remarks(text="Nothing")["Text part"]
    assert (remark.is_good, remark.text) == (False, "It lacks https://news.example/a.")


def test_a_picture_without_words_is_named_and_an_empty_one_is_for_decoration() -> None:
    without = remarks(GOOD + '<img src="https://news.example/b.jpg">')["Pictures"]
    assert (without.is_good, without.text) == (False, "https://news.example/b.jpg has no alternative text (alt).")
    empty = remarks(GOOD + '<img src="https://news.example/b.jpg" alt="">')["Pictures"]
    assert (empty.is_good, empty.text) == (
        True,
        "All 2 have an alternative text, 1 of them an empty one, as for decoration.",
    )
    assert remarks()["Pictures"].text == "The only one has an alternative text."


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("https://news.example/b.webp?w=520", "of a format that many mail programs do not show"),
        ("https://news.example/logo.SVG", "of a format that many mail programs do not show"),
        ("http://news.example/b.jpg", "is not https"),
    ],
)
def test_a_picture_that_readers_would_not_see_is_named(source: str, fault: str) -> None:
    remark = remarks(GOOD + f'<img src="{source}" alt="A port.">')["Pictures"]
    assert not remark.is_good
    assert f"{source} " in remark.text
    assert fault in remark.text
