"""From the wire to the database: simulator → provider → ingest → PostgreSQL → analyze."""

import asyncio
import json
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg
import pytest

from zerogex.engines.analyze import AnalyzeConfig, AnalyzeEngine
from zerogex.engines.ingest import IngestConfig, IngestEngine
from zerogex.engines.threads import first_of
from zerogex.errors import LockHeld, OriginConflict, SettingsError
from zerogex.ports import FeedState
from zerogex.pricing.greeks import greeks
from zerogex.providers.tradestation.client import TradeStation
from zerogex.providers.tradestation.clock import discover_clock
from zerogex.providers.tradestation.config import TradeStationConfig
from zerogex.simulator.config import SimulatorConfig
from zerogex.simulator.server import Simulator
from zerogex.store.postgres import PostgresStore
from zerogex.store.spool import Spool

MORNING = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)  # 10:30 in New York
MINUTE = timedelta(minutes=1)
DIARY = {
    "IV calculation enabled",
    "Greeks calculation enabled",
    "first underlying price received",
    "first Greek calculated",
    "chains followed",
    "minute stored",
    "analysis stored",
    "ingest drained",
}


@asynccontextmanager
async def feed(start=MORNING, speed=120.0, **options):
    """A simulated market, a client of it and its clock."""
    async with Simulator(SimulatorConfig(port=0, start=start, speed=speed, **options)) as simulator:
        clock = await discover_clock(simulator.url)
        config = TradeStationConfig("id", "secret", "token", api_url=simulator.url, auth_url=simulator.url)
        market = TradeStation(config, clock)
        try:
            yield simulator, market, clock
        finally:
            await market.aclose()


async def until(condition, timeout_s=30.0):
    async with asyncio.timeout(timeout_s):
        while True:
            if await asyncio.to_thread(condition):
                return
            await asyncio.sleep(0.05)


async def ended(engine):
    engine.cancel()
    with pytest.raises(asyncio.CancelledError):
        await engine


def is_settled(store, underlying="SPY"):
    """Whether the newest minute is analysed, and each analysis is of its chain as it now stands."""
    versions = store.chain_versions(underlying)
    return versions[-1].analysed is not None and all(each.analysed in (None, each.stored) for each in versions)


def chain_minutes(database, underlying="SPY"):
    """The labels of the stored chains with their number of rows, ascending."""
    with psycopg.connect(**database.parameters()) as connection:
        found = connection.execute(
            "SELECT timestamp, count(*) FROM option_chains WHERE underlying = %s GROUP BY 1 ORDER BY 1", [underlying]
        ).fetchall()
    return dict(found)


def by_hand(chain):
    """Net GEX per 1 % of a stored chain, from nothing but its rows."""
    spot, total = chain.spot, 0.0
    for row in range(len(chain)):
        if chain.settlement[row] > chain.as_of.timestamp() and chain.gamma[row] == chain.gamma[row]:
            sign = 1.0 if chain.is_call[row] else -1.0
            total += sign * chain.gamma[row] * chain.open_interest[row] * chain.multiplier[row] * spot * spot * 0.01
    return total


def assert_consecutive(minutes):
    labels = list(minutes)
    assert labels == [labels[0] + k * MINUTE for k in range(len(labels))]


