"""The table of articles."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from newsletter_svc.articles.plain_text import excerpt, reading_minutes
from newsletter_svc.db import Base

STANDFIRST_LENGTH = 220


class Article(Base):
    """One piece of content of one newsletter, rendered once when it is stored."""

    __tablename__ = "articles"
    __table_args__ = (
        UniqueConstraint("newsletter_id", "identity", name="uq_articles_identity"),
        UniqueConstraint("newsletter_id", "slug", name="uq_articles_slug"),
        Index("ix_articles_first_seen", "newsletter_id", "first_seen_at", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    newsletter_id: Mapped[int] = mapped_column(ForeignKey("newsletters.id", ondelete="CASCADE"))
    identity: Mapped[str] = mapped_column(String(64))
    """Hash of what makes it the same article again: its canonical address, else its title."""
    slug: Mapped[str] = mapped_column(String(90))
    """Its name in our own addresses, such as `coalition-budget`; it stays when the title changes."""
    title: Mapped[str] = mapped_column(String(300))
    url: Mapped[str | None] = mapped_column(Text)
    author: Mapped[str | None] = mapped_column(String(200))
    published_at: Mapped[datetime]
    summary: Mapped[str | None] = mapped_column(Text)
    image_url: Mapped[str | None] = mapped_column(Text)
    image_alt: Mapped[str] = mapped_column(String(500), default="")
    body_markdown: Mapped[str] = mapped_column(Text)
    body_html: Mapped[str] = mapped_column(Text)
    """Sanitised; its headings begin at h2, below the title."""
    body_text: Mapped[str] = mapped_column(Text)
    first_seen_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    @property
    def standfirst(self) -> str:
        """The author's summary, or the beginning of the body."""
        return self.summary or excerpt(self.body_text, limit=STANDFIRST_LENGTH)

    @property
    def reading_minutes(self) -> int:
        return reading_minutes(self.body_text)
