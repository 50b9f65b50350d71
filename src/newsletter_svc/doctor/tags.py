"""The notation of DKIM and DMARC records: `v=DMARC1; p=none` (RFC 6376 3.2)."""


def read(text: str) -> dict[str, str] | None:
    """The tags of a record by their names in lower case; None where it is no such list, or one stands there twice."""
    tags: dict[str, str] = {}
    for part in text.strip().removesuffix(";").split(";"):
        name, equals, value = part.partition("=")
        name = name.strip().lower()
        if not equals or not name or name in tags:
            return None
        tags[name] = value.strip()
    return tags


def listed(value: str, *, between: str = ":") -> list[str]:
    """`sha1:sha256` as its parts, in lower case."""
    return [part.strip().lower() for part in value.split(between) if part.strip()]
