"""Both lanes against a real mail server: what each fault makes of the ledger, and what the server received."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter_svc import alerts
from newsletter_svc.alerts import Cause
from newsletter_svc.app import create_app
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery import keeper, mailings, sender
from newsletter_svc.delivery.bulk import BulkLane
from newsletter_svc.delivery.keeper import SMALLEST_BATCH
from newsletter_svc.delivery.models import Claimed, Delivery, Lane, Mailing, MailingState, Status, Suppression
from newsletter_svc.delivery.sender import Round, Sender
from newsletter_svc.jobs.threads import SenderThreads
from newsletter_svc.mail.bulk import driver
from newsletter_svc.mail.bulk.opening import opener
from newsletter_svc.mail.compose import Composer
from newsletter_svc.mail.message import Copy, Letter, Mailbox, Rendered, Stream
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.web.state import EXTENSION
from tests.factories import owe_bulk, owe_single
from tests.fakes.smtp import Do, Received, Sink

KIND = "note"
POISON = "poison@example.org"
NOTE = Rendered("A note", "Good morning\n", "<p>Good morning</p>")
both_lanes = pytest.mark.parametrize("lane", Lane)


@dataclass
class Clock:
    """The senders' clock, which a test turns forward."""

    time: datetime

    def __call__(self) -> datetime:
        return self.time

    def turn(self, by: timedelta) -> None:
        self.time += by


def mailbox_of(delivery: Claimed) -> Mailbox:
    """One reader's name is half a character."""
    return Mailbox(delivery.recipient, "\ud800" if delivery.recipient == POISON else "Ada")


def write_note(session: Session, delivery: Claimed, *, now: datetime) -> Letter:
    """A letter function as features hand them over."""
    return Letter(mailbox_of(delivery), NOTE, Stream.TRANSACTIONAL)


@dataclass(frozen=True)
class WriteNotes:
    """The same for a mailing."""

    composer: Composer

    def __call__(self, session: Session, deliveries: Sequence[Claimed]) -> Mapping[int, Copy]:
        compiled = self.composer.compile(NOTE, stream=Stream.DIGEST, headers=())
        return {delivery.id: Copy(mailbox_of(delivery), compiled, {}) for delivery in deliveries}


@dataclass(frozen=True)
class Senders:
    """What sends each lane's mail."""

    single: Sender
    bulk: BulkLane

    def run(self, lane: Lane) -> Round:
        """Send until nothing is due, or the server wants to be left alone: one run in bulk, and many rounds singly."""
        if lane is Lane.BULK:
            return self.bulk.send_due()
        handled = 0
        while True:
            done = self.single.run_round()
            handled += done.handled
            if done.pause or not done.handled:
                return replace(done, handled=handled)


def senders_of(parts: Parts, clock: Callable[[], datetime]) -> Senders:
    """Senders that send notes, and look at a server in trouble for a moment only."""
    claims = replace(parts.bulk.claims, wanted={}, now=clock)
    return Senders(
        single=replace(parts.sender, claims=claims, letters={KIND: write_note}, stopping=threading.Event()),
        bulk=replace(
            parts.bulk,
            claims=claims,
            letters={KIND: WriteNotes(parts.composer)},
            open_engine=opener(parts.settings, patience=0.2),
            stopping=threading.Event(),
        ),
    )


@pytest.fixture(autouse=True)
def look_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "IDLE_LOOK_SECONDS", 0.05)
    # Longer than the patience below, so that a server in trouble is tried twice and then left alone.
    monkeypatch.setattr(driver, "FIRST_BACKOFF_SECONDS", 0.3)


@pytest.fixture
def clock() -> Clock:
    return Clock(utcnow())


@pytest.fixture
def serve(settings: Settings) -> Iterator[Callable[..., Parts]]:
    """A service that sends to a sink, over one connection unless more are asked for."""
    opened: list[Parts] = []

    def start(sink: Sink, **changes: object) -> Parts:
        values = {"mail_server": sink.host, "mail_port": sink.port, "mail_timeout": 1.5, "mail_connections": 1}
        parts: Parts = create_app(replace(settings, **{**values, **changes})).extensions[EXTENSION]
        opened.append(parts)
        return parts

    yield start
    for parts in opened:
        parts.database.dispose()


