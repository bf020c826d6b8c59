"""Analyses and people's questions in a real PostgreSQL."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest

from zerogex.domain.bar import MinuteBar
from zerogex.domain.chain import OptionChain
from zerogex.domain.exposure import (
    TOTALS,
    Analysis,
    Coverage,
    Crossing,
    DealerModel,
    ExpectedMove,
    ExposureTable,
    Flip,
    FlipStatus,
    ForwardPoint,
    Levels,
    MaxPain,
    Profile,
    Totals,
    Wall,
)
from zerogex.domain.finding import Finding, FindingKind, Severity
from zerogex.ports import Notice
from zerogex.store import migrate
from zerogex.store.config import DatabaseConfig
from zerogex.store.embedded import EmbeddedServer
from zerogex.store.postgres import PostgresStore
from zerogex.store.sql import queries

MINUTE = datetime(2026, 2, 20, 14, 30, tzinfo=UTC)


def table(count: int, seed: int, *, strike: bool = True, expiration: bool = True) -> ExposureTable:
    random = np.random.default_rng(seed)
    totals: dict[str, Any] = {
        name: random.integers(0, 10**6, count) if ("volume" in name and "gex" not in name) or "interest" in name
        else random.normal(0, 1e9, count) for name in TOTALS
    }  # fmt: skip
    days = np.array(["2026-02-20", "2026-03-20"], "datetime64[D]")[np.arange(count) % 2]
    return ExposureTable(5000 + 2.5 * np.arange(count) if strike else None, days if expiration else None, totals)


def analysis(seed: int = 1, **changes: Any) -> Analysis:
    totals = Totals(1.5e9, -2.5e9, -1e9, 4e9, -4000.5, 1e10, 2e8, -3e8, 4e7, -5e8, 1000, 2000, 300, 400)
    wall = Wall(5050.0, 1e8, 0.25, 0.1)
    pains = (MaxPain("SPXW", date(2026, 2, 20), 5000.0, 1e6, 500), MaxPain("SPX", date(2026, 3, 20), 5010.0, 2e6, 600))
    given = Analysis(
        underlying="SPX",
        spot=5012.3456789,
        data_timestamp=MINUTE + timedelta(seconds=59, microseconds=123),
        dealer_model=DealerModel.NAIVE,
        greeks="own",
        rate=0.05,
        totals=totals,
        flip=Flip(5020.123456789, FlipStatus.MULTIPLE, (Crossing(5020.123456789, 1e6), Crossing(5100.0, -2e5, False))),
        profile=Profile(np.array([4900.0, 5100.0]), np.array([-1e9, 1e9])),
        levels=Levels(wall, None, replace(wall, strike=5000.0), {"call_wall_oi": wall, "put_wall_oi": None}),
        max_pain=pains,
        put_call_ratio_oi=2.0,
        put_call_ratio_volume=None,
        expected_move=ExpectedMove(date(2026, 2, 20), 40.5, 0.15, None, 0.002),
        coverage=Coverage(160, 160, 150, 10**6, 9 * 10**5, 90.0, {"mid": 150}, {"no_quote": 10}, 1.5, 90.0),
        by_strike=table(8, seed, expiration=False),
        by_expiration=table(2, seed, strike=False),
        by_cell=table(8, seed),
        forwards=(ForwardPoint("SPX", date(2026, 3, 20), 0.077, 5030.5, 0.05, "parity", 12),),
        simulated=True,
        notes=("one strike left out",),
    )
    return replace(given, **changes)


def history(store: PostgresStore) -> list[dict[str, Any]]:
    return list(store.gex_history("SPX", MINUTE, MINUTE + timedelta(minutes=5)))


def test_an_analysis_is_stored_number_for_number(store: PostgresStore, database: DatabaseConfig) -> None:
    given = analysis()
    store.write_analysis(given, MINUTE)
    (row,) = history(store)
    assert {name: row[name] for name in TOTALS} == {name: getattr(given.totals, name) for name in TOTALS}
    assert row["timestamp"] == MINUTE
    assert row["data_timestamp"] == given.data_timestamp
    assert (row["spot"], row["gamma_flip"], row["gamma_flip_status"]) == (5012.3456789, 5020.123456789, "multiple")
    assert row["flip_crossings"][1] == {"price": 5100.0, "slope": -2e5, "structural": False}
    assert (row["call_wall"], row["call_wall_share"], row["put_wall"], row["max_gamma_strike"]) == (
        5050,
        0.25,
        None,
        5000,
    )
    assert (row["max_pain"], row["max_pain_root"], row["max_pain_expiration"]) == (5000, "SPXW", date(2026, 2, 20))
    assert [pain["strike"] for pain in row["max_pain_by_expiration"]] == [5000, 5010]
    assert (row["put_call_ratio_oi"], row["put_call_ratio_volume"]) == (2.0, None)
    assert (row["expected_move"], row["expected_move_straddle"]) == (40.5, None)
    assert (row["coverage_pct"], row["stale_s"], row["spot_age_s"], row["contracts_used"]) == (90.0, 1.5, 90.0, 150)
    assert row["iv_failures"] == {"no_quote": 10}
    assert row["forwards"][0]["forward"] == 5030.5
    assert row["notes"] == ["one strike left out"]
    assert row["simulated"] and row["code_version"]

    with psycopg.connect(**database.parameters()) as connection:
        text = f"SELECT strike::float8, expiration, {', '.join(TOTALS)} FROM gex_calculations ORDER BY strike"
        stored = connection.execute(text).fetchall()
    cells = given.by_cell
    wanted = [cells.strike, cells.expiration.astype(object), *(cells.totals[name] for name in TOTALS)]
    assert stored == [tuple(column.tolist()[i] if hasattr(column, "tolist") else column[i] for column in wanted)
                      for i in range(8)]  # fmt: skip


def test_a_number_that_is_not_finite_is_no_number(store: PostgresStore, caplog: pytest.LogCaptureFixture) -> None:
    cells = table(8, 1)
    cells.totals["vanna_exposure"][3] = math.inf
    coverage = replace(analysis().coverage, stale_s=math.nan)
    store.write_analysis(analysis(coverage=coverage, put_call_ratio_oi=math.inf, by_cell=cells), MINUTE)
    (row,) = history(store)
    assert row["stale_s"] is None
    assert row["put_call_ratio_oi"] is None
    assert [record.rejected for record in caplog.records if record.message == "cells rejected"] == [1]


def test_a_missing_flip_is_null_with_its_reason(store: PostgresStore) -> None:
    flip = Flip(None, FlipStatus.NONE_POSITIVE, reason="the curve is above zero from 4,500 to 5,500")
    store.write_analysis(analysis(flip=flip, levels=Levels(None, None, None), max_pain=(), expected_move=None), MINUTE)
    (row,) = history(store)
    assert (row["gamma_flip"], row["gamma_flip_status"], row["gamma_flip_reason"]) == (
        None,
        "none_positive",
        flip.reason,
    )
    assert (row["flip_crossings"], row["max_pain"], row["expected_move"]) == ([], None, None)


def test_the_same_analysis_again_changes_nothing_and_wakes_nobody(store: PostgresStore) -> None:
    assert list(store.notices(0.01)) == []
    store.write_analysis(analysis(), MINUTE)
    first = history(store)
    store.write_analysis(analysis(), MINUTE)
    assert history(store) == first
    assert list(store.notices(0.2)) == [Notice("gex", "SPX")]


def test_a_new_reading_of_a_minute_replaces_all_its_cells(store: PostgresStore, database: DatabaseConfig) -> None:
    store.write_analysis(analysis(), MINUTE)
    store.write_analysis(analysis(spot=5013.0, by_cell=table(3, 2)), MINUTE)
    with psycopg.connect(**database.parameters()) as connection:
        assert connection.execute("SELECT count(*) FROM gex_calculations").fetchone() == (3,)
    assert history(store)[0]["spot"] == 5013.0


def two_expirations(seed: int) -> ExposureTable:
    """Four strikes, each on both expirations."""
    whole = table(8, seed)
    assert whole.strike is not None
    return replace(whole, strike=np.repeat(whole.strike[:4], 2))


def by_strike(database: DatabaseConfig, source: str) -> list[tuple[Any, ...]]:
    """Exposures by minute and strike, each rounded where the order of a sum shows."""
    names = ", ".join(f"round(sum({name})::numeric, 3)" for name in TOTALS)
    text = f"SELECT underlying, timestamp, strike, {names} FROM {source} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    with psycopg.connect(**database.parameters()) as connection:
        return connection.execute(text).fetchall()  # type: ignore[arg-type]


def test_strikes_are_the_cells_of_all_expirations(store: PostgresStore, database: DatabaseConfig) -> None:
    for minute in range(3):
        store.write_analysis(analysis(by_cell=two_expirations(minute)), MINUTE + timedelta(minutes=minute))
    store.write_analysis(analysis(spot=5013.0, by_cell=two_expirations(9)), MINUTE)  # a new reading of the first
    stored = by_strike(database, "gex_strikes")
    assert stored == by_strike(database, "gex_calculations")
    assert len(stored) == 12
    store.forget_after(MINUTE + timedelta(minutes=1))
    assert by_strike(database, "gex_strikes") == stored[:4]


def test_the_cells_of_an_older_database_are_summed_by_the_migration(
    store: PostgresStore, database: DatabaseConfig, postgres_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write_analysis(analysis(by_cell=two_expirations(1)), MINUTE)
    older, known = postgres_server.config("cells_of_version_5"), migrate.migrations()
    monkeypatch.setattr(migrate, "migrations", lambda: known[:5])
    migrate.migrate(older)
    monkeypatch.undo()
    with psycopg.connect(**database.parameters()) as out, psycopg.connect(**older.parameters()) as into:
        into.execute("SELECT ensure_day('gex_calculations', '2026-02-20')")
        rows = out.execute("SELECT * FROM gex_calculations").fetchall()
        values = ", ".join(["%s"] * len(rows[0]))
        into.cursor().executemany(f"INSERT INTO gex_calculations VALUES ({values})", rows)  # type: ignore[arg-type]
    migrate.migrate(older)
    assert by_strike(older, "gex_strikes") == by_strike(database, "gex_strikes")


def test_the_live_analysis_comes_back_byte_for_byte(store: PostgresStore) -> None:
    payload = json.dumps({"z": 1.10, "spot": 5012.3456789, "a": "Γ"}, ensure_ascii=False).encode()
    store.write_live(analysis(), b"{}")
    store.write_live(analysis(), payload)
    assert store.live("SPX") == payload
    assert store.live("SPY") is None


@pytest.fixture(scope="module")
def filled(new_database: Callable[[], DatabaseConfig], make_chain: Callable[..., OptionChain]):
    """A database with three minutes of SPX, up to after 19:00 in New York, which is another day in UTC."""
    from uuid import uuid4

    from zerogex.ports import MinuteBatch

    store = PostgresStore(new_database())
    evening = datetime(2026, 2, 20, 23, 59, tzinfo=UTC)
    for number, minute in enumerate((MINUTE, evening, evening + timedelta(minutes=1))):
        chain = make_chain(as_of=minute + timedelta(minutes=1), volume=np.full(160, 200 * number))
        bar = MinuteBar("SPX", minute, 5010.0, 5020.0, 5000.0, 5012.5, minute.minute + 100, 50)
        store.write_minute(MinuteBatch(uuid4(), "SPX", minute, chain, (bar,)))
        store.write_analysis(analysis(), minute)
    store.write_latest(chain, np.ones(len(chain), bool))
    store.write_live(analysis(), b'{"spot": 5012.5, "totals": {"net_gex": -1e9}, "flip": {"price": null}}')
    gap = Finding(FindingKind.GAP, "bars", MINUTE, evening, Severity.ERROR, 389, 390, "389 minutes are missing")
    store.record_findings("SPX", MINUTE.date(), [gap])
    yield store
    store.close()


@pytest.mark.parametrize("name", sorted(queries()))
def test_every_question_has_an_answer(filled: PostgresStore, name: str) -> None:
    columns, rows = filled.query(name)
    assert rows, name
    assert len(columns) == len(set(columns)) == len(rows[0])
    known = queries()[name].parameters
    if "symbol" in known:
        assert filled.query(name, symbol="SPX")[1]
        assert filled.query(name, symbol="NONE")[1] == []
    if "limit" in known:
        assert len(filled.query(name, limit=1)[1]) == 1


def test_today_is_the_new_york_day_of_the_newest_data(filled: PostgresStore) -> None:
    columns, rows = filled.query("today", symbol="SPX")
    (today,) = (dict(zip(columns, row, strict=True)) for row in rows)
    assert (today["date"], today["bars"], today["chain_minutes"], today["close"]) == (date(2026, 2, 20), 3, 3, 5012.5)


def test_volume_of_a_minute_is_what_the_cumulative_volume_grew_by(filled: PostgresStore) -> None:
    columns, rows = filled.query("underlying_volume")
    assert [row[columns.index("up_volume")] for row in rows] == [130, 29, 0]  # never negative


def test_strikes_sum_over_expirations(filled: PostgresStore) -> None:
    columns, rows = filled.query("gex_strikes")
    assert sum(row[columns.index("net_gex")] for row in rows) == pytest.approx(
        analysis().by_cell.totals["net_gex"].sum()
    )


def test_a_question_cannot_write(filled: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from zerogex.errors import StoreError
    from zerogex.store import postgres, sql

    found = sql.parse("-- sneaky --\n-- Writes.\nDELETE FROM gex_live RETURNING underlying\n")
    monkeypatch.setattr(postgres, "queries", lambda: found)
    with pytest.raises(StoreError, match="read-only transaction"):
        filled.query("sneaky")
