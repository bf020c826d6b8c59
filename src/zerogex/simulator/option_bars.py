"""Bars of one option: what its trades of each minute did, as its quotes tell the same trades."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np

from zerogex.simulator import positions
from zerogex.simulator.bars import Bar, longer
from zerogex.simulator.book import DayBook
from zerogex.simulator.market import Market
from zerogex.simulator.noise import Ints
from zerogex.simulator.path import DAY_SECONDS, OPEN_S, day_of, instant_of, session_days, session_index

LONGEST_DAYS = 90  # of one answer: no simulated contract is asked about for longer


def option_bars(
    market: Market, symbol: str, name: str, unit: str, interval: int, at: datetime, *,
    count: int | None = None, first: datetime | None = None,
) -> list[tuple[Bar, int]]:  # fmt: skip
    """(bar, open interest) of a listed contract up to an instant: the last `count`, or those ending after `first`."""
    today, now_s = day_of(at)
    earliest = day_of(first)[0] if first else session_days()[max(session_index(today) - LONGEST_DAYS, 1)]
    found: list[tuple[Bar, int]] = []
    for day in reversed(_days(earliest, today)):
        book, _ = market.book(symbol, instant_of(day, DAY_SECONDS - 1))
        row = book.listed.find(name)
        if row is None:
            continue
        until = now_s if day == today else DAY_SECONDS
        bars = intraday(book, row, interval if unit == "Minute" else 1, until)
        if unit != "Minute" and bars:
            bars = [_day_of(bars, book, until)]
        found = [(bar, int(book.held[row])) for bar in bars] + found
        if count is not None and len(found) >= count and unit in ("Minute", "Daily"):
            break
    if unit in ("Weekly", "Monthly") and found:
        held = found[-1][1]
        found = [(bar, held) for bar in longer([bar for bar, _ in found], unit, at)]
    if first is not None:
        found = [item for item in found if item[0].end > first]
    return found[-count:] if count is not None else found


def intraday(book: DayBook, row: int, minutes: int, now_s: int) -> list[Bar]:
    """One contract's bars of a day up to a second of it; minutes without a trade are absent."""
    close_s, width = book.path.close_s, minutes * 60
    ends = np.minimum(np.arange(OPEN_S + width, close_s + width, width), close_s)
    ends = ends[ends - width < max(now_s, 0)]
    if not len(ends):
        return []
    seconds = np.minimum(np.minimum(ends, now_s + 1), close_s) - 1
    done = np.array([positions.done_by(second, close_s) for second in seconds.tolist()])
    volume = np.floor(book.total[row] * done ** book.pace[row]).astype(np.int64)
    before = np.concatenate(([0], volume[:-1]))
    traded = np.flatnonzero(volume > before)
    opened, closed = _prices(book, row, before[traded] + 1), _prices(book, row, volume[traded])
    bars = []
    for place, index in enumerate(traded.tolist()):
        contracts = int(volume[index] - before[index])
        prices = (float(opened[place]), float(closed[place]))
        bars.append(
            Bar(instant_of(book.path.day, int(ends[index])), prices[0], max(prices), min(prices), prices[1],
                contracts, contracts // 2, contracts, contracts // 2, now_s >= int(ends[index]))
        )  # fmt: skip
    return bars


def _prices(book: DayBook, row: int, number: Ints) -> np.ndarray:
    """What the trades with these numbers were made at."""
    share = number / max(float(book.total[row]), 1.0)
    second = positions.second_when(share ** (1.0 / book.pace[row]), book.path.close_s)
    return book.printed(np.full(len(number), row), second, number)


def _day_of(bars: list[Bar], book: DayBook, now_s: int) -> Bar:
    whole = bars[0]
    for bar in bars[1:]:
        whole = whole.joined(bar)
    end = instant_of(book.path.day, book.path.close_s)
    return Bar(end, whole.open, whole.high, whole.low, whole.close, whole.volume, whole.up_volume, whole.ticks,
               whole.up_ticks, now_s >= book.path.close_s)  # fmt: skip


def _days(first: date, last: date) -> tuple[date, ...]:
    start = session_index(first)
    if session_days()[start] < first:
        start += 1
    return session_days()[start : session_index(last) + 1]
