"""Max pain: the settlement price at which the holders of one expiration are paid least.

One answer per (root, expiration), never pooled: contracts that settle at different times are not
paid at one price.  The candidates are the listed strikes, where the minimum of a piecewise linear
function must lie.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from zerogex.analytics.valuation import adjusted, roots
from zerogex.domain.chain import Floats, Ints, OptionChain
from zerogex.domain.exposure import MaxPain

TIE = 1e-12  # payouts this close, relatively, are equal


def max_pain(chain: OptionChain) -> tuple[MaxPain, ...]:
    """Max pain of every live (root, expiration) with open interest, the next to settle first.

    Ties go to the strike nearest to spot, then to the lower one.  Adjusted contracts have no part.
    """
    answers = []
    candidates = np.flatnonzero(chain.is_live & ~adjusted(chain))
    order = candidates[np.lexsort((chain.strike[candidates], chain.expiration[candidates]))]
    names = chain.root[order]
    for root in roots(chain):
        rows = order[names == root]
        days = chain.expiration[rows]
        bounds = np.flatnonzero(np.concatenate(([True], days[1:] != days[:-1], [True])))
        for first, last in pairwise(bounds.tolist()):
            if answer := _of_one(chain, root, rows[first:last]):
                answers.append((chain.settlement[rows[first]], root, answer))
    return tuple(answer for _, _, answer in sorted(answers, key=lambda each: each[:2]))


def payouts(strike: Floats, calls: Floats, puts: Floats) -> Floats:
    """Dollars paid to holders if the settlement price is each of the strikes.

    Shapes  one entry a strike, ascending; `calls` and `puts` in shares (open interest · multiplier).
    Method  running sums: a call pays (K - k) for every strike k below K, a put (k - K) for every one above.
    """
    calls_below, puts_below = np.cumsum(calls), np.cumsum(puts)
    call_cost, put_cost = np.cumsum(calls * strike), np.cumsum(puts * strike)
    puts_above = puts_below[-1] - puts_below
    put_cost_above = put_cost[-1] - put_cost
    return (strike * calls_below - call_cost) + (put_cost_above - strike * puts_above)


def _of_one(chain: OptionChain, root: str, rows: Ints) -> MaxPain | None:
    """Max pain of the contracts of one (root, expiration), their rows ascending by strike."""
    open_interest = int(chain.open_interest[rows].sum())
    if open_interest <= 0:
        return None
    every = chain.strike[rows]
    starts = np.flatnonzero(np.concatenate(([True], every[1:] != every[:-1])))
    shares = chain.open_interest[rows] * chain.multiplier[rows]
    calls = np.add.reduceat(np.where(chain.is_call[rows], shares, 0.0), starts)
    puts = np.add.reduceat(np.where(chain.is_call[rows], 0.0, shares), starts)
    strike = every[starts]
    paid = payouts(strike, calls, puts)
    scale = float(np.dot(strike, calls + puts))
    ties = np.flatnonzero(paid <= paid.min() + TIE * scale)
    best = ties[np.argmin(np.abs(strike[ties] - chain.spot))]
    return MaxPain(
        root=root,
        expiration=chain.expiration[rows[0]].item(),
        strike=float(strike[best]),
        payout=max(float(paid[best]), 0.0),
        open_interest=open_interest,
    )