@pytest.fixture
def service(sink: Sink, serve: Callable[..., Parts]) -> Parts:
    return serve(sink)


@pytest.fixture
def senders(service: Parts, clock: Clock) -> Senders:
    return senders_of(service, clock)


def readers(count: int) -> list[str]:
    return [f"reader{number:03}@example.org" for number in range(count)]


def owe(database: Database, *recipients: str, lane: Lane = Lane.BULK, subject_id: str = "7") -> None:
    a_minute_ago = utcnow() - timedelta(minutes=1)
    with database.transaction() as session:
        if lane is Lane.BULK:
            owe_bulk(session, *recipients, now=a_minute_ago, kind=KIND, subject_id=subject_id)
            return
        for recipient in recipients:
            owe_single(session, recipient, now=a_minute_ago, kind=KIND)


def rows(database: Database) -> dict[str, Delivery]:
    with database.reading() as session:
        return {row.recipient: row for row in session.scalars(select(Delivery).order_by(Delivery.id))}


def statuses(database: Database) -> list[Status]:
    return [row.status for row in rows(database).values()]


def suppressed(database: Database) -> dict[str, str]:
    with database.reading() as session:
        return {row.email_key: row.reason for row in session.scalars(select(Suppression))}


def accepted(sink: Sink) -> list[Received]:
    """What the server has taken responsibility for."""
    return [mail for mail in sink.received if mail.answer is not None and mail.answer.startswith("250")]


def pause_reason(database: Database) -> tuple[MailingState, str | None]:
    with database.reading() as session:
        mailing = session.scalars(select(Mailing)).one()
        return mailing.state, mailing.reason


def alerted(database: Database) -> list[Cause]:
    with database.reading() as session:
        return [alert.cause for alert in alerts.current(session, now=utcnow())]


@both_lanes
def test_what_is_owed_is_sent_and_the_servers_answer_is_kept(
    sink: Sink, service: Parts, senders: Senders, lane: Lane
) -> None:
    owe(service.database, *readers(3), lane=lane)
    assert senders.run(lane).handled == 3
    mails = {mail.recipients[0]: mail for mail in sink.wait_for(3)}
    for recipient, row in rows(service.database).items():
        assert row.status == Status.SENT
        assert row.reply == mails[recipient].answer
        assert row.attempts == 1
        assert row.finished_at is not None
        assert mails[recipient].message["Message-ID"] == row.message_id
    assert senders.run(lane).handled == 0
    assert len(sink.received) == 3


def test_a_mailing_goes_over_one_connection_and_is_done_when_all_of_it_is(
    sink: Sink, service: Parts, senders: Senders
) -> None:
    owe(service.database, *readers(SMALLEST_BATCH * 2 + 5))
    assert senders.bulk.send_due().handled == SMALLEST_BATCH * 2 + 5
    assert sink.connections == 1
    assert pause_reason(service.database) == (MailingState.DONE, None)


def test_few_mails_of_sign_in_are_claimed_one_by_one_and_many_together(
    sink: Sink, service: Parts, senders: Senders
) -> None:
    owe(service.database, *readers(10), lane=Lane.TRANSACTIONAL)
    assert [senders.single.run_round().handled for _ in range(5)] == [1, 2, 4, 3, 0]
    assert len(sink.received) == 10


def test_what_was_claimed_with_a_mail_at_which_the_server_hangs_is_sent_by_another_thread(
    sink: Sink, service: Parts, senders: Senders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "STUCK_SECONDS", 0)
    owe(service.database, *readers(4), lane=Lane.TRANSACTIONAL)
    assert senders.single.run_round().handled == 1
    sink.answer("dot", Do.HANG, times=1)
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(senders.single.run_round)
        sink.wait_for(2)
        assert senders.run(Lane.TRANSACTIONAL).handled == 2
        assert statuses(service.database).count(Status.CLAIMED) == 1, "the one that the server has not answered for"
        assert hanging.result().handled == 1
    assert sorted(statuses(service.database)) == [Status.SENT] * 3 + [Status.UNKNOWN]
    assert len(sink.received) == 4


