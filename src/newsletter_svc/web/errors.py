"""From error classes to HTTP: one table, and one way to say it to programs (RFC 9457) and to people."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response, jsonify, make_response, render_template
from gunicorn.http.errors import NoMoreData, ParseException
from limits.errors import StorageError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.wrappers import Response as WerkzeugResponse

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
from newsletter_svc.limits.limiter import CodesLocked, OverLimit, PeerOverLimit, ServiceOverLimit
from newsletter_svc.subscribers.choices import BadChoice
from newsletter_svc.subscribers.csv_file import BrokenFile
from newsletter_svc.subscribers.newsletters import UnknownNewsletter
from newsletter_svc.tokens import BadToken
from newsletter_svc.web.api_subscribers import NoConsent
from newsletter_svc.web.bodies import BadFields
from newsletter_svc.web.forgery import ForgedRequest
from newsletter_svc.web.lists import NoRoom
from newsletter_svc.web.negotiation import wants_json
from newsletter_svc.web.previews import PreviewOver
from newsletter_svc.web.webhooks import NotSetUp

RETRY_AFTER_SECONDS = 5
NOT_SET_UP_SECONDS = 600
STRIPE_RETRY_SECONDS = 30
"""The SDK has tried for some seconds already."""
BILLING_RETRY_SECONDS = 3_600

log = structlog.get_logger()


@dataclass(frozen=True)
class Problem:
    """What the caller is told."""

    status: HTTPStatus
    code: str
    detail: str
    errors: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


BUSY = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "busy",
    "We cannot do this at the moment. Please try again.",
    headers=(("Retry-After", str(RETRY_AFTER_SECONDS)),),
)
INTERNAL = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "Something went wrong on our side.")


def problem_of(error: Exception) -> Problem:
    """The table. What is not in it is a fault of ours, and says nothing about itself."""
    match error:
        case BadFields():
            detail = "Some fields are wrong."
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_fields", detail, errors=tuple(error.errors))
        case BadChoice():
            wrong = ((error.field, str(error)),)
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_fields", "Some fields are wrong.", errors=wrong)
        case UnknownNewsletter():
            named = (("newsletters", str(error)),)
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "unknown_newsletter", str(error), errors=named)
        case LinkGone(reason=Gone.WRONG_CODE):
            wrong = (("code", "This code is not right. After five tries please ask for a new mail."),)
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "wrong_code", "The code is not right.", errors=wrong)
        case LinkGone():
            return Problem(HTTPStatus.GONE, "link_gone", "This link or code no longer works. Please ask for a new one.")
        case ChangeGone():
            return Problem(HTTPStatus.GONE, "link_gone", str(error))
        case AddressTaken():
            return Problem(HTTPStatus.CONFLICT, "address_taken", str(error))
        case UnknownDigest():
            return Problem(HTTPStatus.NOT_FOUND, "unknown_digest", str(error))
        case PreviewOver():
            return Problem(HTTPStatus.GONE, "preview_over", str(error))
        case BadToken():
            return Problem(HTTPStatus.NOT_FOUND, "unknown_link", "This link is not one of ours.")
        case ForgedRequest():
            detail = "This request did not come from our pages. Please open the page again."
            return Problem(HTTPStatus.FORBIDDEN, "forged_request", detail)
        case Unsigned():
            return Problem(HTTPStatus.UNAUTHORIZED, "bad_signature", str(error))
        case NotAdded():
            return Problem(HTTPStatus.CONFLICT, "not_added", str(error))
        case NoConsent():
            return Problem(HTTPStatus.CONFLICT, "no_consent", str(error))
        case BrokenFile():
            detail = f"{error} Nothing was imported."
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "broken_list", detail)
        case NoRoom():
            later = (("Retry-After", str(NOT_SET_UP_SECONDS)),)
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "no_room", str(error), headers=later)
        case NotFetched():
            return BUSY
        case Unreadable():
            return Problem(HTTPStatus.BAD_REQUEST, "bad_request", str(error))
        case NotSetUp():
            later = (("Retry-After", str(NOT_SET_UP_SECONDS)),)
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "not_set_up", str(error), headers=later)
        case BadApiKey():
            challenge = (("WWW-Authenticate", "Bearer"),)
            return Problem(HTTPStatus.UNAUTHORIZED, "bad_api_key", str(error), headers=challenge)
        case MissingScope():
            return Problem(HTTPStatus.FORBIDDEN, "missing_scope", str(error))
        case PeerOverLimit():
            detail = "You have asked for too many e-mails. Please try again later."
            return Problem(HTTPStatus.TOO_MANY_REQUESTS, "too_many_requests", detail, headers=_retry_after(error))
        case CodesLocked():
            detail = "There were too many wrong codes for this address. Please open the link in the e-mail instead."
            return Problem(HTTPStatus.TOO_MANY_REQUESTS, "codes_locked", detail, headers=_retry_after(error))
        case ServiceOverLimit():
            detail = "Too many people are asking for e-mails at the moment. Please try again later."
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "over_capacity", detail, headers=_retry_after(error))
        case BillingOff():
            later = (("Retry-After", str(BILLING_RETRY_SECONDS)),)
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "billing_off", str(error), headers=later)
        case NoCustomer():
            return Problem(HTTPStatus.CONFLICT, "no_customer", str(error))
        case TooManyPresses():
            later = (("Retry-After", str(error.retry_after)),)
            return Problem(HTTPStatus.TOO_MANY_REQUESTS, "too_many_requests", str(error), headers=later)
        case BadEvent():
            detail = "This is not an event that Stripe has signed for us, or it is older than five minutes."
            return Problem(HTTPStatus.BAD_REQUEST, "bad_event", detail)
        case StripeUnavailable() | StripeRefused():
            detail = "Our payment provider cannot be asked at the moment. Nothing is lost: please try again."
            later = (("Retry-After", str(STRIPE_RETRY_SECONDS)),)
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "payment_provider_unavailable", detail, headers=later)
        case OperationalError() | PoolTimeoutError() | StorageError():
            return BUSY
        case ParseException() | NoMoreData():
            # The server reads a body only when it is asked for it, so a broken chunk is met in the middle of a view.
            return _of_http(BadRequest(), HTTPStatus.BAD_REQUEST)
        case HTTPException() if error.code is not None and error.code >= 400:
            return _of_http(error, error.code)
    return INTERNAL


def _retry_after(error: OverLimit) -> tuple[tuple[str, str], ...]:
    return (("Retry-After", str(error.retry_after)),)


def _of_http(error: HTTPException, code: int) -> Problem:
    status = HTTPStatus(code)
    kept = tuple((name, value) for name, value in error.get_headers() if name in ("Allow", "Retry-After"))
    return Problem(status, status.phrase.lower().replace(" ", "_"), _sentence(error), headers=kept)


def _sentence(error: HTTPException) -> str:
    # Werkzeug's own texts speak to programmers, and in debug mode quote what was sent.
    texts = {
        400: "The request could not be understood.",
        404: "There is nothing at this address.",
        405: "This address does not take requests of this kind.",
        413: "This is more than we take.",
    }
    is_ours = error.response is None and error.description != type(error).description
    return texts.get(error.code or 0, "") if not is_ours else str(error.description)


def answer(problem: Problem) -> Response:
    """The problem as problem+json, or as a page."""
    if wants_json():
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": problem.status.phrase,
            "status": problem.status.value,
            "detail": problem.detail,
            "code": problem.code,
        }
        if problem.errors:
            body["errors"] = [{"field": field, "detail": detail} for field, detail in problem.errors]
        response = jsonify(body)
        response.mimetype = "application/problem+json"
    else:
        detail = " ".join(detail for _, detail in problem.errors) or problem.detail
        page = {"status": problem.status.value, "title": problem.status.phrase, "detail": detail}
        response = make_response(render_template("pages/error.html", **page))
    response.status_code = problem.status
    response.headers.extend(problem.headers)
    return response


def install(app: Flask) -> None:
    """Let the application answer every failure by the table."""

    @app.errorhandler(Exception)
    def handle(error: Exception) -> WerkzeugResponse:
        if isinstance(error, HTTPException) and (error.code or 500) < HTTPStatus.BAD_REQUEST:
            return error.get_response()  # A redirect that the router makes is no failure.
        problem = problem_of(error)
        if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            # The class and the place, not the text: texts of database errors quote rows, and rows hold addresses.
            log.error("request_failed", error=type(error).__name__, status=problem.status.value, place=_place(error))
        return answer(problem)


def _place(error: BaseException) -> str:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return f"{traceback.tb_frame.f_code.co_qualname}:{traceback.tb_lineno}" if traceback else ""
