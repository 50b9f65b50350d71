"""When a delivery that met a passing trouble is tried again, and when it is given up."""

from datetime import datetime, timedelta

from newsletter_svc.delivery.models import Claimed, Lane

TRANSACTIONAL_STEPS = tuple(timedelta(seconds=seconds) for seconds in (15, 60, 120, 300))
"""Somebody waits in front of a page, and greylisting servers say yes to the second knock."""
BULK_FIRST_STEP = timedelta(minutes=30)
BULK_PATIENCE = timedelta(hours=72)
"""Real mail servers queue for days (RFC 5321 4.5.4.1 asks for four to five); a briefing is old news after three."""
UNREACHABLE_STEPS = tuple(timedelta(seconds=seconds) for seconds in (5, 15, 30, 60))
UNKNOWN_TRANSACTIONAL = timedelta(minutes=1)


def after_refusal(delivery: Claimed, *, now: datetime) -> datetime | None:
    """When to try again after the server's "not now"; None when it is time to give up."""
    if delivery.lane == Lane.TRANSACTIONAL:
        due = now + _step(TRANSACTIONAL_STEPS, delivery.attempts)
        return due if delivery.expires_at is None or due < delivery.expires_at else None
    due = now + BULK_FIRST_STEP * 2 ** min(max(delivery.attempts, 1) - 1, 8)
    return due if due <= delivery.created_at + BULK_PATIENCE else None


def after_no_server(failures_in_a_row: int) -> timedelta:
    """How long a sender leaves a mail server alone that it could not reach; no reader is to blame for that."""
    return _step(UNREACHABLE_STEPS, failures_in_a_row)


def after_no_reply(delivery: Claimed, *, unknown_resend_seconds: int, now: datetime) -> datetime:
    """When to send once more what may have arrived already."""
    if delivery.lane == Lane.TRANSACTIONAL:
        return now + UNKNOWN_TRANSACTIONAL
    return now + timedelta(seconds=unknown_resend_seconds)


def _step(steps: tuple[timedelta, ...], attempts: int) -> timedelta:
    return steps[min(max(attempts, 1), len(steps)) - 1]
