"""Minutes, latest rows and the feed in a real PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import numpy as np
import psycopg
import pytest

from zerogex.domain.bar import MinuteBar
from zerogex.domain.chain import COLUMNS, OptionChain
from zerogex.errors import OriginConflict, SchemaBehind, StoreError, StoreUnavailable
from zerogex.feed_clock import FeedClock
from zerogex.ports import FeedState, MinuteBatch, Notice
from zerogex.store import binary_copy as wire
from zerogex.store.config import DatabaseConfig
from zerogex.store.postgres import PostgresStore

MINUTE = datetime(2026, 2, 20, 14, 30, tzinfo=UTC)
TABLES = ("underlying_quotes", "option_chains", "chain_minutes", "ingest_batches")
MakeChain = Callable[..., OptionChain]
# Only of this database: other workers share the server.
CUT_SESSIONS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name ~ %s AND pid <> pg_backend_pid()
"""


def bar(timestamp: datetime = MINUTE, close: float = 5012.25, symbol: str = "SPX", **fields: float) -> MinuteBar:
    prices = {"open": 5010.0, "high": 5013.1234, "low": 5009.75, "close": close, **fields}
    return MinuteBar(symbol, timestamp, **prices, up_volume=10**12, down_volume=7)


def batch(chain: OptionChain | None, *bars: MinuteBar, timestamp: datetime = MINUTE) -> MinuteBatch:
    return MinuteBatch(uuid4(), "SPX", timestamp, chain, bars)


def rows(database: DatabaseConfig, query: str) -> list[tuple]:
    with psycopg.connect(**database.parameters()) as connection:
        return connection.execute(query).fetchall()


def test_prices_arrive_as_the_server_itself_would_round_them(database: DatabaseConfig) -> None:
    random = np.random.default_rng(5)
    whole = random.integers(0, 10**8, 4000) / 100.0
    halves = [float(f"{n}.{m:04d}5") for n, m in random.integers(0, 10**4, (4000, 2))]
    named = [0.0, 0.01, 0.0001, 0.00005, 0.00004999, 1.0, 9999.0, 10000.0, 9999.99995, 99_999_999.0, 12345678.9, np.nan]
    values = np.concatenate([named, whole, random.uniform(0, 1000, 4000), halves, 10 ** random.uniform(-5, 7.9, 4000)])
    layout = wire.Layout({"value": wire.FLOAT8, "price": wire.PRICE})
    with psycopg.connect(**database.parameters()) as connection:
        connection.execute("CREATE TEMP TABLE sent (value float8, price numeric(12,4))")
        with connection.cursor().copy("COPY sent FROM STDIN (FORMAT binary)") as copy:
            copy.write(layout.encode({"value": values, "price": wire.prices(values)}))
        (count,) = connection.execute("SELECT count(*) FROM sent").fetchone() or (0,)
        other = connection.execute(
            "SELECT value, price FROM sent WHERE price IS DISTINCT FROM value::numeric(12,4)"
        ).fetchall()
    assert count == len(values)
    assert other == []


def fingerprint(database: DatabaseConfig) -> dict[str, str]:
    """Content and physical version of every row: a rewrite with the same content changes it too."""
    text = "SELECT md5(coalesce(string_agg(xmin::text || {0}::text, '' ORDER BY {0}::text), '')) FROM {0}"
    return {table: rows(database, text.format(table))[0][0] for table in TABLES}


def same(left: OptionChain, right: OptionChain) -> None:
    """Every column and scalar equal, NaN to NaN, in the store's order."""
    order = np.lexsort((~left.is_call, left.strike, left.root.astype(str), left.expiration))
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(left, name)[order], getattr(right, name), err_msg=name)
        assert getattr(left, name).dtype == getattr(right, name).dtype, name
    for name in ("underlying", "spot", "as_of", "spot_time", "simulated", "delayed"):
        assert getattr(left, name) == getattr(right, name), name


def test_a_minute_is_read_back_without_loss(store: PostgresStore, make_chain: MakeChain) -> None:
    chain = make_chain()
    store.write_minute(batch(chain, bar()))
    same(chain, store.minute_chain("SPX"))
    same(chain, store.minute_chain("SPX", MINUTE))
    assert store.bars("SPX", MINUTE, MINUTE + timedelta(minutes=1)) == [bar()]
    assert store.last_bar("SPX") == bar()


