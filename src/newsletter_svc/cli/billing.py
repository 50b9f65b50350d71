"""`newsletter billing`: which subscriber is which customer at Stripe."""

import re

import click

from newsletter_svc import audit
from newsletter_svc.audit import Event
from newsletter_svc.billing import customers
from newsletter_svc.billing.failures import NotAtStripe, StripeRefused, StripeUnavailable
from newsletter_svc.billing.gateway import Gateway
from newsletter_svc.cli.program import with_parts
from newsletter_svc.clock import utcnow
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import addresses, people

_CUSTOMER = re.compile(r"cus_[A-Za-z0-9_]{1,200}")


@click.group()
def billing() -> None:
    """Look after payment details."""


@billing.command()
@click.argument("email")
@click.argument("customer")
@with_parts
def link(parts: Parts, email: str, customer: str) -> None:
    """Say that the subscriber EMAIL is the Stripe customer CUSTOMER (cus_...), in the place of any other."""
    if not _CUSTOMER.fullmatch(customer):
        raise click.UsageError(f"{customer!r} is not a customer's id such as cus_NffrFeUfNV2Hib.")
    address = addresses.parse(email)
    if parts.stripe is not None:
        _check(parts.stripe, customer)
    with parts.database.transaction() as session:
        subscriber = people.find(session, address)
        if subscriber is None:
            raise click.ClickException(f"There is no subscriber {address.text}.")
        before = customers.link(session, subscriber.id, customer, now=utcnow())
        if before != customer:
            audit.record(session, Event.BILLING_LINKED, reason="operator", subscriber_id=subscriber.id, now=utcnow())
    was = f" (before: {before})" if before not in (None, customer) else ""
    click.echo(f"{address.text} is {customer}{was}.")
    if parts.stripe is None:
        click.echo("Whether Stripe has this customer was not checked: STRIPE_SECRET_KEY is not set.", err=True)


def _check(stripe: Gateway, customer: str) -> None:
    """Whether Stripe has this customer under our key."""
    try:
        is_deleted = stripe.customer(customer).is_deleted
    except NotAtStripe:
        is_deleted = True
    except StripeUnavailable as error:
        raise click.ClickException("Stripe does not answer. Nothing was changed: try again.") from error
    except StripeRefused as error:
        raise click.ClickException(f"Stripe refuses STRIPE_SECRET_KEY ({error}). Nothing was changed.") from error
    if is_deleted:
        raise click.ClickException(f"Stripe has no customer {customer} under STRIPE_SECRET_KEY. Nothing was changed.")
