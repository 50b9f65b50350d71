"""A digest of 2,000 readers: the whole job, beside the loop over Flask-Mail that most people run, into one sink."""

import json
import tempfile
import time
from pathlib import Path

import flask_mail
from flask import Flask

from benchmarks import service, sinks
from newsletter_svc import demo
from newsletter_svc.articles import importing, store
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.digests import editions
from newsletter_svc.digests.content import render_issue
from newsletter_svc.mail.compose import Composer
from newsletter_svc.settings import Settings, load
from newsletter_svc.subscribers import addresses, newsletters, people, subscriptions

READERS = 2_000
LOOP_READERS = 200
"""The loop is slow and steady: a tenth of the readers tell its rate."""


def main() -> None:
    """Print a table: messages a second of each way, and the ratio."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with sinks.running(folder) as port:
            env = service.environment(folder, MAIL_SERVER="127.0.0.1", MAIL_PORT=str(port))
            settings = load(env)
            service.newsletter(env, "db", "upgrade")
            _fill(settings)
            loop = LOOP_READERS / _flask_mail_loop(settings, port)
            started = time.perf_counter()
            report = json.loads(service.newsletter(env, "digest", "send", "--wait", "--json"))
            whole = READERS / (time.perf_counter() - started)
    if report["counts"].get("sent") != READERS:
        raise RuntimeError(f"not everybody was sent the digest: {report['counts']}")
    print(f"\nDigest of {READERS} readers, {report['articles']} articles, SQLite, one sink\n")
    print("| way | messages/s | x Flask-Mail loop |")
    print("| --- | --- | --- |")
    print(f"| Flask-Mail, both templates rendered and inlined for each reader, one connection | {loop:,.0f} | 1.0 |")
    way = "`newsletter digest send --wait`, from its start to the last row marked"
    print(f"| {way} | {whole:,.0f} | {whole / loop:.1f} |")


def _fill(settings: Settings) -> None:
    database, now = Database(settings.database_url), utcnow()
    drafts = importing.read_files(demo.sample_files()).drafts
    with database.transaction() as session:
        briefing = newsletters.get(session, newsletters.DEFAULT_SLUG)
        store.add(session, drafts, newsletter_id=briefing.id, base_url=settings.public_url, now=now)
        for number in range(READERS):
            reader = people.find_or_add(session, addresses.parse(f"reader{number}@example.org"), now=now)
            reader.confirmed_at = now
            subscriptions.confirm(session, reader.id, [briefing.id], now=now)
    database.dispose()


def _flask_mail_loop(settings: Settings, port: int) -> float:
    """Seconds that the loop takes: render the issue for a reader, make the mail, send it, and again."""
    app = Flask(__name__)
    app.config.update(MAIL_SERVER="127.0.0.1", MAIL_PORT=port, MAIL_DEFAULT_SENDER="briefing@example.org")
    mail, composer = flask_mail.Mail(app), Composer(settings)
    database, now = Database(settings.database_url), utcnow()
    with database.transaction() as session:
        briefing = newsletters.get(session, newsletters.DEFAULT_SLUG)
        edition = editions.edition_of(session, briefing.id, tz=settings.timezone, now=now)
        articles = editions.new_articles(session, edition)
    database.dispose()
    started = time.perf_counter()
    with app.app_context(), mail.connect() as connection:
        for number in range(LOOP_READERS):
            issue, _ = render_issue(composer, edition, articles, title=briefing.title, day=now.date())
            rendered = composer.fill(issue, {"unsubscribe_url": f"https://news.example.org/unsubscribe/{number}"})
            message = flask_mail.Message(rendered.subject, recipients=[f"reader{number}@example.org"])
            message.body, message.html = rendered.text, rendered.html
            connection.send(message)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
