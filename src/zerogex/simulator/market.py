"""The simulated market: ask for any symbol at any instant, in any order, and always get the same answer.

    market = Market(seed=7, start=None)
    market.quote("SPY", at)            # the underlying
    market.bars("SPY", "Minute", at, count=60)
    book, second = market.book("SPX", at)
    book.quotes(second, rows)          # options, whole columns

It knows the sessions of zerogex.domain.calendar from 2005 to 2030.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache

import numpy as np

from zerogex.domain.calendar import Session, is_session, next_session, previous_session, session_at, trading_date
from zerogex.domain.chain import OptionChain
from zerogex.errors import SettingsError
from zerogex.simulator import bars as bar_reader
from zerogex.simulator import positions
from zerogex.simulator.bars import Bar
from zerogex.simulator.book import DayBook
from zerogex.simulator.instruments import INSTRUMENTS, Instrument
from zerogex.simulator.listings import Expiry, Listing, expiries, listing
from zerogex.simulator.noise import Floats, uniform
from zerogex.simulator.noise import key as noise_key
from zerogex.simulator.path import (
    DAY_SECONDS,
    OPEN_S,
    DayPath,
    daily_walk,
    day_of,
    day_path,
    instant_of,
    second_of_day,
    session_days,
    session_index,
)
from zerogex.simulator.seeding import SeededChain, default_start, knows, seeded
from zerogex.simulator.surface import RATE

VENUES = ("ARCX", "XNGS", "BATS", "EDGX", "XNYS", "MEMX", "TRF", "IEXG")


@dataclass(frozen=True, slots=True)
class Quote:
    """An underlying at one second, with what a quote says of its day and year."""

    symbol: str
    last: float
    bid: float
    ask: float
    bid_size: int
    ask_size: int
    open: float
    high: float
    low: float
    close: float  # of the last cash session's last trade so far
    previous_close: float
    volume: int  # shares today, pre-market included
    previous_volume: int
    vwap: float
    last_size: int
    venue: str
    trade_time: datetime
    high_52: float
    high_52_day: date
    low_52: float
    low_52_day: date


class Market:
    """Everything the simulated exchange could tell, as functions of time.

    `start` decides only how a chain file far from it is moved (see seeding.py).
    Raises SettingsError for a start outside the calendar or a chain of an unknown underlying.
    """

    def __init__(self, seed: int = 7, start: datetime | None = None, chains: Sequence[OptionChain] = ()) -> None:
        self.seed = seed
        for chain in chains:
            if not knows(chain):
                raise SettingsError(
                    f"the simulator has no optionable underlying {chain.underlying!r} to seed from a chain file; "
                    f"use one of {', '.join(name for name, one in INSTRUMENTS.items() if one.options)}"
                )
        if start is not None and not session_days()[300] <= trading_date(start) <= session_days()[-30]:
            raise SettingsError(f"the simulator's start {start:%Y-%m-%d} lies outside "
                                f"{session_days()[300]} to {session_days()[-30]}")  # fmt: skip
        self.seeds = {chain.underlying: seeded(chain, start, seed) for chain in chains}
        self._scales: dict[str, float] = {name: self._scale_of(one) for name, one in self.seeds.items()}
        self._book = lru_cache(maxsize=24)(self._make_book)
        self._years = lru_cache(maxsize=128)(self._year_range)

    def _scale_of(self, seed: SeededChain) -> float:
        day, second = day_of(seed.at)
        return seed.spot / float(day_path(self.seed, seed.symbol, day, 1.0).price[second])

    def scale(self, symbol: str) -> float:
        """By what the built-in price history of a symbol is multiplied: 1 unless a chain file says its spot."""
        return self._scales.get(symbol, 1.0)

    def path(self, symbol: str, day: date) -> DayPath:
        """A session's seconds."""
        return day_path(self.seed, symbol, day, self.scale(symbol))

    def price(self, symbol: str, at: datetime) -> float:
        """The last price at an instant, dollars."""
        day, second = day_of(at)
        return float(self.path(symbol, day).price[second])

    def quote(self, symbol: str, at: datetime) -> Quote:
        """The underlying's quote during the second of `at`."""
        one, (day, second) = INSTRUMENTS[symbol], day_of(at)
        path = self.path(symbol, day)
        before = self.path(symbol, previous_session(day))
        cash = path.price[OPEN_S : max(min(second + 1, path.close_s), OPEN_S)]
        last = float(path.price[second])
        around = cash if len(cash) else np.array([last])
        half, sizes = self._spread(one, path, second)
        traded = np.flatnonzero(path.volume[max(second - 600, 0) : second + 1])
        trade_s = max(second - 600, 0) + int(traded[-1]) if len(traded) else min(second, path.close_s - 1)
        volume = int(path.total[second])
        vwap = float(path.price[: second + 1] @ path.volume[: second + 1]) / volume if volume else last
        high, high_day, low, low_day = self._years(symbol, day)
        top, bottom = float(around.max()), float(around.min())
        return Quote(
            symbol, last, round(last - half, 2), round(last + half, 2), *sizes, float(around[0]), top, bottom,
            float(cash[-1]) if len(cash) else before.close, before.close, volume, int(before.total[-1]), vwap,
            1 + int(path.volume[trade_s]) // max(int(path.ticks[trade_s]), 1),
            VENUES[(second * 7919 + len(symbol)) % len(VENUES)], instant_of(day, trade_s),
            max(high, top), day if top > high else high_day, min(low, bottom), day if bottom < low else low_day,
        )  # fmt: skip

    def _spread(self, one: Instrument, path: DayPath, second: int) -> tuple[float, tuple[int, int]]:
        """Half the bid-ask spread (zero for an index, which nobody quotes) and the sizes on both sides."""
        draws = uniform(noise_key(self.seed, "quote", one.symbol, path.day), np.array([second, second + DAY_SECONDS]))
        sizes = tuple(100 * (1 + int(12 * draw)) for draw in draws.tolist())
        if one.kind == "INDEX":
            return 0.0, (0, 0)
        base = 0.01 * max(1.0, round(one.anchor / 400.0 * (1.0 if one.volume > 3e7 else 2.0)))
        if not OPEN_S <= second < path.close_s:
            base *= 4
        return base, (sizes[0], sizes[1])

    def _year_range(self, symbol: str, day: date) -> tuple[float, date, float, date]:
        """Highest and lowest close of the 252 sessions before a day, and when."""
        one, position = INSTRUMENTS[symbol], session_index(day)
        first = max(position - 252, 1)
        closes = np.exp(daily_walk(self.seed, one.driver).close[first:position]) * one.anchor * self.scale(symbol)
        days = session_days()[first:position]
        high, low = int(closes.argmax()), int(closes.argmin())
        return round(float(closes[high]), 2), days[high], round(float(closes[low]), 2), days[low]

    def bars(self, symbol: str, unit: str, at: datetime, *, interval: int = 1, template: str = "Default",
             count: int | None = None, first: datetime | None = None) -> list[Bar]:  # fmt: skip
        """Bars up to an instant, ascending: the last `count`, or those ending after `first`; the forming one last."""
        scale = self.scale(symbol)
        if unit == "Minute":
            return bar_reader.minute_history(self.seed, symbol, scale, interval, template, at, count=count, first=first)
        size = {"Daily": 1, "Weekly": 5, "Monthly": 23}[unit]
        if first is None:
            position = session_index(trading_date(at)) - size * ((count or 1) + 1)
            first_day = session_days()[max(position, 1)]
        else:
            first_day = max(trading_date(first), session_days()[1])
        found = bar_reader.daily(self.seed, symbol, scale, first_day, at)
        if unit != "Daily":
            found = bar_reader.longer(found, unit, at)
        if first is not None:
            found = [bar for bar in found if bar.end > first]
        return found[-count:] if count is not None else found

    def expiries(self, symbol: str, at: datetime) -> tuple[Expiry, ...]:
        """Listed expirations, today's included until midnight in New York."""
        day = _book_day(at)
        seed = self._seed_for(symbol, day)
        return tuple(e for e in seed.listed.expiries if e.date >= day) if seed else expiries(symbol, day)

    def book(self, symbol: str, at: datetime) -> tuple[DayBook, int]:
        """The option book at an instant, and the second of its day: yesterday's last one before the open."""
        day = _book_day(at)
        second = second_of_day(at)
        if trading_date(at) != day or second < OPEN_S:
            return self._book(symbol, day, previous_session(day)), DAY_SECONDS - 1
        return self._book(symbol, day, day), second

    def _seed_for(self, symbol: str, day: date) -> SeededChain | None:
        seed = self.seeds.get(symbol)
        return seed if seed is not None and any(e.date >= day for e in seed.listed.expiries) else None

    def _make_book(self, symbol: str, day: date, quoted: date) -> DayBook:
        """The contracts listed on `day`, quoted and traded on `quoted` (the same, or the session before)."""
        seed, scale = self._seed_for(symbol, day), self.scale(symbol)
        listed, rows = seed.listing(day) if seed else (listing(symbol, self.seed, day, scale), np.zeros(0, np.int64))
        path = self.path(symbol, quoted)
        if seed:
            held = seed.open_interest(rows, day, self.seed)
        else:
            held = positions.open_interest(listed, self.seed, self._trend(symbol, day))
        total = seed.traded[rows] if seed and quoted == seed.day else self._totals(listed, path, quoted)
        pace = positions.pace_of(listed, self.seed, quoted)
        book = DayBook(self.seed, listed, path, scale, held, total, pace, seed, np.zeros(len(listed)))
        return self._with_previous(book, quoted)

    def _with_previous(self, book: DayBook, quoted: date) -> DayBook:
        """The book knowing each contract's value at the close of the session before."""
        path = self.path(book.listed.symbol, previous_session(quoted))
        rows = np.arange(len(book.listed))
        epoch = instant_of(path.day, path.close_s - 1).timestamp()
        fair = book.value(rows, np.full(len(rows), path.close), np.full(len(rows), epoch))
        return DayBook(book.seed, book.listed, book.path, book.scale, book.held, book.total, book.pace, book.seeded,
                       np.maximum(np.round(fair.value, 2), 0.01))  # fmt: skip

    def _totals(self, listed: Listing, path: DayPath, quoted: date) -> Floats:
        total = positions.day_volume(listed, self.seed, quoted, path.open)
        if quoted < listed.day:
            total = np.where(listed.is_new[listed.of], 0.0, total)
        return total

    def historical_volatility(self, symbol: str, day: date) -> float:
        """Annualised standard deviation of the 90 daily returns before a day."""
        closes = daily_walk(self.seed, INSTRUMENTS[symbol].driver).close
        position = session_index(day)
        return float(np.diff(closes[position - 91 : position]).std() * np.sqrt(252.0))

    def _trend(self, symbol: str, day: date) -> float:
        """The price positions were taken around: a slow average of the closes before a day."""
        one = INSTRUMENTS[symbol]
        trend = float(daily_walk(self.seed, one.driver).trend[session_index(day)])
        return math.exp(trend) * one.anchor * self.scale(symbol)

    def start_of(self, chains: Sequence[OptionChain]) -> datetime:
        """Where a simulation starts when nobody says.

        In the first chain file's session; without one, now while the market is open, otherwise an
        hour into the last session.
        """
        if chains:
            return default_start(chains[0])
        now = datetime.now(UTC)
        if session_at(now) is Session.REGULAR:
            return now
        day, second = day_of(now)
        return instant_of(day if second > OPEN_S + 3600 else previous_session(day), OPEN_S + 3600)


def _book_day(at: datetime) -> date:
    day = trading_date(at)
    return day if is_session(day) else next_session(day)


__all__ = ["RATE", "Market", "Quote"]
