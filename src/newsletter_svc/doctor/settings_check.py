"""The settings by themselves: keys that cannot be guessed, and addresses that readers' browsers and cookies can use."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from newsletter_svc import secret_keys, stripe_keys
from newsletter_svc.doctor.domains import belong_together, is_address
from newsletter_svc.doctor.findings import Finding, Topic, Verdict
from newsletter_svc.doctor.setup import Setup
from newsletter_svc.settings import Settings, is_loopback


def check(setup: Setup) -> Iterator[Finding]:
    """What is to be said of the settings; no value of a secret is ever shown."""
    settings = setup.settings
    yield from _keys(settings)
    yield _public_url(settings)
    yield from _frontends(settings)
    yield from _proxies(settings)
    yield from _operator(settings)
    yield from _bounces(settings)
    yield from _billing(settings)


def _keys(settings: Settings) -> Iterator[Finding]:
    keys = settings.secret_keys
    weak = [number for number, key in enumerate(keys, 1) if secret_keys.is_weak(key)]
    for number in weak:
        text = f"{_place(number, len(keys))} is short or easy to guess; `newsletter keys rotate` makes a good one."
        yield _finding(Verdict.FAILURE if settings.is_production else Verdict.WARNING, "SECRET_KEYS", text)
    if len(set(keys)) < len(keys):
        yield _finding(Verdict.WARNING, "SECRET_KEYS", "holds the same key twice.")
    if not weak:
        yield _finding(Verdict.GOOD, "SECRET_KEYS", "holds nothing that could be guessed.")


def _place(number: int, count: int) -> str:
    return "the key" if count == 1 else f"key {number} of {count}"


def _public_url(settings: Settings) -> Finding:
    url, host = settings.public_url, _host(settings.public_url)
    if is_loopback(host):
        verdict = Verdict.FAILURE if settings.is_production else Verdict.UNCHECKED
        return _finding(verdict, "PUBLIC_URL", f"{url} is this machine: links in mails open for nobody else.")
    if not url.startswith("https://"):
        verdict = Verdict.FAILURE if settings.is_production else Verdict.WARNING
        return _finding(verdict, "PUBLIC_URL", f"{url} is not https: sign-in links could be read on their way.")
    if is_address(host):
        text = f"{url} is a bare address: mails that link to one are taken for spam."
        return _finding(Verdict.WARNING, "PUBLIC_URL", text)
    return _finding(Verdict.GOOD, "PUBLIC_URL", f"{url} is https.")


def _frontends(settings: Settings) -> Iterator[Finding]:
    names = {**dict.fromkeys(settings.frontend_origins, "FRONTEND_ORIGINS"), settings.frontend_url: "FRONTEND_URL"}
    for url, name in names.items():
        if url != settings.public_url:
            yield _frontend(settings, url, name)


def _frontend(settings: Settings, url: str, name: str) -> Finding:
    if _is_same_site(url, settings.public_url):
        text = f"{url} is of the same site as PUBLIC_URL, so its pages can use the session cookie."
        return _finding(Verdict.GOOD, name, text)
    text = (
        f"{url} is of another site than PUBLIC_URL: browsers send no session cookie from its pages. They sign in "
        "with `challenge` and code or by the redirect, and pass the JWT of POST /session/token on."
    )
    return _finding(Verdict.WARNING, name, text)


def _is_same_site(one: str, other: str) -> bool:
    """As browsers see it: scheme and registrable domain; ports do not matter."""
    return urlsplit(one).scheme == urlsplit(other).scheme and belong_together(_host(one), _host(other))


def _proxies(settings: Settings) -> Iterator[Finding]:
    if settings.public_url.startswith("https://") and not settings.trusted_proxies:
        text = "is not set, yet something before this service must speak https: limits count all readers as one."
        yield _finding(Verdict.WARNING, "TRUSTED_PROXIES", text)


def _operator(settings: Settings) -> Iterator[Finding]:
    if settings.operator_address is None:
        yield _finding(Verdict.WARNING, "OPERATOR_ADDRESS", "is not set: nobody is told when sending stops.")


def _bounces(settings: Settings) -> Iterator[Finding]:
    if settings.mail_server is not None and settings.bounce_address is None:
        text = "is not set: bounces go to the address in From, and do not name the delivery that they are about."
        yield _finding(Verdict.WARNING, "BOUNCE_ADDRESS", text)


def _billing(settings: Settings) -> Iterator[Finding]:
    key = settings.stripe_secret_key
    if key is None:
        return
    if settings.is_production and stripe_keys.is_for_tests(key):
        text = "is a key for tests: what readers enter on the payment page counts for nothing."
        yield _finding(Verdict.WARNING, "STRIPE_SECRET_KEY", text)
    if settings.stripe_webhook_secret is None:
        text = "is not set: who closes the payment page before they are sent back is not heard of."
        yield _finding(Verdict.WARNING, "STRIPE_WEBHOOK_SECRET", text)


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").lower()


def _finding(verdict: Verdict, subject: str, text: str) -> Finding:
    return Finding(verdict, Topic.SETTINGS, subject, text)
