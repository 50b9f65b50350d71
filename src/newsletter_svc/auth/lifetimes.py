"""How long links and sessions live, from the settings."""

from dataclasses import dataclass
from datetime import timedelta

from newsletter_svc.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Lifetimes:
    """A session lives `session` after its reader was last seen, and ends `session_max` after the sign-in."""

    sign_in: timedelta
    confirmation: timedelta
    session: timedelta
    session_max: timedelta

    @classmethod
    def of(cls, settings: Settings) -> "Lifetimes":
        return cls(
            sign_in=timedelta(minutes=settings.sign_in_link_minutes),
            confirmation=timedelta(hours=settings.confirmation_hours),
            session=timedelta(days=settings.session_days),
            session_max=timedelta(days=settings.session_max_days),
        )
