"""What the keys that sign everything may be: long, and hard to guess."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

MIN_KEY_LENGTH = 32
ENOUGH_BITS = 100
_LEAST_BITS = 64
"""A key of drawn characters has far more: production starts with none that has less."""


def bits(key: str) -> float:
    """How hard the key is to guess, at most, if its characters were drawn with the frequencies that they have."""
    counts = Counter(key)
    return -sum(count * math.log2(count / len(key)) for count in counts.values())


def is_weak(key: str) -> bool:
    """Whether the operator should hear of it."""
    return len(key) < MIN_KEY_LENGTH or bits(key) < ENOUGH_BITS


def refusals(keys: Sequence[str]) -> Iterator[str]:
    """Why production does not start with these keys, as sentences that show none of them."""
    if not keys:
        yield "SECRET_KEYS must be set in production; `python3 -c 'import secrets; print(secrets.token_urlsafe(48))'`."
    if any(len(key) < MIN_KEY_LENGTH for key in keys):
        yield f"SECRET_KEYS: each key must have at least {MIN_KEY_LENGTH} characters in production."
    elif any(bits(key) < _LEAST_BITS for key in keys):
        yield "SECRET_KEYS: a key that repeats itself can be guessed; `newsletter keys rotate` makes a good one."
