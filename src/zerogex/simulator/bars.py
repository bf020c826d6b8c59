"""Bars read off the path: what a bar says is what the second-by-second price did, nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache

import numpy as np

from zerogex.domain.calendar import session_close
from zerogex.simulator.instruments import INSTRUMENTS
from zerogex.simulator.noise import Ints
from zerogex.simulator.path import (
    DAY_SECONDS,
    OPEN_S,
    DayPath,
    close_second,
    day_of,
    day_path,
    instant_of,
    session_days,
    session_index,
)

UNITS = ("Minute", "Daily", "Weekly", "Monthly")
TEMPLATES = ("Default", "USEQPre", "USEQPost", "USEQPreAndPost", "USEQ24Hour")


@dataclass(frozen=True, slots=True)
class Bar:
    """One interval; `end` is the UTC instant TradeStation stamps it with."""

    end: datetime
    open: float
    high: float
    low: float
    close: float
    volume: int
    up_volume: int
    ticks: int
    up_ticks: int
    closed: bool

    def joined(self, later: Bar) -> Bar:
        """This bar and a later one as one; the later one's end and state."""
        return Bar(later.end, self.open, max(self.high, later.high), min(self.low, later.low), later.close,
                   self.volume + later.volume, self.up_volume + later.up_volume, self.ticks + later.ticks,
                   self.up_ticks + later.up_ticks, later.closed)  # fmt: skip


def window_of(template: str, day: date, index: bool) -> tuple[int, int]:
    """First and last-plus-one second of a session template; index values print in the cash session only."""
    cash = (OPEN_S, close_second(day))
    if index or template == "Default":
        return cash
    return (cash[0] if template == "USEQPost" else 0, cash[1] if template == "USEQPre" else DAY_SECONDS)


def intraday(path: DayPath, minutes: int, window: tuple[int, int], now_s: int, index: bool) -> list[Bar]:
    """Bars of one day up to second `now_s`: closed ones, then the forming one; intervals without a trade are absent."""
    first, last = window
    until = min(last, now_s + 1)
    if until <= first:
        return []
    seconds = np.arange(first, until)
    if not index:
        seconds = seconds[path.volume[first:until] > 0]
    width = minutes * 60
    group = (seconds - first) // width
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    return list(_read(path, seconds, group, starts, first, last, width, now_s)) if len(starts) else []


def _read(path: DayPath, seconds: Ints, group: Ints, starts: Ints, first: int, last: int, width: int,
          now_s: int) -> Iterator[Bar]:  # fmt: skip
    price = path.price[seconds]
    ends = np.append(starts[1:], len(seconds)) - 1
    high, low = np.maximum.reduceat(price, starts), np.minimum.reduceat(price, starts)
    sums = [np.add.reduceat(c[seconds], starts) for c in (path.volume, path.up_volume, path.ticks, path.up_ticks)]
    for row, number in enumerate(group[starts].tolist()):
        end_s = min(first + (number + 1) * width, last)
        yield Bar(instant_of(path.day, end_s), float(price[starts[row]]), float(high[row]), float(low[row]),
                  float(price[ends[row]]), int(sums[0][row]), int(sums[1][row]), int(sums[2][row]),
                  int(sums[3][row]), now_s >= end_s)  # fmt: skip


@lru_cache(maxsize=8192)
def cash_session(seed: int, symbol: str, day: date, scale: float) -> Bar:
    """The closed daily bar of a session, stamped with its close."""
    return _cash(day_path(seed, symbol, day, scale), DAY_SECONDS)


def _cash(path: DayPath, now_s: int) -> Bar:
    last = min(path.close_s, now_s + 1)
    price, cut = path.price[OPEN_S:last], slice(OPEN_S, last)
    return Bar(session_close(path.day), float(price[0]), float(price.max()), float(price.min()), float(price[-1]),
               int(path.volume[cut].sum()), int(path.up_volume[cut].sum()), int(path.ticks[cut].sum()),
               int(path.up_ticks[cut].sum()), now_s >= path.close_s)  # fmt: skip


def daily(seed: int, symbol: str, scale: float, first: date, at: datetime) -> list[Bar]:
    """Daily bars from the first day on; today's forms from the open."""
    today, now_s = day_of(at)
    bars = [cash_session(seed, symbol, day, scale) for day in _days(first, today, inclusive=False)]
    if now_s >= OPEN_S and today >= first:
        bars.append(_cash(day_path(seed, symbol, today, scale), now_s))
    return bars


def longer(bars: list[Bar], unit: str, at: datetime) -> list[Bar]:
    """Daily bars joined to weeks or months; the running one stays open."""
    joined: dict[tuple[int, int], Bar] = {}
    for bar in bars:
        day = bar.end.date()
        name = (day.isocalendar().year, day.isocalendar().week) if unit == "Weekly" else (day.year, day.month)
        joined[name] = joined[name].joined(bar) if name in joined else bar
    out = list(joined.values())
    today = at.date()
    if out:
        last = out[-1].end.date()
        running = (last.isocalendar()[:2] == today.isocalendar()[:2] and today.weekday() < 5) if unit == "Weekly" else (
            (last.year, last.month) == (today.year, today.month))  # fmt: skip
        out[-1] = replace(out[-1], closed=out[-1].closed and not running)
    return out


def minute_history(seed: int, symbol: str, scale: float, minutes: int, template: str, at: datetime,
                   *, count: int | None = None, first: datetime | None = None) -> list[Bar]:  # fmt: skip
    """Intraday bars up to an instant: the last `count`, or those ending after `first`; ascending, forming one last."""
    index = INSTRUMENTS[symbol].kind == "INDEX"
    today, now_s = day_of(at)
    earliest = day_of(first)[0] if first else session_days()[1]
    days: list[list[Bar]] = []
    total = 0
    for day in reversed(list(_days(earliest, today, inclusive=True))):
        path = day_path(seed, symbol, day, scale)
        found = intraday(path, minutes, window_of(template, day, index), now_s if day == today else DAY_SECONDS, index)
        days.append(found)
        total += len(found)
        if count is not None and total >= count:
            break
    bars = [bar for found in reversed(days) for bar in found]
    if first is not None:
        bars = [bar for bar in bars if bar.end > first]
    return bars[-count:] if count is not None else bars


def _days(first: date, last: date, *, inclusive: bool) -> tuple[date, ...]:
    days = session_days()
    start = session_index(first)
    if days[start] < first:
        start += 1
    return days[start : session_index(last) + (1 if inclusive else 0)]
