"""The words of the description: what an operation reads, answers and refuses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import BaseModel

from newsletter_svc.web.cookies import Cookie


class Tag(StrEnum):
    """The parts of the description."""

    SIGN_IN = "Signing in"
    READER = "The signed-in reader"
    ISSUES = "Past issues"
    PREFERENCES = "Choosing what to get"
    UNSUBSCRIBE = "Leaving"
    BILLING = "Payment details"
    SERVICE = "The service itself"
    WEBHOOKS = "Events from outside"
    OPERATORS = "Operators"


class Guard(StrEnum):
    """What lets a caller in; the names of the security schemes."""

    SESSION = "session"
    API_KEY = "api_key"


class Form(StrEnum):
    """What a form of ours carries where no model is read."""

    OWN = "own"
    """The hidden field that tells our pages from others'."""
    ONE_CLICK = "one_click"
    """What mail programs send (RFC 8058 3.1); it is not looked at."""


class Raw(StrEnum):
    """Bodies that no model describes."""

    CSV = "text/csv"


@dataclass(frozen=True)
class Ending:
    """One way in which an operation ends that is no problem+json: JSON, a page, both for who asks, or neither."""

    text: str
    json: type[BaseModel] | None = None
    is_page: bool = False
    kind: str | None = None
    """Of text that is neither JSON nor a page, such as `text/csv`."""
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """What the description adds to a route."""

    tag: Tag
    summary: str
    endings: Mapping[int, Ending]
    refusals: frozenset[int] = frozenset()
    reads: type[BaseModel] | Form | Raw | None = None
    guard: Guard | None = None
    guard_is_optional: bool = False
    cookies: tuple[Cookie, ...] = ()
    queries: Mapping[str, str] = field(default_factory=dict)
    """Names of parameters in the query string, each with what it does."""


READS = frozenset({400, 413, 415, 422})
MAILS = frozenset({429, 503})
