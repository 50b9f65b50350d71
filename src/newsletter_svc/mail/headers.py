"""Header lines: cleaned of what could hurt, encoded where needed (RFC 2047), folded at 76 octets."""

import base64
import re
import unicodedata
from collections.abc import Callable

from newsletter_svc.mail.addresses import wire_address
from newsletter_svc.mail.message import Mailbox, UnsendableMessage

_LINE = 76
_ENCODED_WORD = 75  # RFC 2047 2
_PHYSICAL_LINE = 998  # RFC 5322 2.1.1
_NAME_LIMIT = 100
_QUOTED_LIMIT = 60

_FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_EMOJI = "\u2600-\u27bf\U0001f000-\U0001faff"
# The joiner that makes one picture of two emoji is the only invisible character that belongs in a title.
_EMOJI_JOINER = re.compile(f"(?<=[{_EMOJI}\ufe0f])\u200d(?=[{_EMOJI}])")
# RFC 2047 5 (3): what may stand bare in an encoded word wherever one is allowed, names included.
_BARE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")


def clean(text: str, *, limit: int) -> str:
    """Return `text` as one harmless line of at most `limit` characters.

    Line breaks and controls become spaces; bidi and zero-width characters go, because they make a title show what it
    does not say; `=?` is broken up, because Python 3.11 and 3.12 turn an encoded word inside a value into headers.
    Raises `UnsendableMessage` for a lone surrogate, which no encoding can carry.
    """
    # Only the beginning is looked at: a name of a megabyte must not cost a megabyte's work.
    line = " ".join("".join(map(_visible, _mark_joiners(text[: limit * 8]))).split()).replace("=?", "= ?")
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _mark_joiners(text: str) -> list[str]:
    kept = {match.start() for match in _EMOJI_JOINER.finditer(text)}
    return ["" if char == "\u200d" and index not in kept else char for index, char in enumerate(text)]


def _visible(char: str) -> str:
    if char in ("", "\u200d"):
        return char
    match unicodedata.category(char):
        case "Cc" | "Zl" | "Zp":
            return " "
        case "Cf":
            return ""
        case "Cs":
            raise UnsendableMessage("the text holds half of a character (a lone surrogate)")
    return char


def text_line(name: str, text: str, *, limit: int) -> str:
    """Return the whole header, for free text such as a subject: `text_line("Subject", "Přehled", limit=200)`."""
    text = clean(text, limit=limit)
    room = _LINE - len(name) - 2
    if text.isascii() and all(len(word) <= room for word in text.split(" ")):
        return _fold(name, text.split(" "))
    return _fold(name, _encoded_words(text, room=room))


def address_line(name: str, mailbox: Mailbox) -> str:
    """Return the whole header for exactly one address, with its display name if it has one."""
    address = wire_address(mailbox.email)
    phrase = _phrase(clean(mailbox.name, limit=_NAME_LIMIT), room=_LINE - len(name) - 2)
    return _fold(name, [*phrase, f"<{address}>"]) if phrase else _fold(name, [address])


def token_line(name: str, value: str) -> str:
    """Return the whole header for what machines read (List-Unsubscribe, Message-ID): never encoded.

    A provider that finds an encoded word in List-Unsubscribe ignores it, so what is not plain ASCII is refused.
    """
    if not _FIELD_NAME.fullmatch(name):
        raise UnsendableMessage("a header has a name that is none")
    if not value or not value.isascii() or not value.isprintable() or "=?" in value or value != value.strip():
        raise UnsendableMessage(f"{name} has a value that may not stand in it")
    line = _fold(name, value.split(" "))
    if max(map(len, line.split("\r\n"))) > _PHYSICAL_LINE:
        raise UnsendableMessage(f"{name} is longer than a line may be")
    return line


def _phrase(name: str, *, room: int) -> list[str]:
    """Return the display name as pieces between which the line may be folded."""
    if not name:
        return []
    if _ATOMS.fullmatch(name) and len(name) <= _QUOTED_LIMIT:
        return name.split(" ")
    if name.isascii() and len(name) <= _QUOTED_LIMIT:
        return ['"' + re.sub(r'(["\\])', r"\\\1", name) + '"']
    return _encoded_words(name, room=room)


def _fold(name: str, pieces: list[str]) -> str:
    """Join the pieces by spaces, on as few lines as 76 octets allow. A single longer piece is left whole."""
    lines = [f"{name}: {pieces[0]}"]
    for piece in pieces[1:]:
        if len(lines[-1]) + 1 + len(piece) <= _LINE:
            lines[-1] += f" {piece}"
        else:
            lines.append(f" {piece}")
    return "\r\n".join(lines)


def _encoded_words(text: str, *, room: int) -> list[str]:
    """Cut `text` into encoded words between characters, the first one at most `room` octets long."""
    data = text.encode()
    write = _q_word if len(_q_word(data)) <= len(_b_word(data)) else _b_word
    return _cut_words(text, write, room=room)


def _cut_words(text: str, write: Callable[[bytes], str], *, room: int) -> list[str]:
    words: list[str] = []
    chunk = b""
    for char in text:
        data = char.encode()
        if chunk and len(write(chunk + data)) > room:
            words.append(write(chunk))
            chunk, room = b"", _ENCODED_WORD
        chunk += data
    return [*words, write(chunk)]


def _q_word(data: bytes) -> str:
    coded = "".join(chr(octet) if octet in _BARE else "_" if octet == 0x20 else f"={octet:02X}" for octet in data)
    return f"=?utf-8?q?{coded}?="


def _b_word(data: bytes) -> str:
    return f"=?utf-8?b?{base64.b64encode(data).decode('ascii')}?="
