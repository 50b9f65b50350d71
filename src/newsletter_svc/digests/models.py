"""Tables of editions, of what was due, and of the issues that were made."""

from datetime import date, datetime, time
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from newsletter_svc.db import Base, word
from newsletter_svc.digests.calendar import Frequency, Schedule, Weekday


class RunOutcome(StrEnum):
    PUBLISHED = "published"
    NOTHING_NEW = "nothing_new"


class Edition(Base):
    """A newsletter as it comes in one rhythm; what it has carried already is told by its digests."""

    __tablename__ = "editions"
    __table_args__ = (UniqueConstraint("newsletter_id", "frequency", name="uq_editions_frequency"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    newsletter_id: Mapped[int] = mapped_column(ForeignKey("newsletters.id", ondelete="CASCADE"))
    frequency: Mapped[Frequency] = mapped_column(word(Frequency))
    weekday: Mapped[int | None]
    """0 is Monday; only for weekly editions."""
    at: Mapped[time | None]
    """Local time of day in `tz`; none for editions that are sent by hand."""
    tz: Mapped[str] = mapped_column(String(64))
    carries_since: Mapped[datetime | None]
    """It carries articles first seen after this; None for a newsletter's first edition, which starts with all."""
    schedule_set_at: Mapped[datetime]
    """Slots before this are not due: a schedule set at 10:00 for 07:00 begins tomorrow."""
    created_at: Mapped[datetime]
    """Since when there is this edition; the oldest that comes by itself is the newsletter's own."""

    @property
    def schedule(self) -> Schedule | None:
        if self.frequency == Frequency.BY_HAND or self.at is None:
            return None
        return Schedule(self.at, self.tz, None if self.weekday is None else Weekday(self.weekday))


class Digest(Base):
    """One issue, frozen when it was made: every reader gets these words, whatever becomes of articles and templates."""

    __tablename__ = "digests"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40), unique=True)
    """Its name in public addresses, which nobody can guess."""
    edition_id: Mapped[int] = mapped_column(ForeignKey("editions.id", ondelete="CASCADE"), index=True)
    slot_date: Mapped[date | None]
    """The local date it was due; None for an issue that was sent by hand."""
    subject: Mapped[str] = mapped_column(Text)
    text_body: Mapped[str] = mapped_column(Text)
    """With slots where a reader's own parts come, as `Composer.render_with_slots` made it; `html_body` too."""
    html_body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class WebVersion(Base):
    """An issue as browsers show it: all of it, without a reader's own parts, and frozen as the mail is.

    A table of its own, since whoever sends reads the digest often and this never. Issues of before have none.
    """

    __tablename__ = "web_versions"

    digest_id: Mapped[int] = mapped_column(ForeignKey("digests.id", ondelete="CASCADE"), primary_key=True)
    html: Mapped[str] = mapped_column(Text)


class DigestArticle(Base):
    """An article in an issue. An edition carries each article once."""

    __tablename__ = "digest_articles"
    __table_args__ = (
        UniqueConstraint("edition_id", "article_id", name="uq_digest_articles_once"),
        Index("ix_digest_articles_article_id", "article_id"),
    )

    digest_id: Mapped[int] = mapped_column(ForeignKey("digests.id", ondelete="CASCADE"), primary_key=True)
    article_id: Mapped[int] = mapped_column(ForeignKey("articles.id", ondelete="CASCADE"), primary_key=True)
    edition_id: Mapped[int] = mapped_column(ForeignKey("editions.id", ondelete="CASCADE"))
    position: Mapped[int]


class EditionRun(Base):
    """What became of one slot of an edition. Its key is what lets only one of many triggers make the issue."""

    __tablename__ = "edition_runs"

    edition_id: Mapped[int] = mapped_column(ForeignKey("editions.id", ondelete="CASCADE"), primary_key=True)
    slot_date: Mapped[date] = mapped_column(primary_key=True)
    outcome: Mapped[RunOutcome] = mapped_column(word(RunOutcome))
    digest_id: Mapped[int | None] = mapped_column(ForeignKey("digests.id", ondelete="SET NULL"))
    ran_at: Mapped[datetime]


class DigestSlot(Base):
    """When one issue is due for the readers of one zone and one time of day there."""

    __tablename__ = "digest_slots"

    digest_id: Mapped[int] = mapped_column(ForeignKey("digests.id", ondelete="CASCADE"), primary_key=True)
    tz: Mapped[str] = mapped_column(String(64), primary_key=True)
    minute: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Local time of day, counted from midnight: 420 is 07:00."""
    due_at: Mapped[datetime]
    readers: Mapped[int] = mapped_column(default=0)
    """How many get it at that moment, in this zone and in others where it is the same moment."""

    @property
    def at(self) -> time:
        return time(*divmod(self.minute, 60))
