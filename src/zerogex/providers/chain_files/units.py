"""A vendor's theta and vega in our units, whatever year and point they were written in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from zerogex.domain.chain import Floats, OptionChain

_DAYS = 365.0
_LEAST = 12  # contracts needed to tell a unit


def to_our_units(chain: OptionChain, notes: list[str]) -> OptionChain:
    """Theta per calendar day and vega per volatility point.

    The identity vega = Γ S² σ T (per 1.00 of volatility) tells the unit of vega, and
    theta ≈ -½ Γ S² σ² (per year) that of theta: the medians of the ratios lie near 1 or near
    1/100 and 1/365, far enough apart for any rounding.
    """
    with np.errstate(all="ignore"):
        curvature = chain.gamma * chain.spot**2 * chain.iv
        good = (chain.years > 1.5 / _DAYS) & (chain.iv > 0.02) & (np.abs(chain.delta) > 0.05)
        good &= (np.abs(chain.delta) < 0.95) & (chain.gamma > 0)
        vega = _median_ratio(chain.vega, curvature * chain.years, good)
        theta = _median_ratio(chain.theta, -0.5 * curvature * chain.iv, good)
    if vega is not None and vega > 0.1:
        notes.append("The file's vega is per 1.00 of volatility; it is shown per volatility point.")
        chain = replace(chain, vega=chain.vega / 100.0)
    if theta is not None and theta > 0.05:
        notes.append("The file's theta is per year; it is shown per calendar day.")
        chain = replace(chain, theta=chain.theta / _DAYS)
    return chain


def _median_ratio(given: Floats, expected: Floats, good: np.ndarray) -> float | None:
    ratio = given[good] / expected[good]
    ratio = ratio[np.isfinite(ratio) & (ratio != 0)]
    return float(np.median(ratio)) if len(ratio) >= _LEAST else None
