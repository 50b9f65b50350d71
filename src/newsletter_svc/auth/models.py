"""Tables of sign-in. Secrets rest here as hashes, or not at all."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from newsletter_svc.db import Base, word


class Door(StrEnum):
    """Which form a reader came through; decides which mail goes out."""

    SUBSCRIBE = "subscribe"
    SIGN_UP = "signup"
    SIGN_IN = "signin"


class MagicLink(Base):
    """One promise to let somebody in, made when they asked and kept once."""

    __tablename__ = "magic_links"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Random. The link's nonce and its one-time code are made from it under the secret key."""
    door: Mapped[Door] = mapped_column(word(Door))
    key_id: Mapped[str] = mapped_column(String(12))
    """Which secret key the nonce was made with, so that a rotation in between changes no link."""
    nonce_hash: Mapped[str] = mapped_column(String(64), unique=True)
    presession_hash: Mapped[str] = mapped_column(String(64), index=True)
    """What the asking browser can show and nobody else."""
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"), index=True)
    newsletter_ids: Mapped[list[int]] = mapped_column(JSON)
    """What redeeming it also subscribes to."""
    name: Mapped[str] = mapped_column(String(200))
    """Given with the form; taken over when the link is redeemed, since anybody can fill in a form."""
    redirect: Mapped[str] = mapped_column(String(2000))
    asked_from: Mapped[str] = mapped_column(String(80))
    asked_page: Mapped[str | None] = mapped_column(String(200))
    """The origin of the page with the form, as the browser told."""
    asked_peer: Mapped[str | None] = mapped_column(String(16))
    """Where the request came from, as the audit trail knows it."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]
    used_by_asker: Mapped[bool] = mapped_column(default=False)
    code_tries: Mapped[int] = mapped_column(default=0)
    outcome: Mapped[str | None] = mapped_column(String(20))


class BrowserSession(Base):
    """A signed-in browser."""

    __tablename__ = "sessions"

    id: Mapped[int] = mapped_column(primary_key=True)
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"), index=True)
    browser: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class ApiKey(Base):
    """A key for an operator's program, such as hosted cron."""

    __tablename__ = "api_keys"

    id: Mapped[int] = mapped_column(primary_key=True)
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
