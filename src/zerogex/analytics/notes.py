"""What a person should know before trusting the numbers: fallbacks, exclusions, old inputs, in sentences."""

from __future__ import annotations

import numpy as np

from zerogex.analytics.staleness import is_spot_stale, spot_age_s
from zerogex.analytics.valuation import Valuation, adjusted
from zerogex.domain.chain import OptionChain
from zerogex.domain.exposure import Profile, Totals
from zerogex.domain.iv import IvSource


def notes(chain: OptionChain, live: OptionChain, counted: OptionChain, valuation: Valuation, greeks: str,
          totals: Totals, profile: Profile) -> tuple[str, ...]:  # fmt: skip
    """Sentences, the gravest first; empty where nothing needs saying."""
    said = [
        _nothing(chain, live, counted),
        _vendor(counted, valuation, totals, profile) if greeks == "vendor" else None,
        _adjusted(live, greeks),
        _unpriced(counted, valuation),
        _default_iv(counted, valuation),
        _carried(counted, valuation),
        _stale_spot(chain),
        _settled(chain, live),
    ]
    return tuple(sentence for sentence in said if sentence)


def _nothing(chain: OptionChain, live: OptionChain, counted: OptionChain) -> str | None:
    if len(chain) == 0:
        return "The chain is empty."
    if len(live) == 0:
        return "Every contract of the chain has settled."
    if not counted.open_interest.any():
        return "No live contract has open interest: exposures by open interest are zero because nothing is held."
    return None


def _vendor(counted: OptionChain, valuation: Valuation, totals: Totals, profile: Profile) -> str | None:
    if len(counted) == 0:
        return None
    said = "Sums use the vendor's own gamma and delta"
    if not valuation.priced.any():
        return f"{said}; without a volatility of the vendor there is no profile and no flip."
    at_spot = float(profile.net_gex[len(profile.net_gex) // 2])
    return (
        f"{said}; profile and flip re-price with the vendor's implied volatility, which gives a net GEX of "
        f"{at_spot:,.0f} at spot where the sum says {totals.net_gex:,.0f}."
    )


def _adjusted(live: OptionChain, greeks: str) -> str | None:
    rows = adjusted(live)
    if not rows.any():
        return None
    names = ", ".join(sorted(set(live.root[rows].tolist())))
    part = "in the sums as the vendor lists them, never re-priced" if greeks == "vendor" else "left out"
    return f"Contracts with a non-standard deliverable, {part}: {int(rows.sum())} ({names})."


def _unpriced(counted: OptionChain, valuation: Valuation) -> str | None:
    lost = int(counted.open_interest[~valuation.usable].sum())
    every = int(counted.open_interest.sum())
    if lost == 0:
        return None
    return f"{100.0 * lost / every:.1f} % of the open interest has no usable gamma and is not in the sums."


def _default_iv(counted: OptionChain, valuation: Valuation) -> str | None:
    rows = counted.iv_source == IvSource.DEFAULT
    if not rows.any():
        return None
    part = "taking part" if (rows & valuation.priced).any() else "left out"
    return f"Contracts on the default implied volatility, a placeholder, {part}: {int(rows.sum())}."


def _carried(counted: OptionChain, valuation: Valuation) -> str | None:
    rows = int((valuation.carried & valuation.priced).sum())
    if rows == 0:
        return None
    return f"Contracts without a forward of their own, priced on spot · exp((r − q)·T): {rows}."


def _stale_spot(chain: OptionChain) -> str | None:
    age_s = spot_age_s(chain)
    stale = np.isfinite(chain.spot) and is_spot_stale(age_s, chain.as_of)
    return f"The spot is {age_s:,.0f} s older than the chain." if stale else None


def _settled(chain: OptionChain, live: OptionChain) -> str | None:
    gone = len(chain) - len(live)
    return f"Settled contracts, left out: {gone}." if 0 < gone < len(chain) else None
