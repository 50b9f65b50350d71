"""E-mail addresses: which ones we write to, and when two are the same."""

from dataclasses import dataclass

from newsletter_svc.mail.addresses import wire_address
from newsletter_svc.mail.message import UnsendableMessage
from newsletter_svc.words import ReaderError

MAX_LENGTH = 254
"""Octets of an address in a path (RFC 5321 4.5.3.1.3, less the angle brackets)."""


class BadAddress(ReaderError):
    """Not an address that we write to."""


@dataclass(frozen=True)
class Address:
    """A checked address: `text` as typed but for an ASCII domain, `key` the same for all spellings of one mailbox."""

    text: str
    key: str


def parse(raw: str) -> Address:
    """The address in `raw`. Raises BadAddress, which says what is wrong.

    Only plain `local@domain` is taken: comments, display names, quoted local parts and lists of addresses are refused,
    so one field can never name two recipients. Letter case does not tell two readers apart.
    """
    # A command that takes no address does not wait for its import.
    from email_validator import EmailNotValidError, validate_email

    text = raw.strip(" ")
    if not text:
        raise BadAddress("addresses.missing")
    if len(text) > MAX_LENGTH:
        raise BadAddress("addresses.too_long")
    local, _, _ = text.rpartition("@")
    if local and not local.isascii():
        # Before any normalisation, since that would turn U+212A (the Kelvin sign) into somebody else's plain K.
        raise BadAddress("addresses.accented")
    try:
        checked = validate_email(text, check_deliverability=False, allow_smtputf8=False, allow_quoted_local=False)
    except EmailNotValidError as error:
        raise BadAddress("addresses.odd") from error
    domain = (checked.ascii_domain or checked.domain).lower()
    try:
        # Whoever is let in must be one that a mail can go to: the envelope has stricter rules than the checker above.
        wire_address(f"{checked.local_part}@{domain}")
    except UnsendableMessage as error:
        raise BadAddress("addresses.refused_by_servers") from error
    return Address(text=f"{checked.local_part}@{domain}", key=f"{checked.local_part.lower()}@{domain}")


def mask(address: str) -> str:
    """Enough to recognise one's own address, too little to learn another's: `r•••@example.org`."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}•••@{domain}"
