"""The sender against a real mail server: what each fault makes of the ledger, and what the server received."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter_svc.app import create_app
from newsletter_svc.clock import utcnow
from newsletter_svc.db import Database
from newsletter_svc.delivery import ledger
from newsletter_svc.delivery.models import Delivery, Lane, Status, Suppression
from newsletter_svc.delivery.sender import BATCHES, Sender
from newsletter_svc.jobs.threads import SenderThreads
from newsletter_svc.mail.message import Letter, Mailbox, OutgoingMessage, Rendered, Stream, nothing
from newsletter_svc.parts import Parts
from newsletter_svc.settings import Settings
from newsletter_svc.web.state import EXTENSION
from tests.fakes.smtp import Do, Received, Sink

KIND = "note"
POISON = "poison@example.org"


@dataclass
class Clock:
    """The sender's clock, which a test turns forward."""

    time: datetime

    def __call__(self) -> datetime:
        return self.time

    def turn(self, by: timedelta) -> None:
        self.time += by


def write_note(session: Session, delivery: Delivery, *, now: datetime) -> Letter:
    """A letter function as features hand them over; one reader's name is half a character."""
    name = "\ud800" if delivery.recipient == POISON else "Ada"
    rendered = Rendered(f"Note {delivery.subject_id}", f"Good morning, {name}\n", f"<p>Good morning, {name}</p>")
    return Letter(Mailbox(delivery.recipient, name), rendered, Stream.DIGEST)


@pytest.fixture
def clock() -> Clock:
    return Clock(utcnow())


@pytest.fixture
def service(sink: Sink, settings: Settings) -> Iterator[Parts]:
    app = create_app(replace(settings, mail_server="127.0.0.1", mail_port=sink.port, mail_timeout=0.5))
    parts: Parts = app.extensions[EXTENSION]
    yield parts
    parts.database.dispose()


@pytest.fixture
def sender(service: Parts, clock: Clock) -> Sender:
    return replace(service.sender, letters={KIND: write_note}, wanted={}, now=clock, stopping=threading.Event())


def readers(count: int) -> list[str]:
    return [f"reader{number:03}@example.org" for number in range(count)]


def send_due(sender: Sender, lane: Lane) -> int:
    """Run rounds until one handles nothing; sign-in mail goes one in a round."""
    return sum(iter(lambda: sender.run_round(lane).handled, 0))


def owe(database: Database, *recipients: str, lane: Lane = Lane.BULK, due_at: datetime | None = None) -> None:
    with database.transaction() as session:
        for recipient in recipients:
            ledger.enqueue(
                session,
                key=f"{KIND}:{recipient}",
                kind=KIND,
                lane=lane,
                recipient=recipient,
                subscriber_id=None,
                subject_id="7",
                message_domain="news.example.org",
                now=due_at or utcnow() - timedelta(minutes=1),
            )


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


def test_what_is_owed_is_sent_and_the_servers_answer_is_kept(sink: Sink, service: Parts, sender: Sender) -> None:
    owe(service.database, *readers(3))
    assert sender.run_round(Lane.BULK).handled == 3
    mails = {mail.recipients[0]: mail for mail in sink.wait_for(3)}
    for recipient, row in rows(service.database).items():
        assert row.status == Status.SENT
        assert row.reply == mails[recipient].answer
        assert row.attempts == 1
        assert row.finished_at is not None
        assert mails[recipient].message["Message-ID"] == row.message_id
    assert sink.connections == 1
    assert sender.run_round(Lane.BULK).handled == 0


def test_nothing_is_sent_without_a_claim_that_everybody_can_see(sink: Sink, service: Parts, sender: Sender) -> None:
    seen: list[Status] = []

    def look(session: Session, delivery: Delivery, *, now: datetime) -> Letter:
        other = Database(service.settings.database_url)
        seen.extend(statuses(other))
        other.dispose()
        return write_note(session, delivery, now=now)

    owe(service.database, "ada@example.org")
    replace(sender, letters={KIND: look}).run_round(Lane.BULK)
    assert seen == [Status.CLAIMED]


