"""The guide for frontends in a real browser: each example, on pages of four origins, with scripts and without."""

import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests import guide
from tests.conftest import fresh_database
from tests.e2e.frontends import Frontends, frontends

CHECK_EMAIL = "Success! Check your email for magic link to sign-in."
SUBSCRIBED = "You've successfully subscribed to The Global Diplomat."
SIGNED_UP = "Great! You’ve successfully signed up."
SIGNED_IN = "Welcome back! You've successfully signed in."
UPDATED = "Success! Your billing info has been updated."
NOT_UPDATED = "Your billing was not updated."
LINK_GONE = "This link no longer works."
UNREACHABLE = "We could not reach the server. Please try again in a moment."

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(migrated_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frontends]:
    folder = tmp_path_factory.mktemp("frontends")
    with ExitStack() as stack:
        yield stack.enter_context(frontends(fresh_database(migrated_url, folder), folder))


def bar(page: Page) -> Locator:
    return page.locator("[data-newsletter-notice] > p")


def status(page: Page, form: str) -> Locator:
    return page.locator(f"{form} [data-newsletter-status]")


def send(page: Page, form: str, email: str) -> None:
    page.locator(f"{form} input[type=email]").fill(email)
    page.locator(f"{form} button").click()


def expect_clean_address(page: Page) -> None:
    page.wait_for_function("!/action=|success=|stripe=/.test(location.search)")


def test_the_guide_has_no_example_that_is_not_tried_here() -> None:
    blocks = guide.ANY_BLOCK.findall(guide.text())
    assert len(guide.examples("")) == len(blocks) == 7


def test_the_kit_on_another_origin_from_subscribing_to_signing_out(site: Frontends) -> None:
    with site.window() as page:
        page.goto(f"{site.sister.url}/kit?from=a-letter#top")
        form = '[data-newsletter="subscribe"]'
        expect(page.locator("header")).to_be_hidden()
        send(page, form, "ada@localhost")
        field = page.locator("#subscribe-email")
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_be_focused()
        note = page.locator(".newsletter-field-error")
        expect(field).to_have_attribute("aria-describedby", note.get_attribute("id") or "")
        expect(status(page, form)).to_have_text("Some fields are wrong.")

        field.fill("ada@example.org")
        page.locator("#subscribe-name").fill("Ada")
        page.locator("#subscribe-name").press("Enter")
        expect(status(page, form)).to_have_text(CHECK_EMAIL)
        expect(status(page, form)).to_have_attribute("role", "status")
        expect(page.locator(form)).to_have_attribute("aria-busy", "false")
        expect(note).to_have_count(0)
        assert field.get_attribute("aria-invalid") is None
        code = page.get_by_label("Or type the six digits from the email")
        expect(code).to_be_focused()
        button = page.get_by_role("button", name="Use the code")
        assert button.evaluate("each => getComputedStyle(each).borderRadius") == "24px"

        page.goto(site.next_link())
        expect(bar(page)).to_have_text(SUBSCRIBED)
        expect_clean_address(page)
        assert page.url == f"{site.sister.url}/kit?from=a-letter#top"
        page.get_by_role("button", name="Dismiss this message").click()
        expect(bar(page)).to_have_count(0)
        expect(page.locator("main")).to_be_focused()
        expect(page.locator("[data-newsletter-reader]")).to_have_text("Ada")
        expect(page.locator('[data-newsletter="signin"]')).to_be_hidden()
        page.reload()
        expect(page.locator("header")).to_be_visible()
        assert bar(page).count() == 0

        page.get_by_role("button", name="Sign out").press("Enter")
        expect(page.locator("header")).to_be_hidden()
        expect(page.locator("main")).to_be_focused()
        expect(page.locator('[data-newsletter="signin"]')).to_be_visible()
        assert page.evaluate("newsletter.session().then(state => state.signed_in)") is False
        assert page.evaluate("newsletter.version") == 1


def sign_in_by_code(site: Frontends, page: Page, email: str) -> None:
    """From the page with the kit; the bar says so."""
    send(page, '[data-newsletter="signin"]', email)
    right = site.next_code()
    page.locator("[name=code]").fill(f"{(int(right) + 1) % 1_000_000:06d}")
    page.get_by_role("button", name="Use the code").click()
    expect(page.locator(".newsletter-code-form .newsletter-field-error")).to_contain_text("not right")
    page.locator("[name=code]").fill(f"{right[:3]} {right[3:]}")
    page.get_by_role("button", name="Use the code").click()
    expect(bar(page)).to_have_text(re.compile(f"{re.escape(SIGNED_UP)}|{re.escape(SIGNED_IN)}"))


