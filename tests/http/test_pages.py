"""The small pages that mails lead to: what they say and that they hold under the strict content policy."""

import re
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

from newsletter_svc.clock import utcnow
from newsletter_svc.parts import Parts
from newsletter_svc.subscribers import addresses, newsletters, people, subscriptions
from tests.inbox import Inbox
from tests.markup import assert_sound


@pytest.mark.parametrize(
    ("door", "heading", "button"),
    [
        ("/subscribe", "Confirm your subscription", "Confirm subscription"),
        ("/signup", "Create your account", "Sign up"),
        ("/signin", "Create your account", "Sign up"),
    ],
)
def test_the_page_behind_a_link_says_what_its_button_does(
    client: FlaskClient, inbox: Inbox, door: str, heading: str, button: str
) -> None:
    client.post(door, json={"email": "ada@example.org"})
    page = client.get(inbox.newest().link)
    assert_sound(page.text)
    assert f"<h1>{heading}</h1>" in page.text
    assert f">{button}</button>" in page.text
    assert "ada@example.org" not in page.text
    assert "@example.org" in page.text


def test_only_the_asking_browser_submits_by_itself(client: FlaskClient, inbox: Inbox) -> None:
    client.post("/signin", json={"email": "ada@example.org"})
    link = inbox.newest().link
    assert 'data-auto-submit="true"' in client.get(link).text
    stranger = client.application.test_client()
    assert 'data-auto-submit="false"' in stranger.get(link).text


def test_a_used_link_offers_a_new_one_that_works(client: FlaskClient, inbox: Inbox) -> None:
    client.post("/signin", json={"email": "ada@example.org"})
    link = inbox.newest().link
    client.post(link, json={})
    stranger = client.application.test_client()
    page = stranger.get(link)
    assert page.status_code == 410
    assert_sound(page.text)
    assert "It has been used already." in page.text
    form = re.search(r'action="([^"]+/renew)">\s*<input type="hidden" name="csrf" value="([^"]+)"', page.text)
    assert form is not None
    assert stranger.post(form.group(1), data={"csrf": form.group(2)}).status_code == 202
    fresh = inbox.newest().link
    assert fresh != link
    assert stranger.get(fresh).status_code == 200


def test_a_link_that_was_never_ours_offers_the_front_page(client: FlaskClient) -> None:
    page = client.get("/magic-link/nonsense")
    assert page.status_code == 410
    assert_sound(page.text)
    assert "We do not recognise it." in page.text
    assert "Send me a new link" not in page.text


def test_leaving_is_one_press_and_says_so(client: FlaskClient, parts: Parts) -> None:
    now = utcnow()
    with parts.database.transaction() as session:
        newsletter = newsletters.get(session, newsletters.DEFAULT_SLUG)
        reader = people.find_or_add(session, addresses.parse("ada@example.org"), now=now)
        reader.confirmed_at = now
        subscriptions.confirm(session, reader.id, [newsletter.id], now=now)
        url = parts.links.unsubscribe(subscriber_id=reader.id, newsletter_id=newsletter.id)
    path = urlsplit(url).path
    page = client.get(path).text
    assert_sound(page)
    assert "Unsubscribe from this newsletter?" in page
    assert re.search(f'action="{re.escape(path)}"', page)
    done = client.post(path).text
    assert_sound(done)
    assert "You have unsubscribed" in done


def test_an_error_is_a_page_for_people(client: FlaskClient) -> None:
    page = client.get("/nowhere", headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert_sound(page.text)
    assert "There is nothing at this address." in page.text
