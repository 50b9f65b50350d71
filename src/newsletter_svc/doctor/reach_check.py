"""PUBLIC_URL as a reader's browser meets it: whether this service answers there, under a certificate that holds."""

import json
import ssl
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from socket import gaierror
from typing import cast
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, build_opener

from newsletter_svc.doctor.findings import Finding, Topic, Verdict
from newsletter_svc.doctor.setup import Setup

ANSWER_SECONDS = 10
_LONGEST = 1_000


def check(setup: Setup) -> Iterator[Finding]:
    """What is to be said of the service at PUBLIC_URL."""
    url = f"{setup.settings.public_url}/healthz"
    try:
        response = _ask(url, setup.tls)
    except HTTPError as error:
        error.close()
        yield _finding(Verdict.FAILURE, f"{url} answers {error.code}, so it is not this service that answers there.")
    except (OSError, HTTPException) as error:
        yield _unreached(url, error)
    else:
        yield _judge(url, response)


def _ask(url: str, tls: ssl.SSLContext | None) -> bytes:
    opener = build_opener(HTTPSHandler(context=tls or ssl.create_default_context()), _StayThere)
    # The address is PUBLIC_URL, whose scheme the settings have checked.
    with cast(HTTPResponse, opener.open(url, timeout=ANSWER_SECONDS)) as response:
        return response.read(_LONGEST)


class _StayThere(HTTPRedirectHandler):
    """Links in mails would be redirected too, and a POST does not survive that: a redirect is an answer of its own."""

    def redirect_request(self, *given: object) -> None:
        return None


def _judge(url: str, body: bytes) -> Finding:
    try:
        is_ours = json.loads(body) == {"status": "ok"}
    except ValueError:
        is_ours = False
    if is_ours:
        return _finding(Verdict.GOOD, f"{url} is answered by this service.")
    return _finding(Verdict.FAILURE, f"{url} is answered by something else than this service.")


def _unreached(url: str, error: Exception) -> Finding:
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        text = f"{url} has a certificate that browsers refuse: {reason.verify_message.rstrip('.')}."
        return _finding(Verdict.FAILURE, text)
    why = "its name cannot be resolved" if isinstance(reason, gaierror) else type(reason).__name__
    text = f"{url} does not answer from here ({why}): is the service running, and its proxy?"
    return _finding(Verdict.WARNING, text)


def _finding(verdict: Verdict, text: str) -> Finding:
    return Finding(verdict, Topic.SETTINGS, "PUBLIC_URL", text)
