"""Puts the service together; the only file that knows all others."""

import os
import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from newsletter_svc import logs, samples
from newsletter_svc import settings as settings_module
from newsletter_svc.auth import address_letters, welcoming
from newsletter_svc.auth import letters as auth_letters
from newsletter_svc.auth.address_changes import Kind as AddressKind
from newsletter_svc.auth.asking import Kind
from newsletter_svc.billing import letters as billing_letters
from newsletter_svc.billing.gateway import Gateway
from newsletter_svc.cli import newsletter
from newsletter_svc.cli.program import Program
from newsletter_svc.db import Database
from newsletter_svc.delivery import notices
from newsletter_svc.delivery.bulk import BulkLane
from newsletter_svc.delivery.claims import Claims
from newsletter_svc.delivery.ledger import StillWanted
from newsletter_svc.delivery.sender import Sender, WriteLetter
from newsletter_svc.digests import content as digest_content
from newsletter_svc.digests import recipients as digest_recipients
from newsletter_svc.digests.letter import DigestLetters
from newsletter_svc.jobs.waking import Wake, Waker
from newsletter_svc.links import Links
from newsletter_svc.mail.bulk.opening import opener
from newsletter_svc.mail.compose import Composer
from newsletter_svc.mail.transport import LateTransport, Transport, choose_signer, choose_transport
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings, SettingsError
from newsletter_svc.subscribers import subscriptions
from newsletter_svc.tokens import Keyring
from newsletter_svc.words import BadWords, Words, shipped

if TYPE_CHECKING:
    from flask import Flask

PUBLIC_BODY_BYTES = 64 * 1024
STATIC_SECONDS = 60 * 60


def create_app(settings: Settings | None = None) -> "Flask":
    """The service as a WSGI application. It starts no thread: senders start after the fork. Raises SettingsError."""
    # A command shows no pages, and to import them takes as long as what it does need.
    from flask import Flask

    from newsletter_svc.mail.flask_face import open_mail
    from newsletter_svc.web import pages
    from newsletter_svc.web.state import EXTENSION

    settings = settings or settings_module.load(os.environ)
    app = Flask("newsletter_svc.web")
    app.config.update(MAX_CONTENT_LENGTH=PUBLIC_BODY_BYTES, MAX_FORM_MEMORY_SIZE=PUBLIC_BODY_BYTES)
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = STATIC_SECONDS
    app.extensions[EXTENSION] = parts = _assemble(settings, open_mail(app, settings))
    # Made here and not at the first request: what is wrong with them stops the start.
    _ = parts.limits, parts.passes
    pages.install(app, settings)
    return app


def _assemble(settings: Settings, mail: Transport) -> Parts:
    database = Database(settings.database_url)
    keyring = Keyring(settings.secret_keys, environment=settings.env)
    links = Links(settings, keyring)
    composer, words = _tried_texts(settings)
    digest_letters = DigestLetters(composer, links, mail_domain=settings.message_domain)
    claims = Claims(database, settings, _still_wanted())
    signer = choose_signer(settings)
    sender = Sender(
        claims=claims,
        transport=mail,
        composer=composer,
        keyring=keyring,
        settings=settings,
        letters=_single_letters(composer, links, keyring),
    )
    bulk = BulkLane(
        claims=claims,
        letters={digest_content.KIND: digest_letters},
        keyring=keyring,
        settings=settings,
        open_engine=opener(settings),
        signer=signer,
    )
    return Parts(
        settings=settings,
        database=database,
        keyring=keyring,
        links=links,
        composer=composer,
        words=words,
        signer=signer,
        mail=mail,
        sender=sender,
        bulk=bulk,
        complained=subscriptions.complained,
        stripe=_stripe(settings),
        wake=_wake(settings),
    )


def _still_wanted() -> dict[str, StillWanted]:
    """Of which kinds it is asked once more, when they are about to be sent."""
    return {
        **dict.fromkeys(Kind, auth_letters.still_wanted),
        **dict.fromkeys(AddressKind, address_letters.still_wanted),
        digest_content.KIND: digest_recipients.still_wanted,
    }


def _single_letters(composer: Composer, links: Links, keyring: Keyring) -> dict[str, WriteLetter]:
    """Who writes which mail that one reader waits for."""
    link_letters = auth_letters.LinkLetters(composer=composer, links=links, keyring=keyring)
    letters_of_moving = address_letters.AddressLetters(composer=composer, links=links, keyring=keyring)
    return {
        **dict.fromkeys(Kind, link_letters),
        **dict.fromkeys(AddressKind, letters_of_moving),
        welcoming.KIND: welcoming.WelcomeLetters(composer, links),
        billing_letters.KIND: billing_letters.BillingLetters(composer),
        notices.KIND: notices.AlertLetters(composer),
    }


def _tried_texts(settings: Settings) -> tuple[Composer, Words]:
    """Templates and words of the operator's own are tried before anything is said with them. Raises SettingsError."""
    composer, words = Composer(settings), shipped()
    problems = composer.problems(samples.samples())
    try:
        words = words.with_those_of(settings.templates_dir)
    except BadWords as error:
        problems += error.problems
    if problems:
        raise SettingsError([f"TEMPLATES_DIR: {problem}" for problem in problems])
    return composer, words


def _without_pages(settings: Settings) -> Parts:
    """The parts of a service that answers no requests."""
    choose_transport(settings)  # What is wrong with it is told at once.

    def open_now() -> Transport:
        # Nor does every command send a mail by itself, which is what Flask is here for.
        from flask import Flask

        from newsletter_svc.mail.flask_face import open_mail

        return open_mail(Flask("newsletter_svc"), settings)

    return _assemble(settings, LateTransport(open_now))


def _stripe(settings: Settings) -> Gateway | None:
    if settings.stripe_secret_key is None:
        return None
    return Gateway(settings.stripe_secret_key, api_base=settings.stripe_api_base)


def _wake(settings: Settings) -> Wake:
    if settings.broker_url is None:
        return Waker(settings.wake_pipe)
    # Celery takes as long to import as all of this service; who has no broker does not wait for it.
    from newsletter_svc.jobs.hints import hint_thread

    return hint_thread(settings.broker_url)


def main() -> None:
    """The `newsletter` command."""
    logs.configure()
    try:
        newsletter(obj=Program(partial(settings_module.load, os.environ), _without_pages))
    except SettingsError as error:
        click.echo("The settings are not right:", err=True)
        for problem in error.problems:
            click.echo(f"  - {problem}", err=True)
        sys.exit(1)