@pytest.mark.parametrize("push", [True, False], ids=["push", "poll"])
async def test_every_minute_is_stored_and_every_number_recomputes(store, database, push, caplog):
    caplog.set_level("INFO", "zerogex.engines")
    async with feed() as (_, market, clock):
        config = IngestConfig(("SPY",), expirations=2, strike_distance="15", push=push, latest_interval_s=0.3)
        ingest = asyncio.ensure_future(IngestEngine(market, store, clock, config).run())
        analyze = asyncio.ensure_future(AnalyzeEngine(store, clock, AnalyzeConfig()).run())
        await until(lambda: len(store.gex_history("SPY", MORNING, MORNING + timedelta(days=1))) >= 4)
        await until(lambda: store.live("SPY") is not None)
        await ended(ingest)
        await until(lambda: is_settled(store))  # a kept minute may reach the database after its first analysis
        await ended(analyze)

    minutes = chain_minutes(database)
    assert_consecutive(minutes)
    assert len(minutes) >= 4
    bars = {bar.timestamp: bar for bar in store.bars("SPY", MORNING - timedelta(days=1), MORNING + timedelta(days=1))}
    assert_consecutive([label for label in bars if label >= MORNING])
    history = {row["timestamp"]: row for row in store.gex_history("SPY", MORNING, MORNING + timedelta(days=1))}
    assert len(history) >= 4
    for label in minutes:
        chain = store.minute_chain("SPY", label)
        assert chain.as_of == label + MINUTE
        assert chain.simulated
        if label in bars:
            assert chain.spot == bars[label].close
        assert len(set(chain.symbol)) == len(chain)
        if label in history:  # those before analysis began are filled later
            assert history[label]["net_gex"] == pytest.approx(by_hand(chain), rel=1e-9)
        again = greeks(chain.spot, chain.forward, chain.strike, chain.years, chain.rate, chain.iv, chain.is_call)
        np.testing.assert_allclose(chain.gamma, again.gamma, rtol=1e-12)
    live = json.loads(store.live("SPY"))
    assert live["underlying"] == "SPY" and live["simulated"] and live["computed_at"].endswith("Z")
    assert live["net_gex"] is not None and live["code_version"]

    said = [record.getMessage() for record in caplog.records]
    assert set(said) >= DIARY
    volumes = [(bar.up_volume, bar.down_volume) for _, bar in sorted(bars.items())]
    assert volumes == sorted(volumes)  # cumulative over the day, whichever of them back-fill or stream brought


async def test_the_stored_feed_has_the_simulators_clock_and_live_data_is_refused_there(store):
    async with feed() as (_, market, clock):
        engine = asyncio.ensure_future(IngestEngine(market, store, clock, IngestConfig(("SPY",))).run())
        await until(lambda: store.last_bar("SPY") is not None)
        engine.cancel()
        await asyncio.wait([engine])
        assert store.feed_state() == FeedState(
            "tradestation", True, clock.market_anchor, clock.wall_anchor, clock.speed
        )
        with pytest.raises(OriginConflict):
            store.announce_feed(FeedState("tradestation", simulated=False))


async def test_the_second_ingest_of_an_underlying_stops_and_names_the_first(store, database, tmp_path):
    async with feed() as (_, market, clock):
        first = asyncio.ensure_future(IngestEngine(market, store, clock, IngestConfig(("SPY",))).run())
        await until(lambda: store.latest_chain("SPY") is not None)
        other = PostgresStore(database, spool=tmp_path / "other")
        with pytest.raises(LockHeld, match="SPY is already being written by"):
            await IngestEngine(market, other, clock, IngestConfig(("SPY",))).run()
        other.close()
        assert not first.done()
        first.cancel()
        await asyncio.wait([first])


@pytest.mark.parametrize("push", [True, False], ids=["push", "poll"])
async def test_a_symbol_the_feed_does_not_know_leaves_the_others_alone(store, database, push, caplog):
    async with feed() as (_, market, clock):
        config = IngestConfig(("SPY", "QQQX"), expirations=1, strike_distance="10", push=push, latest_interval_s=0.3)
        engine = asyncio.ensure_future(IngestEngine(market, store, clock, config).run())
        await until(lambda: len(chain_minutes(database)) >= 2)
        assert not engine.done()
        await ended(engine)
    assert [record.underlying for record in caplog.records if record.message == "symbol not known"] == ["QQQX"]
    assert chain_minutes(database, "QQQX") == {}


async def test_where_the_feed_knows_no_symbol_ingest_ends_and_names_the_setting(store):
    async with feed() as (_, market, clock):
        with pytest.raises(ExceptionGroup) as raised:
            await IngestEngine(market, store, clock, IngestConfig(("QQQX", "YYYY"))).run()
    wrong = first_of(raised.value, SettingsError)
    assert str(wrong) == "the feed does not know QQQX,YYYY; check STREAM_UNDERLYING (or -u)"


async def test_the_zero_day_chain_leaves_at_the_close_and_the_next_one_comes(store, database):
    close = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
    async with feed(start=close - timedelta(minutes=16), speed=100.0) as (_, market, clock):
        config = IngestConfig(("SPY",), expirations=1, strike_distance="10")
        engine = asyncio.ensure_future(IngestEngine(market, store, clock, config).run())

        def rolled():
            latest = store.latest_chain("SPY")
            return latest is not None and {"2026-11-23"} == {str(day) for day in latest.expiration}

        await until(rolled)
        engine.cancel()
        await asyncio.wait([engine])
    last = store.minute_chain("SPY", close - MINUTE)
    assert {str(day) for day in last.expiration} == {"2026-11-20"}
    assert np.isnan(last.gamma).all()  # at the instant of settlement nothing is left to value
    assert all(label < close for label, day in stored_expirations(database) if str(day) == "2026-11-20")


