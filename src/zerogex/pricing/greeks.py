"""The Greeks of European options, in natural units.

Per year and per 1.00 of volatility or rate; time runs forward: theta = -dV/dT and
charm = -d(delta)/dT are what one year of waiting brings at an unchanged spot and carry.
`zerogex.pricing.units` makes market units of them.

The spot's carry is implied by the forward, F = S exp((r - q) T), so q = r - ln(F/S)/T.
Delta and gamma are by the spot, vega, rho and theta at that q held fixed.

Source  Hull, "Options, Futures, and Other Derivatives", ch. 19; Haug, "The Complete Guide to
        Option Pricing Formulas", 2nd ed., ch. 2 (vanna, charm, vomma).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from zerogex.domain.chain import Floats
from zerogex.pricing.black_scholes import SMALLEST_DEVIATION, aligned, log_moneyness, otm_share
from zerogex.pricing.normal import cdf_given_density, compiled, density


@dataclass(frozen=True, slots=True, eq=False)
class Greeks:
    """Price and sensitivities, aligned; per option on one share."""

    price: Floats  # dollars
    delta: Floats  # shares per share: dV/dS
    gamma: Floats  # per dollar: d²V/dS²
    theta: Floats  # dollars per year of waiting: -dV/dT
    vega: Floats  # dollars per 1.00 of volatility
    rho: Floats  # dollars per 1.00 of rate, dividend yield fixed
    vanna: Floats  # delta per 1.00 of volatility: d²V/dS dσ
    charm: Floats  # delta per year of waiting: -d²V/dS dT
    vomma: Floats  # vega per 1.00 of volatility: d²V/dσ²


@compiled
def _without_deviation(
    out: Floats, i: int, spot: float, forward: float, strike: float, years: float, rate: float, dividend: float,
    sign: float,
) -> None:  # fmt: skip
    """Row i where iv * sqrt(years) is zero: the limits."""
    discount = math.exp(-rate * years)
    carry = discount * forward / spot
    money = sign * (forward - strike)
    held = 1.0 if money > 0.0 else (0.5 if money == 0.0 else 0.0)
    bend = math.nan if money == 0.0 else 0.0  # no second derivative at the kink
    out[0, i] = discount * max(money, 0.0)
    out[1, i] = sign * carry * held
    out[2, i] = bend
    out[4, i] = spot * carry * density(0.0) * math.sqrt(years) if money == 0.0 else 0.0
    out[5, i] = sign * held * strike * years * discount
    out[6, i] = bend
    out[8, i] = bend
    if years > 0.0:
        out[3, i] = sign * held * (dividend * spot * carry - rate * strike * discount)
        out[7, i] = sign * held * dividend * carry + bend
    else:  # settled: nothing waits any more
        out[3, i] = bend
        out[7, i] = bend


@compiled
def fill_greeks(
    out: Floats, i: int, spot: float, forward: float, strike: float, x: float, years: float, rate: float,
    dividend: float, iv: float, sign: float,
) -> None:  # fmt: skip
    """Row i of the ordinary case, iv * sqrt(years) > 0; x is ln(forward / strike)."""
    root = math.sqrt(years)
    deviation = iv * root
    discount = math.exp(-rate * years)
    carry = discount * forward / spot  # exp(-q T)
    d1 = x / deviation + 0.5 * deviation
    d2 = x / deviation - 0.5 * deviation
    n1 = density(d1)
    cdf1 = cdf_given_density(sign * d1, n1)
    cdf2 = cdf_given_density(sign * d2, density(d2))
    otm = min(forward, strike) * otm_share(abs(x), deviation)
    bell = carry * n1
    vega = spot * bell * root
    out[0, i] = discount * (max(sign * (forward - strike), 0.0) + otm)
    out[1, i] = sign * carry * cdf1
    out[2, i] = bell / (spot * deviation)
    waiting = sign * (dividend * spot * carry * cdf1 - rate * strike * discount * cdf2)
    out[3, i] = waiting - 0.5 * spot * bell * iv / root
    out[4, i] = vega
    out[5, i] = sign * strike * years * discount * cdf2
    # Far in a wing the density is zero while d1, d2 may be infinite: the density wins.
    bent = n1 > 0.0
    out[6, i] = -bell * d2 / iv if bent else 0.0
    drift = bell * ((rate - dividend) / deviation - 0.5 * d2 / years) if bent else 0.0
    out[7, i] = sign * dividend * carry * cdf1 - drift
    out[8, i] = vega * d1 * d2 / iv if bent else 0.0


@compiled
def _greeks_rows(
    spot: Floats, forward: Floats, strike: Floats, years: Floats, rate: Floats, dividend: Floats, iv: Floats,
    is_call: Floats, out: Floats,
) -> None:  # fmt: skip
    """Every row; a NaN dividend means "as the forward implies"."""
    for i in range(spot.size):
        s, f, k, t, r, v = spot[i], forward[i], strike[i], years[i], rate[i], iv[i]
        valid = s > 0.0 and f > 0.0 and k > 0.0 and t >= 0.0 and v >= 0.0 and s + f + k + t + v + abs(r) < math.inf
        if not valid:
            out[:, i] = math.nan
            continue
        q = dividend[i]
        if math.isnan(q):
            x = log_moneyness(f, k)
            q = r - log_moneyness(f, s) / t if t > 0.0 else r
        else:  # the rounding of the forward need not enter
            x = log_moneyness(s, k) + (r - q) * t
        sign = 1.0 if is_call[i] else -1.0
        if v * math.sqrt(t) >= SMALLEST_DEVIATION:
            fill_greeks(out, i, s, f, k, x, t, r, q, v, sign)
        else:
            _without_deviation(out, i, s, f, k, t, r, q, sign)


def greeks(
    spot: ArrayLike, forward: ArrayLike, strike: ArrayLike, years: ArrayLike, rate: ArrayLike, iv: ArrayLike,
    is_call: ArrayLike,
) -> Greeks:  # fmt: skip
    """Price and Greeks of European options on a given forward.

    Shapes  all arguments broadcast together; each column of the result has that shape.
    Units   dollars, years, per year (continuous), per 1.00 of volatility; see `Greeks`.
    Limits  With no time or no volatility left: the discounted intrinsic value; delta its slope (half of it
            exactly at the forward); gamma, vanna, vomma and charm's bend 0, but NaN exactly at the forward,
            where they do not exist; theta, rho and charm what the carry alone brings, 0 at settlement.
            NaN in every column where spot, forward or strike is not a positive finite number, years or iv is
            negative, or anything is NaN or infinite.  Never raises for a value.
    Source  Hull; Haug; see the module.
    """
    return _columns(spot, forward, strike, years, rate, np.nan, iv, is_call=is_call)


def greeks_of_spot(
    spot: ArrayLike, strike: ArrayLike, years: ArrayLike, rate: ArrayLike, dividend: ArrayLike, iv: ArrayLike,
    is_call: ArrayLike,
) -> Greeks:  # fmt: skip
    """The textbook form: Black-Scholes-Merton with a continuous dividend yield per year.

    Shapes, units, limits and source as `greeks`, on the forward spot * exp((rate - dividend) * years).
    """
    spot_array, years_array = np.asarray(spot, dtype=np.float64), np.asarray(years, dtype=np.float64)
    rate_array, dividend_array = np.asarray(rate, dtype=np.float64), np.asarray(dividend, dtype=np.float64)
    forward = carry_forward(spot_array, years_array, rate_array, dividend_array)
    # A NaN yield asks the kernel to take the forward's; here it is an unknown, and so is the forward.
    return _columns(spot_array, forward, strike, years_array, rate_array, dividend_array, iv, is_call=is_call)


def carry_forward(spot: ArrayLike, years: ArrayLike, rate: ArrayLike, dividend: ArrayLike) -> Floats:
    """The forward a spot, a rate and a dividend yield imply: spot * exp((rate - dividend) * years), dollars."""
    with np.errstate(over="ignore", invalid="ignore"):
        exponent = (np.asarray(rate, float) - np.asarray(dividend, float)) * np.asarray(years, float)
        forward: Floats = np.asarray(np.asarray(spot, float) * np.exp(exponent), dtype=np.float64)
    return forward


def _columns(*floats: ArrayLike, is_call: ArrayLike) -> Greeks:
    shape, columns = aligned(*floats, is_call=is_call)
    out = np.empty((9, columns[0].size))
    _greeks_rows(*columns, out)
    return Greeks(*(row.reshape(shape) for row in out))