def test_while_the_server_is_slow_no_transaction_is_open(sink: Sink, service: Parts, sender: Sender) -> None:
    sink.answer("dot", Do.HANG, times=1)
    owe(service.database, "ada@example.org")
    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(sender.run_round, Lane.BULK)
        sink.wait_for(1)
        with service.database.transaction() as session:
            assert session.scalars(select(Delivery.status)).one() == Status.CLAIMED
        going.result()


def test_a_passing_refusal_is_tried_again_with_the_same_message_id(
    sink: Sink, service: Parts, sender: Sender, clock: Clock
) -> None:
    sink.answer("rcpt", "450 4.2.0 greylisted, try later", recipient="ada@example.org", times=1)
    owe(service.database, "ada@example.org", "bob@example.org")
    sender.run_round(Lane.BULK)
    waiting = rows(service.database)["ada@example.org"]
    assert (waiting.status, waiting.reason, waiting.attempts) == (Status.RETRY, "4.2.0", 1)
    assert waiting.reply == "450 4.2.0 greylisted, try later"
    assert waiting.due_at == clock() + timedelta(minutes=30)
    assert rows(service.database)["bob@example.org"].status == Status.SENT
    assert sender.run_round(Lane.BULK).handled == 0
    clock.turn(timedelta(minutes=30))
    sender.run_round(Lane.BULK)
    assert statuses(service.database) == [Status.SENT, Status.SENT]
    assert sink.wait_for(2)[1].message["Message-ID"] == waiting.message_id
    assert suppressed(service.database) == {}


def test_sign_in_mail_is_tried_again_after_seconds(sink: Sink, service: Parts, sender: Sender, clock: Clock) -> None:
    sink.answer("rcpt", "451 4.7.1 greylisted", times=1)
    owe(service.database, "ada@example.org", lane=Lane.TRANSACTIONAL)
    sender.run_round(Lane.TRANSACTIONAL)
    assert rows(service.database)["ada@example.org"].due_at == clock() + timedelta(seconds=15)


def test_a_passing_refusal_is_given_up_after_three_days(
    sink: Sink, service: Parts, sender: Sender, clock: Clock
) -> None:
    sink.answer("rcpt", "450 4.2.0 greylisted, try later")
    owe(service.database, "ada@example.org")
    attempts = 0
    while rows(service.database)["ada@example.org"].status in (Status.PENDING, Status.RETRY):
        clock.time = max(clock(), rows(service.database)["ada@example.org"].due_at)
        sender.run_round(Lane.BULK)
        attempts += 1
        assert attempts < 20
    given_up = rows(service.database)["ada@example.org"]
    assert (given_up.status, given_up.reason, given_up.attempts) == (Status.FAILED, "4.2.0", 8)
    assert suppressed(service.database) == {}


def test_a_missing_mailbox_is_never_written_to_again_and_the_next_reader_follows_on_the_same_connection(
    sink: Sink, service: Parts, sender: Sender
) -> None:
    sink.answer("rcpt", "550 5.1.1 <bob@example.org>: no such user", recipient="bob@example.org")
    owe(service.database, "ada@example.org", "bob@example.org", "cora@example.org")
    sender.run_round(Lane.BULK)
    assert statuses(service.database) == [Status.SENT, Status.FAILED, Status.SENT]
    failed = rows(service.database)["bob@example.org"]
    assert failed.reason == "5.1.1"
    assert failed.reply is not None
    assert "bob@" not in failed.reply
    assert suppressed(service.database) == {"bob@example.org": "hard_bounce 5.1.1"}
    assert sink.connections == 1


