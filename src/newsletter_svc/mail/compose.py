"""From a kind and its data to what a reader sees, and from a letter to the bytes that go out."""

import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from css_inline import CSSInliner

from newsletter_svc.mail import filters, mime, slots, templates, unstyled
from newsletter_svc.mail.addresses import wire_address
from newsletter_svc.mail.bulk.compiled import Build, CompiledLetter
from newsletter_svc.mail.headers import clean
from newsletter_svc.mail.localised import Localised
from newsletter_svc.mail.message import Letter, Mailbox, OutgoingMessage, Rendered, Stream, UnsendableMessage
from newsletter_svc.mail.publication import publication_of
from newsletter_svc.settings import Settings


@dataclass(frozen=True)
class Sample:
    """Data that an e-mail is tried with; `slots` are the parts of it that differ from reader to reader.

    `pages` are the templates of its kind that are for browsers. `needed` names what the mail is useless without, such
    as the link that signs in: it has to stand whole in both parts.
    """

    context: Mapping[str, Any]
    slots: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()


class Composer:
    """Renders the templates of one publication and finishes its letters. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.publication = publication_of(settings)
        self.localised = Localised(settings.language, timezone=settings.timezone)
        self._environment = templates.open_templates(
            self.publication, self.localised, own=settings.templates_dir, cache=_cache_folder(settings)
        )
        # Nothing is fetched: the styles stand in the template. Rules for dark and narrow screens stay in the head.
        self._inliner = CSSInliner(load_remote_stylesheets=False)

    def render(self, kind: str, context: Mapping[str, Any]) -> Rendered:
        """Return the three parts of `templates/email/<kind>/`, the subject as one clean line, the styles inlined.

        Raises `jinja2.UndefinedError` when `context` lacks what a template prints, and `UnsendableMessage` for text
        that no encoding can carry.
        """
        return _fitted(self._rendered(kind, context))

    def consent(self, kind: str, newsletters: Sequence[str], /) -> str:
        """The sentence with which this kind of mail asks to be allowed to send these newsletters (titles)."""
        return self._render_part(kind, "_consent.txt", {"newsletters": newsletters}).strip()

    def render_page(self, kind: str, name: str, context: Mapping[str, Any]) -> str:
        """Return one more page of a kind, for browsers; it has no slots. Raises what `render` raises."""
        return self._inliner.inline(self._render_part(kind, name, context))

    def render_with_slots(self, kind: str, context: Mapping[str, Any], names: Iterable[str]) -> Rendered:
        """Render once for all readers; `names` are the parts that `fill` gives each of them, such as `unsubscribe_url`.

        The result is plain text and may rest in the database. Raises `slots.LostSlot` for a name that is not printed.
        """
        words = slots.markers(names)
        return _fitted(slots.freeze(self._rendered(kind, {**context, **words}), words))

    def fill(self, rendered: Rendered, values: Mapping[str, str]) -> Rendered:
        """Return one reader's copy of what `render_with_slots` made."""
        return slots.fill(rendered, values)

    def problems(self, samples: Mapping[str, Sample]) -> list[str]:
        """Return what is wrong with the templates in TEMPLATES_DIR, each kind tried with its sample."""
        own = self._settings.templates_dir
        if own is None:
            return []
        broken = list(templates.broken_files(self._environment, own))
        # What cannot be read cannot be rendered either: one sentence for one fault.
        return broken or [problem for kind, sample in samples.items() if (problem := self._fault(kind, sample))]

    def _fault(self, kind: str, sample: Sample) -> str | None:
        assert self._settings.templates_dir is not None  # noqa: S101 - only a folder of own templates is tried.
        try:
            rendered = self.render_with_slots(kind, sample.context, sample.slots)
            values = dict.fromkeys(sample.slots, self.publication.url)
            for page in sample.pages:
                self.render_page(kind, page, {**sample.context, **values, "subject": rendered.subject})
            _require_needed(rendered, sample)
        except Exception as error:  # Whatever a template can do wrong.
            return f"{kind}: {templates.explained(error, self._settings.templates_dir)}"
        return None

    def finish(self, letter: Letter, *, message_id: str, date: datetime, envelope_sender: str) -> OutgoingMessage:
        """Return the mail as it goes out. `message_id` has its angle brackets; `date` is aware.

        Raises `UnsendableMessage` when this one letter cannot be sent; others can.
        """
        build = self._build_for(letter.stream)
        content = build(
            letter.rendered, recipient=letter.recipient, message_id=message_id, date=date, extra=letter.headers
        )
        return OutgoingMessage(
            envelope_sender=wire_address(envelope_sender),
            recipient=wire_address(letter.recipient.email),
            message_id=message_id,
            content=content,
        )

    def compile(self, rendered: Rendered, *, stream: Stream, headers: Iterable[tuple[str, str]]) -> CompiledLetter:
        """Return what makes the same mail as `fill` and `finish` for each reader, at a hundredth of the cost.

        `rendered` comes from `render_with_slots`; values of `headers` may hold slots too (`slots.place`).
        """
        return CompiledLetter(rendered, extra=headers, build=self._build_for(stream))

    def _build_for(self, stream: Stream) -> Build:
        reply_to = self._settings.mail_reply_to
        return partial(
            mime.build,
            sender=Mailbox(self._sender(stream), self.publication.name),
            reply_to=Mailbox(reply_to) if reply_to else None,
            auto_submitted=stream is Stream.TRANSACTIONAL,
        )

    def _sender(self, stream: Stream) -> str:
        if stream is Stream.TRANSACTIONAL:
            return self._settings.mail_transactional_sender
        return self._settings.mail_default_sender

    def _rendered(self, kind: str, context: Mapping[str, Any]) -> Rendered:
        subject = clean(self._render_part(kind, "subject.txt", context), limit=mime.SUBJECT_LIMIT)
        context = {**context, "subject": subject}
        text = filters.tidy(self._render_part(kind, "body.txt", context))
        return Rendered(subject, text, self._inliner.inline(self._render_part(kind, "body.html", context)))

    def _render_part(self, kind: str, name: str, context: Mapping[str, Any]) -> str:
        part = self._environment.get_template(f"{kind}/{name}").render(context)
        try:
            part.encode()
        except UnicodeEncodeError:
            raise UnsendableMessage("the text holds half of a character (a lone surrogate)") from None
        return part


def _fitted(rendered: Rendered) -> Rendered:
    return replace(rendered, html=unstyled.fitted(rendered.html))


def _require_needed(rendered: Rendered, sample: Sample) -> None:
    """Raises LookupError for what a reader would look for in vain."""
    for name in sample.needed:
        for part, content in (("body.txt", rendered.text), ("body.html", rendered.html)):
            if str(sample.context[name]) not in content:
                raise LookupError(f"{part} does not print {name!r} whole")


def _cache_folder(settings: Settings) -> Path | None:
    """Where compiled templates are kept; nowhere while the service has no folder that it alone writes to."""
    folder = settings.var_dir
    if not folder.is_dir() or folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return None
    cache = folder / "templates"
    try:
        cache.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return None
    return cache
