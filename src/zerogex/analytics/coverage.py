"""How much of the chain the numbers rest on, and what was left out."""

from __future__ import annotations

import math

import numpy as np

from zerogex.analytics.staleness import spot_age_s
from zerogex.analytics.valuation import Valuation, adjusted
from zerogex.domain.chain import Bools, OptionChain
from zerogex.domain.exposure import Coverage
from zerogex.domain.iv import IvSource, IvStatus


def coverage(chain: OptionChain, live: OptionChain, counted: OptionChain, valuation: Valuation, *,
             vendor: bool) -> Coverage:  # fmt: skip
    """Counts over three nested sets of contracts.

    `chain` is everything listed, `live` what has not settled, `counted` what the sums are about
    (live without adjusted contracts, except where a vendor's own Greeks stand for them).
    """
    used = valuation.usable & (counted.open_interest > 0)
    open_interest = int(counted.open_interest.sum())
    open_interest_used = int(counted.open_interest[used].sum())
    solved = np.isfinite(counted.iv) & (counted.iv > 0.0)
    return Coverage(
        contracts=len(chain),
        live=len(live),
        used=int(used.sum()),
        open_interest=open_interest,
        open_interest_used=open_interest_used,
        pct=share_pct(open_interest_used, open_interest),
        iv_sources=_sources(counted, solved, vendor=vendor),
        iv_failures=_failures(counted, solved),
        stale_s=_age_of_youngest(chain),
        spot_age_s=spot_age_s(chain),
        excluded_adjusted=int(adjusted(live).sum()) - int(adjusted(counted).sum()),
    )


def share_pct(part: float, whole: float) -> float:
    """100 · part / whole; 0 of nothing is 0."""
    return 100.0 * part / whole if whole > 0 else 0.0


def _sources(chain: OptionChain, solved: Bools, *, vendor: bool) -> dict[str, int]:
    """Contracts with an implied volatility, by where it came from."""
    if vendor:
        return {"vendor": int(solved.sum())} if solved.any() else {}
    codes = np.bincount(chain.iv_source[solved], minlength=len(IvSource)).tolist()
    return {source.label or "unknown": codes[source] for source in IvSource if codes[source]}


def _failures(chain: OptionChain, solved: Bools) -> dict[str, int]:
    """Contracts without an implied volatility, by how the search for it ended."""
    codes = np.bincount(chain.iv_status[~solved], minlength=len(IvStatus)).tolist()
    return {status.label: codes[status] for status in IvStatus if codes[status]}


def _age_of_youngest(chain: OptionChain) -> float:
    """Seconds from the newest quote to `as_of`; NaN for an empty chain."""
    times = chain.event_time[np.isfinite(chain.event_time)]
    return max(chain.as_of.timestamp() - float(times.max()), 0.0) if len(times) else math.nan
