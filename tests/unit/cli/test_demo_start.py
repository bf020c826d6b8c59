"""A demo begins where there is something to see, and goes on where it stopped."""

from datetime import UTC, datetime

import pytest

from zerogex.cli.demo_start import demo_start
from zerogex.domain.calendar import NEW_YORK


def et(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "last", "begins", "why"),
    [
        ("2026-11-20 11:15", None, "2026-11-20 11:15", "the real session is open"),
        ("2026-11-22 12:00", None, "2026-11-20 10:30", "Sunday: Friday, an hour in"),
        ("2026-11-23 08:00", None, "2026-11-20 10:30", "before the open: the session before"),
        ("2026-11-20 18:00", None, "2026-11-20 10:30", "after the close: today's"),
        ("2026-11-22 12:00", "2026-11-20 10:42", "2026-11-20 10:43", "the minute after the last one stored"),
        ("2026-11-20 11:15", "2026-11-20 10:42", "2026-11-20 11:15", "never behind the open market"),
        ("2026-11-20 11:15", "2026-11-20 14:00", "2026-11-20 14:01", "never behind what is stored"),
        ("2026-11-22 12:00", "2026-11-20 15:45", "2026-11-23 10:30", "too near the close: the next session"),
        ("2026-11-25 20:00", "2026-11-25 15:59", "2026-11-27 10:30", "the next session skips the holiday"),
        ("2026-11-28 12:00", "2026-11-27 12:40", "2026-11-30 10:30", "half days close at one"),
        ("2026-11-22 12:00", "2024-01-05 10:42", "2026-11-20 10:30", "an old run is history, not a place to resume"),
    ],
)
def test_the_demo_begins(now: str, last: str | None, begins: str, why: str) -> None:
    assert demo_start(et(now), et(last) if last else None) == et(begins), why
