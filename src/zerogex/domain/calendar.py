"""When the market is open, and when a contract settles.

Everything is said in UTC; New York only decides.  Cboe's index options trade until 16:15 ET
(13:15 on half days), but settle at the 16:00 (13:00) close like everything else PM-settled.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

from zerogex.domain.exchange_days import EARLY_CLOSES, FIRST_DAY, HOLIDAYS, LAST_DAY

NEW_YORK = ZoneInfo("America/New_York")
PRE_OPEN, OPEN, CLOSE, EARLY_CLOSE, POST_CLOSE = time(4), time(9, 30), time(16), time(13), time(20)
AM_SETTLED_ROOTS = frozenset({"SPX", "NDX", "RUT", "VIX", "VIXW", "DJX", "MXEA", "MXEF"})
SECONDS_PER_YEAR = 365 * 86_400.0


class Session(StrEnum):
    """What kind of hour it is for US equities."""

    PRE = "pre"
    REGULAR = "regular"
    POST = "post"
    CLOSED = "closed"


def new_york(day: date, at: time) -> datetime:
    """A New York wall time as UTC."""
    return datetime.combine(day, at, NEW_YORK).astimezone(UTC)


def trading_date(instant: datetime) -> date:
    """The New York date of an instant: the day whose cumulative volumes it belongs to."""
    return instant.astimezone(NEW_YORK).date()


@lru_cache(maxsize=4096)
def is_session(day: date) -> bool:
    """Whether the exchange opens on this day.  Days outside the table count as weekdays do."""
    return day.weekday() < 5 and day not in HOLIDAYS


def is_early_close(day: date) -> bool:
    """Whether the session of this day ends at 13:00 ET."""
    return day in EARLY_CLOSES


def is_known(day: date) -> bool:
    """Whether the table of holidays covers this day."""
    return FIRST_DAY <= day <= LAST_DAY


@lru_cache(maxsize=4096)
def session_open(day: date) -> datetime:
    """09:30 ET of a session, UTC."""
    return new_york(day, OPEN)


@lru_cache(maxsize=4096)
def session_close(day: date) -> datetime:
    """16:00 ET of a session (13:00 on half days), UTC."""
    return new_york(day, EARLY_CLOSE if is_early_close(day) else CLOSE)


def previous_session(day: date) -> date:
    """The last session strictly before a day."""
    return _step(day, -1)


def next_session(day: date) -> date:
    """The first session strictly after a day."""
    return _step(day, 1)


def _step(day: date, direction: int) -> date:
    day += timedelta(days=direction)
    while not is_session(day):
        day += timedelta(days=direction)
    return day


def sessions(first: date, last: date) -> Iterator[date]:
    """The sessions from first to last, both included."""
    day = first
    while day <= last:
        if is_session(day):
            yield day
        day += timedelta(days=1)


def session_at(instant: datetime) -> Session:
    """The kind of hour at an instant.  After an early close the post session runs to 20:00 ET as usual here."""
    day = trading_date(instant)
    if not is_session(day):
        return Session.CLOSED
    if instant < new_york(day, PRE_OPEN) or instant >= new_york(day, POST_CLOSE):
        return Session.CLOSED
    if instant < session_open(day):
        return Session.PRE
    return Session.REGULAR if instant < session_close(day) else Session.POST


@lru_cache(maxsize=65536)
def settlement(root: str, expiration: date) -> datetime:
    """The instant a contract stops having a future, UTC.

    AM-settled roots: the open of the expiration day.  Everything else: the close of it.
    An expiration on a day without a session (old Saturday dates) settles at the close of the session before.
    """
    day = expiration if is_session(expiration) else previous_session(expiration)
    if day == expiration and root in AM_SETTLED_ROOTS:
        return session_open(day)
    return session_close(day)


def minute_of(instant: datetime) -> datetime:
    """The start of the minute an instant lies in."""
    return instant.replace(second=0, microsecond=0)