def test_nothing_is_sent_without_a_claim_that_everybody_can_see(sink: Sink, service: Parts, senders: Senders) -> None:
    seen: list[Status] = []

    def look() -> None:
        other = Database(service.settings.database_url)
        seen.extend(statuses(other))
        other.dispose()

    def look_and_write(session: Session, delivery: Claimed, *, now: datetime) -> Letter:
        look()
        return write_note(session, delivery, now=now)

    def look_and_write_all(session: Session, deliveries: Sequence[Claimed]) -> Mapping[int, Copy]:
        look()
        return WriteNotes(service.composer)(session, deliveries)

    owe(service.database, "ada@example.org")
    replace(senders.bulk, letters={KIND: look_and_write_all}).send_due()
    owe(service.database, "bob@example.org", lane=Lane.TRANSACTIONAL)
    replace(senders.single, letters={KIND: look_and_write}).run_round()
    assert seen == [Status.CLAIMED, Status.SENT, Status.CLAIMED]


@both_lanes
def test_while_the_server_is_slow_no_transaction_is_open(
    sink: Sink, service: Parts, senders: Senders, lane: Lane
) -> None:
    sink.answer("dot", Do.HANG, times=1)
    owe(service.database, "ada@example.org", lane=lane)
    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(senders.run, lane)
        sink.wait_for(1)
        with service.database.transaction() as session:
            assert session.scalars(select(Delivery.status)).one() == Status.CLAIMED
        going.result()


@pytest.mark.parametrize(
    ("lane", "wait"), [(Lane.BULK, timedelta(minutes=30)), (Lane.TRANSACTIONAL, timedelta(seconds=15))]
)
def test_a_passing_refusal_is_tried_again_with_the_same_message_id(
    sink: Sink, service: Parts, senders: Senders, clock: Clock, lane: Lane, wait: timedelta
) -> None:
    sink.answer("rcpt", "450 4.2.0 greylisted, try later", recipient="ada@example.org", times=1)
    owe(service.database, "ada@example.org", "bob@example.org", lane=lane)
    senders.run(lane)
    waiting = rows(service.database)["ada@example.org"]
    assert (waiting.status, waiting.reason, waiting.attempts) == (Status.RETRY, "4.2.0", 1)
    assert waiting.reply == "450 4.2.0 greylisted, try later"
    assert waiting.due_at == clock() + wait
    assert rows(service.database)["bob@example.org"].status == Status.SENT
    assert senders.run(lane).handled == 0
    clock.turn(wait)
    senders.run(lane)
    assert statuses(service.database) == [Status.SENT, Status.SENT]
    assert sink.wait_for(2)[1].message["Message-ID"] == waiting.message_id
    assert suppressed(service.database) == {}


def test_a_passing_refusal_is_given_up_after_three_days(
    sink: Sink, service: Parts, senders: Senders, clock: Clock
) -> None:
    sink.answer("rcpt", "450 4.2.0 greylisted, try later")
    owe(service.database, "ada@example.org")
    runs = 0
    while rows(service.database)["ada@example.org"].status in (Status.PENDING, Status.RETRY):
        clock.time = max(clock(), rows(service.database)["ada@example.org"].due_at)
        senders.bulk.send_due()
        runs += 1
        assert runs < 20
    given_up = rows(service.database)["ada@example.org"]
    assert (given_up.status, given_up.reason, given_up.attempts) == (Status.FAILED, "4.2.0", 8)
    assert suppressed(service.database) == {}


@both_lanes
def test_a_missing_mailbox_is_never_written_to_again_and_the_next_reader_gets_the_mail(
    sink: Sink, service: Parts, senders: Senders, lane: Lane
) -> None:
    sink.answer("rcpt", "550 5.1.1 <bob@example.org>: no such user", recipient="bob@example.org")
    owe(service.database, "ada@example.org", "bob@example.org", "cora@example.org", lane=lane)
    senders.run(lane)
    assert statuses(service.database) == [Status.SENT, Status.FAILED, Status.SENT]
    failed = rows(service.database)["bob@example.org"]
    assert failed.reason == "5.1.1"
    assert failed.reply is not None
    assert "bob@" not in failed.reply
    assert suppressed(service.database) == {"bob@example.org": "hard_bounce 5.1.1"}


