"""Tables of the people and of what they subscribe to."""

from datetime import datetime
from enum import StrEnum
from uuid import uuid4

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from newsletter_svc.db import Base, word


class SubscriptionStatus(StrEnum):
    UNCONFIRMED = "unconfirmed"
    CONFIRMED = "confirmed"
    UNSUBSCRIBED = "unsubscribed"


class Rhythm(StrEnum):
    """How often a reader may choose to get a newsletter."""

    DAILY = "daily"
    WEEKLY = "weekly"


_CHOSE_A_TIME = text("send_hour IS NOT NULL OR timezone IS NOT NULL")


class Subscriber(Base):
    """A person with an address. Anybody can cause this row; only a redeemed link sets `confirmed_at`."""

    __tablename__ = "subscribers"
    __table_args__ = (
        # Asked every minute: at which local times somebody wants to read.
        Index(
            "ix_subscribers_times",
            "timezone",
            "send_hour",
            sqlite_where=_CHOSE_A_TIME,
            postgresql_where=_CHOSE_A_TIME,
        ),
        # Mails carry links that name this id. SQLite would give the id of who was erased to the next who comes.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True, default=lambda: uuid4().hex)
    """How other services know this person: it tells nothing and stays when the address changes."""
    email: Mapped[str] = mapped_column(String(320))
    """As typed, but for the domain, which is in the form that the resolver knows."""
    email_key: Mapped[str] = mapped_column(String(320), unique=True)
    """What makes an address the same address: `addresses.Address.key`."""
    name: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    send_hour: Mapped[int | None]
    """The local hour, 0 to 23, at which digests are to come; None is the newsletter's own time of day."""
    timezone: Mapped[str | None] = mapped_column(String(64))
    """Such as `Europe/London`; None is the newsletter's."""
    language: Mapped[str | None] = mapped_column(String(35))
    """Such as `en-GB`; None is that of the service."""

    @property
    def is_known(self) -> bool:
        """Whether somebody has proved to read mail at this address."""
        return self.confirmed_at is not None


class Newsletter(Base):
    """A stream one can subscribe to, such as `briefing`."""

    __tablename__ = "newsletters"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(63), unique=True)
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(String(1000), default="")
    created_at: Mapped[datetime]


class Subscription(Base):
    """One subscriber's standing with one newsletter."""

    __tablename__ = "subscriptions"

    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"), primary_key=True)
    newsletter_id: Mapped[int] = mapped_column(
        ForeignKey("newsletters.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    status: Mapped[SubscriptionStatus] = mapped_column(word(SubscriptionStatus), default=SubscriptionStatus.UNCONFIRMED)
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    unsubscribed_at: Mapped[datetime | None]
    frequency: Mapped[Rhythm | None] = mapped_column(word(Rhythm))
    """None is the newsletter's own."""
    paused_until: Mapped[datetime | None]
    """No digests before this."""


class ConsentAct(StrEnum):
    GIVEN = "given"
    WITHDRAWN = "withdrawn"


class Way(StrEnum):
    """By which way a consent came to us, or was taken back."""

    SUBSCRIBE = "subscribe"
    SIGN_UP = "signup"
    SIGN_IN = "signin"
    ACCOUNT = "account"
    """A signed-in reader's own settings."""
    PREFERENCES = "preferences"
    """The page that every issue links to."""
    UNSUBSCRIBE = "unsubscribe"
    COMPLAINT = "complaint"
    IMPORT = "import"
    COMMAND = "command"
    API = "api"


class ConsentText(Base):
    """Words that readers agreed to, kept once however many did."""

    __tablename__ = "consent_texts"

    fingerprint: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(40))
    """Stays the same when the words change: the kind of mail that they stand in."""
    text: Mapped[str] = mapped_column(Text)
    first_used_at: Mapped[datetime]


class Consent(Base):
    """One line of proof. Lines are added and never changed; they go with the subscriber, or when they are too old."""

    __tablename__ = "consents"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(index=True)
    act: Mapped[ConsentAct] = mapped_column(word(ConsentAct))
    way: Mapped[Way] = mapped_column(word(Way))
    newsletters: Mapped[list[str]] = mapped_column(JSON)
    """Slugs, as they were then."""
    peer: Mapped[str | None] = mapped_column(String(16))
    """Where it came from, as `audit.hashed_peer` has it."""
    asked_at: Mapped[datetime | None]
    """Double opt-in: when the form was sent that the confirmation answers."""
    asked_page: Mapped[str | None] = mapped_column(String(200))
    """The origin of the page with that form, as the browser told."""
    asked_peer: Mapped[str | None] = mapped_column(String(16))
    text_fingerprint: Mapped[str | None] = mapped_column(ForeignKey("consent_texts.fingerprint"), index=True)
    source: Mapped[str | None] = mapped_column(String(200))
    """Where an operator has it from, such as `newsletter subscribers import readers.csv --confirmed`."""


class AddressChange(Base):
    """A reader's wish to be at another address: asked for, proved there, and perhaps undone from the old one."""

    __tablename__ = "address_changes"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Random. The nonces of both links are made from it under the secret key."""
    key_id: Mapped[str] = mapped_column(String(12))
    nonce_hash: Mapped[str] = mapped_column(String(64), unique=True)
    undo_hash: Mapped[str] = mapped_column(String(64), unique=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"), index=True)
    session_id: Mapped[int]
    """The session that asked, which outlives the change."""
    old_email: Mapped[str] = mapped_column(String(320))
    new_email: Mapped[str] = mapped_column(String(320))
    asked_from: Mapped[str] = mapped_column(String(80))
    asked_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    done_at: Mapped[datetime | None]
    undo_until: Mapped[datetime | None]
    undone_at: Mapped[datetime | None]


class ErasedAddress(Base):
    """What is left of an address whose person was erased: enough to know it again, too little to read it."""

    __tablename__ = "erased_addresses"

    fingerprint: Mapped[str] = mapped_column(String(64), primary_key=True)
    erased_at: Mapped[datetime]


class ErasureKey(Base):
    """The key of those fingerprints, one for all, sealed by a secret key that no database holds."""

    __tablename__ = "erasure_keys"

    id: Mapped[int] = mapped_column(primary_key=True)
    sealed_by: Mapped[str] = mapped_column(String(12))
    """The id of the secret key that it takes to open it."""
    sealed: Mapped[str] = mapped_column(String(200))
