"""A real chain behind the simulated market: its strikes, open interest, volumes and smile.

The file's session is where the real numbers hold exactly: the price path passes through the
file's spot at its `as_of`, open interest and the day's volumes are the file's.  A clock within
ten sessions of that day keeps the file's dates: what has expired is gone, nothing new is listed.
Farther away the whole file is moved by a whole number of weeks, so that Fridays stay Fridays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import numpy as np

from zerogex.domain.calendar import (
    SECONDS_PER_YEAR,
    is_session,
    previous_session,
    session_close,
    session_open,
    trading_date,
)
from zerogex.domain.chain import OptionChain
from zerogex.pricing.forward import parity_forward
from zerogex.simulator.instruments import INSTRUMENTS, Instrument
from zerogex.simulator.listings import Expiry, Listing, assemble_rows, month_end, third_friday
from zerogex.simulator.noise import Bools, Floats, Ints, normal
from zerogex.simulator.noise import key as noise_key
from zerogex.simulator.path import day_of, day_path, session_days, session_index
from zerogex.simulator.surface import RATE, at_the_money, forwards, standardised

NEAR_SESSIONS = 10
_LEAST_POINTS = 5
_MOST_CARRY = 0.4  # per year, away from rate minus dividend; a day's forward is off by more only by mistake


@dataclass(frozen=True, slots=True, eq=False)
class Smile:
    """One expiry's smile from the file: volatility by standardised log-moneyness."""

    x: Floats
    iv: Floats
    carry: float  # of the forward, per year
    level: float = 1.0  # what the simulated market's own at-the-money volatility was when the path met the file


@dataclass(frozen=True, slots=True, eq=False)
class SeededChain:
    """An underlying's real chain, as the simulated market uses it."""

    symbol: str
    spot: float
    at: datetime  # where the path meets the spot, after moving by weeks
    listed: Listing  # all of it, on its own day
    held: Ints
    traded: Floats
    smiles: tuple[Smile | None, ...]

    @property
    def day(self) -> date:
        return self.listed.day

    def listing(self, day: date) -> tuple[Listing, Ints]:
        """What is left on a day, and the rows of the file it comes from."""
        keep = [i for i, e in enumerate(self.listed.expiries) if e.date >= day]
        rows = np.flatnonzero(np.isin(self.listed.of, keep))
        cuts = [self.listed.rows(i) for i in keep]
        listed = assemble_rows(
            self.symbol, day, tuple(self.listed.expiries[i] for i in keep), [self.listed.strike[c] for c in cuts],
            [self.listed.is_call[c] for c in cuts], [False] * len(keep))  # fmt: skip
        return listed, rows

    def open_interest(self, rows: Ints, day: date, seed: int) -> Ints:
        """The file's on its own day; a few percent more or less on others."""
        held = self.held[rows]
        if day == self.day:
            return held
        change = np.exp(0.05 * normal(noise_key(seed, "cleared", day), self.listed.code[rows]))
        return np.floor(held * change).astype(np.int64)

    def _by_row(self, listed: Listing, rows: Ints) -> list[tuple[Bools, Smile]]:
        """The smile of each expiry among some rows, and which rows are its."""
        known = {(e.date, e.root): s for e, s in zip(self.listed.expiries, self.smiles, strict=True)}
        of = listed.of[rows]
        found = [
            (of == i, known.get((listed.expiries[i].date, listed.expiries[i].root))) for i in np.unique(of).tolist()
        ]
        return [(here, smile) for here, smile in found if smile is not None]

    def forwards(self, listed: Listing, rows: Ints, spot: Floats, years: Floats, fallback: Floats) -> Floats:
        """Spot carried as the file's put-call parity says."""
        out = fallback.copy()
        for here, smile in self._by_row(listed, rows):
            out[here] = spot[here] * np.exp(smile.carry * years[here])
        return out

    def volatility(self, listed: Listing, rows: Ints, x: Floats, level: Floats, fallback: Floats) -> Floats:
        """The file's smiles, moved with the money and scaled with the level of volatility."""
        out = fallback.copy()
        for here, smile in self._by_row(listed, rows):
            out[here] = np.interp(x[here], smile.x, smile.iv) * level[here] / smile.level
        return out


def moved(chain: OptionChain, start: datetime | None) -> tuple[date, timedelta]:
    """The session a file is for, and by how much it is moved to be near `start`."""
    day = trading_date(chain.as_of)
    day = day if is_session(day) else previous_session(day)
    if start is None:
        return day, timedelta(0)
    target = session_index(trading_date(start))
    distance = target - session_index(day)
    if abs(distance) <= NEAR_SESSIONS:
        return day, timedelta(0)
    weeks = round((session_days()[target] - day).days / 7)
    return day, timedelta(weeks=weeks)


def default_start(chain: OptionChain) -> datetime:
    """Ten in the morning, New York, of the file's session."""
    return session_open(moved(chain, None)[0]) + timedelta(minutes=30)


def on_session(day: date) -> date:
    """A day, or the session before it where it has none."""
    return day if is_session(day) else previous_session(day)


