"""A real chain, SPX of 2024-01-05: our own Greeks against the vendor's and against the published net gamma."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import zerogex
from zerogex.domain.chain import OptionChain, build_chain
from zerogex.domain.contract import parse_symbol
from zerogex.domain.iv import IvSource
from zerogex.pipeline.enrich import EnrichConfig, Enriched, enrich

FILE = (
    Path(zerogex.__file__).resolve().parents[3] / "shared" / "data" / "chains" / "cboe_csv" / "SPX_2024-01-05.parquet"
)
CONFIG = EnrichConfig(rate=0.0535, dividend=0.015, priority=(IvSource.MID,))

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason="the recorded chains of ../shared are not here")


@pytest.fixture(scope="module")
def vendor() -> OptionChain:
    table = pl.read_parquet(FILE)
    known = {
        name: table[name].to_numpy()
        for name in ("bid", "ask", "last", "volume", "open_interest", "iv", "delta", "gamma")
    }
    contracts = [parse_symbol(symbol) for symbol in table["option"]]
    return build_chain("SPX", table["spot"][0], table["asof"][0], contracts, **known)


@pytest.fixture(scope="module")
def own(vendor: OptionChain) -> Enriched:
    return enrich(vendor, CONFIG)


def net_gamma(chain: OptionChain) -> float:
    """Dollars per 1 % in billions, calls plus, puts minus."""
    dollars = chain.sign * chain.gamma * chain.open_interest * 100 * chain.spot**2 * 0.01
    return float(np.nansum(np.where(chain.is_live, dollars, 0.0)) / 1e9)


def test_net_gamma_is_the_published_one(vendor: OptionChain, own: Enriched) -> None:
    assert net_gamma(vendor) == pytest.approx(-11.0, abs=0.05)
    assert net_gamma(own.chain) == pytest.approx(-11.4, abs=0.05)


def test_on_its_own_forward_net_gamma_does_not_depend_on_the_spot_of_the_payload(vendor: OptionChain) -> None:
    moved = enrich(replace(vendor, spot=vendor.spot + 5.0), CONFIG)
    assert net_gamma(moved.chain) == pytest.approx(-11.39, abs=0.01)


def test_nearly_every_expiration_names_its_own_forward(own: Enriched) -> None:
    by_parity = [point for point in own.forwards if point.source == "parity"]
    assert len(by_parity) >= len(own.forwards) - 1
    ahead = [np.log(point.forward / own.chain.spot) / point.years for point in by_parity if point.years > 0.1]
    assert min(ahead) > 0.02
    assert max(ahead) < 0.05  # the market's rate less its dividends, per year


def test_our_volatilities_are_the_vendors_to_a_fraction_of_a_point(vendor: OptionChain, own: Enriched) -> None:
    chain = own.chain
    out_of_the_money = np.where(chain.is_call, chain.strike >= chain.forward, chain.strike < chain.forward)
    rows = chain.is_live & out_of_the_money & (vendor.bid > 0) & (vendor.iv > 0) & (np.abs(vendor.delta) > 0.05)
    assert rows.sum() > 4000
    assert np.median(np.abs(chain.iv - vendor.iv)[rows]) < 3e-4
    # the vendor's delta is of another minute and without a dividend factor
    soon = rows & (chain.years < 0.25)
    assert np.median(np.abs(chain.delta - vendor.delta)[soon]) < 5e-3