def test_an_empty_database_answers_with_nothing(store: PostgresStore) -> None:
    assert store.minute_chain("SPX") is None
    assert store.latest_chain("SPX") is None
    assert store.last_bar("SPX") is None
    assert store.live("SPX") is None
    assert store.feed_state() is None
    assert store.underlyings() == []
    assert store.bars("SPX", MINUTE, MINUTE + timedelta(days=1)) == []


def test_an_empty_chain_and_no_bars_are_a_minute_too(store: PostgresStore, make_chain: MakeChain) -> None:
    store.write_minute(batch(make_chain(strikes=0)))
    store.write_minute(batch(None))
    assert len(store.minute_chain("SPX")) == 0


def test_the_same_batch_again_changes_nothing(
    store: PostgresStore, database: DatabaseConfig, make_chain: MakeChain
) -> None:
    first, second = batch(make_chain(), bar()), batch(make_chain(seed=2), bar(close=1.0), timestamp=MINUTE)
    store.write_minute(first)
    store.write_minute(second)
    before = fingerprint(database)
    for again in (first, second, first, second):
        store.write_minute(again)
    assert fingerprint(database) == before


def test_the_same_content_under_another_batch_rewrites_no_row(
    store: PostgresStore, database: DatabaseConfig, make_chain: MakeChain
) -> None:
    store.write_minute(batch(make_chain(), bar()))
    before = fingerprint(database)
    store.write_minute(batch(make_chain(), bar()))
    after = fingerprint(database)
    assert before.pop("ingest_batches") != after.pop("ingest_batches")
    assert after == before


def test_a_later_reading_replaces_and_an_earlier_one_does_not(store: PostgresStore, make_chain: MakeChain) -> None:
    now, later = make_chain(seed=1), make_chain(seed=2)
    later = replace(later, received_time=now.received_time + 1)
    store.write_minute(batch(now))
    store.write_minute(batch(later))
    same(later, store.minute_chain("SPX"))
    store.write_minute(batch(now))
    assert np.array_equal(store.minute_chain("SPX").received_time, np.sort(later.received_time))


def test_of_a_symbol_given_twice_the_last_is_stored(store: PostgresStore, make_chain: MakeChain) -> None:
    chain = make_chain()
    twice = chain.select(np.r_[np.arange(len(chain)), 3])
    bid = twice.bid.copy()
    bid[3], bid[-1] = 1.0, 2.0
    store.write_minute(batch(replace(twice, bid=bid), bar(close=1.0), bar(close=2.0)))
    stored = store.minute_chain("SPX")
    assert len(stored) == len(chain)
    assert stored.bid[stored.symbol == chain.symbol[3]] == [2.0]
    assert store.last_bar("SPX").close == 2.0


def test_impossible_rows_cost_only_themselves(
    store: PostgresStore, database: DatabaseConfig, make_chain: MakeChain, caplog: pytest.LogCaptureFixture
) -> None:
    chain = make_chain()
    bid, strike, gamma, symbol, volume = (
        getattr(chain, n).copy() for n in ("bid", "strike", "gamma", "symbol", "volume")
    )
    bid[0], bid[1], bid[2], strike[3], volume[4] = -1, np.inf, 1e8, np.nan, -5
    symbol[5], symbol[6], symbol[7] = "SPX 26\x00", "x" * 33, "SPX 260320Cé"
    gamma[8], gamma[9] = np.inf, -np.inf
    poisoned = replace(chain, bid=bid, strike=strike, gamma=gamma, symbol=symbol, volume=volume)
    store.write_minute(batch(poisoned, bar(), bar(MINUTE + timedelta(minutes=1), close=float("nan"))))
    stored = store.minute_chain("SPX")
    assert set(stored.symbol) == set(chain.symbol[8:])
    assert np.isnan(stored.gamma[np.isin(stored.symbol, chain.symbol[8:10])]).all()
    assert store.last_bar("SPX").timestamp == MINUTE
    assert rows(database, "SELECT contracts, rejected FROM ingest_batches") == [(len(chain) - 8, 8)]
    reported = next(record for record in caplog.records if record.message == "chain rows rejected")
    assert reported.rejected == {"price": 3, "strike": 1, "count": 1, "symbol": 3}


