"""Routes that compute: past minutes, chosen expirations, cells, smiles, flow, quality; and every format of rows."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from served import NOON, Served, market_chain, minute, serving, until
from zerogex.analytics.analysis import AnalysisConfig, analyze
from zerogex.analytics.document import document
from zerogex.domain.exposure import DealerModel
from zerogex.ports import MinuteBatch
from zerogex.serving.tables import formula_safe
from zerogex.store.config import DatabaseConfig
from zerogex.store.postgres import PostgresStore

MINUTE = timedelta(minutes=1)
SPOTS = {n: 690.0 + n for n in (4, 3, 2)}  # minutes before noon → spot when that minute ended
MISSING = 1  # the minute before noon has no chain


@pytest.fixture(scope="module")
def market(new_database: Callable[[], DatabaseConfig], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A served market with three stored minutes, their analyses, a live chain, and a hole."""
    store = PostgresStore(new_database(), spool=tmp_path_factory.mktemp("spool"))
    with serving(store, symbols=("SPY",)) as served:
        for ago, spot in SPOTS.items():
            start = NOON - ago * MINUTE
            chain = past_chain(ago)
            store.write_minute(MinuteBatch(uuid4(), "SPY", start, chain, (minute("SPY", start, spot),)))
            store.write_analysis(analyze(chain), start)
        live = market_chain(690.5, NOON)
        store.write_latest(live, live.is_live)
        served.publish()
        until(lambda: served.app.state.hub.board.known["SPY"].document)
        yield served
    store.close()


def past_chain(ago: int) -> Any:
    """The chain at the end of the minute that began `ago` minutes before noon; volume grows by 100 a minute."""
    from dataclasses import replace

    chain = market_chain(SPOTS[ago], NOON - (ago - 1) * MINUTE)
    return replace(chain, volume=chain.volume + 100 * (10 - ago), last=np.full(len(chain), 1.1))


