"""A day's option book: what is listed, held and traded, and what it is quoted at any second.

Everything is computed for whole columns at once and depends only on (seed, symbol, second).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from zerogex.domain.calendar import SECONDS_PER_YEAR
from zerogex.pricing.black_scholes import price
from zerogex.simulator import positions
from zerogex.simulator.instruments import INSTRUMENTS, Instrument, OptionClass, TickRule
from zerogex.simulator.listings import Listing
from zerogex.simulator.noise import Floats, Ints, uniform
from zerogex.simulator.noise import key as noise_key
from zerogex.simulator.path import OPEN_S, DayPath, instant_of
from zerogex.simulator.seeding import SeededChain
from zerogex.simulator.surface import RATE, at_the_money, forwards, smile, standardised


@dataclass(frozen=True, slots=True, eq=False)
class Valuation:
    """Model values of some rows: what the market makers think before they quote."""

    value: Floats  # dollars
    iv: Floats  # per 1.00
    forward: Floats
    years: Floats
    spot: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Quotes:
    """Some rows of a book at one second."""

    book: DayBook
    rows: Ints
    spot: float
    epoch: float  # the second the quotes belong to
    bid: Floats
    ask: Floats
    volume: Ints
    bid_size: Ints
    ask_size: Ints
    fair: Valuation


@dataclass(frozen=True, slots=True, eq=False)
class Trades:
    """What traded today in some rows; NaN where nothing did."""

    last: Floats
    last_epoch: Floats
    open: Floats
    high: Floats
    low: Floats


@dataclass(frozen=True, slots=True, eq=False)
class DayBook:
    """One underlying's options on one quoting day."""

    seed: int
    listed: Listing
    path: DayPath  # of the day the quotes belong to: before the open, the previous session
    scale: float
    held: Ints  # open interest
    total: Floats  # contracts that day until its close
    pace: Floats
    seeded: SeededChain | None
    previous: Floats  # each contract's closing value the session before, dollars

    @property
    def one(self) -> Instrument:
        return INSTRUMENTS[self.listed.symbol]

    @property
    def options(self) -> OptionClass:
        options = self.one.options
        assert options is not None
        return options

    def quotes(self, second: int, rows: Ints) -> Quotes:
        """Bids, asks, sizes and volumes in force during a second of the day; frozen from the close on."""
        second = min(second, self.path.close_s - 1)
        spot, epoch = float(self.path.price[second]), _epoch(self.path.day, second)
        fair = self.value(rows, np.full(len(rows), spot), np.full(len(rows), epoch))
        bid, ask = self._market(rows, fair.value)
        done = positions.done_by(second, self.path.close_s)
        volume = positions.traded_by(self.total[rows], self.pace[rows], done)
        code = self.listed.code[rows]
        block = (second + code % 37) // 37
        sizes = uniform(noise_key(self.seed, "size", self.path.day), code * 2048 + block)
        scale = 60.0 if self.one.kind == "STOCK" else 25.0
        bid_size = np.where(bid > 0, 1 + np.floor(-scale * np.log(sizes)), 0).astype(np.int64)
        ask_size = 1 + np.floor(-scale * np.log1p(-sizes)).astype(np.int64)
        return Quotes(self, rows, spot, epoch, bid, ask, volume, bid_size, ask_size, fair)

    def value(self, rows: Ints, spot: Floats, epoch: Floats) -> Valuation:
        """Model values of rows, each at its own spot and time; American ones never below what exercise pays."""
        listed = self.listed
        strike, is_call = listed.strike[rows], listed.is_call[rows]
        years = np.maximum((listed.settles[listed.of[rows]] - epoch) / SECONDS_PER_YEAR, 0.0)
        forward = forwards(self.one, spot, years, RATE)
        if self.seeded is not None:
            forward = self.seeded.forwards(listed, rows, spot, years, forward)
        log_spot = np.log(spot / (self.one.anchor * self.scale))
        level = at_the_money(self.one, self.seed, self.path.day, log_spot, years, epoch)
        x = standardised(strike, forward, years)
        iv = smile(self.options, level, x)
        if self.seeded is not None:
            iv = self.seeded.volatility(listed, rows, x, level, iv)
        worth = price(forward, strike, years, RATE, iv, is_call)
        if not self.options.index:
            worth = np.maximum(worth, np.where(is_call, spot - strike, strike - spot))
        return Valuation(worth, iv, forward, years, spot)

    def trades(self, quotes: Quotes) -> Trades:
        """Last, open, high and low of the day so far; a last price lies on the market of its own second."""
        rows, volume, total = quotes.rows, quotes.volume, self.total[quotes.rows]
        traded = volume > 0
        safe = np.maximum(total, 1.0)
        share = np.where(traded, volume, 1.0) / safe
        second = positions.second_when(share ** (1.0 / self.pace[rows]), self.path.close_s)
        first = positions.second_when((1.0 / safe) ** (1.0 / self.pace[rows]), self.path.close_s)
        last, opened = self.printed(rows, second, volume), self.printed(rows, first, np.ones_like(volume))
        until = int(quotes.epoch - _epoch(self.path.day, 0))
        cash = self.path.price[OPEN_S : until + 1] if until >= OPEN_S else self.path.price[OPEN_S : OPEN_S + 1]
        top, bottom = np.full(len(rows), cash.max()), np.full(len(rows), cash.min())
        call = self.listed.is_call[rows]
        zero = _epoch(self.path.day, 0)
        high = self.value(rows, np.where(call, top, bottom), np.asarray(zero + first, float)).value
        low = self.value(rows, np.where(call, bottom, top), np.full(len(rows), quotes.epoch)).value
        high = np.fmax(np.fmax(round_to_tick(high, self.options.ticks), last), opened)
        low = np.fmin(np.fmin(round_to_tick(low, self.options.ticks), last), opened)
        columns = [np.where(traded, column, np.nan) for column in (last, zero + second, opened, high, low)]
        return Trades(*columns)

    def printed(self, rows: Ints, second: Ints, number: Ints) -> Floats:
        """The price of each row's trade number `number`, made at a second: on the bid or on the ask of then."""
        fair = self.value(rows, self.path.price[second], np.asarray(_epoch(self.path.day, 0) + second, float))
        bid, ask = self._market(rows, fair.value)
        buyer = (
            uniform(noise_key(self.seed, "side", self.path.day), self.listed.code[rows] * 4096 + number % 4096) < 0.5
        )
        return np.where(buyer | (bid <= 0), ask, bid)

    def _market(self, rows: Ints, value: Floats) -> tuple[Floats, Floats]:
        """Bid and ask around a value: a spread of its own for each contract, on the tick, zero bids in the wings."""
        options = self.options
        wide = 0.7 + 0.9 * uniform(noise_key(self.seed, "spread"), self.listed.code[rows])
        share = 0.0035 if options.index else (0.0020 if options.ticks[-1][1] == 0.01 else 0.010)
        tick = ticks(options.ticks, value)
        half = 0.5 * (0.6 * tick + share * value) * wide
        bid = np.floor((value - half) / tick + 1e-9) * tick
        ask = np.maximum(np.ceil((value + half) / tick - 1e-9) * tick, tick)
        bid = np.where(value < 0.45 * tick, 0.0, np.maximum(bid, 0.0))
        return np.asarray(np.round(bid, 2)), np.asarray(np.round(ask, 2), float)


def ticks(rule: TickRule, value: Floats) -> Floats:
    """The tick at each price."""
    starts, sizes = np.array([start for start, _ in rule]), np.array([size for _, size in rule])
    return sizes[np.maximum(np.searchsorted(starts, value, side="right") - 1, 0)]


def round_to_tick(value: Floats, rule: TickRule) -> Floats:
    """Prices on their nearest tick, dollars."""
    tick = ticks(rule, value)
    return np.round(np.rint(value / tick) * tick, 2)


def _epoch(day: date, second: int) -> float:
    return instant_of(day, second).timestamp()
