"""A real chain behind the simulated market: its strikes, open interest, volumes and smile.

The file's session is where the real numbers hold exactly: the price path passes through the
file's spot at its `as_of`, open interest and the day's volumes are the file's.  A clock within
ten sessions of that day keeps the file's dates: what has expired is gone, nothing new is listed.
Farther away the whole file is moved by a whole number of weeks, so that Fridays stay Fridays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from zerogex.domain.calendar import is_session, previous_session, session_close, session_open, trading_date
from zerogex.domain.chain import OptionChain
from zerogex.simulator.instruments import INSTRUMENTS
from zerogex.simulator.listings import Expiry, Listing, assemble_rows, month_end, third_friday
from zerogex.simulator.noise import Bools, Floats, Ints, normal
from zerogex.simulator.noise import key as noise_key
from zerogex.simulator.path import session_days, session_index
from zerogex.simulator.surface import RATE, forwards, standardised

NEAR_SESSIONS = 10
_LEAST_POINTS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Smile:
    """One expiry's smile from the file: volatility by standardised log-moneyness, and its level at the money."""

    x: Floats
    iv: Floats
    level: float


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

    def volatility(self, listed: Listing, rows: Ints, x: Floats, level: Floats, fallback: Floats) -> Floats:
        """The file's smiles, moved with the money and scaled with the level of volatility."""
        out = fallback.copy()
        known = {(e.date, e.root): s for e, s in zip(self.listed.expiries, self.smiles, strict=True)}
        of = listed.of[rows]
        for number in np.unique(of).tolist():
            expiry = listed.expiries[number]
            smile = known.get((expiry.date, expiry.root))
            if smile is not None:
                here = of == number
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


def seeded(chain: OptionChain, start: datetime | None) -> SeededChain:
    """A chain made ready for the market; rows with a kind or strike that repeats are dropped."""
    day, shift = moved(chain, start)
    groups, days = rows_and_expiries(chain, shift)
    there = on_session(day + shift)
    unique = [g[first_of_each(chain.strike[g], chain.is_call[g])] for g in groups]
    listed = assemble_rows(chain.underlying, there, days, [chain.strike[g] for g in unique],
                           [chain.is_call[g] for g in unique], [False] * len(days))  # fmt: skip
    rows = np.concatenate(unique) if unique else np.zeros(0, np.int64)
    smiles = tuple(_smile(chain, g, e) for g, e in zip(unique, days, strict=True))
    return SeededChain(chain.underlying, chain.spot, session_instant(chain, shift), listed,
                       chain.open_interest[rows], chain.volume[rows].astype(float), smiles)  # fmt: skip


def _smile(chain: OptionChain, rows: Ints, expiry: Expiry) -> Smile | None:
    """The out-of-the-money volatilities of one expiry; None where the file has too few."""
    one = INSTRUMENTS[chain.underlying]
    years = chain.years[rows]
    forward = forwards(one, chain.spot, years, RATE)
    strike, iv = chain.strike[rows], chain.iv[rows]
    out = chain.is_call[rows] == (strike >= forward)
    with np.errstate(invalid="ignore"):
        usable = out & (iv > 0.02) & (iv < 4.0) & (years > 0) & (chain.ask[rows] > 0)
    if usable.sum() < _LEAST_POINTS:
        return None
    x = standardised(strike[usable], forward[usable], years[usable])
    order = np.argsort(x)
    x, iv = x[order], iv[usable][order]
    return Smile(x, iv, float(np.interp(0.0, x, iv)))
