"""The account page: who is signed in, what they get, and the way to billing that fits them."""

import re

import pytest
from flask.testing import FlaskClient

from newsletter_svc.billing import customers
from newsletter_svc.demo.stand_in.counter import Counter
from newsletter_svc.demo.stand_in.events import event
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import people
from newsletter_svc.subscribers.addresses import parse
from tests.fakes.stripe import StripeStandIn, signature
from tests.markup import assert_sound


def test_nobody_is_led_to_the_door_with_the_sentence_that_came_along(client: FlaskClient) -> None:
    answer = client.get("/account?stripe=billing-update-cancel")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/sign-in?stripe=billing-update-cancel"
    assert "Your billing was not updated." in client.get(answer.headers["Location"]).text


@pytest.mark.usefixtures("customer")
def test_a_customer_finds_the_button_and_that_no_money_moves(reader: FlaskClient) -> None:
    page = reader.get("/account").text
    assert_sound(page)
    assert ">Update billing</button>" in page
    assert "no money moves" in page
    assert "Pretend to pay" not in page


def test_who_has_never_paid_becomes_a_customer_in_the_shop(
    reader: FlaskClient, stripe: StripeStandIn, parts: Parts
) -> None:
    page = reader.get("/account").text
    assert_sound(page)
    assert "Update billing" not in page
    assert f'action="{stripe.url}/shop"' in page
    subscriber = re.findall(r'name="subscriber" value="([^"]+)"', page)[0]
    sold = Counter(stripe.account, shop_url="/account").take("/shop", {"subscriber": subscriber})
    assert sold.location == "/account"
    [customer_id] = stripe.account.customers
    told = event("customer.created", stripe.account.customers[customer_id])
    assert reader.post("/webhooks/stripe", data=told, headers={"Stripe-Signature": signature(told)}).status_code == 200
    with parts.database.reading() as session:
        person = people.find(session, parse("ada@example.org"))
        assert person is not None
        assert customers.customer_of(session, person.id) == customer_id
    assert ">Update billing</button>" in reader.get("/account").text


def test_a_payment_page_is_good_for_one_card(stripe: StripeStandIn) -> None:
    account, counter = stripe.account, Counter(stripe.account)
    wanted = {"mode": "setup", "currency": "eur", "customer": account.add_customer(), "metadata": {}}
    session = account.create_session(wanted | {"success_url": "/done", "cancel_url": "/kept"})
    path = f"/pay/{session['id']}"
    assert "No card is asked for, and no money moves." in counter.show(path).html
    assert counter.take(path, {}).location == "/done"
    assert counter.take(path, {}).status == 404
    assert "was saved on this page before" in counter.show(path).html
    assert counter.show("/pay/unknown").status == 404
