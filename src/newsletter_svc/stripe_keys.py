"""What the keys of Stripe may be: a sentence for each reason why they may not, which never quotes one of them."""

from collections.abc import Iterator

_SECRET = ("sk_", "rk_")
"""A secret key, or a restricted one that may do less."""
_LIVE = ("sk_live_", "rk_live_")
_TEST = ("sk_test_", "rk_test_")


def problems(secret_key: str | None, *, webhook_secret: str | None, is_production: bool) -> Iterator[str]:
    """What is wrong with the two settings."""
    if secret_key is None:
        if webhook_secret is not None:
            yield "STRIPE_WEBHOOK_SECRET is of no use without STRIPE_SECRET_KEY: set both, or neither."
        return
    if not (secret_key.startswith(_SECRET) and secret_key.isascii() and secret_key.isprintable()):
        yield "STRIPE_SECRET_KEY must be a secret or restricted key of Stripe: it begins with sk_ or rk_."
    if secret_key.startswith(_LIVE) and not is_production:
        yield "STRIPE_SECRET_KEY is a live key, and this is not production: use the one that begins with sk_test_."


def is_for_tests(secret_key: str) -> bool:
    """Whether this key moves no money."""
    return secret_key.startswith(_TEST)
