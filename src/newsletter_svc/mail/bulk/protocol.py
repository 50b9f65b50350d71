"""One pipelined SMTP connection (RFC 5321, RFC 2920) as a state machine: bytes in, bytes out, no socket and no clock.

    write   MAIL RCPT DATA ............ [body, dot, MAIL RCPT DATA] ............ [body, dot] ........... QUIT
    read                 250 250 354                 250 (dot) 250 250 354                 250 (dot)          221
    parcel  "prepared"                  "in flight", the next one "prepared"

One recipient a transaction, the body only after its 354, and only one body unanswered: so at most one parcel of a
connection can end as unknown. A server without PIPELINING gets the same commands one by one.
"""

from enum import Enum, auto

from newsletter_svc.mail import replies
from newsletter_svc.mail.bulk.dialogue import Dialogue
from newsletter_svc.mail.bulk.handshake import Features, Upgrade, introduce
from newsletter_svc.mail.bulk.parcels import Feed, Parcel, RawReply
from newsletter_svc.mail.failures import (
    ConnectionClosed,
    DeliveryError,
    OutcomeUnknown,
    Refusal,
    ServerUnavailable,
    Stage,
)
from newsletter_svc.mail.refusals import NONSENSE, failure_at, too_large
from newsletter_svc.mail.smtp_server import SmtpServer


class Wait(Enum):
    """What a connection waits for, so that whoever has a clock knows how long that may take."""

    NOTHING = auto()
    REPLY = auto()
    DOT_REPLY = auto()
    GOODBYE = auto()


