"""The time, as every part of the service knows it: aware and in UTC."""

from datetime import UTC, datetime


def utcnow() -> datetime:
    """The current moment, aware, in UTC. Domain functions do not call this: they are handed `now`."""
    return datetime.now(UTC)
