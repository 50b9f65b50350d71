"""The envelope sender: for machines, naming the delivery, so that a bounce finds its way back (VERP)."""

import hmac
from collections.abc import Callable

from newsletter_svc.mail.addresses import wire_address
from newsletter_svc.tokens import Keyring

MAC_DIGITS = 16


def sender_for(delivery_id: int, *, bounce_address: str | None, default: str, keyring: Keyring) -> str:
    """`bounces+2f.9c0d...@example.org` for delivery 47; the plain sender where no BOUNCE_ADDRESS is set.

    Hexadecimal, since servers on the way back may change the case of a local part; at most 64 octets of it.
    """
    if bounce_address is None:
        return default
    local, _, domain = bounce_address.rpartition("@")
    return f"{local}+{delivery_id:x}.{_mac(delivery_id, keyring, keyring.newest)}@{domain}"


def stamp(*, bounce_address: str | None, default: str, keyring: Keyring) -> Callable[[int], bytes]:
    """Return a `sender_for` for a million deliveries, as octets for the wire: what is the same for them is done once.

    Raises `UnsendableMessage` for an address that no mail can come from.
    """
    sample = sender_for(2**63 - 1, bounce_address=bounce_address, default=default, keyring=keyring)
    checked = wire_address(sample).encode("ascii")
    if bounce_address is None:
        return lambda delivery_id: checked
    # What differs are hexadecimal digits, no more of them than in the sample.
    before, _, after = checked.rpartition(b"@")
    before = before[: before.rindex(b"+") + 1]
    mac_of = keyring.deriving(keyring.newest, "verp")
    return lambda delivery_id: (
        b"%b%x.%b@%b"
        % (
            before,
            delivery_id,
            mac_of(str(delivery_id)).hex()[:MAC_DIGITS].encode("ascii"),
            after,
        )
    )


def delivery_of(address: str, *, keyring: Keyring) -> int | None:
    """The delivery that an envelope sender of ours names; None for a forged one."""
    tag = address.rpartition("@")[0].rpartition("+")[2].lower()
    number, _, mac = tag.partition(".")
    if not tag.isascii():
        return None  # A header's broken octets arrive as lone surrogates, which no MAC can be compared with.
    try:
        delivery_id = int(number, 16)
    except ValueError:
        return None
    good = [hmac.compare_digest(mac.encode(), _mac(delivery_id, keyring, key).encode()) for key in keyring.all]
    return delivery_id if any(good) else None


def _mac(delivery_id: int, keyring: Keyring, key: str) -> str:
    return keyring.derive(key, "verp", str(delivery_id)).hex()[:MAC_DIGITS]
