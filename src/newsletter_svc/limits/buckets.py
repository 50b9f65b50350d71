"""Whose counter a request belongs to. No address and no IP rests in a key, only what the secret key makes of it."""

from ipaddress import IPv6Address, ip_address

from newsletter_svc.tokens import Keyring

IPV6_PREFIX = 64
GOOGLE = frozenset({"gmail.com", "googlemail.com"})


def folded(address: str) -> str:
    """All spellings that most likely reach one mailbox, as one: `A.da+news@Googlemail.com` is `ada@gmail.com`.

    For counting only. Not every server reads plus-tags and dots so, and to take two readers for one here costs them a
    mail at worst.
    """
    local, _, domain = address.lower().rpartition("@")
    domain = "gmail.com" if domain in GOOGLE else domain
    plain = local.partition("+")[0].replace(".", "")
    return f"{plain or local}@{domain}"


def network(peer: str) -> str:
    """An IPv4 address as it is, an IPv6 address as its /64: whoever has one of those has all of it."""
    try:
        address = ip_address(peer)
    except ValueError:
        return peer
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return f"{IPv6Address(int(address) >> IPV6_PREFIX << IPV6_PREFIX)}/{IPV6_PREFIX}"
    return str(address)


def key(keyring: Keyring, scope: str, value: str) -> str:
    """What stands in the counter's key. A new secret key begins new counters."""
    return keyring.derive(keyring.newest, "limit", scope, value).hex()[:32]
