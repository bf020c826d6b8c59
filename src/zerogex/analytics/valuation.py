"""Which Greeks an analysis rests on: our own, from implied volatility, or the vendor's.

Own: every contract is valued by the kernel on (spot, forward, strike, years at `as_of`, rate, iv),
whatever Greeks the chain carries.  Vendor: gamma and delta as the vendor gave them, the higher
Greeks by the kernel on the vendor's implied volatility.  Adjusted contracts (AMD1: not 100 shares
of spot) are never valued by the kernel; what a vendor says of them counts in the vendor's sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zerogex.domain.chain import Bools, Floats, OptionChain
from zerogex.domain.contract import is_adjusted
from zerogex.domain.exposure import ForwardPoint
from zerogex.domain.iv import IvSource
from zerogex.pricing.greeks import carry_forward, greeks

SMALLEST_WIDTH = 1e-9  # of iv·sqrt(years): an option of less is a step, and its gamma no number


@dataclass(frozen=True, slots=True, eq=False)
class Valuation:
    """Greeks of a chain's contracts in natural units, zero where there are none, and what they stand on."""

    gamma: Floats  # per dollar
    delta: Floats  # shares per share
    vanna: Floats  # delta per 1.00 of volatility
    charm: Floats  # delta per year of waiting
    vega: Floats  # dollars per 1.00 of volatility
    usable: Bools  # gamma is a number
    priced: Bools  # iv, forward and years are numbers: the contract can be re-priced at another spot
    forward: Floats  # dollars; NaN where neither the chain nor the spot gives one
    rate: Floats  # per year, continuous
    carried: Bools  # the forward is the carry fallback spot·exp((r - q)·T)


def value(
    chain: OptionChain,
    *,
    vendor: bool = False,
    rate: float | None = None,
    dividend: float = 0.0,
    include_default_iv: bool = True,
    forwards: tuple[ForwardPoint, ...] = (),
) -> Valuation:
    """The Greeks of live contracts.

    `rate` stands in where the chain has none (no rate at all: zero), `dividend` only in the carry
    fallback; `forwards` fill in for contracts whose own forward is missing.  Rows whose implied
    volatility is IMPLIED_VOLATILITY_DEFAULT take part unless `include_default_iv` is false.
    """
    years = chain.years
    forward, rates, carried = _forwards(chain, years, rate, dividend, forwards)
    with np.errstate(invalid="ignore"):
        priced = (chain.iv * np.sqrt(np.maximum(years, 0.0)) > SMALLEST_WIDTH) & np.isfinite(chain.iv)
        priced &= (forward > 0.0) & np.isfinite(forward) & (chain.strike > 0.0) & (chain.spot > 0.0)
    priced &= ~adjusted(chain)
    if not include_default_iv:
        priced &= chain.iv_source != IvSource.DEFAULT
    own = greeks(chain.spot, forward, chain.strike, years, rates, np.where(priced, chain.iv, np.nan), chain.is_call)
    gamma, delta = (chain.gamma, chain.delta) if vendor else (own.gamma, own.delta)
    return Valuation(
        gamma=_or_zero(gamma),
        delta=_or_zero(delta),
        vanna=_or_zero(own.vanna),
        charm=_or_zero(own.charm),
        vega=_or_zero(own.vega),
        usable=np.isfinite(gamma),
        priced=priced,
        forward=forward,
        rate=rates,
        carried=carried,
    )


def adjusted(chain: OptionChain) -> Bools:
    """Contracts with a non-standard deliverable."""
    mask = np.zeros(len(chain), bool)
    for root in roots(chain):
        if is_adjusted(root):
            mask |= chain.root == root
    return mask


def roots(chain: OptionChain) -> list[str]:
    """The option roots of a chain, ascending."""
    return sorted(set(chain.root.tolist()))


def _forwards(
    chain: OptionChain, years: Floats, rate: float | None, dividend: float, points: tuple[ForwardPoint, ...]
) -> tuple[Floats, Floats, Bools]:
    """Forward and rate of each contract: the chain's own, a point's, or carry; and where it was carry."""
    forward, rates = chain.forward, chain.rate
    missing = ~np.isfinite(forward)
    if missing.any() and points:
        forward, rates = forward.copy(), rates.copy()
        for point in points:
            rows = missing & (chain.expiration == np.datetime64(point.expiration)) & (chain.root == point.root)
            forward[rows], rates[rows] = point.forward, point.rate
        missing = ~np.isfinite(forward)
    rates = np.where(np.isfinite(rates), rates, 0.0 if rate is None else rate)
    if missing.any():
        forward = np.where(missing, carry_forward(chain.spot, years, rates, dividend), forward)
    return forward, rates, missing


def _or_zero(column: Floats) -> Floats:
    return np.where(np.isfinite(column), column, 0.0)
