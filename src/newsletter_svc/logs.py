"""Structured logs: one event a line, with ids, never with addresses or tokens."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from newsletter_svc.streams import lasting


def configure() -> None:
    """JSON lines where a machine reads, colours where a person does. A log that cannot be written ends no work."""
    on_terminal = sys.stderr.isatty()
    renderer = structlog.dev.ConsoleRenderer() if on_terminal else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(lasting(sys.stderr)),
        cache_logger_on_first_use=True,
    )


@contextmanager
def only_warnings() -> Iterator[None]:
    """Leave out what merely went well: where the work itself is watched, a line for each mail would drown it."""
    before = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        yield
    finally:
        structlog.configure(wrapper_class=before)
