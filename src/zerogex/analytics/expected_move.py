"""How far the market prices the underlying to move: one standard deviation to the nearest expiration."""

from __future__ import annotations

import numpy as np

from zerogex.analytics.valuation import Valuation, adjusted, roots
from zerogex.domain.chain import Bools, Floats, Ints, OptionChain
from zerogex.domain.exposure import ExpectedMove
from zerogex.domain.iv import IvSource

NEAR = 0.05  # of the forward: how far the nearest strike may lie when the strikes do not enclose the forward


def expected_move(chain: OptionChain, valuation: Valuation) -> ExpectedMove | None:
    """One standard deviation (spot · ATM iv · sqrt(years)) to the next (root, expiration) that has an ATM iv.

    Default volatilities do not count.  The straddle is the mid of call and put at the strike
    nearest to the forward: the market's mean absolute move, about 0.8 of the standard deviation.
    """
    known = valuation.priced & (chain.iv_source != IvSource.DEFAULT)
    for rows in _next_first(chain, ~adjusted(chain) & chain.is_live):
        forward = float(valuation.forward[rows[0]])
        solved = rows[known[rows]]
        atm = atm_iv(chain.strike[solved], chain.iv[solved], forward)
        if atm is None:
            continue
        years = float(chain.years[rows[0]])
        return ExpectedMove(
            expiration=chain.expiration[rows[0]].item(),
            sigma=chain.spot * atm * float(np.sqrt(years)),
            atm_iv=atm,
            straddle=_straddle(chain, rows, forward),
            years=years,
        )
    return None


def atm_iv(strike: Floats, iv: Floats, forward: float) -> float | None:
    """Implied volatility at the forward, linear in log strike between the strikes around it.

    Several contracts on one strike (call and put) count with their mean.  None without a strike on
    both sides, unless one lies within 5 % of the forward.
    """
    if len(strike) == 0 or not forward > 0.0:
        return None
    strikes, group = np.unique(strike, return_inverse=True)
    mean = np.bincount(group, iv) / np.bincount(group)
    if not strikes[0] <= forward <= strikes[-1] and np.abs(strikes / forward - 1.0).min() > NEAR:
        return None
    return float(np.interp(np.log(forward), np.log(strikes), mean))


def _next_first(chain: OptionChain, mask: Bools) -> list[Ints]:
    """Row numbers of each (settlement, root), the next to settle first."""
    groups: list[tuple[float, str, Ints]] = []
    for root in roots(chain):
        rows = np.flatnonzero(mask & (chain.root == root))
        times, group = np.unique(chain.settlement[rows], return_inverse=True)
        order = np.argsort(group, kind="stable")
        parts = np.split(rows[order], np.cumsum(np.bincount(group))[:-1]) if len(rows) else []
        groups += [(time, root, part) for time, part in zip(times.tolist(), parts, strict=True)]
    return [rows for _, _, rows in sorted(groups, key=lambda each: each[:2])]


def _straddle(chain: OptionChain, rows: Ints, forward: float) -> float | None:
    """Mid of the call plus mid of the put at the strike nearest to the forward that quotes both."""
    mid = chain.mid[rows]
    quoted = rows[np.isfinite(mid)]
    calls, puts = quoted[chain.is_call[quoted]], quoted[~chain.is_call[quoted]]
    strikes, call, put = np.intersect1d(chain.strike[calls], chain.strike[puts], return_indices=True)
    if len(strikes) == 0:
        return None
    nearest = int(np.argmin(np.abs(strikes - forward)))
    if abs(strikes[nearest] / forward - 1.0) > NEAR:
        return None
    return float(chain.mid[calls[call[nearest]]] + chain.mid[puts[put[nearest]]])
