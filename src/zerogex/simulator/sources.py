"""What each kind of stream is about: quotes, bars, option chains, single options, market depth."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np

from zerogex.simulator import wire
from zerogex.simulator.asked import Named, named
from zerogex.simulator.bars import Bar
from zerogex.simulator.book import DayBook
from zerogex.simulator.exchange import Exchange
from zerogex.simulator.instruments import Instrument
from zerogex.simulator.noise import Ints, generator
from zerogex.simulator.rest import quotes_of
from zerogex.simulator.speech import Said

_DEPTH_VENUES = ("NSDQ", "ARCX", "BATS", "BATY", "EDGX", "EDGA", "IEX", "MEMX", "MPRL", "CHXE")


class QuoteSource:
    """Full quotes first, then only the fields that changed."""

    def __init__(self, exchange: Exchange, symbols: list[str]) -> None:
        self.exchange, self.symbols = exchange, symbols
        self.followed: list[Named] = []
        self.known: dict[str, wire.Fields] = {}
        self._next = 0

    def first(self) -> list[Said]:
        said: list[Said] = []
        refused = {name.upper() for name in self.exchange.faults.not_entitled}
        failing = {name.upper() for name in self.exchange.faults.failing}
        for symbol in self.symbols:
            what = named(self.exchange, symbol)
            if what is None:
                said.append((symbol, {"Symbol": symbol, "Error": "FAILED, INVALID SYMBOL"}))
            elif what.name in refused:
                said.append((what.name, {"Symbol": what.name, "Error": "FAILED, NOT ENTITLED"}))
            elif what.name in failing:
                said.append((what.name, {"Symbol": what.name, "Error": "FAILED"}))
            elif what.name not in {known.name for known in self.followed}:
                self.followed.append(what)
        self.known = quotes_of(self.exchange, self.followed, percent=False)
        return said + list(self.known.items())

    def turn(self) -> list[Said]:
        config, said = self.exchange.config, []
        budget = min(max(1, round(config.quote_objects_per_s * config.turn_s)), len(self.followed))
        ring = self.followed[self._next :] + self.followed[: self._next]
        self._next = (self._next + budget) % max(len(self.followed), 1)
        for name, now in quotes_of(self.exchange, ring[:budget], percent=False).items():
            before, self.known[name] = self.known.get(name, {}), now
            changed = {name: value for name, value in now.items() if before.get(name) != value}
            if changed:
                said.append((name, {"Symbol": name, **changed}))
        return said


class BarSource:
    """Closed bars of the past, then the forming one as it changes, each closed exactly once."""

    def __init__(self, exchange: Exchange, what: Named, unit: str, interval: int, template: str, back: int) -> None:
        self.exchange, self.what = exchange, what
        self.unit, self.interval, self.template, self.back = unit, interval, template, back
        self.last_end: Any = None
        self.forming: Bar | None = None
        self.replay: list[Said] = []

    def _bars(self, **window: Any) -> list[Bar]:
        return self.exchange.market.bars(self.what.one.symbol, self.unit, self.exchange.now(), interval=self.interval,
                                         template=self.template, **window)  # fmt: skip

    def first(self) -> list[Said]:
        history = [bar for bar in self._bars(count=self.back + 1) if bar.closed][-self.back :]
        self.last_end = history[-1].end if history else self.exchange.now()
        last = len(history) - 1
        said = [self._said(bar, end_of_history=i == last) for i, bar in enumerate(history)]
        self.replay = said[-1:]
        return said

    def _said(self, bar: Bar, *, realtime: bool = False, end_of_history: bool = False) -> Said:
        return self.what.name, wire.bar_fields(bar, realtime=realtime, end_of_history=end_of_history)

    def turn(self) -> list[Said]:
        if self.exchange.faults.frozen_bar:
            return self.replay
        said = []
        for bar in self._bars(first=self.last_end):
            if bar.closed:
                self.last_end, self.forming = bar.end, None
                said.append(self._said(bar, realtime=True))
            elif bar != self.forming:
                self.forming = bar
                said.append(self._said(bar, realtime=True))
        return said


class ChainSource:
    """Whole objects of the contracts in a window: all at once, then those that changed, at a bounded pace."""

    def __init__(self, exchange: Exchange, one: Instrument, names: list[str], rate: float, greeks: bool) -> None:
        self.exchange, self.one, self.names = exchange, one, names
        self.rate, self.greeks = rate, greeks
        self._book: DayBook | None = None
        self._rows: Ints = np.zeros(0, np.int64)
        self._known: np.ndarray[Any, Any] = np.zeros((5, 0))
        self._after = 0
        self._second = -1

    def _look(self) -> tuple[DayBook, int]:
        """The book now; the window keeps its contracts over midnight and loses the expired."""
        book, second = self.exchange.market.book(self.one.symbol, self.exchange.now())
        if book is not self._book:
            found = [row for name in self.names if (row := book.listed.find(name)) is not None]
            self._book, self._rows = book, np.array(found, np.int64)
            self._known, self._second = np.full((5, len(found)), np.nan), -1
        return book, min(second, book.path.close_s - 1)

    def first(self) -> list[Said]:
        self._look()
        return self._changes(len(self.names) or 1)

    def turn(self) -> list[Said]:
        config = self.exchange.config
        return self._changes(max(1, round(config.chain_objects_per_s * config.turn_s)))

    def _changes(self, most: int) -> list[Said]:
        book, second = self._look()
        if not len(self._rows):
            return []
        quotes = book.quotes(second, self._rows)
        now = np.stack([quotes.bid, quotes.ask, quotes.volume, quotes.bid_size, quotes.ask_size]).astype(float)
        changed = np.flatnonzero((now != self._known).any(axis=0))
        if len(changed) > most:  # go on where the last turn stopped, so that nobody starves
            changed = np.sort(np.roll(changed, -int(np.searchsorted(changed, self._after)))[:most])
            self._after = int(changed[-1]) + 1 if len(changed) else 0
        if not len(changed):
            return []
        self._known[:, changed] = now[:, changed]
        return chain_said(book, second, self._rows[changed], self)


def chain_said(book: DayBook, second: int, rows: Ints, source: ChainSource) -> list[Said]:
    """Chain objects of some rows of a book."""
    quotes = book.quotes(second, rows)
    vol = source.exchange.market.historical_volatility(source.one.symbol, book.listed.day)
    objects = wire.chain_objects(quotes, book.trades(quotes), source.rate, vol, source.greeks)
    return [(str(fields["Legs"][0]["Symbol"]), fields) for fields in objects]


def window(book: DayBook, day: date, roots: tuple[str, ...], center: float, proximity: int, kind: str,
           side: str) -> list[str]:  # fmt: skip
    """The contracts of a chain stream: `proximity` strikes on each side of the centre, per root."""
    listed, names = book.listed, []
    for number, expiry in enumerate(listed.expiries):
        if expiry.date != day or expiry.root not in roots:
            continue
        cut = listed.rows(number)
        strikes = np.unique(listed.strike[cut])
        at = int(np.searchsorted(strikes, center))
        low, high = strikes[max(at - proximity, 0)], strikes[min(at + proximity, len(strikes)) - 1]
        strike, is_call = listed.strike[cut], listed.is_call[cut]
        keep = (strike >= low) & (strike <= high)
        if kind != "All":
            keep &= is_call == (kind == "Call")
        if side != "All":
            in_money = np.where(is_call, strike < center, strike > center)
            keep &= in_money == (side == "ITM")
        names += listed.names[cut][keep].tolist()
    return names


class DepthSource:
    """A whole order book each time: venue by venue, or aggregated by price."""

    def __init__(self, exchange: Exchange, what: Named, levels: int, aggregates: bool) -> None:
        self.exchange, self.what, self.levels, self.aggregates = exchange, what, levels, aggregates
        self._spoken = 0.0

    def first(self) -> list[Said]:
        return [(self.what.name, self._book())]

    def turn(self) -> list[Said]:
        self._spoken += self.exchange.config.depth_objects_per_s * self.exchange.config.turn_s
        if self._spoken < 1.0:
            return []
        self._spoken -= int(self._spoken)
        return self.first()

    def _book(self) -> wire.Fields:
        now = self.exchange.now()
        quote = self.exchange.market.quote(self.what.one.symbol, now)
        random = generator(self.exchange.config.seed, "depth", self.what.name, int(now.timestamp()))
        sides = {}
        for side, best, step in (("Bid", quote.bid, -0.01), ("Ask", quote.ask, 0.01)):
            make = self._aggregate if self.aggregates else self._venues
            levels = [make(side, best + step * i, random, wire.stamp(now)) for i in range(self.levels)]
            sides[f"{side}s"] = [entry for level in levels for entry in level]
        return sides

    def _venues(self, side: str, price: float, random: np.random.Generator, at: str) -> list[wire.Fields]:
        names = random.choice(_DEPTH_VENUES, size=1 + int(random.random() < 0.3), replace=False)
        return [
            {"TimeStamp": at, "Side": side, "Price": wire.text(price, 2), "Size": str(100 * int(1 + random.poisson(4))),
             "OrderCount": int(1 + random.poisson(3)), "Name": str(name)}
            for name in names
        ]  # fmt: skip

    def _aggregate(self, side: str, price: float, random: np.random.Generator, at: str) -> list[wire.Fields]:
        sizes = 100 * (1 + random.poisson(4, size=int(1 + random.poisson(2))))
        return [{"EarliestTime": at, "LatestTime": at, "Side": side, "Price": wire.text(price, 2),
                 "TotalSize": str(int(sizes.sum())), "BiggestSize": str(int(sizes.max())),
                 "SmallestSize": str(int(sizes.min())), "NumParticipants": len(sizes),
                 "TotalOrderCount": int(len(sizes) + random.poisson(2))}]  # fmt: skip
