"""Mail that other mail programs send about ours (RFC 3464, RFC 5965), as far as it says what it is and what about.

Nothing in it is believed here: anybody can write to the address that such reports go to.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import Message
from email.parser import BytesParser, HeaderParser
from email.utils import parsedate_to_datetime
from enum import StrEnum

from newsletter_svc.mail import bounce_texts

LIMIT = 1024 * 1024
"""What stands behind so many octets of a report is the letter that came back."""
ADDRESSEES = ("Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "To")
SENDERS = ("Return-Path", "X-Postfix-Sender", "Original-Mail-From")
"""Where a report repeats the envelope sender of what came back."""
RECIPIENTS = ("Original-Recipient", "Final-Recipient")
RETURNED = frozenset(
    {"message/rfc822", "message/rfc822-headers", "text/rfc822-headers", "message/global", "message/global-headers"}
)
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"]+@[^\s<>()\[\],;:\"]+")
_MESSAGE_ID = re.compile(r"<[^<>\s]+@[^<>\s]+>")
_MESSAGE_ID_LINE = re.compile(r"^[> \t]*Message-ID:\s*(<[^<>\s]+@[^<>\s]+>)", re.IGNORECASE | re.MULTILINE)
_STATUS = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?!\.?\d)")
_ANSWERS_BY_ITSELF = ("X-Autoreply", "X-Autorespond", "X-Auto-Response-Suppress")
_MAIL_SERVERS = ("mailer-daemon@", "postmaster@")


class Form(StrEnum):
    DSN = "dsn"
    """A report about delivery, for machines."""
    TEXT = "text"
    """One that only people were meant to read."""
    FEEDBACK = "feedback"
    """A mailbox provider tells what a reader said of our mail."""
    AUTOMATIC_REPLY = "automatic_reply"
    OTHER = "other"


@dataclass(frozen=True)
class Block:
    """What became of one recipient: `Block({"ada@example.org"}, "failed", "5.1.1")`."""

    recipients: frozenset[str]
    """By all the names that it is given, in lower case."""
    action: str
    status: str | None


@dataclass(frozen=True)
class Report:
    """A report: what it is, and everything by which the mail that it speaks of may be found."""

    form: Form
    envelopes: tuple[str, ...] = ()
    """Addresses one of which may be the envelope sender of our mail."""
    message_ids: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()
    feedback: str | None = None
    """The kind of feedback, such as `abuse`."""
    written_at: datetime | None = None


def read(raw: bytes) -> Report:
    """The report in these octets, of which the first megabyte counts. Raises nothing, whatever they are."""
    try:
        return _read(BytesParser(policy=policy.compat32).parsebytes(raw[:LIMIT]))
    except RecursionError:  # Parts in parts in parts: no mail server writes that.
        return Report(Form.OTHER)


def status_codes(text: str) -> list[str]:
    """The enhanced status codes in a text, such as `5.1.1`; not the pieces of IP addresses that look like them."""
    return _STATUS.findall(text)


def _read(message: Message) -> Report:
    parts = list(_outer_parts(message))
    fields = [field for part in parts for field in _fields(part)]
    returned = [field for part in parts if part.get_content_type() in RETURNED for field in _headers(part)]
    form, blocks = _what_it_is(message, parts)
    texts = [bounce_texts.plain_text(part) for part in parts] if form is Form.TEXT else []
    return Report(
        form=form,
        envelopes=tuple(
            dict.fromkeys([*_addresses([message], ADDRESSEES), *_addresses([*fields, *returned], SENDERS)])
        ),
        message_ids=tuple(
            dict.fromkeys(
                [found for each in returned for found in _MESSAGE_ID.findall(_value(each, "Message-ID"))]
                + [found for text in texts for found in _MESSAGE_ID_LINE.findall(text)]
            )
        ),
        blocks=blocks,
        feedback=next(filter(None, (_word(field, "Feedback-Type") for field in fields)), None),
        written_at=_moment(_value(message, "Date")),
    )


def _what_it_is(message: Message, parts: list[Message]) -> tuple[Form, tuple[Block, ...]]:
    types = {part.get_content_type() for part in parts}
    if "message/feedback-report" in types:
        return Form.FEEDBACK, ()
    # A challenge may say "failed" of no recipient at all, and so look like a report to who looks for that word only.
    blocks = [_block(field) for part in parts for field in _fields(part) if _is_about_a_recipient(field)]
    if blocks:
        return Form.DSN, tuple(blocks)
    # Vacation messages quote what they answer, so a program that reads bounces for people might mistake them.
    if _is_automatic_reply(message) or "message/disposition-notification" in types:
        return Form.AUTOMATIC_REPLY, ()
    # A report that somebody forwards is about their mail.
    is_forwarded = "message/delivery-status" not in types and _has_a_report_within(message)
    failed = set() if is_forwarded else bounce_texts.failed(message)
    if not failed:
        return Form.OTHER, ()
    codes = {code for part in parts for code in status_codes(bounce_texts.explanation(part))}
    status = codes.pop() if len(codes) == 1 else None
    return Form.TEXT, tuple(Block(frozenset({address}), "failed", status) for address in sorted(failed))


def _has_a_report_within(message: Message) -> bool:
    return any(part.get_content_type() == "message/delivery-status" for part in message.walk())


def _is_automatic_reply(message: Message) -> bool:
    if any(address.lower().startswith(_MAIL_SERVERS) for address in _addresses([message], ("From",))):
        return False  # Mail servers mark their bounces as automatic too.
    automatic = _value(message, "Auto-Submitted").lower().startswith("auto-replied")
    return automatic or any(message.get(name) for name in _ANSWERS_BY_ITSELF)


def _is_about_a_recipient(fields: Message) -> bool:
    return bool(fields.get("Action")) and any(fields.get(name) for name in RECIPIENTS)


def _block(fields: Message) -> Block:
    recipients = {address.lower() for address in _addresses([fields], RECIPIENTS)}
    status = _word(fields, "Status") or ""
    own = _STATUS.fullmatch(status)
    # What the last server said beats what the one that reports makes of it: Exim writes 5.0.0 whatever it was told.
    told = [code for code in status_codes(_value(fields, "Diagnostic-Code")) if not own or code[0] == status[0]]
    code = told[0] if told else (own[0] if own else None)
    return Block(frozenset(recipients), _word(fields, "Action") or "", code)


def _outer_parts(message: Message) -> Iterator[Message]:
    """The parts that the report's own writer made: not those of the letter that came back."""
    yield message
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        for part in message.get_payload():
            if isinstance(part, Message):
                yield from _outer_parts(part)


def _fields(part: Message) -> list[Message]:
    """The groups of fields in a part that is made of them."""
    payload = part.get_payload()
    is_report = part.get_content_type() in ("message/delivery-status", "message/feedback-report")
    return [each for each in payload if isinstance(each, Message)] if is_report and isinstance(payload, list) else []


def _headers(part: Message) -> list[Message]:
    payload = part.get_payload()
    if isinstance(payload, list):
        return [each for each in payload if isinstance(each, Message)]
    return [HeaderParser(policy=policy.compat32).parsestr(bounce_texts.plain_text(part))]


def _addresses(headers: list[Message], names: tuple[str, ...]) -> list[str]:
    values = [str(value) for each in headers for name in names for value in each.get_all(name, [])]
    return [address for value in values for address in _ADDRESS.findall(value)]


def _value(fields: Message, name: str) -> str:
    return str(fields.get(name, ""))


def _word(fields: Message, name: str) -> str | None:
    """The first word of a field, in lower case and without the comment that may follow it."""
    words = re.split(r"[\s(;]", _value(fields, name).strip().lower(), maxsplit=1)
    return words[0] or None


def _moment(date: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(date)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
