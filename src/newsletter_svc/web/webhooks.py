"""What mail providers tell: bounces and complaints, each proved in the provider's own way."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

import structlog
from flask import Blueprint, Response, abort, jsonify, request

from newsletter_svc.clock import utcnow
from newsletter_svc.delivery import bounces
from newsletter_svc.delivery.providers import calls, fetching, mailgun, postmark, sendgrid, ses
from newsletter_svc.delivery.providers.calls import Call, Told, Unsigned
from newsletter_svc.errors import NewsletterError
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import erasing
from newsletter_svc.web import bodies
from newsletter_svc.web.state import parts

LIMIT = 1024 * 1024

log = structlog.get_logger()
webhooks = Blueprint("webhooks", __name__, url_prefix="/webhooks")


class Read(Protocol):
    """Checks that a request comes from the provider, and makes events of it."""

    def __call__(self, call: Call, secret: str, /, *, now: datetime) -> Told: ...


@dataclass(frozen=True)
class Provider:
    """How a provider is read, and the setting with which it proves itself."""

    read: Read
    setting: str
    secret: Callable[[Settings], str | None]


PROVIDERS = {
    "mailgun": Provider(mailgun.read, "MAILGUN_SIGNING_KEY", lambda settings: settings.mailgun_signing_key),
    "postmark": Provider(postmark.read, "POSTMARK_WEBHOOK_AUTH", lambda settings: settings.postmark_webhook_auth),
    "sendgrid": Provider(sendgrid.read, "SENDGRID_WEBHOOK_KEY", lambda settings: settings.sendgrid_webhook_key),
    "ses": Provider(
        partial(ses.read, fetch=fetching.fetch), "SES_TOPICS", lambda settings: ",".join(settings.ses_topics) or None
    ),
}


class NotSetUp(NewsletterError):
    """A provider that this service cannot believe, since the setting is missing that it would prove itself with."""

    def __init__(self, setting: str) -> None:
        super().__init__(f"To take these events, set {setting}.")


@webhooks.post("/mail/<provider>")
def mail(provider: str) -> Response:
    """Take what a provider tells. It is answered well only after the commit, so nothing is lost."""
    request.max_content_length = LIMIT
    known, service = PROVIDERS.get(provider) or abort(404), parts()
    secret = known.secret(service.settings)
    if secret is None:
        raise NotSetUp(known.setting)
    call = Call({name.lower(): value for name, value in request.headers}, bodies.whole())
    now = utcnow()
    try:
        told = known.read(call, secret, now=now)
    except Unsigned as refusal:
        log.warning("webhook_refused", provider=provider, why=refusal.private_reason)
        raise
    with service.database.transaction() as session:
        events = told.events if calls.is_new(session, told) else ()
        for event in events:
            told_of = erasing.blanked(session, event, keyring=service.keyring)
            bounces.take(session, told_of, complained=service.complained, now=now)
    return jsonify({"taken": len(events)})
