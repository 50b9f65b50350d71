"""Keys for operators' programs: made once, shown once, kept as hashes, good for the scopes they name."""

import re
import secrets
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter_svc import audit
from newsletter_svc.audit import Event
from newsletter_svc.auth.models import ApiKey
from newsletter_svc.errors import NewsletterError
from newsletter_svc.tokens import fingerprint

PREFIX = "nsk_"
SCOPES = (
    *("digests:read", "digests:send", "digests:test"),
    *("subscribers:read", "subscribers:write", "suppressions:read", "suppressions:write"),
)
"""Every scope that some door asks for."""


class BadScope(NewsletterError):
    """A scope that no door asks for: a typing error, most likely."""


class BadApiKey(NewsletterError):
    """No key, or none of ours, or a revoked one. `key_id` is for the trail: which one it was, if it ever was one."""

    def __init__(self, key_id: int | None) -> None:
        super().__init__("This needs an API key: Authorization: Bearer <key>.")
        self.key_id = key_id


class MissingScope(NewsletterError):
    """A good key, but not for this."""

    def __init__(self, scope: str, key_id: int) -> None:
        super().__init__(f"This key lacks the scope {scope}.")
        self.scope = scope
        self.key_id = key_id


def create(session: Session, scopes: Sequence[str], *, now: datetime) -> tuple[ApiKey, str]:
    """A new key and its secret, which nobody can look up again. Raises BadScope."""
    for scope in scopes:
        if scope not in SCOPES:
            raise BadScope(f"There is no scope {scope!r}; there is: {', '.join(SCOPES)}.")
    secret = PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(secret_hash=fingerprint(secret), scopes=sorted(set(scopes)), created_at=now)
    session.add(key)
    session.flush()
    audit.record(session, Event.KEY_MADE, reason=" ".join(key.scopes)[:60], subject=f"key:{key.id}", now=now)
    return key, secret


def check(session: Session, authorization: str | None, scope: str, *, now: datetime) -> ApiKey:
    """The key in an `Authorization: Bearer ...` header, if it is good for `scope`. Raises BadApiKey, MissingScope.

    Keys are compared by the hash of all of them in an index, so the time it takes tells nothing about the secret.
    """
    match = re.fullmatch(r"Bearer +([\x21-\x7e]{1,200}) *", authorization or "", re.IGNORECASE)
    hashed = fingerprint(match.group(1) if match else "")
    key = session.scalars(select(ApiKey).where(ApiKey.secret_hash == hashed)).one_or_none()
    if key is None or key.revoked_at is not None:
        raise BadApiKey(key.id if key else None)
    if scope not in key.scopes:
        raise MissingScope(scope, key.id)
    key.last_used_at = now
    return key


def listed(session: Session) -> Sequence[ApiKey]:
    return session.scalars(select(ApiKey).order_by(ApiKey.id)).all()


def revoke(session: Session, key_id: int, *, now: datetime) -> bool:
    """End a key for good; False when there is no such living key."""
    key = session.get(ApiKey, key_id)
    if key is None or key.revoked_at is not None:
        return False
    key.revoked_at = now
    audit.record(session, Event.KEY_REVOKED, subject=f"key:{key.id}", now=now)
    return True
