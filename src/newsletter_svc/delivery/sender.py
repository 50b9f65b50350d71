"""The sender of mail that somebody waits for: one after the other to the mail server, and how each ended."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
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
from newsletter_svc.delivery.piles import Pile, Piles
from newsletter_svc.mail.compose import Composer
from newsletter_svc.mail.failures import DeliveryError, OutcomeUnknown, Refusal, SenderRefused, ServerUnavailable
from newsletter_svc.mail.message import Letter, OutgoingMessage, UnsendableMessage
from newsletter_svc.mail.slots import LostSlot
from newsletter_svc.mail.transport import Carrier, Transport
from newsletter_svc.settings import Settings
from newsletter_svc.tokens import Keyring

MOST_AT_ONCE = 16
"""How many deliveries one claim takes, once there is no end of them."""
QUICK_SECONDS = 0.25
"""So long a mail may take for the next claim to be a larger one."""
STUCK_SECONDS = 1.0
"""After so long at one mail, another thread takes over what was claimed with it."""
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


Composed = tuple[Claimed, OutgoingMessage]


@dataclass(frozen=True)
class _End:
    """How a batch ended: what is to be marked for that reason, what becomes of those behind, and the pause then."""

    last: Sequence[Mark] = ()
    behind: Callable[[Session, Sequence[Claimed]], object] = marks.give_back
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
    _at_once: int = 1
    _piles: Piles[Composed] = field(default_factory=Piles)

    @property
    def database(self) -> Database:
        return self.claims.database

    def now(self) -> datetime:
        return self.claims.now()

    def run_round(self) -> Round:
        """Claim a batch and send it. Nothing is sent without a committed claim, or with a transaction open."""
        self._relieve()
        limit, begun = self._at_once, monotonic()
        with self.claims.take(limit=limit) as claim:
            done = Round(handled=0) if claim is None else self._send(claim)
        # One by one, so that several threads share a few mails; more and more while they do not come to an end.
        is_quick = monotonic() - begun < limit * QUICK_SECONDS
        self._at_once = min(2 * limit, MOST_AT_ONCE) if is_quick and done.handled == limit else 1
        return done

    def _relieve(self) -> None:
        """Let the mails go on that were claimed together with one at which the server hangs."""
        for pile in self._piles.stuck(STUCK_SECONDS):
            rest = pile.rest()
            try:
                with self.database.transaction() as session:
                    marks.give_back(session, [delivery for delivery, _ in rest])
            except BaseException:
                pile.put_back(rest)
                raise

    def _send(self, claim: Claim) -> Round:
        """Send what was claimed. The journal keeps what happened until all of it is marked in one transaction."""
        done: list[Mark] = []
        composed = self._compose_all(claim.deliveries, done)
        with self._piles.at(composed) as pile:
            end = self._carry(pile, claim.journal, done)
            behind = [delivery for delivery, _ in pile.rest()]
        with self.database.transaction() as session:
            for mark in (*done, *end.last):
                mark(session)
            end.behind(session, behind)
        return Round(handled=len(done), pause=end.pause)

    def _carry(self, pile: Pile[Composed], journal: Journal, done: list[Mark]) -> _End:
        """Send one after the other, and add to `done` how each ended; returns how to end with those that are left."""
        sending: list[Claimed] = []
        try:
            with self.transport.connect() as connection:
                for delivery, message in pile:
                    sending = [delivery]
                    # Mail that somebody waits for counts towards a provider's rate, but never waits for its place.
                    if self.stopping.is_set():
                        break
                    done.append(self._deliver(delivery, message, journal, connection))
                    sending = []
            self._troubles = 0
        except ServerUnavailable as failure:
            pause = self._longer_pause()
            postpone = partial(outcomes.postponed, failure=failure, due_at=self.now() + pause)
            # Those behind were not tried; where nobody could be reached at all, all of them were.
            return _End([partial(postpone, deliveries=sending)], pause=pause) if sending else _End((), postpone, pause)
        except SenderRefused as failure:
            detail = f"{failure.stage}: {failure.text}"
            alert = partial(alerts.report, cause=Cause.SENDER_REFUSED, detail=detail, now=self.now())
            return _End([alert, partial(marks.give_back, deliveries=sending)], pause=REFUSED_PAUSE)
        return _End([partial(marks.give_back, deliveries=sending)])

    def _compose_all(self, deliveries: Sequence[Claimed], done: list[Mark]) -> list[Composed]:
        """The mails of a claim, written in one look at the database; what cannot be written is marked as such."""
        composed: list[Composed] = []
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