def rows_and_expiries(chain: OptionChain, shift: timedelta) -> tuple[list[Ints], tuple[Expiry, ...]]:
    """The file's rows grouped by (expiration, root), ascending, each with strikes ascending and calls first."""
    dates = chain.expiration.astype("datetime64[D]").tolist()
    order = sorted(range(len(chain)), key=lambda i: (dates[i], chain.root[i], chain.strike[i], not chain.is_call[i]))
    groups: dict[tuple[date, str], list[int]] = {}
    for row in order:
        ends = on_session(dates[row] + shift) if shift else dates[row]
        groups.setdefault((ends, str(chain.root[row])), []).append(row)
    names = sorted(groups)
    return [np.array(groups[name]) for name in names], tuple(Expiry(d, r, _type(d)) for d, r in names)


def _type(day: date) -> str:
    if day == third_friday(day.year, day.month):
        return "Monthly"
    if day == month_end(day.year, day.month):
        return "Quarterly" if day.month % 3 == 0 else "EOM"
    return "Weekly"


def first_of_each(strike: Floats, is_call: Bools) -> Bools:
    """Mask of rows that do not repeat the row before them."""
    same = (np.diff(strike, prepend=np.nan) == 0) & (np.diff(is_call.astype(int), prepend=-1) == 0)
    return np.asarray(~same)


def session_instant(chain: OptionChain, shift: timedelta) -> datetime:
    """Where the path meets the file's spot: its as_of, held inside the cash session."""
    day, _ = moved(chain, None)
    there = on_session(day + shift)
    offset = chain.as_of - session_open(day)
    at = session_open(there) + max(offset, timedelta(0))
    return min(at, session_close(there) - timedelta(seconds=1))


def knows(chain: OptionChain) -> bool:
    """Whether the simulated market has the chain's underlying, with options."""
    one = INSTRUMENTS.get(chain.underlying)
    return one is not None and one.options is not None


def seeded(chain: OptionChain, start: datetime | None, seed: int) -> SeededChain:
    """A chain made ready for the market; rows with a kind or strike that repeats are dropped."""
    day, shift = moved(chain, start)
    groups, days = rows_and_expiries(chain, shift)
    there, at = on_session(day + shift), session_instant(chain, shift)
    unique = [g[first_of_each(chain.strike[g], chain.is_call[g])] for g in groups]
    listed = assemble_rows(chain.underlying, there, days, [chain.strike[g] for g in unique],
                           [chain.is_call[g] for g in unique], [False] * len(days))  # fmt: skip
    rows = np.concatenate(unique) if unique else np.zeros(0, np.int64)
    one = INSTRUMENTS[chain.underlying]
    meeting, second = day_of(at)
    log_spot = math.log(float(day_path(seed, one.symbol, meeting, 1.0).price[second]) / one.anchor)
    years = np.maximum((listed.settles - at.timestamp()) / SECONDS_PER_YEAR, 0.0)
    levels = at_the_money(one, seed, meeting, log_spot, years, at.timestamp())
    smiles = [_smile(chain, g, float(level)) for g, level in zip(unique, levels, strict=True)]
    return SeededChain(chain.underlying, chain.spot, at, listed, chain.open_interest[rows],
                       chain.volume[rows].astype(float), tuple(_filled(smiles)))  # fmt: skip


def _smile(chain: OptionChain, rows: Ints, level: float) -> Smile | None:
    """The out-of-the-money volatilities of one expiry; None where the file has too few."""
    one, part = INSTRUMENTS[chain.underlying], chain.select(rows)
    years = part.years
    if not len(years) or years[0] <= 0:
        return None
    carry = _carry(one, part)
    forward = chain.spot * np.exp(carry * years)
    with np.errstate(invalid="ignore"):
        usable = (part.is_call == (part.strike >= forward)) & (part.iv > 0.02) & (part.iv < 4.0)
        usable &= (part.ask > 0) | ~(np.nan_to_num(chain.ask) > 0).any()
    if usable.sum() < _LEAST_POINTS:
        return None
    x = standardised(part.strike[usable], forward[usable], years[usable])
    order = np.argsort(x)
    return Smile(x[order], part.iv[usable][order], carry, level)


def _carry(one: Instrument, part: OptionChain) -> float:
    """What the forward of one expiry grows by in a year: from put-call parity, or the market's own."""
    years = float(part.years[0])
    calls, puts = part.select(part.is_call), part.select(~part.is_call)
    _, mine, theirs = np.intersect1d(calls.strike, puts.strike, return_indices=True)
    own = math.log(float(forwards(one, part.spot, np.array([years]), RATE)[0]) / part.spot) / years
    forward, _ = parity_forward(calls.strike[mine], calls.bid[mine], calls.ask[mine], puts.bid[theirs],
                                puts.ask[theirs], years, RATE, part.spot)  # fmt: skip
    if not forward > 0:
        return own
    return max(min(math.log(forward / part.spot) / years, own + _MOST_CARRY), own - _MOST_CARRY)


def _filled(smiles: list[Smile | None]) -> Iterator[Smile | None]:
    """Expiries without a smile of their own (expired in the file) take the next one's, or the one before."""
    following: list[Smile | None] = []
    after: Smile | None = None
    for smile in reversed(smiles):
        after = smile or after
        following.append(after)
    before: Smile | None = None
    for smile, later in zip(smiles, reversed(following), strict=True):
        before = smile or before
        yield smile or (replace(later, carry=0.0) if later else before)
