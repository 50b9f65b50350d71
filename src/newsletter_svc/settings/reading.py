"""From environment variables to settings, theme by theme."""

import contextlib
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from newsletter_svc import cores
from newsletter_svc.environment import Reader
from newsletter_svc.errors import NewsletterError
from newsletter_svc.settings.model import DATABASE_STORAGE, LOCAL_URL, STRIPE_API, Settings
from newsletter_svc.settings.rules import contradictions, production_refusals

MOST_DAYS = 3_650
MOST_PROCESSES = 64


class SettingsError(NewsletterError):
    """The environment does not describe a service that can start; `problems` has a sentence for each reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load(environ: Mapping[str, str]) -> Settings:
    """The settings that `environ` describes. Raises SettingsError with every problem there is."""
    reader = Reader(environ)
    settings = _read(reader)
    problems = reader.problems + list(contradictions(settings))
    if settings.is_production:
        problems += production_refusals(settings, environ)
    if problems:
        raise SettingsError(problems)
    return settings if settings.secret_keys else replace(settings, secret_keys=(_development_key(settings.var_dir),))


def _read(reader: Reader) -> Settings:
    env = reader.choice("NEWSLETTER_ENV", "development", words=("development", "production"))
    var_dir = Path(reader.text("NEWSLETTER_VAR_DIR", "var")).absolute()
    settings = Settings(
        env="production" if env == "production" else "development",
        var_dir=var_dir,
        database_url=reader.text("DATABASE_URL", f"sqlite:///{var_dir}/newsletter.db"),
        secret_keys=reader.listed("SECRET_KEYS"),
        operator_address=reader.optional("OPERATOR_ADDRESS"),
    )
    for read_more in _THEMES:
        settings = read_more(settings, reader)
    return settings


def _with_addresses(settings: Settings, reader: Reader) -> Settings:
    """Where the service and its frontends are."""
    public_url = reader.url("PUBLIC_URL", LOCAL_URL)
    frontend_url = reader.url("FRONTEND_URL", public_url)
    return replace(
        settings,
        public_url=public_url,
        frontend_url=frontend_url,
        frontend_origins=reader.listed("FRONTEND_ORIGINS") or (frontend_url,),
    )


def _with_publication(settings: Settings, reader: Reader) -> Settings:
    """What the mails look like, and what they say of the publication."""
    return replace(
        settings,
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
    )


def _with_mail_server(settings: Settings, reader: Reader) -> Settings:
    """How mail goes out."""
    use_ssl = reader.flag("MAIL_USE_SSL", default=False)
    use_tls = reader.flag("MAIL_USE_TLS", default=False)
    default_sender = reader.text("MAIL_DEFAULT_SENDER", Settings.mail_default_sender)
    return replace(
        settings,
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
    )


def _with_sending(settings: Settings, reader: Reader) -> Settings:
    """How fast, and how often again."""
    return replace(
        settings,
        mail_processes=reader.whole("MAIL_PROCESSES", min(cores.usable(), MOST_PROCESSES), most=MOST_PROCESSES),
        mail_connections=reader.whole("MAIL_CONNECTIONS", Settings.mail_connections, most=1_000),
        mail_messages_per_connection=reader.whole("MAIL_MESSAGES_PER_CONNECTION", 0, least=0) or None,
        mail_max_per_second=reader.rate("MAIL_MAX_PER_SECOND"),
        mail_timeout=reader.seconds("MAIL_TIMEOUT", Settings.mail_timeout),
        delivery_lease_seconds=reader.whole("DELIVERY_LEASE_SECONDS", Settings.delivery_lease_seconds),
        unknown_resend_seconds=reader.whole("UNKNOWN_RESEND_SECONDS", Settings.unknown_resend_seconds),
        broker_url=reader.optional("BROKER_URL"),
    )


def _with_bounces(settings: Settings, reader: Reader) -> Settings:
    """Where what came back is told."""
    return replace(
        settings,
        bounce_address=reader.optional("BOUNCE_ADDRESS"),
        bounce_mailbox=reader.mailbox("BOUNCE_MAILBOX"),
        mailgun_signing_key=reader.optional("MAILGUN_SIGNING_KEY"),
        postmark_webhook_auth=reader.optional("POSTMARK_WEBHOOK_AUTH"),
        sendgrid_webhook_key=reader.optional("SENDGRID_WEBHOOK_KEY"),
        ses_topics=reader.listed("SES_TOPICS"),
    )


def _with_signing(settings: Settings, reader: Reader) -> Settings:
    return replace(
        settings,
        dkim_domain=reader.optional("DKIM_DOMAIN"),
        dkim_selector=reader.optional("DKIM_SELECTOR"),
        dkim_private_key_file=reader.path("DKIM_PRIVATE_KEY_FILE"),
    )


def _with_limits(settings: Settings, reader: Reader) -> Settings:
    disposable = reader.choice("DISPOSABLE_DOMAINS", "allow", words=("allow", "refuse"))
    return replace(
        settings,
        limit_per_address=reader.rates("LIMIT_PER_ADDRESS", Settings.limit_per_address),
        limit_per_ip=reader.rates("LIMIT_PER_IP", Settings.limit_per_ip),
        limit_global=reader.rates("LIMIT_GLOBAL", Settings.limit_global),
        limit_wrong_codes=reader.rates("LIMIT_WRONG_CODES", Settings.limit_wrong_codes),
        ratelimit_storage_uri=reader.text("RATELIMIT_STORAGE_URI", DATABASE_STORAGE),
        trusted_proxies=reader.proxies("TRUSTED_PROXIES"),
        disposable_domains="refuse" if disposable == "refuse" else "allow",
    )


def _with_lifetimes(settings: Settings, reader: Reader) -> Settings:
    """How long links, sessions and records last."""
    return replace(
        settings,
        sign_in_link_minutes=reader.whole("SIGN_IN_LINK_MINUTES", Settings.sign_in_link_minutes, most=24 * 60),
        confirmation_hours=reader.whole("CONFIRMATION_HOURS", Settings.confirmation_hours, most=30 * 24),
        unconfirmed_days=reader.whole("UNCONFIRMED_DAYS", Settings.unconfirmed_days, most=MOST_DAYS),
        session_days=reader.whole("SESSION_DAYS", Settings.session_days, most=MOST_DAYS),
        session_max_days=reader.whole("SESSION_MAX_DAYS", Settings.session_max_days, most=MOST_DAYS),
        audit_retention_days=reader.whole("AUDIT_RETENTION_DAYS", Settings.audit_retention_days, most=MOST_DAYS),
        consent_retention_days=reader.whole("CONSENT_RETENTION_DAYS", Settings.consent_retention_days, most=MOST_DAYS),
        delivery_retention_days=reader.whole(
            "DELIVERY_RETENTION_DAYS", Settings.delivery_retention_days, most=MOST_DAYS
        ),
    )


def _with_lists(settings: Settings, reader: Reader) -> Settings:
    return replace(
        settings,
        import_max_megabytes=reader.whole("IMPORT_MAX_MEGABYTES", Settings.import_max_megabytes, most=100_000),
        archive=reader.flag("ARCHIVE", default=False),
    )


def _with_billing(settings: Settings, reader: Reader) -> Settings:
    return replace(
        settings,
        stripe_secret_key=reader.optional("STRIPE_SECRET_KEY"),
        stripe_webhook_secret=reader.optional("STRIPE_WEBHOOK_SECRET"),
        stripe_api_base=reader.url("STRIPE_API_BASE", STRIPE_API),
    )


_THEMES: tuple[Callable[[Settings, Reader], Settings], ...] = (
    _with_addresses,
    _with_publication,
    _with_mail_server,
    _with_sending,
    _with_bounces,
    _with_signing,
    _with_limits,
    _with_lifetimes,
    _with_lists,
    _with_billing,
)


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