def test_billing_with_the_kit_refused_cancelled_and_done(site: Frontends) -> None:
    with site.window(viewport={"width": 375, "height": 800}) as page:
        page.goto(f"{site.sister.url}/kit")
        sign_in_by_code(site, page, "billing@example.org")
        button = page.get_by_role("button", name="Update billing")
        button.click()
        expect(page.locator("header [data-newsletter-status]")).to_contain_text("There is no payment on record")
        assert page.evaluate("document.documentElement.scrollWidth") == 375
        site.add_customer("billing@example.org")
        button.click()
        page.get_by_role("link", name="Back without saving").click()
        expect(bar(page)).to_have_text(NOT_UPDATED)
        expect(page.locator(".newsletter-notice")).to_have_attribute("data-newsletter-notice", "bad")
        button.click()
        page.get_by_role("button", name="Save a new card").click()
        expect(bar(page)).to_have_text(UPDATED)
        expect_clean_address(page)
        assert page.url == f"{site.sister.url}/kit"
        site.next_mail()

        page.context.clear_cookies()
        button.click()
        expect(page.locator("header [data-newsletter-status]")).to_have_text("Nobody is signed in in this browser.")


def test_on_another_site_a_code_is_taken_and_the_console_says_what_cannot_be_seen(site: Frontends) -> None:
    blind = f"newsletter: {site.service.url} has signed the reader in, but {site.abroad.url} cannot see it"
    with site.window(expected=(blind,)) as page:
        page.goto(f"{site.abroad.url}/kit")
        sign_in_by_code(site, page, "abroad@example.org")
        assert page.url.startswith(site.abroad.url)
        expect(page.locator("header")).to_be_hidden()
        expect(page.locator("html")).to_have_attribute("data-newsletter-session", "signed-out")


def test_a_page_whose_origin_is_not_listed_says_so_to_its_developer_and_helps_its_readers(site: Frontends) -> None:
    advice = f"newsletter: {site.service.url} does not answer pages of {site.stranger.url}: add it to FRONTEND_ORIGINS"
    with site.window(expected=(advice, "Access to fetch at", "Failed to load resource: net::ERR_FAILED")) as page:
        page.goto(f"{site.stranger.url}/kit")
        send(page, '[data-newsletter="subscribe"]', "unlisted@example.org")
        page.wait_for_url(f"{site.service.url}/subscribe")
        expect(page.locator("h1")).to_have_text(CHECK_EMAIL)
    page_opened_elsewhere = site.next_link()
    with site.window() as page:
        page.goto(page_opened_elsewhere)
        page.get_by_role("button", name="Confirm subscription").click()
        expect(bar(page)).to_have_text(SUBSCRIBED)
        assert page.url.startswith(site.sister.url)


def test_what_the_query_says_is_shown_once_and_only_when_all_of_it_fits(site: Frontends) -> None:
    with site.window() as page:
        page.goto(f"{site.sister.url}/kit?action=signin&success=false")
        expect(bar(page)).to_have_text(LINK_GONE)
        page.get_by_role("button", name="Send me a new link").click()
        expect(page.locator("#signin-email")).to_be_focused()
        expect_clean_address(page)

        page.goto(f"{site.sister.url}/welcome?action=subscribe&success=false")
        expect(page.locator("#place > p")).to_have_text(LINK_GONE)
        page.get_by_label("Email address").fill("renewed@example.org")
        page.get_by_role("button", name="Send me a new link").click()
        expect(status(page, ".newsletter-email-form")).to_have_text(CHECK_EMAIL)
        site.next_mail()

        page.goto(f"{site.sister.url}/welcome?stripe=success&keep=me")
        expect(bar(page)).to_have_text(CHECK_EMAIL)
        expect_clean_address(page)
        assert page.url.endswith("/welcome?keep=me")

        strange = ("action=%3Cb%3E&success=true", "stripe=billing-update-constructor")
        for query in ("action=signin", "action=signin&success=maybe", *strange):
            with page.expect_response("**/messages"):
                page.goto(f"{site.sister.url}/kit?{query}")
            assert page.evaluate("newsletter.refresh().then(state => state.signed_in)") is False
            assert bar(page).count() == 0
            assert page.url.endswith(query)


