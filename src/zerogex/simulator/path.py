"""The underlying's price and volume, second by second, as a function of (seed, symbol, day).

A slow walk gives each session its gap, open and close; within a day the price is a bridge
between those, with the U-shaped volatility and volume of a real session, a thin pre- and
post-market, and nothing overnight.  Index values move only in the cash session.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache

import numpy as np

from zerogex.domain.calendar import (
    PRE_OPEN,
    is_early_close,
    is_session,
    new_york,
    sessions,
    trading_date,
)
from zerogex.domain.exchange_days import LAST_DAY
from zerogex.simulator.instruments import DRIVERS, INSTRUMENTS, Instrument
from zerogex.simulator.noise import Floats, Ints, generator

ANCHOR_DAY = date(2026, 11, 20)  # where every walk passes through its anchor price
FIRST_SESSION = date(2005, 1, 3)
DAY_SECONDS = 57_600  # 04:00 to 20:00 ET
OPEN_S = 19_800  # 09:30
_CLOSE_S, _EARLY_CLOSE_S = 43_200, 32_400  # 16:00, 13:00
SPOT_BETA = 5.0  # relative rise of volatility per relative fall of the price below its recent average
_VIX_REACH = 0.89  # of what one-week volatility feels, at the thirty days VIX looks at
_GAP_SHARE = 0.30  # of a day's variance that happens while the cash market is closed


@lru_cache(maxsize=1)
def session_days() -> tuple[date, ...]:
    """Every session the simulated market knows, ascending."""
    return tuple(sessions(FIRST_SESSION, LAST_DAY))


def session_index(day: date) -> int:
    """The position of the last session on or before a day; ValueError outside the calendar."""
    position = bisect_right(session_days(), day) - 1
    if position < 1 or day > LAST_DAY:
        raise ValueError(f"the simulated market knows {session_days()[1]} to {LAST_DAY}, not {day}")
    return position


def close_second(day: date) -> int:
    """Where the cash session ends, in seconds since 04:00 ET."""
    return _EARLY_CLOSE_S if is_early_close(day) else _CLOSE_S


def second_of_day(at: datetime) -> int:
    """Seconds since 04:00 ET of an instant's New York day; negative before."""
    return math.floor(at.timestamp()) - int(new_york(trading_date(at), PRE_OPEN).timestamp())


@dataclass(frozen=True, slots=True, eq=False)
class DailyWalk:
    """One driver's sessions: log prices relative to the anchor price, and how excited the market is."""

    close: Floats  # log of close over anchor
    open: Floats
    late: Floats  # where the post-market leaves it
    vol_level: Floats  # log of volatility over its calm value, shared by the whole market
    day_vol: Floats  # standard deviation of the day's log return
    trend: Floats  # slow average of the closes before the day: what volatility and open interest remember


@lru_cache(maxsize=64)
def daily_walk(seed: int, driver: str) -> DailyWalk:
    """The sessions of a driver, all at once; mean-reverting around a trend so that no century runs away."""
    days = session_days()
    count, spec = len(days), DRIVERS[driver]
    shared = generator(seed, "market").standard_normal((2, count))
    own = generator(seed, "driver", driver).standard_normal((2, count))
    level = _revert(-0.6 * shared[0] + 0.8 * shared[1], 0.97, 0.06).clip(-0.55, 0.7)
    shock = spec.correlation * shared[0] + math.sqrt(1.0 - spec.correlation**2) * own[0]
    day_vol = spec.volatility / math.sqrt(252.0) * np.exp(level)
    if driver == "VIX":
        return _vix_walk(seed)
    anchor = session_index(ANCHOR_DAY)
    drift = spec.growth * (np.arange(count) - anchor) / 252.0
    wander = _revert(day_vol * shock, 1.0 - 1.0 / 90.0, 1.0)
    close = drift + wander - wander[anchor]
    change = np.diff(close, prepend=close[0])
    gap = _GAP_SHARE * change + math.sqrt(_GAP_SHARE * (1.0 - _GAP_SHARE)) * day_vol * own[1]
    opened = close - change + gap
    late = close + 0.3 * np.append(gap[1:], 0.0)
    trend = np.concatenate(([close[0]], _revert(close[:-1] / 20.0, 0.95, 1.0, start=close[0])))
    return DailyWalk(close, opened, late, level, day_vol, trend)


