"""Addresses that are made to be thrown away. The list is a package's, so renewing it is renewing the package."""

from functools import cache

from newsletter_svc.subscribers.addresses import Address


def is_disposable(address: Address) -> bool:
    """Whether the domain, or one that it is part of, is on the list: `x@mail.mailinator.com` is."""
    labels = address.key.rpartition("@")[2].split(".")
    listed = _listed()
    return any(".".join(labels[start:]) in listed for start in range(len(labels) - 1))


@cache
def _listed() -> frozenset[str]:
    # Ten thousand names: only an operator who wants them pays for them.
    from disposable_email_domains import blocklist

    return frozenset(blocklist)
