"""Missing minutes of an underlying, a day at a time.

A day is always asked for whole: stored volumes are cumulative, so a minute put into a hole moves all after it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from zerogex.clock import Clock
from zerogex.domain.bar import MinuteBar
from zerogex.domain.calendar import minute_of, session_open, sessions, trading_date
from zerogex.engines.threads import in_thread
from zerogex.errors import ProviderError
from zerogex.pipeline.bar_book import BarBook, day_start
from zerogex.pipeline.gaps import Gap, missing_minutes
from zerogex.pipeline.validate import Validator
from zerogex.ports import MarketData, Store

log = logging.getLogger(__name__)

RECENT_DAYS = 5  # calendar days that are looked at before streaming begins


@dataclass(frozen=True, slots=True)
class FilledDay:
    """A day's minutes, and what is still missing of them."""

    book: BarBook
    written: int
    gaps: list[Gap]
    asked: bool  # whether the feed had to be asked at all


async def fill_bars(
    market: MarketData, store: Store, underlying: str, day: date, until: datetime, bucket_seconds: int = 60
) -> FilledDay:
    """Ask the feed for a day of which regular minutes before `until` are missing, and store what it says."""
    known = await read_bars(store, underlying, day, until, bucket_seconds)
    if not known.gaps:
        return known
    begin, end = _bounds(day, until)
    book = known.book
    validator = Validator(underlying)
    for bar in await market.bars(underlying, begin, end):
        if trading_date(bar.start) == day and bar.closed and validator.bar(bar, until):
            book.add(bar)
    changes = book.changes(end)
    if changes:
        await in_thread(store.write_bars, changes)
        book.mark(changes)
    remaining = (await read_bars(store, underlying, day, until, bucket_seconds)).gaps
    return FilledDay(book, len(changes), remaining, asked=True)


async def read_bars(store: Store, underlying: str, day: date, until: datetime, bucket_seconds: int = 60) -> FilledDay:
    """A day's bars before `until` as they are stored."""
    stored = await in_thread(store.bars, underlying, *_bounds(day, until))
    of_day = [bar for bar in stored if trading_date(bar.timestamp) == day]
    book = BarBook(underlying, bucket_seconds)
    book.anchor(of_day)
    return FilledDay(book, 0, _missing(of_day, day, until, bucket_seconds), asked=False)


def _bounds(day: date, until: datetime) -> tuple[datetime, datetime]:
    """From midnight to the next one, New York: a day may have 25 hours, and bars of the next one are left out."""
    begin = day_start(session_open(day))
    return begin, min(begin + timedelta(hours=25), until)


async def fill_recent(
    market: MarketData, store: Store, clock: Clock, underlying: str, bucket_seconds: int = 60
) -> list[Gap]:
    """Before streaming: the holes of the last few days between stored minutes; what remains missing.

    A database that never saw the underlying has no holes: its history begins with today.
    """
    now = clock.now()
    first_day = trading_date(now) - timedelta(days=RECENT_DAYS)
    stored = await in_thread(store.bars, underlying, day_start(now - timedelta(days=RECENT_DAYS)), now)
    if not stored:
        return []
    since, until, today = stored[0].timestamp, minute_of(now), trading_date(now)
    remaining: list[Gap] = []
    for day in sessions(max(first_day, trading_date(since)), today):
        of_day = [bar.timestamp for bar in stored if trading_date(bar.timestamp) == day]
        # what today lacks after its last stored minute is asked for when following begins
        end = max(of_day, default=since) if day == today else _day_end(day, until)
        if not missing_minutes(of_day, max(since, day_start(session_open(day))), end, bucket_seconds):
            continue
        try:
            filled = await fill_bars(market, store, underlying, day, until, bucket_seconds)
        except ProviderError as error:
            log.warning("gap not filled", extra={"underlying": underlying, "day": day, "error": str(error)})
            continue
        log.info("gap filled", extra={"underlying": underlying, "day": day, "minutes": filled.written})
        remaining += filled.gaps
    return remaining


def _missing(stored: Sequence[MinuteBar], day: date, until: datetime, bucket_seconds: int) -> list[Gap]:
    begin = session_open(day) - timedelta(seconds=bucket_seconds)
    return missing_minutes((bar.timestamp for bar in stored), begin, _day_end(day, until), bucket_seconds)


def _day_end(day: date, until: datetime) -> datetime:
    """Where a day's minutes are asked for up to."""
    return min(day_start(session_open(day)) + timedelta(hours=22), until)