def test_after_a_missing_mailbox_a_mailing_goes_on_over_the_same_connection(
    sink: Sink, service: Parts, senders: Senders
) -> None:
    sink.answer("rcpt", "550 5.1.1 no such user", recipient="bob@example.org")
    owe(service.database, "ada@example.org", "bob@example.org", "cora@example.org")
    senders.bulk.send_due()
    assert len(accepted(sink)) == 2
    assert sink.connections == 1


TOO_LARGE = "552 5.3.4 message too big"
REFUSALS = [
    ("552 5.2.2 mailbox full", Status.RETRY, "5.2.2"),
    ("550 5.7.1 we do not like you", Status.FAILED, "5.7.1"),
    ("554 no reason given", Status.FAILED, "554"),
    ("452 4.3.1 out of space", Status.RETRY, "4.3.1"),
]


@pytest.mark.parametrize("stage", ["rcpt", "data", "dot"])
@pytest.mark.parametrize(
    ("lane", "answer", "status", "reason"),
    [
        *((lane, *refusal) for lane in Lane for refusal in REFUSALS),
        # A mailing that is paused for its size can be mended and go on; a sign-in mail cannot.
        (Lane.BULK, TOO_LARGE, Status.RETRY, "5.3.4"),
        (Lane.TRANSACTIONAL, TOO_LARGE, Status.FAILED, "5.3.4"),
    ],
)
def test_a_refusal_that_says_nothing_about_the_address_suppresses_nobody(
    sink: Sink, service: Parts, senders: Senders, stage: str, lane: Lane, answer: str, status: Status, reason: str
) -> None:
    sink.answer(stage, answer, recipient="bob@example.org")
    owe(service.database, "bob@example.org", "cora@example.org", lane=lane)
    senders.run(lane)
    assert statuses(service.database) == [status, Status.SENT]
    assert rows(service.database)["bob@example.org"].reason == reason
    assert suppressed(service.database) == {}


@pytest.mark.parametrize(
    ("answer", "in_a_row", "refused"),
    [(TOO_LARGE, 3, Status.RETRY), ("550 5.7.1 we do not like you", 20, Status.FAILED)],
)
def test_a_mailing_that_is_refused_again_and_again_is_paused_and_goes_on_when_it_is_resumed(
    sink: Sink, service: Parts, senders: Senders, clock: Clock, answer: str, in_a_row: int, refused: Status
) -> None:
    sink.answer("dot", answer)
    owe(service.database, *readers(SMALLEST_BATCH * 3))
    senders.bulk.send_due()
    assert pause_reason(service.database) == (MailingState.PAUSED, answer)
    assert alerted(service.database) == [Cause.MAILING_PAUSED]
    assert suppressed(service.database) == {}
    found = Counter(statuses(service.database))
    assert set(found) == {refused, Status.PENDING}
    assert found[refused] >= in_a_row
    assert senders.bulk.send_due().handled == 0

    sink.behave()
    clock.turn(timedelta(minutes=30))
    with service.database.transaction() as session:
        (mailing_id,) = session.scalars(select(Mailing.id))
        assert mailings.resume(session, mailing_id)
    senders.bulk.send_due()
    failed = found[Status.FAILED]
    assert Counter(statuses(service.database)) == Counter(
        {Status.SENT: SMALLEST_BATCH * 3 - failed, Status.FAILED: failed}
    )
    assert set(Counter(mail.recipients[0] for mail in accepted(sink)).values()) == {1}
    assert len(accepted(sink)) == SMALLEST_BATCH * 3 - failed


def refuse_connections(sink: Sink) -> None:
    sink.answer("banner", Do.CLOSE)


def say_421(stage: str) -> Callable[[Sink], None]:
    return lambda sink: sink.answer(stage, "421 4.3.2 closing for the night")


def close_at(stage: str) -> Callable[[Sink], None]:
    return lambda sink: sink.answer(stage, Do.CLOSE)


