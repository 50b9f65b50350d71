"""Subscribing once more, in whatever state the address is: always the same answer, the right mail, the right end."""

from enum import StrEnum

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from newsletter_svc.clock import utcnow
from newsletter_svc.delivery import bounces
from newsletter_svc.delivery.bounces import Source
from newsletter_svc.delivery.models import BounceKind, Delivery, Status, Suppression
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import erasing, newsletters, people, subscriptions
from newsletter_svc.subscribers.addresses import parse
from tests.doors import AS_PROGRAM, ask, link_for, stranger_to
from tests.factories import make_reader, owe_issue
from tests.inbox import Inbox

ADA = "ada@example.org"


class State(StrEnum):
    """How the address stands before it is typed into the form."""

    NEW = "new"
    PENDING = "pending"
    ACCOUNT = "account"
    SUBSCRIBED = "subscribed"
    ELSEWHERE = "elsewhere"
    LEFT = "left"
    HARD_BOUNCED = "hard_bounced"
    LEFT_AND_BOUNCED = "left_and_bounced"
    COMPLAINED = "complained"
    ERASED = "erased"


def bring_about(state: State, client: FlaskClient, parts: Parts, inbox: Inbox) -> None:
    """By the front door where there is one."""
    match state:
        case State.NEW:
            return
        case State.PENDING:
            ask(client, "/subscribe", ADA)
            return
        case State.ACCOUNT:
            client.post(link_for(client, inbox, "/signup", ADA), headers=AS_PROGRAM)
            return
    with parts.database.transaction() as session:
        if state is State.ELSEWHERE:
            newsletters.add(session, "world", title="World", now=utcnow())
        reader = make_reader(session, ADA, now=utcnow(), slug="world" if state is State.ELSEWHERE else "briefing")
        if state in (State.LEFT, State.LEFT_AND_BOUNCED):
            subscriptions.leave(session, reader.id, 1, now=utcnow())
        if state is State.ERASED:
            erasing.erase(session, reader.id, by=erasing.By.READER, keyring=parts.keyring, now=utcnow())
    kinds = {
        State.HARD_BOUNCED: BounceKind.HARD,
        State.LEFT_AND_BOUNCED: BounceKind.HARD,
        State.COMPLAINED: BounceKind.COMPLAINT,
    }
    if state in kinds:
        came_back = bounces.of_delivery(4711, ADA, kind=kinds[state], status="5.1.1", source=Source.DSN, at=utcnow())
        with parts.database.transaction() as session:
            bounces.take(session, came_back, complained=parts.complained, now=utcnow())


def kinds_owed(parts: Parts) -> list[str]:
    with parts.database.reading() as session:
        return list(session.scalars(select(Delivery.kind).order_by(Delivery.id)))


@pytest.mark.parametrize(
    ("state", "kind", "said"),
    [
        (State.NEW, "confirm_subscription", "subscribed"),
        (State.PENDING, "confirm_subscription", "subscribed"),
        (State.ACCOUNT, "confirm_subscription", "subscribed"),
        (State.SUBSCRIBED, "already_subscribed", "signed_in"),
        (State.ELSEWHERE, "confirm_subscription", "subscribed"),
        (State.LEFT, "confirm_subscription", "subscribed"),
        (State.HARD_BOUNCED, "already_subscribed", "signed_in"),
        (State.LEFT_AND_BOUNCED, "confirm_subscription", "subscribed"),
        (State.COMPLAINED, "confirm_subscription", "subscribed"),
        (State.ERASED, "confirm_subscription", "subscribed"),
    ],
)
def test_every_state_gets_the_same_answer_its_own_mail_and_the_next_issue(
    client: FlaskClient, parts: Parts, inbox: Inbox, state: State, kind: str, said: str
) -> None:
    bring_about(state, stranger_to(client), parts, inbox)
    before = len(inbox.all())

    answer = ask(client, "/subscribe", ADA).get_json()

    assert {name: answer[name] for name in ("code", "message")} == {
        "code": "check_email",
        "message": "Success! Check your email for magic link to sign-in.",
    }
    assert kinds_owed(parts)[-1] == kind
    mails = inbox.all()
    assert len(mails) == before + 1
    assert client.post(mails[-1].link, headers=AS_PROGRAM).get_json()["code"] == said
    with parts.database.reading() as session:
        reader = people.find(session, parse(ADA))
        assert reader is not None
        assert 1 in subscriptions.confirmed_ids(session, reader.id)
        assert session.scalars(select(Suppression)).all() == []
    owe_issue(parts)
    assert "The quiet budget" in inbox.newest().subject


def test_a_mailbox_that_was_not_there_gets_one_mail_a_day_and_the_answer_stays_the_same(
    client: FlaskClient, parts: Parts, inbox: Inbox
) -> None:
    bring_about(State.HARD_BOUNCED, client, parts, inbox)
    said = {ask(stranger_to(client), "/subscribe", ADA).get_json()["message"] for _ in range(3)}
    assert len(said) == 1
    assert len(inbox.all()) == 1
    with parts.database.reading() as session:
        assert [*session.scalars(select(Delivery.status))].count(Status.SUPPRESSED) == 2
