"""A provider's request, and what the modules for all of them share: refusals, JSON, and the event it becomes."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import structlog
from sqlalchemy.orm import Session

from newsletter_svc.delivery import bounces
from newsletter_svc.delivery.bounces import BounceEvent, Source
from newsletter_svc.delivery.models import BounceKind
from newsletter_svc.errors import NewsletterError
from newsletter_svc.limits.counters import SessionStorage
from newsletter_svc.mail import reports
from newsletter_svc.mail.replies import Reply

LONGEST_NAME = 150
LONGEST_ADDRESS = 320
REFUSED = 550
FORGOTTEN_AFTER_SECONDS = 15 * 60
"""By then a proof that is good for minutes is good for nothing."""

log = structlog.get_logger()


class Unsigned(NewsletterError):
    """Nothing proves that the provider has sent this. Which of the proofs is wrong is for the log."""

    def __init__(self, private_reason: str) -> None:
        super().__init__("this request is not signed as it should be")
        self.private_reason = private_reason


class Unreadable(NewsletterError):
    """Signed, and not what the provider's manual says; it names what."""


@dataclass(frozen=True)
class Call:
    """One request, as it came."""

    headers: Mapping[str, str]
    """By their names in lower case."""
    body: bytes

    def header(self, name: str) -> str:
        """Empty where there is none."""
        return self.headers.get(name.lower(), "")

    def json(self) -> Any:
        """Raises Unreadable."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise Unreadable("the body is no JSON") from None


@dataclass(frozen=True)
class Said:
    """What a provider says of one mail; its own judgement counts where no enhanced code does."""

    id: str
    message: str
    email: str
    kind: BounceKind
    words: str = ""
    """Where an enhanced code may stand: what the mail server said to the provider."""
    at: datetime | None = None


@dataclass(frozen=True)
class Told:
    """All that a request says: what becomes of it is one transaction."""

    events: tuple[BounceEvent, ...] = ()
    once: str | None = None
    """What the request used up, where its proof would also do for another: a second request with it says nothing."""


def told_of(said: Iterable[Said], source: Source, *, now: datetime, once: str | None = None) -> Told:
    """The events in what a provider says of some mails."""
    events = [_event(each, source, now=now) for each in said]
    return Told(tuple(event for event in events if event is not None), once)


def is_new(session: Session, told: Told) -> bool:
    """Whether this is the first request with its proof, as far as that matters.

    In the transaction of what its events do: if that fails, the provider's next try must find the proof unused.
    """
    if told.once is None:
        return True
    key = f"webhook:{sha256(told.once.encode()).hexdigest()}"
    return SessionStorage(session).incr(key, FORGOTTEN_AFTER_SECONDS) == 1


def _event(said: Said, source: Source, *, now: datetime) -> BounceEvent | None:
    """The event; None where what is said does not speak of the reader's address."""
    email = _plain(said.email, LONGEST_ADDRESS)
    code = next(iter(reports.status_codes(said.words)), None)
    kind: BounceKind | None = said.kind
    if kind is not BounceKind.COMPLAINT and code is not None:
        kind = bounces.kind_of(Reply(REFUSED, code, ""))
    if kind is None or not said.id or "@" not in email:
        ignored(source, said.id)
        return None
    return BounceEvent(
        id=f"{source}:{_plain(said.id, LONGEST_NAME)}",
        kind=kind,
        email=email,
        message=f"{source}:{_plain(said.message or said.id, LONGEST_NAME)}",
        status=None if kind is BounceKind.COMPLAINT else code,
        source=source,
        at=min(said.at or now, now),
    )


def ignored(source: Source, what: object) -> None:
    """Providers tell of more than we asked for, and of new things; all of it is answered well."""
    log.info("webhook_ignored", source=source, what=_plain(what, LONGEST_NAME))


def fields(value: Any) -> Mapping[str, Any]:
    """A JSON object; an empty one in the place of whatever else stands there."""
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[Mapping[str, Any]]:
    """The JSON objects in a list; none in the place of whatever else stands there."""
    return [fields(each) for each in value] if isinstance(value, list) else []


def text(value: Any) -> str:
    return str(value) if isinstance(value, str | int) else ""


def moment(value: Any) -> datetime | None:
    """Seconds since 1970, or a moment as ISO 8601 has it; None where it is neither."""
    try:
        found = datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else datetime.fromisoformat(value)
    except (ValueError, TypeError, OverflowError, OSError):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _plain(value: object, longest: int) -> str:
    return "".join(char for char in str(value) if char.isascii() and char.isprintable())[:longest]
