"""Double opt-in on record: which request a confirmation answers, and in which words it was given."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from sqlalchemy.orm import Session

from newsletter_svc.auth.asking import Kind
from newsletter_svc.auth.letters import newsletter_titles
from newsletter_svc.auth.models import Door, MagicLink
from newsletter_svc.auth.redeeming import Redeemed
from newsletter_svc.subscribers import consents
from newsletter_svc.subscribers.consents import Origin, Wording
from newsletter_svc.subscribers.models import Way


class Words(Protocol):
    """The sentence that a kind of mail asks for consent with."""

    def __call__(self, kind: str, newsletters: Sequence[str], /) -> str: ...


def wording(session: Session, link: MagicLink, *, words: Words) -> Wording | None:
    """What its reader agrees to by using this link; None where it subscribes to nothing."""
    titles = newsletter_titles(session, link)
    if not titles:
        return None
    kind = Kind.CONFIRM_SUBSCRIPTION if link.door == Door.SUBSCRIBE else Kind.SIGN_UP
    return Wording(kind, words(kind, titles))


def record(session: Session, redeemed: Redeemed, *, words: Words, peer: str | None, now: datetime) -> None:
    """Put the consent on record that this redemption gave, if it gave one; in its transaction."""
    link = redeemed.subscribed_by
    if link is None:
        return
    consents.given(
        session,
        link.subscriber_id,
        link.newsletter_ids,
        origin=Origin(
            Way(link.door),
            peer=peer,
            asked_at=link.created_at,
            asked_page=link.asked_page,
            asked_peer=link.asked_peer,
        ),
        wording=wording(session, link, words=words),
        now=now,
    )
