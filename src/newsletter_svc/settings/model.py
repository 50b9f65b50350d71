"""Settings: the environment, read once at start into a typed and frozen object, with every problem named at once."""

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from newsletter_svc import cores, dkim_keys, palette, secret_keys, stripe_keys, webhook_keys
from newsletter_svc.bounce_mailboxes import Mailbox
from newsletter_svc.environment import Network, Reader, is_origin
from newsletter_svc.errors import NewsletterError

LOCAL_URL = "http://127.0.0.1:8000"
STRIPE_API = "https://api.stripe.com"
MOST_DAYS = 3_650
MOST_PROCESSES = 64
DATABASE_STORAGE = "database://"
"""Counters of rate limits stand in the database, so that all processes and machines share them."""
COUNTER_STORAGES = ("database", "redis", "rediss", "redis+unix")
BROKERS = ("redis", "rediss", "redis+socket", "amqp", "amqps")
"""As kombu spells them, which calls a socket of this machine otherwise than `limits` does."""
Environment = Literal["development", "production"]


class SettingsError(NewsletterError):
    """The environment does not describe a service that can start; `problems` has a sentence for each reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


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


def load(environ: Mapping[str, str]) -> Settings:
    """The settings that `environ` describes. Raises SettingsError with every problem there is."""
    reader = Reader(environ)
    settings = _read(reader)
    problems = reader.problems + list(_contradictions(settings))
    if settings.is_production:
        problems += _production_refusals(settings, environ)
    if problems:
        raise SettingsError(problems)
    return settings if settings.secret_keys else replace(settings, secret_keys=(_development_key(settings.var_dir),))


def _read(reader: Reader) -> Settings:
    env = reader.choice("NEWSLETTER_ENV", "development", words=("development", "production"))
    disposable = reader.choice("DISPOSABLE_DOMAINS", "allow", words=("allow", "refuse"))
    var_dir = Path(reader.text("NEWSLETTER_VAR_DIR", "var")).absolute()
    public_url = reader.url("PUBLIC_URL", LOCAL_URL)
    frontend_url = reader.url("FRONTEND_URL", public_url)
    default_sender = reader.text("MAIL_DEFAULT_SENDER", Settings.mail_default_sender)
    use_ssl = reader.flag("MAIL_USE_SSL", default=False)
    use_tls = reader.flag("MAIL_USE_TLS", default=False)
    return Settings(
        env="production" if env == "production" else "development",
        var_dir=var_dir,
        database_url=reader.text("DATABASE_URL", f"sqlite:///{var_dir}/newsletter.db"),
        secret_keys=reader.listed("SECRET_KEYS"),
        operator_address=reader.optional("OPERATOR_ADDRESS"),
        public_url=public_url,
        frontend_url=frontend_url,
        frontend_origins=reader.listed("FRONTEND_ORIGINS") or (frontend_url,),
        publication_name=reader.text("PUBLICATION_NAME", Settings.publication_name),
        postal_address=reader.text("POSTAL_ADDRESS", Settings.postal_address),
        timezone=reader.text("TIMEZONE", Settings.timezone),
        language=reader.language("LANGUAGE", Settings.language),
        tagline=reader.optional("TAGLINE"),
        footer_text=reader.optional("FOOTER_TEXT"),
        logo_url=reader.picture("LOGO_URL"),
        logo_width=reader.whole("LOGO_WIDTH", Settings.logo_width, least=40, most=520),
        brand_color=reader.colour("BRAND_COLOR"),
        brand_color_dark=reader.colour("BRAND_COLOR_DARK"),
        button_color=reader.colour("BUTTON_COLOR"),
        welcome_mail=reader.flag("WELCOME_MAIL", default=False),
        templates_dir=reader.folder("TEMPLATES_DIR"),
        mail_server=reader.optional("MAIL_SERVER"),
        mail_port=reader.whole("MAIL_PORT", 465 if use_ssl else 587 if use_tls else 25, most=65_535),
        mail_use_tls=use_tls,
        mail_use_ssl=use_ssl,
        mail_username=reader.optional("MAIL_USERNAME"),
        mail_password=reader.optional("MAIL_PASSWORD"),
        mail_default_sender=default_sender,
        mail_transactional_sender=reader.text("MAIL_TRANSACTIONAL_SENDER", default_sender),
        mail_reply_to=reader.optional("MAIL_REPLY_TO"),
        mail_allow_plaintext=reader.flag("MAIL_ALLOW_PLAINTEXT", default=False),
        mail_processes=reader.whole("MAIL_PROCESSES", min(cores.usable(), MOST_PROCESSES), most=MOST_PROCESSES),
        mail_connections=reader.whole("MAIL_CONNECTIONS", Settings.mail_connections, most=1_000),
        mail_messages_per_connection=reader.whole("MAIL_MESSAGES_PER_CONNECTION", 0, least=0) or None,
        mail_max_per_second=reader.rate("MAIL_MAX_PER_SECOND"),
        mail_timeout=reader.seconds("MAIL_TIMEOUT", Settings.mail_timeout),
        delivery_lease_seconds=reader.whole("DELIVERY_LEASE_SECONDS", Settings.delivery_lease_seconds),
        unknown_resend_seconds=reader.whole("UNKNOWN_RESEND_SECONDS", Settings.unknown_resend_seconds),
        bounce_address=reader.optional("BOUNCE_ADDRESS"),
        bounce_mailbox=reader.mailbox("BOUNCE_MAILBOX"),
        mailgun_signing_key=reader.optional("MAILGUN_SIGNING_KEY"),
        postmark_webhook_auth=reader.optional("POSTMARK_WEBHOOK_AUTH"),
        sendgrid_webhook_key=reader.optional("SENDGRID_WEBHOOK_KEY"),
        ses_topics=reader.listed("SES_TOPICS"),
        dkim_domain=reader.optional("DKIM_DOMAIN"),
        dkim_selector=reader.optional("DKIM_SELECTOR"),
        dkim_private_key_file=reader.path("DKIM_PRIVATE_KEY_FILE"),
        broker_url=reader.optional("BROKER_URL"),
        limit_per_address=reader.rates("LIMIT_PER_ADDRESS", Settings.limit_per_address),
        limit_per_ip=reader.rates("LIMIT_PER_IP", Settings.limit_per_ip),
        limit_global=reader.rates("LIMIT_GLOBAL", Settings.limit_global),
        limit_wrong_codes=reader.rates("LIMIT_WRONG_CODES", Settings.limit_wrong_codes),
        ratelimit_storage_uri=reader.text("RATELIMIT_STORAGE_URI", DATABASE_STORAGE),
        trusted_proxies=reader.proxies("TRUSTED_PROXIES"),
        disposable_domains="refuse" if disposable == "refuse" else "allow",
        sign_in_link_minutes=reader.whole("SIGN_IN_LINK_MINUTES", Settings.sign_in_link_minutes, most=24 * 60),
        confirmation_hours=reader.whole("CONFIRMATION_HOURS", Settings.confirmation_hours, most=30 * 24),
        unconfirmed_days=reader.whole("UNCONFIRMED_DAYS", Settings.unconfirmed_days, most=MOST_DAYS),
        session_days=reader.whole("SESSION_DAYS", Settings.session_days, most=MOST_DAYS),
        session_max_days=reader.whole("SESSION_MAX_DAYS", Settings.session_max_days, most=MOST_DAYS),
        audit_retention_days=reader.whole("AUDIT_RETENTION_DAYS", Settings.audit_retention_days, most=MOST_DAYS),
        consent_retention_days=reader.whole("CONSENT_RETENTION_DAYS", Settings.consent_retention_days, most=MOST_DAYS),
        import_max_megabytes=reader.whole("IMPORT_MAX_MEGABYTES", Settings.import_max_megabytes, most=100_000),
        archive=reader.flag("ARCHIVE", default=False),
        stripe_secret_key=reader.optional("STRIPE_SECRET_KEY"),
        stripe_webhook_secret=reader.optional("STRIPE_WEBHOOK_SECRET"),
        stripe_api_base=reader.url("STRIPE_API_BASE", STRIPE_API),
    )


def _contradictions(settings: Settings) -> Iterator[str]:
    if settings.mail_use_tls and settings.mail_use_ssl:
        yield "MAIL_USE_TLS and MAIL_USE_SSL exclude each other: set the one that the server's port speaks."
    if (settings.mail_username is None) != (settings.mail_password is None):
        yield "MAIL_USERNAME and MAIL_PASSWORD go together: one of them is missing."
    for origin in settings.frontend_origins:
        if not is_origin(origin):
            yield f"FRONTEND_ORIGINS: {origin!r} is not an origin such as https://www.example.org."
    names = ["mail_default_sender", "mail_reply_to", "bounce_address", "operator_address"]
    if settings.mail_transactional_sender != settings.mail_default_sender:
        names.append("mail_transactional_sender")
    for name in names:
        address = getattr(settings, name)
        if address is not None and not _looks_like_an_address(address):
            yield f"{name.upper()} must be a plain address such as briefing@example.org."
    try:
        ZoneInfo(settings.timezone)
    except (KeyError, ValueError, OSError):
        yield f"TIMEZONE: there is no time zone {settings.timezone!r}; an example is Europe/London."
    if not settings.database_url.startswith(("sqlite:///", "postgresql+psycopg://")):
        yield "DATABASE_URL must begin with sqlite:/// or postgresql+psycopg://."
    yield from _broker_problems(settings)
    if settings.ratelimit_storage_uri.partition("://")[0] not in COUNTER_STORAGES:
        yield "RATELIMIT_STORAGE_URI must be unset (the database) or begin with redis://, rediss:// or redis+unix://."
    yield from webhook_keys.problems(
        postmark_auth=settings.postmark_webhook_auth,
        sendgrid_key=settings.sendgrid_webhook_key,
        ses_topics=settings.ses_topics,
    )
    yield from dkim_keys.problems(
        settings.dkim_domain,
        selector=settings.dkim_selector,
        key_file=settings.dkim_private_key_file,
        sender=settings.mail_default_sender,
        is_production=settings.is_production,
    )
    if settings.session_max_days < settings.session_days:
        yield "SESSION_MAX_DAYS must not be less than SESSION_DAYS: no session lives longer than it."
    yield from _unreadable_colours(settings)
    yield from stripe_keys.problems(
        settings.stripe_secret_key,
        webhook_secret=settings.stripe_webhook_secret,
        is_production=settings.is_production,
    )


def _unreadable_colours(settings: Settings) -> Iterator[str]:
    brand = (
        ("BRAND_COLOR", settings.brand_color, palette.LIGHT),
        ("BRAND_COLOR_DARK", settings.brand_color_dark, palette.DARK),
    )
    for name, colour, scheme in brand:
        if colour is not None and not palette.is_readable(colour, scheme):
            ratio = min(palette.contrast(colour, behind) for behind in (scheme.sheet, scheme.paper))
            yield (
                f"{name}: links in {colour} cannot be read on {scheme.sheet} and {scheme.paper}: the contrast is "
                f"{ratio:.1f}, {palette.READABLE} is the least. The nearest that can be read is "
                f"{palette.readable(colour, scheme)}."
            )


def _broker_problems(settings: Settings) -> Iterator[str]:
    if settings.broker_url is None:
        return
    if settings.broker_url.partition("://")[0] not in BROKERS:
        yield "BROKER_URL must begin with redis://, rediss://, redis+socket://, amqp:// or amqps://."
    if settings.database_url.startswith("sqlite:"):
        yield "BROKER_URL needs PostgreSQL: set DATABASE_URL to one. Workers on other machines cannot reach a file."


def _production_refusals(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    yield from secret_keys.refusals(settings.secret_keys)
    encrypted = settings.mail_use_tls or settings.mail_use_ssl
    if settings.mail_server is None:
        yield "MAIL_SERVER must be set in production: the local mailbox is for development only."
    elif not (encrypted or settings.mail_allow_plaintext or is_loopback(settings.mail_server)):
        yield "MAIL_USE_TLS or MAIL_USE_SSL must be on: plain-text SMTP to another host needs MAIL_ALLOW_PLAINTEXT."
    for name in ("PUBLIC_URL", "MAIL_DEFAULT_SENDER", "POSTAL_ADDRESS"):
        if not environ.get(name, "").strip():
            yield f"{name} must be set in production."
    if settings.logo_url is not None and settings.logo_url.startswith("http://"):
        yield "LOGO_URL must be https in production: mail programs show no other pictures."
    if settings.public_url.startswith("http://") and not is_loopback(urlsplit(settings.public_url).hostname or ""):
        yield "PUBLIC_URL must be https in production: links sign readers in."
    if settings.stripe_api_base.startswith("http://") and not is_loopback(
        urlsplit(settings.stripe_api_base).hostname or ""
    ):
        yield "STRIPE_API_BASE must be https in production: each request to it carries STRIPE_SECRET_KEY."


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by its name or address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _looks_like_an_address(value: str) -> bool:
    local, at, domain = value.rpartition("@")
    printable = value.isascii() and value.isprintable() and not set(value) & set(' <>",;()')
    return bool(at and local and "." in domain) and "@" not in local and printable


def _development_key(var_dir: Path) -> str:
    """The key that development makes for itself and keeps, so that links outlive a restart."""
    path = var_dir / "secret_key"
    if not path.exists():
        var_dir.mkdir(parents=True, exist_ok=True)
        draft = var_dir / f".secret_key.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(48), encoding="ascii")
        # Of several processes that start together the first one's key counts, and nobody reads half a file.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    return path.read_text(encoding="ascii").strip()
