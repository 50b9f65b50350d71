"""What an operator can set, with the values where nothing is set, and what follows from them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from newsletter_svc import cores
from newsletter_svc.bounce_mailboxes import Mailbox
from newsletter_svc.environment import Network

LOCAL_URL = "http://127.0.0.1:8000"
STRIPE_API = "https://api.stripe.com"
DATABASE_STORAGE = "database://"
"""Counters of rate limits stand in the database, so that all processes and machines share them."""
Environment = Literal["development", "production"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the operator decides. Field names are the environment's in lower case; times are seconds."""

    env: Environment = "development"
    var_dir: Path = Path("var")
    database_url: str = "sqlite:///var/newsletter.db"
    secret_keys: tuple[str, ...] = field(repr=False)
    """Newest first. All verify, the first signs."""
    operator_address: str | None = None
    public_url: str = LOCAL_URL
    frontend_url: str = LOCAL_URL
    frontend_origins: tuple[str, ...] = (LOCAL_URL,)
    publication_name: str = "The Global Diplomat"
    postal_address: str = "The Global Diplomat, 1 Example Street, London"
    timezone: str = "Europe/London"
    language: str = "en-GB"
    tagline: str | None = None
    footer_text: str | None = None
    logo_url: str | None = None
    logo_width: int = 200
    brand_color: str | None = None
    brand_color_dark: str | None = None
    button_color: str | None = None
    welcome_mail: bool = False
    """Whether a new reader gets a mail that says so, besides the one that was confirmed."""
    templates_dir: Path | None = None
    """Files in it take the place of the e-mail templates of the same name."""
    mail_server: str | None = None
    mail_port: int = 25
    mail_use_tls: bool = False
    mail_use_ssl: bool = False
    mail_username: str | None = None
    mail_password: str | None = field(default=None, repr=False)
    mail_default_sender: str = "briefing@newsletter.localhost"
    mail_transactional_sender: str = "briefing@newsletter.localhost"
    mail_reply_to: str | None = None
    mail_allow_plaintext: bool = False
    mail_processes: int = field(default_factory=cores.usable)
    """Processes of one machine that send digests."""
    mail_connections: int = 4
    """Connections of one process that carry digests."""
    mail_messages_per_connection: int | None = None
    """After how many messages a connection is given up for a new one; some servers want that."""
    mail_max_per_second: float | None = None
    mail_timeout: float = 600
    delivery_lease_seconds: int = 300
    unknown_resend_seconds: int = 900
    bounce_address: str | None = None
    bounce_mailbox: Mailbox | None = None
    """Where what comes back can be read, by IMAP or POP3."""
    mailgun_signing_key: str | None = field(default=None, repr=False)
    postmark_webhook_auth: str | None = field(default=None, repr=False)
    """`name:password`, with which Postmark calls."""
    sendgrid_webhook_key: str | None = None
    """A public key: SendGrid signs with the other half."""
    ses_topics: tuple[str, ...] = ()
    """The topics of Amazon SNS in which SES tells, such as `arn:aws:sns:eu-west-1:123456789012:bounces`."""
    dkim_domain: str | None = None
    """Unset: nothing is signed here. Set: selector and key file are too."""
    dkim_selector: str | None = None
    dkim_private_key_file: Path | None = None
    broker_url: str | None = field(default=None, repr=False)
    """Where hints to workers on other machines travel; None: the sender runs inside the service."""
    limit_per_address: str = "1/minute;5/hour"
    """Mails to one address. Windows of a minute and less count each purpose by itself, longer ones all together."""
    limit_per_ip: str = "20/hour"
    """Requests for mail from one IPv4 address, or from one /64 of IPv6."""
    limit_global: str = "2000/hour"
    """Requests for mail from everybody together."""
    limit_wrong_codes: str = "10/hour;20/day"
    """Wrong one-time codes for one address, over all its mails."""
    ratelimit_storage_uri: str = field(default=DATABASE_STORAGE, repr=False)
    trusted_proxies: int | tuple[Network, ...] = 0
    """How many proxies stand before us, or in which networks: who may say where a request came from."""
    disposable_domains: Literal["allow", "refuse"] = "allow"
    sign_in_link_minutes: int = 20
    confirmation_hours: int = 48
    unconfirmed_days: int = 7
    session_days: int = 30
    """How long a session lives after its reader was last seen."""
    session_max_days: int = 365
    audit_retention_days: int = 180
    consent_retention_days: int = 1095
    """How long the record of a consent is kept that nothing rests on any more."""
    delivery_retention_days: int = 365
    """How long the ledger keeps what has come to its end."""
    import_max_megabytes: int = 512
    """How long a list may be that comes in over HTTP, in millions of octets."""
    archive: bool = False
    """Whether everybody may see which issues there have been."""
    stripe_secret_key: str | None = field(default=None, repr=False)
    """Unset: billing answers that it is not set up."""
    stripe_webhook_secret: str | None = field(default=None, repr=False)
    stripe_api_base: str = STRIPE_API

    @property
    def is_production(self) -> bool:
        return self.env == "production"

    @property
    def mailbox_dir(self) -> Path | None:
        """Where mail lands as files while no mail server is set; None where mail goes out by SMTP."""
        return self.var_dir / "mailbox" if self.mail_server is None and not self.is_production else None

    @property
    def message_domain(self) -> str:
        """The right side of our Message-IDs and List-Ids: the domain that we send from."""
        return self.mail_default_sender.rpartition("@")[2]

    @property
    def journal_dir(self) -> Path:
        """Where senders write what they do, so that it survives them; on a local disk, each machine its own."""
        return self.var_dir / "journal"

    @property
    def wake_pipe(self) -> Path:
        """The named pipes, `.` and the lane's name at their ends, by which senders here hear that something is due."""
        return self.var_dir / "wake"

    @property
    def sender_lock(self) -> Path:
        """Who has it locked keeps this machine's sender running."""
        return self.var_dir / "sender.lock"

    @property
    def payment_origin(self) -> str | None:
        """Where the pages stand on which readers enter a card; None without billing."""
        if self.stripe_secret_key is None:
            return None
        return "https://checkout.stripe.com" if self.stripe_api_base == STRIPE_API else self.stripe_api_base

    @property
    def secure_cookies(self) -> bool:
        """Cookies are bound to https wherever readers use https."""
        return self.public_url.startswith("https://")
