"""The limits: what is counted, in which order, and what happens to who has had enough."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import cast

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
from newsletter_svc.limits import buckets
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


@dataclass(frozen=True)
class _Over:
    scope: Scope
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

    def may_send(self, session: Session, address: str, *, peer: str, purpose: str) -> bool:
        """Count a request for mail. False: the address has had enough, so answer as always and send nothing.

        Raises PeerOverLimit, ServiceOverLimit. In this order, so that who is turned away spends no reader's mails.
        """
        network, mailbox = buckets.network(peer), buckets.folded(address)
        storage = self._storage(session)
        over = self._first_over(storage, Scope.PEER, self._per_ip, network)
        over = over or self._first_over(storage, Scope.EVERYBODY, self._overall, "")
        if over is not None:
            raise self._turned_away(session, over, network)
        return self._first_over(storage, Scope.ADDRESS, self._per_address, mailbox, purpose) is None

    def count_trapped(self, session: Session, *, peer: str) -> None:
        """Count a request that is known to be a program's, for its network alone. Raises PeerOverLimit."""
        network = buckets.network(peer)
        over = self._first_over(self._storage(session), Scope.PEER, self._per_ip, network)
        if over is not None:
            raise self._turned_away(session, over, network)

    def count_code(self, subscriber_id: int) -> None:
        """Count a code that somebody typed, before it is looked at: guesses that come at once must not slip by.

        Raises CodesLocked, whether or not the code is right.
        """
        with self.counting() as session:
            over = self._first_over(self._storage(session), Scope.CODES, self._wrong_codes, str(subscriber_id))
            if over is not None:
                raise self._turned_away(session, over, subscriber_id=subscriber_id)

    def forgive_code(self, subscriber_id: int) -> None:
        """The code that was counted was right: only wrong ones lock."""
        with self.counting() as session:
            storage = self._storage(session)
            for rate in self._wrong_codes:
                storage.incr(self._key(Scope.CODES, rate, str(subscriber_id)), rate.get_expiry(), -1)

    def _storage(self, session: Session) -> Storage:
        """Where counters stand. In the database all of one request share a transaction, and its one commit."""
        return SessionStorage(session) if self._shared is None else self._shared

    def _first_over(
        self, storage: Storage, scope: Scope, rates: Sequence[RateLimitItem], whose: str, purpose: str = ""
    ) -> _Over | None:
        """Count one hit for each rate, the shortest window first; stop at the first rate that is exceeded.

        So a second click within a minute does not use up what the hour allows.
        """
        for rate in rates:
            key = self._key(scope, rate, whose, purpose)
            count = storage.incr(key, rate.get_expiry())
            if count > rate.amount:
                wait = storage.get_expiry(key) - utcnow().timestamp()
                return _Over(scope, max(1, ceil(wait)), is_first=count == rate.amount + 1)
        return None

    def _key(self, scope: Scope, rate: RateLimitItem, whose: str, purpose: str = "") -> str:
        counted_apart = purpose if rate.get_expiry() <= SHORT_SECONDS else ""
        return rate.key_for(scope, counted_apart, buckets.key(self._keyring, scope, whose))

    def _turned_away(
        self, session: Session, over: _Over, network: str | None = None, *, subscriber_id: int | None = None
    ) -> OverLimit:
        """Tell the operator, and return what tells the caller."""
        now = utcnow()
        peer = audit.hashed_peer(self._keyring, network) if network else None
        if over.is_first:
            audit.record(session, Event.LIMITED, reason=over.scope, subscriber_id=subscriber_id, peer=peer, now=now)
        if over.scope is Scope.EVERYBODY:
            alerts.report(session, Cause.GLOBAL_LIMIT, now=now)
        return _ERRORS[over.scope](over.retry_after)


_ERRORS = {Scope.PEER: PeerOverLimit, Scope.EVERYBODY: ServiceOverLimit, Scope.CODES: CodesLocked}


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
