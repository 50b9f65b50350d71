"""Signing in at two workers at once: however many press the button together, the link is used up once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from sqlalchemy import func, select

from newsletter_svc.auth.models import BrowserSession
from newsletter_svc.parts import Parts
from tests.e2e.service import Answer, Service, magic_link
from tests.fakes.smtp import Sink

AT_ONCE = 50


def ask_for_a_link(service: Service, sink: Sink) -> tuple[str, dict[str, str]]:
    """Sign in up to the mail: the path of its link, and the cookies of the browser that asked."""
    asked = service.ask("POST", "/signin", {"email": "ada@example.org"})
    assert asked.status == 202
    [mail] = sink.wait_for(1)
    return magic_link(mail).removeprefix(service.url), dict(asked.cookies)


def press_together(service: Service, path: str, cookies: dict[str, str]) -> list[Answer]:
    """Fifty requests that begin at the same moment, each on a connection of its own."""
    start = Barrier(AT_ONCE)

    def press(_number: int) -> Answer:
        start.wait(30)
        return service.ask("POST", path, {}, cookies=cookies)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(press, range(AT_ONCE)))


def sessions(parts: Parts) -> int:
    with parts.database.reading() as session:
        return session.scalar(select(func.count()).select_from(BrowserSession)) or 0


def test_of_fifty_strangers_who_redeem_a_link_at_once_one_gets_in(service: Service, sink: Sink, parts: Parts) -> None:
    path, _ = ask_for_a_link(service, sink)
    answers = press_together(service, path, cookies={})
    assert Counter(answer.status for answer in answers) == {200: 1, 410: AT_ONCE - 1}
    assert len({answer.cookies["session"] for answer in answers if "session" in answer.cookies}) == 1
    assert sessions(parts) == 1


def test_fifty_presses_in_the_browser_that_asked_give_it_one_session(
    service: Service, sink: Sink, parts: Parts
) -> None:
    path, cookies = ask_for_a_link(service, sink)
    answers = press_together(service, path, cookies)
    assert {answer.status for answer in answers} == {200}
    assert {answer.json["code"] for answer in answers} == {"signed_up"}
    [secret] = {answer.cookies["session"] for answer in answers}
    assert sessions(parts) == 1
    assert service.ask("GET", "/session", cookies={"session": secret}).json["signed_in"] is True
