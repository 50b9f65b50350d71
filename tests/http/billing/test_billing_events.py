"""What Stripe tells by itself: events signed and forged, early and late, twice and in any order."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from newsletter_svc.app import create_app
from newsletter_svc.billing import customers
from newsletter_svc.billing.models import HeardEvent
from newsletter_svc.demo.stand_in.account import Object
from newsletter_svc.demo.stand_in.events import event
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import people
from newsletter_svc.subscribers.addresses import parse
from newsletter_svc.web.state import EXTENSION
from tests.billing import NOT_UPDATED, UPDATED, come_back, press, session_of
from tests.doors import AS_PROGRAM
from tests.fakes.stripe import Fault, StripeStandIn, signature
from tests.inbox import Inbox

COMPLETED = "checkout.session.completed"


def tell(client: FlaskClient, payload: bytes, *, header: str | None = None) -> TestResponse:
    """Send an event, from where no reader is signed in."""
    signed = signature(payload) if header is None else header
    stripe = client.application.test_client()
    return stripe.post(
        "/webhooks/stripe", data=payload, headers={"Stripe-Signature": signed, "Content-Type": "application/json"}
    )


def completed(stripe: StripeStandIn, url: str, *, event_id: str | None = None) -> bytes:
    return event(COMPLETED, stripe.account.sessions[session_of(url)], event_id=event_id)


def heard(parts: Parts) -> int:
    with parts.database.reading() as session:
        return session.scalar(select(func.count()).select_from(HeardEvent)) or 0


def billing_mails(inbox: Inbox) -> int:
    return sum(mail.subject == "Your billing info has been updated" for mail in inbox.all())


def customer_of(parts: Parts, email: str = "ada@example.org") -> str | None:
    with parts.database.reading() as session:
        person = people.find(session, parse(email))
        assert person is not None
        return customers.customer_of(session, person.id)


def public_id(parts: Parts, email: str = "ada@example.org") -> str:
    with parts.database.reading() as session:
        person = people.find(session, parse(email))
        assert person is not None
        return person.public_id


# A card.


def test_the_event_alone_is_enough_for_who_closes_the_page_too_early(
    reader: FlaskClient, stripe: StripeStandIn, customer: str, inbox: Inbox
) -> None:
    stripe.account.add_subscription(customer)
    url = press(reader)
    card = stripe.account.enter_card(session_of(url))
    answer = tell(reader, completed(stripe, url))
    assert (answer.status_code, answer.json) == (200, {"received": True})
    assert stripe.account.cards(customer) == {card}
    assert billing_mails(inbox) == 1


@pytest.mark.parametrize("event_first", [True, False])
def test_event_and_reader_may_come_in_either_order_and_have_one_effect(
    reader: FlaskClient, stripe: StripeStandIn, customer: str, inbox: Inbox, event_first: bool
) -> None:
    url = press(reader)
    card = stripe.account.enter_card(session_of(url))
    payload = completed(stripe, url)
    if event_first:
        assert tell(reader, payload).status_code == 200
    assert come_back(reader, stripe, url, headers=AS_PROGRAM).json == UPDATED
    assert tell(reader, payload).status_code == 200
    assert stripe.account.cards(customer) == {card}
    assert billing_mails(inbox) == 1
    assert len(stripe.keys(f"/v1/customers/{customer}")) == 1


def test_event_and_reader_at_the_same_moment_have_one_effect(
    reader: FlaskClient, stripe: StripeStandIn, customer: str, inbox: Inbox
) -> None:
    url = press(reader)
    card = stripe.account.enter_card(session_of(url))
    payload, answers = completed(stripe, url), []
    stripe.meanwhile(lambda: answers.append(tell(reader, payload).status_code), at="/v1/customers")
    assert come_back(reader, stripe, url, headers=AS_PROGRAM).json == UPDATED
    assert answers == [200]
    assert stripe.account.cards(customer) == {card}
    assert billing_mails(inbox) == 1


def test_an_event_that_comes_twice_is_acted_on_once(
    reader: FlaskClient, stripe: StripeStandIn, customer: str, parts: Parts
) -> None:
    url = press(reader)
    stripe.account.enter_card(session_of(url))
    payload = completed(stripe, url)
    tell(reader, payload)
    asked = len(stripe.asked)
    assert tell(reader, payload).status_code == 200
    assert len(stripe.asked) == asked
    assert heard(parts) == 1


def test_an_event_may_come_before_the_answer_that_names_its_session(
    reader: FlaskClient, stripe: StripeStandIn, customer: str, inbox: Inbox
) -> None:
    cards: list[str] = []

    def finish_at_once() -> None:
        [session] = stripe.account.sessions.values()
        cards.append(stripe.account.enter_card(session["id"]))
        session["url"] = "https://checkout.example/early"
        assert tell(reader, event(COMPLETED, session)).status_code == 200

    stripe.meanwhile(finish_at_once, at="/v1/checkout")
    assert press(reader) == "https://checkout.example/early"
    assert stripe.account.cards(customer) == set(cards)
    assert billing_mails(inbox) == 1


def test_events_of_two_presses_in_the_wrong_order_leave_the_later_card(
    reader: FlaskClient, stripe: StripeStandIn, customer: str, inbox: Inbox
) -> None:
    urls = [press(reader), press(reader)]
    _, later = [stripe.account.enter_card(session_of(url)) for url in urls]
    for url in reversed(urls):
        assert tell(reader, completed(stripe, url)).status_code == 200
    assert stripe.account.cards(customer) == {later}
    assert billing_mails(inbox) == 1


def test_a_card_that_the_bank_agrees_to_later_is_used_then(
    reader: FlaskClient, stripe: StripeStandIn, customer: str
) -> None:
    url = press(reader)
    card = stripe.account.enter_card(session_of(url), status="processing")
    assert tell(reader, completed(stripe, url)).status_code == 200
    assert stripe.account.cards(customer) == {"pm_old"}
    [intent] = stripe.account.intents.values()
    intent["status"] = "succeeded"
    assert tell(reader, event("setup_intent.succeeded", intent)).status_code == 200
    assert stripe.account.cards(customer) == {card}


def test_what_an_event_claims_of_its_object_counts_for_nothing(
    reader: FlaskClient, stripe: StripeStandIn, customer: str
) -> None:
    url = press(reader)
    claimed = stripe.account.sessions[session_of(url)] | {"status": "complete"}
    assert tell(reader, event(COMPLETED, claimed)).status_code == 200
    assert stripe.account.cards(customer) == {"pm_old"}
    assert come_back(reader, stripe, url, headers=AS_PROGRAM).json == NOT_UPDATED


def test_the_session_of_another_customer_changes_nobodys_card(
    reader: FlaskClient, stripe: StripeStandIn, customer: str
) -> None:
    mine, other = press(reader), stripe.account.add_customer()
    session = stripe.account.create_session(
        {"mode": "setup", "customer": other, "currency": "eur", "success_url": "x", "cancel_url": "x"}
    )
    session["metadata"] = stripe.account.sessions[session_of(mine)]["metadata"]
    stripe.account.enter_card(session["id"])
    assert tell(reader, event(COMPLETED, session)).status_code == 200
    assert stripe.account.cards(customer) == stripe.account.cards(other) == {"pm_old"}


@pytest.mark.usefixtures("customer")
def test_an_event_that_outlives_its_reader_is_heard_and_forgotten(
    reader: FlaskClient, stripe: StripeStandIn, parts: Parts
) -> None:
    url = press(reader)
    stripe.account.enter_card(session_of(url))
    with parts.database.transaction() as session:
        session.delete(people.find(session, parse("ada@example.org")))
    assert tell(reader, completed(stripe, url)).status_code == 200


@pytest.mark.parametrize(
    "faults", [[Fault.TOO_MANY], [Fault.BROKEN] * 3, [Fault.DROPPED] * 3], ids=lambda each: str(each[0])
)
@pytest.mark.parametrize("at", ["/v1/checkout", "/v1/subscriptions", "/v1/customers"])
def test_while_stripe_is_down_an_event_is_not_heard_and_is_whole_when_it_comes_again(
    reader: FlaskClient,
    stripe: StripeStandIn,
    customer: str,
    parts: Parts,
    inbox: Inbox,
    faults: list[Fault],
    at: str,
) -> None:
    stripe.account.add_subscription(customer)
    url = press(reader)
    card = stripe.account.enter_card(session_of(url))
    payload = completed(stripe, url)
    stripe.fail(*faults, at=at)
    assert tell(reader, payload).status_code == 503
    assert (heard(parts), billing_mails(inbox)) == (0, 0)
    assert tell(reader, payload).status_code == 200
    assert stripe.account.cards(customer) == {card}
    assert (heard(parts), billing_mails(inbox)) == (1, 1)


# Who is whom.


def test_a_customer_whom_the_shop_made_for_a_reader_is_linked(
    reader: FlaskClient, stripe: StripeStandIn, parts: Parts
) -> None:
    mine = stripe.account.add_customer(newsletter_subscriber=public_id(parts))
    assert tell(reader, event("customer.created", stripe.account.customers[mine])).status_code == 200
    assert customer_of(parts) == mine
    assert session_of(press(reader)) in stripe.account.sessions


def test_a_checkout_of_the_shop_links_its_customer(reader: FlaskClient, stripe: StripeStandIn, parts: Parts) -> None:
    mine = stripe.account.add_customer()
    bought: Object = {
        "id": "cs_test_bought",
        "object": "checkout.session",
        "mode": "subscription",
        "status": "complete",
        "customer": mine,
        "metadata": {"newsletter_subscriber": public_id(parts)},
    }
    stripe.account.sessions["cs_test_bought"] = bought
    assert tell(reader, event(COMPLETED, bought)).status_code == 200
    assert customer_of(parts) == mine


def test_an_event_never_changes_a_link_that_there_is(
    reader: FlaskClient, stripe: StripeStandIn, customer: str, parts: Parts
) -> None:
    other = stripe.account.add_customer(newsletter_subscriber=public_id(parts))
    assert tell(reader, event("customer.updated", stripe.account.customers[other])).status_code == 200
    assert customer_of(parts) == customer


@pytest.mark.parametrize("kind", ["customer.created", "customer.updated"])
def test_a_customer_of_nobody_and_one_who_is_gone_are_linked_to_nobody(
    reader: FlaskClient, stripe: StripeStandIn, parts: Parts, kind: str
) -> None:
    stranger = stripe.account.add_customer(newsletter_subscriber="0" * 32)
    gone = {"id": "cus_gone", "metadata": {"newsletter_subscriber": public_id(parts)}}
    deleted = stripe.account.add_customer(newsletter_subscriber=public_id(parts))
    stripe.account.customers[deleted]["deleted"] = True
    for subject in (stripe.account.customers[stranger], gone, stripe.account.customers[deleted]):
        assert tell(reader, event(kind, subject)).status_code == 200
    assert customer_of(parts) is None


# What is not an event.


def test_events_that_mean_nothing_here_are_heard(reader: FlaskClient, stripe: StripeStandIn) -> None:
    for kind, subject in (("invoice.paid", {"id": "in_1"}), ("balance.available", {"object": "balance"})):
        assert tell(reader, event(kind, subject)).status_code == 200
    assert stripe.asked == []


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=1,v1=",
        "v1=00",
        "t=now,v1=00",
        "t=,v1=00",
        "t=9e9,v1=00",
        f"t={'9' * 400},v1=00",
        "t=1795510800,v1=é",
        ",=,=,",
        "t=1795510800,v0=00",
    ],
)
def test_an_unsigned_event_is_refused(reader: FlaskClient, stripe: StripeStandIn, parts: Parts, header: str) -> None:
    answer = tell(reader, event("customer.created", {"id": "cus_x"}), header=header)
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
    assert answer.json["code"] == "bad_event"  # type: ignore[index]
    assert (stripe.asked, heard(parts)) == ([], 0)


def test_an_event_is_refused_when_its_bytes_its_secret_or_its_time_are_not_right(
    reader: FlaskClient, parts: Parts
) -> None:
    payload = event("customer.created", {"id": "cus_x"})
    for header, body in (
        (signature(payload), payload.replace(b"cus_x", b"cus_y")),
        (signature(payload, secret="whsec_of_somebody_else"), payload),
        (signature(payload, seconds=-310), payload),
        (signature(payload, seconds=310), payload),
    ):
        assert tell(reader, body, header=header).status_code == 400
    assert heard(parts) == 0


def test_one_good_signature_among_several_is_enough(reader: FlaskClient) -> None:
    """While the secret is being changed Stripe signs with both."""
    payload = event("invoice.paid", {"id": "in_1"})
    at, good, _ = signature(payload).split(",")
    assert tell(reader, payload, header=f"{at},v1={'0' * 64},{good}").status_code == 200


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", b"null", b"[]", b"{}", b"\xff", b"[" * 50_000),
        b'{"id":"evt_1","type":"x","data":{"object":[]}}',
        b'{"id":"\\u0000","type":"x","data":{"object":{}}}',
        b'{"id":7,"type":"x","data":{"object":{}}}',
    ],
    ids=range(9),
)
def test_a_signed_body_that_is_no_event_is_refused(reader: FlaskClient, payload: bytes) -> None:
    assert tell(reader, payload).status_code == 400


def test_an_event_may_be_larger_than_a_form_but_not_endless(reader: FlaskClient) -> None:
    large = event("invoice.paid", {"id": "in_1", "lines": "x" * 900_000})
    assert tell(reader, large).status_code == 200
    assert tell(reader, event("invoice.paid", {"id": "in_1", "lines": "x" * 1_100_000})).status_code == 413


@pytest.mark.parametrize(("missing", "keeps"), [("STRIPE_WEBHOOK_SECRET", True), ("STRIPE_SECRET_KEY", False)])
def test_without_its_secret_the_door_says_what_to_set(settings: Settings, missing: str, keeps: bool) -> None:
    key = settings.stripe_secret_key if keeps else None
    app = create_app(replace(settings, stripe_secret_key=key, stripe_webhook_secret=None))
    answer = app.test_client().post("/webhooks/stripe", data=b"{}")
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
    assert missing in answer.json["detail"]  # type: ignore[index]
    app.extensions[EXTENSION].database.dispose()


def test_the_event_is_heard_although_the_clock_of_stripe_is_four_minutes_off(reader: FlaskClient) -> None:
    payload = event("invoice.paid", {"id": "in_1"})
    for seconds in (-240, 240):
        assert tell(reader, payload, header=signature(payload, seconds=seconds)).status_code == 200
