"""The gamma profile: what net GEX would be if the spot stood elsewhere, now, at the same implied volatilities."""

from __future__ import annotations

import math

import numpy as np

from zerogex.analytics.exposure import signed_shares
from zerogex.analytics.valuation import Valuation
from zerogex.domain.chain import OptionChain
from zerogex.domain.exposure import DealerModel, Profile
from zerogex.pricing.repricing import GammaBook, gamma_book, net_gex_on_grid


def book(chain: OptionChain, valuation: Valuation, model: DealerModel) -> GammaBook:
    """The dealers' positions in a form that can be re-priced at any spot: every contract that has an iv."""
    rows = valuation.priced
    return gamma_book(
        chain.spot,
        valuation.forward[rows],
        chain.strike[rows],
        chain.years[rows],
        valuation.rate[rows],
        chain.iv[rows],
        signed_shares(chain, model)[rows],
    )


def profile(book: GammaBook, points: int, reach: float) -> Profile:
    """Net GEX at `points` spots, even in log, from spot·(1 - reach) to spot/(1 - reach).

    The spot itself is the middle point (an even `points` gains one), where the curve is the
    headline net GEX.  `reach` lies between 0 and 1.
    """
    half = max(points // 2, 1)
    step = -math.log1p(-reach) / half
    count = 2 * half + 1
    spots = book.spot * np.exp(step * np.arange(-half, half + 1))
    return Profile(spots, net_gex_on_grid(book, -half * step, step, count))
