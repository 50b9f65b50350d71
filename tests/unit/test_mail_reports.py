"""Reading reports of other mail programs: what they say, and that none of them can break the reader."""

import logging
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter_svc.mail import reports
from newsletter_svc.mail.reports import Block, Form
from tests.bounced import block, dsn, feedback, qmail, vacation

ADA = frozenset({"ada@example.org"})


def test_a_report_about_delivery_is_read_recipient_by_recipient() -> None:
    raw = dsn(
        block(status="5.1.1"),
        block(status="4.4.1 (no answer)", action="Delayed", final="<Bob@Example.org>"),
        returned="Message-ID: <1@news.example>\nReturn-Path: <bounces+1.a@news.example>\n",
    )

    report = reports.read(raw)

    assert report.form is Form.DSN
    assert report.blocks == (
        Block(ADA, "failed", "5.1.1"),
        Block(frozenset({"bob@example.org"}), "delayed", "4.4.1"),
    )
    assert report.envelopes == ("bounces@news.example", "bounces+1.a@news.example")
    assert report.message_ids == ("<1@news.example>",)
    assert report.written_at == datetime(2026, 11, 24, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "diagnostic", "code"),
    [
        ("5.0.0", "smtp; 550 5.1.1 <ada@example.org>: no such user", "5.1.1"),
        ("5.0.0", "smtp; 550-5.1.1 no such user\n 550 5.1.1 really", "5.1.1"),
        ("5.1.1", "smtp; 550 5.7.1 we do not like you", "5.7.1"),
        ("5.1.1", "smtp; 550 no such user at 192.5.1.2 or 5.1.2.3", "5.1.1"),
        ("4.4.7", "smtp; 550 5.1.1 of another class", "4.4.7"),
        ("unknown", "smtp; 550 5.1.10 null MX", "5.1.10"),
        ("", "smtp; 550 no", None),
    ],
)
def test_what_the_last_server_said_beats_what_the_reporting_one_makes_of_it(
    status: str, diagnostic: str, code: str | None
) -> None:
    (found,) = reports.read(dsn(block(status=status, more=f"Diagnostic-Code: {diagnostic}\n"))).blocks
    assert found.status == code


def test_the_original_recipient_is_a_name_too() -> None:
    (found,) = reports.read(dsn(block(status="5.1.1", more="Original-Recipient: rfc822;a@other.example\n"))).blocks
    assert found.recipients == ADA | {"a@other.example"}


def test_a_challenge_that_says_failed_of_no_recipient_is_no_report() -> None:
    """Boxbe writes its "please confirm" so: the action stands among what is said of the mail as a whole."""
    challenge = dsn("Action: failed\n\nFinal-Recipient: rfc822; ada@example.org\nStatus: 4.7.0\n")
    assert reports.read(challenge).form is Form.OTHER


def test_a_report_inside_the_returned_letter_is_not_this_report() -> None:
    inner = dsn(block(status="5.1.1"))
    raw = b'Content-Type: multipart/mixed; boundary="o"\n\n--o\nContent-Type: message/rfc822\n\n' + inner + b"\n--o--\n"
    assert reports.read(raw).form is Form.OTHER


def test_feedback_names_its_kind_and_the_mail_by_its_envelope_sender() -> None:
    report = reports.read(feedback("abuse", original_sender="bounces+1.a@news.example"))
    assert (report.form, report.feedback) == (Form.FEEDBACK, "abuse")
    assert report.envelopes[-1] == "bounces+1.a@news.example"


def test_a_bounce_for_people_is_understood_with_its_code() -> None:
    report = reports.read(qmail("Ada@example.org", to="bounces@news.example"))
    assert (report.form, report.blocks) == (Form.TEXT, (Block(ADA, "failed", "5.1.1"),))


def test_an_automatic_reply_is_no_bounce_whatever_it_says() -> None:
    assert reports.read(vacation(to="bounces@news.example")).form is Form.AUTOMATIC_REPLY


@pytest.mark.parametrize("raw", [b"", b"\n\n", b"Subject: Hello\n\nHow are you?\n", b"\xff\xfe\x00", b"From nobody"])
def test_what_is_no_report_is_called_so(raw: bytes) -> None:
    assert reports.read(raw).form is Form.OTHER


def test_parts_without_end_are_no_report() -> None:
    parts = b"".join(b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (n, n) for n in range(5_000))
    assert reports.read(parts).form is Form.OTHER


def test_what_stands_behind_a_megabyte_is_not_looked_at() -> None:
    raw = dsn(block(status="5.1.1"), returned="X: " + "y" * 3 * reports.LIMIT)
    assert reports.read(raw).blocks == (Block(ADA, "failed", "5.1.1"),)


def test_no_address_of_a_bounce_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        reports.read(qmail("ada@example.org", to="bounces@news.example"))
    assert caplog.text == ""


HEADS = [b"", b"Content-Type: multipart/report; boundary=b\n\n--b\n", b"Content-Type: message/delivery-status\n\n"]


@given(st.sampled_from(HEADS), st.binary(max_size=300))
def test_no_octets_can_break_the_reader(head: bytes, octets: bytes) -> None:
    reports.read(head + octets)


@given(st.data())
def test_no_report_with_a_piece_replaced_can_break_the_reader(data: st.DataObject) -> None:
    whole = data.draw(
        st.sampled_from([dsn(block(status="5.1.1")), feedback("abuse"), qmail("a@b.example", to="c@d.e")])
    )
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(start + 60, len(whole))))
    reports.read(whole[:start] + data.draw(st.binary(max_size=30)) + whole[end:])