def stored_expirations(database):
    with psycopg.connect(**database.parameters()) as connection:
        return connection.execute("SELECT DISTINCT timestamp, expiration FROM option_chains").fetchall()


class Process:
    """`ingest_process.py`, and what it said."""

    def __init__(self, simulator, database, spool, *underlyings):
        script = Path(__file__).with_name("ingest_process.py")
        self.argv = [sys.executable, str(script), simulator.url, str(spool), json.dumps(asdict(database)), *underlyings]
        self.lines = []

    async def __aenter__(self):
        self.process = await asyncio.create_subprocess_exec(*self.argv, stdout=asyncio.subprocess.PIPE)
        self.reader = asyncio.ensure_future(self._read())
        return self

    async def __aexit__(self, *_):
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self.reader

    async def _read(self):
        async for line in self.process.stdout:
            self.lines.append(line.decode().split())

    @property
    def stored(self):
        """Minutes with options that the store acknowledged: label → contracts."""
        return {datetime.fromisoformat(words[2]): int(words[3])
                for words in self.lines if words[0] == "stored" and words[3] != "0"}  # fmt: skip


async def test_kill_9_loses_no_closed_minute_and_a_restart_goes_on_without_duplicates(store, database, tmp_path):
    async with feed() as (simulator, _, clock):
        async with Process(simulator, database, tmp_path / "killed", "SPY") as first:
            await until(lambda: len(first.stored) >= 3 and store.latest_chain("SPY") is not None)
            first.process.send_signal(signal.SIGKILL)
            await first.process.wait()
        killed_at = clock.now()
        after_kill = chain_minutes(database) | chains_on_disk(tmp_path / "killed")
        assert first.stored.items() <= after_kill.items()
        checkpoint = store.latest_chain("SPY")
        async with Process(simulator, database, tmp_path / "killed", "SPY") as second:
            # the underlying's minutes that nobody heard are fetched again, some of them while following goes on
            await until(lambda: len(second.stored) >= 2 and no_bar_missing(store, max(second.stored)))
            second.process.send_signal(signal.SIGTERM)
            assert await second.process.wait() == 0
    assert ["ingest", "drained"] in second.lines and ["cancelled"] in second.lines

    minutes = chain_minutes(database)
    assert set(after_kill) <= set(minutes)
    assert first.stored.items() | second.stored.items() <= minutes.items()
    # The minute that was open at the kill had a checkpoint: it is stored too.
    open_then = checkpoint.as_of.replace(second=0, microsecond=0)
    assert open_then in minutes
    assert_consecutive([label for label in minutes if label <= open_then])
    gap = [label for label in minutes if killed_at - MINUTE < label < min(second.stored)]
    assert len(gap) <= 1  # nothing is invented for the time nobody listened
    assert no_bar_missing(store, killed_at)


def chains_on_disk(folder):
    """What a killed process's spool holds: label → contracts."""
    spool = Spool(folder)
    with spool.draining("SPY") as file:
        return {kept.timestamp: len(kept.chain) for _, kept in file.pending() if kept.chain is not None}


def no_bar_missing(store, until_label):
    """Whether the stored minutes of the underlying follow one another up to a label."""
    bars = [bar.timestamp for bar in store.bars("SPY", MORNING, until_label + MINUTE)]
    return bars == [bars[0] + k * MINUTE for k in range(len(bars))]


async def test_a_database_away_costs_no_minute(store, database, postgres_server):
    async with feed() as (_, market, clock):
        config = IngestConfig(("SPY",), expirations=1, strike_distance="10", latest_interval_s=0.3)
        engine = asyncio.ensure_future(IngestEngine(market, store, clock, config).run())
        await until(lambda: len(chain_minutes(database)) >= 1)
        with psycopg.connect(**postgres_server.config("postgres").parameters(), autocommit=True) as admin:
            name = database.dbname
            admin.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            away_since = clock.now()
            await until(lambda: clock.now() > away_since + 3 * MINUTE)
            admin.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')
        back_at = clock.now()
        await until(lambda: max(chain_minutes(database)) >= back_at)
        engine.cancel()
        await asyncio.wait([engine])
        assert engine.cancelled()
    assert_consecutive(chain_minutes(database))
