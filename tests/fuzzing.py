"""What must hold whatever was sent: nothing breaks, nothing is said about the inside, a refusal leaves no trace."""

import json
import re

from sqlalchemy import func, select

from newsletter_svc.auth.asking import Kind
from newsletter_svc.auth.models import BrowserSession, MagicLink
from newsletter_svc.db import Base, Database
from newsletter_svc.delivery.models import Delivery, Status
from newsletter_svc.subscribers import addresses
from newsletter_svc.subscribers.models import Newsletter, Subscriber, Subscription

KEPT: tuple[type[Base], ...] = (Subscriber, Subscription, Newsletter, MagicLink, BrowserSession, Delivery)
INSIDE = re.compile(
    rb"Traceback|site-packages|\.py\b|newsletter_svc|sqlalchemy|sqlite3|psycopg|werkzeug|pydantic"
    rb"|\b[A-Z]\w+(?:Error|Exception|Warning)\b"
)
"""What only somebody who knows the code could mean: modules, files, classes of errors."""
PROBLEM_FIELDS = {"type", "title", "status", "detail", "code"}


def census(database: Database) -> dict[str, int]:
    """How many rows there are of everything that a request can make."""
    with database.reading() as session:
        return {table.__tablename__: session.scalars(select(func.count()).select_from(table)).one() for table in KEPT}


def check_books(database: Database) -> None:
    """Every mail that is owed belongs to one link and goes to its subscriber, whose address is one we write to.

    Those to somebody who was erased are nobody's any more, and owed no more.
    """
    with database.reading() as session:
        links = session.scalars(select(MagicLink)).all()
        of_links = session.scalars(select(Delivery).where(Delivery.kind.in_(list(Kind)))).all()
        deliveries = {delivery.subject_id: delivery for delivery in of_links if delivery.recipient}
        erased = [delivery for delivery in of_links if not delivery.recipient]
        assert len(links) == len(deliveries) == len(of_links) - len(erased)
        assert not any(delivery.subscriber_id or delivery.status == Status.PENDING for delivery in erased)
        for link in links:
            subscriber = session.get_one(Subscriber, link.subscriber_id)
            assert deliveries[link.id].recipient == subscriber.email
            assert addresses.parse(subscriber.email).key == subscriber.email_key


def check_answer(status: int, headers: dict[str, str], body: bytes, *, for_program: bool) -> None:
    """Assert that an answer is no accident, and a problem in JSON where JSON was asked for."""
    assert 200 <= status < 500 or status == 503, (status, body[:500])
    assert not INSIDE.search(body), body[:2000]
    kind = headers.get("content-type", "").partition(";")[0]
    if status >= 400 and body and for_program:
        assert kind == "application/problem+json", (status, kind, body[:200])
    if body and kind == "application/problem+json":
        problem = json.loads(body)
        assert problem.keys() >= PROBLEM_FIELDS
        assert problem["status"] == status
