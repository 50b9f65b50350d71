"""The bulk engine over sockets: many connections, encryption, faults, stopping; on every event loop there is."""

import asyncio
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
import trustme

from newsletter_svc.mail.bulk import driver, supply
from newsletter_svc.mail.bulk.driver import Engine, Plan
from newsletter_svc.mail.bulk.parcels import Parcel
from newsletter_svc.mail.failures import SenderRefused, ServerUnavailable, Stage
from newsletter_svc.mail.smtp_server import Security, SmtpServer
from tests.fakes.feed import RecordingFeed, parcels
from tests.fakes.smtp import Sink
from tests.fakes.smtp_script import CLOSE
from tests.fakes.smtp_socket import Listening, listening


def well(stage: str, recipient: str) -> str | None:
    return None


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs a coroutine function on each event loop."""
    if request.param == "asyncio":
        monkeypatch.setattr(driver, "_fast_loop", lambda: None)
    else:
        pytest.importorskip("uvloop")
    return driver.run


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "FIRST_BACKOFF_SECONDS", 0.01)


def server_on(port: int, **changes: object) -> SmtpServer:
    given = {"host": "127.0.0.1", "port": port, "helo": "news.example.org", "timeout": 5.0, **changes}
    return SmtpServer(**given)  # type: ignore[arg-type]


async def carry(feed: RecordingFeed, to: SmtpServer, **plan: object) -> None:
    given = {"connections": 3, "patience": 0.2, **plan}
    try:
        await Engine(to, feed, plan=Plan(**given)).run()  # type: ignore[arg-type]
    finally:
        feed.check_law()


def test_all_arrive_over_a_server_that_knows_no_pipelining(run: Callable[..., None]) -> None:
    feed = RecordingFeed(parcels(40))
    with Sink() as sink:
        run(lambda: carry(feed, server_on(sink.port)))
        mails = sink.wait_for(40)
    assert {mail.recipients[0]: mail.raw for mail in mails} == {
        parcel.recipient.decode(): parcel.content for parcel in parcels(40)
    }
    assert len(feed.accepted_replies) == len(mails) == 40
    assert sink.connections <= 3


def test_all_arrive_over_pipelining(run: Callable[..., None]) -> None:
    feed = RecordingFeed(parcels(200, content=b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 500))
    sent = {parcel.recipient.decode(): parcel.content for parcel in feed.waiting}

    async def main() -> None:
        async with listening(Listening(well)) as server:
            await carry(feed, server_on(server.port))
            assert server.accepted == sent
            assert server.mails == 200
            assert len(server.servers) <= 3
            assert server.commands.count("QUIT") == len(server.servers)

    run(main)
    assert len(feed.accepted_replies) == 200


def test_the_carrier_of_few_ends_when_they_are_carried(run: Callable[..., None]) -> None:
    async def main() -> None:
        async with listening(Listening(well)) as server:
            for count in (0, 1, 2):
                feed = RecordingFeed(parcels(count))
                await carry(feed, server_on(server.port), connections=8)
                assert len(feed.accepted_replies) == count

    run(main)


def test_a_server_that_closes_after_some_messages_loses_none(run: Callable[..., None]) -> None:
    feed = RecordingFeed(parcels(50))

    async def main() -> None:
        async with listening(Listening(well, close_after=3)) as server:
            await carry(feed, server_on(server.port))
            assert server.mails == 50
            assert len(server.servers) >= 16

    run(main)
    assert len(feed.accepted_replies) == 50


def test_a_limit_of_ours_opens_the_next_connection(run: Callable[..., None]) -> None:
    feed = RecordingFeed(parcels(30))

    async def main() -> None:
        async with listening(Listening(well)) as server:
            await carry(feed, server_on(server.port), per_connection=10, connections=1)
            assert [len(one.accepted) for one in server.servers] == [10, 10, 10]

    run(main)


def test_a_hanging_dot_is_unknown_and_the_other_connections_go_on(run: Callable[..., None]) -> None:
    feed = RecordingFeed(parcels(30))

    def hang_at_5(stage: str, recipient: str) -> str | None:
        return "" if (stage, recipient) == ("dot", "reader5@example.org") else None

    async def main() -> None:
        async with listening(Listening(hang_at_5)) as server:
            await carry(feed, server_on(server.port, timeout=0.4))

    run(main)
    assert list(feed.unknowns) == [5]
    assert len(feed.accepted_replies) == 29


def test_stopping_ends_what_is_in_flight_and_starts_nothing(run: Callable[..., None]) -> None:
    feed = RecordingFeed(parcels(100))

    async def main() -> None:
        async def go_on() -> None:
            await server.hanging.wait()
            engine.stop()
            for one in server.servers:
                one.is_hanging = False

        def hold_back(stage: str, recipient: str) -> str | None:
            if stage == "dot" and server.mails == 10:
                server.hanging.set()
            return None

        async with listening(Listening(hold_back)) as server:
            engine = Engine(server_on(server.port), feed, plan=Plan(connections=3))
            stopper = asyncio.create_task(go_on())
            await engine.run()
            await stopper
            feed.check_law()
            assert len(feed.accepted_replies) == server.mails < 20

    run(main)
    assert feed.unknowns == {}
    assert len(feed.waiting) > 70


def test_cancelling_leaves_no_parcel_without_an_end(run: Callable[..., None]) -> None:
    feed = RecordingFeed(parcels(100))

    def hang(stage: str, recipient: str) -> str | None:
        return "" if stage == "dot" else None

    async def main() -> None:
        async with listening(Listening(hang)) as server:
            running = asyncio.create_task(Engine(server_on(server.port), feed, plan=Plan(connections=2)).run())
            await server.hanging.wait()
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

    run(main)
    feed.check_law()
    assert 1 <= len(feed.unknowns) <= 2
    assert not feed.accepted_replies


def test_nobody_listens(run: Callable[..., None], unused_port: int) -> None:
    feed = RecordingFeed(parcels(3))
    with pytest.raises(ServerUnavailable) as caught:
        run(lambda: carry(feed, server_on(unused_port)))
    assert (caught.value.stage, caught.value.cause) == (Stage.CONNECT, "ConnectionRefusedError")
    assert {*feed.returns, *(parcel.key for parcel in feed.waiting)} == {1, 2, 3}
    assert feed.intents == []


def test_an_unknown_name_is_no_readers_fault(run: Callable[..., None]) -> None:
    feed = RecordingFeed(parcels(1))
    with pytest.raises(ServerUnavailable) as caught:
        run(lambda: carry(feed, server_on(25, host="nowhere.invalid"), connections=1))
    assert caught.value.cause == "gaierror"


def test_a_busy_server_is_asked_again(run: Callable[..., None]) -> None:
    feed = RecordingFeed(parcels(20))
    refusals = iter(["421 4.3.2 busy" + CLOSE] * 4)

    def busy_first(stage: str, recipient: str) -> str | None:
        return next(refusals, None) if stage == "banner" else None

    async def main() -> None:
        async with listening(Listening(busy_first)) as server:
            await carry(feed, server_on(server.port), patience=30)

    run(main)
    assert len(feed.accepted_replies) == 20


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
def test_a_421_in_the_middle_is_tried_again_on_another_connection(run: Callable[..., None], stage: str) -> None:
    feed = RecordingFeed(parcels(20))
    refusals = iter(["421 4.3.2 closing" + CLOSE] * 3)

    def closing(at: str, recipient: str) -> str | None:
        return next(refusals, None) if at == stage else None

    async def main() -> None:
        async with listening(Listening(closing)) as server:
            await carry(feed, server_on(server.port), patience=30)
            assert server.mails == 20

    run(main)
    assert len(feed.accepted_replies) == 20


def test_a_parcel_that_breaks_every_connection_goes_back(run: Callable[..., None]) -> None:
    feed = RecordingFeed(parcels(10))

    def break_at_4(stage: str, recipient: str) -> str | None:
        return CLOSE if (stage, recipient) == ("rcpt", "reader4@example.org") else None

    async def main() -> None:
        async with listening(Listening(break_at_4)) as server:
            await carry(feed, server_on(server.port), patience=30, connections=1)

    run(main)
    assert list(feed.returns) == [4]
    assert len(feed.accepted_replies) == 9


def test_a_server_that_does_not_take_mail_from_us_ends_the_run(run: Callable[..., None]) -> None:
    feed = RecordingFeed(parcels(50))

    def refuse(stage: str, recipient: str) -> str | None:
        return "550 5.7.1 not from you" if stage == "mail" else None

    async def main() -> None:
        async with listening(Listening(refuse)) as server:
            await carry(feed, server_on(server.port))

    with pytest.raises(SenderRefused):
        run(main)
    assert feed.refusals == feed.accepted_replies == feed.unknowns == {}
    assert len(feed.returns) + len(feed.waiting) == 50


def test_what_the_feed_cannot_write_down_is_not_sent(run: Callable[..., None]) -> None:
    class FullDisk(RecordingFeed):
        def intent(self, parcel: Parcel) -> None:
            if parcel.key == 5:
                raise OSError(28, "No space left on device")
            super().intent(parcel)

    feed = FullDisk(parcels(20))

    async def main() -> None:
        async with listening(Listening(well)) as server:
            try:
                await carry(feed, server_on(server.port), connections=2)
            finally:
                assert "reader5@example.org" not in server.accepted

    with pytest.raises(OSError, match="No space left"):
        run(main)
    assert 5 in feed.returns


def test_a_feed_that_fails_ends_the_run_after_what_is_in_flight(run: Callable[..., None]) -> None:
    class Broken(RecordingFeed):
        def take(self) -> Parcel | None:
            if len(self.taken) == 10:
                raise LookupError("the database is gone")
            return super().take()

    feed = Broken(parcels(20))

    async def main() -> None:
        async with listening(Listening(well)) as server:
            await carry(feed, server_on(server.port))

    with pytest.raises(LookupError):
        run(main)
    assert len(feed.taken) == 10


def test_a_feed_that_fills_later_is_carried_when_it_is_told(run: Callable[..., None]) -> None:
    feed = RecordingFeed([], is_open=True)

    async def main() -> None:
        async with listening(Listening(well)) as server:
            engine = Engine(server_on(server.port), feed, plan=Plan(connections=2))
            loop = asyncio.get_running_loop()

            def fill() -> None:
                for number in range(3):
                    loop.call_soon_threadsafe(feed.waiting.extend, parcels(30)[number * 10 : number * 10 + 10])
                    loop.call_soon_threadsafe(engine.wake)
                loop.call_soon_threadsafe(setattr, feed, "is_open", False)
                loop.call_soon_threadsafe(engine.wake)

            thread = threading.Thread(target=fill)
            loop.call_soon(thread.start)
            await engine.run()
            thread.join()

    run(main)
    feed.check_law()
    assert len(feed.accepted_replies) == 30


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.IMPLICIT])
def test_mail_goes_encrypted_and_signed_in(
    run: Callable[..., None], security: Security, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    feed = RecordingFeed(parcels(30))

    async def main() -> None:
        server = Listening(
            well,
            features=("PIPELINING", "STARTTLS", "AUTH PLAIN"),
            tls=server_tls,
            implicit_tls=security is Security.IMPLICIT,
        )
        async with listening(server):
            to = server_on(server.port, security=security, tls=trusting, username="ada", password="secret")
            await carry(feed, to)
            assert server.mails == 30
            assert server.commands.count("AUTH PLAIN AGFkYQBzZWNyZXQ=") == len(server.servers)

    run(main)


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.IMPLICIT])
@pytest.mark.parametrize("changes", [{}, {"host": "localhost"}])
def test_a_bad_certificate_is_never_answered_with_plain_text(
    run: Callable[..., None],
    security: Security,
    changes: dict[str, str],
    server_tls: ssl.SSLContext,
    trusting: ssl.SSLContext,
) -> None:
    feed = RecordingFeed(parcels(3))
    # The system does not know the authority; or it is known, and the name is another one.
    tls = trusting if changes else None

    async def main() -> None:
        server = Listening(
            well, features=("PIPELINING", "STARTTLS"), tls=server_tls, implicit_tls=security is Security.IMPLICIT
        )
        async with listening(server):
            try:
                await carry(feed, server_on(server.port, security=security, tls=tls, **changes))
            finally:
                assert server.mails == 0
                assert not any(command.startswith("MAIL") for command in server.commands)

    with pytest.raises(ServerUnavailable) as caught:
        run(main)
    assert caught.value.cause == "SSLCertVerificationError"
    assert feed.intents == []


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_no_more_is_handed_out_than_the_rate_allows() -> None:
    clock, waits = Clock(), []
    feed = RecordingFeed(parcels(200))
    source = supply.Supply(feed, clock=clock, on_dry=waits.append, on_return=lambda: None, per_second=50)
    handed_out = []
    while clock.now < 101:
        if source.take() is None:
            clock.now += waits.pop() or 1
        else:
            handed_out.append(clock.now)
    assert 49 <= len(handed_out) <= 52


@pytest.fixture
def unused_port() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_without_uvloop_the_loop_is_that_of_asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)

    async def which() -> str:
        return type(asyncio.get_running_loop()).__module__

    assert driver.run(which).startswith("asyncio.")
