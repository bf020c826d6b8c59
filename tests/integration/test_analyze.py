"""Stored chains become history and the live answer."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np
import psycopg
import pytest

from zerogex import __version__
from zerogex.analytics.analysis import AnalysisConfig, analyze
from zerogex.clock import ScaledClock
from zerogex.domain.exposure import DealerModel
from zerogex.engines import analyze as analyze_engine
from zerogex.engines.analyze import AnalyzeConfig, AnalyzeEngine
from zerogex.pipeline.enrich import enrich
from zerogex.ports import MinuteBatch

MINUTE = datetime(2026, 2, 20, 14, 30, tzinfo=UTC)
STEP = timedelta(minutes=1)


@pytest.fixture
def chain_at(make_chain):
    """A function that makes the chain of a minute, valued at its end."""

    def make(label=MINUTE, spot=6010.0, underlying="SPX"):
        chain = make_chain(as_of=label + STEP, underlying=underlying)
        strike = 5000.0 + chain.strike  # around spot, so that most of it can be valued
        intrinsic = np.maximum(np.where(chain.is_call, spot - strike, strike - spot), 0)
        ask = np.round(intrinsic + 40 * np.exp(-(((strike - spot) / 200) ** 2)) + 1, 2)
        nothing = np.full(len(chain), np.nan)
        raw = replace(chain, spot=spot, bid=ask - 0.1, ask=ask, iv=nothing, iv_source=np.zeros(len(chain), np.int8))
        return enrich(raw).chain

    return make


def write(store, chain, label):
    store.write_minute(MinuteBatch(uuid4(), chain.underlying, label, chain, ()))


def history(store, underlying="SPX"):
    return {
        row["timestamp"]: row
        for row in store.gex_history(underlying, MINUTE - timedelta(days=1), MINUTE + timedelta(days=1))
    }


@asynccontextmanager
async def running(store, clock=None, **config):
    clock = clock or ScaledClock(MINUTE, datetime.now(UTC), 60.0)
    task = asyncio.ensure_future(AnalyzeEngine(store, clock, AnalyzeConfig(**config)).run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def until(condition, timeout_s=20.0):
    async with asyncio.timeout(timeout_s):
        while True:
            if await asyncio.to_thread(condition):
                return
            await asyncio.sleep(0.02)


async def test_once_analyses_the_newest_minute_and_writes_what_it_returns(store, chain_at):
    write(store, chain_at(), MINUTE)
    newest = chain_at(MINUTE + STEP, 6020.0)
    write(store, newest, MINUTE + STEP)
    clock = ScaledClock(MINUTE, datetime.now(UTC), 1.0)
    (analysis,) = await AnalyzeEngine(store, clock, AnalyzeConfig()).once()
    assert (analysis.underlying, analysis.spot, analysis.data_timestamp) == ("SPX", 6020.0, MINUTE + 2 * STEP)
    assert list(history(store)) == [MINUTE + STEP]
    row = history(store)[MINUTE + STEP]
    assert row["net_gex"] == pytest.approx(analysis.totals.net_gex, rel=1e-12)
    expected = analyze(newest, AnalysisConfig())
    assert row["net_gex"] == pytest.approx(expected.totals.net_gex, rel=1e-9)
    assert row["gamma_flip_status"] == expected.flip.status.value


async def test_once_of_an_empty_store_is_an_empty_list(store):
    clock = ScaledClock(MINUTE, datetime.now(UTC), 1.0)
    assert await AnalyzeEngine(store, clock, AnalyzeConfig()).once() == []
    assert await AnalyzeEngine(store, clock, AnalyzeConfig(("SPY",))).once() == []


async def test_once_answers_from_the_latest_rows_where_no_minute_is_stored(store, chain_at):
    chain = chain_at()
    store.write_latest(chain, np.ones(len(chain), bool))
    clock = ScaledClock(MINUTE, datetime.now(UTC), 1.0)
    (analysis,) = await AnalyzeEngine(store, clock, AnalyzeConfig()).once()
    assert analysis.spot == chain.spot
    assert history(store) == {}


async def test_the_live_answer_follows_the_latest_rows_and_says_when_it_was_computed(store, chain_at):
    async with running(store):
        for spot in (6010.0, 6030.0):
            chain = chain_at(spot=spot)
            store.write_latest(chain, np.ones(len(chain), bool))
            await until(
                lambda spot=spot: (answer := store.live("SPX")) is not None and json.loads(answer)["spot"] == spot
            )
    answer = json.loads(store.live("SPX"))
    assert answer["code_version"] == __version__
    assert answer["simulated"] is True
    computed = datetime.fromisoformat(answer["computed_at"])
    assert MINUTE <= computed <= MINUTE + timedelta(hours=1)  # by the market's clock
    assert answer["data_timestamp"] == "2026-02-20T14:31:00Z"


async def test_each_stored_minute_becomes_a_row_also_when_several_were_missed(store, chain_at):
    async with running(store):
        write(store, chain_at(), MINUTE)
        await until(lambda: MINUTE in history(store))
        for k in (1, 2, 3):
            write(store, chain_at(MINUTE + k * STEP, 6010.0 + k), MINUTE + k * STEP)
        await until(lambda: len(history(store)) == 4)


async def test_rows_of_history_are_never_closer_than_the_interval(store, chain_at):
    async with running(store, interval_s=180.0):
        for k in range(7):
            write(store, chain_at(MINUTE + k * STEP), MINUTE + k * STEP)
            if k % 3 == 0:
                await until(lambda k=k: MINUTE + k * STEP in history(store))
    assert list(history(store)) == [MINUTE, MINUTE + 3 * STEP, MINUTE + 6 * STEP]


async def test_a_minute_stored_anew_is_analysed_anew(store, chain_at):
    async with running(store):
        write(store, chain_at(), MINUTE)
        await until(lambda: MINUTE in history(store))
        before = history(store)[MINUTE]["net_gex"]
        late = replace(chain_at(spot=6040.0), received_time=np.full(len(chain_at()), MINUTE.timestamp() + 90))
        write(store, late, MINUTE)
        await until(lambda: history(store)[MINUTE]["spot"] == 6040.0)
    assert history(store)[MINUTE]["net_gex"] != before


async def test_a_minute_stored_again_long_after_its_analysis_or_while_nobody_analysed_is_analysed_again(
    store, chain_at
):
    later = lambda: np.full(len(chain_at()), MINUTE.timestamp() + 3600)  # noqa: E731
    async with running(store):
        for k in range(8):
            write(store, chain_at(MINUTE + k * STEP), MINUTE + k * STEP)
            await until(lambda k=k: MINUTE + k * STEP in history(store))
        write(store, replace(chain_at(spot=6040.0), received_time=later()), MINUTE)
        await until(lambda: history(store)[MINUTE]["spot"] == 6040.0)
    write(store, replace(chain_at(MINUTE + STEP, 6050.0), received_time=later()), MINUTE + STEP)
    async with running(store):
        await until(lambda: history(store)[MINUTE + STEP]["spot"] == 6050.0)
    assert {row["spot"] for stamp, row in history(store).items() if stamp > MINUTE + STEP} == {6010.0}


async def test_a_minute_stored_again_is_analysed_again_also_after_a_weekend_without_analysis(
    store, chain_at, monkeypatch
):
    monkeypatch.setattr(analyze_engine, "_HISTORY_EVERY_REAL_S", 0.05)
    for label in (MINUTE, MINUTE + STEP):
        write(store, chain_at(label), label)
    engine = AnalyzeEngine(store, ScaledClock(MINUTE, datetime.now(UTC), 1.0), AnalyzeConfig())
    assert await engine.fill(MINUTE) == {"SPX": [MINUTE + STEP, MINUTE]}
    late = np.full(len(chain_at()), MINUTE.timestamp() + 3600)
    write(store, replace(chain_at(spot=6040.0), received_time=late), MINUTE)
    monday = MINUTE + timedelta(days=3)
    write(store, chain_at(monday), monday)
    async with running(store):
        await until(lambda: history(store)[MINUTE]["spot"] == 6040.0)
    assert history(store)[MINUTE + STEP]["spot"] == 6010.0


async def test_minutes_stored_while_nobody_analysed_become_rows_at_the_next_start(store, chain_at):
    write(store, chain_at(), MINUTE)
    async with running(store):
        await until(lambda: MINUTE in history(store))
    for k in (1, 2, 3):
        write(store, chain_at(MINUTE + k * STEP), MINUTE + k * STEP)
    async with running(store):
        await until(lambda: len(history(store)) == 4)


async def test_only_the_named_underlyings_are_analysed_with_the_named_model(store, chain_at):
    config = AnalysisConfig(dealer_model=DealerModel.SHORT_ALL)
    async with running(store, underlyings=("SPX",), analysis=config):
        for underlying in ("NDX", "SPX"):
            write(store, chain_at(underlying=underlying), MINUTE)
        await until(lambda: MINUTE in history(store))
    assert history(store)[MINUTE]["dealer_model"] == "short_all"
    assert history(store, "NDX") == {}


async def test_an_underlying_that_appears_later_is_found(store, chain_at):
    async with running(store):
        await asyncio.sleep(0.05)
        write(store, chain_at(underlying="NDX"), MINUTE)
        await until(lambda: MINUTE in history(store, "NDX"))


async def test_minutes_stored_late_are_analysed_while_the_live_ones_go_on(store, chain_at, monkeypatch):
    monkeypatch.setattr(analyze_engine, "_HISTORY_EVERY_REAL_S", 0.05)
    hole = [MINUTE + k * STEP for k in (1, 2, 3)]
    for label in (MINUTE, MINUTE + 4 * STEP, MINUTE + 5 * STEP):
        write(store, chain_at(label), label)
    async with running(store):
        await until(lambda: len(history(store)) == 3)
        for label in hole:
            write(store, chain_at(label, 6020.0), label)
        await until(lambda: set(hole) <= set(history(store)))
        write(store, chain_at(MINUTE + 6 * STEP), MINUTE + 6 * STEP)
        await until(lambda: MINUTE + 6 * STEP in history(store))
    assert {history(store)[label]["spot"] for label in hole} == {6020.0}


async def test_filling_keeps_the_interval_and_a_second_run_does_nothing(store, chain_at):
    for k in range(8):
        write(store, chain_at(MINUTE + k * STEP), MINUTE + k * STEP)
    clock = ScaledClock(MINUTE, datetime.now(UTC), 1.0)

    async def fill(since):
        return await AnalyzeEngine(store, clock, AnalyzeConfig(interval_s=180.0)).fill(since)

    later = MINUTE + 4 * STEP
    assert await fill(later) == {"SPX": [MINUTE + 7 * STEP, MINUTE + 4 * STEP]}
    assert await fill(later) == {"SPX": []}
    assert await fill(MINUTE) == {"SPX": [MINUTE + STEP]}
    assert list(history(store)) == [MINUTE + k * STEP for k in (1, 4, 7)]


async def test_an_interval_of_no_whole_minutes_is_rounded_up_to_those_that_are_stored(store, chain_at):
    labels = [MINUTE + k * STEP for k in range(6)]
    for label in labels:
        write(store, chain_at(label), label)
        await AnalyzeEngine(store, ScaledClock(MINUTE, datetime.now(UTC), 1.0), AnalyzeConfig(interval_s=1.0)).once()
    engine = AnalyzeEngine(store, ScaledClock(MINUTE, datetime.now(UTC), 1.0), AnalyzeConfig(interval_s=90.0))
    assert engine._step == 2 * STEP
    async with running(store, interval_s=90.0):
        for k in range(6, 11):
            write(store, chain_at(MINUTE + k * STEP), MINUTE + k * STEP)
        await until(lambda: MINUTE + 9 * STEP in history(store))
    assert [label for label in history(store) if label > labels[-1]] == [MINUTE + k * STEP for k in (7, 9)]


async def test_a_minute_whose_rows_are_gone_does_not_keep_others_from_being_filled(store, chain_at, database):
    for k in range(3):
        write(store, chain_at(MINUTE + k * STEP), MINUTE + k * STEP)
    with psycopg.connect(**database.parameters()) as connection:
        connection.execute("DELETE FROM option_chains WHERE timestamp = %s", [MINUTE + 2 * STEP])
    engine = AnalyzeEngine(store, ScaledClock(MINUTE, datetime.now(UTC), 1.0), AnalyzeConfig())
    assert await engine.fill(MINUTE) == {"SPX": [MINUTE + STEP, MINUTE]}
