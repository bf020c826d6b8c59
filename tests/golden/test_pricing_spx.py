"""Real chains: SPX of 2024-01-05 against its vendor and the published net gamma; forwards against a regression's."""

import csv
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import zerogex
from zerogex.domain.calendar import new_york
from zerogex.domain.chain import OptionChain, build_chain
from zerogex.domain.contract import parse_symbol
from zerogex.domain.iv import IvSource
from zerogex.pipeline.enrich import EnrichConfig, Enriched, enrich

DATA = Path(zerogex.__file__).resolve().parents[3] / "shared" / "data"
CONFIG = EnrichConfig(rate=0.0535, dividend=0.015, priority=(IvSource.MID,))

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the recorded chains of ../shared are not here")


def read(name: str) -> OptionChain:
    table = pl.read_parquet(DATA / "chains" / name)
    columns = ("bid", "ask", "last", "volume", "open_interest", "iv", "delta", "gamma")
    contracts = [parse_symbol(symbol) for symbol in table["option"]]
    known = {column: table[column].to_numpy() for column in columns}
    return build_chain("SPX", table["spot"][0], table["asof"][0], contracts, **known)


@pytest.fixture(scope="module")
def vendor() -> OptionChain:
    return read("cboe_csv/SPX_2024-01-05.parquet")


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


def test_on_its_own_forward_net_gamma_does_not_depend_on_the_spot_of_the_payload(
    vendor: OptionChain, own: Enriched
) -> None:
    moved = enrich(replace(vendor, spot=vendor.spot + 5.0), CONFIG)
    assert net_gamma(moved.chain) == pytest.approx(net_gamma(own.chain), rel=1e-3)


def test_every_expiration_names_its_own_forward(own: Enriched) -> None:
    assert {point.source for point in own.forwards} == {"parity"}
    ahead = [np.log(point.forward / own.chain.spot) / point.years for point in own.forwards if point.years > 0.1]
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


def test_forwards_are_those_of_an_independent_regression_over_all_strikes() -> None:
    with (DATA / "rates" / "spx_parity_implied_2026.csv").open() as file:
        expected = {
            (row["root"], row["expiration"]): float(row["forward"])
            for row in csv.DictReader(file)
            if row["session"] == "2026-08-12"
        }
    found = enrich(read("cboe_daily/SPX_2026-08-12.parquet"), replace(CONFIG, rate=0.0445)).forwards
    error = {
        point: abs(point.forward - expected[key])
        for point in found
        if (key := (point.root, point.expiration.isoformat())) in expected
    }
    assert len(error) > 40
    assert np.median(list(error.values())) < 0.15  # points of 7,748
    assert max(gap for point, gap in error.items() if point.years < 0.3) < 0.6


def test_one_minute_of_the_exchanges_own_data_gives_its_volatilities_and_greeks() -> None:
    minute, expiration = datetime(2018, 1, 5, 11, 0), date(2018, 2, 2)
    table = pl.read_parquet(DATA / "intraday" / "datashop_spxw_2018-01-05_1min.parquet").filter(
        (pl.col("quote_datetime") == minute) & (pl.col("expiration") == expiration)
    )
    columns = ("bid", "ask", "implied_volatility", "delta", "gamma", "vega", "implied_underlying_price")
    bid, ask, iv, delta, gamma, vega, present = (table[name].to_numpy() for name in columns)
    names = [
        f"SPXW {expiration:%y%m%d}{kind[0].upper()}{strike}"
        for kind, strike in zip(table["option_type"], table["strike"], strict=True)
    ]
    spot = float(table["active_underlying_price"][0])
    chain = build_chain(
        "SPX", spot, new_york(minute.date(), minute.time()), [parse_symbol(n) for n in names], bid=bid, ask=ask
    )
    own = enrich(chain, replace(CONFIG, rate=0.012))
    point = own.forwards[0]
    assert point.forward * np.exp(-point.rate * point.years) == pytest.approx(present[0], abs=0.25)
    out_of_the_money = np.where(chain.is_call, chain.strike >= point.forward, chain.strike < point.forward)
    rows = out_of_the_money & (bid > 0) & (np.abs(delta) > 0.05) & (iv > 0.021)
    assert rows.sum() > 40
    assert np.abs(own.chain.iv - iv)[rows].max() < 2e-4
    assert np.abs(own.chain.delta - delta)[rows].max() < 1e-3
    assert np.abs(own.chain.gamma - gamma)[rows].max() < 1.5e-4  # theirs has four decimals
    assert (np.abs(own.chain.vega - vega) <= 2e-3 * vega + 1e-3)[rows].all()
