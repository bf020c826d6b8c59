"""European option prices: Black-Scholes-Merton, written as Black-76 on the forward.

All units are natural: dollars, years, rates continuous per year, volatility per 1.00 and per
square root of a year.  The spot's carry enters only by the forward, so one formula serves an
index with dividends, a future and a parity-implied forward.

The formula is arranged for its digits.  With x = |ln(F/K)| and deviation s = iv * sqrt(years),
the out-of-the-money option is worth, per dollar of the smaller of F and K,

    n(d1) * (N(d1)/n(d1) - N(d2)/n(d2)),     d1 = s/2 - x/s,   d2 = -s/2 - x/s

and the in-the-money one its intrinsic value more: put-call parity holds to the last digit.

Source  Black, "The pricing of commodity contracts", J. Financial Economics 3 (1976);
        the scaled form: Jäckel, "Let's be rational", Wilmott (2015).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from zerogex.domain.chain import Floats
from zerogex.pricing.normal import compiled, density, mills, scaled_cdf

SMALLEST_DEVIATION = 1e-150  # below this iv * sqrt(years) is zero: its square is no longer a double


@compiled
def log_moneyness(forward: float, strike: float) -> float:
    """ln(forward / strike), exact to the last digit also where they nearly agree."""
    if 0.5 * strike < forward < 2.0 * strike:
        return math.log1p((forward - strike) / strike)
    return math.log(forward / strike)


@compiled
def cdf_gap(x: float, s: float) -> float:
    """N(d1)/n(d1) - N(d2)/n(d2) for d1 = s/2 - x/s, d2 = -s/2 - x/s, with x >= 0 and s > 0.

    Near the money and for a small s the two terms nearly agree: there the difference is its
    Taylor series in s/2, whose odd derivatives follow from Y' = 1 + z Y.  Elsewhere it is taken
    as it stands.  Either way the error is a few units in the last place *of s*, which is all the
    volatility search can use.  Infinite where d1 > 38; callers stay below 1.
    """
    h = -x / s
    t = 0.5 * s
    if t < 0.08 and x < 0.3:
        y0 = mills(-h)
        y1 = 1.0 + h * y0
        y2 = y0 + h * y1
        y3 = 2.0 * y1 + h * y2
        y4 = 3.0 * y2 + h * y3
        y5 = 4.0 * y3 + h * y4
        y6 = 5.0 * y4 + h * y5
        y7 = 6.0 * y5 + h * y6
        y8 = 7.0 * y6 + h * y7
        y9 = 8.0 * y7 + h * y8
        q = t * t
        return s * (y1 + q / 6.0 * (y3 + q / 20.0 * (y5 + q / 42.0 * (y7 + q / 72.0 * y9))))
    return scaled_cdf(h + t) - mills(t - h)


@compiled
def otm_share(x: float, s: float) -> float:
    """Undiscounted out-of-the-money price over min(forward, strike), for x = |ln(F/K)| and s > 0; 0…1."""
    d1 = 0.5 * s - x / s
    if d1 < 1.0:
        bell = density(d1)
        return bell * cdf_gap(x, s) if bell > 0.0 else 0.0
    return 1.0 - density(d1) * (mills(d1) + mills(0.5 * s + x / s))


@compiled
def _price_one(forward: float, strike: float, years: float, rate: float, iv: float, is_call: bool) -> float:
    if not (forward > 0.0 and strike > 0.0 and years >= 0.0 and iv >= 0.0 and forward + strike < math.inf):
        return math.nan
    deviation = iv * math.sqrt(years)
    discount = math.exp(-rate * years)
    intrinsic = forward - strike if is_call else strike - forward
    value = max(intrinsic, 0.0)
    if deviation >= SMALLEST_DEVIATION:
        value += min(forward, strike) * otm_share(abs(log_moneyness(forward, strike)), deviation)
    elif math.isnan(deviation):
        return math.nan
    return discount * value


@compiled
def _price_rows(
    forward: Floats, strike: Floats, years: Floats, rate: Floats, iv: Floats, is_call: Floats, out: Floats
) -> None:
    for i in range(out.size):
        out[i] = _price_one(forward[i], strike[i], years[i], rate[i], iv[i], is_call[i])


def price(
    forward: ArrayLike, strike: ArrayLike, years: ArrayLike, rate: ArrayLike, iv: ArrayLike, is_call: ArrayLike
) -> Floats:
    """The discounted value of a European option on a forward (Black-76).

    Shapes  all arguments broadcast together; the result has that shape.
    Units   dollars, years, per year (continuous), per 1.00 of volatility → dollars.
    Limits  the discounted intrinsic value where years or iv is 0; NaN where forward or strike is not a
            positive finite number, years or iv is negative, or anything is NaN.  Never raises for a value.
    Source  Black (1976); see the module.
    """
    shape, columns = aligned(forward, strike, years, rate, iv, is_call=is_call)
    out = np.empty(columns[0].size)
    _price_rows(*columns, out)
    return out.reshape(shape)


def aligned(*floats: ArrayLike, is_call: ArrayLike) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    """The common shape of some arguments, and each as a flat column (floats first, then the kinds).

    Every column is contiguous and writable, whatever came: a kernel has one compiled form, not one
    for each combination of layouts.
    """
    arrays = [np.asarray(value, dtype=np.float64) for value in floats]
    arrays.append(np.asarray(is_call, dtype=np.bool_))
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    # a broadcast view is read-only, even to its own shape, and would be copied
    full = (array if array.shape == shape else np.broadcast_to(array, shape) for array in arrays)
    return shape, tuple(np.require(array, None, ["C", "W"]).reshape(-1) for array in full)
