"""What is examined: the settings, the way to the DNS, and the addresses that mail leaves from."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address, ip_network

from newsletter_svc.doctor.domains import belong_together, is_address
from newsletter_svc.doctor.lookups import Address, Dns
from newsletter_svc.settings import Settings, is_loopback

_INSIDE = tuple(
    ip_network(each)
    for each in ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
                 "192.168.0.0/16", "::/127", "fc00::/7", "fe80::/10")
)  # fmt: skip
"""Addresses that say nothing about where mail comes from, seen from outside."""


@dataclass(frozen=True)
class Sending:
    """The addresses that other mail servers see ours come from, as far as we can know."""

    addresses: tuple[Address, ...]
    is_certain: bool
    """Stated, or of the organisation's own mail server. A provider takes mail at one address and sends from others."""
    unknown_because: str = ""


@dataclass(frozen=True)
class Setup:
    """One deployment as the checks see it."""

    settings: Settings
    dns: Dns
    stated_addresses: Sequence[Address] = ()
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    """None for the system's certificates."""

    @property
    def senders(self) -> tuple[str, ...]:
        """The addresses in From."""
        return tuple(dict.fromkeys((self.settings.mail_default_sender, self.settings.mail_transactional_sender)))

    @property
    def envelope_senders(self) -> tuple[str, ...]:
        """The addresses that receivers ask SPF about, and that bounces go to."""
        bounce_address = self.settings.bounce_address
        return (bounce_address,) if bounce_address else self.senders

    @property
    def answered_addresses(self) -> tuple[str, ...]:
        """Every address of ours that somebody may write to."""
        reply_to = self.settings.mail_reply_to
        return tuple(dict.fromkeys((*self.senders, *self.envelope_senders, *([reply_to] if reply_to else []))))

    @cached_property
    def sending(self) -> Sending:
        """Where mail leaves from. Raises NotAnswered."""
        if self.stated_addresses:
            return Sending(tuple(self.stated_addresses), is_certain=True)
        server = self.settings.mail_server
        if server is None:
            return Sending((), is_certain=False, unknown_because="no MAIL_SERVER is set")
        addresses = (ip_address(server),) if is_address(server) else self._addresses(server)
        outside = tuple(each for each in addresses if not any(each in network for network in _INSIDE))
        if not outside:
            reason = f"{server} is not an address that others see" if addresses else f"{server} has no address"
            return Sending((), is_certain=False, unknown_because=f"{reason}; name it with --sending-address")
        return Sending(outside, is_certain=any(belong_together(server, domain_of(each)) for each in self.senders))

    def _addresses(self, server: str) -> tuple[Address, ...]:
        # `localhost` stands in the hosts file, not in the DNS.
        return (ip_address("127.0.0.1"),) if is_loopback(server) else self.dns.addresses(server)


def domain_of(address: str) -> str:
    return address.rpartition("@")[2].lower()


def domains_of(addresses: Sequence[str]) -> list[str]:
    """The domains of these addresses, each once."""
    return list(dict.fromkeys(domain_of(address) for address in addresses))