def get(market: Served, path: str, **parameters: Any) -> httpx2.Response:
    answer = httpx2.get(f"{market.address}/api/v1{path}", params=parameters, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer


def body(market: Served, path: str, **parameters: Any) -> Any:
    return get(market, path, **parameters).json()


def iso(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("name", ["summary", "strikes", "expirations", "profile", "levels"])
def test_a_past_instant_is_answered_from_the_last_minute_stored_by_then(market: Served, name: str) -> None:
    said = body(market, f"/SPY/{name}", as_of=iso(NOON - 2 * MINUTE + timedelta(seconds=30)))
    computed = document(analyze(past_chain(3)))
    assert (said["spot"], said["data_timestamp"]) == (693.0, iso(NOON - 2 * MINUTE))
    assert (said["state"], said["as_of"]) == ("replay", "2026-02-20T16:58:30Z")
    assert said["age_seconds"] == 30.0
    for field in ("net_gex", "gamma_flip", "call_wall", "put_wall", "max_pain"):
        if field in said:
            assert said[field] == pytest.approx(computed[field], rel=1e-9), field


def test_chosen_expirations_and_another_dealer_model_are_analysed_anew(market: Served) -> None:
    chosen = AnalysisConfig(DealerModel.INVERSE, expirations=(NOON.date(),))
    computed = document(analyze(market_chain(690.5, NOON), chosen))
    said = body(market, "/SPY/summary", expirations="0dte", dealer_model="inverse")
    assert said["net_gex"] == pytest.approx(computed["net_gex"], rel=1e-9)
    assert said["gamma_flip"] == pytest.approx(computed["gamma_flip"], rel=1e-9)
    assert said["dealer_model"] == "inverse"


def test_cells_sum_to_the_totals(market: Served) -> None:
    said = body(market, "/SPY/heatmap")
    summary = body(market, "/SPY/summary")
    strikes = body(market, "/SPY/strikes")["by_strike"]
    for name in said["measures"]:
        total = sum(cell or 0.0 for line in said[name] for cell in line)
        assert total == pytest.approx(summary[name], rel=1e-9, abs=1e-6), name
    column = said["strikes"].index(690.0)
    at_690 = next(row for row in strikes if row["strike"] == 690.0)
    assert sum(line[column] for line in said["net_gex"]) == pytest.approx(at_690["net_gex"], rel=1e-9)


def test_cells_through_the_day_are_the_stored_analyses(market: Served) -> None:
    said = body(market, "/SPY/heatmap", by="time", resolution="1m", measures="net_gex")
    assert said["times"] == [iso(NOON - ago * MINUTE) for ago in SPOTS]
    assert said["spots"] == list(SPOTS.values())
    for line, ago in zip(said["net_gex"], SPOTS, strict=True):
        assert sum(line) == pytest.approx(analyze(past_chain(ago)).totals.net_gex, rel=1e-9)
    flips = [analyze(past_chain(ago)).flip.price for ago in SPOTS]
    assert said["gamma_flips"] == pytest.approx(flips)
    named = "2026-02-20,2026-02-27,2026-03-20"
    of_cells = body(market, "/SPY/heatmap", by="time", resolution="1m", measures="net_gex", expirations=named)
    assert of_cells["strikes"] == said["strikes"]
    assert [sum(line) for line in of_cells["net_gex"]] == pytest.approx([sum(line) for line in said["net_gex"]])
    nearest = body(market, "/SPY/heatmap", by="time", resolution="1m", measures="call_gex", expirations="2026-02-20")
    assert 0 < sum(nearest["call_gex"][0]) < analyze(past_chain(next(iter(SPOTS)))).totals.call_gex
    early = body(market, "/SPY/heatmap", by="time", resolution="1m", as_of=iso(NOON - 4 * MINUTE))
    assert len(early["times"]) == 0 or early["times"][-1] < iso(NOON - 4 * MINUTE)


@pytest.mark.parametrize(
    ("asked", "day"), [("0dte", "2026-02-20"), ("next", "2026-02-27"), ("2026-03-20", "2026-03-20")]
)
def test_cells_through_the_day_are_those_of_the_chosen_expirations(market: Served, asked: str, day: str) -> None:
    whole = body(market, "/SPY/heatmap", as_of=iso(NOON), measures="net_gex")
    said = body(market, "/SPY/heatmap", by="time", resolution="1m", measures="net_gex", expirations=asked)
    line = whole["net_gex"][whole["expirations"].index(day)]
    assert said["strikes"] == whole["strikes"]
    assert said["net_gex"][-1] == pytest.approx(line, rel=1e-9)
    assert set(said["gamma_flips"]) == {None}


def test_a_smile_has_the_volatilities_of_the_chain_and_its_forwards(market: Served) -> None:
    chain = market_chain(690.5, NOON)
    said = body(market, "/SPY/smile")
    nearest, term = said["smiles"][0], said["term_structure"][0]
    rows = np.flatnonzero(chain.is_call & (chain.expiration == np.datetime64("2026-02-20")))
    assert nearest["strikes"] == chain.strike[rows].tolist()
    assert nearest["call_iv"] == pytest.approx(chain.iv[rows].tolist())
    assert 0.1 < term["atm_iv"] < 0.2
    assert term["source"] in ("parity", "carry")
    assert [each["expiration"] for each in said["term_structure"]] == ["2026-02-20", "2026-02-27", "2026-03-20"]


def test_the_chain_is_every_contract_as_stored(market: Served) -> None:
    rows = body(market, "/SPY/chain", expirations="0dte")["chain"]
    assert len(rows) == 162
    assert rows[0] | {"strike": 650.0, "option_type": "C", "bid": 1.0, "iv_source": "mid"} == rows[0]


def test_quality_finds_the_hole(market: Served) -> None:
    said = body(market, "/SPY/quality")
    assert (said["day"], said["expected_minutes"], said["chains"]) == ("2026-02-20", 150, 3)
    hole = {"of": "chains", "start": iso(NOON - MINUTE), "end": iso(NOON), "minutes": 1}
    assert hole in said["gaps"]
    lag = {row["stage"]: row["lag_seconds"] for row in said["lag"]}
    assert (lag["minute"], lag["bar"], lag["live"]) == (60.0, 120.0, 0.0)


def test_flow_is_what_the_views_say(market: Served) -> None:
    rows = body(market, "/SPY/flow/type")["flow"]
    assert [row["timestamp"] for row in rows] == [iso(NOON - ago * MINUTE) for ago in (2, 3, 4)]
    assert rows[0]["call_volume"] == rows[0]["put_volume"] == 100 * 243
    early = body(market, "/SPY/flow/type", as_of=iso(NOON - 2 * MINUTE))
    assert [row["timestamp"] for row in early["flow"]] == [iso(NOON - ago * MINUTE) for ago in (3, 4)]
    assert (early["state"], early["data_timestamp"]) == ("replay", iso(NOON - 3 * MINUTE))
    for kind in ("strike", "expiration", "smart-money", "buying-pressure"):
        assert body(market, f"/SPY/flow/{kind}")["flow"], kind


def test_history_can_be_thinned_and_paged(market: Served) -> None:
    every = body(market, "/SPY/history")["history"]
    assert [row["spot"] for row in every] == list(SPOTS.values())
    thin = body(market, "/SPY/history", resolution="1h")["history"]
    assert [row["spot"] for row in thin] == [692.0]
    first = body(market, "/SPY/history", limit=2)
    rest = body(market, "/SPY/history", limit=2, cursor=first["next_cursor"])
    assert first["history"] + rest["history"] == every
    assert rest["next_cursor"] is None


def test_a_long_span_is_answered_in_parts(market: Served) -> None:
    page = body(market, "/SPY/history", start=iso(NOON - timedelta(days=100)), end=iso(NOON))
    found = list(page["history"])
    pages = 1
    while page["next_cursor"]:
        page = body(market, "/SPY/history", cursor=page["next_cursor"])
        found += page["history"]
        pages += 1
    assert ([row["spot"] for row in found], pages) == (list(SPOTS.values()), 4)


def test_the_levels_of_all_symbols_stand_in_one_table(market: Served) -> None:
    said = body(market, "/levels")
    summary = body(market, "/SPY/summary")
    assert [row["symbol"] for row in said["levels"]] == ["SPY"]
    assert said["levels"][0]["gamma_flip"] == summary["gamma_flip"]
    assert (said["state"], said["simulated"]) == ("simulated", True)


def test_the_levels_of_all_symbols_are_known_of_the_past_too(market: Served) -> None:
    instant = iso(NOON - min(SPOTS) * MINUTE)
    said = body(market, "/levels", as_of=instant)
    then = body(market, "/SPY/summary", as_of=instant)
    assert said["levels"][0] | {name: then[name] for name in ("spot", "net_gex", "gamma_flip")} == said["levels"][0]
    assert (said["state"], said["as_of"], said["levels"][0]["data_timestamp"]) == (
        "replay",
        instant,
        then["data_timestamp"],
    )
    early = httpx2.get(f"{market.address}/api/v1/levels?as_of=2001-01-01T00:00:00Z")
    assert early.json()["code"] == "no_history"


@pytest.mark.parametrize(
    "path",
    ["/symbols", "/levels", "/SPY/summary", "/SPY/strikes", "/SPY/expirations", "/SPY/heatmap",
     "/SPY/heatmap?by=time", "/SPY/profile", "/SPY/levels", "/SPY/chain", "/SPY/smile", "/SPY/bars", "/SPY/history",
     "/SPY/quality", "/SPY/flow/type", "/SPY/flow/strike", "/SPY/flow/expiration", "/SPY/flow/smart-money",
     "/SPY/flow/buying-pressure"],
)  # fmt: skip
def test_every_payload_says_how_far_to_trust_it(market: Served, path: str) -> None:
    said = get(market, path).json()
    trust = {"data_timestamp", "computed_at", "age_seconds", "session", "coverage", "simulated", "state"}
    assert trust <= said.keys()
    assert said["simulated"] is True
    assert said["computed_at"] is not None


@pytest.mark.parametrize(
    "path",
    ["/SPY/summary", "/SPY/strikes", "/SPY/expirations", "/SPY/profile", "/SPY/levels", "/SPY/heatmap", "/SPY/smile",
     "/SPY/chain", "/SPY/bars", "/SPY/history", "/SPY/quality", "/SPY/flow/strike", "/levels", "/symbols"],
)  # fmt: skip
def test_every_table_is_the_same_in_every_format(market: Served, path: str) -> None:
    arrow = pl.from_arrow(pa.ipc.open_stream(get(market, path, format="arrow").content).read_all())
    parquet = pq.read_table(io.BytesIO(get(market, path, format="parquet").content))
    lines = get(market, path, format="ndjson").text.splitlines()
    csv = get(market, path, format="csv")
    assert isinstance(arrow, pl.DataFrame)
    assert arrow.height == parquet.num_rows == len(lines) == len(csv.text.splitlines()) - 1 > 0
    assert arrow.columns == parquet.column_names == csv.text.splitlines()[0].split(",")
    assert csv.headers["zerogex-simulated"] == "true"
    assert csv.headers["content-disposition"].startswith("attachment")
    assert parquet.schema.metadata[b"simulated"] == b"true"


def test_no_cell_of_a_csv_is_a_formula() -> None:
    evil = ["=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", "\t=1", "plain", "a=b", None]
    safe = formula_safe(pl.DataFrame({"name": evil, "value": range(8)}))["name"].to_list()
    assert [text[:1] for text in safe[:5]] == ["'"] * 5
    assert safe[5:] == ["plain", "a=b", None]


def test_an_unchanged_computed_answer_is_not_sent_again(market: Served) -> None:
    url = f"{market.address}/api/v1/SPY/heatmap"
    for parameters in ({}, {"format": "csv"}, {"as_of": iso(NOON - MINUTE)}, {"by": "time"}):
        first = httpx2.get(url, params=parameters, timeout=60)
        again = httpx2.get(url, params=parameters, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b""), parameters
