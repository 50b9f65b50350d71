"""What settings must not be together, and what production does not start with: a sentence for each."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from newsletter_svc import dkim_keys, palette, secret_keys, stripe_keys, webhook_keys
from newsletter_svc.environment import is_origin
from newsletter_svc.settings.model import Settings

COUNTER_STORAGES = ("database", "redis", "rediss", "redis+unix")
BROKERS = ("redis", "rediss", "redis+socket", "amqp", "amqps")
"""As kombu spells them, which calls a socket of this machine otherwise than `limits` does."""


def contradictions(settings: Settings) -> Iterator[str]:
    """What cannot be so anywhere."""
    if settings.mail_use_tls and settings.mail_use_ssl:
        yield "MAIL_USE_TLS and MAIL_USE_SSL exclude each other: set the one that the server's port speaks."
    if (settings.mail_username is None) != (settings.mail_password is None):
        yield "MAIL_USERNAME and MAIL_PASSWORD go together: one of them is missing."
    for origin in settings.frontend_origins:
        if not is_origin(origin):
            yield f"FRONTEND_ORIGINS: {origin!r} is not an origin such as https://www.example.org."
    yield from _bad_addresses(settings)
    try:
        ZoneInfo(settings.timezone)
    except (KeyError, ValueError, OSError):
        yield f"TIMEZONE: there is no time zone {settings.timezone!r}; an example is Europe/London."
    if not settings.database_url.startswith(("sqlite:///", "postgresql+psycopg://")):
        yield "DATABASE_URL must begin with sqlite:/// or postgresql+psycopg://."
    yield from _broker_problems(settings)
    if settings.ratelimit_storage_uri.partition("://")[0] not in COUNTER_STORAGES:
        yield "RATELIMIT_STORAGE_URI must be unset (the database) or begin with redis://, rediss:// or redis+unix://."
    yield from _bad_keys(settings)
    if settings.session_max_days < settings.session_days:
        yield "SESSION_MAX_DAYS must not be less than SESSION_DAYS: no session lives longer than it."
    yield from _unreadable_colours(settings)


def production_refusals(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    """What may be so on a developer's machine, and nowhere else."""
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


def _bad_addresses(settings: Settings) -> Iterator[str]:
    names = ["mail_default_sender", "mail_reply_to", "bounce_address", "operator_address"]
    if settings.mail_transactional_sender != settings.mail_default_sender:
        names.append("mail_transactional_sender")
    for name in names:
        address = getattr(settings, name)
        if address is not None and not _looks_like_an_address(address):
            yield f"{name.upper()} must be a plain address such as briefing@example.org."


def _looks_like_an_address(value: str) -> bool:
    local, at, domain = value.rpartition("@")
    printable = value.isascii() and value.isprintable() and not set(value) & set(' <>",;()')
    return bool(at and local and "." in domain) and "@" not in local and printable


def _bad_keys(settings: Settings) -> Iterator[str]:
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
