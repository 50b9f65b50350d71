"""What a reader may choose: how often, at which hour, where, in which language, and to be left alone for some weeks.

Which frequencies there are depends on the editions of a newsletter, so whoever asks says what is `offered`.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from babel import Locale, UnknownLocaleError
from sqlalchemy.orm import Session

from newsletter_svc import zones
from newsletter_svc.subscribers.models import Rhythm, Subscriber, Subscription
from newsletter_svc.words import ReaderError, typed

LONGEST_PAUSE_WEEKS = 52
_TAG = re.compile(r"[A-Za-z0-9-]{2,35}")


class BadChoice(ReaderError):
    """Something that cannot be chosen; `field` is what requests call it, and the sentence says why."""

    def __init__(self, field: str, name: str, /, **gaps: str | int) -> None:
        super().__init__(name, **gaps)
        self.field = field


class NotSubscribed(ReaderError):
    """A choice for a newsletter that the subscriber has never asked for."""

    def __init__(self) -> None:
        super().__init__("subscription.none")


@dataclass(frozen=True)
class OfReader:
    """What holds for all newsletters of a reader; None leaves it to the newsletter, or to the service."""

    send_hour: int | None
    """Local hour, 0 to 23."""
    timezone: str | None
    """Such as `Europe/London`."""
    language: str | None
    """Such as `en-GB`."""


@dataclass(frozen=True)
class OfSubscription:
    """What holds for one newsletter."""

    rhythm: Rhythm | None
    """None is the newsletter's own."""
    paused_until: datetime | None
    """None, too, where the pause is over."""


def of_reader(session: Session, subscriber_id: int) -> OfReader:
    found = session.get_one(Subscriber, subscriber_id)
    return OfReader(found.send_hour, found.timezone, found.language)


def of_subscription(session: Session, subscriber_id: int, newsletter_id: int, *, now: datetime) -> OfSubscription:
    """Raises NotSubscribed."""
    found = _subscription(session, subscriber_id, newsletter_id)
    is_paused = found.paused_until is not None and found.paused_until > now
    return OfSubscription(found.frequency, found.paused_until if is_paused else None)


def set_time(session: Session, subscriber_id: int, *, send_hour: int | None, timezone: str | None) -> None:
    """Get digests at this local hour from the next issue that is made. Raises BadChoice."""
    if send_hour is not None and not 0 <= send_hour <= 23:
        raise BadChoice("send_hour", "choices.hour", hour=send_hour)
    zone = None if timezone is None else zones.spelled(timezone)
    if timezone is not None and zone is None:
        raise BadChoice("timezone", "choices.timezone", timezone=typed(timezone))
    reader = session.get_one(Subscriber, subscriber_id)
    reader.send_hour, reader.timezone = send_hour, zone
    session.flush()


def set_language(session: Session, subscriber_id: int, language: str | None) -> None:
    """Raises BadChoice."""
    session.get_one(Subscriber, subscriber_id).language = None if language is None else _language(language)
    session.flush()


def set_frequency(
    session: Session,
    subscriber_id: int,
    newsletter_id: int,
    frequency: str | None,
    *,
    offered: Collection[Rhythm],
) -> None:
    """Get the issues of this rhythm that are made from now on. Raises BadChoice, NotSubscribed."""
    if frequency is not None and frequency not in offered:
        name = "choices.frequency" if offered else "choices.no_frequency"
        raise BadChoice("frequencies", name, frequency=typed(frequency, limit=20), offered=", ".join(offered))
    subscription = _subscription(session, subscriber_id, newsletter_id)
    subscription.frequency = None if frequency is None else Rhythm(frequency)
    session.flush()


def pause(session: Session, subscriber_id: int, newsletter_id: int, *, weeks: int, now: datetime) -> datetime:
    """Get no digests for so many weeks from now; return until when. Raises BadChoice, NotSubscribed.

    What is skipped does not come later: those issues are for others.
    """
    if not 1 <= weeks <= LONGEST_PAUSE_WEEKS:
        raise BadChoice("pause_weeks", "choices.pause", most=LONGEST_PAUSE_WEEKS, weeks=weeks)
    subscription = _subscription(session, subscriber_id, newsletter_id)
    subscription.paused_until = now + timedelta(weeks=weeks)
    session.flush()
    return subscription.paused_until


def resume(session: Session, subscriber_id: int, newsletter_id: int) -> None:
    """End a pause; without one nothing changes. Raises NotSubscribed."""
    _subscription(session, subscriber_id, newsletter_id).paused_until = None
    session.flush()


def _subscription(session: Session, subscriber_id: int, newsletter_id: int) -> Subscription:
    found = session.get(Subscription, (subscriber_id, newsletter_id))
    if found is None:
        raise NotSubscribed
    return found


def _language(text: str) -> str:
    tag = text.strip().replace("_", "-")
    try:
        # A modifier, which Babel takes at any length (`en@euro`), is no part of a language that a page can name.
        found = str(Locale.parse(tag, sep="-")) if _TAG.fullmatch(tag) else None
    except (UnknownLocaleError, ValueError):
        found = None
    if found is None:
        raise BadChoice("language", "choices.language", language=typed(text, limit=35))
    return found.replace("_", "-")
