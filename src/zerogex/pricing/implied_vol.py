"""Implied volatility: the inverse of Black's formula, for every price that has one.

The unknown is the deviation s = iv * sqrt(years); the datum is the out-of-the-money time value
as a share y of min(forward, strike), for x = |ln(F/K)|.  In these the problem has two parameters
and is well conditioned: a relative error of y moves s relatively by no more.

y(s) turns from convex to concave at s = sqrt(2x), where its slope is 1/sqrt(2 pi).  Three regions,
each with an objective that is nearly linear in s and a first guess good to a few per cent:

    WING     s < min(x, sqrt(2x))   1/sqrt(ln(scale/y))   Hermite's cubic between both ends
    MIDDLE   y < 1/2                y                     a quadratic below the turn, erf⁻¹ above it
    TOP      the rest               ln(1 - y)             erf⁻¹

Householder's fourth-order step then ends the search in two or three turns, also for premiums
of 1e-300; a bracket catches any step that leaves the region.

Source  Jäckel, "Let's be rational", Wilmott (2015), for the objectives; Householder, "The Numerical
        Treatment of a Single Nonlinear Equation" (1970); the guesses are ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zerogex.domain.chain import Codes, Floats
from zerogex.domain.iv import IvStatus
from zerogex.errors import SettingsError
from zerogex.pricing.black_scholes import aligned, cdf_gap, log_moneyness, otm_share
from zerogex.pricing.normal import HALF_LOG_TWO_PI, ROOT_TWO_PI, compiled, density, mills

CONVERGED = int(IvStatus.CONVERGED)
BELOW_INTRINSIC = int(IvStatus.BELOW_INTRINSIC)
ABOVE_MAXIMUM = int(IvStatus.ABOVE_MAXIMUM)
NO_QUOTE = int(IvStatus.NO_QUOTE)
EXPIRED = int(IvStatus.EXPIRED)
BELOW_IV_MIN = int(IvStatus.BELOW_IV_MIN)
ABOVE_IV_MAX = int(IvStatus.ABOVE_IV_MAX)
NO_CONVERGENCE = int(IvStatus.NO_CONVERGENCE)
BAD_INPUT = int(IvStatus.BAD_INPUT)

WING, MIDDLE, TOP = 0, 1, 2  # regions of the search
EPSILON = 2.220446049250313e-16
FINE_STEP = 1e-4  # after a step of this share of s, a fourth-order method is at the last digit


@dataclass(frozen=True, slots=True)
class IvLimits:
    """What counts as a solution.  Values outside [minimum, maximum] are rejected, never clamped."""

    minimum: float = 0.01  # per 1.00
    maximum: float = 5.0
    tolerance: float = 1e-5  # largest last step in volatility; its error is that step's fourth power
    max_iterations: int = 100

    def __post_init__(self) -> None:
        if not 0.0 <= self.minimum < self.maximum:
            raise SettingsError(f"IV_MIN {self.minimum} and IV_MAX {self.maximum} must satisfy 0 <= IV_MIN < IV_MAX")
        if not self.tolerance > 0.0:
            raise SettingsError(f"IV_TOLERANCE {self.tolerance} must be above 0, for example 0.00001")
        if self.max_iterations < 1:
            raise SettingsError(f"IV_MAX_ITERATIONS {self.max_iterations} must be at least 1")


@dataclass(frozen=True, slots=True, eq=False)
class ImpliedVolatility:
    """The outcome for each price, aligned."""

    iv: Floats  # per 1.00; NaN unless status is CONVERGED
    status: Codes  # IvStatus
    iterations: NDArray[np.int16]  # steps taken; 0 where none was needed


@compiled
def _error_function_inverse(z: float, one_minus_z: float) -> float:
    """erf⁻¹(z) of 0 <= z < 1 to about 0.4 %; the complement is given apart, for its digits."""
    a = 0.147
    tail = math.log(one_minus_z * (1.0 + z))
    middle = 2.0 / (math.pi * a) + 0.5 * tail
    # where z is small the root would be a difference of nearly equal numbers
    return z * 0.886226925452758 if z < 1e-4 else math.sqrt(math.sqrt(middle * middle - tail / a) - middle)


@compiled
def _guess_in_the_wing(x: float, y: float, scale: float, edge: float) -> float:
    """A deviation below `edge`, exact at both ends: Hermite's cubic in u = 1/sqrt(ln(scale/y)), nearly linear in s."""
    y_edge = otm_share(x, edge)
    u_edge = 1.0 / math.sqrt(math.log(scale / y_edge))
    slope_edge = 0.5 * u_edge**3 * density(0.5 * edge - x / edge) / y_edge  # du/ds
    u = 1.0 / math.sqrt(math.log(scale / y))
    p = u / u_edge
    from_zero = p * (1.0 - p) * (1.0 - p) * u_edge * x / math.sqrt(2.0)  # ds/du = x/sqrt(2) at 0
    to_edge = p * p * (p - 1.0) * u_edge / slope_edge
    return from_zero + p * p * (3.0 - 2.0 * p) * edge + to_edge


