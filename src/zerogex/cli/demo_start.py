"""When a simulated market begins, if nobody says: now, where it left off, or in the middle of a session."""

from __future__ import annotations

from datetime import datetime, timedelta

from zerogex.domain.calendar import (
    Session,
    is_session,
    next_session,
    previous_session,
    session_at,
    session_close,
    session_open,
    trading_date,
)

INTO_SESSION = timedelta(minutes=60)  # a demo begins an hour in: there is a morning to look back on
TOO_NEAR_CLOSE = timedelta(minutes=30)  # resumed later than this, the next session begins instead


def demo_start(now: datetime, last_minute: datetime | None) -> datetime:
    """The market time at which the simulator starts, UTC.

    now          the machine's time; used as it is while the real session is open
    last_minute  start of the newest simulated minute stored: the market goes on behind it, so that a
                 second run continues where the first one stopped
    """
    fresh = now if session_at(now) is Session.REGULAR else _last_session(now)
    if last_minute is None or last_minute < fresh - timedelta(days=7):
        return fresh
    resumed = max(last_minute + timedelta(minutes=1), fresh)
    day = trading_date(resumed)
    if is_session(day) and resumed < session_close(day) - TOO_NEAR_CLOSE:
        return max(resumed, session_open(day))
    return session_open(next_session(day)) + INTO_SESSION


def _last_session(now: datetime) -> datetime:
    """An hour into the newest session that has begun at least that long ago."""
    day = trading_date(now)
    if not is_session(day) or session_open(day) + INTO_SESSION > now:
        day = previous_session(day)
    return session_open(day) + INTO_SESSION
