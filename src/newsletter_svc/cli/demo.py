"""`newsletter demo`: a publication to try, on this machine only."""

import os
from secrets import token_hex

import click

from newsletter_svc import demo as samples
from newsletter_svc import migrations
from newsletter_svc.articles import importing, store
from newsletter_svc.billing import customers
from newsletter_svc.cli.program import Program
from newsletter_svc.cli.running import run_gunicorn
from newsletter_svc.cli.showing import display
from newsletter_svc.cli.stand_in import StandIn
from newsletter_svc.cli.watching import send_and_wait
from newsletter_svc.clock import utcnow
from newsletter_svc.digests import runs
from newsletter_svc.listening import refuse_taken
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import addresses, newsletters, people, subscriptions

READERS = (("ada@example.org", "Ada"), ("grace@example.org", "Grace"), ("dmytro@example.org", "Дмитро"))


SETTINGS = {"ARCHIVE": "on", "LIMIT_PER_ADDRESS": "20/minute;200/hour", "LIMIT_PER_IP": "500/hour"}
"""What the demo has otherwise than a service: past issues to look at, and room to try everything twice."""


@click.command()
@click.option("--bind", metavar="HOST:PORT", default="127.0.0.1:8000", show_default=True, help="Where to listen.")
@click.pass_obj
def demo(program: Program, bind: str) -> None:
    """Load sample articles and readers, send them a digest into the local mailbox, and serve the site."""
    if os.environ.get("NEWSLETTER_ENV") == "production":
        raise click.ClickException("The demo is not for production.")
    host, _, port = bind.rpartition(":")
    if not (host and port.isdigit()):
        raise click.UsageError("--bind takes HOST:PORT, such as 127.0.0.1:8000.")
    _refuse_taken(host.strip("[]"), int(port))
    stand_in = _configure(bind)
    if program.settings.mailbox_dir is None:
        raise click.ClickException("The demo is for development without a mail server: unset MAIL_SERVER first.")
    parts = program.parts
    _load(parts, with_customers=stand_in is not None)
    _send(parts)
    click.echo(f"\nThe site:     http://{bind}/\nThe mailbox:  http://{bind}/mailbox/")
    if stand_in is not None:
        click.echo(f"Payments:     {stand_in.url}/ (a stand-in for Stripe: no money moves)")
        stand_in.start(service_url=f"http://{bind}")
    click.echo("Ctrl-C ends it.\n")
    run_gunicorn(["--bind", bind])


def _refuse_taken(host: str, port: int) -> None:
    try:
        refuse_taken(host, port)
    except SystemExit as taken:
        another = f"--bind {host}:{port + 1}"
        raise click.ClickException(f'{taken} Try another port: make demo ARGS="{another}".') from None


def _configure(bind: str) -> StandIn | None:
    """What the environment leaves open. Whoever has a key of Stripe's set gets the real Stripe, and no stand-in."""
    os.environ.setdefault("PUBLIC_URL", f"http://{bind}")  # So that links in mails lead to where this listens.
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    if os.environ.get("STRIPE_SECRET_KEY", "").strip():
        return None
    stand_in = StandIn()
    stand_in.configure()
    return stand_in


def _load(parts: Parts, *, with_customers: bool) -> None:
    """What a second time changes nothing: tables, articles and readers."""
    migrations.upgrade(parts.database)
    now = utcnow()
    drafts = importing.read_files(samples.sample_files()).drafts
    with parts.database.transaction() as session:
        newsletters.ensure_default(session, words=parts.words, now=now)
        briefing = newsletters.get(session, newsletters.DEFAULT_SLUG)
        store.add(session, drafts, newsletter_id=briefing.id, base_url=parts.settings.public_url, now=now)
        for email, name in READERS:
            reader = people.find_or_add(session, addresses.parse(email), now=now)
            if not reader.is_known:
                reader.name, reader.confirmed_at = name, now
                subscriptions.confirm(session, reader.id, [briefing.id], now=now)
            if with_customers and customers.customer_of(session, reader.id) is None:
                customers.link(session, reader.id, f"cus_demo_{token_hex(8)}", now=now)


def _send(parts: Parts) -> None:
    press = parts.press
    with parts.database.transaction() as session:
        briefing = newsletters.get(session, newsletters.DEFAULT_SLUG)
        run = runs.send_now(session, briefing, tz=parts.settings.timezone, press=press, now=utcnow())
    if run.digest_id is None:
        click.echo("The sample digest was sent before.")
        return
    with display(quiet=False) as show:
        send_and_wait(parts, run.digest_id, show=show)
