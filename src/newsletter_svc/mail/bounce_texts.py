"""Bounces that were written for people: the addresses that flufl.bounce finds in them, and their words."""

import logging
import re
from email.message import Message

import structlog
from flufl.bounce import all_failures

_RETURNED_HEADER = re.compile(r"^[> \t]*(?:return-path|received):", re.IGNORECASE | re.MULTILINE)

log = structlog.get_logger()

# The library logs what it looks at, and that is full of addresses.
logging.getLogger("flufl.bounce").disabled = True


def failed(message: Message) -> set[str]:
    """The addresses, in lower case, that this message says cannot be reached for good."""
    try:
        _, permanent = all_failures(message)
    except Exception as error:
        # Sixteen readers of other people's formats: one that stumbles over a message has not understood it.
        log.warning("bounce_text_not_understood", error=type(error).__name__)
        return set()
    return {_text(address).strip("<> ").lower() for address in permanent}


def explanation(part: Message) -> str:
    """What a part says in words, up to the letter that came back."""
    return _RETURNED_HEADER.split(plain_text(part), maxsplit=1)[0]


def plain_text(part: Message) -> str:
    """The text of a part; empty if it is made of parts itself. Codes and headers are ASCII, whatever the charset."""
    if part.is_multipart() or part.get_content_maintype() != "text":
        return ""
    payload = part.get_payload(decode=True)
    return payload.decode("ascii", "replace") if isinstance(payload, bytes) else ""


def _text(address: bytes | str) -> str:
    return address.decode("ascii", "replace") if isinstance(address, bytes) else address
