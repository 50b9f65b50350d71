"""Amazon SES: JSON inside a notification of SNS, with one or more recipients."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from newsletter_svc.delivery.bounces import Source
from newsletter_svc.delivery.models import BounceKind
from newsletter_svc.delivery.providers import calls, sns
from newsletter_svc.delivery.providers.calls import Call, Said, Told, Unreadable

FAILED = "failed"
COMPLAINTS = frozenset({"abuse", "fraud", ""})
"""Many mailbox providers do not say of which kind a complaint is."""
KINDS = {"Permanent": BounceKind.HARD, "Transient": BounceKind.SOFT}
OURS = frozenset({"MessageTooLarge", "ContentRejected", "AttachmentRejected"})


def read(call: Call, secret: str, *, fetch: sns.Fetch, now: datetime) -> Told:
    """The events in a request; `secret` are the names of our topics, comma-separated.

    Raises Unsigned, Unreadable, NotFetched. A subscription to one of our topics is confirmed.
    """
    envelope = sns.checked(call, secret, fetch=fetch, now=now)
    if envelope["Type"] == sns.SUBSCRIPTION:
        sns.confirm(envelope, fetch=fetch)
        return Told()
    try:
        told = calls.fields(json.loads(calls.text(envelope.get("Message"))))
    except (ValueError, RecursionError):
        raise Unreadable("the message is no JSON") from None
    return calls.told_of(_said(told), Source.SES, now=now)


def _said(told: Mapping[str, Any]) -> Iterator[Said]:
    what = told.get("notificationType") or told.get("eventType")
    message = calls.text(calls.fields(told.get("mail")).get("messageId"))
    if what == "Bounce":
        yield from _bounced(calls.fields(told.get("bounce")), message)
    elif what == "Complaint":
        yield from _complained(calls.fields(told.get("complaint")), message)
    else:
        calls.ignored(Source.SES, what)


def _bounced(bounce: Mapping[str, Any], message: str) -> Iterator[Said]:
    kind, feedback = KINDS.get(calls.text(bounce.get("bounceType"))), calls.text(bounce.get("feedbackId"))
    for number, recipient in enumerate(calls.objects(bounce.get("bouncedRecipients"))):
        action = calls.text(recipient.get("action"))
        # An out-of-office reply is a transient bounce too, without an action.
        has_failed = action == FAILED or (not action and kind is BounceKind.HARD)
        if kind is None or not has_failed or bounce.get("bounceSubType") in OURS:
            calls.ignored(Source.SES, bounce.get("bounceSubType"))
            continue
        yield Said(
            id=f"{feedback}:{number}" if feedback else "",
            message=message,
            email=calls.text(recipient.get("emailAddress")),
            kind=kind,
            words=f"{calls.text(recipient.get('diagnosticCode'))} {calls.text(recipient.get('status'))}",
            at=calls.moment(bounce.get("timestamp")),
        )


def _complained(complaint: Mapping[str, Any], message: str) -> Iterator[Said]:
    feedback, kind = calls.text(complaint.get("feedbackId")), calls.text(complaint.get("complaintFeedbackType"))
    if kind not in COMPLAINTS:
        calls.ignored(Source.SES, kind)
        return
    for number, recipient in enumerate(calls.objects(complaint.get("complainedRecipients"))):
        yield Said(
            id=f"{feedback}:{number}" if feedback else "",
            message=message,
            email=calls.text(recipient.get("emailAddress")),
            kind=BounceKind.COMPLAINT,
            at=calls.moment(complaint.get("timestamp")),
        )
