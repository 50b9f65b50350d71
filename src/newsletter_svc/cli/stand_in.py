"""The demo's stand-in for Stripe as a process: started by `newsletter demo`, and over with it."""

import os
import socket
import subprocess
import sys
from secrets import token_hex

import click
from sqlalchemy import select

from newsletter_svc.billing.models import Customer
from newsletter_svc.cli.program import with_parts
from newsletter_svc.cli.running import told_to_stop
from newsletter_svc.jobs.forks import at_end_of
from newsletter_svc.parts import Parts


class StandIn:
    """The stand-in before it runs: its socket is open, so that settings can name its address."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://{}:{}".format(*self._listener.getsockname())

    def configure(self) -> None:
        """Make it this environment's Stripe, with keys that nobody else knows."""
        os.environ["STRIPE_API_BASE"] = self.url
        os.environ["STRIPE_SECRET_KEY"] = f"sk_test_{token_hex(16)}"
        os.environ["STRIPE_WEBHOOK_SECRET"] = f"whsec_{token_hex(16)}"

    def start(self, *, service_url: str) -> None:
        """Run it beside this process and whatever this process becomes: it ends when nobody holds the pipe any more."""
        reading, writing = os.pipe()
        os.set_inheritable(writing, True)
        descriptor = self._listener.fileno()
        command = [sys.executable, "-m", "newsletter_svc", "stand-in", str(descriptor), service_url]
        subprocess.Popen(command, stdin=reading, pass_fds=(descriptor,))  # noqa: S603 - our own command.
        os.close(reading)


@click.command(hidden=True)
@click.argument("descriptor", type=int)
@click.argument("service_url")
@with_parts
def stand_in(parts: Parts, descriptor: int, service_url: str) -> None:
    """Be Stripe on the socket with this number, for the service at this address, until standard input ends."""
    if os.environ.get("NEWSLETTER_ENV") == "production":
        raise click.ClickException("The stand-in for Stripe is not for production.")
    from newsletter_svc.demo.stand_in import server

    told = told_to_stop()
    at_end_of(sys.stdin.fileno(), told.set)
    settings = parts.settings
    with server.open_for(
        socket.socket(fileno=descriptor),
        secret_key=settings.stripe_secret_key or "",
        webhook_secret=settings.stripe_webhook_secret or "",
        webhook_url=f"{service_url}/webhooks/stripe",
        shop_url=f"{settings.public_url}/account",
        customers=_linked(parts),
    ):
        told.wait()


def _linked(parts: Parts) -> list[str]:
    """Who was a customer before; the stand-in itself remembers nothing."""
    with parts.database.reading() as session:
        return list(session.scalars(select(Customer.customer_id)))