@pytest.mark.parametrize("stage", ["rcpt", "data", "dot"])
@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        ("552 5.3.4 message too big", Status.FAILED, "5.3.4"),
        ("552 5.2.2 mailbox full", Status.RETRY, "5.2.2"),
        ("550 5.7.1 we do not like you", Status.FAILED, "5.7.1"),
        ("554 no reason given", Status.FAILED, "554"),
        ("452 4.3.1 out of space", Status.RETRY, "4.3.1"),
    ],
)
def test_a_refusal_that_says_nothing_about_the_address_suppresses_nobody(
    sink: Sink, service: Parts, sender: Sender, stage: str, answer: str, status: Status, reason: str
) -> None:
    sink.answer(stage, answer, recipient="bob@example.org")
    owe(service.database, "bob@example.org", "cora@example.org")
    sender.run_round(Lane.BULK)
    assert statuses(service.database) == [status, Status.SENT]
    assert rows(service.database)["bob@example.org"].reason == reason
    assert suppressed(service.database) == {}


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
@pytest.mark.parametrize("lane", Lane)
def test_a_server_in_trouble_leaves_everything_owed_and_nobodys_attempts_counted(
    sink: Sink, service: Parts, sender: Sender, clock: Clock, trouble: Callable[[Sink], None], lane: Lane
) -> None:
    trouble(sink)
    owe(service.database, *readers(5), lane=lane)
    done = sender.run_round(lane)
    assert done.pause == timedelta(seconds=5)
    tried = list(rows(service.database).values())[: BATCHES[lane]]
    assert {(row.status, row.attempts) for row in tried} == {(Status.RETRY, 0)}
    assert {row.due_at for row in tried} == {clock() + done.pause}
    assert suppressed(service.database) == {}
    sink.behave()
    clock.turn(done.pause)
    assert send_due(sender, lane) == 5
    assert statuses(service.database) == [Status.SENT] * 5
    assert Counter(mail.recipients[0] for mail in accepted(sink)) == dict.fromkeys(readers(5), 1)


def test_a_server_that_stays_away_is_left_alone_ever_longer(
    sink: Sink, service: Parts, sender: Sender, clock: Clock
) -> None:
    refuse_connections(sink)
    owe(service.database, "ada@example.org")
    pauses = []
    for _ in range(6):
        pauses.append(sender.run_round(Lane.BULK).pause)
        clock.turn(pauses[-1])
    assert [pause.total_seconds() for pause in pauses] == [5, 15, 30, 60, 60, 60]
    sink.behave()
    sender.run_round(Lane.BULK)
    owe(service.database, "bob@example.org")
    refuse_connections(sink)
    sink.hang_up()  # Also on the connection that waits for a next mail.
    assert sender.run_round(Lane.BULK).pause == timedelta(seconds=5)


def test_nobody_listening_at_all_leaves_everything_owed(settings: Settings, clock: Clock) -> None:
    with Sink() as gone:
        port = gone.port
    app = create_app(replace(settings, mail_server="127.0.0.1", mail_port=port))
    parts: Parts = app.extensions[EXTENSION]
    sender = replace(parts.sender, letters={KIND: write_note}, wanted={}, now=clock)
    owe(parts.database, *readers(3))
    assert sender.run_round(Lane.BULK).pause == timedelta(seconds=5)
    assert {(row.status, row.attempts) for row in rows(parts.database).values()} == {(Status.RETRY, 0)}
    assert {row.reply for row in rows(parts.database).values()} == {"ConnectionRefusedError"}
    parts.database.dispose()


def test_trouble_in_mid_batch_keeps_what_was_sent_and_owes_the_rest(
    sink: Sink, service: Parts, sender: Sender, clock: Clock
) -> None:
    sink.answer("rcpt", "421 4.3.2 closing", recipient=readers(10)[4], times=1)
    owe(service.database, *readers(10))
    done = sender.run_round(Lane.BULK)
    assert done.handled == 4
    assert statuses(service.database) == [Status.SENT] * 4 + [Status.RETRY] * 6
    clock.turn(done.pause)
    sender.run_round(Lane.BULK)
    assert statuses(service.database) == [Status.SENT] * 10
    assert Counter(mail.recipients[0] for mail in accepted(sink)) == dict.fromkeys(readers(10), 1)


