"""One chain in, everything ZeroGEX says of it out.

Each question has a module: valuation (whose Greeks), exposure (the sums), profile and levels (the
curve and the flip), walls, max_pain, ratios, expected_move, coverage.  This one asks them in turn.
"""

from __future__ import annotations

import numpy as np

from zerogex.analytics import exposure
from zerogex.analytics.config import DEFAULTS, AnalysisConfig
from zerogex.analytics.coverage import coverage, share_pct
from zerogex.analytics.expected_move import expected_move
from zerogex.analytics.levels import gamma_flip
from zerogex.analytics.max_pain import max_pain
from zerogex.analytics.notes import notes
from zerogex.analytics.profile import book, profile
from zerogex.analytics.ratios import put_call_ratio_oi, put_call_ratio_volume
from zerogex.analytics.valuation import Valuation, adjusted, roots, value
from zerogex.analytics.walls import levels
from zerogex.domain.chain import Bools, OptionChain
from zerogex.domain.exposure import Analysis, ForwardPoint
from zerogex.domain.iv import IvSource


def analyze(chain: OptionChain, config: AnalysisConfig = DEFAULTS, forwards: tuple[ForwardPoint, ...] = ()) -> Analysis:
    """All exposures and levels of a chain at its own instant.

    The chain brings iv, forward and rate (enriched, or read back from the store), or a vendor's
    Greeks.  `forwards` says where its forwards came from; without it the chain's columns speak.
    An empty or degenerate chain is an answer too: None where there is no number, a status and a
    note for why.  Never raises for data.
    """
    vendor = config.greeks == "vendor"
    if config.expirations is not None:
        chain = chain.select(np.isin(chain.expiration, np.array(config.expirations, "datetime64[D]")))
        forwards = tuple(point for point in forwards if point.expiration in config.expirations)
    live = _rows(chain, chain.is_live)
    counted = live if vendor else _rows(live, ~adjusted(live))
    valuation = value(
        counted,
        vendor=vendor,
        rate=config.rate,
        dividend=config.dividend,
        include_default_iv=config.include_default_iv,
        forwards=forwards,
    )
    exposures = exposure.contract_exposures(counted, valuation, config.dealer_model)
    totals = exposure.totals(exposures)
    by_strike = exposure.by_strike(exposures, counted)
    covered = coverage(chain, live, counted, valuation, vendor=vendor)
    positions = book(counted, valuation, config.dealer_model)
    solved = valuation.priced & (counted.iv_source != IvSource.DEFAULT)
    repriced = share_pct(int(counted.open_interest[solved].sum()), covered.open_interest)
    flip = gamma_flip(positions, config.profile_range, None if vendor else totals.net_gex, repriced)
    curve = profile(positions, config.profile_points, config.profile_range)
    return Analysis(
        underlying=chain.underlying,
        spot=chain.spot,
        data_timestamp=chain.as_of,
        dealer_model=config.dealer_model,
        greeks=config.greeks,
        rate=config.rate,
        totals=totals,
        flip=flip,
        profile=curve,
        levels=levels(by_strike, chain.spot, config.dealer_model),
        max_pain=max_pain(counted),
        put_call_ratio_oi=put_call_ratio_oi(totals),
        put_call_ratio_volume=put_call_ratio_volume(totals),
        expected_move=expected_move(counted, valuation),
        coverage=covered,
        by_strike=by_strike,
        by_expiration=exposure.by_expiration(exposures, counted),
        by_cell=exposure.by_cell(exposures, counted),
        forwards=_live_points(forwards) or _points(counted, valuation),
        simulated=chain.simulated,
        delayed=chain.delayed,
        notes=notes(chain, live, counted, valuation, config.greeks, totals, curve),
    )


def _rows(chain: OptionChain, mask: Bools) -> OptionChain:
    """The chain's rows of a mask; the chain itself where that is all of them."""
    return chain if mask.all() else chain.select(mask)


def _live_points(forwards: tuple[ForwardPoint, ...]) -> tuple[ForwardPoint, ...]:
    """The forwards given, without those whose time is up."""
    return tuple(point for point in forwards if point.years > 0.0)


def _points(chain: OptionChain, valuation: Valuation) -> tuple[ForwardPoint, ...]:
    """The forwards of a chain that came without their story: from its columns, one a (root, expiration)."""
    points = []
    years = chain.years
    for root in roots(chain):
        rows = np.flatnonzero((chain.root == root) & np.isfinite(valuation.forward))
        days, first = np.unique(chain.expiration[rows], return_index=True)
        points += [
            ForwardPoint(
                root=root,
                expiration=day,
                years=float(years[row]),
                forward=float(valuation.forward[row]),
                rate=float(valuation.rate[row]),
                source="carry" if valuation.carried[row] else "chain",
                pairs=0,
            )
            for day, row in zip(days.tolist(), rows[first].tolist(), strict=True)
        ]
    return tuple(sorted(points, key=lambda point: (point.expiration, point.root)))
