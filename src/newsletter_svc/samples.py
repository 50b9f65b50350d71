"""An example of each kind of mail: what templates are tried with before anything is sent, and what pictures show."""

from collections.abc import Mapping
from datetime import UTC, date, datetime

from markupsafe import Markup

from newsletter_svc.auth import welcoming
from newsletter_svc.auth.address_changes import Kind as AddressKind
from newsletter_svc.auth.asking import Kind
from newsletter_svc.billing import letters as billing_letters
from newsletter_svc.delivery import notices
from newsletter_svc.digests import content, rendering
from newsletter_svc.digests.calendar import Frequency
from newsletter_svc.digests.content import Entry, Image
from newsletter_svc.mail.compose import Sample

_PREFERENCES = "https://news.example.org/preferences/" + "Wzdd.k3Vx" * 6
_ASKED = Sample(
    {
        "name": "Ada",
        "link": "https://news.example.org/magic-link/" + "bPqZ7xKd" * 12,
        "code": "049302",
        "minutes": 20,
        "hours": 48,
        "newsletters": ["Briefing"],
        "asked_at_sign_in": False,
        "asked_from": "Firefox on Linux",
        "asked_at": datetime(2026, 11, 24, 17, 5, tzinfo=UTC),
        "preferences_url": _PREFERENCES,
    },
    needed=("link",),
)
_NEW_ADDRESS = Sample(
    {
        "name": "Ada",
        "link": "https://news.example.org/change-address/" + "bPqZ7xKd" * 9,
        "minutes": 20,
        "masked_address": "a•••@example.org",
        "asked_from": "Firefox on Linux",
        "asked_at": datetime(2026, 11, 24, 17, 5, tzinfo=UTC),
    },
    needed=("link",),
)
_OLD_ADDRESS = Sample(
    {
        "name": "Ada",
        "link": "https://news.example.org/undo-address/" + "bPqZ7xKd" * 9,
        "masked_address": "a•••@example.net",
        "changed_at": datetime(2026, 11, 24, 17, 5, tzinfo=UTC),
        "undo_until": datetime(2026, 12, 1, 17, 5, tzinfo=UTC),
    },
    needed=("link",),
)
_ALERT = Sample(
    {
        "cause": "sender_refused",
        "title": "The mail server refuses us",
        "explanation": "No mail goes out, and all of it stays owed.",
        "count": 3,
        "first_at": datetime(2026, 11, 24, 17, 5, tzinfo=UTC),
        "last_at": datetime(2026, 11, 24, 17, 35, tzinfo=UTC),
        "detail": "535 5.7.8 authentication failed",
    }
)


def article(title: str, *, words: str = "A treaty that fits on one page, and what stands between its lines.") -> Entry:
    """One article with all that an article can have."""
    return Entry(
        title=title,
        url="https://www.example.org/articles/treaty",
        author="Marit Solheim",
        published=date(2026, 11, 24),
        summary=words,
        excerpt=words,
        html=Markup("<p>Ten governments signed it on Friday.</p><h3>What is in it</h3><p>Less than was hoped for.</p>"),
        text="Ten governments signed it on Friday.\n\nWhat is in it\n\nLess than was hoped for.",
        image=Image("https://www.example.org/treaty.jpg", "Ten pens on a table."),
        minutes=4,
    )


def bare_article(title: str) -> Entry:
    """One that lacks all that an article can lack."""
    entry = article(title)
    return Entry(
        title=title,
        url=None,
        author=None,
        published=entry.published,
        summary=None,
        excerpt=entry.excerpt,
        html=entry.html,
        text=entry.text,
        image=None,
        minutes=1,
    )


def samples() -> Mapping[str, Sample]:
    """Return an example for each kind of mail. The issue has an article of every length, and one that is bare."""
    entries = [article(f"The treaty, part {number}") for number in range(1, 8)]
    issue = content.issue_context(
        [*entries, bare_article("A note")],
        newsletter="Briefing",
        day=date(2026, 11, 24),
        frequency=Frequency.DAILY,
        web_url="https://news.example.org/digests/4f2a",
    )
    return {
        **dict.fromkeys(Kind, _ASKED),
        AddressKind.CONFIRM_ADDRESS: _NEW_ADDRESS,
        AddressKind.ADDRESS_CHANGED: _OLD_ADDRESS,
        content.KIND: Sample(issue, content.SLOTS, pages=(rendering.WEB_PAGE,)),
        welcoming.KIND: Sample({"name": "Ada", "newsletters": ["Briefing"], "preferences_url": _PREFERENCES}),
        billing_letters.KIND: Sample({"name": "Ada", "updated_at": datetime(2026, 11, 24, 17, 5, tzinfo=UTC)}),
        notices.KIND: _ALERT,
    }