def test_a_page_with_a_copy_of_the_script_takes_over_what_it_wants(site: Frontends) -> None:
    expected = (f"newsletter: {site.service.url} did not answer.", "Failed to load resource: net::ERR_FAILED")
    with site.window(expected=expected) as page:
        page.goto(f"{site.sister.url}/copy?action=signin&success=true")
        assert page.evaluate("newsletter.refresh().then(state => state.signed_in)") is False
        assert bar(page).count() == 0
        assert page.url.endswith("?action=signin&success=true")

        page.evaluate("addEventListener('newsletter:done', event => event.preventDefault())")
        send(page, "form", "own@example.org")
        expect(status(page, "form")).to_have_text(CHECK_EMAIL)
        assert page.locator("[name=code]").count() == 0
        site.next_mail()

        page.route(f"{site.service.url}/**", lambda route: route.abort())
        page.locator("button").click()
        expect(status(page, "form")).to_have_text("Gone fishing.")


def test_a_sentence_that_the_page_has_already_is_left_alone(site: Frontends) -> None:
    with site.window() as page:
        page.goto(f"{site.service.url}/?action=signin&success=true")
        expect_clean_address(page)
        expect(page.locator("[data-newsletter-notice]")).to_have_count(1)
        expect(bar(page)).to_have_text(SIGNED_IN)
        page.get_by_role("link", name="Dismiss this message").click()
        expect(bar(page)).to_have_count(0)
        page.reload()
        expect(bar(page)).to_have_count(0)


def refuse(status_code: int, *, body: str, kind: str, retry_after: str = "") -> dict[str, object]:
    headers = {"Retry-After": retry_after} if retry_after else {}
    return {"status": status_code, "body": body, "content_type": kind, "headers": headers}


def test_a_service_that_is_busy_broken_or_away_says_so_and_keeps_what_was_typed(site: Frontends) -> None:
    form, problem = '[data-newsletter="signin"]', "application/problem+json"
    away = f"newsletter: {site.service.url} did not answer."
    expected = (away, "Failed to load resource: net::ERR_CONNECTION_REFUSED", "Failed to load resource: the server")
    with site.window(expected=expected, reduced_motion="reduce") as page:
        page.goto(f"{site.service.url}/sign-in")
        page.evaluate("addEventListener('newsletter:error', ({detail}) => (window.told ??= []).push(detail.code))")
        held: list[Route] = []
        page.route("**/signin", lambda route: held.append(route))
        send(page, form, "patient@example.org")
        expect(status(page, form)).to_have_text("Sending…")
        expect(page.locator(form)).to_have_attribute("aria-busy", "true")
        page.locator(f"{form} button").click()
        motion = "each => getComputedStyle(each, '::before').animationName"
        assert status(page, form).evaluate(motion) == "none"
        assert len(held) == 1
        held[0].fulfill(status=500, body='{"code": "internal_error"}', content_type=problem)
        expect(status(page, form)).to_have_text("That did not work. Please try again in a moment.")

        def answer_with(**answer: object) -> Locator:
            page.unroute("**/signin")
            page.route("**/signin", lambda route: route.fulfill(**answer))  # type: ignore[arg-type]
            send(page, form, "patient@example.org")
            return status(page, form)

        many = refuse(429, body='{"detail": "You have asked too often."}', kind=problem, retry_after="3000")
        expect(answer_with(**many)).to_have_text("You have asked too often. You can try again in 50 minutes.")
        busy = refuse(503, body='{"detail": "We are busy."}', kind=problem, retry_after="5")
        expect(answer_with(**busy)).to_have_text("We are busy. You can try again in 5 seconds.")
        proxy = refuse(502, body="<h1>Bad gateway</h1>", kind="text/html")
        expect(answer_with(**proxy)).to_have_text("That did not work. Please try again in a moment.")

        def hang_up(route: Route) -> None:
            route.abort("connectionrefused")

        page.route("**/*", hang_up)
        page.unroute("**/signin")
        page.locator(f"{form} button").click()
        expect(status(page, form)).to_have_text(UNREACHABLE)
        page.unroute("**/*", hang_up)
        expect(page.get_by_label("Email address")).to_have_value("patient@example.org")
        page.wait_for_function("told.at(-1) === 'unreachable'")
        assert page.evaluate("told[0]") == "internal_error"
        page.locator(f"{form} button").click()
        expect(status(page, form)).to_have_text(CHECK_EMAIL)
        site.next_mail()

        # Nobody ever answered, so there are no words: the browser shall say it.
        page.goto(f"{site.service.url}/sign-in")
        page.route("**/*", hang_up)
        with page.expect_request(lambda request: request.is_navigation_request()) as sent:
            send(page, form, "patient@example.org")
        assert (sent.value.method, sent.value.url) == ("POST", f"{site.service.url}/signin")


