"""The one table from classes of errors to HTTP: with which status, code and sentence the caller is told of each."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from gunicorn.http.errors import NoMoreData, ParseException
from limits.errors import StorageError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import BadRequest, HTTPException

from newsletter_svc.auth.adding import NotAdded
from newsletter_svc.auth.address_changes import AddressTaken
from newsletter_svc.auth.address_links import ChangeGone
from newsletter_svc.auth.api_keys import BadApiKey, MissingScope
from newsletter_svc.auth.redeeming import Gone, LinkGone
from newsletter_svc.billing.failures import (
    BadEvent,
    BillingOff,
    NoCustomer,
    StripeRefused,
    StripeUnavailable,
    TooManyPresses,
)
from newsletter_svc.delivery.providers.calls import Unreadable, Unsigned
from newsletter_svc.delivery.providers.fetching import NotFetched
from newsletter_svc.digests.letter import UnknownDigest
from newsletter_svc.limits.limiter import CodesLocked, PeerOverLimit, ServiceOverLimit
from newsletter_svc.subscribers.choices import BadChoice
from newsletter_svc.subscribers.csv_file import BrokenFile
from newsletter_svc.subscribers.newsletters import UnknownNewsletter
from newsletter_svc.tokens import BadToken
from newsletter_svc.web.api_subscribers import NoConsent
from newsletter_svc.web.bodies import BadBody, BadFields, WrongKind
from newsletter_svc.web.forgery import ForgedRequest
from newsletter_svc.web.lists import NOTHING_IMPORTED, NoRoom
from newsletter_svc.web.previews import PreviewOver
from newsletter_svc.web.sessions import SignedOut
from newsletter_svc.web.webhooks import NotSetUp
from newsletter_svc.words import ReaderError, Saying

RETRY_SECONDS = 5
NOT_SET_UP_SECONDS = 600
STRIPE_RETRY_SECONDS = 30
"""The SDK has tried for some seconds already."""
BILLING_RETRY_SECONDS = 3_600

Pairs = tuple[tuple[str, str], ...]
Reason = Saying | str
"""A sentence among the words, or what stands in the error because operators alone are told of it."""
Reasons = tuple[tuple[str, Reason], ...]
"""Names of fields, each with what is wrong with it."""


@dataclass(frozen=True)
class Problem:
    """What the caller is told."""

    status: HTTPStatus
    code: str
    detail: Reason
    errors: Reasons = ()
    headers: Pairs = ()


Rule = Callable[[Any], Problem]
"""Makes the problem of an error of its class."""

INTERNAL = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", Saying("problems.internal_error"))


def problem_of(error: Exception) -> Problem:
    """What the table says of the error's class, or of the nearest above it.

    What is not in it is a fault of ours, and says nothing about itself.
    """
    rule = next((_TABLE[kind] for kind in type(error).__mro__ if kind in _TABLE), None)
    return INTERNAL if rule is None else rule(error)


def _told(
    status: HTTPStatus, code: str, sentence: str | None = None, *, retry: int | None = None, headers: Pairs = ()
) -> Rule:
    """By default the error knows what is said, and perhaps after how many seconds to try again."""

    def rule(error: Exception) -> Problem:
        seconds = getattr(error, "retry_after", retry)
        later = () if seconds is None else (("Retry-After", str(seconds)),)
        return Problem(status, code, _reason(error, sentence), headers=headers + later)

    return rule


def _fields(code: str, sentence: str | None, errors: Callable[[Any], Reasons]) -> Rule:
    def rule(error: Exception) -> Problem:
        return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, code, _reason(error, sentence), errors=errors(error))

    return rule


def _reason(error: Exception, sentence: str | None) -> Reason:
    if sentence is not None:
        return Saying(sentence)
    return error.saying if isinstance(error, ReaderError) else str(error)


def _link_gone(error: LinkGone) -> Problem:
    rule = _WRONG_CODE if error.reason is Gone.WRONG_CODE else _LINK_GONE
    return rule(error)


def _of_http(error: HTTPException) -> Problem:
    if error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return INTERNAL
    status = HTTPStatus(error.code)
    kept = tuple((name, value) for name, value in error.get_headers() if name in ("Allow", "Retry-After"))
    return Problem(status, status.phrase.lower().replace(" ", "_"), _of_status(error), headers=kept)


def _of_status(error: HTTPException) -> Reason:
    # Werkzeug's own texts speak to programmers, and in debug mode quote what was sent.
    is_ours = error.response is None and error.description != type(error).description
    return str(error.description) if is_ours else _SENTENCES.get(error.code or 0, "")


def _broken_body(_: Exception) -> Problem:
    """The server reads a body only when it is asked for it, so a broken chunk is met in the middle of a view."""
    return _of_http(BadRequest())


_SENTENCES = {
    400: Saying("problems.bad_request"),
    404: Saying("problems.not_found"),
    405: Saying("problems.wrong_method"),
    413: Saying("problems.too_large"),
}
_WRONG_FIELDS = "problems.invalid_fields"
_LINK_GONE = _told(HTTPStatus.GONE, "link_gone", "problems.link_gone")
_WRONG_CODE = _fields("wrong_code", "problems.wrong_code", lambda _: (("code", Saying("code.wrong")),))
_BUSY = _told(HTTPStatus.SERVICE_UNAVAILABLE, "busy", "problems.busy", retry=RETRY_SECONDS)
_NO_PAYMENT_PROVIDER = _told(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "payment_provider_unavailable",
    "problems.payment_provider_unavailable",
    retry=STRIPE_RETRY_SECONDS,
)

_TABLE: dict[type[Exception], Rule] = {
    # What was sent.
    BadFields: _fields("invalid_fields", _WRONG_FIELDS, lambda error: error.errors),
    BadChoice: _fields("invalid_fields", _WRONG_FIELDS, lambda error: ((error.field, error.saying),)),
    UnknownNewsletter: _fields("unknown_newsletter", None, lambda error: (("newsletters", error.saying),)),
    BrokenFile: lambda error: Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "broken_list", f"{error} {NOTHING_IMPORTED}"),
    BadBody: _told(HTTPStatus.BAD_REQUEST, "bad_request"),
    WrongKind: _told(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
    Unreadable: _told(HTTPStatus.BAD_REQUEST, "bad_request"),
    ParseException: _broken_body,
    NoMoreData: _broken_body,
    HTTPException: _of_http,
    # Links and pages.
    LinkGone: _link_gone,
    ChangeGone: _told(HTTPStatus.GONE, "link_gone"),
    PreviewOver: _told(HTTPStatus.GONE, "preview_over"),
    UnknownDigest: _told(HTTPStatus.NOT_FOUND, "unknown_digest"),
    BadToken: _told(HTTPStatus.NOT_FOUND, "unknown_link", "problems.unknown_link"),
    # Who may.
    SignedOut: _told(HTTPStatus.UNAUTHORIZED, "unauthorized"),
    ForgedRequest: _told(HTTPStatus.FORBIDDEN, "forged_request", "problems.forged_request"),
    Unsigned: _told(HTTPStatus.UNAUTHORIZED, "bad_signature"),
    BadApiKey: _told(HTTPStatus.UNAUTHORIZED, "bad_api_key", headers=(("WWW-Authenticate", "Bearer"),)),
    MissingScope: _told(HTTPStatus.FORBIDDEN, "missing_scope"),
    BadEvent: _told(HTTPStatus.BAD_REQUEST, "bad_event"),
    # What does not fit what there is.
    AddressTaken: _told(HTTPStatus.CONFLICT, "address_taken"),
    NotAdded: _told(HTTPStatus.CONFLICT, "not_added"),
    NoConsent: _told(HTTPStatus.CONFLICT, "no_consent"),
    NoCustomer: _told(HTTPStatus.CONFLICT, "no_customer"),
    # Too often.
    PeerOverLimit: _told(HTTPStatus.TOO_MANY_REQUESTS, "too_many_requests", "problems.too_many_mails"),
    CodesLocked: _told(HTTPStatus.TOO_MANY_REQUESTS, "codes_locked", "problems.codes_locked"),
    TooManyPresses: _told(HTTPStatus.TOO_MANY_REQUESTS, "too_many_requests"),
    ServiceOverLimit: _told(HTTPStatus.SERVICE_UNAVAILABLE, "over_capacity", "problems.over_capacity"),
    # Not now.
    NotSetUp: _told(HTTPStatus.SERVICE_UNAVAILABLE, "not_set_up", retry=NOT_SET_UP_SECONDS),
    NoRoom: _told(HTTPStatus.SERVICE_UNAVAILABLE, "no_room", retry=NOT_SET_UP_SECONDS),
    BillingOff: _told(HTTPStatus.SERVICE_UNAVAILABLE, "billing_off", retry=BILLING_RETRY_SECONDS),
    StripeUnavailable: _NO_PAYMENT_PROVIDER,
    StripeRefused: _NO_PAYMENT_PROVIDER,
    NotFetched: _BUSY,
    OperationalError: _BUSY,
    PoolTimeoutError: _BUSY,
    StorageError: _BUSY,
}
