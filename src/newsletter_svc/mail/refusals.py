"""What a mail server's answer means: one rule for each stage, whoever carries the mail."""

from newsletter_svc.mail import replies
from newsletter_svc.mail.failures import (
    DeliveryError,
    OutcomeUnknown,
    PermanentRefusal,
    SenderRefused,
    ServerUnavailable,
    Stage,
    TransientRefusal,
)
from newsletter_svc.mail.replies import Reply

NONSENSE = "nonsense"
# RFC 4954 6: signing in is required, the way of it is too weak, the credentials are wrong.
_OUR_CREDENTIALS = frozenset({530, 534, 535, 538})
_TOO_LARGE = 552


def failure_at(stage: Stage, reply: Reply) -> DeliveryError:
    """Return what a reply means that is not the one hoped for at this stage.

    A refusal of MAIL speaks of us and not of a reader, except that the message is too large (RFC 1870 6).
    """
    if reply.code == replies.CLOSING:
        return ServerUnavailable(stage, reply)
    if not (reply.is_transient or reply.is_permanent):
        return (OutcomeUnknown if stage is Stage.DOT else ServerUnavailable)(stage, cause=NONSENSE)
    if reply.code in _OUR_CREDENTIALS:
        return SenderRefused(stage, reply)
    if stage is Stage.MAIL and reply.code != _TOO_LARGE:
        return (SenderRefused if reply.is_permanent else ServerUnavailable)(stage, reply)
    return (PermanentRefusal if reply.is_permanent else TransientRefusal)(stage, reply)


def too_large(size: int, limit: int) -> PermanentRefusal:
    """Return the refusal of a message that need not even be offered to this server."""
    return PermanentRefusal(Stage.MAIL, Reply(_TOO_LARGE, "5.3.4", f"{size} octets, the server takes {limit}"))
