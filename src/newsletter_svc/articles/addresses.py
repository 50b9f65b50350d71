"""Web addresses in articles: which may stand in a mail, what they are in full, which mean the same page."""

from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

MAX_URL = 2000
_DEFAULT_PORTS = {"http": 80, "https": 443}


def safe_url(value: str, *, base_url: str, mailto: bool = False) -> str | None:
    """Return `value` as an address that works in a mail, or None where there is none.

    `/media/a.jpg` becomes `https://news.example/media/a.jpg`. A protocol-relative `//host/x` and a bare
    `#fragment` mean nothing in a mail. `http` is written as `https`, as browsers do today, except on the
    publication's own host, which is plain `http` in development.
    """
    value = value.strip()
    if not value or len(value) > MAX_URL or value.startswith(("//", "#")) or _is_odd(value):
        return None
    if mailto and value.lower().startswith("mailto:"):
        return value if "@" in value else None
    return _web_address(value, base_url=base_url)


def canonical_url(url: str) -> str:
    """Return what identifies the page: lower-case host, no fragment, no `utm_*`, no default port."""
    parts = urlsplit(url)
    query = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if not _is_campaign(key)]
    return urlunsplit((parts.scheme.lower(), _host_and_port(url), parts.path or "/", urlencode(query), ""))


def _web_address(value: str, *, base_url: str) -> str | None:
    try:
        # Joined with a base of its own scheme, the broken "https:///x" would become a page of ours.
        url = value if urlsplit(value).scheme else urljoin(base_url.rstrip("/") + "/", value)
        parts = urlsplit(url)
        host = _host_and_port(url)
    except ValueError:  # A port that is no number, an IPv6 address that is none.
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    if parts.scheme == "http" and host != _host_and_port(base_url):
        parts = parts._replace(scheme="https")
    return urlunsplit(parts)


def _host_and_port(url: str) -> str:
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    is_default = parts.port is None or parts.port == _DEFAULT_PORTS.get(parts.scheme.lower())
    return host if is_default else f"{host}:{parts.port}"


def _is_odd(value: str) -> bool:
    # Browsers read a backslash as a slash, so "/\evil.example" would leave the site.
    return "\\" in value or any(char.isspace() or not char.isprintable() for char in value)


def _is_campaign(key: str) -> bool:
    return key.lower().startswith("utm_")