@compiled
def _guess_in_the_middle(x: float, y: float) -> float:
    """A deviation where y is nearly linear in it: s + x²/(2s) = sqrt(2 pi) (b + sinh(x/2)), b = y exp(-x/2)."""
    w = ROOT_TWO_PI * (y * math.exp(-0.5 * x) + math.sinh(0.5 * x))
    return 0.5 * (w + math.sqrt(max(w * w - 2.0 * x * x, 0.0)))


@compiled
def _guess_above_the_turn(y: float, turn: float, y_turn: float) -> float:
    """A deviation above the turning point, with its value and slope there; for x = 0 exact up to erf⁻¹."""
    room = 1.0 - y_turn
    return turn + 2.8284271247461903 * room * _error_function_inverse((y - y_turn) / room, (1.0 - y) / room)


@compiled
def _newton_and_bends(x: float, s: float, y: float, region: int, scale: float) -> tuple[float, float, float]:
    """Newton's step from s towards y, and the ratios f″/f′ and f‴/f′ of the region's objective f(s).

    WING    f = ln(scale / y(s))^(-1/2)
    MIDDLE  f = y(s)
    TOP     f = ln(1 - y(s))
    """
    h = -x / s
    d1 = h + 0.5 * s
    bend = h * h / s - 0.25 * s  # y″/y′
    bend3 = bend * bend - 3.0 * h * h / (s * s) - 0.25  # y‴/y′
    if region == WING:
        gap = cdf_gap(x, s)  # y/y′
        depth = math.log(scale / gap) + 0.5 * d1 * d1 + HALF_LOG_TWO_PI
        slope = 1.0 / gap  # of ln y
        step = 2.0 * depth * gap * (math.sqrt(depth / math.log(scale / y)) - 1.0)
        second = bend - slope
        third = bend3 - 3.0 * bend * slope + 2.0 * slope * slope
        pull = 1.5 * slope / depth
        return step, second + pull, third + 3.0 * pull * second + 15.0 / 9.0 * pull * pull
    bell = density(d1)
    if region == MIDDLE:
        if d1 < 1.0:
            return y / bell - cdf_gap(x, s), bend, bend3
        return (y - 1.0) / bell + mills(d1) + mills(0.5 * s - h), bend, bend3
    rest = 1.0 / bell - cdf_gap(x, s) if d1 < 0.0 else mills(d1) + mills(0.5 * s - h)  # (1 - y)/y′
    step = 0.5 * d1 * d1 + HALF_LOG_TWO_PI + math.log((1.0 - y) / rest)
    slope = -1.0 / rest
    return step / slope, bend - slope, bend3 - 3.0 * bend * slope + 2.0 * slope * slope


@compiled
def _start(x: float, y: float) -> tuple[int, float, float, float]:
    """(region, scale, high, guess) of the search for the deviation of share y, which lies in (0, high)."""
    turn = math.sqrt(2.0 * x)
    y_turn = 0.5 - mills(turn) / ROOT_TWO_PI if x > 1e-24 else 0.0
    if y >= y_turn:
        return MIDDLE if y < 0.5 else TOP, 1.0, math.inf, _guess_above_the_turn(y, turn, y_turn)
    edge = min(x, turn)
    if y >= otm_share(x, edge):
        return MIDDLE, 1.0, math.inf, _guess_in_the_middle(x, y)
    scale = min(x, 1.0)
    return WING, scale, edge, _guess_in_the_wing(x, y, scale, edge)


