"""Macros in the domains of an SPF record (RFC 7208 7), such as `%{i}._spf.%{d}`."""

import re
from ipaddress import IPv4Address

from newsletter_svc.doctor.lookups import Address
from newsletter_svc.doctor.spf_terms import BadTerm

_MACRO = re.compile(r"%(?:\{([slodiphvSLODIPHV])(\d*)(r?)([.\-+,/_=]*)\}|([%_-]))", re.IGNORECASE)
_LITERAL = {"%": "%", "_": " ", "-": "%20"}
_LONGEST_NAME = 253


def expand(text: str, *, address: Address, domain: str, sender: str) -> str:
    """Fill the macros in. `domain` is the one whose record this is. Raises BadTerm."""
    if "%" not in text:
        return text
    if "%" in _MACRO.sub("", text):
        raise BadTerm(f"{text!r} holds a macro that SPF does not know")
    local, _, sender_domain = sender.rpartition("@")
    values = {
        "s": sender,
        "l": local or "postmaster",
        "o": sender_domain,
        "d": domain,
        "i": _dotted(address),
        "p": "unknown",  # RFC 7208 7.3 advises against it and allows this answer.
        "v": "in-addr" if isinstance(address, IPv4Address) else "ip6",
        "h": sender_domain,
    }
    return _shortened(_MACRO.sub(lambda macro: _value(macro, values), text))


def _value(macro: re.Match[str], values: dict[str, str]) -> str:
    if macro[5]:
        return _LITERAL[macro[5]]
    parts = re.split("[" + re.escape(macro[4] or ".") + "]", values[macro[1].lower()])
    if macro[3]:
        parts.reverse()
    return ".".join(parts[-int(macro[2]) :] if macro[2] and int(macro[2]) else parts)


def _dotted(address: Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return ".".join(address.exploded.replace(":", ""))


def _shortened(name: str) -> str:
    """Labels at the left give way where a name becomes too long (RFC 7208 7.3)."""
    while len(name) > _LONGEST_NAME and "." in name:
        name = name.partition(".")[2]
    return name
