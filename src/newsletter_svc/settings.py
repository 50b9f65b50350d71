"""Settings: the environment, read once at start into a typed and frozen object, with every problem named at once."""

import contextlib
import math
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from newsletter_svc.errors import NewsletterError

LOCAL_URL = "http://127.0.0.1:8000"
MIN_KEY_LENGTH = 32
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
    language: str = "en"
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
    mail_connections: int = 4
    mail_max_per_second: float | None = None
    mail_timeout: float = 600
    delivery_lease_seconds: int = 300
    unknown_resend_seconds: int = 900
    bounce_address: str | None = None

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
    def secure_cookies(self) -> bool:
        """Cookies are bound to https wherever readers use https."""
        return self.public_url.startswith("https://")


def load(environ: Mapping[str, str]) -> Settings:
    """The settings that `environ` describes. Raises SettingsError with every problem there is."""
    reader = _Reader(environ)
    settings = _read(reader)
    problems = reader.problems + list(_contradictions(settings))
    if settings.is_production:
        problems += _production_refusals(settings, environ)
    if problems:
        raise SettingsError(problems)
    return settings if settings.secret_keys else replace(settings, secret_keys=(_development_key(settings.var_dir),))


class _Reader:
    """Reads typed values and collects what is wrong with them; an empty variable counts as unset."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def text(self, name: str, default: str) -> str:
        return self.optional(name) or default

    def optional(self, name: str) -> str | None:
        return self._environ.get(name, "").strip() or None

    def listed(self, name: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in self._environ.get(name, "").split(",") if part.strip())

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.text(name, str(default)).lower()
        if value in {"1", "true", "yes", "on"}:
            return True
        if value not in {"0", "false", "no", "off"}:
            self.problems.append(f"{name} must be true or false, not {value!r}.")
        return False

    def whole(self, name: str, default: int, *, least: int = 1, most: int = 2**31) -> int:
        return int(self._number(name, default, least, most, what="a whole number"))

    def seconds(self, name: str, default: float) -> float:
        return self._number(name, default, 0.1, 86_400)

    def rate(self, name: str) -> float | None:
        return self._number(name, 0, 0.01, 1_000_000) if self.optional(name) else None

    def url(self, name: str, default: str) -> str:
        value = self.text(name, default).rstrip("/")
        if _is_origin(value):
            return value
        self.problems.append(f"{name} must be an address such as https://news.example.org, without a path.")
        return default

    def _number(self, name: str, default: float, least: float, most: float, *, what: str = "a number") -> float:
        raw = self.optional(name)
        if raw is None:
            return default
        try:
            value = int(raw) if what == "a whole number" else float(raw)
        except ValueError:
            value = math.nan
        if least <= value <= most:
            return value
        self.problems.append(f"{name} must be {what} from {least:g} to {most:g}, not {raw!r}.")
        return default


def _read(reader: _Reader) -> Settings:
    env = reader.text("NEWSLETTER_ENV", "development")
    if env not in ("development", "production"):
        reader.problems.append(f"NEWSLETTER_ENV must be development or production, not {env!r}.")
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
        language=reader.text("LANGUAGE", Settings.language),
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
        mail_connections=reader.whole("MAIL_CONNECTIONS", Settings.mail_connections, most=1_000),
        mail_max_per_second=reader.rate("MAIL_MAX_PER_SECOND"),
        mail_timeout=reader.seconds("MAIL_TIMEOUT", Settings.mail_timeout),
        delivery_lease_seconds=reader.whole("DELIVERY_LEASE_SECONDS", Settings.delivery_lease_seconds),
        unknown_resend_seconds=reader.whole("UNKNOWN_RESEND_SECONDS", Settings.unknown_resend_seconds),
        bounce_address=reader.optional("BOUNCE_ADDRESS"),
    )


def _contradictions(settings: Settings) -> Iterator[str]:
    if settings.mail_use_tls and settings.mail_use_ssl:
        yield "MAIL_USE_TLS and MAIL_USE_SSL exclude each other: set the one that the server's port speaks."
    if (settings.mail_username is None) != (settings.mail_password is None):
        yield "MAIL_USERNAME and MAIL_PASSWORD go together: one of them is missing."
    for origin in settings.frontend_origins:
        if not _is_origin(origin):
            yield f"FRONTEND_ORIGINS: {origin!r} is not an origin such as https://www.example.org."
    names = ["mail_default_sender", "mail_reply_to", "bounce_address"]
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


def _production_refusals(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    if not settings.secret_keys:
        yield "SECRET_KEYS must be set in production; `python3 -c 'import secrets; print(secrets.token_urlsafe(48))'`."
    if any(len(key) < MIN_KEY_LENGTH for key in settings.secret_keys):
        yield f"SECRET_KEYS: each key must have at least {MIN_KEY_LENGTH} characters in production."
    encrypted = settings.mail_use_tls or settings.mail_use_ssl
    if settings.mail_server is None:
        yield "MAIL_SERVER must be set in production: the local mailbox is for development only."
    elif not (encrypted or settings.mail_allow_plaintext or is_loopback(settings.mail_server)):
        yield "MAIL_USE_TLS or MAIL_USE_SSL must be on: plain-text SMTP to another host needs MAIL_ALLOW_PLAINTEXT."
    for name in ("PUBLIC_URL", "MAIL_DEFAULT_SENDER", "POSTAL_ADDRESS"):
        if not environ.get(name, "").strip():
            yield f"{name} must be set in production."
    if settings.public_url.startswith("http://") and not is_loopback(urlsplit(settings.public_url).hostname or ""):
        yield "PUBLIC_URL must be https in production: links sign readers in."


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by its name or address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_origin(value: str) -> bool:
    try:
        parts = urlsplit(value)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        return False
    bare = not (parts.path or parts.query or parts.fragment or parts.username)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and bare and port_is_fine


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
