"""Where a request comes from. What a proxy says is believed of proxies that the operator trusts, and of nobody else."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from flask import request

from newsletter_svc import audit
from newsletter_svc.environment import Network
from newsletter_svc.limits import buckets
from newsletter_svc.web.state import parts

HEADER = "X-Forwarded-For"
LONGEST_PAGE = 200


def address() -> str:
    """The IP address of who makes this request: the right-most one that is no trusted proxy's."""
    words = ",".join(request.headers.getlist(HEADER)).split(",")
    forwarded = [word for word in words if word.strip()]
    return client_of(request.remote_addr or "", forwarded, parts().settings.trusted_proxies)


def hashed() -> str:
    """The same for the audit trail: equal for one network, and no way back to it."""
    return audit.hashed_peer(parts().keyring, buckets.network(address()))


def page() -> str | None:
    """The origin of the page that made this request, as its browser tells; None where none is told."""
    told = request.headers.get("Origin") or request.headers.get("Referer") or ""
    try:
        parsed = urlsplit(told)
    except ValueError:
        return None
    if parsed.scheme not in ("http", "https") or not parsed.netloc or not told.isascii() or not told.isprintable():
        return None
    return f"{parsed.scheme}://{parsed.netloc.rpartition('@')[2]}"[:LONGEST_PAGE]


def come_through_an_unknown_proxy() -> bool:
    """Whether a machine of our own network passes requests on, although the operator has named no proxy."""
    peer = _read(request.remote_addr or "")
    return not parts().settings.trusted_proxies and HEADER in request.headers and (peer is None or peer.is_private)


def client_of(peer: str, forwarded: Sequence[str], trusted: int | tuple[Network, ...]) -> str:
    """Walk from the connection back along X-Forwarded-For, as long as the last one is trusted to name who came before.

    A client may write what it likes at the left; a word that is no address ends the walk, so garbage is counted for
    the proxy that passed it on.
    """
    client, steps = peer, 0
    for word in reversed(forwarded):
        before = _read(word)
        if before is None or not _is_trusted(client, steps, trusted):
            break
        client, steps = str(before), steps + 1
    return client


def _is_trusted(client: str, steps: int, trusted: int | tuple[Network, ...]) -> bool:
    if isinstance(trusted, int):
        return steps < trusted
    address = _read(client)
    # No address at all is a socket of this machine's file system: only what runs here can connect to it.
    return bool(trusted) if address is None else any(address in network for network in trusted)


def _read(word: str) -> IPv4Address | IPv6Address | None:
    """The address in `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::1` or `[2001:db8::1]:4711`."""
    text = word.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found