@pytest.mark.parametrize(
    "trouble",
    [
        refuse_connections,
        *(say_421(stage) for stage in ("banner", "ehlo", "mail", "rcpt", "data", "dot")),
        *(close_at(stage) for stage in ("ehlo", "mail", "rcpt", "data")),
        lambda sink: sink.answer("banner", "554 go away"),
        lambda sink: sink.answer("mail", "451 4.3.0 come back later"),
    ],
)
@pytest.mark.parametrize(("lane", "tried"), [(Lane.BULK, 5), (Lane.TRANSACTIONAL, 1)])
def test_a_server_in_trouble_leaves_everything_owed_and_nobodys_attempts_counted(
    sink: Sink,
    service: Parts,
    senders: Senders,
    clock: Clock,
    trouble: Callable[[Sink], None],
    lane: Lane,
    tried: int,
) -> None:
    trouble(sink)
    owe(service.database, *readers(5), lane=lane)
    done = senders.run(lane)
    assert done.pause == timedelta(seconds=5)
    assert statuses(service.database) == [Status.RETRY] * tried + [Status.PENDING] * (5 - tried)
    assert {row.attempts for row in rows(service.database).values()} == {0}
    assert {row.due_at for row in list(rows(service.database).values())[:tried]} == {clock() + done.pause}
    assert suppressed(service.database) == {}
    sink.behave()
    clock.turn(done.pause)
    assert senders.run(lane).handled == 5
    assert statuses(service.database) == [Status.SENT] * 5
    assert Counter(mail.recipients[0] for mail in accepted(sink)) == dict.fromkeys(readers(5), 1)


@both_lanes
def test_a_server_that_stays_away_is_left_alone_ever_longer(
    sink: Sink, service: Parts, senders: Senders, clock: Clock, lane: Lane
) -> None:
    refuse_connections(sink)
    owe(service.database, "ada@example.org", lane=lane)
    pauses = []
    for _ in range(6):
        pauses.append(senders.run(lane).pause)
        clock.turn(pauses[-1])
    assert [pause.total_seconds() for pause in pauses] == [5, 15, 30, 60, 60, 60]
    sink.behave()
    senders.run(lane)
    assert statuses(service.database) == [Status.SENT]
    owe(service.database, "bob@example.org", lane=lane, subject_id="8")
    refuse_connections(sink)
    sink.hang_up()  # Also on the connection that waits for a next mail.
    assert senders.run(lane).pause == timedelta(seconds=5)


@both_lanes
def test_nobody_listening_at_all_leaves_everything_owed(serve: Callable[..., Parts], clock: Clock, lane: Lane) -> None:
    with Sink() as gone:
        service = serve(gone)
    senders = senders_of(service, clock)
    owe(service.database, "ada@example.org", lane=lane)
    assert senders.run(lane).pause == timedelta(seconds=5)
    row = rows(service.database)["ada@example.org"]
    assert (row.status, row.attempts, row.reply) == (Status.RETRY, 0, "ConnectionRefusedError")


def test_trouble_in_mid_round_keeps_what_was_sent_and_owes_the_rest(
    sink: Sink, service: Parts, senders: Senders, clock: Clock
) -> None:
    sink.answer("rcpt", "421 4.3.2 closing", recipient=readers(10)[4], times=1)
    owe(service.database, *readers(10), lane=Lane.TRANSACTIONAL)
    done = senders.run(Lane.TRANSACTIONAL)
    assert done.handled == 4
    assert statuses(service.database) == [Status.SENT] * 4 + [Status.RETRY] + [Status.PENDING] * 5
    clock.turn(done.pause)
    senders.run(Lane.TRANSACTIONAL)
    assert statuses(service.database) == [Status.SENT] * 10
    assert Counter(mail.recipients[0] for mail in accepted(sink)) == dict.fromkeys(readers(10), 1)


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
def test_a_mailing_goes_on_over_another_connection_when_one_is_closed_with_a_421(
    sink: Sink, service: Parts, senders: Senders, stage: str
) -> None:
    sink.answer(stage, "421 4.3.2 closing", times=1)
    owe(service.database, *readers(10))
    done = replace(senders.bulk, open_engine=opener(service.settings)).send_due()
    assert (done.handled, done.pause) == (10, timedelta())
    assert statuses(service.database) == [Status.SENT] * 10
    assert {row.attempts for row in rows(service.database).values()} == {1}
    assert Counter(mail.recipients[0] for mail in accepted(sink)) == dict.fromkeys(readers(10), 1)
    assert sink.connections == 2


