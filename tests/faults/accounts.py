"""The invariant behind every fault: each delivery has one status, and what the ledger says fits what was received."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import select

from newsletter_svc.db import Database
from newsletter_svc.delivery.models import Delivery, Status
from tests.fakes.smtp_thread import Arrival


class Accounts(NamedTuple):
    """Who stands where, for what a test wants to know beyond the invariant."""

    statuses: Counter[Status]
    received: Counter[str]
    """How often each Message-ID came to where its reader may see it."""

    @property
    def duplicates(self) -> int:
        return self.received.total() - len(self.received)


def assert_accounted(
    database: Database,
    arrivals: Sequence[Arrival],
    *,
    rows: int,
    duplicates: int = 0,
    kept: Collection[Status] = (Status.SENT, Status.UNKNOWN),
) -> Accounts:
    """Compare the ledger with what a mail server received, print the counts, and return them.

    `rows` is how many deliveries are owed in all, `duplicates` how many messages may have come once more, and `kept`
    in which states a message that came may be: if the ledger forgot about it, it would be sent again.
    """
    with database.reading() as session:
        ledger = {row.message_id: row for row in session.scalars(select(Delivery))}
    statuses = Counter(row.status for row in ledger.values())
    accepted = {arrival.message_id for arrival in arrivals if arrival.is_accepted}
    accounts = Accounts(statuses, Counter(arrival.message_id for arrival in arrivals if arrival.may_be_delivered))
    print(
        f"ledger: {_words(statuses)}; received: {len(arrivals)} mails, {len(accepted)} accepted by Message-ID, "
        f"{accounts.duplicates} duplicates of {duplicates} allowed"
    )
    assert sum(statuses.values()) == rows
    assert {arrival.message_id for arrival in arrivals} <= ledger.keys()
    assert {message_id for message_id, row in ledger.items() if row.status == Status.SENT} <= accepted
    assert {ledger[message_id].status for message_id in accounts.received} <= set(kept)
    for arrival in arrivals:
        # An erased reader's row stays, without the address.
        assert ledger[arrival.message_id].recipient in (arrival.recipient, "")
    assert accounts.duplicates <= duplicates
    return accounts


def _words(statuses: Counter[Status]) -> str:
    return ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