class Conversation(Dialogue):
    """Feed it with `receive`, write what is in `outbox`, and tell it with `lost` when the connection is gone.

    `limit` is how many parcels are carried before it says goodbye and another connection takes over.
    """

    def __init__(self, server: SmtpServer, feed: Feed, *, limit: int | None = None) -> None:
        super().__init__()
        self.carried = 0
        """How many parcels the server has spoken about."""
        self.wants_tls = False
        self.is_ready = False
        self.failure: DeliveryError | None = None
        """Why it is over; None after a goodbye."""
        self.gave_back: Parcel | None = None
        """What was prepared when it ended."""
        self._feed = feed
        self._left = limit
        self._username = server.username or ""
        self._features = Features()
        self._prepared: Parcel | None = None
        self._in_flight: Parcel | None = None
        self._may_send_body = False
        # What is still owed to a parcel that was refused concerns nobody.
        self._is_void = False
        self._is_finishing = False
        self._says_goodbye = False
        self._on_group = (self._on_mail, self._on_rcpt, self._on_data)
        self._handshake = introduce(server)
        self._owed.append(self._on_handshake)
        next(self._handshake)

    @property
    def waits_for(self) -> Wait:
        if self._in_flight is not None:
            return Wait.DOT_REPLY
        if self._says_goodbye or self.is_over:
            return Wait.GOODBYE
        return Wait.REPLY if self._owed else Wait.NOTHING

    @property
    def is_idle(self) -> bool:
        """Whether it could start a parcel at once."""
        return self.is_ready and not self.is_over and not self._is_waiting

    def secured(self) -> None:
        """Go on with the handshake, now that the connection is encrypted."""
        self.wants_tls = False
        if not self.is_over:
            self._go_on(None)
            self._settle()

    def wake(self) -> None:
        """Look for a parcel, since there may be one again."""
        if self.is_idle:
            self._start_next()
            self._settle()

    def finish(self) -> None:
        """Start nothing new, and be over once the parcel in flight has its reply."""
        self._is_finishing = True
        if self._in_flight is None and not self.is_over:
            self._leave()
            self._settle()

    def lost(self, cause: str, *, stage: Stage | None = None) -> None:
        """Hear that the connection is gone, or that a reply was waited for in vain."""
        self._end(ConnectionClosed(stage or self._stage, cause=cause))

    # The handshake.

    def _on_handshake(self, reply: RawReply) -> None:
        self._go_on(reply)
        if self.wants_tls and not self._reader.is_empty:
            # What comes in the clear behind the reply to STARTTLS was put there by somebody else (CVE-2011-0411).
            self._end(ServerUnavailable(Stage.TLS, cause=NONSENSE))

    def _go_on(self, reply: RawReply | None) -> None:
        try:
            command = next(self._handshake) if reply is None else self._handshake.send(reply)
        except StopIteration as done:
            self._features = done.value
            self._is_pipelined = self._features.has_pipelining
            self.is_ready = True
            self._start_next()
        except DeliveryError as failure:
            self._end(failure)
        else:
            if isinstance(command, Upgrade):
                self.wants_tls = True
            else:
                self._say((command,), (self._on_handshake,))

    # MAIL, RCPT and DATA of the next parcel.

    def _start_next(self) -> None:
        commands = self._prepare()
        if commands is not None:
            self._say(commands, self._on_group)
        elif self._may_not_start:
            self._leave()

    def _prepare(self) -> tuple[bytes, bytes, bytes] | None:
        """Take a parcel and return its commands; None where there is none or none may be started."""
        limit = self._features.size_limit
        while not self._may_not_start:
            parcel = self._feed.take()
            if parcel is None:
                return None
            if limit and len(parcel.content) > limit:
                self._feed.refused(parcel, too_large(len(parcel.content), limit))
                continue
            self._prepared = parcel
            self._is_void = False
            if self._left is not None:
                self._left -= 1
            size = b"" if limit is None else b" SIZE=%d" % len(parcel.content)
            return b"MAIL FROM:<%b>%b\r\n" % (parcel.sender, size), b"RCPT TO:<%b>\r\n" % parcel.recipient, b"DATA\r\n"
        return None

    @property
    def _may_not_start(self) -> bool:
        return self._is_finishing or self._left == 0

    def _on_mail(self, reply: RawReply) -> None:
        if not 200 <= reply.code <= 299:
            self._refuse_prepared(Stage.MAIL, reply)

    def _on_rcpt(self, reply: RawReply) -> None:
        if self._is_void:
            self._is_harmless(Stage.RCPT, reply)
        elif not 200 <= reply.code <= 299:
            self._refuse_prepared(Stage.RCPT, reply)

    def _on_data(self, reply: RawReply) -> None:
        if not self._is_void:
            if reply.code == 354:
                self._may_send_body = True
            else:
                self._refuse_prepared(Stage.DATA, reply)
        elif reply.code == 354:
            # RFC 2920 3.1: a server may go on without a reader. It gets an empty mail that it can deliver to nobody.
            self._say((b".\r\n",), (self._on_empty_mail,))
        elif self._is_harmless(Stage.DATA, reply):
            self._start_over()

    def _refuse_prepared(self, stage: Stage, reply: RawReply) -> None:
        parcel = self._prepared
        assert parcel is not None  # noqa: S101  # Its command is what was answered.
        failure = failure_at(stage, self._read(reply, parcel))
        if not isinstance(failure, Refusal):
            self._end(failure)
            return
        self._prepared = None
        self._is_void = True
        self.carried += 1
        self._feed.refused(parcel, failure)
        if self._take_back_unsaid() or stage is Stage.DATA:
            self._start_over()

    def _is_harmless(self, stage: Stage, reply: RawReply) -> bool:
        """Hear a reply that concerns nobody any more; one that makes no sense still ends the connection."""
        if 200 <= reply.code <= 299 or (400 <= reply.code <= 599 and reply.code != replies.CLOSING):
            return True
        self._end(failure_at(stage, self._read(reply)))
        return False

    def _on_empty_mail(self, reply: RawReply) -> None:
        if self._is_harmless(Stage.DATA, reply):
            self._start_over()

    def _start_over(self) -> None:
        """Take the transaction back, and prepare the next parcel in the same packet."""
        self._say((b"RSET\r\n",), (self._on_reset,))
        if not self._may_not_start:
            self._start_next()

    def _on_reset(self, reply: RawReply) -> None:
        if not 200 <= reply.code <= 299:
            self._end(ServerUnavailable(Stage.MAIL, self._read(reply) if reply.code else None, cause=NONSENSE))
        elif self._prepared is None:
            self._start_next()

    # The body and its final dot.

    def _before_silence(self) -> None:
        if self._may_send_body:
            self._may_send_body = False
            self._send_body()

    def _send_body(self) -> None:
        """Write the body, its dot and the next parcel's commands in one packet."""
        if self._is_finishing:
            self._end(None)  # Without its dot the server drops what was begun.
            return
        parcel = self._prepared
        assert parcel is not None  # noqa: S101  # Its DATA is what was answered.
        self._feed.intent(parcel)
        self._prepared, self._in_flight = None, parcel
        self.outbox.append(parcel.content)
        commands = self._prepare()
        if commands is None:
            self._say((b".\r\n",), (self._on_dot,))
        else:
            self._say((b".\r\n", *commands), (self._on_dot, *self._on_group))

    def _on_dot(self, reply: RawReply) -> None:
        parcel = self._in_flight
        assert parcel is not None  # noqa: S101  # Its dot is what was answered.
        if 200 <= reply.code <= 299:
            self._in_flight = None
            self.carried += 1
            self._feed.accepted(parcel, reply)
        else:
            self._refuse_in_flight(parcel, reply)
        if self.is_over:
            return
        if self._is_finishing:
            self._leave()
        elif self._prepared is None:
            self._start_next()

    def _refuse_in_flight(self, parcel: Parcel, reply: RawReply) -> None:
        failure = failure_at(Stage.DOT, self._read(reply, parcel))
        if isinstance(failure, OutcomeUnknown):
            self._end(failure)
            return
        self._in_flight = None
        if isinstance(failure, Refusal):
            self.carried += 1
            self._feed.refused(parcel, failure)
        else:
            # The server answered and did not take it, so no doubt is left about this parcel.
            self._feed.returned(parcel, failure)
            self._end(failure)

    # The end.

    def _leave(self) -> None:
        """Say goodbye where the server listens to commands, else just go."""
        if not self.is_ready or self._is_waiting or self._prepared is not None:
            self._end(None)
        else:
            self._says_goodbye = True
            self._say((b"QUIT\r\n",), (self._on_goodbye,))

    def _on_goodbye(self, reply: RawReply) -> None:
        self._end(None)

    def _on_unasked(self, reply: RawReply) -> None:
        """A 421 may come at any time. Anything else would be taken for the reply to the next command."""
        if reply.code == replies.CLOSING:
            self._end(ServerUnavailable(self._stage, self._read(reply)))
        else:
            self._end(ServerUnavailable(self._stage, cause=NONSENSE))

    def _end(self, failure: DeliveryError | None) -> None:
        """Be over: what is in flight is unknown, what was only prepared goes back untouched."""
        if self.is_over:
            return
        self._fall_silent()
        self.failure = None if self._says_goodbye else failure
        in_flight, self._in_flight = self._in_flight, None
        prepared, self._prepared = self._prepared, None
        if in_flight is not None:
            self._feed.unknown(in_flight, OutcomeUnknown(Stage.DOT, cause=(failure and failure.cause) or "closed"))
        if prepared is not None:
            self.gave_back = prepared
            self._feed.returned(prepared, failure)

    @property
    def _stage(self) -> Stage:
        if self._in_flight is not None:
            return Stage.DOT
        return Stage.MAIL if self.is_ready else Stage.CONNECT

    def _read(self, reply: RawReply, parcel: Parcel | None = None) -> replies.Reply:
        names = () if parcel is None else (parcel.recipient.decode("ascii"), parcel.sender.decode("ascii"))
        return replies.read(reply.code, reply.text, secrets=(*names, self._username))
