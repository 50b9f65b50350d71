"""The rules of delivery that are plain functions: verdicts, retries, the provider's rate, the envelope sender."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter_svc.db import Database
from newsletter_svc.delivery import envelope, pace, retries
from newsletter_svc.delivery.models import Claimed, Lane
from newsletter_svc.delivery.verdicts import Verdict, judge, reason
from newsletter_svc.mail import replies
from newsletter_svc.mail.addresses import wire_address
from newsletter_svc.tokens import Keyring

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
RING = Keyring(("the newest key of this test",), environment="development")


def delivery(lane: Lane, attempts: int, *, age: timedelta = timedelta(), lives: timedelta | None = None) -> Claimed:
    return Claimed(
        id=1,
        kind="note",
        lane=lane,
        mailing_id=None if lane is Lane.TRANSACTIONAL else 1,
        subscriber_id=None,
        subject_id="1",
        recipient="ada@example.org",
        message_id="<1@news.example>",
        attempts=attempts,
        resends=0,
        created_at=NOW - age,
        expires_at=None if lives is None else NOW + lives,
        claimed_by="first",
    )


# Verdicts (RFC 3463)


@pytest.mark.parametrize(
    ("line", "verdict", "told"),
    [
        ("550 5.1.1 no such user", Verdict.HARD, "5.1.1"),
        ("550 5.1.3 bad address", Verdict.HARD, "5.1.3"),
        ("551 5.1.6 has moved", Verdict.HARD, "5.1.6"),
        ("550 5.1.10 null MX", Verdict.HARD, "5.1.10"),
        ("550 5.2.1 mailbox disabled", Verdict.HARD, "5.2.1"),
        ("450 5.1.1 the enhanced code is believed", Verdict.HARD, "5.1.1"),
        ("450 4.2.0 greylisted", Verdict.SOFT, "4.2.0"),
        ("550 4.7.1 the enhanced code is believed", Verdict.SOFT, "4.7.1"),
        ("552 5.2.2 mailbox full", Verdict.SOFT, "5.2.2"),
        ("550 5.3.1 system full", Verdict.SOFT, "5.3.1"),
        ("550 5.4.4 no route", Verdict.SOFT, "5.4.4"),
        ("550 5.0.0 undefined", Verdict.SOFT, "5.0.0"),
        ("451 local trouble", Verdict.SOFT, "451"),
        ("452 too many", Verdict.SOFT, "452"),
        ("552 5.3.4 too big", Verdict.TOO_LARGE, "5.3.4"),
        ("552 too big", Verdict.TOO_LARGE, "552"),
        ("550 5.7.1 blocked", Verdict.FAILED, "5.7.1"),
        ("550 5.1.2 bad domain, for once", Verdict.FAILED, "5.1.2"),
        ("550 5.1.7 bad sender", Verdict.FAILED, "5.1.7"),
        ("550 5.1.8 bad sender's domain", Verdict.FAILED, "5.1.8"),
        ("550 5.6.0 bad content", Verdict.FAILED, "5.6.0"),
        ("550 nobody knows why", Verdict.FAILED, "550"),
        ("554 transaction failed", Verdict.FAILED, "554"),
    ],
)
def test_a_refusal_means_what_the_standard_says(line: str, verdict: Verdict, told: str) -> None:
    reply = replies.read(int(line[:3]), line[4:].encode())
    assert (judge(reply), reason(reply)) == (verdict, told)


@given(st.integers(400, 599), st.sampled_from(["", "4.7.1 ", "5.7.1 ", "5.1.1 ", "2.0.0 "]), st.text(max_size=20))
def test_every_refusal_has_a_verdict_and_only_a_missing_mailbox_is_hard(code: int, enhanced: str, text: str) -> None:
    verdict = judge(replies.read(code, (enhanced + text).encode()))
    if verdict == Verdict.HARD:
        assert replies.read(code, (enhanced + text).encode()).enhanced in {
            "5.1.1", "5.1.3", "5.1.6", "5.1.10", "5.2.1",
        }  # fmt: skip


# Retries


def test_sign_in_mail_is_tried_again_soon_and_ever_more_rarely() -> None:
    waits = [
        retries.after_refusal(delivery(Lane.TRANSACTIONAL, attempts, lives=timedelta(minutes=20)), now=NOW)
        for attempts in range(1, 7)
    ]
    assert [wait and (wait - NOW).total_seconds() for wait in waits] == [15, 60, 120, 300, 300, 300]


def test_sign_in_mail_is_given_up_when_its_link_would_arrive_dead() -> None:
    assert retries.after_refusal(delivery(Lane.TRANSACTIONAL, 4, lives=timedelta(minutes=5)), now=NOW) is None
    assert retries.after_refusal(delivery(Lane.TRANSACTIONAL, 4, lives=timedelta(minutes=5, seconds=1)), now=NOW)


def test_a_digest_is_tried_again_after_half_an_hour_then_doubling_for_three_days() -> None:
    age, hours = timedelta(), []
    for attempts in range(1, 20):
        due = retries.after_refusal(delivery(Lane.BULK, attempts, age=age), now=NOW)
        if due is None:
            break
        hours.append((due - NOW) / timedelta(hours=1))
        age += due - NOW
    assert hours == [0.5, 1, 2, 4, 8, 16, 32]
    assert age <= timedelta(hours=72)


@given(st.integers(0, 10_000), st.sampled_from(Lane))
def test_a_retry_is_always_later_than_now(attempts: int, lane: Lane) -> None:
    due = retries.after_refusal(delivery(lane, attempts), now=NOW)
    assert due is None or due > NOW
    assert retries.after_no_reply(delivery(lane, attempts), unknown_resend_seconds=900, now=NOW) > NOW
    assert timedelta(seconds=5) <= retries.after_no_server(attempts) <= timedelta(minutes=1)


def test_what_was_never_answered_waits_a_minute_for_sign_in_and_as_set_for_a_digest() -> None:
    for lane, seconds in ((Lane.TRANSACTIONAL, 60), (Lane.BULK, 900)):
        due = retries.after_no_reply(delivery(lane, 1), unknown_resend_seconds=900, now=NOW)
        assert due == NOW + timedelta(seconds=seconds)


# The provider's rate


def reserve(database: Database, count: int, now: datetime) -> datetime:
    with database.transaction() as session:
        return pace.reserve(session, count, per_second=2, now=now)


def test_who_reserves_later_goes_later(database: Database) -> None:
    assert reserve(database, 10, NOW) == NOW
    assert reserve(database, 4, NOW) == NOW + timedelta(seconds=5)
    assert reserve(database, 1, NOW) == NOW + timedelta(seconds=7)


def test_time_that_nobody_used_is_not_made_up_for(database: Database) -> None:
    reserve(database, 10, NOW)
    later = NOW + timedelta(hours=1)
    assert reserve(database, 2, later) == later
    assert reserve(database, 2, later) == later + timedelta(seconds=1)


# The envelope sender (VERP)


@given(st.integers(0, 2**63 - 1))
def test_an_envelope_sender_leads_back_to_its_delivery(delivery_id: int) -> None:
    address = envelope.sender_for(delivery_id, bounce_address="bounces@news.example.org", default="x", keyring=RING)
    assert wire_address(address) == address
    for spelling in (address, address.lower(), address.upper()):
        assert envelope.delivery_of(spelling, keyring=RING) == delivery_id


@given(st.integers(0, 2**63 - 1), st.sampled_from(["bounces@news.example.org", "b+c@bücher.example", None]))
def test_the_stamp_of_many_writes_what_is_written_for_one(delivery_id: int, bounce_address: str | None) -> None:
    given_parts = {"bounce_address": bounce_address, "default": "briefing@bücher.example", "keyring": RING}
    one = envelope.sender_for(delivery_id, **given_parts)  # type: ignore[arg-type]
    assert envelope.stamp(**given_parts)(delivery_id) == wire_address(one).encode("ascii")  # type: ignore[arg-type]


def test_without_a_bounce_address_the_plain_sender_is_used() -> None:
    sender = envelope.sender_for(7, bounce_address=None, default="briefing@example.org", keyring=RING)
    assert sender == "briefing@example.org"


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_the_number_of_another_delivery_does_not_fit(delivery_id: int, other: int) -> None:
    address = envelope.sender_for(delivery_id, bounce_address="b@example.org", default="x", keyring=RING)
    forged = address.replace(f"+{delivery_id:x}.", f"+{other:x}.")
    assert envelope.delivery_of(forged, keyring=RING) == (delivery_id if other == delivery_id else None)


@given(st.text(st.characters(), max_size=80))
@pytest.mark.parametrize("frame", ["{}", "bounces+{}@example.org", "bounces+2f.{}@example.org", "bounces+{}.00@x.org"])
def test_a_forged_envelope_sender_leads_nowhere(frame: str, junk: str) -> None:
    assert envelope.delivery_of(frame.format(junk), keyring=RING) is None


@pytest.mark.parametrize("junk", ["\udcff", "1.\udcff", "١.0", "0x2f.0", "-1.0", "1_0.0", ".", "", "1." + "f" * 10_000])
def test_an_odd_envelope_sender_leads_nowhere(junk: str) -> None:
    assert envelope.delivery_of(f"bounces+{junk}@example.org", keyring=RING) is None


def test_bounces_to_mail_of_the_previous_key_find_their_way() -> None:
    address = envelope.sender_for(47, bounce_address="b@example.org", default="x", keyring=RING)
    rotated = Keyring(("an even newer key", "the newest key of this test"), environment="development")
    retired = Keyring(("an even newer key",), environment="development")
    assert envelope.delivery_of(address, keyring=rotated) == 47
    assert envelope.delivery_of(address, keyring=retired) is None
