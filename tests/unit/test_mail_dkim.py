"""DKIM signatures, verified by an implementation that is not ours."""

import re
from datetime import UTC, datetime

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter_svc.mail import mime
from newsletter_svc.mail.dkim import Signer, SigningPool, UnusableKey, relaxed_body
from newsletter_svc.mail.message import Mailbox, Rendered
from tests.wire import check_wire

NOW = datetime(2026, 11, 24, 7, tzinfo=UTC)
KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
SIGNER = Signer(domain="news.example.org", selector="s2026", private_key=PEM)


def record(name: bytes, timeout: int = 5) -> bytes:
    """What the name service answers about our key."""
    assert name == b"s2026._domainkey.news.example.org."
    octets = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return b"v=DKIM1; k=rsa; p=" + b"".join(octets.splitlines()[1:-1])


def mail(text: str = "Good morning.\n", name: str = "Žofie Nováková") -> bytes:
    return mime.build(
        Rendered("Přehled – “today” and a subject that is folded because of its length", text, f"<p>{text}</p>"),
        sender=Mailbox("briefing@news.example.org", "The Global Diplomat"),
        recipient=Mailbox("ada@example.org", name),
        message_id="<1.a@news.example.org>",
        date=NOW,
        reply_to=Mailbox("desk@news.example.org"),
        extra=[
            ("List-Unsubscribe", "<https://news.example.org/unsubscribe/" + "x" * 120 + ">"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ("List-Id", "<briefing.news.example.org>"),
            ("Feedback-ID", "7:briefing:digest:newsexampleorg"),
        ],
    )


def is_valid(raw: bytes) -> bool:
    return bool(dkimpy.verify(raw, dnsfunc=record))


@settings(max_examples=30, deadline=None)
@given(text=st.text(st.sampled_from("ab .\t\n=é😀"), max_size=200), name=st.text(st.sampled_from("ab é'"), max_size=80))
def test_others_find_the_signature_valid(text: str, name: str) -> None:
    signed = SIGNER.sign(mail(text, name), now=NOW)
    assert is_valid(signed)
    check_wire(signed)


def test_it_covers_what_it_has_to_and_from_and_subject_once_more() -> None:
    signed = SIGNER.sign(mail(), now=NOW)
    header = signed.partition(b"\r\nFrom:")[0]
    names = re.sub(rb"\s", b"", re.search(rb" h=([^;]*);", header.replace(b"\r\n", b""))[1]).split(b":")  # type: ignore[index]
    assert names.count(b"from") == names.count(b"subject") == 2
    assert {
        b"to", b"date", b"message-id", b"mime-version", b"content-type", b"list-unsubscribe", b"list-unsubscribe-post",
    } <= set(names)  # fmt: skip
    assert b"a=rsa-sha256; c=relaxed/relaxed; d=news.example.org; s=s2026; t=1795503600;" in header


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Good morning", b"Good evening"),
        (b"x" * 120, b"y" * 120),
        (b"List-Unsubscribe=One-Click", b"List-Unsubscribe=Two-Clicks"),
        (b"\r\nFrom: ", b"\r\nFrom: Eve <eve@example.com>\r\nFrom: "),
        (b"\r\nSubject: ", b"\r\nSubject: Win\r\nSubject: "),
        (b"multipart/alternative", b"multipart/mixed"),
    ],
)
def test_a_change_breaks_it(old: bytes, new: bytes) -> None:
    signed = SIGNER.sign(mail(), now=NOW)
    changed = signed.replace(old, new, 1)
    assert changed != signed
    assert not is_valid(changed)


def test_blanks_that_servers_change_do_not_break_it() -> None:
    signed = SIGNER.sign(mail("a b\n\n\n"), now=NOW)
    assert is_valid(signed.replace(b"a b\r\n", b"a  \t b  \r\n").replace(b"Subject: ", b"Subject:  ") + b"\r\n\r\n")


@given(st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n"])).map(b"".join))
def test_the_relaxed_body_is_that_of_the_standard(body: bytes) -> None:
    assert relaxed_body(body) == dkimpy.canonicalization.Relaxed.canonicalize_body(body)


def test_a_pool_makes_the_same_signatures() -> None:
    mails = [mail(f"Good morning, number {number}.") for number in range(5)]
    unsigned = [SIGNER.prepare(content, now=NOW) for content in mails]
    with SigningPool(SIGNER, processes=2) as pool:
        signatures = pool.sign([each.signed_octets for each in unsigned]).result(30)
    signed = [
        SIGNER.header(each, signature) + content
        for each, signature, content in zip(unsigned, signatures, mails, strict=True)
    ]
    assert signed == [SIGNER.sign(content, now=NOW) for content in mails]
    assert all(map(is_valid, signed))


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"no key",
        rsa.generate_private_key(65537, 1024).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")),
        KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ],
    ids=["empty", "words", "1024 bits", "another kind", "encrypted", "public"],
)
def test_a_key_that_others_would_not_accept_is_refused(pem: bytes) -> None:
    with pytest.raises(UnusableKey):
        Signer(domain="news.example.org", selector="s2026", private_key=pem)