@pytest.mark.parametrize("messages", [1, 3])
def test_a_server_that_hangs_up_after_some_messages_loses_none(settings: Settings, clock: Clock, messages: int) -> None:
    with Sink(close_after=messages) as sink:
        app = create_app(replace(settings, mail_server="127.0.0.1", mail_port=sink.port))
        parts: Parts = app.extensions[EXTENSION]
        sender = replace(parts.sender, letters={KIND: write_note}, wanted={}, now=clock)
        owe(parts.database, *readers(10))
        assert sender.run_round(Lane.BULK).handled == 10
        assert statuses(parts.database) == [Status.SENT] * 10
        assert Counter(mail.recipients[0] for mail in accepted(sink)) == dict.fromkeys(readers(10), 1)
        parts.database.dispose()


@pytest.mark.parametrize("silence", [Do.HANG, Do.CLOSE])
@pytest.mark.parametrize(("lane", "wait"), [(Lane.BULK, 900), (Lane.TRANSACTIONAL, 60)])
def test_silence_after_the_dot_is_unknown_sent_once_more_and_then_left(
    sink: Sink, service: Parts, sender: Sender, clock: Clock, silence: Do, lane: Lane, wait: int
) -> None:
    sink.answer("dot", silence, recipient="ada@example.org")
    owe(service.database, "ada@example.org", "bob@example.org", lane=lane)
    assert send_due(sender, lane) == 2
    first = rows(service.database)["ada@example.org"]
    assert (first.status, first.reason, first.reply) == (Status.UNKNOWN, "no_reply", None)
    assert first.due_at == clock() + timedelta(seconds=wait)
    assert rows(service.database)["bob@example.org"].status == Status.SENT
    clock.turn(timedelta(seconds=wait - 1))
    assert sender.run_round(lane).handled == 0
    clock.turn(timedelta(seconds=1))
    assert sender.run_round(lane).handled == 1
    clock.turn(timedelta(days=30))
    assert sender.run_round(lane).handled == 0
    left = rows(service.database)["ada@example.org"]
    assert (left.status, left.attempts) == (Status.UNKNOWN, 2)
    to_ada = [mail.message["Message-ID"] for mail in sink.received if mail.recipients == ("ada@example.org",)]
    assert to_ada == [left.message_id] * 2
    assert suppressed(service.database) == {}


def test_an_unknown_delivery_that_is_accepted_the_second_time_is_sent(
    sink: Sink, service: Parts, sender: Sender, clock: Clock
) -> None:
    sink.answer("dot", Do.CLOSE, times=1)
    owe(service.database, "ada@example.org")
    sender.run_round(Lane.BULK)
    clock.turn(timedelta(seconds=900))
    sender.run_round(Lane.BULK)
    assert statuses(service.database) == [Status.SENT]


def test_an_unknown_delivery_stays_unknown_while_the_server_is_away(
    sink: Sink, service: Parts, sender: Sender, clock: Clock
) -> None:
    sink.answer("dot", Do.CLOSE, times=1)
    owe(service.database, "ada@example.org")
    sender.run_round(Lane.BULK)
    refuse_connections(sink)
    clock.turn(timedelta(seconds=900))
    clock.turn(sender.run_round(Lane.BULK).pause)
    sink.behave()
    sink.answer("dot", Do.CLOSE)
    sender.run_round(Lane.BULK)
    clock.turn(timedelta(days=1))
    assert sender.run_round(Lane.BULK).handled == 0
    assert statuses(service.database) == [Status.UNKNOWN]
    assert len(sink.received) == 2


