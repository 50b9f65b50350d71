"""Mail that comes back, as other mail programs write it."""

from textwrap import dedent

BOUNCES = "bounces@news.example"


def block(*, status: str, action: str = "failed", final: str = "ada@example.org", more: str = "") -> str:
    """What a report says of one recipient."""
    return f"Final-Recipient: rfc822; {final}\nAction: {action}\nStatus: {status}\n{more}"


def dsn(*blocks: str, to: str = BOUNCES, returned: str = "Subject: The briefing\n") -> bytes:
    """A report about delivery (RFC 3464), written by a server and sent to the envelope sender."""
    head = dedent(f"""\
        Return-Path: <>
        Delivered-To: {to}
        From: Mail Delivery System <MAILER-DAEMON@mx.example.org>
        To: {to}
        Subject: Undelivered Mail Returned to Sender
        Date: Tue, 24 Nov 2026 07:00:00 +0000
        Auto-Submitted: auto-replied
        MIME-Version: 1.0
        Content-Type: multipart/report; report-type=delivery-status; boundary="b"

        --b
        Content-Type: text/plain

        Your message could not be delivered.

        --b
        Content-Type: message/delivery-status

        Reporting-MTA: dns; mx.example.org
        Arrival-Date: Tue, 24 Nov 2026 06:59:58 +0000

        """)
    tail = f"\n--b\nContent-Type: text/rfc822-headers\n\n{returned}\n--b--\n"
    return (head + "\n".join(blocks) + tail).encode()


def feedback(kind: str, *, original_sender: str = "", returned: str = "Subject: The briefing\n") -> bytes:
    """What a mailbox provider writes when a reader calls a mail spam (RFC 5965), the reader left out."""
    sender = f"Original-Mail-From: <{original_sender}>\n" if original_sender else ""
    return (
        "From: <feedback@provider.example>\n"
        "To: <abuse@news.example>\n"
        "Date: Tue, 24 Nov 2026 07:00:00 +0000\n"
        "MIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\n'
        "\n--b\nContent-Type: text/plain\n\nThis is an abuse report.\n"
        f"\n--b\nContent-Type: message/feedback-report\n\nFeedback-Type: {kind}\nVersion: 1\n{sender}"
        f"\n--b\nContent-Type: message/rfc822\n\n{returned}\nThe letter.\n\n--b--\n"
    ).encode()


def qmail(recipient: str, *, to: str, code: str = " (#5.1.1)") -> bytes:
    """What qmail writes, for people."""
    return dedent(f"""\
        Return-Path: <>
        From: MAILER-DAEMON@mx.example.org
        To: {to}
        Subject: failure notice

        Hi. This is the qmail-send program at mx.example.org.
        I'm afraid I wasn't able to deliver your message to the following addresses.
        This is a permanent error; I've given up. Sorry it didn't work out.

        <{recipient}>:
        Sorry, no mailbox here by that name.{code}

        --- Below this line is a copy of the message.

        Return-Path: <{to}>
        Subject: The briefing

        The letter, which says 5.7.1 somewhere.
        """).encode()


def vacation(*, to: str) -> bytes:
    """An automatic reply that quotes what a bounce would say."""
    return dedent(f"""\
        From: Ada <ada@example.org>
        To: {to}
        Subject: Out of office
        Auto-Submitted: auto-replied (vacation)

        I am away. The following addresses had permanent fatal errors:

        <ada@example.org>
        """).encode()
