"""Issues for editors' eyes: what would be sent now, or what an issue that was made looks like."""

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy.orm import Session

from newsletter_svc.digests import editions, letter
from newsletter_svc.digests.calendar import Frequency
from newsletter_svc.digests.content import SLOTS
from newsletter_svc.digests.issues import Press, local_date
from newsletter_svc.digests.letter import Issue
from newsletter_svc.digests.models import Edition
from newsletter_svc.digests.rendering import Heading, render_issue
from newsletter_svc.links import Links
from newsletter_svc.mail.message import Mailbox
from newsletter_svc.subscribers.models import Newsletter

ADDRESS_LIVES = timedelta(hours=1)
_READER = Mailbox("reader@example.org", "A Reader")


class Format(StrEnum):
    HTML = "html"
    TEXT = "text"
    EML = "eml"


def chosen(
    session: Session, newsletter: Newsletter, digest_id: int | None, *, tz: str, press: Press, now: datetime
) -> Issue | None:
    """The issue with this number, or the newsletter's next one where none is named. Raises UnknownDigest."""
    if digest_id is not None:
        return letter.load_issue(session, digest_id)
    return upcoming(session, newsletter, tz=tz, press=press, now=now)


def upcoming(session: Session, newsletter: Newsletter, *, tz: str, press: Press, now: datetime) -> Issue | None:
    """What would be sent if an issue were made now; None when nothing is new. Nothing is stored."""
    edition = editions.find(session, newsletter.id)
    if edition is None:
        # As it would be made with the first issue.
        edition = Edition(newsletter_id=newsletter.id, frequency=Frequency.BY_HAND, tz=tz)
    articles = editions.new_articles(session, edition, by_hand=True)
    if not articles:
        return None
    day = local_date(edition, now)
    # It has no address yet, as nobody has a link to unsubscribe.
    heading = Heading(newsletter.title, day, web_url=press.links.nobodys())
    rendered = render_issue(press.composer, edition, articles, heading=heading).mail
    return Issue(digest_id=0, newsletter_id=newsletter.id, newsletter_slug=newsletter.slug, rendered=rendered)


def values(links: Links) -> dict[str, str]:
    """What stands in the slots of a copy that is nobody's."""
    return dict.fromkeys(SLOTS, links.nobodys())


def show(issue: Issue, wanted: Format, *, press: Press, now: datetime) -> bytes:
    """The issue as a reader would get it, but for the links that are somebody's."""
    given = values(press.links)
    preview = press.composer.fill(issue.rendered, given)
    if wanted is Format.HTML:
        return preview.html.encode()
    if wanted is Format.TEXT:
        return preview.text.encode()
    compiled = letter.compile_issue(issue, composer=press.composer, mail_domain=press.message_domain)
    message_id = f"<preview@{press.message_domain}>"
    return compiled.join(recipient=_READER, message_id=message_id, date=now, values=given)
