"""Gunicorn's settings for the yardstick: the shipped ones, without senders."""

from newsletter_svc.gunicorn_conf import (  # noqa: F401 - gunicorn reads the names of this module.
    control_socket_disable,
    reuse_port,
    threads,
    worker_class,
    workers,
)
