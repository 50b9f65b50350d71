"""Structured logs: one event a line, with ids, never with addresses or tokens."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from newsletter_svc.streams import lasting

_STAMPS: list[structlog.typing.Processor] = [
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure() -> None:
    """JSON lines where a machine reads, colours where a person does. A log that cannot be written ends no work."""
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *_STAMPS, _renderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(lasting(sys.stderr)),
        cache_logger_on_first_use=True,
    )


def configure_libraries() -> None:
    """The same for the standard library's logging, which Celery and its like use: warnings and worse."""
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _renderer(),
        ],
        foreign_pre_chain=_STAMPS,
    )
    handler = logging.StreamHandler(lasting(sys.stderr))
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def _renderer() -> structlog.typing.Processor:
    return structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()


@contextmanager
def only_warnings() -> Iterator[None]:
    """Leave out what merely went well: where the work itself is watched, a line for each mail would drown it."""
    before = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        yield
    finally:
        structlog.configure(wrapper_class=before)