def test_a_page_marked_up_as_a_theme_works_without_a_change(site: Frontends) -> None:
    with site.window() as page:
        page.goto(f"{site.sister.url}/theme")
        send(page, "#both", "theme@example.org")
        expect(page.locator("#both")).to_have_class("success")
        page.goto(site.next_link())
        expect(bar(page)).to_have_text(SUBSCRIBED)
        expect_clean_address(page)
        assert page.url == f"{site.sister.url}/theme"
        assert page.evaluate("newsletter.session().then(({subscriber}) => subscriber.newsletters)") == [
            "weekly-threads"
        ]

        site.add_customer("theme@example.org")
        for press, sentence, path in (("Back without", NOT_UPDATED, "/as-before"), ("Save a new", UPDATED, "/thanks")):
            page.goto(f"{site.sister.url}/theme")
            page.get_by_text("Edit billing info").click()
            page.get_by_text(press).click()
            expect(bar(page)).to_have_text(sentence)
            assert page.url.startswith(f"{site.sister.url}{path}")
        site.next_mail()

        page.goto(f"{site.sister.url}/theme")
        page.get_by_text("Sign out").click()
        page.wait_for_url(f"{site.sister.url}/")
        page.goto(f"{site.sister.url}/theme")
        page.get_by_text("Edit billing info").click()
        expect(page.locator("[data-members-edit-billing]")).to_have_class("error")
        expect(page.locator("[data-members-edit-billing] [data-members-error]")).to_contain_text("Nobody is signed in")


def test_a_theme_shows_errors_takes_codes_and_goes_to_the_front_page(site: Frontends) -> None:
    with site.window() as page:
        page.goto(f"{site.sister.url}/theme")
        join = page.locator("#join")
        send(page, "#join", "joining@localhost")
        expect(join).to_have_class("error")
        expect(join.locator("[data-members-error]")).not_to_be_empty()
        page.locator("[data-members-name]").fill("Grace")
        send(page, "#join", "joining@example.org")
        expect(join).to_have_class("success")
        expect(join.locator("[data-members-error]")).to_be_empty()
        assert page.locator(".newsletter-code-form").count() == 0
        page.goto(site.next_link())
        expect(bar(page)).to_have_text(SIGNED_UP)
        assert page.url.startswith(f"{site.sister.url}/?") or page.url == f"{site.sister.url}/"
        assert page.evaluate("newsletter.session().then(({subscriber}) => subscriber.name)") == "Grace"

        page.goto(f"{site.sister.url}/theme")
        page.locator("[data-members-newsletter]").evaluate("each => { each.value = 'Gone & Forgotten'; }")
        send(page, "#both", "joining@example.org")
        expect(page.locator("#both")).to_have_class("error")
        expect(status(page, "#both")).to_have_text("There is no newsletter called 'gone-forgotten'.")
        send(page, "#enter", "joining@example.org")
        page.get_by_label("Or type the six digits").fill(site.next_code())
        page.get_by_role("button", name="Use the code").click()
        expect(bar(page)).to_have_text(SIGNED_IN)


def test_the_pages_work_without_javascript(site: Frontends) -> None:
    forms = (
        (f"{site.sister.url}/plain", "form", f"{site.sister.url}/welcome"),
        (f"{site.sister.url}/kit", '[data-newsletter="subscribe"]', f"{site.sister.url}/"),
        (f"{site.abroad.url}/kit", '[data-newsletter="subscribe"]', f"{site.sister.url}/"),
        (f"{site.sister.url}/theme", "#enter", f"{site.sister.url}/"),
    )
    with site.window(java_script_enabled=False) as page:
        for number, (address, form, back) in enumerate(forms):
            page.goto(address)
            send(page, form, f"plain{number}@example.org")
            expect(page.locator("h1")).to_have_text(CHECK_EMAIL)
            page.goto(site.next_link())
            page.get_by_role("button").click()
            page.wait_for_url(re.compile(rf"^{re.escape(back)}\?action=\w+&success=true$"))

        # A form as Ghost has it needs a script; without one nothing of what was typed gets into an address.
        page.goto(f"{site.sister.url}/theme")
        assert page.locator("#both [name]").count() == 0


def test_the_example_for_fetch_signs_in_by_a_code(site: Frontends) -> None:
    with site.window() as page:
        page.goto(f"{site.sister.url}/fetch")
        send(page, "#sign-in", "fetch@localhost")
        expect(page.locator("#answer")).to_contain_text("does not look like an e-mail address")
        expect(page.locator("#code")).to_be_hidden()
        send(page, "#sign-in", "fetch@example.org")
        expect(page.locator("#answer")).to_have_text(CHECK_EMAIL)
        page.locator("#code input").fill(site.next_code())
        page.locator("#code button").click()
        expect(page.locator("#answer")).to_have_text(SIGNED_UP)
