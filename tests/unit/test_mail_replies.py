"""What a mail server answers, as it may be kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter_svc.mail import replies
from newsletter_svc.mail.failures import OutcomeUnknown, PermanentRefusal, Stage
from newsletter_svc.mail.replies import Reply


@pytest.mark.parametrize(
    ("code", "raw", "expected"),
    [
        (250, b"2.0.0 Ok: queued as 4F1", Reply(250, "2.0.0", "Ok: queued as 4F1")),
        (250, b"Ok 0100018f@eu-west-1.example", Reply(250, None, "Ok 0100018f@eu-west-1.example")),
        (550, b"5.1.1 <ada@example.org>: unknown", Reply(550, "5.1.1", "<…>: unknown")),
        (550, b"5.7.1 no\n5.7.1 mail", Reply(550, "5.7.1", "no mail")),
        (554, b"", Reply(554, None, "")),
        (550, b"5.1.1", Reply(550, "5.1.1", "")),
        (452, b"4.2.2\tmailbox\x07 full\r", Reply(452, "4.2.2", "mailbox full")),
        (550, b"\xff\xfe", Reply(550, None, "\ufffd\ufffd")),
        (550, b"5.1.1234 not a code", Reply(550, None, "5.1.1234 not a code")),
    ],
)
def test_a_reply_is_read_into_its_codes_and_a_text_without_addresses(code: int, raw: bytes, expected: Reply) -> None:
    assert replies.read(code, raw) == expected


def test_secrets_go_in_any_case_of_letters() -> None:
    reply = replies.read(250, b"queued for ADA@example.org", secrets=("ada@example.org", ""))
    assert reply.text == "queued for …"


@given(st.integers(-1, 999), st.binary(max_size=2_000))
def test_whatever_a_server_says_is_one_printable_line(code: int, raw: bytes) -> None:
    reply = replies.read(code, raw, secrets=("ada@example.org",))
    assert len(reply.text) <= 500
    assert reply.text.isprintable()
    assert not (reply.is_positive and reply.is_permanent)


def test_the_text_of_a_failure_has_codes_only() -> None:
    failure = PermanentRefusal(Stage.RCPT, Reply(550, "5.1.1", "Ada is not here"))
    assert str(failure) == "PermanentRefusal at rcpt: 550 5.1.1"
    assert failure.text == "550 5.1.1 Ada is not here"
    silence = OutcomeUnknown(Stage.DOT, cause="TimeoutError")
    assert (str(silence), silence.code, silence.text) == ("OutcomeUnknown at dot: TimeoutError", None, "TimeoutError")


@given(
    text=st.one_of(
        st.binary(max_size=600),
        st.from_regex(rb"2\.0\.0 Ok: queued as [0-9A-F]{8,12} <[a-z]{1,9}@example\.org>", fullmatch=True),
    )
)
def test_the_short_way_for_what_was_accepted_keeps_what_the_long_way_keeps(text: bytes) -> None:
    assert replies.accepted(250, text) == str(replies.read(250, text))
