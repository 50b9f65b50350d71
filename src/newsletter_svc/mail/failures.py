"""Why a mail was not accepted. Whoever sends decides by the class, never by the words of a server.

    DeliveryError
    ├── Refusal               the server spoke about this message or its reader; the connection goes on
    │   ├── TransientRefusal      4xx: try this one again later
    │   └── PermanentRefusal      5xx: never again in this form
    ├── ServerUnavailable     nobody said anything about this reader: the whole batch waits
    ├── SenderRefused         the server does not take mail from us: our fault, the batch stops
    └── OutcomeUnknown        the final dot went out and no reply was seen

The texts of these exceptions carry codes only, so they may be logged.
"""

from enum import StrEnum

from newsletter_svc.errors import NewsletterError
from newsletter_svc.mail.replies import Reply


class Stage(StrEnum):
    """How far a mail had come. `DOT` is the reply to the whole message, the others are named for the command."""

    CONNECT = "connect"
    TLS = "tls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"


class DeliveryError(NewsletterError):
    """A mail was not accepted. `reply` is what the server said, or None where it said nothing."""

    def __init__(self, stage: Stage, reply: Reply | None = None, *, cause: str = "") -> None:
        codes = f"{reply.code} {reply.enhanced or ''}".rstrip() if reply else cause or "no reply"
        super().__init__(f"{type(self).__name__} at {stage}: {codes}")
        self.stage = stage
        self.reply = reply
        self.cause = cause

    @property
    def code(self) -> int | None:
        return self.reply.code if self.reply else None

    @property
    def enhanced(self) -> str | None:
        return self.reply.enhanced if self.reply else None

    @property
    def text(self) -> str:
        """What may stand in the ledger: the reply without addresses, or what went wrong before there was one."""
        return str(self.reply) if self.reply else self.cause


class Refusal(DeliveryError):
    """The server spoke about this message or its reader."""


class TransientRefusal(Refusal):
    """Not now (4xx)."""


class PermanentRefusal(Refusal):
    """Not ever (5xx). Whether the reader, the message or we are the reason, the codes say."""


class ServerUnavailable(DeliveryError):
    """Refused connection, name not found, no TLS, bad greeting, 421, or a close before the final dot."""


class ConnectionClosed(ServerUnavailable):
    """The server went away in silence before the final dot, as it may between two messages."""


class SenderRefused(DeliveryError):
    """Sign-in failed, is required, or the envelope sender is not taken."""


class OutcomeUnknown(DeliveryError):
    """Accepted or not, nobody knows: no reply came after the final dot."""
