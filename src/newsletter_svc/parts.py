"""The parts of a running service, put together by `app.py` and handed to views and commands."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from newsletter_svc.auth.lifetimes import Lifetimes
from newsletter_svc.billing.gateway import Gateway
from newsletter_svc.billing.settling import Settler
from newsletter_svc.db import Database
from newsletter_svc.delivery.bounces import Complained
from newsletter_svc.delivery.bulk import BulkLane
from newsletter_svc.delivery.sender import Sender
from newsletter_svc.digests.issues import Press
from newsletter_svc.jobs.waking import Wake
from newsletter_svc.links import Links
from newsletter_svc.mail.compose import Composer
from newsletter_svc.mail.dkim import Signer
from newsletter_svc.mail.transport import Transport
from newsletter_svc.settings import Settings
from newsletter_svc.tokens import Keyring
from newsletter_svc.words import Words

if TYPE_CHECKING:
    from newsletter_svc.auth.passes import Passes
    from newsletter_svc.limits.limiter import Limits


@dataclass(frozen=True)
class Parts:
    """Everything that lives as long as the process. What only pages need is made, and imported, when a page asks."""

    settings: Settings
    database: Database
    keyring: Keyring
    links: Links
    composer: Composer
    words: Words
    """The sentences that are said by code, in the publication's language."""
    signer: Signer | None
    """Signs every mail; None where no DKIM key is set."""
    mail: Transport
    """The way out, for what is sent past the ledger."""
    sender: Sender
    bulk: BulkLane
    complained: Complained
    """What a complaint that comes back means to subscriptions."""
    stripe: Gateway | None
    """None where no key is set: there is no billing then."""
    wake: Wake
    """Tell the senders of this machine, in whatever process they run, that something is due."""

    @cached_property
    def passes(self) -> "Passes":
        """What issues passes for other services."""
        from newsletter_svc.auth.passes import Passes

        return Passes(self.settings, self.keyring)

    @cached_property
    def limits(self) -> "Limits":
        """What counts requests. Raises SettingsError where the storage that was chosen cannot be used."""
        from newsletter_svc.limits.limiter import Limits

        return Limits(self.settings, database=self.database, keyring=self.keyring)

    @property
    def lifetimes(self) -> Lifetimes:
        """How long links and sessions live."""
        return Lifetimes.of(self.settings)

    def settler(self, stripe: Gateway) -> Settler:
        """What brings visits to Stripe's payment page into effect."""
        return Settler(self.database, stripe, message_domain=self.message_domain)

    @property
    def press(self) -> Press:
        """What issues are made with."""
        return Press(self.composer, self.message_domain, self.links)

    @property
    def message_domain(self) -> str:
        """The right side of our Message-IDs: the domain that we send from."""
        return self.settings.message_domain
