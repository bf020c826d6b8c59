"""Each setting of the feed at work: requests as a vendor sees them, polls by session, minutes as they are stored."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from urllib.parse import parse_qs

import psycopg
import pytest

from zerogex import app
from zerogex.clock import ManualClock
from zerogex.domain.contract import OptionContract, OptionKind
from zerogex.engines import follow
from zerogex.engines.ingest import IngestEngine
from zerogex.errors import Unavailable
from zerogex.providers.tradestation import http
from zerogex.simulator.config import SimulatorConfig
from zerogex.simulator.server import Simulator

NOW = datetime(2026, 5, 11, 14, 25, 30, tzinfo=UTC)  # a Monday, 10:25:30 ET
MORNING = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
QUOTES = "/v3/marketdata/quotes"


@pytest.fixture
async def client(vendor, given, monkeypatch):
    """A function that makes the vendor's client of these settings."""
    monkeypatch.setattr(http.random, "uniform", lambda low, high: high)  # the longest pause of each back-off
    opened = []

    def build(**values):
        known = {"TRADESTATION_API_URL": vendor.url, "API_RETRY_DELAY": 0.01}
        opened.append(app.market_data(given(**{**known, **values}), ManualClock(NOW)))
        return opened[-1]

    yield build
    for one in opened:
        await one.aclose()


def arrivals(vendor, body=b'{"Quotes": []}', status=200):
    """Answer quotes, and note when each request came."""
    times: list[float] = []

    def answer(asked):
        times.append(asyncio.get_running_loop().time())
        return vendor.says(body, status)

    vendor.on(QUOTES, answer)
    return times


def contracts(count):
    return [OptionContract("SPY", "SPY", date(2026, 5, 15), Decimal(600 + k), OptionKind.CALL) for k in range(count)]


async def test_credentials_and_hosts_are_those_of_the_settings(client, vendor, given):
    arrivals(vendor)
    keys = {name: name.lower() for name in ("CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN")}
    settings = {f"TRADESTATION_{name}": value for name, value in keys.items()}
    await client(**settings, TRADESTATION_AUTH_URL=vendor.url).quotes(["SPY"])
    sign_in = parse_qs(next(asked.body for asked in vendor.asked if asked.path == "/oauth/token"))
    assert {name: sign_in[name.lower()] for name in keys} == {name: [value] for name, value in keys.items()}
    assert vendor.count(QUOTES) == 1
    assert given(**settings, TRADESTATION_USE_SANDBOX="true").settings.api_url == "https://sim-api.tradestation.com"


async def test_request_timeout_ends_the_wait_for_an_answer(client, vendor):
    async def never(asked, line):
        await line.hold()

    vendor.on(QUOTES, never)
    with pytest.raises(Unavailable, match=r"no whole answer within 0\.2 s"):
        await client(API_REQUEST_TIMEOUT=0.2, API_RETRY_ATTEMPTS=0).quotes(["SPY"])


@pytest.mark.parametrize("attempts", [0, 2])
async def test_retry_attempts_are_further_tries(client, vendor, attempts):
    times = arrivals(vendor, b"", 503)
    with pytest.raises(Unavailable):
        await client(API_RETRY_ATTEMPTS=attempts).quotes(["SPY"])
    assert len(times) == attempts + 1


async def test_retry_delay_grows_by_the_backoff(client, vendor):
    times = arrivals(vendor, b"", 503)
    with pytest.raises(Unavailable):
        await client(API_RETRY_ATTEMPTS=2, API_RETRY_DELAY=0.1, API_RETRY_BACKOFF=3).quotes(["SPY"])
    assert times[1] - times[0] >= 0.1
    assert times[2] - times[1] >= 0.3


async def test_batch_sizes_and_the_pause_between_them(client, vendor):
    times = arrivals(vendor)
    feed = client(QUOTE_BATCH_SIZE=2, OPTION_BATCH_SIZE=3, DELAY_BETWEEN_BATCHES=0.05)
    await feed.quotes(["SPY", "QQQ", "IWM", "DIA", "GLD"])
    assert [asked.path.count(",") + 1 for asked in vendor.asked if asked.path.startswith(QUOTES)] == [2, 2, 1]
    assert all(later - sooner >= 0.05 for sooner, later in pairwise(times))
    await feed.option_quotes(contracts(7))
    assert len(times) == 3 + 3


