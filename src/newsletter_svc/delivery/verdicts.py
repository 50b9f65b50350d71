"""What a mail server's refusal means for the delivery and for the address, as data (RFC 3463)."""

from enum import StrEnum

from newsletter_svc.mail.replies import Reply


class Verdict(StrEnum):
    HARD = "hard"
    """No such mailbox: never again to this address."""
    SOFT = "soft"
    """Not now: try this delivery again."""
    TOO_LARGE = "too_large"
    """The server takes no mail of this size: our fault, and none of the others will fare better."""
    FAILED = "failed"
    """This message will not be taken, which says nothing about the address."""


HARD = frozenset({"5.1.1", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
SOFT = frozenset({"5.2.2", "5.3.1", "5.0.0"})
SOFT_CLASSES = ("4.", "5.4.")
TOO_LARGE = frozenset({"5.3.4"})
STORAGE_EXCEEDED = 552
"""With 5.2.2 behind it, it speaks of a full mailbox; by itself, of the message (RFC 1870 6)."""
POLICY_CLASS = "5.7."


def judge(reply: Reply) -> Verdict:
    """What a refusal means. The enhanced status code is believed before the basic one.

    A bare 550 may speak of the mailbox or of us: it ends the delivery and suppresses nobody.
    """
    if reply.enhanced in TOO_LARGE or (reply.enhanced is None and reply.code == STORAGE_EXCEEDED):
        return Verdict.TOO_LARGE
    if reply.enhanced is None:
        return Verdict.SOFT if reply.is_transient else Verdict.FAILED
    if reply.enhanced in HARD:
        return Verdict.HARD
    soft = reply.enhanced in SOFT or reply.enhanced.startswith(SOFT_CLASSES)
    return Verdict.SOFT if soft else Verdict.FAILED


def is_policy(reply: Reply) -> bool:
    """Whether the server refuses us, whoever the reader is: our address, our authentication, what we write."""
    return (reply.enhanced or "").startswith(POLICY_CLASS)


def reason(reply: Reply) -> str:
    """The code that counts, for reports: `5.1.1`, or `554` from a server that gives no more."""
    return reply.enhanced or str(reply.code)
