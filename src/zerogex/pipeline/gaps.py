"""Which minutes of the regular session are not stored: the calendar says what should be there.

Holidays have no minutes, half days end at 13:00 ET.  Minutes before the open and after the close are
never missing: an index prints none there, and a share need not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from zerogex.domain.calendar import session_close, session_open, sessions, trading_date

MINUTE_S = 60


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """A run of missing minutes within one session."""

    start: datetime  # UTC, the first missing minute
    end: datetime  # UTC, where the last missing minute ends

    @property
    def minutes(self) -> int:
        """How long the gap is."""
        return round((self.end - self.start).total_seconds() / MINUTE_S)

    @property
    def day(self) -> date:
        """The session it lies in."""
        return trading_date(self.start)


def missing_minutes(
    stored: Iterable[datetime], first: datetime, last: datetime, bucket_seconds: int = MINUTE_S
) -> list[Gap]:
    """The gaps in [first, last), ascending; neighbours within a session are one gap.

    `stored` are the starts of the stored minutes, in any order.  A minute counts once it lies in the
    interval whole, so an interval that ends now never reports the minute that is still forming.
    With longer buckets (AGGREGATION_BUCKET_SECONDS) the same is asked of each bucket.
    """
    known = {int(start.timestamp()) // bucket_seconds for start in stored}
    length = timedelta(seconds=bucket_seconds)
    gaps: list[Gap] = []
    for day in sessions(trading_date(first), trading_date(last)):
        run: list[datetime] = []
        for bucket in _buckets(day, bucket_seconds):
            start = datetime.fromtimestamp(bucket * bucket_seconds, UTC)
            if bucket not in known and start >= first and start + length <= last:
                run.append(start)
            elif run:
                gaps.append(Gap(run[0], run[-1] + length))
                run = []
        if run:
            gaps.append(Gap(run[0], run[-1] + length))
    return gaps


def expected_minutes(first: datetime, last: datetime, bucket_seconds: int = MINUTE_S) -> list[datetime]:
    """The starts of all buckets of regular sessions that lie in [first, last) whole, ascending."""
    starts = (
        datetime.fromtimestamp(bucket * bucket_seconds, UTC)
        for day in sessions(trading_date(first), trading_date(last))
        for bucket in _buckets(day, bucket_seconds)
    )
    length = timedelta(seconds=bucket_seconds)
    return [start for start in starts if start >= first and start + length <= last]


def _buckets(day: date, bucket_seconds: int) -> Iterator[int]:
    """The numbers of the buckets that a session reaches into; bucket 0 begins at the epoch."""
    opens, closes = int(session_open(day).timestamp()), int(session_close(day).timestamp())
    return iter(range(opens // bucket_seconds, (closes - 1) // bucket_seconds + 1))
