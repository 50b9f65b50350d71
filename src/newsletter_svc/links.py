"""Absolute addresses of this service, made from the settings and never from a request."""

from newsletter_svc.settings import Settings
from newsletter_svc.tokens import Keyring, Purpose


class Links:
    """Builds the addresses that stand in mails. A request's `Host` has no say in them."""

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        self._base = settings.public_url
        self._keyring = keyring

    def absolute(self, path: str) -> str:
        """`/articles/x` on PUBLIC_URL; an address that is absolute already stays as it is."""
        return path if "://" in path else f"{self._base}/{path.lstrip('/')}"

    def magic_link(self, token: str) -> str:
        return self.absolute(f"/magic-link/{token}")

    def unsubscribe(self, *, subscriber_id: int, newsletter_id: int) -> str:
        """Good for years, for this one newsletter, and for nothing else (RFC 8058 3.1 wants it to stand alone)."""
        token = self._keyring.issue(Purpose.UNSUBSCRIBE, [subscriber_id, newsletter_id])
        return self.absolute(f"/unsubscribe/{token}")
