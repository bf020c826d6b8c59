"""A chain gets its forwards, implied volatilities and Greeks: every column a pure function of the quotes.

Each (root, expiration) is valued on its own forward, taken from put-call parity where quotes
allow and carried from spot where not.  A volatility solved from quotes belongs to the strike, not
to the contract: it comes from the out-of-the-money side, where the premium is all time value, and call and
put share it, so their gammas agree.

All of a chain is measured at `chain.as_of` and `chain.spot`.  A stored row therefore recomputes:
`greeks(spot, forward, strike, years, rate, iv, is_call)` gives its delta, gamma, theta and vega again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zerogex.domain.chain import Bools, Codes, Floats, Ints, OptionChain
from zerogex.domain.contract import is_adjusted
from zerogex.domain.exposure import ForwardPoint
from zerogex.domain.iv import IvSource, IvStatus
from zerogex.errors import SettingsError
from zerogex.pricing.forward import parity_forward
from zerogex.pricing.fused import implied_greeks
from zerogex.pricing.greeks import carry_forward, greeks
from zerogex.pricing.implied_vol import IvLimits
from zerogex.pricing.units import per_day, per_point

PRIORITY = (IvSource.API, IvSource.MID, IvSource.LAST, IvSource.DEFAULT)


@dataclass(frozen=True, slots=True)
class EnrichConfig:
    """How a chain is valued."""

    rate: float = 0.05  # per year, continuous
    dividend: float = 0.0  # per year, continuous; used only where no parity forward exists
    default_iv: float | None = 0.20  # the flagged placeholder; None: leave such contracts without a value
    iv_enabled: bool = True  # False: only the vendor's own volatilities (and the default) are used
    greeks_enabled: bool = True  # False: the vendor's own Greeks stay
    limits: IvLimits = field(default_factory=IvLimits)
    priority: tuple[IvSource, ...] = PRIORITY

    def __post_init__(self) -> None:
        if len(set(self.priority)) < len(self.priority) or IvSource.NONE in self.priority:
            raise SettingsError(
                f"IV priority {[source.name.lower() for source in self.priority]} must name each of "
                "api, mid, last, default at most once"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Enriched:
    """The chain with its computed columns, and the forwards it was valued on, live expirations ascending."""

    chain: OptionChain
    forwards: tuple[ForwardPoint, ...]


class _Volatility(NamedTuple):
    """The columns of one way to find a volatility; NaN where it found none."""

    iv: Floats
    status: Codes


def enrich(chain: OptionChain, config: EnrichConfig = EnrichConfig()) -> Enriched:
    """Forwards, volatilities by priority and Greeks of every contract.

    Shapes  the chain's own; nothing is added or dropped.
    Units   those of `OptionChain`: theta per calendar day, vega per volatility point.
    Limits  settled contracts get NaN and status EXPIRED; adjusted ones (a deliverable other than the
            underlying's shares) get NaN and NOT_TRIED, because spot says nothing of them.
            Where no source gives a volatility, iv and Greeks are NaN and the status is the quote's reason.
    """
    lanes = _lanes(chain)
    pairs = _pairs(chain, lanes)
    forward, points = _forwards(chain, lanes, pairs, config)
    usable = chain.is_live & ~_adjusted(chain)
    iv, source, status = _volatilities(chain, usable, pairs, forward, config)
    rate = np.full(len(chain), config.rate)
    valued = replace(chain, iv=iv, iv_source=source, iv_status=status, forward=forward, rate=rate)
    if config.greeks_enabled:
        valued = _with_greeks(valued)
    return Enriched(valued, points)


def _with_greeks(chain: OptionChain) -> OptionChain:
    """The chain with the Greeks of its own iv, forward and rate columns."""
    years = np.where(chain.is_live, chain.years, np.nan)
    all_greeks = greeks(chain.spot, chain.forward, chain.strike, years, chain.rate, chain.iv, chain.is_call)
    return replace(
        chain,
        delta=all_greeks.delta,
        gamma=all_greeks.gamma,
        theta=per_day(all_greeks.theta),
        vega=per_point(all_greeks.vega),
    )


# -- forwards ----------------------------------------------------------------------------------------------------------


def _lanes(chain: OptionChain) -> Ints:
    """One number for each (expiration, root), ascending by date, then root."""
    roots = sorted(set(chain.root.tolist()))
    order = {root: place for place, root in enumerate(roots)}
    places = np.fromiter(map(order.__getitem__, chain.root.tolist()), np.int64, len(chain))
    keys = chain.expiration.astype("datetime64[D]").astype(np.int64) * len(roots) + places
    return np.unique(keys, return_inverse=True)[1].astype(np.int64)


class _Pairs(NamedTuple):
    """Strikes that have both kinds: rows of the call and the put, and each row's partner (-1: none)."""

    call: NDArray[np.intp]
    put: NDArray[np.intp]
    partner: NDArray[np.intp]


def _pairs(chain: OptionChain, lanes: Ints) -> _Pairs:
    order = np.lexsort((chain.is_call, chain.strike, lanes))
    first, second = order[:-1], order[1:]
    same = (lanes[first] == lanes[second]) & (chain.strike[first] == chain.strike[second])
    same &= chain.is_call[second] & ~chain.is_call[first]
    put, call = first[same], second[same]
    partner = np.full(len(chain), -1, np.intp)
    partner[put], partner[call] = call, put
    return _Pairs(call, put, partner)


def _forwards(
    chain: OptionChain, lanes: Ints, pairs: _Pairs, config: EnrichConfig
) -> tuple[Floats, tuple[ForwardPoint, ...]]:
    """The forward of each contract (NaN where settled or adjusted), and where each lane's came from."""
    count = int(lanes.max()) + 1 if len(chain) else 0
    some_row = np.zeros(count, np.intp)
    some_row[lanes] = np.arange(len(chain))
    years = chain.years[some_row]
    forwards = np.full(count, np.nan)
    points: list[ForwardPoint] = []
    bounds = np.searchsorted(lanes[pairs.call], np.arange(count + 1))
    for lane in np.flatnonzero(years > 0.0).tolist():
        root = chain.root[some_row[lane]]
        if is_adjusted(root):
            continue
        call = pairs.call[bounds[lane] : bounds[lane + 1]]
        put = pairs.put[bounds[lane] : bounds[lane + 1]]
        forward, voted = parity_forward(
            chain.strike[call], chain.bid[call], chain.ask[call], chain.bid[put], chain.ask[put],
            float(years[lane]), config.rate, chain.spot,
        )  # fmt: skip
        by_parity = bool(np.isfinite(forward))
        if not by_parity:
            forward = float(carry_forward(chain.spot, years[lane], config.rate, config.dividend))
        forwards[lane] = forward
        expiration: date = chain.expiration[some_row[lane]].item()
        source = "parity" if by_parity else "carry"
        points.append(ForwardPoint(root, expiration, float(years[lane]), forward, config.rate, source, voted))
    return forwards[lanes], tuple(points)


def _adjusted(chain: OptionChain) -> Bools:
    """Contracts with a non-standard deliverable."""
    adjusted = {root for root in set(chain.root.tolist()) if is_adjusted(root)}
    if not adjusted:
        return np.zeros(len(chain), np.bool_)
    return np.fromiter(map(adjusted.__contains__, chain.root.tolist()), np.bool_, len(chain))


# -- volatilities ------------------------------------------------------------------------------------------------------


def _volatilities(
    chain: OptionChain, usable: Bools, pairs: _Pairs, forward: Floats, config: EnrichConfig
) -> tuple[Floats, Codes, Codes]:
    """(iv, source, status) of each contract: the first source of the priority that has a value."""
    count = len(chain)
    iv = np.full(count, np.nan)
    source = np.zeros(count, np.int8)
    status = np.full(count, IvStatus.NOT_TRIED, np.int8)
    status[~chain.is_live] = IvStatus.EXPIRED
    for choice in config.priority:
        missing = usable & np.isnan(iv)
        if not missing.any():
            break
        if choice in (IvSource.MID, IvSource.LAST):
            if not config.iv_enabled:
                continue
            solve = _from_mid if choice is IvSource.MID else _from_last
            found = solve(chain, missing, pairs, forward, config)
            tells = missing & ((found.status == IvStatus.CONVERGED) | (status == IvStatus.NOT_TRIED))
            status = np.where(tells, found.status, status)  # the first failure is the reason shown
        elif choice is IvSource.API:
            found = _from_vendor(chain, config.limits)
        else:
            found = _Volatility(np.full(count, np.nan if config.default_iv is None else config.default_iv), status)
        taken = missing & np.isfinite(found.iv)
        iv = np.where(taken, found.iv, iv)
        if choice is IvSource.API:
            status = np.where(taken, found.status, status)
        source = np.where(taken, np.int8(choice), source).astype(np.int8)
    return iv, source, status.astype(np.int8)


def _from_vendor(chain: OptionChain, limits: IvLimits) -> _Volatility:
    """The incoming volatilities that are the vendor's own, where inside the limits."""
    with np.errstate(invalid="ignore"):
        fine = (chain.iv_source == IvSource.API) & (chain.iv >= limits.minimum) & (chain.iv <= limits.maximum)
    return _Volatility(np.where(fine, chain.iv, np.nan), np.full(len(chain), IvStatus.NOT_TRIED, np.int8))


def _from_mid(chain: OptionChain, wanted: Bools, pairs: _Pairs, forward: Floats, config: EnrichConfig) -> _Volatility:
    """One volatility a strike, from its out-of-the-money side.

    Where that side has no two-sided quote, the strike has no volatility: the in-the-money price is
    nearly all intrinsic value, and the little that is left of it is spread.  A contract listed
    without its other kind speaks for itself.
    """
    # A bid of zero is no bid: the middle is then half of the ask, a bound and not a price.
    two_sided = np.where(chain.bid > 0.0, chain.mid, np.nan)
    own = _solve(chain, two_sided, wanted | _partners_of(wanted, pairs), forward, config)
    is_otm = np.where(chain.is_call, chain.strike >= forward, chain.strike < forward)
    partner = pairs.partner
    other = (partner >= 0) & ~is_otm
    return _Volatility(np.where(other, own.iv[partner], own.iv), np.where(other, own.status[partner], own.status))


def _partners_of(rows: Bools, pairs: _Pairs) -> Bools:
    """The rows that share a strike with some of these."""
    return (pairs.partner >= 0) & rows[pairs.partner]


def _from_last(chain: OptionChain, wanted: Bools, pairs: _Pairs, forward: Floats, config: EnrichConfig) -> _Volatility:
    """The contract's own last trade, unless above the ask: then it is history, and the quote knows better."""
    with np.errstate(invalid="ignore"):
        stale = (chain.ask > 0.0) & (chain.last > chain.ask)
    return _solve(chain, np.where(stale, np.nan, chain.last), wanted, forward, config)


def _solve(chain: OptionChain, price: Floats, wanted: Bools, forward: Floats, config: EnrichConfig) -> _Volatility:
    """Invert the prices of the wanted rows."""
    rows = np.flatnonzero(wanted)
    years = chain.years[rows]
    found = implied_greeks(  # the vector pass: its Greeks included it takes a sixth of the time of the exact search
        price[rows], chain.spot, forward[rows], chain.strike[rows], years, config.rate, chain.is_call[rows],
        config.limits,
    )  # fmt: skip
    iv = np.full(len(chain), np.nan)
    status = np.full(len(chain), IvStatus.NOT_TRIED, np.int8)
    iv[rows], status[rows] = found.iv, found.status
    return _Volatility(iv, status)
