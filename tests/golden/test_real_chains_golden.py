"""Recorded chains against sums computed elsewhere.  Evidence; skipped where the recordings are not at hand."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import zerogex
from zerogex.analytics.analysis import AnalysisConfig, analyze
from zerogex.analytics.document import document
from zerogex.domain.calendar import settlement
from zerogex.domain.chain import Floats, Ints, OptionChain, objects
from zerogex.domain.exposure import FlipStatus
from zerogex.domain.iv import IvSource
from zerogex.pipeline.enrich import EnrichConfig, enrich

DATA = Path(zerogex.__file__).resolve().parents[3] / "shared" / "data"
EXPECTED = DATA / "expected" / "gex_expected.json"
SUMS: dict[str, Any] = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
pytestmark = pytest.mark.skipif(not SUMS, reason="the recorded chains are not on this machine")


def read(path: Path) -> OptionChain:
    """A normalised chain file as it stands: the vendor's Greeks, no forwards."""
    names = set(pl.read_parquet_schema(path))
    columns = ["asof", "underlying", "spot", "root", "expiration", "strike", "right", "bid", "ask", "last", "volume",
               "open_interest", "iv", "delta", "gamma"]  # fmt: skip
    frame = pl.read_parquet(path, columns=[name for name in columns if name in names])
    count = len(frame)
    settles = {key: settlement(*key).timestamp() for key in frame.select("root", "expiration").unique().rows()}

    def floats(name: str) -> Floats:
        return frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy().copy()

    def counts(name: str) -> Ints:
        return frame[name].cast(pl.Int64).fill_null(0).to_numpy().copy()

    as_of = frame["asof"][0]
    unknown = np.full(count, np.nan)
    return OptionChain(
        underlying=frame["underlying"][0], spot=float(frame["spot"][0]), as_of=as_of,
        symbol=objects([str(row) for row in range(count)]), root=objects(frame["root"].to_list()),
        expiration=frame["expiration"].to_numpy().astype("datetime64[D]"),
        settlement=np.array([settles[key] for key in frame.select("root", "expiration").iter_rows()]),
        strike=floats("strike"), is_call=(frame["right"] == "C").to_numpy(), multiplier=np.full(count, 100.0),
        bid=floats("bid"), ask=floats("ask"), last=floats("last"), volume=counts("volume"),
        open_interest=counts("open_interest"), iv=floats("iv"), iv_source=np.ones(count, np.int8),
        iv_status=np.full(count, 9, np.int8), delta=floats("delta"), gamma=floats("gamma"), theta=unknown,
        vega=unknown, forward=unknown, rate=unknown, event_time=np.full(count, as_of.timestamp()),
        received_time=np.full(count, as_of.timestamp()),
    )  # fmt: skip


@pytest.mark.parametrize("name", [name for name, sums in SUMS.items() if "excluding_expired" in sums])
def test_the_vendors_own_gammas_give_the_expected_sums(name: str) -> None:
    expected = SUMS[name]["excluding_expired"]
    answer = analyze(read(DATA / name), AnalysisConfig(greeks="vendor"))
    for key in ("call_gex", "put_gex", "net_gex"):
        assert getattr(answer.totals, key) == pytest.approx(expected[key], rel=1e-9), key
    assert answer.coverage.live == expected["contracts"]
    assert answer.by_strike.totals["net_gex"].sum() == pytest.approx(expected["net_gex"], rel=1e-9)
    json.dumps(document(answer), allow_nan=False)


@pytest.mark.parametrize("name", SUMS)
def test_another_program_finds_the_same_curve_from_the_given_volatilities(name: str) -> None:
    """Black-Scholes with r = q = 0 and at least an hour to go, as the expected file says it was made.

    That program counts New York wall time, ours seconds: an hour's difference across a change to winter
    time, a day's for expirations on an unscheduled holiday (2025-01-09).  Its zeros are interpolated on a 0.1 % grid.
    """
    expected = SUMS[name]["recomputed"]
    chain = read(DATA / name)
    an_hour_hence = chain.as_of.timestamp() + 3600.0
    answer = analyze(
        replace(
            chain,
            root=objects(["X"] * len(chain)),  # its sums hold adjusted contracts too
            forward=np.full(len(chain), chain.spot),
            rate=np.zeros(len(chain)),
            settlement=np.where(chain.is_live, np.maximum(chain.settlement, an_hour_hence), chain.settlement),
        )
    )
    assert answer.totals.call_gex == pytest.approx(expected["call_gex"], rel=1e-3)
    assert answer.totals.put_gex == pytest.approx(expected["put_gex"], rel=1e-3)
    assert answer.totals.net_gex == pytest.approx(expected["net_gex_at_spot"], abs=1e-3 * answer.totals.gross_gex)
    assert answer.coverage.used == expected["contracts_used"]
    zeros = expected["zero_crossings"]
    assert len(answer.flip.crossings) == len(zeros)
    nearest = min(zeros, key=lambda price: abs(price - chain.spot))
    assert answer.flip.price == pytest.approx(nearest, abs=2e-5 * chain.spot)


def own(name: str, rate: float) -> OptionChain:
    """A recorded chain valued by us, from quotes alone."""
    chain = read(DATA / name)
    unknown = np.full(len(chain), np.nan)
    quotes = replace(chain, iv=unknown, delta=unknown, gamma=unknown)
    return enrich(quotes, EnrichConfig(rate=rate, priority=(IvSource.MID,))).chain


def test_own_greeks_of_the_spx_evening_of_5_january_2024() -> None:
    answer = analyze(own("chains/cboe_csv/SPX_2024-01-05.parquet", 0.0535), AnalysisConfig(rate=0.0535))
    assert answer.totals.net_gex == pytest.approx(-11.4e9, abs=0.3e9)
    assert answer.flip.price == pytest.approx(4718.5, abs=4)
    assert answer.flip.status is FlipStatus.RESOLVED
    assert answer.coverage.pct > 93


def test_adjusted_contracts_stay_out_of_our_own_sums() -> None:
    answer = analyze(own("chains/cboe_csv/AMD_2023-08-18.parquet", 0.053))
    assert answer.coverage.excluded_adjusted == 80
    assert any("AMD1" in note for note in answer.notes)
    assert {each.root for each in answer.max_pain} == {"AMD"}
