"""Absolute addresses of this service, made from the settings and never from a request."""

from datetime import datetime
from urllib.parse import urlencode

from newsletter_svc.settings import Settings
from newsletter_svc.tokens import Keyring, Purpose


class Links:
    """Builds the addresses that stand in mails. A request's `Host` has no say in them."""

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        self._base = settings.public_url
        self._keyring = keyring
        self._unsubscribe_token = keyring.stamp(Purpose.UNSUBSCRIBE)
        self._preferences_token = keyring.stamp(Purpose.PREFERENCES)

    def absolute(self, path: str) -> str:
        """`/articles/x` on PUBLIC_URL; an address that is absolute already stays as it is."""
        return path if "://" in path else f"{self._base}/{path.lstrip('/')}"

    def magic_link(self, token: str) -> str:
        return self.absolute(f"/magic-link/{token}")

    def change_address(self, token: str) -> str:
        return self.absolute(f"/change-address/{token}")

    def undo_address(self, token: str) -> str:
        return self.absolute(f"/undo-address/{token}")

    def billing_return(self, key: str) -> str:
        """Where the payment page sends readers back to, whatever they did there. Knowing it gives no power."""
        return self.absolute(f"/billing/return?update={key}")

    def digest(self, public_id: str) -> str:
        """Where an issue is read in a browser: the same address for every reader, without any power."""
        return self.absolute(f"/digests/{public_id}")

    def preview(self, *, digest_id: int | None, newsletter_id: int, until: datetime) -> str:
        """The preview page of an issue, or of the newsletter's next one; whoever has the address may look."""
        token = self._keyring.issue(Purpose.PREVIEW, [digest_id, newsletter_id, int(until.timestamp())])
        return self.absolute(f"/preview/{token}")

    def nobodys(self) -> str:
        """Where the links of a copy lead that is nobody's: a page that says so, and changes nothing."""
        return self.absolute("/preview/link")

    def archive(self, *, slug: str | None = None, page: int = 1) -> str:
        """The list of past issues, of one newsletter or of all."""
        return self.absolute(f"/digests/{_query(newsletter=slug, page=page if page > 1 else None)}")

    def feed(self, *, slug: str | None = None, page: int = 1) -> str:
        """The same as an Atom feed."""
        return self.absolute(f"/digests/feed.atom{_query(newsletter=slug, page=page if page > 1 else None)}")

    def unsubscribe(self, *, subscriber_id: int, newsletter_id: int) -> str:
        """Good for years, and for this one newsletter (RFC 8058 3.1 wants it to stand alone).

        Its page leads on to the preferences, whose link stands in the same mails.
        """
        return f"{self._base}/unsubscribe/{self._unsubscribe_token((subscriber_id, newsletter_id))}"

    def preferences(self, subscriber_id: int) -> str:
        """Where this reader chooses what to get. Good for years, and no way to sign in."""
        return f"{self._base}/preferences/{self._preferences_token((subscriber_id,))}"


def _query(**given: str | int | None) -> str:
    query = urlencode({name: value for name, value in given.items() if value is not None})
    return f"?{query}" if query else ""
