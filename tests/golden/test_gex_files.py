"""Recorded chain files, as the vendors wrote them, against sums computed elsewhere.

Evidence: `gex_expected.json` comes from outside, the twins were normalised by other code.
Skipped where the recordings are not at hand.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zerogex
from zerogex import settings
from zerogex.cli.gex import Greeks, analyse
from zerogex.domain.chain import OptionChain
from zerogex.domain.exposure import Analysis, DealerModel, FlipStatus
from zerogex.providers.chain_files import read_chain_file

DATA = Path(zerogex.__file__).resolve().parents[3] / "shared" / "data"
CHAINS = DATA / "chains"
EXPECTED = DATA / "expected" / "gex_expected.json"
SUMS: dict[str, Any] = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
FILES = sorted(str(path.relative_to(CHAINS)) for path in CHAINS.glob("*/*") if path.name != "underlying.csv")
pytestmark = pytest.mark.skipif(not SUMS, reason="the recorded chains are not on this machine")

TWINS = {
    "raw/cboe_quotedata_amd_2023-08-18_adjusted_root.csv.gz": "cboe_csv/AMD_2023-08-18.parquet",
    "raw/cboe_quotedata_ndx_2022-12-12_example_data_line.csv.gz": "cboe_csv/NDX_2022-12-12.parquet",
    "raw/cboe_quotedata_spx_2022-03-23_spanish_date.csv.gz": "cboe_csv/SPX_2022-03-23_0956.parquet",
    "raw/cboe_quotedata_spy_2022-07-08_pm_dots.csv.gz": "cboe_csv/SPY_2022-07-08.parquet",
    "raw/cboe_quotedata_spy_2025-09-02_quoted_volume.csv.gz": "cboe_csv/SPY_2025-09-02.parquet",
    "raw/cboe_delayed_SPY_2022-07-12.json.gz": "cboe_daily/SPY_2022-07-12.parquet",
}


def analysis_of(chain: OptionChain, greeks: Greeks, rate: float = 0.05) -> Analysis:
    defaults = settings.load(Path("there is no such file")).settings
    return analyse(chain, defaults, greeks=greeks, rate=rate, dividend=0.0, dealer_model=DealerModel.NAIVE)


@pytest.mark.parametrize("name", sorted(SUMS))
def test_vendor_sums_are_those_computed_elsewhere(name: str) -> None:
    totals = analysis_of(read_chain_file(DATA / name).chain, Greeks.VENDOR).totals
    expected = SUMS[name]["excluding_expired"]
    for key in ("call_gex", "put_gex", "net_gex"):
        assert getattr(totals, key) == pytest.approx(expected[key], rel=1e-9), key


@pytest.mark.parametrize("raw", sorted(TWINS))
def test_an_original_agrees_with_its_normalised_twin(raw: str) -> None:
    chain, twin = read_chain_file(CHAINS / raw).chain, read_chain_file(CHAINS / TWINS[raw]).chain
    assert (chain.underlying, chain.spot, chain.as_of) == (twin.underlying, twin.spot, twin.as_of)
    for column in ("symbol", "settlement", "strike", "is_call", "bid", "ask", "last", "volume", "open_interest", "iv",
                   "delta", "gamma"):  # fmt: skip
        np.testing.assert_array_equal(getattr(chain, column), getattr(twin, column), err_msg=column)


def test_a_file_that_lacks_time_and_spot_comes_near_its_twin() -> None:
    chain_file = read_chain_file(CHAINS / "raw/cboe_delayed_SPY_2026-08-12.csv.gz")
    twin = read_chain_file(CHAINS / "cboe_daily/SPY_2026-08-12.parquet").chain
    np.testing.assert_array_equal(chain_file.chain.symbol, twin.symbol)
    np.testing.assert_array_equal(chain_file.chain.gamma, twin.gamma)
    np.testing.assert_array_equal(chain_file.chain.is_live, twin.is_live)
    assert chain_file.chain.spot == pytest.approx(twin.spot, abs=0.15)
    assert len(chain_file.notes) == 2


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith(("cboe_csv", "cboe_daily"))])
def test_every_chain_file_gives_a_sane_analysis(name: str) -> None:
    chain = read_chain_file(CHAINS / name).chain
    analysis = analysis_of(chain, Greeks.OWN)
    assert analysis.coverage.pct > 70  # the rest has no two-sided quote
    assert np.abs(analysis.spot / np.median(chain.strike) - 1) < 0.6
    assert analysis.totals.call_gex > 0 > analysis.totals.put_gex
    assert analysis.levels.call_wall is not None
    assert analysis.levels.put_wall is not None
    assert analysis.levels.put_wall.strike <= analysis.spot <= analysis.levels.call_wall.strike
    assert analysis.expected_move is not None
    assert 0.0005 < analysis.expected_move.sigma / analysis.spot < 0.12
    assert analysis.max_pain


def test_own_greeks_of_a_whole_index_chain_stand_where_the_market_was() -> None:
    analysis = analysis_of(read_chain_file(CHAINS / "cboe_csv/SPX_2024-01-05.parquet").chain, Greeks.OWN, 0.0535)
    assert analysis.spot == pytest.approx(4697.24, abs=0.001)
    assert analysis.totals.net_gex == pytest.approx(-11.4e9, abs=0.3e9)
    assert analysis.flip.status is FlipStatus.RESOLVED
    assert analysis.flip.price == pytest.approx(4718.5, abs=4)


def test_a_file_without_quotes_is_answered_from_its_own_volatility_and_says_so() -> None:
    analysis = analysis_of(read_chain_file(CHAINS / "cboe_csv/SPX_2022-12-12.parquet").chain, Greeks.OWN)
    assert analysis.coverage.pct > 70  # the rest has no two-sided quote
    assert any("from the file's own volatility" in note for note in analysis.notes)


def test_the_session_of_a_page_is_inferred_from_real_quotes_when_its_date_is_lost() -> None:
    import gzip

    from zerogex.providers.chain_files import read_chain

    for raw, twin in TWINS.items():
        if "quotedata" not in raw or "2022-03-23" in raw:  # the Spanish page is of mid-morning
            continue
        text = gzip.decompress((CHAINS / raw).read_bytes()).decode()
        chain_file = read_chain(text.replace("Date:", "Made:").encode(), raw)
        assert chain_file.chain.as_of == read_chain_file(CHAINS / twin).chain.as_of, raw
        assert any("inferred" in note for note in chain_file.notes)