@both_lanes
@pytest.mark.parametrize("messages", [1, 3])
def test_a_server_that_hangs_up_after_some_messages_loses_none(
    serve: Callable[..., Parts], clock: Clock, messages: int, lane: Lane
) -> None:
    with Sink(close_after=messages) as sink:
        service = serve(sink)
        owe(service.database, *readers(10), lane=lane)
        assert senders_of(service, clock).run(lane).handled == 10
        assert statuses(service.database) == [Status.SENT] * 10
        assert Counter(mail.recipients[0] for mail in accepted(sink)) == dict.fromkeys(readers(10), 1)


@pytest.mark.parametrize("silence", [Do.HANG, Do.CLOSE])
@pytest.mark.parametrize(("lane", "wait"), [(Lane.BULK, 900), (Lane.TRANSACTIONAL, 60)])
def test_silence_after_the_dot_is_unknown_sent_once_more_and_then_left(
    sink: Sink, serve: Callable[..., Parts], clock: Clock, silence: Do, lane: Lane, wait: int
) -> None:
    service = serve(sink, mail_connections=2)
    senders = senders_of(service, clock)
    sink.answer("dot", silence, recipient="ada@example.org")
    owe(service.database, "ada@example.org", "bob@example.org", lane=lane)
    assert senders.run(lane).handled == 2
    first = rows(service.database)["ada@example.org"]
    assert (first.status, first.reason, first.reply) == (Status.UNKNOWN, "no_reply", None)
    assert first.due_at == clock() + timedelta(seconds=wait)
    assert rows(service.database)["bob@example.org"].status == Status.SENT
    clock.turn(timedelta(seconds=wait - 1))
    assert senders.run(lane).handled == 0
    clock.turn(timedelta(seconds=1))
    assert senders.run(lane).handled == 1
    clock.turn(timedelta(days=30))
    assert senders.run(lane).handled == 0
    left = rows(service.database)["ada@example.org"]
    assert (left.status, left.attempts) == (Status.UNKNOWN, 2)
    to_ada = [mail.message["Message-ID"] for mail in sink.received if mail.recipients == ("ada@example.org",)]
    assert to_ada == [left.message_id] * 2
    assert suppressed(service.database) == {}


@both_lanes
def test_an_unknown_delivery_that_is_accepted_the_second_time_is_sent(
    sink: Sink, service: Parts, senders: Senders, clock: Clock, lane: Lane
) -> None:
    sink.answer("dot", Do.CLOSE, times=1)
    owe(service.database, "ada@example.org", lane=lane)
    senders.run(lane)
    clock.turn(timedelta(seconds=900))
    senders.run(lane)
    assert statuses(service.database) == [Status.SENT]


@both_lanes
def test_an_unknown_delivery_stays_unknown_while_the_server_is_away(
    sink: Sink, service: Parts, senders: Senders, clock: Clock, lane: Lane
) -> None:
    sink.answer("dot", Do.CLOSE, times=1)
    owe(service.database, "ada@example.org", lane=lane)
    senders.run(lane)
    refuse_connections(sink)
    clock.turn(timedelta(seconds=900))
    pause = senders.run(lane).pause
    assert statuses(service.database) == [Status.UNKNOWN]
    clock.turn(pause)
    sink.behave()
    sink.answer("dot", Do.CLOSE)
    senders.run(lane)
    clock.turn(timedelta(days=1))
    assert senders.run(lane).handled == 0
    assert statuses(service.database) == [Status.UNKNOWN]
    assert len(sink.received) == 2


