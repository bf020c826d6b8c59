"""The carried table equals the library; settlements follow the rules of each root."""

import warnings
from datetime import UTC, date, datetime, timedelta

import pytest

from zerogex.domain.calendar import (
    NEW_YORK,
    Session,
    is_session,
    next_session,
    previous_session,
    session_at,
    session_close,
    session_open,
    sessions,
    settlement,
    trading_date,
)
from zerogex.domain.exchange_days import FIRST_DAY, LAST_DAY


@pytest.fixture(scope="module")
def library():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        xc = pytest.importorskip("exchange_calendars")
        return xc.get_calendar("XNYS", start=str(FIRST_DAY), end=str(LAST_DAY))


def test_every_session_of_the_table_is_the_librarys(library) -> None:
    theirs = {stamp.date() for stamp in library.sessions}
    assert set(sessions(FIRST_DAY, LAST_DAY)) == theirs


def test_every_close_since_2005_is_the_librarys(library) -> None:
    for day in sessions(FIRST_DAY, LAST_DAY):
        assert session_close(day) == library.session_close(str(day)).to_pydatetime(), day


def et(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


@pytest.mark.parametrize(
    ("moment", "session"),
    [
        ("2026-11-20 03:59:59", Session.CLOSED),
        ("2026-11-20 04:00", Session.PRE),
        ("2026-11-20 09:30", Session.REGULAR),
        ("2026-11-20 15:59:59", Session.REGULAR),
        ("2026-11-20 16:00", Session.POST),
        ("2026-11-20 20:00", Session.CLOSED),
        ("2026-11-27 12:59:59", Session.REGULAR),
        ("2026-11-27 13:00", Session.POST),
        ("2026-11-26 11:00", Session.CLOSED),
        ("2026-11-21 11:00", Session.CLOSED),
    ],
)
def test_the_kind_of_hour(moment: str, session: Session) -> None:
    assert session_at(et(moment)) is session


@pytest.mark.parametrize(("day", "utc_hour"), [(date(2026, 3, 6), 14), (date(2026, 3, 9), 13), (date(2026, 11, 2), 14)])
def test_the_open_follows_daylight_saving(day: date, utc_hour: int) -> None:
    assert session_open(day) == datetime(day.year, day.month, day.day, utc_hour, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("root", "expiration", "moment"),
    [
        ("SPY", date(2026, 11, 20), "2026-11-20 16:00"),
        ("SPXW", date(2026, 11, 20), "2026-11-20 16:00"),
        ("SPX", date(2026, 11, 20), "2026-11-20 09:30"),
        ("VIX", date(2026, 11, 18), "2026-11-18 09:30"),
        ("SPY", date(2026, 11, 27), "2026-11-27 13:00"),
        ("SPY", date(2014, 6, 21), "2014-06-20 16:00"),
        ("SPY", date(2026, 4, 3), "2026-04-02 16:00"),
    ],
)
def test_settlement(root: str, expiration: date, moment: str) -> None:
    assert settlement(root, expiration) == et(moment)


def test_sessions_step_over_weekends_and_holidays() -> None:
    assert previous_session(date(2026, 11, 30)) == date(2026, 11, 27)
    assert next_session(date(2026, 11, 25)) == date(2026, 11, 27)
    assert not is_session(date(2026, 12, 25))


def test_the_trading_date_is_new_yorks() -> None:
    late = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
    assert trading_date(late) == date(2026, 11, 19)
    assert trading_date(late + timedelta(hours=3)) == date(2026, 11, 20)
