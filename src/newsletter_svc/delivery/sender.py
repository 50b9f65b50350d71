"""The sender of mail that somebody waits for: one by one to the mail server, and written down how each ended."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from sqlalchemy.exc import NoResultFound, OperationalError
from sqlalchemy.orm import Session

from newsletter_svc import alerts
from newsletter_svc.alerts import Cause
from newsletter_svc.db import Database
from newsletter_svc.delivery import envelope, marks, outcomes, retries
from newsletter_svc.delivery.claims import Claim, Claims
from newsletter_svc.delivery.journal import Ended, Journal
from newsletter_svc.delivery.models import Claimed
from newsletter_svc.mail.compose import Composer
from newsletter_svc.mail.failures import DeliveryError, OutcomeUnknown, Refusal, SenderRefused, ServerUnavailable
from newsletter_svc.mail.message import Letter, OutgoingMessage, UnsendableMessage
from newsletter_svc.mail.slots import LostSlot
from newsletter_svc.mail.transport import Carrier, Transport
from newsletter_svc.settings import Settings
from newsletter_svc.tokens import Keyring

BATCH = 1
"""How many deliveries one claim takes: behind one that a server hangs at, none may wait."""
REFUSED_PAUSE = timedelta(minutes=1)


class WriteLetter(Protocol):
    """Writes the letter for a delivery of one kind. Features hand it over."""

    def __call__(self, session: Session, delivery: Claimed, *, now: datetime) -> Letter: ...


Mark = Callable[[Session], object]
"""What the ledger is to say of a delivery."""


@dataclass(frozen=True)
class Round:
    """What one round did: how many deliveries it ended or moved, and how long the mail server is to be left alone."""

    handled: int
    pause: timedelta = timedelta()


@dataclass
class Sender:
    """Sends what is due. One instance serves all threads of a process, each of which runs rounds."""

    claims: Claims
    transport: Transport
    composer: Composer
    keyring: Keyring
    settings: Settings
    letters: Mapping[str, WriteLetter]
    stopping: threading.Event = field(default_factory=threading.Event)
    _troubles: int = 0

    @property
    def database(self) -> Database:
        return self.claims.database

    def now(self) -> datetime:
        return self.claims.now()

    def run_round(self) -> Round:
        """Claim a batch and send it. Nothing is sent without a committed claim, or with a transaction open."""
        with self.claims.take(limit=BATCH) as claim:
            return Round(handled=0) if claim is None else self._send(claim)

    def _send(self, claim: Claim) -> Round:
        """Send what was claimed. The journal keeps what happened until all of it is marked in one transaction."""
        done: list[Mark] = []
        composed = self._compose_all(claim.deliveries, done)
        waiting = [delivery for delivery, _ in composed]
        pause = timedelta()
        try:
            with self.transport.connect() as connection:
                # What could not be composed takes no place, so there may be more of these than mails.
                for (delivery, message), place in zip(composed, claim.places(), strict=False):
                    if not self._goes_on(place):
                        break
                    done.append(self._deliver(delivery, message, claim.journal, connection))
                    waiting.remove(delivery)
            self._troubles = 0
            end: Mark = partial(marks.give_back, deliveries=waiting)
        except ServerUnavailable as failure:
            pause = self._longer_pause()
            end = partial(outcomes.postponed, deliveries=waiting, failure=failure, due_at=self.now() + pause)
        except SenderRefused as failure:
            pause = REFUSED_PAUSE
            detail = f"{failure.stage}: {failure.text}"
            done.append(partial(alerts.report, cause=Cause.SENDER_REFUSED, detail=detail, now=self.now()))
            end = partial(marks.give_back, deliveries=waiting)
        with self.database.transaction() as session:
            for mark in (*done, end):
                mark(session)
        return Round(handled=len(claim.deliveries) - len(waiting), pause=pause)

    def _compose_all(self, deliveries: Sequence[Claimed], done: list[Mark]) -> list[tuple[Claimed, OutgoingMessage]]:
        """The mails of a claim, written in one look at the database; what cannot be written is marked as such."""
        composed: list[tuple[Claimed, OutgoingMessage]] = []
        with self.database.reading() as session:
            for delivery in deliveries:
                try:
                    composed.append((delivery, self._compose(session, delivery)))
                except OperationalError:
                    raise
                except (UnsendableMessage, LostSlot, NoResultFound) as error:
                    done.append(partial(outcomes.unsendable, delivery=delivery, error=error, now=self.now()))
                except Exception as error:
                    # A broken template is our fault and can be mended: the reader must not lose the mail by it.
                    done.append(partial(outcomes.not_written, delivery=delivery, error=error, now=self.now()))
        return composed

    def _goes_on(self, place: datetime) -> bool:
        """Wait for a message's place in the rate; False when the process is to end."""
        return not self.stopping.wait(max(0.0, (place - self.now()).total_seconds()))

    def _deliver(self, delivery: Claimed, message: OutgoingMessage, journal: Journal, connection: Carrier) -> Mark:
        """Hand over one mail and say how it is to be marked. Raises ServerUnavailable, SenderRefused."""
        try:
            reply = connection.send(message, before_dot=partial(journal.intent, delivery.id))
        except Refusal as refusal:
            journal.result(delivery.id, Ended.REFUSED, refusal.text.encode())
            return partial(outcomes.refused, delivery=delivery, refusal=refusal, now=self.now())
        except OutcomeUnknown as failure:
            journal.result(delivery.id, Ended.UNANSWERED)
            return partial(self._unanswered, delivery=delivery, failure=failure)
        except DeliveryError:
            journal.result(delivery.id, Ended.NOT_TAKEN)
            raise
        journal.result(delivery.id, Ended.ACCEPTED, reply.encode())
        return partial(outcomes.accepted, delivery=delivery, reply=reply, now=self.now())

    def _compose(self, session: Session, delivery: Claimed) -> OutgoingMessage:
        now = self.now()
        letter = self.letters[delivery.kind](session, delivery, now=now)
        envelope_sender = envelope.sender_for(
            delivery.id,
            bounce_address=self.settings.bounce_address,
            default=self.settings.mail_default_sender,
            keyring=self.keyring,
        )
        return self.composer.finish(letter, message_id=delivery.message_id, date=now, envelope_sender=envelope_sender)

    def _unanswered(self, session: Session, *, delivery: Claimed, failure: OutcomeUnknown) -> None:
        seconds = self.settings.unknown_resend_seconds
        outcomes.unanswered(session, delivery, failure, unknown_resend_seconds=seconds, now=self.now())

    def _longer_pause(self) -> timedelta:
        """Nobody is to blame but the server, which is left alone for longer each time."""
        self._troubles += 1
        return retries.after_no_server(self._troubles)