@both_lanes
def test_a_poisoned_letter_fails_alone(sink: Sink, service: Parts, senders: Senders, lane: Lane) -> None:
    owe(service.database, "ada@example.org", POISON, "cora@example.org", lane=lane)
    assert senders.run(lane).handled == 3
    assert statuses(service.database) == [Status.SENT, Status.FAILED, Status.SENT]
    assert rows(service.database)[POISON].reason == "unsendable: UnsendableMessage"
    assert len(sink.wait_for(2)) == 2


@both_lanes
@pytest.mark.parametrize(
    "recipient", ["no-at-sign", "a@b\r\nRCPT TO:<eve@example.org>", "a b@example.org", "", "<a@b.org>"]
)
def test_an_address_that_is_none_fails_alone_and_reaches_no_server(
    sink: Sink, service: Parts, senders: Senders, recipient: str, lane: Lane
) -> None:
    owe(service.database, recipient, "cora@example.org", lane=lane)
    senders.run(lane)
    assert statuses(service.database) == [Status.FAILED, Status.SENT]
    assert not any("eve" in command for command in sink.commands)


@both_lanes
def test_a_letter_that_cannot_be_written_is_our_fault_and_tried_again(
    sink: Sink, service: Parts, senders: Senders, clock: Clock, lane: Lane
) -> None:
    owe(service.database, "ada@example.org", lane=lane)
    Senders(single=replace(senders.single, letters={}), bulk=replace(senders.bulk, letters={})).run(lane)
    row = rows(service.database)["ada@example.org"]
    assert (row.status, row.reason) == (Status.RETRY, "not_written: KeyError")
    clock.turn(row.due_at - clock())
    assert senders.run(lane).handled == 1
    assert rows(service.database)["ada@example.org"].status == Status.SENT


def test_a_reader_whose_copy_is_not_written_fails_alone(sink: Sink, service: Parts, senders: Senders) -> None:
    def write_all_but_ada(session: Session, deliveries: Sequence[Claimed]) -> Mapping[int, Copy]:
        others = [delivery for delivery in deliveries if delivery.recipient != "ada@example.org"]
        return WriteNotes(service.composer)(session, others)

    owe(service.database, "ada@example.org", "bob@example.org")
    replace(senders.bulk, letters={KIND: write_all_but_ada}).send_due()
    assert statuses(service.database) == [Status.FAILED, Status.SENT]
    assert rows(service.database)["ada@example.org"].reason == "unsendable: NoResultFound"


@both_lanes
@pytest.mark.parametrize(
    ("stage", "answer"),
    [
        ("mail", "530 5.7.0 sign in first"),
        ("mail", "550 5.7.1 sender not allowed"),
        ("rcpt", "530 5.7.0 sign in first"),
        ("data", "535 5.7.8 wrong password"),
    ],
)
def test_a_server_that_does_not_take_mail_from_us_stops_everything_and_the_operator_hears_of_it(
    sink: Sink, service: Parts, senders: Senders, clock: Clock, stage: str, answer: str, lane: Lane
) -> None:
    sink.answer(stage, answer)
    owe(service.database, *readers(5), lane=lane)
    done = senders.run(lane)
    assert done.pause == timedelta(minutes=1)
    assert {(row.status, row.attempts) for row in rows(service.database).values()} == {(Status.PENDING, 0)}
    assert sum(command.startswith("MAIL") for command in sink.commands) == 1
    assert suppressed(service.database) == {}
    assert alerted(service.database) == [Cause.SENDER_REFUSED]
    sink.behave()
    clock.turn(done.pause)
    assert senders.run(lane).handled == 5


def test_a_stop_in_mid_mailing_ends_what_is_in_flight_and_gives_the_rest_back(
    sink: Sink, serve: Callable[..., Parts], clock: Clock
) -> None:
    service = serve(sink, mail_timeout=2)
    senders = senders_of(service, clock)
    sink.answer("dot", Do.HANG, recipient=readers(10)[2])
    owe(service.database, *readers(10))
    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(senders.bulk.send_due)
        sink.wait_for(3)
        senders.bulk.stopping.set()
        going.result()
    assert statuses(service.database) == [Status.SENT] * 2 + [Status.UNKNOWN] + [Status.PENDING] * 7
    assert [row.attempts for row in rows(service.database).values()] == [1] * 3 + [0] * 7
    assert [row.claimed_by for row in rows(service.database).values()] == [None] * 10
    assert senders.bulk.send_due().handled == 0


