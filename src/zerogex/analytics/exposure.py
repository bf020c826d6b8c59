"""Greeks times positions: exposures per contract, and their sums.

The formulas stand in docs/conventions.md; this is where every one of them is computed.  With
s the dealers' sign, OI open interest, M the multiplier and S the spot:

    gex      s·Γ·OI·M·S²·0.01           dollars of delta per +1 % move
    shares   s·Γ·OI·M                   shares per +$1 move
    dex      s·Δ·OI·M·S                 dollars of delta
    vanna    s·(∂Δ/∂σ)·OI·M·S·0.01      dollars of delta per +1 volatility point
    charm    s·(∂Δ/∂t)·OI·M·S/365       dollars of delta per calendar day that passes
    vega     s·vega·OI·M·0.01           dollars per +1 volatility point
    volume   like gex, weighted by today's volume instead of open interest
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerogex.analytics.valuation import Valuation
from zerogex.domain.chain import Bools, Floats, Ints, OptionChain
from zerogex.domain.exposure import DealerModel, ExposureTable, Totals
from zerogex.pricing.units import per_day, per_point

PER_PERCENT = 0.01
Groups = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Exposures:
    """Dealer-signed exposures, one entry a contract; zero where a contract has no usable Greek."""

    is_call: Bools
    gex: Floats
    gex_shares_per_dollar: Floats
    dex: Floats
    vanna_exposure: Floats
    charm_exposure: Floats
    vega_exposure: Floats
    volume_gex: Floats
    open_interest: Ints
    volume: Ints


def signed_shares(chain: OptionChain, model: DealerModel) -> Floats:
    """The dealers' assumed position in each contract, in underlying shares: sign · open interest · multiplier."""
    return dealer_sign(chain, model) * chain.open_interest * chain.multiplier


def dealer_sign(chain: OptionChain, model: DealerModel) -> Floats:
    """+1 where dealers are assumed long the contract, -1 where short."""
    calls, puts = model.signs
    return np.where(chain.is_call, calls, puts)


def contract_exposures(chain: OptionChain, valuation: Valuation, model: DealerModel) -> Exposures:
    """What each contract adds to every sum."""
    spot = chain.spot
    shares = signed_shares(chain, model)
    per_move = spot * spot * PER_PERCENT
    traded = dealer_sign(chain, model) * chain.volume * chain.multiplier
    return Exposures(
        is_call=chain.is_call,
        gex=shares * valuation.gamma * per_move,
        gex_shares_per_dollar=shares * valuation.gamma,
        dex=shares * valuation.delta * spot,
        vanna_exposure=shares * per_point(valuation.vanna) * spot,
        charm_exposure=shares * per_day(valuation.charm) * spot,
        vega_exposure=shares * per_point(valuation.vega),
        volume_gex=traded * valuation.gamma * per_move,
        open_interest=chain.open_interest,
        volume=chain.volume,
    )


def totals(exposures: Exposures) -> Totals:
    """The sums over all contracts."""
    everything = np.zeros(len(exposures.gex), np.intp)
    sums = _sums(exposures, everything, 1)
    return Totals(**{name: column[0].item() for name, column in sums.items()})


def by_strike(exposures: Exposures, chain: OptionChain) -> ExposureTable:
    """One row a strike: all expirations and roots summed."""
    strikes, group = np.unique(chain.strike, return_inverse=True)
    return ExposureTable(strikes, None, _sums(exposures, group, len(strikes)))


def by_expiration(exposures: Exposures, chain: OptionChain) -> ExposureTable:
    """One row an expiration date: all strikes and roots summed."""
    days, group = np.unique(chain.expiration, return_inverse=True)
    return ExposureTable(None, days, _sums(exposures, group, len(days)))


def by_cell(exposures: Exposures, chain: OptionChain) -> ExposureTable:
    """One row a (expiration, strike) that is listed: all roots summed; by date, then strike."""
    strikes, of_strike = np.unique(chain.strike, return_inverse=True)
    days, of_day = np.unique(chain.expiration, return_inverse=True)
    cells, group = np.unique(of_day * max(len(strikes), 1) + of_strike, return_inverse=True)
    day, strike = np.divmod(cells, max(len(strikes), 1))
    return ExposureTable(strikes[strike], days[day], _sums(exposures, group, len(cells)))


def _sums(exposures: Exposures, group: Groups, count: int) -> dict[str, Any]:
    """`Totals` as columns: entry g sums the contracts whose group is g."""

    def summed(column: NDArray[Any]) -> Floats:
        return np.bincount(group, column, count).astype(np.float64, copy=False)

    # Calls go to the first half, puts to the second: one pass splits the sides.
    side = np.where(exposures.is_call, group, group + count)

    def split(column: NDArray[Any]) -> tuple[Floats, Floats]:
        both = np.bincount(side, column, 2 * count).astype(np.float64, copy=False)
        return both[:count], both[count:]

    call_gex, put_gex = split(exposures.gex)
    call_open_interest, put_open_interest = (half.astype(np.int64) for half in split(exposures.open_interest))
    call_volume, put_volume = (half.astype(np.int64) for half in split(exposures.volume))
    return {
        "call_gex": call_gex,
        "put_gex": put_gex,
        "net_gex": call_gex + put_gex,
        "gross_gex": summed(np.abs(exposures.gex)),
        "gex_shares_per_dollar": summed(exposures.gex_shares_per_dollar),
        "dex": summed(exposures.dex),
        "vanna_exposure": summed(exposures.vanna_exposure),
        "charm_exposure": summed(exposures.charm_exposure),
        "vega_exposure": summed(exposures.vega_exposure),
        "volume_gex": summed(exposures.volume_gex),
        "call_open_interest": call_open_interest,
        "put_open_interest": put_open_interest,
        "call_volume": call_volume,
        "put_volume": put_volume,
    }
