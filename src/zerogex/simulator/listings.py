"""Which contracts exist on a day: expiration calendars and strike grids shaped like the real ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from zerogex.domain.calendar import is_session, next_session, previous_session, settlement
from zerogex.domain.chain import Bools, Texts, objects
from zerogex.simulator.instruments import INSTRUMENTS, Instrument
from zerogex.simulator.noise import Floats, Ints
from zerogex.simulator.path import daily_walk, session_index

# Nearby sessions with an expiration of their own, by cycle; Fridays and month ends reach further.
_DAILIES = {"daily": 10, "index": 25}
_LONGEST_MONTHS = {"daily": 30, "weekly": 30, "monthly": 60}


@dataclass(frozen=True, slots=True, order=True)
class Expiry:
    """One date on which contracts of one root end."""

    date: date
    root: str
    type: str  # Weekly | Monthly | Quarterly | EOM, as TradeStation says it


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """The contracts of an underlying on a day, by expiration, root, strike, call before put; aligned columns."""

    symbol: str
    day: date
    expiries: tuple[Expiry, ...]
    names: Texts  # option symbols
    of: Ints  # index into expiries
    strike: Floats
    is_call: Bools
    code: Ints  # a number for the contract, for noise
    starts: Ints  # first row of each expiry, and the count
    settles: Floats  # seconds since the epoch, per expiry
    is_new: Bools  # per expiry: listed for the first time on this day

    def __len__(self) -> int:
        return len(self.names)

    def rows(self, expiry: int) -> slice:
        """The rows of one expiry."""
        return slice(int(self.starts[expiry]), int(self.starts[expiry + 1]))

    def find(self, name: str) -> int | None:
        """The row of an option symbol; None where it is not listed."""
        return _rows_by_name(self).get(name)


@lru_cache(maxsize=32)
def _rows_by_name(listing: Listing) -> dict[str, int]:
    return {name: row for row, name in enumerate(listing.names.tolist())}


def third_friday(year: int, month: int) -> date:
    """The monthly expiration: the third Friday, or the session before where that is a holiday."""
    first = date(year, month, 1)
    friday = first + timedelta(days=(4 - first.weekday()) % 7 + 14)
    return friday if is_session(friday) else previous_session(friday)


def months(day: date, count: int) -> Iterator[tuple[int, int]]:
    """The month of a day and those after it."""
    for step in range(count):
        number = day.year * 12 + day.month - 1 + step
        yield number // 12, number % 12 + 1


def month_end(year: int, month: int) -> date:
    """The last session of a month."""
    return previous_session(date(year + month // 12, month % 12 + 1, 1))


@lru_cache(maxsize=512)
def expiries(symbol: str, day: date) -> tuple[Expiry, ...]:
    """Everything listed on a day, ascending by date, then root; empty for an underlying without options."""
    options = INSTRUMENTS[symbol].options
    if options is None:
        return ()
    found: dict[tuple[date, str], Expiry] = {}
    for root, cycle in options.roots:
        for ends, kind in _cycle(cycle, day, options.index):
            if ends >= day:
                found.setdefault((ends, root), Expiry(ends, root, kind))
    return tuple(found[name] for name in sorted(found))


def _cycle(cycle: str, day: date, index: bool) -> Iterable[tuple[date, str]]:
    """(date, type) of one root; earlier entries name the type of a date that comes twice."""
    if cycle in ("vix", "vixw"):
        return _vix_cycle(cycle, day)
    apart = index and cycle == "daily"  # an index's monthlies belong to its other root
    monthly = [(third_friday(*m), "Weekly" if apart else "Monthly") for m in _listed_months(cycle, day, apart)]
    if cycle == "monthly":
        return monthly
    ends: list[tuple[date, str]] = []
    if cycle == "daily":
        for year, month in months(day, 15):
            quarterly = month % 3 == 0
            if quarterly or (year * 12 + month) - (day.year * 12 + day.month) < 4:
                ends.append((month_end(year, month), "Quarterly" if quarterly else "EOM"))
    near: list[tuple[date, str]] = []
    step = day if is_session(day) else next_session(day)
    for _ in range(_DAILIES["index" if index else "daily"] if cycle == "daily" else 0):
        near.append((step, "Weekly"))
        step = next_session(step)
    fridays = [day + timedelta(days=(4 - day.weekday()) % 7 + 7 * week) for week in range(8)]
    near += [(friday if is_session(friday) else previous_session(friday), "Weekly") for friday in fridays]
    return monthly + ends + near


def _listed_months(cycle: str, day: date, apart: bool) -> Iterator[tuple[int, int]]:
    for position, (year, month) in enumerate(months(day, 4 if apart else _LONGEST_MONTHS[cycle])):
        long_dated = (month % 3 == 0 or month == 1) if position < 31 else month == 12
        if position < (12 if cycle == "monthly" else 5) or long_dated:
            yield year, month


def _vix_cycle(cycle: str, day: date) -> list[tuple[date, str]]:
    """Wednesdays, thirty days before the next month's third Friday: the monthlies; others: VIXW."""
    monthlies = []
    for year, month in months(day, 10):
        wednesday = third_friday(year + month // 12, month % 12 + 1) - timedelta(days=30)
        monthlies.append(wednesday if is_session(wednesday) else previous_session(wednesday))
    if cycle == "vix":
        return [(ends, "Monthly") for ends in monthlies]
    wednesdays = [day + timedelta(days=(2 - day.weekday()) % 7 + 7 * week) for week in range(6)]
    weeks = [ends if is_session(ends) else previous_session(ends) for ends in wednesdays]
    return [(ends, "Weekly") for ends in weeks if ends not in monthlies]


@lru_cache(maxsize=16)
def listing(symbol: str, seed: int, day: date, scale: float = 1.0) -> Listing:
    """The whole chain of a day; strikes reach as far as the last month's closes ask for."""
    one = INSTRUMENTS[symbol]
    position = session_index(day)
    closes = np.exp(daily_walk(seed, one.driver).close[max(position - 20, 0) : position]) * one.anchor * scale
    low, high = float(closes.min()), float(closes.max())
    days = expiries(symbol, day)
    before = {(e.date, e.root) for e in expiries(symbol, previous_session(day))}
    grids = [strikes(one, low, high, (e.date - day).days, e.type) for e in days]
    return assemble(symbol, day, days, grids, [(e.date, e.root) not in before for e in days])


def strikes(one: Instrument, low: float, high: float, days: int, kind: str) -> Floats:
    """Listed strikes: close together near the money, wider away from it, wider for longer tenors."""
    assert one.options is not None
    step = one.options.strike_step
    wide = min(max(one.options.atm_iv / 0.11, 1.0), 3.0)
    if one.options.index:
        near = min(0.035 + 0.0045 * math.sqrt(max(days, 0)), 0.10) * min(wide, 2.0) if days < 130 else 0.0
    else:
        near = min((0.05 + 0.006 * math.sqrt(max(days, 0))) * wide, 0.30) if days < 200 else 0.0
    mid = min((0.16 + 0.022 * math.sqrt(max(days, 1))) * wide, 0.45)
    far = min((0.30 + 0.03 * math.sqrt(max(days, 1))) * wide, 0.75)
    spans = [(step, near), (5 * step, mid)]
    if kind in ("Monthly", "Quarterly") or one.options.index:
        spans.append((20 * step, far))
    found: set[int] = set()
    for width, reach in spans:
        first, last = math.ceil(low * (1 - reach) / width), math.floor(high * (1 + reach) / width)
        found.update(round(number * width * 1000) for number in range(max(first, 1), last + 1))
    return np.array(sorted(found)) / 1000.0


def assemble(symbol: str, day: date, days: tuple[Expiry, ...], grids: list[Floats], new: list[bool]) -> Listing:
    """A listing from strike grids: both kinds of every strike."""
    columns = [np.repeat(grid, 2) for grid in grids]
    calls = [np.tile([True, False], len(grid)) for grid in grids]
    return assemble_rows(symbol, day, days, columns, calls, new)


def assemble_rows(symbol: str, day: date, days: tuple[Expiry, ...], columns: list[Floats], calls: list[Bools],
                  new: list[bool]) -> Listing:  # fmt: skip
    """A listing from the rows of each expiry."""
    names: list[str] = []
    codes = []
    for expiry, strike, is_call in zip(days, columns, calls, strict=True):
        stem = f"{expiry.root} {expiry.date:%y%m%d}"
        names += [f"{stem}{'C' if c else 'P'}{k:g}" if k < 1e5 else f"{stem}{'C' if c else 'P'}{k:.0f}"
                  for k, c in zip(strike.tolist(), is_call.tolist(), strict=True)]  # fmt: skip
        stamp = (sum(map(ord, expiry.root)) % 512 << 16 | (expiry.date.toordinal() & 0xFFFF)) << 32
        codes.append(stamp | (np.rint(strike * 1000).astype(np.int64) << 1) | is_call.astype(np.int64))
    sizes = [len(column) for column in columns]
    empty = np.zeros(0)
    return Listing(
        symbol, day, days, objects(names),
        np.repeat(np.arange(len(days)), sizes),
        np.concatenate([*columns, empty]),
        np.concatenate([*calls, empty.astype(bool)]),
        np.concatenate([*codes, empty.astype(np.int64)]),
        np.concatenate(([0], np.cumsum(sizes, dtype=np.int64))).astype(np.int64),
        np.array([settlement(e.root, e.date).timestamp() for e in days], float),
        np.array(new, bool),
    )  # fmt: skip