def test_a_stopped_sender_starts_nothing_more(sink: Sink, service: Parts, senders: Senders) -> None:
    owe(service.database, "ada@example.org", lane=Lane.TRANSACTIONAL)
    senders.single.stopping.set()
    assert senders.single.run_round().handled == 0
    row = rows(service.database)["ada@example.org"]
    assert (row.status, row.attempts, row.claimed_by) == (Status.PENDING, 0, None)
    assert sink.received == []


@both_lanes
def test_two_senders_at_once_send_each_message_once(sink: Sink, service: Parts, clock: Clock, lane: Lane) -> None:
    owe(service.database, *readers(100), lane=lane)
    both = [senders_of(service, clock) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        handled = [done.handled for done in pool.map(lambda one: one.run(lane), both)]
    assert sum(handled) + both[0].run(lane).handled == 100
    assert Counter(mail.recipients[0] for mail in accepted(sink)) == dict.fromkeys(readers(100), 1)
    assert statuses(service.database) == [Status.SENT] * 100


@both_lanes
def test_the_envelope_sender_names_the_delivery_where_bounces_are_read(
    sink: Sink, serve: Callable[..., Parts], clock: Clock, lane: Lane
) -> None:
    service = serve(sink, bounce_address="bounces@news.example.org")
    owe(service.database, "ada@example.org", lane=lane)
    senders_of(service, clock).run(lane)
    [mail] = sink.wait_for(1)
    delivery_id = rows(service.database)["ada@example.org"].id
    assert mail.envelope_sender.startswith(f"bounces+{delivery_id:x}.")
    assert mail.envelope_sender.endswith("@news.example.org")


# In threads


def test_sign_in_mail_does_not_wait_behind_a_digest_that_hangs(sink: Sink, serve: Callable[..., Parts]) -> None:
    service = serve(sink, mail_timeout=3)
    senders = senders_of(service, utcnow)
    sink.answer("dot", Do.HANG, recipient="digest@example.org")
    owe(service.database, "digest@example.org")
    threads = SenderThreads(senders.single, senders.bulk)
    threads.start()
    sink.wait_for(1)
    owe(service.database, "sign-in@example.org", lane=Lane.TRANSACTIONAL)
    threads.wake()
    assert sink.wait_for(2)[1].recipients == ("sign-in@example.org",)
    assert rows(service.database)["digest@example.org"].status == Status.CLAIMED
    assert threads.stop(timeout=10)


def test_threads_send_what_is_owed_until_they_are_stopped(sink: Sink, service: Parts) -> None:
    senders = senders_of(service, utcnow)
    threads = SenderThreads(senders.single, senders.bulk)
    threads.start()
    owe(service.database, *readers(30))
    owe(service.database, "sign-in@example.org", lane=Lane.TRANSACTIONAL)
    threads.wake()
    sink.wait_for(31)
    assert threads.stop(timeout=10)
    owe(service.database, "too-late@example.org", subject_id="8")
    owe(service.database, "as-late@example.org", lane=Lane.TRANSACTIONAL)
    threads.wake()
    assert Counter(statuses(service.database)) == {Status.SENT: 31, Status.PENDING: 2}


def test_a_stop_waits_no_longer_than_it_was_told(sink: Sink, serve: Callable[..., Parts]) -> None:
    sink.answer("dot", Do.HANG)
    service = serve(sink, mail_timeout=3)
    senders = senders_of(service, utcnow)
    owe(service.database, *readers(SMALLEST_BATCH * 3))
    owe(service.database, "sign-in@example.org", lane=Lane.TRANSACTIONAL)
    threads = SenderThreads(senders.single, senders.bulk)
    threads.start()
    threads.wake()
    sink.wait_for(2)
    assert not threads.stop(timeout=0.2)
    assert threads.stop(timeout=10)
    assert Counter(statuses(service.database)) == {Status.UNKNOWN: 2, Status.PENDING: SMALLEST_BATCH * 3 - 1}
