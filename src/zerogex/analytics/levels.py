"""The gamma flip: the spots at which the dealers' net gamma changes sign, by re-pricing the whole chain.

Every sign change of G(S') on a grid around spot is found and refined on the exact curve.  The grid
is one basis point fine within 2 % of spot, where contracts of the last hours ripple from strike to
strike, and five beyond; a pair of changes closer than that is not seen.

Which change is the headline: between two neighbouring changes lies a lobe, and its area in log
spot is the dollar delta the dealers trade while the price crosses it.  A lobe with less than
0.5 % of the area of the whole curve is a ripple, and the two changes which bound it say nothing about
the regime: they are listed, but not structural.  The lobe that spot itself lies in is never a
ripple, so the sign of net GEX and the side of the flip cannot disagree.  The nearest structural
change is the gamma flip.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zerogex.domain.chain import Floats
from zerogex.domain.exposure import Crossing, Flip, FlipStatus
from zerogex.pricing.repricing import GammaBook, net_gex_at, net_gex_on_grid

FINE_STEP, FINE_REACH = 1e-4, 0.02
COARSE_STEP = 5e-4
RIPPLE_AREA = 0.005  # of the area of the whole curve
BORDER = 0.02  # of the searched reach: a change this close to its end is no level
NOTHING = 1e-12  # of the curve's largest value: below the rounding of the sum
LOWEST_COVERAGE_PCT = 50.0


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """G on the search grid; `u` is ln(S'/spot), ascending, and `u[middle]` is zero."""

    u: Floats
    gex: Floats
    middle: int

    def sign(self) -> NDArray[np.int8]:
        """-1, 0 or +1 a node: zero where the curve is nothing but rounding, except at spot, whose sign is said."""
        sign: NDArray[np.int8] = np.sign(self.gex).astype(np.int8)
        small = np.abs(self.gex) <= NOTHING * np.abs(self.gex).max(initial=0.0)
        small[self.middle] = False
        sign[small] = 0
        return sign


def gamma_flip(book: GammaBook, reach: float, net_at_spot: float | None = None, coverage_pct: float = 100.0) -> Flip:
    """The flip of a book within ±`reach` (0…1) of spot.

    `net_at_spot` is the headline net GEX where that is G(spot) itself: the two may differ in the
    last rounding, and the headline's sign rules.  `coverage_pct` is the share of the open
    interest that stands in the book with a volatility of its own, placeholders not counted.
    """
    if len(book) == 0:
        reason = "Calls and puts cancel at every strike." if coverage_pct > 0 else "No open interest could be priced."
        return Flip(None, FlipStatus.LOW_COVERAGE, reason=reason)
    curve = search_curve(book, reach, net_at_spot)
    crossings = _crossings(book, curve)
    if coverage_pct < LOWEST_COVERAGE_PCT:
        reason = f"Only {coverage_pct:.0f} % of the open interest could be priced; the flip needs half of it."
        return Flip(None, FlipStatus.LOW_COVERAGE, crossings, reason)
    structural = [each for each in crossings if each.structural]
    if not structural:
        return _without_change(curve, crossings, reach)
    nearest = min(structural, key=lambda each: abs(each.price - book.spot))
    if len(structural) == 1 and _at_border(math.log(nearest.price / book.spot), curve):
        reason = f"The only sign change, at {nearest.price:g}, lies at the border of the searched range."
        return Flip(None, FlipStatus.EDGE, crossings, reason)
    if len(crossings) == 1:
        return Flip(nearest.price, FlipStatus.RESOLVED, crossings)
    ripples = len(crossings) - len(structural)
    reason = f"{len(crossings)} sign changes, {ripples} of them ripples; the nearest of the others is shown."
    return Flip(nearest.price, FlipStatus.MULTIPLE, crossings, reason)


def search_curve(book: GammaBook, reach: float, net_at_spot: float | None = None) -> Curve:
    """G from at least spot·(1 - reach) to spot·(1 + reach): fine around spot, coarse beyond."""
    low, high = math.log1p(-reach), math.log1p(reach)
    fine = math.ceil(min(FINE_REACH, high) / FINE_STEP)
    inner = fine * FINE_STEP
    below, above = (max(math.ceil((side - inner) / COARSE_STEP), 0) for side in (-low, high))
    pieces = [
        (-inner - below * COARSE_STEP, COARSE_STEP, below),
        (-inner, FINE_STEP, 2 * fine + 1),
        (inner + COARSE_STEP, COARSE_STEP, above),
    ]
    u = np.concatenate([first + step * np.arange(count) for first, step, count in pieces])
    gex = np.concatenate([net_gex_on_grid(book, *piece) for piece in pieces])
    middle = below + fine
    u[middle] = 0.0
    if net_at_spot is not None:
        gex[middle] = net_at_spot
    return Curve(u, gex, middle)


def _crossings(book: GammaBook, curve: Curve) -> tuple[Crossing, ...]:
    """Every sign change of the curve, refined, ascending in price."""
    sign = curve.sign()
    signed = np.flatnonzero(sign)
    before = np.flatnonzero(sign[signed[1:]] != sign[signed[:-1]])
    brackets = [(int(signed[k]), int(signed[k + 1])) for k in before]
    structural = _structural(curve, brackets)
    found = []
    for (left, right), matters in zip(brackets, structural, strict=True):
        price = refine(book, float(curve.u[left]), float(curve.u[right]), rising=bool(sign[right] > 0))
        found.append(Crossing(price, net_gex_at(book, price)[1], matters))
    return tuple(found)


def refine(book: GammaBook, low: float, high: float, *, rising: bool) -> float:
    """The spot in a bracket (in log spot) where G is zero: Newton's steps, halving where they leave the bracket.

    G is below zero at `low` and above it at `high` if `rising`, else the reverse; relative error of
    the result about 1e-13.
    """
    u = 0.5 * (low + high)
    for _ in range(100):
        spot = book.spot * math.exp(u)
        value, slope = net_gex_at(book, spot)
        if value == 0.0 or high - low < 1e-14:
            break
        if (value > 0.0) == rising:
            high = u
        else:
            low = u
        step = -value / (slope * spot) if slope != 0.0 else math.inf
        following = u + step if low < u + step < high else 0.5 * (low + high)
        if abs(following - u) < 1e-15:
            break
        u = following
    return book.spot * math.exp(u)


def _structural(curve: Curve, brackets: list[tuple[int, int]]) -> list[bool]:
    """For each change, whether it bounds lobes that matter once the ripples are ironed out, smallest first."""
    width = np.gradient(curve.u)
    running = np.concatenate(([0.0], np.cumsum(curve.gex * width)))
    enough = RIPPLE_AREA * float(np.sum(np.abs(curve.gex) * width))
    kept = list(range(len(brackets)))
    while kept:
        lobes = []
        for position in range(-1, len(kept)):  # the lobes at both ends have one change each, the others two
            first = brackets[kept[position]][1] if position >= 0 else 0
            last = brackets[kept[position + 1]][0] if position + 1 < len(kept) else len(curve.u) - 1
            area = abs(float(running[last + 1] - running[first]))
            outer = position < 0 or position + 1 == len(kept)
            cut_off = outer and _at_border(float(curve.u[brackets[kept[max(position, 0)]][0]]), curve)
            if area < enough and not first <= curve.middle <= last and not cut_off:
                lobes.append((area, position))
        if not lobes:
            break
        _, position = min(lobes)
        del kept[max(position, 0) : position + 2]
    return [k in kept for k in range(len(brackets))]


def _at_border(u: float, curve: Curve) -> bool:
    """Whether a change lies in the outermost part of the searched range."""
    return not curve.u[0] * (1.0 - BORDER) < u < curve.u[-1] * (1.0 - BORDER)


def _without_change(curve: Curve, crossings: tuple[Crossing, ...], reach: float) -> Flip:
    """The answer where nothing structural changes sign."""
    weight = float(curve.gex[curve.middle]) or float(curve.gex.sum())
    within = f"within {100 * reach:g} % of spot"
    ripples = f", apart from {len(crossings)} ripples" if crossings else ""
    if weight > 0.0:
        return Flip(None, FlipStatus.NONE_POSITIVE, crossings, f"Net gamma is above zero everywhere {within}{ripples}.")
    if weight < 0.0:
        return Flip(None, FlipStatus.NONE_NEGATIVE, crossings, f"Net gamma is below zero everywhere {within}{ripples}.")
    return Flip(None, FlipStatus.LOW_COVERAGE, crossings, f"No position has any gamma {within}.")
