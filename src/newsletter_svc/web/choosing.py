"""What readers choose, as `/me` and the preference page both read, change and show it."""

from datetime import datetime

from sqlalchemy.orm import Session

from newsletter_svc.digests import editions
from newsletter_svc.subscribers import choices, newsletters, subscriptions
from newsletter_svc.subscribers.choices import NotSubscribed
from newsletter_svc.subscribers.consents import Origin
from newsletter_svc.subscribers.models import Newsletter, Subscriber, Way
from newsletter_svc.web import answers, bodies, peers


def apply(session: Session, subscriber_id: int, wanted: bodies.Choices, *, now: datetime) -> None:
    """Change what is named, but for the newsletters themselves. Raises BadChoice, BadFields, UnknownNewsletter."""
    for slug, frequency in (wanted.frequencies or {}).items():
        _set_frequency(session, subscriber_id, slug, frequency)
    if wanted.model_fields_set & {"send_hour", "timezone"}:
        _set_time(session, subscriber_id, wanted)
    if "language" in wanted.model_fields_set:
        choices.set_language(session, subscriber_id, wanted.language)
    if wanted.pause_weeks is not None:
        _pause(session, subscriber_id, wanted.pause_weeks, now=now)


def leave_all_but(session: Session, subscriber_id: int, slugs: list[str], *, now: datetime) -> list[str]:
    """Leave the newsletters that are not named; return those that are, and that the reader does not get yet."""
    wanted = {newsletter.id: newsletter.slug for newsletter in (newsletters.get(session, slug) for slug in slugs)}
    had = subscriptions.confirmed_ids(session, subscriber_id)
    origin = Origin(Way.PREFERENCES, peer=peers.hashed())
    for newsletter_id in had - wanted.keys():
        subscriptions.leave(session, subscriber_id, newsletter_id, origin=origin, now=now)
    return [slug for newsletter_id, slug in wanted.items() if newsletter_id not in had]


def chosen(session: Session, subscriber: Subscriber, *, now: datetime) -> answers.Chosen:
    """Everything there is to choose, and what the reader has chosen."""
    listed = [_choice(session, subscriber.id, newsletter, now=now) for newsletter in newsletters.listed(session)]
    return answers.Chosen(
        newsletters=[each.slug for each in listed if each.subscribed],
        send_hour=subscriber.send_hour,
        timezone=subscriber.timezone,
        language=subscriber.language,
        choices=listed,
    )


def _choice(session: Session, subscriber_id: int, newsletter: Newsletter, *, now: datetime) -> answers.Choice:
    is_subscribed = newsletter.id in subscriptions.confirmed_ids(session, subscriber_id)
    own = choices.of_subscription(session, subscriber_id, newsletter.id, now=now) if is_subscribed else None
    return answers.Choice(
        slug=newsletter.slug,
        title=newsletter.title,
        description=newsletter.description,
        subscribed=is_subscribed,
        frequency=own.rhythm if own else None,
        offered=list(editions.offered(session, newsletter.id)),
        paused_until=own.paused_until if own else None,
    )


def _set_frequency(session: Session, subscriber_id: int, slug: str, frequency: str | None) -> None:
    newsletter = newsletters.get(session, slug)
    offered = editions.offered(session, newsletter.id)
    try:
        choices.set_frequency(session, subscriber_id, newsletter.id, frequency, offered=offered)
    except NotSubscribed as error:
        raise bodies.BadFields([("frequencies", error.saying)]) from None


def _set_time(session: Session, subscriber_id: int, wanted: bodies.Choices) -> None:
    before = choices.of_reader(session, subscriber_id)
    named = wanted.model_fields_set
    choices.set_time(
        session,
        subscriber_id,
        send_hour=wanted.send_hour if "send_hour" in named else before.send_hour,
        timezone=wanted.timezone if "timezone" in named else before.timezone,
    )


def _pause(session: Session, subscriber_id: int, weeks: int, *, now: datetime) -> None:
    """Pause everything that the reader gets, or go on with it."""
    for newsletter_id in sorted(subscriptions.confirmed_ids(session, subscriber_id)):
        if weeks == 0:
            choices.resume(session, subscriber_id, newsletter_id)
        else:
            choices.pause(session, subscriber_id, newsletter_id, weeks=weeks, now=now)