def test_the_database_itself_lets_no_nan_and_no_infinity_in(
    store: PostgresStore, database: DatabaseConfig, make_chain: MakeChain
) -> None:
    chain = make_chain(strikes=2)
    store.write_minute(batch(chain, bar()))
    store.write_latest(chain, np.ones(len(chain), bool))
    numbers = {
        "option_chains": ("bid", "ask", "last", "strike", "gamma", "implied_volatility", "forward", "rate"),
        "option_latest": ("bid", "ask", "implied_volatility", "vega"),
        "underlying_quotes": ("open", "high", "low", "close"),
        "chain_minutes": ("spot",),
    }
    with psycopg.connect(**database.parameters(), autocommit=True) as connection:
        for table, columns in numbers.items():
            for column, value in itertools.product(columns, ("NaN", "Infinity", "-Infinity")):
                with pytest.raises((psycopg.DataError, psycopg.IntegrityError)):
                    connection.execute(f"UPDATE {table} SET {column} = '{value}'")


def test_a_new_york_day_is_a_partition(store: PostgresStore, database: DatabaseConfig, make_chain: MakeChain) -> None:
    midnight = datetime(2026, 2, 21, 5, 0, tzinfo=UTC)  # 00:00 in New York
    for timestamp in (midnight - timedelta(minutes=1), midnight):
        chain = make_chain(as_of=timestamp + timedelta(minutes=1), strikes=3)
        store.write_minute(batch(chain, bar(timestamp), timestamp=timestamp))
    for table, count in (("option_chains", 12), ("underlying_quotes", 1)):
        for day in ("20260220", "20260221"):
            assert rows(database, f"SELECT count(*) FROM {table}_{day}") == [(count,)]
    same(make_chain(as_of=midnight + timedelta(minutes=1), strikes=3), store.minute_chain("SPX"))


def test_days_of_23_and_25_hours_meet_without_a_hole(store: PostgresStore) -> None:
    for day in (date(2026, 3, 7), date(2026, 10, 31)):
        start = datetime(day.year, day.month, day.day, 5, 30, tzinfo=UTC)
        hours = [bar(start + timedelta(hours=hour)) for hour in range(60)]
        store.write_bars(hours)
        assert len(store.bars("SPX", start, start + timedelta(hours=60))) == 60


def test_two_stores_make_the_same_partition_at_once(database: DatabaseConfig, make_chain: MakeChain) -> None:
    from concurrent.futures import ThreadPoolExecutor

    stores = [PostgresStore(database) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda s: s.write_minute(batch(make_chain(strikes=5), bar())), stores))
    same(make_chain(strikes=5), stores[0].minute_chain("SPX"))
    for each in stores:
        each.close()


def test_a_partition_dropped_behind_our_back_is_made_again(
    store: PostgresStore, database: DatabaseConfig, make_chain: MakeChain
) -> None:
    store.write_minute(batch(make_chain(), bar()))
    with psycopg.connect(**database.parameters()) as connection:
        connection.execute("DROP TABLE option_chains_20260220")
    store.write_minute(batch(make_chain(seed=2)))
    assert len(store.minute_chain("SPX")) == len(make_chain())


def test_latest_rows_mirror_the_writers_memory(
    store: PostgresStore, database: DatabaseConfig, make_chain: MakeChain
) -> None:
    first, second = make_chain(seed=1), make_chain(seed=2)
    store.write_latest(first, np.zeros(len(first), bool))
    same(first, store.latest_chain("SPX"))  # the first write brings everything, changed or not

    changed = np.arange(len(first)) % 3 == 0
    store.write_latest(second, changed)
    stored = store.latest_chain("SPX")
    expected = {s: (second if c else first).bid[i] for i, (s, c) in enumerate(zip(first.symbol, changed, strict=True))}
    np.testing.assert_array_equal(stored.bid, [expected[symbol] for symbol in stored.symbol])

    store.forget_latest("SPX", list(first.symbol[:10]))
    assert set(store.latest_chain("SPX").symbol) == set(first.symbol[10:])

    restarted = PostgresStore(database)
    smaller = second.select(np.arange(5))
    restarted.write_latest(smaller, np.zeros(5, bool))
    same(smaller, restarted.latest_chain("SPX"))
    restarted.close()


def test_latest_rows_that_a_crash_of_the_server_emptied_come_back_whole(
    store: PostgresStore, database: DatabaseConfig, make_chain: MakeChain
) -> None:
    chain = make_chain()
    store.write_latest(chain, np.ones(len(chain), bool))
    with psycopg.connect(**database.parameters()) as connection:
        connection.execute("TRUNCATE option_latest, underlying_latest")  # what recovery does to unlogged tables
    store.write_latest(chain, np.arange(len(chain)) == 0)
    same(chain, store.latest_chain("SPX"))


