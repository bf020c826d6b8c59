"""Open interest and volume: who holds what, and who trades it when.

Open interest changes once a day: puts gather below the recent average price, calls above it,
round strikes hold more, monthly expirations hold most.  Volume is cumulative from 09:30 ET,
U-shaped over the day, near the money and near in time.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache

import numpy as np

from zerogex.simulator.instruments import INSTRUMENTS, OptionClass
from zerogex.simulator.listings import Expiry, Listing
from zerogex.simulator.noise import Floats, Ints, normal, uniform
from zerogex.simulator.noise import key as noise_key
from zerogex.simulator.path import OPEN_S, activity

_ROUND = ((5, 1.7), (10, 1.5), (20, 1.25), (50, 1.6), (100, 1.4))  # strike steps and what they attract


def open_interest(listed: Listing, seed: int, trend: float) -> Ints:
    """Contracts held at the previous clearing, per row; `trend` is the price positions were taken around."""
    options = _options(listed)
    days = _days_left(listed)
    weight = np.array([_holding(e, d, options) for e, d in zip(listed.expiries, days.tolist(), strict=True)])
    weight *= options.open_interest * np.exp(0.3 * normal(noise_key(seed, "expiry", listed.symbol), _dates(listed)))
    weight[listed.is_new] = 0.0
    width = options.atm_iv * np.sqrt((days + 3.0) / 365.0) + 0.012
    away = np.log(listed.strike / trend) / width[listed.of]
    shape = np.where(listed.is_call, _lump(away - 0.9, 0.7, 1.2), _lump(away + 0.8, 1.9, 0.6))
    shape *= attraction(listed.strike, options.strike_step) * np.exp(0.8 * normal(noise_key(seed, "held"), listed.code))
    put_share = (0.57 if options.index else 0.62) if options.skew <= -0.08 else (0.30 if options.skew > 0 else 0.47)
    side = np.where(listed.is_call, 1.0 - put_share, put_share)
    wanted = side * _share_of_side(shape, listed) * weight[listed.of]
    wanted *= np.exp(0.06 * normal(noise_key(seed, "cleared", listed.day), listed.code))
    held: Ints = np.floor(wanted + uniform(noise_key(seed, "last contract"), listed.code)).astype(np.int64)
    return held


def day_volume(listed: Listing, seed: int, day: date, center: float) -> Floats:
    """Contracts each row will have traded by the close of a day; `center` is the price of that day's open."""
    options = _options(listed)
    days = _days_left(listed)
    weight = np.array([_trading(e, d) for e, d in zip(listed.expiries, days.tolist(), strict=True)])
    weight *= options.day_volume
    width = options.atm_iv * np.sqrt((days + 0.6) / 365.0)
    away = np.log(listed.strike / center) / width[listed.of]
    out_of_money = np.where(listed.is_call, away, -away)
    shape = np.exp(-np.where(out_of_money > 0, out_of_money / 0.75, -out_of_money / 0.35)) + 0.0008
    shape *= np.sqrt(attraction(listed.strike, options.strike_step))
    shape *= np.exp(0.7 * normal(noise_key(seed, "traded", day), listed.code))
    put_share = 0.56 if options.skew <= -0.08 else (0.35 if options.skew > 0 else 0.42)
    side = np.where(listed.is_call, 1.0 - put_share, put_share)
    total: Floats = side * _share_of_side(shape, listed) * weight[listed.of]
    return total


def traded_by(total: Floats, pace: Floats, done: float) -> Ints:
    """Cumulative volume when the share `done` of the day's activity has passed; never falls as it grows."""
    volume: Ints = np.floor(total * done**pace).astype(np.int64)
    return volume


def pace_of(listed: Listing, seed: int, day: date) -> Floats:
    """How early (below 1) or late (above 1) in the day each contract's trades come."""
    return 0.7 + 0.7 * uniform(noise_key(seed, "pace", day), listed.code)


@lru_cache(maxsize=4)
def _activity_so_far(close_s: int) -> Floats:
    share = np.cumsum(activity(close_s - OPEN_S))
    return np.asarray(share / share[-1])


def done_by(second: int, close_s: int) -> float:
    """The share of a day's activity that has passed by a second since 04:00 ET; 0 before the open, 1 from the close."""
    if second < OPEN_S:
        return 0.0
    return float(_activity_so_far(close_s)[min(second, close_s - 1) - OPEN_S])


def second_when(done: Floats, close_s: int) -> Ints:
    """The first second at which a share of the day's activity has passed."""
    found = np.searchsorted(_activity_so_far(close_s), np.clip(done, 0.0, 1.0))
    return OPEN_S + np.minimum(found, close_s - OPEN_S - 1)


def attraction(strike: Floats, step: float) -> Floats:
    """How much more a round strike attracts than its neighbours."""
    steps = np.rint(strike / step * 1000).astype(np.int64)
    pull = np.ones_like(strike)
    for size, factor in _ROUND:
        pull *= np.where(steps % (size * 1000) == 0, factor, 1.0)
    return pull


def _holding(expiry: Expiry, days: float, options: OptionClass) -> float:
    """An expiration's open interest relative to a busy monthly."""
    monthly_root = expiry.type == "Monthly"
    if monthly_root:
        return 1.6 if days <= 45 else (0.8 if days <= 160 else 0.22)
    if expiry.type == "Quarterly":
        return 0.55 if days <= 60 else 0.12
    if expiry.type == "EOM":
        return 0.40 if days <= 20 else 0.14
    if expiry.date.weekday() == 4:
        return 0.05 + 0.18 * float(np.exp(-days / 14.0))
    return 0.004 + 0.15 * float(np.exp(-days / 2.5))


def _trading(expiry: Expiry, days: float) -> float:
    """An expiration's volume relative to the one that expires today."""
    base = 1.0 * np.exp(-1.75 * days) + 0.10 * np.exp(-days / 3.0) + 0.002
    base += {"Monthly": 0.09 * np.exp(-days / 40.0) + 0.003, "Quarterly": 0.02, "EOM": 0.01}.get(expiry.type, 0.0)
    return float(base + (0.03 * np.exp(-days / 10.0) if expiry.date.weekday() == 4 else 0.0))


def _lump(away: Floats, below: float, above: float) -> Floats:
    """A two-sided exponential around zero with a floor far from it."""
    return np.exp(-np.where(away < 0, -away / below, away / above)) + 0.01 * np.exp(-np.abs(away) / 6.0)


def _share_of_side(shape: Floats, listed: Listing) -> Floats:
    """Each row's share of its own expiry and kind."""
    group = 2 * listed.of + listed.is_call
    sums = np.bincount(group, shape, 2 * len(listed.expiries) + 1)
    return np.asarray(shape / np.maximum(sums[group], 1e-12))


def _days_left(listed: Listing) -> Floats:
    return np.array([(e.date - listed.day).days for e in listed.expiries], float)


def _dates(listed: Listing) -> Ints:
    return np.array([e.date.toordinal() * 512 + sum(map(ord, e.root)) % 512 for e in listed.expiries], np.int64)


def _options(listed: Listing) -> OptionClass:
    options = INSTRUMENTS[listed.symbol].options
    assert options is not None, f"{listed.symbol} has no options"
    return options
