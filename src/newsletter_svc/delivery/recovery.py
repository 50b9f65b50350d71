"""After a sender was killed: what its journal says is written into the ledger, without waiting for its leases."""

from datetime import datetime
from pathlib import Path

import structlog
from sqlalchemy.orm import Session

from newsletter_svc.db import Database
from newsletter_svc.delivery import journal, leases, marks, outcomes
from newsletter_svc.delivery.journal import Ended, Left, Record
from newsletter_svc.mail import replies
from newsletter_svc.mail.failures import OutcomeUnknown, PermanentRefusal, Stage
from newsletter_svc.mail.replies import Reply

log = structlog.get_logger()


def recover(database: Database, directory: Path, *, unknown_resend_seconds: int, now: datetime) -> int:
    """Settle every claim on this machine whose sender is dead; return how many those were."""
    settled = 0
    for left in journal.left_behind(directory):
        with database.transaction() as session:
            _settle(session, left, unknown_resend_seconds=unknown_resend_seconds, now=now)
        left.path.unlink(missing_ok=True)
        settled += 1
    return settled


def _settle(session: Session, left: Left, *, unknown_resend_seconds: int, now: datetime) -> None:
    claimed = leases.held_by(session, left.worker, left.mailing_id)
    untouched = []
    for delivery in claimed:
        record = left.records.get(delivery.id)
        if record is None or record.ended is Ended.NOT_TAKEN:
            untouched.append(delivery)
        elif record.ended is Ended.ACCEPTED:
            outcomes.accepted(session, delivery, str(_reply(record)), now=now)
        elif record.ended is Ended.REFUSED:
            outcomes.refused(session, delivery, PermanentRefusal(Stage.DOT, _reply(record)), now=now)
        else:
            failure = OutcomeUnknown(Stage.DOT, cause="sender killed")
            outcomes.unanswered(session, delivery, failure, unknown_resend_seconds=unknown_resend_seconds, now=now)
    marks.give_back(session, untouched)
    if claimed or left.records:  # Else its sender had only just begun, and begins again.
        log.warning("claim_recovered", worker=left.worker, deliveries=len(claimed), named=len(left.records))


def _reply(record: Record) -> Reply:
    code, _, text = record.reply.partition(" ")
    return replies.read(int(code), text.encode())