def test_a_poisoned_letter_fails_alone(sink: Sink, service: Parts, sender: Sender) -> None:
    owe(service.database, "ada@example.org", POISON, "cora@example.org")
    assert sender.run_round(Lane.BULK).handled == 3
    assert statuses(service.database) == [Status.SENT, Status.FAILED, Status.SENT]
    assert rows(service.database)[POISON].reason == "unsendable: UnsendableMessage"
    assert len(sink.wait_for(2)) == 2


@pytest.mark.parametrize(
    "recipient", ["no-at-sign", "a@b\r\nRCPT TO:<eve@example.org>", "a b@example.org", "", "<a@b.org>"]
)
def test_an_address_that_is_none_fails_alone_and_reaches_no_server(
    sink: Sink, service: Parts, sender: Sender, recipient: str
) -> None:
    owe(service.database, recipient, "cora@example.org")
    sender.run_round(Lane.BULK)
    assert statuses(service.database) == [Status.FAILED, Status.SENT]
    assert not any("eve" in command for command in sink.commands)


def test_a_letter_that_cannot_be_written_is_our_fault_and_tried_again(
    sink: Sink, service: Parts, sender: Sender, clock: Clock
) -> None:
    owe(service.database, "ada@example.org")
    replace(sender, letters={}).run_round(Lane.BULK)
    row = rows(service.database)["ada@example.org"]
    assert (row.status, row.reason) == (Status.RETRY, "not_written: KeyError")
    clock.turn(row.due_at - clock())
    assert sender.run_round(Lane.BULK).handled == 1
    assert rows(service.database)["ada@example.org"].status == Status.SENT


@pytest.mark.parametrize(
    ("stage", "answer"),
    [
        ("mail", "530 5.7.0 sign in first"),
        ("mail", "550 5.7.1 sender not allowed"),
        ("rcpt", "530 5.7.0 sign in first"),
        ("data", "535 5.7.8 wrong password"),
    ],
)
def test_a_server_that_does_not_take_mail_from_us_stops_the_batch(
    sink: Sink, service: Parts, sender: Sender, clock: Clock, stage: str, answer: str
) -> None:
    sink.answer(stage, answer)
    owe(service.database, *readers(5))
    done = sender.run_round(Lane.BULK)
    assert (done.handled, done.pause) == (0, timedelta(minutes=1))
    assert {(row.status, row.attempts) for row in rows(service.database).values()} == {(Status.PENDING, 0)}
    assert sum(command.startswith("MAIL") for command in sink.commands) == 1
    assert suppressed(service.database) == {}
    sink.behave()
    clock.turn(done.pause)
    assert sender.run_round(Lane.BULK).handled == 5


@dataclass
class StoppingAfter:
    """A way out over which a process is told to end while its third mail is on its way."""

    sender: Sender
    mails: int
    carried: int = 0

    @contextmanager
    def connect(self) -> Iterator["StoppingAfter"]:
        with self.sender.transport.connect() as self.carrier:
            yield self

    def send(self, message: OutgoingMessage, *, before_dot: Callable[[], None] = nothing) -> str:
        self.carried += 1
        if self.carried == self.mails:
            self.sender.stopping.set()
        return self.carrier.send(message, before_dot=before_dot)


def test_a_stop_in_mid_batch_ends_what_is_in_flight_and_gives_the_rest_back(
    sink: Sink, service: Parts, sender: Sender
) -> None:
    owe(service.database, *readers(10))
    done = replace(sender, transport=StoppingAfter(sender, 3)).run_round(Lane.BULK)
    assert done.handled == 3
    assert statuses(service.database) == [Status.SENT] * 3 + [Status.PENDING] * 7
    assert {row.attempts for row in rows(service.database).values()} == {0, 1}
    assert [row.claimed_by for row in rows(service.database).values()] == [None] * 10


