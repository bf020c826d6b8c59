"""Gaps against the exchange calendar."""

from datetime import UTC, date, datetime, timedelta

import pytest

from zerogex.domain.calendar import NEW_YORK, session_close, session_open
from zerogex.pipeline.gaps import Gap, expected_minutes, missing_minutes

FRIDAY = date(2026, 11, 20)


def et(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


def day_of(text: str) -> tuple[datetime, datetime]:
    return et(f"{text} 00:00"), et(f"{text} 23:59")


def test_an_empty_store_misses_the_whole_session() -> None:
    (gap,) = missing_minutes([], *day_of("2026-11-20"))
    assert gap == Gap(session_open(FRIDAY), session_close(FRIDAY))
    assert (gap.minutes, gap.day) == (390, FRIDAY)


def test_a_full_session_misses_nothing_and_other_hours_are_not_asked_for() -> None:
    stored = expected_minutes(*day_of("2026-11-20"))
    assert len(stored) == 390
    assert missing_minutes(reversed(stored), *day_of("2026-11-20")) == []


@pytest.mark.parametrize(
    ("day", "minutes"),
    [("2026-11-26", 0), ("2026-11-27", 210), ("2026-11-28", 0), ("2026-12-25", 0), ("2026-11-30", 390)],
)
def test_holidays_weekends_and_half_days_are_known(day: str, minutes: int) -> None:
    assert sum(gap.minutes for gap in missing_minutes([], *day_of(day))) == minutes
    assert len(expected_minutes(*day_of(day))) == minutes


def test_neighbouring_minutes_are_one_gap_and_sessions_are_not_joined() -> None:
    first, last = et("2026-11-19 00:00"), et("2026-11-20 23:59")
    holes = {et("2026-11-19 15:58"), et("2026-11-19 15:59"), et("2026-11-20 09:30"), et("2026-11-20 11:00")}
    stored = [start for start in expected_minutes(first, last) if start not in holes]
    assert missing_minutes(stored, first, last) == [
        Gap(et("2026-11-19 15:58"), et("2026-11-19 16:00")),
        Gap(et("2026-11-20 09:30"), et("2026-11-20 09:31")),
        Gap(et("2026-11-20 11:00"), et("2026-11-20 11:01")),
    ]


def test_the_minute_that_is_still_forming_is_not_missing() -> None:
    now = et("2026-11-20 10:15") + timedelta(seconds=30)
    (gap,) = missing_minutes([], et("2026-11-20 10:00"), now)
    assert gap == Gap(et("2026-11-20 10:00"), et("2026-11-20 10:15"))


@pytest.mark.parametrize(("seconds", "expected"), [(300, 78), (900, 26), (3600, 7)])
def test_longer_buckets_are_asked_for_by_their_own_starts(seconds: int, expected: int) -> None:
    starts = expected_minutes(*day_of("2026-11-20"), seconds)
    assert len(starts) == expected
    assert missing_minutes(starts, *day_of("2026-11-20"), seconds) == []
    (gap,) = missing_minutes(starts[:2] + starts[3:], *day_of("2026-11-20"), seconds)
    assert gap == Gap(starts[2], starts[3])
