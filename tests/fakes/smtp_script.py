"""A mail server without a socket: bytes in, bytes out, misbehaving as its script says."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from newsletter_svc.mail.bulk.protocol import Conversation, Wait

GOOD = {
    "banner": "220 sink.example ESMTP",
    "mail": "250 2.1.0 Ok",
    "rcpt": "250 2.1.5 Ok",
    "data": "354 go on",
    "dot": "250 2.0.0 Ok: queued",
    "rset": "250 2.0.0 Ok",
    "quit": "221 2.0.0 Bye",
    "helo": "250 sink.example",
    "starttls": "220 2.0.0 Ready",
    "auth": "235 2.7.0 Welcome",
}


class Decide(Protocol):
    """Says what is answered at a stage; None for what a good server says, "" for nothing, now and ever after.

    `CLOSE` at the end of an answer closes the connection after it.
    """

    def __call__(self, stage: str, recipient: str) -> str | None: ...


class Hear(Protocol):
    """Hears of each mail whose dot came: for whom, its content, and what was answered (None for nothing at all)."""

    def __call__(self, recipient: str, content: bytes, answer: str | None) -> object: ...


def hear_nothing(recipient: str, content: bytes, answer: str | None) -> None: ...


CLOSE = "<close>"


@dataclass
class ScriptedServer:
    """`accepted` holds the content of what it took, by recipient, whether or not it managed to say so."""

    decide: Decide
    features: tuple[str, ...] = ("PIPELINING", "SIZE 1000000", "8BITMIME", "ENHANCEDSTATUSCODES")
    goes_on_without_reader: bool = False
    """Answer DATA with 354 even when nobody was named."""
    close_after: int | None = None
    """Hang up without a word once so many mails were taken."""
    hear: Hear = hear_nothing
    accepted: dict[str, bytes] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    is_closed: bool = False
    is_hanging: bool = False
    is_pipelined: bool = False
    """Whether a client ever sent more than one command at once."""
    _buffer: bytes = b""
    _recipient: str | None = None
    _has_sender: bool = False
    _in_data: bool = False
    _replies: bytes = b""

    def greet(self) -> bytes:
        self._answer("banner")
        return self._flush()

    def receive(self, data: bytes) -> bytes:
        """Take what a client wrote and return the replies."""
        self._buffer += data
        answered = 0
        while not (self.is_closed or self.is_hanging) and (self._take_mail() if self._in_data else self._take_line()):
            answered += 1
        self.is_pipelined |= answered > 2
        return self._flush()

    def _take_line(self) -> bool:
        line, end, rest = self._buffer.partition(b"\r\n")
        if not end:
            return False
        self._buffer = rest
        self.commands.append(line.decode("ascii"))
        verb = line.split(b" ")[0].decode("ascii").lower()
        getattr(self, f"_on_{verb}", self._on_other)(line.decode("ascii"))
        return True

    def _take_mail(self) -> bool:
        content, end, rest = (b"\r\n" + self._buffer).partition(b"\r\n.\r\n")
        if not end:
            return False
        self._buffer = rest
        self._in_data = False
        content = (content + b"\r\n").replace(b"\r\n..", b"\r\n.").removeprefix(b"\r\n")
        recipient, self._recipient, self._has_sender = self._recipient, None, False
        if recipient is None:
            self._say("554 5.5.1 no valid recipients")
            return True
        self.commands.append(f"DOT {recipient}")
        answer = self.decide("dot", recipient)
        said = (GOOD["dot"] if answer is None else answer).removesuffix(CLOSE)
        self.hear(recipient, content, said or None)
        if answer is None or answer.startswith(("2", CLOSE)) or answer == "":
            assert recipient not in self.accepted, f"{recipient} was sent the same mail twice on one connection"
            self.accepted[recipient] = content
        self._say(GOOD["dot"] if answer is None else answer)
        self.is_closed |= len(self.accepted) == self.close_after
        return True

    def _on_ehlo(self, line: str) -> None:
        self._answer("ehlo", "\r\n".join(["250-sink.example", *(f"250-{word}" for word in self.features), "250 HELP"]))

    def _on_helo(self, line: str) -> None:
        self._answer("helo")

    def _on_starttls(self, line: str) -> None:
        self._answer("starttls")

    def _on_auth(self, line: str) -> None:
        self._answer("auth")

    def _on_mail(self, line: str) -> None:
        self._has_sender = self._answer("mail").startswith("2")

    def _on_rcpt(self, line: str) -> None:
        recipient = line.removeprefix("RCPT TO:<").removesuffix(">")
        if not self._has_sender:
            self._say("503 5.5.1 need MAIL first")
        elif self._answer("rcpt", recipient=recipient).startswith("2"):
            self._recipient = recipient

    def _on_data(self, line: str) -> None:
        if self._recipient is None and not self.goes_on_without_reader:
            self._say("503 5.5.1 need RCPT first")
            return
        self._in_data = self._answer("data", recipient=self._recipient or "").startswith("354")

    def _on_rset(self, line: str) -> None:
        self._recipient, self._has_sender = None, False
        self._answer("rset")

    def _on_quit(self, line: str) -> None:
        self._answer("quit")
        self.is_closed = True

    def _on_other(self, line: str) -> None:
        self._say(self.decide("other", line) or "500 5.5.2 what?")

    def _answer(self, stage: str, usual: str | None = None, *, recipient: str = "") -> str:
        answer = self.decide(stage, recipient)
        if answer is None:
            answer = usual or GOOD[stage]
        self._say(answer)
        return answer

    def _say(self, answer: str) -> None:
        words = answer.removesuffix(CLOSE)
        if words:
            self._replies += words.encode("latin-1") + b"\r\n"
        self.is_closed |= answer.endswith(CLOSE)
        self.is_hanging |= not answer

    def _flush(self) -> bytes:
        replies, self._replies = self._replies, b""
        return replies


Cut = Callable[[bytes], Iterator[bytes]]


def in_one(data: bytes) -> Iterator[bytes]:
    yield data


def octet_by_octet(data: bytes) -> Iterator[bytes]:
    for index in range(len(data)):
        yield data[index : index + 1]


def play(conversation: Conversation, server: ScriptedServer, *, cut: Cut = in_one) -> None:
    """Let the two talk until the conversation is over; who hangs is waited for in vain, who is idle may go."""
    arriving = list(cut(server.greet()))
    while not conversation.is_over:
        if arriving:
            conversation.receive(arriving.pop(0))
        elif server.is_closed:
            conversation.lost("closed")
        elif conversation.wants_tls:
            conversation.secured()
        elif conversation.waits_for is Wait.NOTHING:
            conversation.finish()
        else:
            conversation.lost("TimeoutError")
        if conversation.outbox and not conversation.is_over:
            written = b"".join(conversation.outbox)
            conversation.outbox.clear()
            if not server.is_closed:
                arriving.extend(cut(server.receive(written)))
    assert not conversation.outbox
