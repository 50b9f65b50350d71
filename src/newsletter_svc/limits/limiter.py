"""The limits: what is counted, in which order, and what happens to who has had enough."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import NamedTuple, cast

from limits import RateLimitItem, parse_many
from limits.errors import ConfigurationError
from limits.storage import Storage, storage_from_string
from sqlalchemy.orm import Session

from newsletter_svc import alerts, audit
from newsletter_svc.alerts import Cause
from newsletter_svc.audit import Event
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.errors import NewsletterError
from newsletter_svc.groups import T, Work
from newsletter_svc.limits import buckets, counters
from newsletter_svc.limits.counters import SessionStorage
from newsletter_svc.settings import DATABASE_STORAGE, Settings, SettingsError
from newsletter_svc.tokens import Keyring

SHORT_SECONDS = 60
"""Windows up to this long count each purpose by itself: who has just subscribed may want to sign in at once."""


class Scope(StrEnum):
    """What a limit is counted for."""

    PEER = "ip"
    EVERYBODY = "global"
    ADDRESS = "address"
    CODES = "codes"


class OverLimit(NewsletterError):
    """Too often. `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"over the limit for {retry_after} s")
        self.retry_after = retry_after


class PeerOverLimit(OverLimit):
    """One network has asked for too many mails."""


class ServiceOverLimit(OverLimit):
    """All together have asked for more mails than the operator allows."""


class CodesLocked(OverLimit):
    """Too many wrong codes for one address; the links in its mails still work."""


class _Limit(NamedTuple):
    """One rate, and the key of the counter that it is held against."""

    scope: Scope
    rate: RateLimitItem
    key: str


_Counted = tuple[_Limit | None, int]
"""The limit that was exceeded, and its count."""


@dataclass(frozen=True)
class _Over:
    limit: _Limit
    retry_after: int
    is_first: bool
    """Whether this hit is the first one over the limit in its window."""


class Limits:
    """Counts requests, shared by all processes. A count is kept also for a request that is turned away."""

    def __init__(self, settings: Settings, *, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        self._shared = _shared_storage(settings.ratelimit_storage_uri)
        self._per_address = _rates(settings.limit_per_address)
        self._per_ip = _rates(settings.limit_per_ip)
        self._overall = _rates(settings.limit_global)
        self._wrong_codes = _rates(settings.limit_wrong_codes)

    @contextmanager
    def counting(self) -> Iterator[Session]:
        """A transaction for a request that is counted: what was counted stays so when OverLimit ends the block."""
        with self._database.transaction(kept_by=OverLimit) as session:
            yield session

    def counted(self, work: Work[T]) -> T:
        """The same for work that may share its transaction with that of other requests, as `Database.joined` says."""
        return self._database.joined(work, kept_by=OverLimit)

    def may_send(self, session: Session, address: str, *, peer: str, purpose: str) -> bool:
        """Count a request for mail. False: the address has had enough, so answer as always and send nothing.

        Raises PeerOverLimit, ServiceOverLimit. In this order, so that who is turned away spends no reader's mails.
        """
        network, mailbox = buckets.network(peer), buckets.folded(address)
        limits = [
            *self._limits(Scope.PEER, self._per_ip, network),
            *self._limits(Scope.EVERYBODY, self._overall, ""),
            *self._limits(Scope.ADDRESS, self._per_address, mailbox, purpose),
        ]
        over = self._first_over(session, limits)
        if over is None or over.limit.scope is Scope.ADDRESS:
            return over is None
        raise self._turned_away(session, over, network)

    def count_trapped(self, session: Session, *, peer: str) -> None:
        """Count a request that is known to be a program's, for its network alone. Raises PeerOverLimit."""
        network = buckets.network(peer)
        over = self._first_over(session, self._limits(Scope.PEER, self._per_ip, network))
        if over is not None:
            raise self._turned_away(session, over, network)

    def count_code(self, subscriber_id: int) -> None:
        """Count a code that somebody typed, before it is looked at: guesses that come at once must not slip by.

        Raises CodesLocked, whether or not the code is right.
        """

        def count(session: Session) -> None:
            over = self._first_over(session, self._of_codes(subscriber_id))
            if over is not None:
                raise self._turned_away(session, over, subscriber_id=subscriber_id)

        self.counted(count)

    def forgive_code(self, subscriber_id: int) -> None:
        """The code that was counted was right: only wrong ones lock."""

        def forgive(session: Session) -> None:
            storage = self._storage(session)
            for limit in self._of_codes(subscriber_id):
                storage.incr(limit.key, limit.rate.get_expiry(), -1)

        self.counted(forgive)

    def _of_codes(self, subscriber_id: int) -> list[_Limit]:
        return self._limits(Scope.CODES, self._wrong_codes, str(subscriber_id))

    def _limits(self, scope: Scope, rates: Sequence[RateLimitItem], whose: str, purpose: str = "") -> list[_Limit]:
        """The counters of one scope, that of the shortest window first."""
        bucket = buckets.key(self._keyring, scope, whose)
        return [_Limit(scope, rate, _key(scope, rate, bucket, purpose)) for rate in rates]

    def _storage(self, session: Session) -> Storage:
        """Where counters stand. In the database all of one request share a transaction, and its one commit."""
        return SessionStorage(session) if self._shared is None else self._shared

    def _first_over(self, session: Session, limits: Sequence[_Limit]) -> _Over | None:
        """Count one hit for each limit, in this order, up to the first that is exceeded.

        So a second click within a minute does not use up what the hour allows.
        """
        count = self._count_together if self._shared is None else self._count_one_by_one
        over, counted = count(session, limits)
        if over is None:
            return None
        wait = 0.0
        # The asker of a mail that is withheld is told nothing, and no look-up more may tell them.
        if over.scope is not Scope.ADDRESS:
            wait = self._storage(session).get_expiry(over.key) - utcnow().timestamp()
        return _Over(over, max(1, ceil(wait)), is_first=counted == over.rate.amount + 1)

    def _count_together(self, session: Session, limits: Sequence[_Limit]) -> _Counted:
        """In the database: all at once, and those that come after the one that is exceeded are taken back."""
        counts = counters.hit(session, {limit.key: limit.rate.get_expiry() for limit in limits})
        for number, limit in enumerate(limits):
            if counts[limit.key] > limit.rate.amount:
                counters.take_back(session, (after.key for after in limits[number + 1 :]))
                return limit, counts[limit.key]
        return None, 0

    def _count_one_by_one(self, session: Session, limits: Sequence[_Limit]) -> _Counted:
        storage = self._storage(session)
        for limit in limits:
            counted = storage.incr(limit.key, limit.rate.get_expiry())
            if counted > limit.rate.amount:
                return limit, counted
        return None, 0

    def _turned_away(
        self, session: Session, over: _Over, network: str | None = None, *, subscriber_id: int | None = None
    ) -> OverLimit:
        """Tell the operator, and return what tells the caller."""
        now = utcnow()
        peer = audit.hashed_peer(self._keyring, network) if network else None
        scope = over.limit.scope
        if over.is_first:
            audit.record(session, Event.LIMITED, reason=scope, subscriber_id=subscriber_id, peer=peer, now=now)
        if scope is Scope.EVERYBODY:
            alerts.report(session, Cause.GLOBAL_LIMIT, now=now)
        return _ERRORS[scope](over.retry_after)


_ERRORS = {Scope.PEER: PeerOverLimit, Scope.EVERYBODY: ServiceOverLimit, Scope.CODES: CodesLocked}


def _key(scope: Scope, rate: RateLimitItem, bucket: str, purpose: str) -> str:
    counted_apart = purpose if rate.get_expiry() <= SHORT_SECONDS else ""
    return rate.key_for(scope, counted_apart, bucket)


def _rates(notation: str) -> list[RateLimitItem]:
    return sorted(parse_many(notation), key=RateLimitItem.get_expiry)


def _shared_storage(uri: str) -> Storage | None:
    """The storage that the operator chose; None for the database. Raises SettingsError."""
    if uri == DATABASE_STORAGE:
        return None
    try:
        return cast(Storage, storage_from_string(uri, wrap_exceptions=True))
    except ConfigurationError as error:
        raise SettingsError(["RATELIMIT_STORAGE_URI needs the package redis: pip install redis."]) from error
