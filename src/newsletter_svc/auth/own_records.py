"""What a reader's own data look like: one class for each kind of record, with nothing that only we need."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Standing:
    """With one newsletter, by its slug."""

    newsletter: str
    status: str
    created_at: datetime
    confirmed_at: datetime | None
    unsubscribed_at: datetime | None
    frequency: str | None
    paused_until: datetime | None


@dataclass(frozen=True)
class Agreement:
    """A consent that was given or taken back; `peer` and `asked_peer` are keyed hashes of the networks."""

    act: str
    at: datetime
    way: str
    newsletters: Sequence[str]
    text: str | None
    """What the reader agreed to, word for word."""
    peer: str | None
    asked_at: datetime | None
    asked_page: str | None
    asked_peer: str | None
    source: str | None


@dataclass(frozen=True)
class Moved:
    """A change of address, asked for or done."""

    old_email: str
    new_email: str
    asked_from: str
    asked_at: datetime
    done_at: datetime | None
    undone_at: datetime | None


@dataclass(frozen=True)
class SignIn:
    """One browser in which the reader was signed in."""

    browser: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True)
class LinkAsked:
    """One link that somebody asked for, and what the form said."""

    door: str
    name: str
    redirect: str
    asked_from: str
    asked_page: str | None
    asked_peer: str | None
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None


@dataclass(frozen=True)
class Mail:
    """One mail that was owed to the reader; `sent` means that a mail server took it."""

    kind: str
    recipient: str
    message_id: str
    status: str
    reason: str | None
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class Returned:
    """One mail that came back, or a complaint."""

    kind: str
    status: str | None
    at: datetime


@dataclass(frozen=True)
class Happened:
    """One line of the audit trail; `origin` is a keyed hash of the network that it came from."""

    at: datetime
    event: str
    reason: str | None
    origin: str | None


@dataclass(frozen=True)
class OwnData:
    """Everything."""

    id: str
    """How other services know this reader."""
    email: str
    name: str
    created_at: datetime
    confirmed_at: datetime | None
    send_hour: int | None
    timezone: str | None
    language: str | None
    subscriptions: Sequence[Standing]
    consents: Sequence[Agreement]
    address_changes: Sequence[Moved]
    sign_ins: Sequence[SignIn]
    links: Sequence[LinkAsked]
    mails: Sequence[Mail]
    bounces: Sequence[Returned]
    suppressed: str | None
    """Why nothing is written to the address, if so."""
    events: Sequence[Happened]
