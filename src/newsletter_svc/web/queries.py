"""What stands in the query string of lists and imports, checked: an unknown word is refused, never passed over."""

from enum import StrEnum
from typing import TypeVar

from flask import request

from newsletter_svc.subscribers import addresses
from newsletter_svc.subscribers.addresses import BadAddress
from newsletter_svc.web.bodies import BadFields
from newsletter_svc.words import Saying

MOST = 1_000
"""Rows of one page."""
USUAL = 100
_LONGEST_NUMBER = 18
MOST_ID = 2**31 - 1
"""What fits into a key of ours; PostgreSQL compares it with nothing larger."""
W = TypeVar("W", bound=StrEnum)


def flag(name: str) -> bool:
    """`true` or `false`; false where it is not there. A slip in `dry_run` must not make it a real one."""
    value = request.args.get(name, "false")
    if value not in ("true", "false"):
        raise BadFields([(name, Saying("queries.flag"))])
    return value == "true"


def limit() -> int:
    """How many rows a page shall have."""
    wanted = _number("limit", USUAL)
    if not 1 <= wanted <= MOST:
        raise BadFields([("limit", Saying("queries.range", {"least": 1, "most": MOST}))])
    return wanted


def after() -> int:
    """Where a page begins: what the page before named as `next`."""
    return min(_number("after", 0), MOST_ID)


def email_key() -> str | None:
    """The address that is looked for."""
    raw = request.args.get("email")
    if raw is None:
        return None
    try:
        return addresses.parse(raw).key
    except BadAddress as error:
        raise BadFields([("email", error.saying)]) from error


def word(name: str, kind: type[W]) -> W | None:
    value = request.args.get(name)
    if value is None:
        return None
    if value not in list(kind):
        raise BadFields([(name, Saying("queries.one_of", {"words": ", ".join(kind)}))])
    return kind(value)


def _number(name: str, default: int) -> int:
    value = request.args.get(name)
    if value is None:
        return default
    if not (value.isascii() and value.isdecimal() and len(value) <= _LONGEST_NUMBER):
        raise BadFields([(name, Saying("queries.whole"))])
    return int(value)
