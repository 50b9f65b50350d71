"""Issues in words and as JSON: what became of one that was asked for, and how far one has come."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from newsletter_svc.delivery.models import MailingState, Status
from newsletter_svc.digests.progress import Progress, Report, Served, Unsettled
from newsletter_svc.digests.runs import Outcome, Run

_OUTCOMES = {
    Outcome.NOTHING_NEW: "nothing new, so no issue was made",
    Outcome.ALREADY_RUN: "seen to already",
    Outcome.NOT_DUE: "not due yet",
}
MOST_PLACES = 4
"""So many zones of one moment are named."""
STATES = {
    MailingState.ACTIVE: "is going out",
    MailingState.PAUSED: "is paused",
    MailingState.CANCELLED: "is cancelled",
    MailingState.DONE: "is done",
}


def outcome(run: Run) -> str:
    """What became of an edition that was asked for its issue, in a line."""
    name = f"{run.newsletter} {run.period}".strip()
    if run.outcome is Outcome.FAILED:
        return f"{name}: failed ({run.reason}); the next call tries again"
    if run.outcome is not Outcome.PUBLISHED:
        return f"{name}: {_OUTCOMES[run.outcome]}"
    skipped = f", {run.skipped:,} that cannot be rendered left out" if run.skipped else ""
    readers = f", for {_many(run.recipients, 'reader')}" if run.recipients else ""
    nobody = "" if run.recipients else "; the newsletter has no readers, so nothing is sent"
    return f"{name}: issue {run.digest_id} with {_many(run.articles, 'article')}{skipped}{readers}{nobody}"


def standing(digest_id: int, found: Progress, *, said: str | None = None) -> str:
    """`Issue 7 is going out: 300 sent, 700 pending. 40 a second, 18 s left.`"""
    if not found.total:
        return f"Issue {digest_id} has no readers."
    counts = ", ".join(f"{count:,} {status}" for status, count in found.counts.items() if count)
    remarks = _remarks(digest_id, found) if said is None or found.state == MailingState.PAUSED else ()
    return " ".join([f"Issue {digest_id} {said or STATES[found.state]}: {counts}.", *remarks])


def full(digest_id: int, report: Report) -> str:
    """How far an issue has come, why some of it failed, and who is unsettled by name."""
    lines = [standing(digest_id, report.progress)]
    if len(report.slots) > 1:
        lines += map(_slot, report.slots)
    lines += [f"  failed: {count:,} x {reason}" for reason, count in report.failures.items()]
    return "\n".join([*lines, *unsettled(report)])


def unsettled(report: Report, *statuses: Status) -> Iterator[str]:
    """A line for each delivery that is named, and one for those that are too many to be."""
    for status in statuses or (Status.RETRY, Status.UNKNOWN):
        named = [each for each in report.unsettled if each.status == status]
        yield from map(_unsettled, named)
        more = report.progress.counts[status] - len(named)
        if more > 0:
            yield f"  {status}: and {more:,} more"


def as_json(digest_id: int, report: Report) -> dict[str, Any]:
    """The same for machines."""
    found = report.progress
    return {
        "digest_id": digest_id,
        "state": found.state,
        "reason": found.reason,
        "total": found.total,
        "counts": dict(found.counts),
        "rate": found.rate,
        "seconds_left": found.seconds_left,
        "failures": dict(report.failures),
        "unsettled": [
            {**asdict(each), "due_at": each.due_at.isoformat() if each.due_at else None} for each in report.unsettled
        ],
        "unsettled_total": found.unsettled,
        "later": found.later,
        "slots": [{**asdict(each), "due_at": each.due_at.isoformat()} for each in report.slots],
    }


def pace(rate: float | None, seconds_left: float | None) -> str:
    """`4,512 a second, 1 min 51 s left`; nothing where nothing is known."""
    said = [] if rate is None else [f"{rate:,.0f} a second" if rate >= 10 else f"{rate:.2g} a second"]
    return ", ".join(said if seconds_left is None else [*said, f"{_duration(seconds_left)} left"])


def _remarks(digest_id: int, found: Progress) -> Iterator[str]:
    if found.state == MailingState.PAUSED:
        yield f"Why: {found.reason}." if found.reason else "An operator paused it."
        yield f"`newsletter digest resume {digest_id}` lets it go on."
    elif found.state == MailingState.ACTIVE and not found.to_send:
        later = f" Waiting for their readers' hour: {found.later:,}." if found.later else ""
        yield f"Nothing of it is due now.{later}"
    elif found.state == MailingState.ACTIVE and found.rate is not None:
        yield f"{pace(found.rate, found.seconds_left)}."
    elif found.state == MailingState.ACTIVE and not found.in_flight:
        yield "Nobody is sending it just now."


def _slot(each: Served) -> str:
    """`  2026-11-25 01:15 UTC (07:00 Asia/Kathmandu): 1,200 readers, 40 of them pending`."""
    places = ", ".join(each.places[:MOST_PLACES])
    more = f" and {len(each.places) - MOST_PLACES} more" if len(each.places) > MOST_PLACES else ""
    left = f", {each.left:,} of them pending" if each.left else ", served"
    return f"  {each.due_at:%Y-%m-%d %H:%M} UTC ({places}{more}): {_many(each.readers, 'reader')}{left}"


def _unsettled(each: Unsettled) -> str:
    then = f"due at {each.due_at:%Y-%m-%d %H:%M} UTC" if each.due_at else "not sent again"
    return f"  {each.status}: {each.recipient} ({each.reason}; {then})"


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
