"""Counters of rate limits in the database: a storage of the `limits` library, shared by processes and machines."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any

from limits.storage import Storage
from sqlalchemy import BindParameter, Executable, String, and_, bindparam, case, delete, literal, select, update
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
        return hit(self._session, {key: expiry}, amount=amount)[key]

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


def hit(session: Session, windows: Mapping[str, int], *, amount: int = 1) -> dict[str, int]:
    """Add to all these counters in one statement, hence without a race; the new counts by key.

    `windows` has the seconds of each counter's window, which opens with its first hit.
    """
    now = utcnow()
    values: dict[str, object] = {"amount": amount, "now": now}
    for number, (key, seconds) in enumerate(windows.items()):
        values[f"key_{number}"] = key
        values[f"closes_{number}"] = now + timedelta(seconds=seconds)
    return dict(_hits(len(windows)).run(session, values))


def take_back(session: Session, keys: Iterable[str]) -> None:
    """Undo one hit of each of these counters, in the transaction of the hit."""
    for key in keys:
        _TAKE_BACK.run(session, {"key": key})


@lru_cache
def _hits(count: int) -> Prepared:
    return Prepared(partial(_hit, count=count))


def _hit(dialect: str, *, count: int) -> Executable:
    # Of several rows SQLAlchemy does not see which column a value is for.
    moment = Counter.expires_at.type
    rows: list[dict[str, BindParameter[Any]]] = [
        {
            "key": bindparam(f"key_{number}"),
            "count": bindparam("amount"),
            "expires_at": bindparam(f"closes_{number}", type_=moment),
        }
        for number in range(count)
    ]
    insert = insert_into(dialect, Counter).values(rows)
    # A window whose only hit was taken back has not begun.
    is_open = and_(Counter.expires_at > bindparam("now"), Counter.count > 0)
    return insert.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "count": case((is_open, Counter.count + insert.excluded.count), else_=insert.excluded.count),
            "expires_at": case((is_open, Counter.expires_at), else_=insert.excluded.expires_at),
        },
    ).returning(Counter.key, Counter.count)


_TAKE_BACK = Prepared(
    lambda _: update(Counter).where(Counter.key == bindparam("key")).values(count=Counter.count - literal(1))
)


def purge(session: Session, *, now: datetime) -> int:
    """Forget the windows that have closed; how many counters those were."""
    return delete_where(session, Counter, Counter.expires_at <= now)