async def test_poll_intervals_are_those_of_the_session(given, monkeypatch):
    monkeypatch.setattr(follow, "POLL_FLOOR_REAL_S", 0.0)
    known = {"MARKET_HOURS_POLL_INTERVAL": 7, "EXTENDED_HOURS_POLL_INTERVAL": 40, "CLOSED_HOURS_POLL_INTERVAL": 600}
    config = app.ingest_config(given(**known).settings)
    for hour, pause_s in ((14, 7), (11, 40), (4, 600)):  # 10:00, 07:00 and midnight in New York
        clock = ManualClock(NOW.replace(hour=hour))
        await follow.poll_pause(clock, config)
        assert clock.elapsed == pause_s


def test_what_to_follow_and_when_to_write_reaches_ingest(given):
    text = {
        "STRIKE_RECALC_INTERVAL": ("strike_recalc_interval", 3),
        "PRICE_MOVE_THRESHOLD": ("price_move_threshold", 2.5),
        "STRIKE_CLEANUP_INTERVAL": ("strike_cleanup_interval", 9),
        "MAX_BUFFER_SIZE": ("max_buffer", 250),
        "BUFFER_FLUSH_INTERVAL": ("flush_interval_s", 20.0),
    }
    config = app.ingest_config(given(**{name: value for name, (_, value) in text.items()}).settings)
    assert {name: getattr(config, field) for name, (field, _) in text.items()} == {
        name: value for name, (_, value) in text.items()
    }


async def ingested(given, store, condition, **values):
    """Run ingest by these settings on a simulated market until a condition; gives the requests it was asked."""
    async with Simulator(SimulatorConfig(port=0, start=MORNING, speed=120.0)) as simulator:
        loaded = given(TRADESTATION_API_URL=simulator.url, **values)
        clock = await app.market_clock(loaded)
        market = app.market_data(loaded, clock)
        engine = asyncio.ensure_future(IngestEngine(market, store, clock, app.ingest_config(loaded.settings)).run())
        try:
            async with asyncio.timeout(30):
                while not await asyncio.to_thread(condition):
                    assert not engine.done(), engine.exception()
                    await asyncio.sleep(0.05)
        finally:
            engine.cancel()
            await asyncio.wait([engine])
            await market.aclose()
        return simulator.exchange.ledger.as_fields()


def rows(database, sql):
    with psycopg.connect(**database.parameters()) as connection:
        return connection.execute(sql).fetchall()


async def test_a_watch_list_in_half_minutes_without_back_fill(given, store, database):
    def enough():
        return all(
            len(store.chain_minutes(name, MORNING, MORNING + timedelta(hours=1))) >= 3 for name in ("SPY", "QQQ")
        )

    await ingested(
        given, store, enough, STREAM_UNDERLYING="SPY,QQQ", STREAM_EXPIRATIONS=2, STREAM_STRIKE_DISTANCE=6,
        AGGREGATION_BUCKET_SECONDS=30, BACKFILL_ON_STARTUP="false",
    )  # fmt: skip
    found = rows(database, "SELECT DISTINCT underlying, expiration FROM option_chains")
    assert {name: sum(1 for one, _ in found if one == name) for name, _ in found} == {"SPY": 2, "QQQ": 2}
    seconds = {row[0].second for row in rows(database, "SELECT DISTINCT timestamp FROM option_chains")}
    assert seconds == {0, 30}
    spread = (
        "SELECT max(strike) - min(strike) FROM option_chains WHERE underlying = 'SPY' GROUP BY timestamp, expiration"
    )
    assert all(0 < row[0] <= 12 for row in rows(database, spread))
    assert not store.bars("SPY", MORNING - timedelta(hours=9), MORNING - timedelta(minutes=30))


async def test_polling_with_back_fill_opens_no_stream_and_still_stores_every_minute(given, store, database):
    def enough():
        return len(store.chain_minutes("SPY", MORNING, MORNING + timedelta(hours=1))) >= 3

    said = await ingested(
        given, store, enough, WEBSOCKET_ENABLED="false", STREAM_EXPIRATIONS=1, STREAM_STRIKE_DISTANCE=6,
        MARKET_HOURS_POLL_INTERVAL=10, BACKFILL_ON_STARTUP="true", GREEKS_ENABLED="false",
    )  # fmt: skip
    assert not said["streams"]
    assert said["requests"]["barcharts 200"] > 1
    assert rows(database, "SELECT count(gamma), count(implied_volatility) > 0 FROM option_chains") == [(0, True)]
    minutes = store.chain_minutes("SPY", MORNING, MORNING + timedelta(hours=1))
    assert {later - sooner for sooner, later in pairwise(minutes)} == {timedelta(minutes=1)}
    assert len(store.bars("SPY", MORNING - timedelta(hours=2), MORNING)) == 120
