"""The letter that carries an issue to one reader."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter_svc.db import among
from newsletter_svc.delivery.models import Claimed
from newsletter_svc.digests.content import KIND
from newsletter_svc.digests.models import Digest, Edition
from newsletter_svc.errors import NewsletterError
from newsletter_svc.links import Links
from newsletter_svc.mail import slots
from newsletter_svc.mail.bulk.compiled import CompiledLetter
from newsletter_svc.mail.compose import Composer
from newsletter_svc.mail.message import Copy, Mailbox, Rendered, Stream
from newsletter_svc.subscribers.models import Newsletter, Subscriber

# Google's Feedback-ID wants a sender of 5 to 15 characters.
_SENDER_MIN, _SENDER_MAX = 5, 15


class UnknownDigest(NewsletterError):
    """There is no digest with this number."""

    def __init__(self, digest_id: int) -> None:
        super().__init__(f"There is no issue {digest_id}.")
        self.digest_id = digest_id


@dataclass(frozen=True)
class Issue:
    """What all letters of one digest share."""

    digest_id: int
    newsletter_id: int
    newsletter_slug: str
    rendered: Rendered


class DigestLetters:
    """Writes the copies of digests; this is what the bulk lane calls for deliveries of the kind `digest`."""

    def __init__(self, composer: Composer, links: Links, *, mail_domain: str) -> None:
        self._composer = composer
        self._links = links
        self._mail_domain = mail_domain
        self._latest: tuple[Issue, CompiledLetter] | None = None

    def __call__(self, session: Session, deliveries: Sequence[Claimed]) -> dict[int, Copy]:
        """The digest's frozen words, and for each reader what stands in their slots."""
        issue, compiled = self._issue(session, int(deliveries[0].subject_id))
        ids = [delivery.subscriber_id for delivery in deliveries if delivery.subscriber_id is not None]
        found = session.connection().execute(select(Subscriber.id, Subscriber.name).where(among(Subscriber.id, ids)))
        names: dict[int | None, str] = {row[0]: row[1] for row in found.all()}
        copies = {}
        for delivery in deliveries:
            reader = delivery.subscriber_id
            if reader is not None and (name := names.get(reader)) is not None:
                own = self._own_parts(reader, issue)
                copies[delivery.id] = Copy(Mailbox(delivery.recipient, name), compiled, own)
        return copies

    def _own_parts(self, reader: int, issue: Issue) -> dict[str, str]:
        """What stands in the slots of this reader's copy."""
        return {
            "unsubscribe_url": self._links.unsubscribe(subscriber_id=reader, newsletter_id=issue.newsletter_id),
            "preferences_url": self._links.preferences(reader),
        }

    def _issue(self, session: Session, digest_id: int) -> tuple[Issue, CompiledLetter]:
        # A digest never changes, and one after the other is sent to many: reading and compiling it once is enough.
        latest = self._latest
        if latest is None or latest[0].digest_id != digest_id:
            issue = load_issue(session, digest_id)
            compiled = compile_issue(issue, composer=self._composer, mail_domain=self._mail_domain)
            latest = self._latest = (issue, compiled)
        return latest


def compile_issue(
    issue: Issue, *, composer: Composer, mail_domain: str, extra_headers: tuple[tuple[str, str], ...] = ()
) -> CompiledLetter:
    """The issue as octets, with holes for what differs from reader to reader."""
    unsubscribe_url = slots.place("unsubscribe_url")
    headers = (
        # RFC 8058 3.1: one https address and the constant that makes it one click.
        ("List-Unsubscribe", f"<{unsubscribe_url}>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        # RFC 2919: constant for the newsletter, also when its title or our web address changes.
        ("List-Id", f"<{issue.newsletter_slug}.{mail_domain}>"),
        ("Feedback-ID", f"{issue.digest_id}:{issue.newsletter_slug}:{KIND}:{sender_id(mail_domain)}"),
        *extra_headers,
    )
    return composer.compile(issue.rendered, stream=Stream.DIGEST, headers=headers)


def load_issue(session: Session, digest_id: int) -> Issue:
    """What was frozen when the digest was made. Raises UnknownDigest."""
    found = session.execute(
        select(Digest, Newsletter)
        .join(Edition, Digest.edition_id == Edition.id)
        .join(Newsletter, Edition.newsletter_id == Newsletter.id)
        .where(Digest.id == digest_id)
    ).one_or_none()
    if found is None:
        raise UnknownDigest(digest_id)
    digest, newsletter = found
    rendered = Rendered(digest.subject, digest.text_body, digest.html_body)
    return Issue(digest.id, newsletter.id, newsletter.slug, rendered)


def sender_id(domain: str) -> str:
    """`theglobaldiplom` for `theglobaldiplomat.example`: the same for every mail that we send."""
    letters = "".join(char for char in domain.lower() if char.isascii() and char.isalnum())
    return letters[:_SENDER_MAX].ljust(_SENDER_MIN, "0")
