"""Counters of rate limits in the database: a storage of the `limits` library, shared by processes and machines."""

from datetime import UTC, datetime, timedelta

from limits.storage import Storage
from sqlalchemy import Executable, String, bindparam, case, delete, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, Session, mapped_column

from newsletter_svc.clock import utcnow
from newsletter_svc.db import Base, delete_where, insert_into
from newsletter_svc.prepared import Prepared


class Counter(Base):
    """How often something happened in the window that is open now."""

    __tablename__ = "rate_counters"

    key: Mapped[str] = mapped_column(String(120), primary_key=True)
    count: Mapped[int]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class SessionStorage(Storage):
    """Counts within one transaction, which whoever opened it commits. A window opens with its first hit."""

    STORAGE_SCHEME = ["database"]  # noqa: RUF012 - the library reads it from the class, as a list.

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    @property
    def base_exceptions(self) -> type[Exception]:
        return SQLAlchemyError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to the counter, or open a new window of `expiry` seconds; the new count. One statement, hence no race."""
        now = utcnow()
        values = {"key": key, "amount": amount, "closes": now + timedelta(seconds=expiry), "now": now}
        return int(_HIT.run(self._session, values)[0][0])

    def get(self, key: str) -> int:
        """The count in the window that is open now; 0 for none."""
        counted = select(Counter.count).where(Counter.key == key, Counter.expires_at > utcnow())
        return self._session.execute(counted).scalar() or 0

    def get_expiry(self, key: str) -> float:
        """When the window closes, in seconds since 1970; now, for none."""
        closes = self._session.execute(select(Counter.expires_at).where(Counter.key == key)).scalar()
        return max(closes or datetime.min.replace(tzinfo=UTC), utcnow()).timestamp()

    def check(self) -> bool:
        return self._session.execute(select(1)).scalar() == 1

    def clear(self, key: str) -> None:
        self._session.execute(delete(Counter).where(Counter.key == key))

    def reset(self) -> int:
        return delete_where(self._session, Counter)


def _hit(dialect: str) -> Executable:
    insert = insert_into(dialect, Counter).values(
        key=bindparam("key"), count=bindparam("amount"), expires_at=bindparam("closes")
    )
    is_open = Counter.expires_at > bindparam("now")
    return insert.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "count": case((is_open, Counter.count + insert.excluded.count), else_=insert.excluded.count),
            "expires_at": case((is_open, Counter.expires_at), else_=insert.excluded.expires_at),
        },
    ).returning(Counter.count)


_HIT = Prepared(_hit)


def purge(session: Session, *, now: datetime) -> int:
    """Forget the windows that have closed; how many counters those were."""
    return delete_where(session, Counter, Counter.expires_at <= now)
