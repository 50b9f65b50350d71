"""What operators' lists read and answer in JSON: subscribers and suppressions."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from newsletter_svc.delivery.models import Scope
from newsletter_svc.subscribers.import_plans import RowOutcome
from newsletter_svc.subscribers.models import SubscriptionStatus
from newsletter_svc.web.answers import Answer
from newsletter_svc.web.bodies import CONFIG, Name, Slug

Email = Annotated[str, Field(json_schema_extra={"format": "email"})]


class Adding(BaseModel):
    """The body of `POST /api/subscribers`."""

    model_config = CONFIG

    email: Email
    """One plain address, `local@domain`."""
    name: Name = ""
    """How to address the reader; the name that a reader gave stays."""
    newsletters: Annotated[list[Slug], Field(max_length=50)] = []
    """Slugs; none named means the default newsletter."""
    confirmed: bool = False
    """Whether the consent is on record elsewhere. Otherwise a mail asks for it."""


class SubscriberChanges(BaseModel):
    """The body of `PATCH /api/subscribers/...`. What is left out stays as it is."""

    model_config = CONFIG

    name: Name | None = None
    """How to address the reader."""
    newsletters: Annotated[list[Slug], Field(max_length=50)] | None = None
    """Slugs of those that the reader goes on getting. None can be added here: that takes the reader's consent."""


class Suppressing(BaseModel):
    """The body of `POST /api/suppressions`."""

    model_config = CONFIG

    email: Email
    """One plain address, `local@domain`."""
    reason: Annotated[str, Field(max_length=60)] = ""
    """`operator`, `hard_bounce`, `soft_bounces` or `complaint`, perhaps with a code; none means `operator`."""
    scope: Annotated[str, Field(max_length=20)] = ""
    """`everything` or `newsletters`; none means what the reason stops by itself."""


class ScopeChange(BaseModel):
    """The body of `PATCH /api/suppressions/...`."""

    model_config = CONFIG

    scope: Annotated[Scope, Field(strict=False)]
    """`everything`, or `newsletters`, which leaves sign-in mail alone."""


class SubscriberStanding(Answer):
    """How a subscriber stands with one newsletter."""

    newsletter: str
    status: SubscriptionStatus


class Subscriber(Answer):
    """One subscriber, as operators see them."""

    id: str
    """How other services know this person: the subject of a pass."""
    email: str
    name: str
    created_at: datetime
    confirmed_at: datetime | None
    """Since when the address is proved; null while nobody has."""
    subscriptions: list[SubscriberStanding]
    suppressed: str | None
    """Why nothing is written to the address, if so."""


class Subscribers(Answer):
    """A page of the list, the oldest first."""

    subscribers: list[Subscriber]
    next: str | None
    """What to ask for as `after` to get the next page; null on the last one."""


class Added(Answer):
    """What became of it."""

    outcome: RowOutcome
    asked: bool
    """Whether a mail asks the reader for consent."""
    subscriber: Subscriber


class Suppression(Answer):
    """An address that is not written to."""

    id: int
    email: str
    reason: str
    scope: Scope
    since: datetime


class Suppressions(Answer):
    """A page of the list, the oldest first."""

    suppressions: list[Suppression]
    next: str | None
    """What to ask for as `after` to get the next page; null on the last one."""
