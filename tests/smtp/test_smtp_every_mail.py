"""Every kind of mail as a real mail server received it, with every kind of name and title in it."""

import re
from dataclasses import replace
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.headerregistry import AddressHeader
from email.utils import unquote
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask import Flask
from markupsafe import Markup

from newsletter_svc.digests import content
from newsletter_svc.mail.flask_face import Mail, open_mail
from newsletter_svc.mail.headers import clean
from newsletter_svc.mail.mime import SUBJECT_LIMIT
from newsletter_svc.settings import Settings
from tests.fakes.smtp import Received, Sink
from tests.mails import KINDS, PREFERENCES, SETTINGS, UNSUBSCRIBE, outgoing
from tests.wire import check_one_click, check_transactional, check_wire

WORDS = {
    "plain": "Ada Lovelace",
    "cyrillic": "Дмитро Чорнобай: «Мир»",
    "arabic": "الميناء الذي يريد أن يكون ممرّاً",
    "emoji": "👩‍🚀 Launch 🚀 day",
    "curly": "“The ‘quiet’ budget” — £40 m…",
    "long": "Ministers agree to talk about when they would talk, and the others, " * 4 + "at last, agree too.",
    "one long word": "Donaudampfschifffahrtsgesellschaftskapitänsmütze" * 6,
}
HOSTILE = {
    "line breaks": "Ada\r\nBcc: victim@example.com\r\n\r\n<p>mine</p>",
    "encoded word": "=?utf-8?q?a=0D=0ABcc:=20victim@example.com=0D=0A?=",
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)>\"'>",
    "template": "{{7*7}}{% raw %}{{ publication.name }}${7*7}#{7*7}",
    "two addresses": 'Ada" <victim@example.com>, "B',
    "reversed": "txt.\u202egpj\u200b \u2066hidden\u2069",
    "dots": ".\r\n.\r\nQUIT",
    "a slot": "\ufdd0unsubscribe_url\ufdd1",
    "ten thousand": "x " * 5_000,
}
RARER = {"template", "two addresses", "reversed", "a slot"}
"""Left to `make test-long`, since each of them goes through every kind of mail."""
SPOKEN = {"sign_up", "confirm_subscription", "already_subscribed", "welcome", content.KIND}
"""The kinds that repeat in full what was typed; in the others it is a name at most, or nothing."""


@pytest.fixture
def mail(sink: Sink, tmp_path: Path) -> Mail:
    settings = replace(SETTINGS, var_dir=tmp_path, mail_server=sink.host, mail_port=sink.port, mail_timeout=20)
    return open_mail(Flask("test"), settings)


def received(sink: Sink, mail: Mail, text: str | None = None, *, settings: Settings = SETTINGS) -> dict[str, Received]:
    """What the server received of each kind, sent over one connection."""
    with mail.connect() as connection:
        for kind in KINDS:
            connection.send(outgoing(kind, text, settings=settings))
    return dict(zip(KINDS, sink.wait_for(len(KINDS)), strict=True))


def check(kind: str, mail: Received) -> None:
    """What holds for every mail, whatever it says."""
    check_wire(mail.raw)
    assert mail.recipients == ("ada@example.net",)
    assert mail.envelope_sender == "bounces+1f.0ab3@news.example.org"
    to, sender = mail.message["To"], mail.message["From"]
    assert isinstance(to, AddressHeader)
    assert isinstance(sender, AddressHeader)
    assert [address.addr_spec for address in to.addresses] == ["ada@example.net"]
    stream = "briefing" if kind == content.KIND else "sign-in"
    assert [address.addr_spec for address in sender.addresses] == [f"{stream}@news.example.org"]
    if kind == content.KIND:
        assert check_one_click(mail.raw) == UNSUBSCRIBE
        for address in (UNSUBSCRIBE, PREFERENCES):
            assert f"\n{address}\n" in mail.part("plain")
            assert f'href="{address}"' in mail.part("html")
        assert "Auto-Submitted" not in mail.message
    else:
        check_transactional(mail.raw)
    for part in (mail.part("plain"), mail.part("html")):
        assert "1 Example Street, London" in part
        assert "You get this mail" in part


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_words_of_every_script_arrive_as_they_left(sink: Sink, mail: Mail, words: str) -> None:
    for kind, got in received(sink, mail, words).items():
        check(kind, got)
        spaced = " ".join(words.split())
        if kind in SPOKEN:
            assert spaced in " ".join(got.part("plain").split())
            assert spaced in words_of(got.part("html"))
        if kind == content.KIND:
            assert got.message["Subject"] == clean(f"{words}: {words}", limit=SUBJECT_LIMIT)
        assert name_in(got, "To") == clean(words, limit=100)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(words, id=name, marks=[pytest.mark.long] if name in RARER else [])
        for name, words in HOSTILE.items()
    ],
)
def test_hostile_words_have_no_effect(sink: Sink, mail: Mail, words: str) -> None:
    plain = {kind: skeleton(outgoing(kind, "Ada").content) for kind in KINDS}
    for kind, got in received(sink, mail, words).items():
        check(kind, got)
        # The same headers and the same elements as with a harmless name: nothing came in by the words.
        assert skeleton(got.raw) == plain[kind]
        visible = got.part("plain") + got.part("html") + str(got.message["Subject"])
        assert "49}" not in visible.replace("{{7*7}}", "")
        assert not re.search("[\u202a-\u202e\u2066-\u2069]", str(got.message["Subject"]) + str(got.message["To"]))


def test_a_publication_with_an_odd_name_has_a_right_from(sink: Sink, mail: Mail) -> None:
    name = "The “Дипломат”, <Global> & Sons\r\nBcc: x@example.com"
    for kind, got in received(sink, mail, settings=replace(SETTINGS, publication_name=name)).items():
        check(kind, got)
        assert name_in(got, "From") == "The “Дипломат”, <Global> & Sons Bcc: x@example.com"


def test_a_digest_in_arabic_arrives_whole(sink: Sink, mail: Mail) -> None:
    arabic = replace(SETTINGS, language="ar", publication_name="الدبلوماسي العالمي")
    got = received(sink, mail, WORDS["arabic"], settings=arabic)[content.KIND]
    check(content.KIND, got)
    assert '<html lang="ar" dir="rtl"' in got.part("html")
    assert "الثلاثاء، 24 نوفمبر 2026" in got.part("plain")
    assert name_in(got, "From") == "الدبلوماسي العالمي"


def name_in(mail: Received, field: str) -> str:
    """The name beside an address as RFC 2047 6.2 says: Python's own parser leaves the space between encoded words."""
    raw = str(message_from_bytes(mail.raw, policy=policy.compat32)[field])
    phrase = str(make_header(decode_header(raw))).rpartition("<")[0].strip()
    return unquote(phrase)


def words_of(html: str) -> str:
    return " ".join(" ".join(Markup(html).striptags().split()).split())


class Elements(HTMLParser):
    """The elements of a page with the names of their attributes, but for the places where a long word may break."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "wbr":
            self.found.append((tag, [name for name, _ in attrs]))


def skeleton(raw: bytes) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """The names of a mail's headers, and the elements of its HTML part."""
    got = Received("", (), (), raw, None)
    return got.message.keys(), Elements(got.part("html")).found
