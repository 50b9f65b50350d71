"""What only the demo site has: the button that sends the next issue, and the way to the shop of the stand-in."""

from urllib.parse import urlsplit

from flask import Blueprint, Response, make_response, redirect, url_for
from sqlalchemy.orm import Session

from newsletter_svc import demo as samples
from newsletter_svc.articles import importing, store
from newsletter_svc.clock import utcnow
from newsletter_svc.digests import runs
from newsletter_svc.digests.runs import Outcome, Run
from newsletter_svc.settings import is_loopback
from newsletter_svc.subscribers import newsletters
from newsletter_svc.web import forgery
from newsletter_svc.web.state import parts

demo = Blueprint("demo", __name__, url_prefix="/demo")


@demo.post("/next-issue")
def send_next_issue() -> Response:
    """Make the next issue and go to the mailbox, where it arrives. Raises ForgedRequest."""
    forgery.check_own_request()
    with parts().database.transaction() as session:
        run = _send_next(session)
    parts().wake()
    return make_response(redirect(url_for("mailbox.mails", issue=_word_for(run)), 303))


@demo.app_context_processor
def demo_links() -> dict[str, str | None]:
    """Let the site show the button, and the shop where the payment provider is a stand-in on this machine."""
    origin = parts().settings.payment_origin or ""
    is_stand_in = is_loopback(urlsplit(origin).hostname or "")
    return {
        "next_issue_url": url_for("demo.send_next_issue"),
        "shop_url": f"{origin}/shop" if is_stand_in else None,
    }


def _send_next(session: Session) -> Run:
    now, service = utcnow(), parts()
    newsletter = newsletters.get(session, newsletters.DEFAULT_SLUG)
    for path in samples.held_back_files():
        drafts = importing.read_files([path]).drafts
        stored = store.add(session, drafts, newsletter_id=newsletter.id, base_url=service.settings.public_url, now=now)
        if any(each.outcome == store.Outcome.CREATED for each in stored):
            break
    press = service.press
    return runs.send_now(session, newsletter, tz=service.settings.timezone, press=press, now=now)


def _word_for(run: Run) -> str:
    if run.outcome != Outcome.PUBLISHED:
        return "none"
    return "sent" if run.recipients else "unread"