def test_live_and_simulated_data_do_not_mix(store: PostgresStore, make_chain: MakeChain) -> None:
    anchor = datetime(2026, 2, 20, 14, 29, 30, 123456, tzinfo=UTC)
    simulated = FeedState("tradestation", True, anchor, anchor + timedelta(days=3), 60.0)
    live = FeedState("tradestation", False)
    store.announce_feed(live)
    store.announce_feed(simulated)  # nothing stored yet: a change of mind is free
    assert store.feed_state() == simulated
    store.write_minute(batch(make_chain()))
    store.announce_feed(replace(simulated, speed=1.0))
    with pytest.raises(OriginConflict, match=r"holds simulated data .* must not be mixed with live data"):
        store.announce_feed(live)
    assert store.feed_state().simulated


def test_underlyings_are_all_symbols_with_data(store: PostgresStore, make_chain: MakeChain) -> None:
    store.write_bars(
        [bar(symbol="QQQ"), bar(symbol="AAPL"), bar(symbol="QQQ", timestamp=MINUTE + timedelta(minutes=1))]
    )
    store.write_minute(batch(make_chain(strikes=1)))
    chain = make_chain(strikes=1, underlying="IWM", roots=("IWM",))
    store.write_latest(chain, np.ones(2, bool))
    assert store.underlyings() == ["AAPL", "IWM", "QQQ", "SPX"]


def test_notices_reach_another_store_and_survive_a_cut_connection(
    store: PostgresStore, database: DatabaseConfig, make_chain: MakeChain
) -> None:
    listener = PostgresStore(database)
    assert list(listener.notices(0.05)) == []
    store.write_minute(batch(make_chain(strikes=1)))
    store.write_latest(make_chain(strikes=1), np.ones(4, bool))
    assert list(listener.notices(0.2)) == [Notice("minute", "SPX"), Notice("latest", "SPX")]
    with psycopg.connect(**database.parameters(), autocommit=True) as connection:
        connection.execute(CUT_SESSIONS, ["listener"])
    assert list(listener.notices(0.1)) == []
    assert list(listener.notices(1.0)) == []
    store.write_minute(batch(None))
    assert list(listener.notices(0.2)) == [Notice("minute", "SPX")]
    listener.close()


def test_a_killed_session_is_replaced_without_an_error(
    store: PostgresStore, database: DatabaseConfig, make_chain: MakeChain
) -> None:
    store.write_minute(batch(make_chain()))
    with psycopg.connect(**database.parameters(), autocommit=True) as connection:
        connection.execute(CUT_SESSIONS, [""])
    later = make_chain(seed=3)
    store.write_minute(batch(replace(later, received_time=later.received_time + 1)))
    assert len(store.minute_chain("SPX")) == len(later)


def test_an_unreachable_database_is_named_without_its_password() -> None:
    config = DatabaseConfig(host="127.0.0.1", port=1, dbname="gone", user="me", password="canary-secret")
    with pytest.raises(StoreUnavailable, match=r"cannot reach database 'gone' at 127.0.0.1:1 as 'me'") as caught:
        PostgresStore(config).underlyings()
    assert "canary" not in str(caught.value) + repr(config) + repr(caught.value.__cause__)


def test_a_database_without_our_schema_says_what_to_run(postgres_server, database: DatabaseConfig) -> None:
    store = PostgresStore(postgres_server.config("empty_" + database.dbname))
    with pytest.raises(SchemaBehind, match="zerogex db migrate"):
        store.check_schema()
    with pytest.raises(SchemaBehind, match="zerogex db migrate"):
        store.underlyings()
    store.close()


def test_an_unknown_query_or_parameter_is_answered_with_the_known_ones(store: PostgresStore) -> None:
    with pytest.raises(StoreError, match=r"there is no query 'nonsense'; there are .*gex_summary"):
        store.query("nonsense")
    with pytest.raises(StoreError, match=r"has no parameter colour; it takes .*symbol"):
        store.query("gex-summary", colour="red")


def test_readers_follow_the_clock_that_ingest_announced(store: PostgresStore) -> None:
    noon = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
    with FeedClock(store) as clock:
        assert (clock.simulated, clock.speed) == (False, 1.0)
    store.announce_feed(FeedState("tradestation", True, noon, datetime.now(UTC), 10.0))
    with FeedClock(store) as clock:
        assert (clock.simulated, clock.speed) == (True, 10.0)
        assert 0 <= (clock.now() - noon).total_seconds() < 600
