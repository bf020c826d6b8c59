"""The volatility surface: a smile with a term structure, moving with the price it belongs to.

Per unit of x = ln(K/F)/sqrt(T) real smiles of all tenors look alike: two nearly straight wings
joined by a smooth bottom a little above the money.  Written as a hyperbola around the
at-the-money volatility; volatility rises when the price falls below its recent average.
"""

from __future__ import annotations

import math
from datetime import date

import numpy as np

from zerogex.simulator.instruments import Instrument, OptionClass
from zerogex.simulator.noise import Floats, uniform
from zerogex.simulator.noise import key as noise_key
from zerogex.simulator.path import SPOT_BETA, daily_walk, session_index

_YEARS_TO_LONG = 0.35  # how fast the term structure reaches its long end
_LEAST_YEARS = 1.0 / (24 * 365)  # the wings stop steepening in the last hour
RATE = 0.036  # continuous, per year, of the simulated market
VIX_MEAN = 18.5


def forwards(one: Instrument, spot: Floats | float, years: Floats, rate: float) -> Floats:
    """Forward prices, dollars: carry at rate minus dividend; VIX reverts to its long mean instead."""
    if one.symbol == "VIX":
        stay = np.exp(-4.0 * years)
        return np.asarray(np.asarray(spot) ** stay * VIX_MEAN ** (1.0 - stay))
    return np.asarray(spot * np.exp((rate - one.dividend) * years))


def at_the_money(one: Instrument, seed: int, day: date, log_spot: Floats | float, years: Floats,
                 epoch: Floats | float) -> Floats:  # fmt: skip
    """At-the-money volatility per tenor; `log_spot` is ln(spot / (anchor * scale)), `epoch` seconds."""
    assert one.options is not None
    walk, position = daily_walk(seed, one.driver), session_index(day)
    short, long = one.options.atm_iv, one.options.long_iv
    calm = long + (short - long) * np.exp(-years / _YEARS_TO_LONG)
    reach = 1.0 / (1.0 + 1.5 * years)
    excited = 0.75 * float(walk.vol_level[position]) - SPOT_BETA * (log_spot - float(walk.trend[position]))
    if one.symbol == "VIX":
        excited = 0.3 * (log_spot - 0.0)
    return np.asarray(calm * np.exp((np.clip(excited, -0.6, 1.2) + _breath(seed, one.driver, epoch)) * reach))


def _breath(seed: int, driver: str, epoch: Floats | float) -> Floats:
    """Slow wandering of volatility by itself: a few sine waves of minutes to hours, about one percent each."""
    named = noise_key(seed, "breath", driver)
    phase = 2 * np.pi * uniform(named, np.arange(4))
    period = np.array([420.0, 1500.0, 5400.0, 19000.0])
    angle = 2 * np.pi * np.asarray(epoch)[..., None] / period + phase
    return np.asarray(0.006 * np.sin(angle).sum(axis=-1))


def smile(options: OptionClass, at_money: Floats, x: Floats) -> Floats:
    """Volatility at standardised log-moneyness x, given the at-the-money one of the same tenor."""
    lean = max(options.atm_iv / 0.10, 1.0)
    shift = 0.13 * lean if options.skew < 0 else -0.25
    bend = 0.13 * lean
    bowl = options.skew * (x - shift) + np.sqrt((x - shift) ** 2 + bend**2)
    bottom = -options.skew * shift + math.sqrt(shift**2 + bend**2)
    return np.asarray(np.clip(at_money + options.wing * (bowl - bottom), 0.35 * at_money, 6.0))


def standardised(strike: Floats, forward: Floats, years: Floats) -> Floats:
    """ln(K/F) per square root of a year."""
    return np.asarray(np.log(strike / forward) / np.sqrt(np.maximum(years, _LEAST_YEARS)))
