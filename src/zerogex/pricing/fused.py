"""Implied volatility and all Greeks in one pass over the prices, eight options at a time.

One price gives a volatility, and the Mills ratios and density that found it give the Greeks.  For
options of ordinary terms (see `_lanes`) the pass has no branch, no call and a fixed length, so that
the compiler turns it into vector instructions: blocks of a few hundred options are copied into a
working array that stays in the first-level cache, computed there, and copied out.  What such a pass cannot
serve (no quote, a settled contract, a deviation above 2, …) goes, option by option, to the
exact search of `implied_vol`.  The answer of an option never depends on its neighbours.

The first guess needs no iteration.  In Bachelier's model the price over the moneyness determines
h = moneyness/deviation by a function of one variable (a polynomial here, to 4e-5); the exact small-time
relation between Bachelier's and Black's volatilities then leaves an error of about 1e-4 at a
deviation of 1 and far less at ordinary ones.  One Householder step of fourth order on the logarithm of
the price reaches the last digit.

Source  Jäckel, "Implied normal volatility", Wilmott (2017), for the function of one variable; Hagan &
        Woodward, "Equivalent Black volatilities", Appl. Math. Finance 6 (1999), for the relation; Householder
        (1970), for the step; the polynomials are ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from zerogex.domain.chain import Codes, Floats
from zerogex.pricing.black_scholes import SMALLEST_DEVIATION, aligned, log_moneyness
from zerogex.pricing.branchless import exp_lane, inlined, log_lane, log_quotient_lane, mills_lane, rough_log_lane
from zerogex.pricing.greeks import Greeks, fill_greeks
from zerogex.pricing.implied_vol import ABOVE_IV_MAX, BELOW_IV_MIN, CONVERGED, IvLimits, invert_one
from zerogex.pricing.normal import HALF_LOG_TWO_PI, ROOT_TWO_PI, compiled

ORDINARY = IvLimits()
BLOCK = 128  # options; 18 working columns of them are 18 kB
_COLUMNS = 18
_PRICE, _SPOT, _FORWARD, _STRIKE, _YEARS, _RATE, _SIGN, _FINE = (k * BLOCK for k in range(8))
_IV, _DELTA, _GAMMA, _THETA, _VEGA, _RHO, _VANNA, _CHARM, _VOMMA = (k * BLOCK for k in range(8, 17))

# (moneyness/deviation) * w / L as a polynomial in (w - 3/2) / (w + 3/2), where w = sqrt(L + 3/2) and
# L = ln(1 + moneyness / (2 price)), in Bachelier's model up to 38 deviations; fitted to 4e-5.
_BACHELIER = (
    0.9317604154002066, -0.056703432342335436, 2.9423847363653572, -5.982661174610614, 24.10374374430108,
    -84.79969027455193, 140.13413039059324, -83.27584030873456, -41.45899797018238, 75.65213377070755,
    -26.795999736014085,
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class ImpliedGreeks:
    """What prices say, aligned: NaN in every column unless status is CONVERGED."""

    iv: Floats  # per 1.00
    status: Codes  # IvStatus
    greeks: Greeks


@inlined
def _guess(x: float, moneyness: float, time_value: float, root_product: float) -> float:
    """The deviation of an out-of-the-money option, to about 1e-4 up to deviations of 1.

    `moneyness` is |F - K|, `root_product` sqrt(F K), x = |ln(F/K)|.
    """
    double_price = 2.0 * time_value
    q = max(moneyness / double_price, 1e-6)
    log_q = rough_log_lane(1.0 + q)
    w = math.sqrt(log_q + 1.5)
    z = (w - 1.5) / (w + 1.5)
    p = _BACHELIER[10]
    for k in range(9, -1, -1):
        p = p * z + _BACHELIER[k]
    normal = double_price * q * w / (root_product * log_q * p)
    s = normal * (max(x, 1e-9) / max(moneyness / root_product, 1e-9))
    v, xx = s * s, x * x
    c1 = 0.041666666666666664 - xx * (3.4722222222222224e-4 - xx * (5.511463844797178e-6 - xx * 1.0e-7))
    return s * (1.0 + v * (c1 + v * (0.0036458333333333334 - 5e-5 * xx + v * (3.94e-4 + v * 4.7e-5))))


@inlined
def _householder(x: float, s: float, y: float) -> float:
    """The fourth-order step from the deviation s towards the one of price share y, on ln y."""
    over_s = 1.0 / s
    h = x * over_s
    u1 = h - 0.5 * s
    gap = mills_lane(u1) - mills_lane(u1 + s)
    over_gap = 1.0 / gap
    newton = -gap * (log_lane(gap / y) - 0.5 * u1 * u1 - HALF_LOG_TWO_PI)
    bend = h * h * over_s - 0.25 * s
    bend3 = bend * bend - 3.0 * h * h * over_s * over_s - 0.25
    second = bend - over_gap
    third = bend3 - over_gap * (3.0 * bend - 2.0 * over_gap)
    return newton * (1.0 + 0.5 * second * newton) / (1.0 + newton * (second + newton * third * (1.0 / 6.0)))


@compiled
def _lanes(w: Floats) -> None:
    """One block: prices in the first columns of `w`, volatilities and Greeks into the later ones.

    `_FINE` becomes 1 where the result stands, 0 where the option lies outside: strike and spot within a factor of
    20 of the forward, |rate * years| < 5, premium between 1e-280 and 0.7 of the smaller of forward and strike,
    deviation between 1e-6 and 2, at most 36 deviations from the money.
    """
    for i in range(BLOCK):
        price, spot, forward, strike = w[_PRICE + i], w[_SPOT + i], w[_FORWARD + i], w[_STRIKE + i]
        years, rate, sign = w[_YEARS + i], w[_RATE + i], w[_SIGN + i]
        growth = exp_lane(rate * years)
        discount = 1.0 / growth
        value = price * growth
        time_value = value - max(sign * (forward - strike), 0.0)
        low, high = min(forward, strike), max(forward, strike)
        ratio = low / high
        x = -log_quotient_lane(low, high, ratio)
        y = time_value / low
        guess = _guess(x, high - low, time_value, math.sqrt(low * high))
        step = _householder(x, guess, y)
        s = guess + step

        over_s = 1.0 / s
        u1 = x * over_s - 0.5 * s
        n1 = exp_lane(-0.5 * u1 * u1) * (1.0 / ROOT_TWO_PI)
        near = n1 * mills_lane(u1)
        far = (near - y) * ratio
        up = forward < strike  # the out-of-the-money kind is the call
        otm1 = near if up else far
        otm2 = far if up else near
        n_scaled = n1 * ratio
        n_d1 = n1 if up else n_scaled
        log_fk = -x if up else x
        is_otm = sign * (forward - strike) <= 0.0
        rest1, rest2 = 1.0 - otm1, 1.0 - otm2
        cdf1 = otm1 if is_otm else rest1
        cdf2 = otm2 if is_otm else rest2

        root = math.sqrt(years)
        iv = s / root
        over_iv = root * over_s
        over_spot = 1.0 / spot
        over_years = 1.0 / years
        carry_of_spot = forward * over_spot
        log_carry = log_quotient_lane(forward, spot, carry_of_spot)
        dividend = rate - log_carry * over_years
        d1 = log_fk * over_s + 0.5 * s
        d2 = d1 - s
        carry = discount * carry_of_spot
        bell = carry * n_d1
        vega = spot * bell * root
        strike_side = strike * discount * cdf2
        held = sign * carry * cdf1
        w[_IV + i] = iv
        w[_DELTA + i] = held
        w[_GAMMA + i] = bell * over_spot * over_s
        w[_THETA + i] = dividend * spot * held - sign * rate * strike_side - 0.5 * vega * iv * over_years
        w[_VEGA + i] = vega
        w[_RHO + i] = sign * years * strike_side
        w[_VANNA + i] = -bell * d2 * over_iv
        w[_CHARM + i] = dividend * held - bell * (log_carry * over_s - 0.5 * d2) * over_years
        w[_VOMMA + i] = vega * d1 * d2 * over_iv

        fine = (price > 0.0) & (spot > 0.0) & (low > 0.0) & (years > 1e-12) & (abs(rate * years) < 5.0)
        fine &= (ratio > 0.05) & (carry_of_spot > 0.05) & (carry_of_spot < 20.0) & (high < 1e150)
        fine &= (time_value > 1e-15 * value) & (y > 1e-280) & (y < 0.7)
        fine &= (s > 1e-6) & (s < 2.0) & (u1 < 36.0) & (abs(step) < 1e-3 * s)
        w[_FINE + i] = 1.0 if fine else 0.0


@compiled
def _one(
    price: float, spot: float, forward: float, strike: float, years: float, rate: float, is_call: bool,
    minimum: float, maximum: float, tolerance: float, max_iterations: int, iv: Floats, status: Codes, out: Floats,
    row: int,
) -> None:  # fmt: skip
    """Row `row` by the exact search, with a status for everything that has no volatility."""
    found, code, _ = invert_one(
        price, forward, strike, years, rate, is_call, minimum, maximum, tolerance, max_iterations
    )
    iv[row], status[row] = found, code
    out[:, row] = math.nan
    if code == CONVERGED and 0.0 < spot < math.inf and found * math.sqrt(years) >= SMALLEST_DEVIATION:
        dividend = rate - log_moneyness(forward, spot) / years
        x = log_moneyness(forward, strike)
        fill_greeks(out, row, spot, forward, strike, x, years, rate, dividend, found, 1.0 if is_call else -1.0)


@compiled
def _rows(
    price: Floats, spot: Floats, forward: Floats, strike: Floats, years: Floats, rate: Floats, is_call: Floats,
    minimum: float, maximum: float, tolerance: float, max_iterations: int, iv: Floats, status: Codes, out: Floats,
) -> None:  # fmt: skip
    w = np.zeros(_COLUMNS * BLOCK)
    for start in range(0, iv.size, BLOCK):
        count = min(BLOCK, iv.size - start)
        for i in range(count):
            w[_PRICE + i], w[_SPOT + i] = price[start + i], spot[start + i]
            w[_FORWARD + i], w[_STRIKE + i] = forward[start + i], strike[start + i]
            w[_YEARS + i], w[_RATE + i] = years[start + i], rate[start + i]
            w[_SIGN + i] = 1.0 if is_call[start + i] else -1.0
        _lanes(w)
        for i in range(count):
            iv[start + i] = w[_IV + i]
            out[0, start + i] = w[_PRICE + i]
        for k in range(1, 9):
            for i in range(count):
                out[k, start + i] = w[_IV + k * BLOCK + i]
        plain = 0
        for i in range(count):
            plain += 1 if (w[_FINE + i] == 1.0) & (w[_IV + i] >= minimum) & (w[_IV + i] <= maximum) else 0
        status[start : start + count] = CONVERGED
        if plain == count:  # nearly every block of a real chain
            continue
        for i in range(count):
            row = start + i
            if w[_FINE + i] == 1.0:
                if not minimum <= iv[row] <= maximum:
                    status[row] = BELOW_IV_MIN if iv[row] < minimum else ABOVE_IV_MAX
                    iv[row] = math.nan
                    out[:, row] = math.nan
            else:
                _one(
                    price[row], spot[row], forward[row], strike[row], years[row], rate[row], is_call[row],
                    minimum, maximum, tolerance, max_iterations, iv, status, out, row,
                )  # fmt: skip


def is_compiled() -> bool:
    """Whether an earlier process left machine code of our kernels: without it the first calls take half a minute.

    Any kernel counts: where the vendor sends every IV, this pass is never needed and never compiled.
    """
    folder = Path(_rows.stats.cache_path)  # type: ignore[attr-defined]
    return any(next(folder.glob(name), None) for name in ("fused._rows-*.nbi", "greeks._greeks_rows-*.nbi"))


def implied_greeks(
    price: ArrayLike, spot: ArrayLike, forward: ArrayLike, strike: ArrayLike, years: ArrayLike, rate: ArrayLike,
    is_call: ArrayLike, limits: IvLimits = ORDINARY,
) -> ImpliedGreeks:  # fmt: skip
    """The volatility at which Black's formula gives each price, and the Greeks at that volatility.

    Shapes  all arguments broadcast together; each column of the result has that shape.
    Units   discounted dollars, dollars, dollars, dollars, years, per year (continuous); see `Greeks`.
    Limits  as `implied_volatility`: every element ends in an `IvStatus`, only CONVERGED carries numbers; the Greeks
            are NaN also where spot is not a positive finite number.  `greeks.price` is the price that came.
            The volatility is as exact as the price allows, and no better than 1e-15 / sqrt(years).
    Source  see the module.
    """
    shape, columns = aligned(price, spot, forward, strike, years, rate, is_call=is_call)
    count = columns[0].size
    iv, status, out = np.empty(count), np.empty(count, np.int8), np.empty((9, count))
    _rows(
        *columns, float(limits.minimum), float(limits.maximum), float(limits.tolerance), int(limits.max_iterations),
        iv, status, out,
    )  # fmt: skip
    return ImpliedGreeks(iv.reshape(shape), status.reshape(shape), Greeks(*(row.reshape(shape) for row in out)))
