"""The state machine of pipelined SMTP against scripted servers: one outcome for each parcel, whatever happens."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter_svc.mail.bulk.parcels import RawReply, pack
from newsletter_svc.mail.bulk.protocol import Conversation, Wait
from newsletter_svc.mail.bulk.reading import ReplyReader
from newsletter_svc.mail.failures import (
    DeliveryError,
    OutcomeUnknown,
    PermanentRefusal,
    SenderRefused,
    ServerUnavailable,
    Stage,
    TransientRefusal,
)
from newsletter_svc.mail.message import OutgoingMessage
from newsletter_svc.mail.smtp_server import Security, SmtpServer
from tests.fakes.feed import RecordingFeed, parcels
from tests.fakes.smtp_script import CLOSE, Cut, ScriptedServer, in_one, octet_by_octet, play

SERVER = SmtpServer(host="mail.example", port=25, helo="news.example.org")
LOCK_STEP = ("SIZE 1000000",)
READER_2 = "reader2@example.org"


def script(answers: dict[str, str | list[str]], *, recipient: str | None = None):  # type: ignore[no-untyped-def]
    """Answer by stage: always the same, or one after the other and then well."""
    lists = {stage: list(given) for stage, given in answers.items() if isinstance(given, list)}

    def decide(stage: str, named: str) -> str | None:
        if recipient is not None and stage in ("rcpt", "data", "dot") and named != recipient:
            return None
        if stage in lists:
            return lists[stage].pop(0) if lists[stage] else None
        given = answers.get(stage)
        return given if isinstance(given, str) else None

    return decide


def carry(
    feed: RecordingFeed, server: ScriptedServer, *, to: SmtpServer = SERVER, limit: int | None = None, cut: Cut = in_one
) -> Conversation:
    conversation = Conversation(to, feed, limit=limit)
    play(conversation, server, cut=cut)
    check(feed, server)
    return conversation


def step(conversation: Conversation, server: ScriptedServer) -> None:
    written = b"".join(conversation.outbox)
    conversation.outbox.clear()
    conversation.receive(server.receive(written))


def check(feed: RecordingFeed, server: ScriptedServer) -> None:
    """What the server took is what we know of, except where we say that we do not know."""
    feed.check_law()
    took = {int(recipient.removeprefix("reader").partition("@")[0]) for recipient in server.accepted}
    assert set(feed.accepted_replies) <= took
    assert took <= set(feed.accepted_replies) | set(feed.unknowns)
    sent = {f"reader{parcel.key}@example.org": parcel.content for parcel in parcels(10)}
    assert all(sent[recipient] == content for recipient, content in server.accepted.items())


@pytest.mark.parametrize("cut", [in_one, octet_by_octet])
@pytest.mark.parametrize("features", [("PIPELINING", "SIZE 1000000"), LOCK_STEP, ()])
def test_every_parcel_arrives_in_order(features: tuple[str, ...], cut: Cut) -> None:
    feed = RecordingFeed(parcels(4))
    server = ScriptedServer(script({}), features=features)
    conversation = carry(feed, server, cut=cut)
    assert list(feed.accepted_replies) == [1, 2, 3, 4]
    assert feed.accepted_replies[1] == RawReply(250, b"2.0.0 Ok: queued")
    assert conversation.failure is None
    assert server.commands[-1] == "QUIT"
    assert server.is_pipelined == ("PIPELINING" in features)


def test_the_next_parcels_commands_ride_on_the_body() -> None:
    feed = RecordingFeed(parcels(2))
    conversation = Conversation(SERVER, feed)
    server = ScriptedServer(script({}))
    conversation.receive(server.greet())
    step(conversation, server)  # EHLO
    step(conversation, server)  # the first commands
    packet = b"".join(conversation.outbox)
    first, second = parcels(2)
    assert packet.endswith(
        first.content
        + b".\r\nMAIL FROM:<%b> SIZE=%d\r\nRCPT TO:<%b>\r\nDATA\r\n"
        % (second.sender, len(second.content), second.recipient)
    )


def test_a_body_waits_for_its_354() -> None:
    feed = RecordingFeed(parcels(1))
    conversation = Conversation(SERVER, feed)
    conversation.receive(b"220 hello\r\n")
    conversation.receive(b"250-hello\r\n250 PIPELINING\r\n")
    conversation.outbox.clear()
    conversation.receive(b"250 ok\r\n250 ok\r\n35")
    assert conversation.outbox == []
    assert feed.intents == []
    conversation.receive(b"4 go\r\n")
    assert feed.intents == [1]
    assert conversation.outbox[-1] == b".\r\n"


FAULTS: list[tuple[str, str, type[DeliveryError], Stage]] = [
    ("rcpt", "550 5.1.1 no such user", PermanentRefusal, Stage.RCPT),
    ("rcpt", "450 4.2.0 later", TransientRefusal, Stage.RCPT),
    ("rcpt", "550-5.1.1 no\r\n550 5.1.1 such user", PermanentRefusal, Stage.RCPT),
    ("data", "451 4.3.0 later", TransientRefusal, Stage.DATA),
    ("data", "554 5.7.1 no", PermanentRefusal, Stage.DATA),
    ("dot", "552 5.3.4 too big", PermanentRefusal, Stage.DOT),
    ("dot", "451 4.7.1 later", TransientRefusal, Stage.DOT),
]


@pytest.mark.parametrize("features", [("PIPELINING",), LOCK_STEP])
@pytest.mark.parametrize("goes_on", [False, True])
@pytest.mark.parametrize("cut", [in_one, octet_by_octet])
@pytest.mark.parametrize(("stage", "answer", "failure", "at"), FAULTS)
def test_a_refusal_is_one_readers_and_the_others_proceed(
    stage: str,
    answer: str,
    failure: type[DeliveryError],
    at: Stage,
    cut: Cut,
    goes_on: bool,
    features: tuple[str, ...],
) -> None:
    feed = RecordingFeed(parcels(4))
    decide = script({stage: answer}, recipient=READER_2)
    server = ScriptedServer(decide, features=features, goes_on_without_reader=goes_on)
    conversation = carry(feed, server, cut=cut)
    assert list(feed.accepted_replies) == [1, 3, 4]
    assert isinstance(feed.refusals[2], failure)
    assert feed.refusals[2].stage is at
    assert feed.refusals[2].code == int(answer[:3])
    assert conversation.failure is None
    assert "RSET" in server.commands or stage == "dot"
    assert conversation.carried == 4


def test_who_is_refused_is_not_named_in_what_is_kept() -> None:
    feed = RecordingFeed(parcels(2))
    carry(feed, ScriptedServer(script({"rcpt": f"550 5.1.1 <{READER_2}>: unknown"}, recipient=READER_2)))
    assert feed.refusals[2].text == "550 5.1.1 <…>: unknown"


def test_the_first_reader_of_all_may_be_refused() -> None:
    feed = RecordingFeed(parcels(3))
    carry(feed, ScriptedServer(script({"rcpt": ["550 5.1.1 no", "550 5.1.1 no"]}), goes_on_without_reader=True))
    assert list(feed.refusals) == [1, 2]
    assert list(feed.accepted_replies) == [3]


@pytest.mark.parametrize("features", [("PIPELINING",), LOCK_STEP])
@pytest.mark.parametrize(
    ("stage", "returned", "accepted"),
    [("mail", [2], [1]), ("rcpt", [2], [1]), ("data", [2], [1]), ("dot", [2, 3], [1])],
)
def test_a_421_gives_back_what_was_not_accepted(
    stage: str, returned: list[int], accepted: list[int], features: tuple[str, ...]
) -> None:
    feed = RecordingFeed(parcels(4))
    good = {"mail": ["250 ok"], "rcpt": ["250 ok"], "data": ["354 go"], "dot": ["250 ok"]}[stage]
    server = ScriptedServer(script({stage: [*good, "421 4.3.2 closing" + CLOSE]}), features=features)
    conversation = carry(feed, server)
    assert list(feed.accepted_replies) == accepted
    assert list(feed.returns) == returned
    assert isinstance(conversation.failure, ServerUnavailable)
    assert feed.refusals == feed.unknowns == {}


def test_a_421_that_nothing_asked_for_ends_an_idle_connection() -> None:
    feed = RecordingFeed([], is_open=True)
    conversation = Conversation(SERVER, feed)
    conversation.receive(b"220 hello\r\n")
    conversation.receive(b"250 hello\r\n")
    assert conversation.waits_for is Wait.NOTHING
    conversation.receive(b"421 4.4.2 you are slow\r\n")
    assert conversation.is_over
    assert isinstance(conversation.failure, ServerUnavailable)


def test_a_reply_before_its_command_is_never_taken_for_its_reply() -> None:
    feed = RecordingFeed(parcels(1))
    conversation = Conversation(SERVER, feed)
    conversation.receive(b"220 hello\r\n")
    conversation.receive(b"250-hello\r\n250 PIPELINING\r\n")
    # The second 250 arrives before the body was written: nobody can have accepted it.
    conversation.receive(b"250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n")
    assert conversation.is_over
    assert feed.intents == []
    assert list(feed.returns) == [1]
    feed.check_law()


@pytest.mark.parametrize("words", ["", CLOSE, "hello", "250", "999 what", "354 go on", "x" * 3000, "250-a\r\n251 b"])
def test_only_a_reply_to_the_dot_decides(words: str) -> None:
    feed = RecordingFeed(parcels(3))
    carry(feed, ScriptedServer(script({"dot": ["250 ok", words]})))
    if words == "250":
        assert list(feed.accepted_replies) == [1, 2, 3]
        return
    assert list(feed.accepted_replies) == [1]
    assert list(feed.unknowns) == [2]
    assert list(feed.returns) == [3]


@pytest.mark.parametrize(
    ("stage", "answer"),
    [("mail", "550 5.7.1 not you"), ("rcpt", "530 5.7.0 sign in"), ("dot", "535 5.7.8 no"), ("mail", "553 5.7.1 no")],
)
def test_a_refusal_of_us_ends_the_connection_and_blames_no_reader(stage: str, answer: str) -> None:
    feed = RecordingFeed(parcels(3))
    conversation = carry(feed, ScriptedServer(script({stage: [answer]})))
    assert isinstance(conversation.failure, SenderRefused)
    assert feed.refusals == feed.accepted_replies == {}
    assert 1 in feed.returns


def test_a_server_that_closes_after_some_messages_loses_none() -> None:
    feed = RecordingFeed(parcels(5))
    carry(feed, ScriptedServer(script({"dot": ["250 ok", "250 ok" + CLOSE]})))
    assert list(feed.accepted_replies) == [1, 2]
    assert list(feed.returns) == [3]
    assert [parcel.key for parcel in feed.waiting] == [4, 5]


@pytest.mark.parametrize("features", [("PIPELINING",), LOCK_STEP])
def test_it_says_goodbye_after_its_limit(features: tuple[str, ...]) -> None:
    feed = RecordingFeed(parcels(5))
    server = ScriptedServer(script({}), features=features)
    conversation = carry(feed, server, limit=2)
    assert list(feed.accepted_replies) == [1, 2]
    assert len(feed.waiting) == 3
    assert server.commands[-1] == "QUIT"
    assert conversation.failure is None


def test_what_is_larger_than_the_server_takes_is_not_offered() -> None:
    small, large = parcels(2)
    large = large._replace(content=large.content * 100)
    feed = RecordingFeed([large, small])
    server = ScriptedServer(script({}), features=("PIPELINING", "SIZE 1000"))
    carry(feed, server)
    assert str(feed.refusals[2].reply).startswith("552 5.3.4")
    assert list(feed.accepted_replies) == [1]
    assert not any("reader2" in command for command in server.commands)


@pytest.mark.parametrize("features", [("PIPELINING",), LOCK_STEP])
def test_finishing_lets_the_one_in_flight_end_and_gives_the_next_one_back(features: tuple[str, ...]) -> None:
    feed = RecordingFeed(parcels(5))
    conversation = Conversation(SERVER, feed)

    def decide(stage: str, recipient: str) -> str | None:
        if stage == "dot" and recipient == READER_2:
            conversation.finish()
        return None

    server = ScriptedServer(decide, features=features)
    play(conversation, server)
    check(feed, server)
    assert list(feed.accepted_replies) == [1, 2]
    assert list(feed.returns) == [3]
    assert conversation.failure is None


def test_an_idle_connection_takes_what_comes_later() -> None:
    feed = RecordingFeed([], is_open=True)
    conversation = Conversation(SERVER, feed)
    server = ScriptedServer(script({}))
    conversation.receive(server.greet())
    step(conversation, server)
    feed.waiting = parcels(1)
    conversation.wake()
    conversation.wake()
    step(conversation, server)
    step(conversation, server)
    check(feed, server)
    assert list(feed.accepted_replies) == [1]


@pytest.mark.parametrize(
    ("answers", "stage"),
    [
        ({"banner": "554 go away" + CLOSE}, Stage.CONNECT),
        ({"banner": "421 busy" + CLOSE}, Stage.CONNECT),
        ({"banner": "SSH-2.0-OpenSSH_9.2"}, Stage.CONNECT),
        ({"banner": ""}, Stage.CONNECT),
        ({"ehlo": "421 busy" + CLOSE}, Stage.CONNECT),
        ({"ehlo": "500 what?", "helo": "500 what?"}, Stage.CONNECT),
    ],
)
def test_a_bad_beginning_touches_no_parcel(answers: dict[str, str | list[str]], stage: Stage) -> None:
    feed = RecordingFeed(parcels(2))
    conversation = carry(feed, ScriptedServer(script(answers)))
    assert isinstance(conversation.failure, ServerUnavailable)
    assert conversation.failure.stage is stage
    assert feed.taken == []


def test_an_old_server_is_asked_with_helo() -> None:
    feed = RecordingFeed(parcels(2))
    server = ScriptedServer(script({"ehlo": "502 5.5.1 what?"}))
    carry(feed, server)
    assert list(feed.accepted_replies) == [1, 2]
    assert "MAIL FROM:<bounces+1@news.example.org>" in server.commands


def starttls(**changes: object) -> SmtpServer:
    given = {"host": "mail.example", "port": 25, "helo": "news.example.org", "security": Security.STARTTLS, **changes}
    return SmtpServer(**given)  # type: ignore[arg-type]


def test_nothing_is_said_in_the_clear_when_encryption_is_asked_for() -> None:
    feed = RecordingFeed(parcels(1))
    server = ScriptedServer(script({}), features=("PIPELINING",))
    conversation = carry(feed, server, to=starttls(username="ada", password="secret"))
    assert server.commands == ["EHLO news.example.org"]
    assert isinstance(conversation.failure, ServerUnavailable)
    assert conversation.failure.stage is Stage.TLS


@pytest.mark.parametrize("answer", ["454 4.7.0 not now", "500 what?", "220 go\r\n250 injected"])
def test_a_refused_or_forged_starttls_ends_the_connection(answer: str) -> None:
    feed = RecordingFeed(parcels(1))
    server = ScriptedServer(script({"starttls": answer}), features=("STARTTLS", "PIPELINING"))
    conversation = carry(feed, server, to=starttls())
    assert server.commands == ["EHLO news.example.org", "STARTTLS"]
    assert isinstance(conversation.failure, ServerUnavailable)
    assert feed.taken == []


def test_a_beginning_of_words_behind_starttls_is_forged_too() -> None:
    conversation = Conversation(starttls(), RecordingFeed(parcels(1)))
    conversation.receive(b"220 hello\r\n")
    conversation.receive(b"250-hello\r\n250 STARTTLS\r\n")
    conversation.receive(b"220 go\r\n250 inj")
    assert conversation.is_over


def test_encryption_that_comes_too_late_starts_nothing() -> None:
    conversation = Conversation(starttls(), RecordingFeed(parcels(1)))
    conversation.receive(b"220 hello\r\n")
    conversation.receive(b"250-hello\r\n250 STARTTLS\r\n")
    conversation.receive(b"220 go\r\n")
    conversation.finish()
    conversation.secured()
    assert conversation.outbox == []


def test_after_encryption_the_server_is_asked_again_and_signed_in_to() -> None:
    feed = RecordingFeed(parcels(1))
    server = ScriptedServer(script({}), features=("STARTTLS", "AUTH PLAIN LOGIN"))
    carry(feed, server, to=starttls(username="ada", password="secret"))
    assert server.commands[:4] == [
        "EHLO news.example.org",
        "STARTTLS",
        "EHLO news.example.org",
        "AUTH PLAIN AGFkYQBzZWNyZXQ=",
    ]
    assert list(feed.accepted_replies) == [1]


def test_login_asks_for_name_and_password_one_by_one() -> None:
    feed = RecordingFeed(parcels(1))

    def decide(stage: str, said: str) -> str | None:
        return {"auth": "334 VXNlcm5hbWU6", "YWRh": "334 UGFzc3dvcmQ6", "c2VjcmV0": "235 2.7.0 welcome"}.get(
            said if stage == "other" else stage
        )

    to = SmtpServer(host="mail.example", port=25, helo="news.example.org", username="ada", password="secret")
    carry(feed, ScriptedServer(decide, features=("AUTH=LOGIN",)), to=to)
    assert list(feed.accepted_replies) == [1]


@pytest.mark.parametrize(
    ("changes", "features", "answer", "failure"),
    [
        ({}, ("AUTH PLAIN",), "535 5.7.8 ada: wrong", SenderRefused),
        ({}, ("AUTH PLAIN",), "454 4.7.0 later", ServerUnavailable),
        ({}, ("AUTH PLAIN",), "nonsense", ServerUnavailable),
        ({}, ("AUTH CRAM-MD5",), "235 ok", SenderRefused),
        ({"password": "pässword"}, ("AUTH PLAIN",), "235 ok", SenderRefused),
        ({"password": "a\0b"}, ("AUTH PLAIN",), "235 ok", SenderRefused),
    ],
)
def test_a_failed_sign_in_sends_nothing_and_tells_no_secret(
    changes: dict[str, str], features: tuple[str, ...], answer: str, failure: type[DeliveryError]
) -> None:
    given = {"host": "mail.example", "port": 25, "helo": "news.example.org", "username": "ada", "password": "secret"}
    feed = RecordingFeed(parcels(1))
    server = ScriptedServer(script({"auth": answer}), features=features)
    conversation = carry(feed, server, to=SmtpServer(**{**given, **changes}))  # type: ignore[arg-type]
    assert isinstance(conversation.failure, failure)
    assert conversation.failure.stage is Stage.AUTH
    assert "ada" not in conversation.failure.text
    assert feed.taken == []


def test_an_unanswered_dot_is_told_from_an_unanswered_command() -> None:
    feed = RecordingFeed(parcels(3))
    conversation = carry(feed, ScriptedServer(script({"dot": [""]})))
    assert list(feed.unknowns) == [1]
    assert isinstance(feed.unknowns[1], OutcomeUnknown)
    assert feed.unknowns[1].cause == "TimeoutError"
    assert list(feed.returns) == [2]
    assert conversation.carried == 0


@settings(max_examples=500)
@given(data=st.data())
def test_whatever_a_server_does_each_parcel_ends_once(data: st.DataObject) -> None:
    """The outcome law: what was accepted is what the server took, except for what is named unknown."""
    good = data.draw(st.integers(60, 100), label="how well it behaves, in percent")
    odd = st.sampled_from(
        [
            "", CLOSE, "421 4.3.2 bye", "421 4.3.2 bye" + CLOSE, "450 4.2.0 later", "451-4.7.1 a\r\n451 4.7.1 b",
            "550 5.1.1 no", "552 5.3.4 big", "530 5.7.0 auth", "hello", "250 ok", "250 ok" + CLOSE, "354 go", "220 x",
        ]
    )  # fmt: skip

    def decide(stage: str, recipient: str) -> str | None:
        return None if data.draw(st.integers(1, 100)) <= good else data.draw(odd)

    def cut(replies: bytes):  # type: ignore[no-untyped-def]
        points = sorted(data.draw(st.lists(st.integers(0, len(replies)), max_size=3)))
        for start, end in zip([0, *points], [*points, len(replies)], strict=True):
            yield replies[start:end]

    server = ScriptedServer(
        decide,
        features=data.draw(st.sampled_from([("PIPELINING", "SIZE"), LOCK_STEP, ()])),
        goes_on_without_reader=data.draw(st.booleans()),
    )
    feed = RecordingFeed(parcels(data.draw(st.integers(0, 6))))
    carry(feed, server, limit=data.draw(st.sampled_from([None, 1, 3])), cut=cut)


def test_every_cut_of_a_servers_bytes_gives_the_same_story() -> None:
    def story(cut: Cut) -> list[tuple[str, int]]:
        answers = {"550 5.1.1 no": 2, "250-first\r\n250 second": 3, "451 4.3.0 later": 4}
        by_reader = {f"reader{number}@example.org": answer for answer, number in answers.items()}

        def decide(stage: str, recipient: str) -> str | None:
            return by_reader.get(recipient) if stage == ("rcpt" if recipient == READER_2 else "dot") else None

        feed = RecordingFeed(parcels(5))
        carry(feed, ScriptedServer(decide, goes_on_without_reader=True), cut=cut)
        return feed.events

    expected = story(in_one)
    assert story(octet_by_octet) == expected
    for width in range(1, 140):
        assert story(lambda data, width=width: iter([data[:width], data[width:]])) == expected  # type: ignore[misc]
        assert story(lambda data, width=width: (data[at : at + width] for at in range(0, len(data), width))) == expected  # type: ignore[misc]


words = st.text(st.characters(codec="ascii", exclude_characters="\r\n"), max_size=40)
reply = st.tuples(st.integers(200, 599), st.lists(words, min_size=1, max_size=4))


def on_the_wire(code: int, lines: list[str]) -> bytes:
    *earlier, last = lines
    return "".join([*(f"{code}-{line}\r\n" for line in earlier), f"{code} {last}\r\n"]).encode()


@given(texts=st.lists(reply, max_size=6), cuts=st.lists(st.integers(1, 30), max_size=20))
def test_replies_are_read_the_same_however_they_are_cut(texts: list[tuple[int, list[str]]], cuts: list[int]) -> None:
    wire = b"".join(on_the_wire(code, lines) for code, lines in texts)
    reader, found = ReplyReader(), []
    for width in [*cuts, len(wire)]:
        found += reader.feed(wire[:width])
        wire = wire[width:]
    assert found == [RawReply(code, "\n".join(lines).encode()) for code, lines in texts]
    assert reader.is_empty


NONSENSE = [b"x" * 5000, b"250-" + b"x" * 1000 + b"\r\n", b"\0\r\n", b"25 ok\r\n", b"250x\r\n"]


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_nonsense_costs_no_memory_and_is_told_once(nonsense: bytes) -> None:
    reader = ReplyReader()
    assert reader.feed(b"250 ok\r\n") == [RawReply(250, b"ok")]
    found = [reply for _ in range(100) for reply in reader.feed(nonsense)]
    assert found == [RawReply(0, b"")]
    assert len(reader._rest) + sum(map(len, reader._earlier)) < 20_000


@given(lines=st.lists(st.text(st.sampled_from("a."), max_size=4), max_size=8))
def test_what_is_packed_arrives_as_it_was(lines: list[str]) -> None:
    content = "\r\n".join(lines).encode()
    message = OutgoingMessage("bounces+1@news.example.org", "reader1@example.org", "<1@news.example.org>", content)
    server = ScriptedServer(script({}))
    play(Conversation(SERVER, RecordingFeed([pack(1, message)])), server)
    arrived = server.accepted["reader1@example.org"]
    assert arrived == (content if content.endswith(b"\r\n") else content + b"\r\n")
