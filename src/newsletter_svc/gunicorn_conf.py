"""Gunicorn's settings: several processes, one of which keeps the machine's sender running beside them."""

import gc
import os
import signal
import sys
from typing import Any

from newsletter_svc import logs
from newsletter_svc.jobs.process import SenderProcess
from newsletter_svc.listening import refuse_taken
from newsletter_svc.web.state import EXTENSION

_port = os.environ.get("PORT")
bind = f"0.0.0.0:{_port}" if _port else "127.0.0.1:8000"
workers = int(os.environ.get("WEB_CONCURRENCY") or 2)
worker_class = "gthread"
threads = 8
# Each worker listens for itself. On one shared socket a single worker takes nearly all connections.
reuse_port = True
# Long enough for a message that waits for its mail server's reply; the host's own limit counts after it.
graceful_timeout = 30
# The access log prints paths, and paths hold tokens: it is off, and this format serves who turns it on.
# Two services on one machine would quarrel about the one path that gunicorn has for it.
control_socket_disable = True
accesslog = None
access_log_format = "%(t)s %(m)s %(s)s %(B)s %(M)sms"

# What proxies forward is read by `web/peers.py` alone, and links are made from PUBLIC_URL.
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""

SENDER = (sys.executable, "-m", "newsletter_svc", "sender")

logs.configure()

_senders: dict[int, SenderProcess] = {}


def on_starting(server: Any) -> None:
    """Refuse an address that is taken: with `reuse_port` two services would share it, half the requests each."""
    for address in server.cfg.address:
        if isinstance(address, tuple):
            refuse_taken(*address)


def post_worker_init(worker: Any) -> None:
    """Start this worker's part in keeping a sender running. Threads do not survive a fork, so none starts before it."""
    _spare_what_stays()
    # Ctrl-C reaches every process of the terminal, and then the one that leads them tells each worker to quit: a worker
    # that heeds both at once may wait for itself. What it starts ignores Ctrl-C too, and ends when it does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = worker.wsgi.extensions[EXTENSION].settings
    if settings.broker_url is not None:
        return  # Workers on this machine or on others send what is due.
    # A worker that is ending must not start a new one, when the lock comes to it from one that ended before.
    sender = SenderProcess(SENDER, lock=settings.sender_lock, is_wanted=lambda: bool(worker.alive))
    sender.start()
    _senders[os.getpid()] = sender


def _spare_what_stays() -> None:
    """Take what was imported out of the garbage collector's sight: to walk it all is a pause of 50 to 100 ms."""
    gc.collect()
    gc.freeze()


def worker_exit(_server: Any, _worker: Any) -> None:
    """Let the message in flight end, and start nothing new."""
    sender = _senders.pop(os.getpid(), None)
    if sender is not None:
        sender.stop(timeout=graceful_timeout)
