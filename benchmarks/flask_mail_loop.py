"""The yardstick: what most people run. For each reader both templates are rendered and Flask-Mail sends the result.

It is given every advantage: one connection that is kept, templates compiled once, styles left in the head, no ledger.
"""

from collections.abc import Mapping
from typing import Any

import flask_mail
from flask import Flask

from benchmarks import machine, readers
from benchmarks.sinks import Sink
from benchmarks.ways import Speed
from newsletter_svc.articles import store
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.digests import content
from newsletter_svc.digests.calendar import Frequency
from newsletter_svc.mail.compose import Composer
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import newsletters


class FlaskMailLoop:
    """An issue whose mails have `size` octets, made of the articles that `readers.drafts` writes."""

    def __init__(self, settings: Settings, *, size: int) -> None:
        self._app = Flask(__name__)
        self._app.config["MAIL_DEFAULT_SENDER"] = settings.mail_default_sender
        self._settings = settings
        self._composer = Composer(settings)
        # The composer's templates without its inlining of styles, which a loop would hardly do for each reader.
        environment = self._composer._environment
        self._parts = [environment.get_template(f"digest/{name}") for name in ("subject.txt", "body.txt", "body.html")]
        self._context: Mapping[str, Any] = {}
        flask_mail.Mail(self._app)
        self._measure(readers.paragraphs_for(size, self._measure))

    def run(self, sink: Sink, count: int) -> Speed:
        """Send to so many readers."""
        self._app.config.update(MAIL_SERVER="127.0.0.1", MAIL_PORT=sink.port)
        mail = flask_mail.Mail(self._app)
        with machine.cost(of_children=False) as cost, self._app.app_context(), mail.connect() as connection:
            for number in range(count):
                connection.send(self._message(number))
        return Speed.of(count, cost)

    def _message(self, number: int) -> flask_mail.Message:
        own = {
            f"{door}_url": f"https://news.example.org/{door}/{number:086d}" for door in ("unsubscribe", "preferences")
        }
        words = {**self._context, **own}
        subject = self._parts[0].render(words).strip()
        text, html = (part.render({**words, "subject": subject}) for part in self._parts[1:])
        return flask_mail.Message(subject, [f"reader{number}@example.org"], body=text, html=html)

    def _measure(self, paragraphs: int) -> int:
        """Take an issue of so many paragraphs; its size is that of a mail made of it."""
        self._context = _context(self._settings, paragraphs)
        with self._app.app_context():
            return len(self._message(0).as_bytes())


def _context(settings: Settings, paragraphs: int) -> Mapping[str, Any]:
    """What the templates print of an issue with so many paragraphs; nothing is stored."""
    database, now = Database(settings.database_url), utcnow()
    with database.reading() as session:
        newsletter = newsletters.get(session, newsletters.DEFAULT_SLUG)
        drafts, address = readers.drafts(paragraphs), settings.public_url
        stored = store.add(session, drafts, newsletter_id=newsletter.id, base_url=address, now=now)
        entries = [content.entry_of(each.article, tz=settings.timezone) for each in stored]
    database.dispose()
    web_url = f"{address}/digests/0123456789abcdef01234567"
    return content.issue_context(
        entries, newsletter="Briefing", day=now.date(), frequency=Frequency.BY_HAND, web_url=web_url
    )