def _vix_walk(seed: int) -> DailyWalk:
    """VIX has no walk of its own: it is what the S&P's walk makes of volatility."""
    spx = daily_walk(seed, "SPX")
    level = 0.75 * spx.vol_level
    close, opened, late = (
        _VIX_REACH * (level - SPOT_BETA * (column - spx.trend)) for column in (spx.close, spx.open, spx.late)
    )
    return DailyWalk(close, opened, late, spx.vol_level, spx.day_vol * SPOT_BETA, np.zeros_like(close))


def _revert(shocks: Floats, keep: float, scale: float, start: float = 0.0) -> Floats:
    """The autoregression x ← keep·x + scale·shock."""
    out = np.empty_like(shocks)
    value = start
    for position, shock in enumerate(shocks):
        value = keep * value + scale * shock
        out[position] = value
    return out


@dataclass(frozen=True, slots=True, eq=False)
class DayPath:
    """One symbol's day: 57,600 seconds from 04:00 ET.  Entry s is what holds during second s."""

    day: date
    price: Floats  # dollars, on the tick
    volume: Ints  # shares of that second
    up_volume: Ints
    ticks: Ints  # trades of that second
    up_ticks: Ints
    total: Ints  # cumulative volume, through that second

    @property
    def close_s(self) -> int:
        return close_second(self.day)

    @property
    def close(self) -> float:
        """The official close: the last price of the cash session."""
        return float(self.price[self.close_s - 1])

    @property
    def open(self) -> float:
        """The first price of the cash session."""
        return float(self.price[OPEN_S])


@lru_cache(maxsize=24)
def log_path(seed: int, driver: str, day: date) -> Floats:
    """Log price over anchor for each second of a session; pre, cash and post bridged end to end."""
    walk, position, close_s = daily_walk(seed, driver), session_index(day), close_second(day)
    if driver == "VIX":
        spx = daily_walk(seed, "SPX")
        level, trend = float(spx.vol_level[position]), float(spx.trend[position])
        return np.asarray(_VIX_REACH * (0.75 * level - SPOT_BETA * (log_path(seed, "SPX", day) - trend)))
    correlation = DRIVERS[driver].correlation
    noise = generator(seed, "second", driver, day).standard_normal(DAY_SECONDS)
    if driver != "SPX" and correlation > 0:
        market = generator(seed, "second", "SPX", day).standard_normal(DAY_SECONDS)
        noise = correlation * market + math.sqrt(1.0 - correlation**2) * noise
    vol = float(walk.day_vol[position])
    path = np.empty(DAY_SECONDS)
    cash_vol, cash = math.sqrt(1 - _GAP_SHARE) * vol, activity(close_s - OPEN_S)
    pieces = (
        (0, OPEN_S, walk.late[position - 1], walk.open[position], 0.25 * vol, np.ones(OPEN_S)),
        (OPEN_S, close_s, walk.open[position], walk.close[position], cash_vol, cash),
        (close_s, DAY_SECONDS, walk.close[position], walk.late[position], 0.12 * vol, np.ones(DAY_SECONDS - close_s)),
    )  # fmt: skip
    for first, last, start, end, deviation, variance in pieces:
        path[first:last] = _bridge(noise[first:last], variance, start, end, deviation)
    return path


def activity(length: int) -> Floats:
    """Relative activity of each second of a cash session: busy open, quiet noon, busy close."""
    seconds = np.arange(length)
    left, right = seconds / 1800.0, (length - 1 - seconds) / 1500.0
    return np.asarray(0.65 + 2.2 * np.exp(-left) + 1.1 * np.exp(-right))


def _bridge(noise: Floats, variance: Floats, start: float, end: float, deviation: float) -> Floats:
    """A Brownian bridge over the pieces of `variance`, from start (first entry) to end (last entry)."""
    share = variance / variance.sum()
    steps = noise * np.sqrt(share) * deviation
    steps[0] = 0.0
    walk, clock = np.cumsum(steps), np.cumsum(share)
    clock = (clock - clock[0]) / (clock[-1] - clock[0])
    return np.asarray(start + walk + clock * (end - start - walk[-1]))