def test_a_batch_is_small(sink: Sink, service: Parts, sender: Sender) -> None:
    owe(service.database, *readers(BATCHES[Lane.BULK] + 5))
    assert [sender.run_round(Lane.BULK).handled for _ in range(3)] == [BATCHES[Lane.BULK], 5, 0]


def test_two_senders_at_once_send_each_message_once(sink: Sink, service: Parts, sender: Sender) -> None:
    owe(service.database, *readers(100))

    def run(one: Sender) -> int:
        handled = 0
        while done := one.run_round(Lane.BULK).handled:
            handled += done
        return handled

    with ThreadPoolExecutor(2) as pool:
        handled = list(pool.map(run, (sender, replace(sender))))
    assert sum(handled) + run(sender) == 100
    assert Counter(mail.recipients[0] for mail in accepted(sink)) == dict.fromkeys(readers(100), 1)
    assert statuses(service.database) == [Status.SENT] * 100


def test_the_envelope_sender_names_the_delivery_where_bounces_are_read(
    sink: Sink, service: Parts, sender: Sender
) -> None:
    owe(service.database, "ada@example.org")
    replace(sender, settings=replace(service.settings, bounce_address="bounces@news.example.org")).run_round(Lane.BULK)
    [mail] = sink.wait_for(1)
    delivery_id = rows(service.database)["ada@example.org"].id
    assert mail.envelope_sender.startswith(f"bounces+{delivery_id:x}.")
    assert mail.envelope_sender.endswith("@news.example.org")


def test_sign_in_mail_does_not_wait_behind_a_digest_that_hangs(sink: Sink, service: Parts, sender: Sender) -> None:
    app = create_app(replace(service.settings, mail_timeout=3, mail_connections=2))
    parts: Parts = app.extensions[EXTENSION]
    both = replace(parts.sender, letters={KIND: write_note}, wanted={}, stopping=threading.Event())
    sink.answer("dot", Do.HANG, recipient="digest@example.org")
    owe(service.database, "digest@example.org")
    threads = SenderThreads(both)
    threads.start()
    sink.wait_for(1)
    owe(service.database, "sign-in@example.org", lane=Lane.TRANSACTIONAL)
    threads.wake()
    assert sink.wait_for(2)[1].recipients == ("sign-in@example.org",)
    assert rows(parts.database)["digest@example.org"].status == Status.CLAIMED
    assert threads.stop(timeout=10)
    parts.database.dispose()


def test_threads_send_what_is_owed_until_they_are_stopped(sink: Sink, service: Parts, sender: Sender) -> None:
    threads = SenderThreads(replace(sender, now=utcnow))
    threads.start()
    owe(service.database, *readers(30))
    owe(service.database, "sign-in@example.org", lane=Lane.TRANSACTIONAL)
    threads.wake()
    sink.wait_for(31)
    assert threads.stop(timeout=10)
    owe(service.database, "too-late@example.org")
    threads.wake()
    assert Counter(statuses(service.database)) == {Status.SENT: 31, Status.PENDING: 1}


def test_a_stop_waits_no_longer_than_it_was_told(sink: Sink, service: Parts, sender: Sender) -> None:
    sink.answer("dot", Do.HANG)
    patient = create_app(replace(service.settings, mail_timeout=3))
    parts: Parts = patient.extensions[EXTENSION]
    owe(parts.database, *readers(BATCHES[Lane.BULK] * 3))
    owe(parts.database, "sign-in@example.org", lane=Lane.TRANSACTIONAL)
    threads = SenderThreads(replace(parts.sender, letters={KIND: write_note}, wanted={}, stopping=threading.Event()))
    threads.start()
    threads.wake()
    sink.wait_for(4)
    began = monotonic()
    assert not threads.stop(timeout=0.2)
    assert monotonic() - began < 0.8
    assert threads.stop(timeout=10)
    assert Counter(statuses(parts.database)) == {Status.UNKNOWN: 4, Status.PENDING: BATCHES[Lane.BULK] * 3 - 3}
    parts.database.dispose()
