"""DKIM signatures, verified by an implementation that is not ours."""

import re
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import dkim as dkimpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter_svc.mail import mime
from newsletter_svc.mail.dkim import Signer, SigningPool, relaxed_body
from newsletter_svc.mail.message import Mailbox, Rendered
from tests.signing import DOMAIN, PEM, SELECTOR, is_valid
from tests.wire import check_wire

NOW = datetime(2026, 11, 24, 7, tzinfo=UTC)
SIGNER = Signer(domain=DOMAIN, selector=SELECTOR, private_key=PEM)


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


OWNER = """
import os, signal, sys
from newsletter_svc.mail.dkim import Signer, SigningPool

if __name__ == "__main__":
    pem = sys.stdin.buffer.read()
    with SigningPool(Signer(domain="news.example.org", selector="s", private_key=pem), processes=1) as pool:
        pool.sign([b"octets"]).result()
        print("signed", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_processes_of_a_pool_end_with_their_owner_however_it_ends(tmp_path: Path) -> None:
    script = tmp_path / "owner.py"
    script.write_text(OWNER, encoding="utf-8")
    owner = subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    # They hold the other end of this pipe too, so it is read to its end only once the last of them has gone.
    written, _ = owner.communicate(PEM, timeout=60)
    assert owner.returncode == -signal.SIGKILL
    assert written == b"signed\n"