@compiled
def _solve(x: float, y: float, tolerance: float, max_iterations: int) -> tuple[float, int]:
    """The deviation s with otm_share(x, s) = y, and the steps taken (negative: spent without converging).

    `tolerance` is the largest error of s to accept.
    """
    region, scale, high, s = _start(x, y)
    low = 0.0
    if not low < s < high:
        s = 0.5 * high if high < math.inf else math.sqrt(2.0 * x) + 1.0
    for iteration in range(1, max_iterations + 1):
        newton, second, third = _newton_and_bends(x, s, y, region, scale)
        if newton < 0.0:
            high = s
        else:  # also where s is so small that y(s) is nothing and the step no number
            low = s
        step = newton * (1.0 + 0.5 * second * newton) / (1.0 + newton * (second + third * newton / 6.0))
        if not step * newton >= 0.0:  # curvature misleads far out; Newton's own step keeps its direction
            step = newton
        candidate = s + step
        if low <= candidate <= high:
            s = candidate
            if abs(step) <= max(min(tolerance, FINE_STEP * s), 4.0 * EPSILON * s):
                return s, iteration
        else:
            s = 0.5 * (low + high) if high < math.inf else 2.0 * s
    return s, -max_iterations


@compiled
def invert_one(
    price: float, forward: float, strike: float, years: float, rate: float, is_call: bool,
    minimum: float, maximum: float, tolerance: float, max_iterations: int,
) -> tuple[float, int, int]:  # fmt: skip
    """(iv, status, iterations) of one price."""
    if not (forward > 0.0 and strike > 0.0 and forward + strike + abs(rate) + abs(years) < math.inf):
        return math.nan, BAD_INPUT, 0
    if years <= 0.0:
        return math.nan, EXPIRED, 0
    if not 0.0 < price < math.inf:
        return math.nan, NO_QUOTE, 0
    value = price * math.exp(rate * years)
    intrinsic = forward - strike if is_call else strike - forward
    time_value = value - max(intrinsic, 0.0)
    if time_value <= (2.0 * EPSILON * value if intrinsic > 0.0 else 0.0):
        return math.nan, BELOW_INTRINSIC, 0
    y = time_value / min(forward, strike)
    if y >= 1.0 - 2.0 * EPSILON:
        return math.nan, ABOVE_MAXIMUM, 0
    root = math.sqrt(years)
    deviation, iterations = _solve(abs(log_moneyness(forward, strike)), y, tolerance * root, max_iterations)
    if iterations < 0 or not deviation > 0.0:
        return math.nan, NO_CONVERGENCE, abs(iterations)
    iv = deviation / root
    if iv < minimum:
        return math.nan, BELOW_IV_MIN, iterations
    if iv > maximum:
        return math.nan, ABOVE_IV_MAX, iterations
    return iv, CONVERGED, iterations


@compiled
def _invert_rows(
    price: Floats, forward: Floats, strike: Floats, years: Floats, rate: Floats, is_call: Floats,
    minimum: float, maximum: float, tolerance: float, max_iterations: int,
    iv: Floats, status: Codes, iterations: NDArray[np.int16],
) -> None:  # fmt: skip
    for i in range(iv.size):
        iv[i], status[i], iterations[i] = invert_one(
            price[i], forward[i], strike[i], years[i], rate[i], is_call[i],
            minimum, maximum, tolerance, max_iterations,
        )  # fmt: skip


def implied_volatility(
    price: ArrayLike, forward: ArrayLike, strike: ArrayLike, years: ArrayLike, rate: ArrayLike, is_call: ArrayLike,
    limits: IvLimits = IvLimits(),
) -> ImpliedVolatility:  # fmt: skip
    """The volatility at which Black's formula gives each price.

    Shapes  all arguments broadcast together; each column of the result has that shape.
    Units   discounted dollars, dollars, years, per year (continuous) → per 1.00 of volatility.
    Limits  every element ends in an `IvStatus`; only CONVERGED carries a number.  A price equal to the
            intrinsic value to within rounding says nothing of volatility: BELOW_INTRINSIC.  The result is as exact
            as the price allows: about the relative rounding of its time value.  Never raises for a value.
    Source  see the module.
    """
    shape, columns = aligned(price, forward, strike, years, rate, is_call=is_call)
    count = columns[0].size
    iv, status, iterations = np.empty(count), np.empty(count, np.int8), np.empty(count, np.int16)
    _invert_rows(
        *columns,
        float(limits.minimum),
        float(limits.maximum),
        float(limits.tolerance),
        int(limits.max_iterations),
        iv,
        status,
        iterations,
    )
    return ImpliedVolatility(iv.reshape(shape), status.reshape(shape), iterations.reshape(shape))
