"""A disk that is full: nothing can be written down, so nothing is claimed or sent, and the operator must hear of it."""

import errno
from datetime import datetime

import structlog
from sqlalchemy.exc import DBAPIError

from newsletter_svc import alerts
from newsletter_svc.alerts import Cause
from newsletter_svc.db import Database

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_SQLITE_FULL = "SQLITE_FULL"
_POSTGRESQL_DISK_FULL = "53100"

log = structlog.get_logger()


def is_full(error: BaseException) -> bool:
    """Whether it says that there is no room, for a file of ours or for the database."""
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    if not isinstance(error, DBAPIError):
        return False
    names = (getattr(error.orig, name, None) for name in ("sqlite_errorname", "sqlstate"))
    return any(name in (_SQLITE_FULL, _POSTGRESQL_DISK_FULL) for name in names)


class Fullness:
    """Remembers it until it can be written down: a full database cannot take its own alert."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._is_untold = False

    def hear(self, error: BaseException) -> None:
        """Look at what a sender ran into."""
        if is_full(error):
            log.error(Cause.DISK_FULL.value, alert=True, error=type(error).__name__)
            self._is_untold = True

    def tell(self, *, now: datetime) -> None:
        """Raise the alert as soon as there is room for it; raises what the database does while there is none."""
        if self._is_untold:
            with self._database.transaction() as session:
                alerts.report(session, Cause.DISK_FULL, now=now)
            self._is_untold = False
