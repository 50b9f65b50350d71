"""Reading environment variables: typed values, and a sentence for each one that is wrong."""

import math
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from babel import Locale, UnknownLocaleError

from newsletter_svc import bounce_mailboxes, palette

Network = IPv4Network | IPv6Network


class Reader:
    """Reads typed values and collects what is wrong with them; an empty variable counts as unset."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def text(self, name: str, default: str) -> str:
        return self.optional(name) or default

    def optional(self, name: str) -> str | None:
        return self._environ.get(name, "").strip() or None

    def path(self, name: str) -> Path | None:
        """A path that stays the same wherever the process goes later."""
        value = self.optional(name)
        return Path(value).absolute() if value else None

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
        if is_origin(value):
            return value
        self.problems.append(f"{name} must be an address such as https://news.example.org, without a path.")
        return default

    def choice(self, name: str, default: str, *, words: Sequence[str]) -> str:
        value = self.text(name, default)
        if value in words:
            return value
        self.problems.append(f"{name} must be {' or '.join(words)}, not {value!r}.")
        return default

    def picture(self, name: str) -> str | None:
        """The absolute address of a picture."""
        value = self.optional(name)
        if value is None or _is_address(value):
            return value
        self.problems.append(f"{name} must be an address such as https://www.example.org/logo.png.")
        return None

    def mailbox(self, name: str) -> bounce_mailboxes.Mailbox | None:
        value = self.optional(name)
        try:
            return bounce_mailboxes.parse(value) if value else None
        except bounce_mailboxes.BadMailbox as error:
            self.problems.append(f"{name}: {error}")
            return None

    def colour(self, name: str) -> str | None:
        value = self.optional(name)
        if value is None or palette.is_colour(value):
            return value and value.lower()
        self.problems.append(f"{name} must be a colour such as #9c3a1c, not {value!r}.")
        return None

    def folder(self, name: str) -> Path | None:
        value = self.optional(name)
        if value is None:
            return None
        try:
            if Path(value).is_dir():
                return Path(value).absolute()
        except (OSError, ValueError):  # A path that is none: too long, or with a NUL in it.
            pass
        self.problems.append(f"{name}: there is no folder {value!r}.")
        return None

    def language(self, name: str, default: str) -> str:
        """A language and perhaps where it is spoken: `en-GB`. Of a list, as GNU programs read it, the first counts."""
        value = self.text(name, default).partition(":")[0].partition(".")[0].replace("_", "-")
        try:
            return str(Locale.parse(value, sep="-")).replace("_", "-")
        except (UnknownLocaleError, ValueError):
            self.problems.append(f"{name} must be a language such as en-GB, de or ar, not {value!r}.")
            return default

    def rates(self, name: str, default: str) -> str:
        """One or more rates in the notation of the `limits` library."""
        value = self.text(name, default)
        if value == default:
            return value
        # Every command reads the settings, and hardly one of them needs this library for anything else.
        from limits import parse_many

        try:
            amounts = [each.amount for each in parse_many(value)]
        except ValueError:
            amounts = []
        if amounts and min(amounts) > 0:
            return value
        self.problems.append(f"{name} must be one or more rates such as 1/minute;5/hour, not {value!r}.")
        return default

    def proxies(self, name: str) -> int | tuple[Network, ...]:
        """A number of proxies, or the networks that they stand in."""
        listed = self.listed(name) or ("0",)
        if len(listed) == 1 and listed[0].isdecimal() and len(listed[0]) <= 2:
            return int(listed[0])
        try:
            return tuple(ip_network(each, strict=False) for each in listed)
        except ValueError:
            self.problems.append(f"{name} must be a number of proxies, or networks such as 10.0.0.0/8,fd00::/8.")
            return ()

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
        self.problems.append(f"{name} must be {what} from {least:.15g} to {most:.15g}, not {raw!r}.")
        return default


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    plain = value.isascii() and value.isprintable() and not set(value) & set(" \"'<>\\")
    return parts.scheme in ("http", "https") and bool(parts.hostname) and plain


def is_origin(value: str) -> bool:
    """Whether `value` is scheme, host and perhaps port, with nothing after them."""
    try:
        parts = urlsplit(value)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        return False
    bare = not (parts.path or parts.query or parts.fragment or parts.username)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and bare and port_is_fine
