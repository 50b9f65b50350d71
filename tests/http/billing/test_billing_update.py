"""Updating payment details, against a stand-in for Stripe over HTTP: the way there and the way back."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from newsletter_svc.alerts import Alert, Cause
from newsletter_svc.app import create_app
from newsletter_svc.billing import customers, updates
from newsletter_svc.billing.models import BillingUpdate, Customer
from newsletter_svc.clock import utcnow
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.subscribers import people
from newsletter_svc.subscribers.addresses import parse
from newsletter_svc.web.state import EXTENSION
from tests.billing import NOT_UPDATED, UPDATED, come_back, press, session_of
from tests.doors import AS_PROGRAM, FOREIGN, csrf_of, sign_in, stranger_to
from tests.fakes.stripe import Fault, StripeStandIn
from tests.inbox import Inbox

MAIL = "Your billing info has been updated"


def mails(inbox: Inbox) -> list[str]:
    return [mail.text for mail in inbox.all() if mail.subject == MAIL]


# There and back.


def test_a_new_card_is_used_for_invoices_and_for_every_living_subscription(
    reader: FlaskClient, stripe: StripeStandIn, customer: str, inbox: Inbox
) -> None:
    living = [stripe.account.add_subscription(customer, status) for status in ("active", "trialing", "past_due")]
    ended = stripe.account.add_subscription(customer, "canceled")
    elsewhere = stripe.account.add_subscription(stripe.account.add_customer())
    url = press(reader, redirect="/account?tab=card")
    card = stripe.account.enter_card(session_of(url))
    answer = come_back(reader, stripe, url)
    assert answer.location == "http://127.0.0.1:8000/account?tab=card&stripe=billing-update-success"
    assert stripe.account.default_card(customer) == card
    cards = {name: each["default_payment_method"] for name, each in stripe.account.subscriptions.items()}
    assert cards == dict.fromkeys(living, card) | {ended: "pm_old", elsewhere: "pm_old"}
    [text] = mails(inbox)
    assert "Your new card was saved on" in text


@pytest.mark.usefixtures("customer")
def test_who_asks_for_json_gets_the_sentence(reader: FlaskClient, stripe: StripeStandIn) -> None:
    url = press(reader)
    assert come_back(reader, stripe, url, headers=AS_PROGRAM).json == NOT_UPDATED
    stripe.account.enter_card(session_of(url))
    assert come_back(reader, stripe, url, headers=AS_PROGRAM).json == UPDATED


@pytest.mark.usefixtures("customer")
def test_a_form_goes_to_the_payment_page_by_itself(reader: FlaskClient, stripe: StripeStandIn) -> None:
    field = csrf_of(reader.get("/"))
    answer = reader.post("/billing/update", data={"csrf": field, "redirect": "/account"})
    assert answer.status_code == 303
    assert answer.location.startswith(f"{stripe.url}/pay/cs_test_")


def test_who_cancels_is_told_that_nothing_was_updated(
    reader: FlaskClient, stripe: StripeStandIn, customer: str, inbox: Inbox
) -> None:
    answer = come_back(reader, stripe, press(reader, redirect="/account"))
    assert answer.location == "http://127.0.0.1:8000/account?stripe=billing-update-cancel"
    assert stripe.account.cards(customer) == {"pm_old"}
    assert mails(inbox) == []


@pytest.mark.parametrize("status", ["requires_action", "processing", "canceled"])
def test_a_card_that_the_bank_has_not_agreed_to_is_not_used(
    reader: FlaskClient, stripe: StripeStandIn, customer: str, status: str
) -> None:
    url = press(reader)
    stripe.account.enter_card(session_of(url), status=status)
    assert come_back(reader, stripe, url, headers=AS_PROGRAM).json == NOT_UPDATED
    assert stripe.account.cards(customer) == {"pm_old"}


@pytest.mark.usefixtures("customer")
def test_coming_back_twice_says_the_same_and_mails_once(
    reader: FlaskClient, stripe: StripeStandIn, inbox: Inbox
) -> None:
    url = press(reader)
    stripe.account.enter_card(session_of(url))
    for _ in range(2):
        assert come_back(reader, stripe, url, headers=AS_PROGRAM).json == UPDATED
    assert len(mails(inbox)) == 1


def test_the_later_press_counts_however_late_the_earlier_page_is_finished(
    reader: FlaskClient, stripe: StripeStandIn, customer: str
) -> None:
    earlier, later = press(reader), press(reader)
    card = stripe.account.enter_card(session_of(later))
    assert come_back(reader, stripe, later, headers=AS_PROGRAM).json == UPDATED
    stripe.account.enter_card(session_of(earlier))
    assert come_back(reader, stripe, earlier, headers=AS_PROGRAM).json == NOT_UPDATED
    assert stripe.account.cards(customer) == {card}


@pytest.mark.usefixtures("customer")
def test_a_foreign_return_address_becomes_the_front_page(reader: FlaskClient, stripe: StripeStandIn) -> None:
    url = press(reader, redirect="https://evil.example/account")
    assert come_back(reader, stripe, url).location == "http://127.0.0.1:8000/?stripe=billing-update-cancel"


def test_the_readers_own_data_tell_what_is_on_record_of_billing_and_erasing_takes_it_away(
    reader: FlaskClient, stripe: StripeStandIn, customer: str, parts: Parts
) -> None:
    press(reader)
    url = press(reader)
    stripe.account.enter_card(session_of(url))
    come_back(reader, stripe, url)
    answer = reader.get("/me/export").json
    assert answer is not None
    assert answer["billing"]["customer"] == customer
    assert [each["done_at"] is not None for each in answer["billing"]["updates"]] == [False, True]
    assert reader.delete("/me", json={}).status_code == 204
    with parts.database.reading() as session:
        assert session.scalars(select(BillingUpdate)).all() == session.scalars(select(Customer)).all() == []


# By hand, and by others.


@pytest.mark.parametrize("query", ["", "?update=", "?update=0123456789abcdef0123456789abcdef", "?update=%00'--"])
def test_opening_the_way_back_by_hand_changes_nothing_and_claims_nothing(
    reader: FlaskClient, stripe: StripeStandIn, customer: str, query: str
) -> None:
    stripe.account.enter_card(session_of(press(reader)))
    asked = len(stripe.asked)
    answer = reader.get(f"/billing/return{query}")
    assert (answer.status_code, answer.location) == (303, "http://127.0.0.1:8000/?stripe=billing-update-cancel")
    assert reader.get(f"/billing/return{query}", headers=AS_PROGRAM).json == NOT_UPDATED
    assert len(stripe.asked) == asked
    assert stripe.account.cards(customer) == {"pm_old"}


def test_another_reader_with_the_address_is_told_of_their_own_billing(
    reader: FlaskClient, stripe: StripeStandIn, customer: str, inbox: Inbox
) -> None:
    url = press(reader)
    stripe.account.enter_card(session_of(url))
    other = stranger_to(reader)
    sign_in(other, inbox, email="eve@example.org")
    assert come_back(other, stripe, url, headers=AS_PROGRAM).json == NOT_UPDATED
    assert stripe.account.cards(customer) == {"pm_old"}


def test_who_has_been_signed_out_meanwhile_is_told_so_and_nothing_else(
    reader: FlaskClient, stripe: StripeStandIn, customer: str
) -> None:
    url = press(reader)
    stripe.account.enter_card(session_of(url))
    answer = come_back(stranger_to(reader), stripe, url)
    assert answer.status_code == 401
    assert "You are signed out in this browser." in answer.text
    assert stripe.account.cards(customer) == {"pm_old"}


def test_the_session_of_another_customer_is_not_taken_for_ones_own(
    reader: FlaskClient, stripe: StripeStandIn, customer: str
) -> None:
    url = press(reader)
    stripe.account.enter_card(session_of(url))
    stripe.account.sessions[session_of(url)]["customer"] = stripe.account.add_customer()
    assert come_back(reader, stripe, url, headers=AS_PROGRAM).json == NOT_UPDATED
    assert stripe.account.cards(customer) == {"pm_old"}


# Who is let in.


def test_nobody_signed_in_is_nobody_to_bill(client: FlaskClient, stripe: StripeStandIn) -> None:
    answer = client.post("/billing/update", json={})
    assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")
    assert stripe.asked == []


@pytest.mark.usefixtures("customer")
def test_a_foreign_page_cannot_press_for_a_reader(reader: FlaskClient, stripe: StripeStandIn) -> None:
    answer = reader.post("/billing/update", data={}, headers=FOREIGN)
    assert answer.status_code == 403
    assert stripe.asked == []


def test_a_reader_who_has_never_paid_is_told_so(client: FlaskClient, inbox: Inbox, stripe: StripeStandIn) -> None:
    sign_in(client, inbox)
    answer = client.post("/billing/update", json={})
    assert (answer.status_code, answer.json["code"]) == (409, "no_customer")  # type: ignore[index]
    assert "There is no payment on record" in answer.json["detail"]  # type: ignore[index]
    assert stripe.asked == []


def test_a_customer_whom_stripe_no_longer_has_is_told_whom_to_ask(
    reader: FlaskClient, stripe: StripeStandIn, customer: str
) -> None:
    del stripe.account.customers[customer]
    answer = reader.post("/billing/update", json={})
    assert (answer.status_code, answer.json["code"]) == (409, "no_customer")  # type: ignore[index]
    assert "Please write to us." in answer.json["detail"]  # type: ignore[index]


@pytest.mark.parametrize(("method", "path"), [("POST", "/billing/update"), ("GET", "/billing/return")])
def test_without_a_key_billing_says_what_to_set(settings: Settings, method: str, path: str) -> None:
    plain = create_app(replace(settings, stripe_secret_key=None, stripe_webhook_secret=None))
    answer = plain.test_client().open(path, method=method, headers=AS_PROGRAM)
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
    assert answer.json["detail"] == "Billing is not set up on this service: set STRIPE_SECRET_KEY."  # type: ignore[index]
    assert int(answer.headers["Retry-After"]) > 0
    plain.extensions[EXTENSION].database.dispose()


@pytest.mark.usefixtures("customer")
def test_who_presses_as_no_person_does_is_told_to_come_back_later(
    reader: FlaskClient, stripe: StripeStandIn, parts: Parts
) -> None:
    for _ in range(updates.MOST):
        press(reader)
    answer = reader.post("/billing/update", json={})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3600")
    assert len(stripe.account.sessions) == updates.MOST
    with parts.database.transaction() as session:
        session.execute(update(BillingUpdate).values(created_at=utcnow() - updates.WINDOW))
    press(reader)


# Faults.


@pytest.mark.usefixtures("customer")
def test_each_press_has_a_key_of_its_own_which_only_its_retries_use_again(
    reader: FlaskClient, stripe: StripeStandIn
) -> None:
    press(reader)
    stripe.fail(Fault.DROPPED, Fault.LOST_ANSWER, at="/v1/checkout")
    press(reader)
    first, *second = stripe.keys("/v1/checkout/sessions")
    assert len(second) == 3
    assert len({first, *second}) == 2
    assert len(stripe.account.sessions) == 2


@pytest.mark.parametrize(
    "faults",
    [[Fault.TOO_MANY], [Fault.BROKEN] * 3, [Fault.DROPPED] * 3, [Fault.NONSENSE]],
    ids=lambda each: str(each[0]),
)
def test_while_stripe_is_down_readers_are_told_to_try_again_and_nothing_has_changed(
    reader: FlaskClient, stripe: StripeStandIn, customer: str, inbox: Inbox, faults: list[Fault]
) -> None:
    stripe.fail(*faults)
    answer = reader.post("/billing/update", json={})
    assert (answer.status_code, answer.json["code"]) == (503, "payment_provider_unavailable")  # type: ignore[index]
    assert int(answer.headers["Retry-After"]) > 0
    url = press(reader)
    card = stripe.account.enter_card(session_of(url))
    stripe.fail(*faults)
    assert come_back(reader, stripe, url).status_code == 503
    assert stripe.account.cards(customer) == {"pm_old"}
    assert mails(inbox) == []
    assert come_back(reader, stripe, url, headers=AS_PROGRAM).json == UPDATED
    assert stripe.account.cards(customer) == {card}


def test_a_card_that_is_in_use_by_half_is_not_called_updated_and_is_made_whole_by_coming_back(
    reader: FlaskClient, stripe: StripeStandIn, customer: str, inbox: Inbox
) -> None:
    for _ in range(3):
        stripe.account.add_subscription(customer)
    url = press(reader)
    card = stripe.account.enter_card(session_of(url))
    stripe.fail(*[Fault.BROKEN] * 3, at="/v1/customers/")
    assert come_back(reader, stripe, url).status_code == 503
    assert mails(inbox) == []
    assert come_back(reader, stripe, url, headers=AS_PROGRAM).json == UPDATED
    assert stripe.account.cards(customer) == {card}
    assert len(mails(inbox)) == 1


def test_a_key_that_stripe_refuses_is_for_the_operator_to_hear_of_and_is_not_quoted(
    settings: Settings, stripe: StripeStandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    app = create_app(replace(settings, stripe_secret_key="sk_test_wrong_hunter2"))
    parts: Parts = app.extensions[EXTENSION]
    client = app.test_client()
    sign_in(client, Inbox(parts))
    with parts.database.transaction() as session:
        person = people.find_or_add(session, parse("ada@example.org"), now=utcnow())
        customers.link(session, person.id, stripe.account.add_customer(), now=utcnow())
    answer = client.post("/billing/update", json={})
    assert answer.status_code == 503
    with parts.database.reading() as session:
        [alert] = session.scalars(select(Alert)).all()
    assert (alert.cause, alert.detail) == (Cause.STRIPE_REFUSED, "AuthenticationError 401")
    said = capsys.readouterr()
    assert not any(secret in each for each in (answer.text, said.out, said.err) for secret in ("hunter2", "***4242"))
    parts.database.dispose()
