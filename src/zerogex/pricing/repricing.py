"""Net gamma exposure of a whole book at other spots: the curve behind the profile and the flip.

Sticky strike: a contract keeps its implied volatility, its time and its carry while the spot
moves, so the forward moves in proportion, F' = F·S'/S.  Black-Scholes-Merton gamma then is

    Γ(S')·S'² = S' · e^(-qT)·φ(d1')/s      with  s = iv·sqrt(T),  d1' = (ln(F/K) + u)/s + s/2,  u = ln(S'/S)

so every contract is one bell in u: fixed centre, fixed width, fixed height.  On a grid that is
even in u a bell needs no exponential per point: neighbouring values have the ratio
r(j) = exp(-x(j)·h - h²/2), and neighbouring ratios the constant ratio exp(-h²).  Two multiplications
a point, walked outwards from the peak where all ratios are at most one: nothing overflows, and the
relative error after j points stays under j²/2 roundings (1e-11 at 400).  A bell is left where it
falls under exp(-REACH²/2), before the numbers turn denormal and slow.

Source  Hull, "Options, Futures, and Other Derivatives", ch. 19; docs/conventions.md, "Gamma flip".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from zerogex.domain.chain import Floats
from zerogex.pricing.normal import ROOT_TWO_PI, compiled

REACH = 37.0  # widths; exp(-37²/2) = 1e-297, the last stop before denormal numbers
_PER_PERCENT = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class GammaBook:
    """Positions as bells in u = ln(S'/spot): G(S') = S'·Σ height·exp(-((u - center)/width)²/2)."""

    spot: float
    center: Floats
    width: Floats
    height: Floats  # dollars of delta per +1 %, per dollar of S'

    def __len__(self) -> int:
        return len(self.center)


def gamma_book(
    spot: float, forward: Floats, strike: Floats, years: Floats, rate: Floats, iv: Floats, shares: Floats
) -> GammaBook:
    """The book of some positions.

    Shapes  one entry a contract; contracts which cannot be valued must be left out by the caller.
    Units   dollars, years, per year (continuous), 1.00 of volatility; `shares` is the signed position
            in underlying shares (dealer sign · open interest · multiplier).
    Limits  forward, strike, years and iv above zero and finite; positions of zero shares cost nothing.
    Note    lines with the same strike, time, forward and iv (a call and a put on one strike) become
            one: half the work, and positions which cancel leave exactly nothing behind.
    """
    held = shares != 0.0
    forward, strike, years, rate, iv, shares = (a[held] for a in (forward, strike, years, rate, iv, shares))
    width = iv * np.sqrt(years)
    center = -(np.log(forward / strike) + 0.5 * width * width)
    height = _PER_PERCENT * shares * np.exp(-rate * years) * (forward / spot) / (width * ROOT_TWO_PI)
    return GammaBook(spot, *_merged(center, width, height))


def _merged(center: Floats, width: Floats, height: Floats) -> tuple[Floats, Floats, Floats]:
    """Add up the heights of bells with the same centre and width; drop those which come to nothing."""
    if len(center) == 0:
        return center, width, height
    order = np.lexsort((width, center))
    center, width, height = center[order], width[order], height[order]
    first = np.concatenate(([True], (center[1:] != center[:-1]) | (width[1:] != width[:-1])))
    starts = np.flatnonzero(first)
    total = np.add.reduceat(height, starts)
    # A sum of n terms that cancels leaves n roundings of its terms, not a position.
    kept = np.abs(total) > 1e-15 * np.add.reduceat(np.abs(height), starts)
    return center[starts][kept], width[starts][kept], total[kept]


def net_gex_on_grid(book: GammaBook, first: float, step: float, count: int) -> Floats:
    """G at S' = spot·exp(first + step·j), j = 0 … count-1; `step` above zero."""
    bells = np.zeros(count)
    _add_bells(book.center, book.width, book.height, first, step, bells)
    return bells * book.spot * np.exp(first + step * np.arange(count))


def net_gex_at(book: GammaBook, spot: float) -> tuple[float, float]:
    """G and its slope dG/dS' at one spot, without a grid's shortcuts."""
    value, slope = _bells_at(book.center, book.width, book.height, math.log(spot / book.spot))
    return spot * value, value + slope


@compiled
def _add_bells(center: Floats, width: Floats, height: Floats, first: float, step: float, out: Floats) -> None:
    last = out.size - 1.0
    for i in range(center.size):
        position = (center[i] - first) / step
        reach = REACH * width[i] / step
        low = int(max(0.0, math.ceil(max(position - reach, -1.0))))
        high = int(min(last, math.floor(min(position + reach, last + 1.0))))
        if position - reach > last or position + reach < 0.0 or high < low:
            continue
        peak = int(min(max(math.floor(position + 0.5), float(low)), float(high)))
        h = step / width[i]
        x = (first + step * peak - center[i]) / width[i]
        at_peak = height[i] * math.exp(-0.5 * x * x)
        shrink = math.exp(-h * h)
        value, ratio = at_peak, math.exp(-h * x - 0.5 * h * h)
        for j in range(peak, high + 1):
            out[j] += value
            value *= ratio
            ratio *= shrink
        value, ratio = at_peak, math.exp(h * x - 0.5 * h * h)
        for j in range(peak - 1, low - 1, -1):
            value *= ratio
            ratio *= shrink
            out[j] += value


@compiled
def _bells_at(center: Floats, width: Floats, height: Floats, u: float) -> tuple[float, float]:
    value, slope = 0.0, 0.0
    for i in range(center.size):
        x = (u - center[i]) / width[i]
        bell = height[i] * math.exp(-0.5 * x * x)
        value += bell
        slope -= bell * x / width[i]
    return value, slope