@lru_cache(maxsize=24)
def day_path(seed: int, symbol: str, day: date, scale: float = 1.0) -> DayPath:
    """Prices and trades of a session.  `scale` moves the whole history so that it meets a given price."""
    one, close_s = INSTRUMENTS[symbol], close_second(day)
    log_price = log_path(seed, one.driver, day)
    random = generator(seed, "trades", symbol, day)
    if one.kind == "INDEX":
        log_price = log_price.copy()
        log_price[:OPEN_S] = daily_walk(seed, one.driver).close[session_index(day) - 1]
        log_price[close_s:] = log_price[close_s - 1]
        volume = np.zeros(DAY_SECONDS, np.int64)
    else:
        volume = _volumes(one, seed, day, random)
        held = np.where((volume > 0) | (np.arange(DAY_SECONDS) == 0), np.arange(DAY_SECONDS), 0)
        log_price = log_price[np.maximum.accumulate(held)]
    price = np.round(np.exp(log_price) * (one.anchor * scale), 2)
    return _with_trades(day, price, volume, random)


def _volumes(one: Instrument, seed: int, day: date, random: np.random.Generator) -> Ints:
    """Shares traded each second; always some in the cash session, now and then outside it."""
    walk, position, close_s = daily_walk(seed, one.driver), session_index(day), close_second(day)
    whole = one.volume * math.exp(0.5 * float(walk.vol_level[position]) + 0.18 * random.standard_normal())
    whole *= (close_s - OPEN_S) / (_CLOSE_S - OPEN_S)
    weight = np.zeros(DAY_SECONDS)
    cash = activity(close_s - OPEN_S)
    weight[OPEN_S:close_s] = 0.955 * cash / cash.sum()
    weight[:OPEN_S] = np.linspace(0.2, 1.8, OPEN_S) * 0.020 / OPEN_S
    weight[close_s:] = np.linspace(1.8, 0.2, DAY_SECONDS - close_s) * 0.025 / (DAY_SECONDS - close_s)
    jitter = random.standard_gamma(1.6, DAY_SECONDS) / 1.6
    trades = np.ones(DAY_SECONDS, bool)
    chance = 0.06 + 0.30 * min(one.volume / 60e6, 1.0)
    quiet = random.random(DAY_SECONDS) > chance
    trades[:OPEN_S], trades[close_s:] = ~quiet[:OPEN_S], ~quiet[close_s:]
    weight = np.where(trades, weight * jitter, 0.0)
    return np.where(trades, np.maximum(np.rint(whole * weight), 1), 0).astype(np.int64)


def _with_trades(day: date, price: Floats, volume: Ints, random: np.random.Generator) -> DayPath:
    """Split each second's volume and trades by the direction of its price."""
    direction = np.sign(np.diff(price, prepend=price[0]))
    share = (0.5 + 0.32 * direction + 0.12 * (random.random(DAY_SECONDS) - 0.5)).clip(0.0, 1.0)
    ticks = np.where(volume > 0, np.maximum(volume // 130, 1), 0)
    up_volume = np.minimum(np.rint(volume * share).astype(np.int64), volume)
    up_ticks = np.minimum(np.rint(ticks * share).astype(np.int64), ticks)
    return DayPath(day, price, volume, up_volume, ticks, up_ticks, np.cumsum(volume))


def day_of(at: datetime) -> tuple[date, int]:
    """The session whose prices hold at an instant, and the second of it (the last one when it is over)."""
    day = trading_date(at)
    second = second_of_day(at)
    if not is_session(day) or second < 0:
        return session_days()[session_index(day) - (1 if is_session(day) else 0)], DAY_SECONDS - 1
    return day, min(second, DAY_SECONDS - 1)


def instant_of(day: date, second: int) -> datetime:
    """The UTC instant of a second since 04:00 ET."""
    return datetime.fromtimestamp(new_york(day, PRE_OPEN).timestamp() + second, UTC)
