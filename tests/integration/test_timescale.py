"""Hypertables: on a server that has TimescaleDB (ZEROGEX_TEST_TIMESCALE_DSN), and the move itself on any server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from zerogex.domain.bar import MinuteBar
from zerogex.domain.chain import OptionChain
from zerogex.errors import LockHeld, StoreUnavailable
from zerogex.ports import MinuteBatch
from zerogex.store import timescale
from zerogex.store.config import DatabaseConfig
from zerogex.store.connections import connect
from zerogex.store.postgres import PostgresStore
from zerogex.store.upkeep import create_database

MINUTE = datetime(2026, 2, 20, 14, 30, tzinfo=UTC)
DSN = os.environ.get("ZEROGEX_TEST_TIMESCALE_DSN")
needs_timescale = pytest.mark.skipif(not DSN, reason="ZEROGEX_TEST_TIMESCALE_DSN names no server")
MakeChain = Callable[..., OptionChain]
# The two functions of TimescaleDB that the move calls, for a server without it: the table stays plain.
STAND_IN = """
    CREATE FUNCTION by_range(text, interval) RETURNS text LANGUAGE sql AS $$ SELECT $1 $$;
    CREATE FUNCTION create_hypertable(regclass, text, create_default_indexes boolean) RETURNS void
    LANGUAGE sql AS $$ SELECT $$;
"""


def write(store: PostgresStore, make_chain: MakeChain, *minutes: int) -> None:
    for number in minutes:
        when = MINUTE + timedelta(minutes=number)
        chain = make_chain(as_of=when + timedelta(minutes=1), volume=np.full(160, 10 + 5 * number))
        bar = MinuteBar("SPX", when, 5010.0, 5020.0, 5000.0, 5012.5, 100 + number, 50 + number)
        store.write_minute(MinuteBatch(uuid4(), "SPX", when, chain, (bar,)))


def answers(store: PostgresStore) -> dict[str, list[tuple[object, ...]]]:
    names = ("flow_by_type", "flow_by_strike", "flow_by_expiration", "flow_smart_money", "flow_buying_pressure",
             "underlying_today", "options_raw", "latest", "quality_fields")  # fmt: skip
    return {name: store.query(name)[1] for name in names}


def test_the_move_keeps_rows_views_and_writing(
    store: PostgresStore, database: DatabaseConfig, make_chain: MakeChain
) -> None:
    write(store, make_chain, 0, 1, 2)
    before = answers(store)
    with connect(database, autocommit=True) as connection:
        connection.execute(STAND_IN)
        with connection.transaction():
            moved = timescale.make_hypertables(connection)
        assert moved == ["gex_calculations", "option_chains", "underlying_quotes"]
        assert timescale.make_hypertables(connection) == []
    assert answers(store) == before
    write(store, make_chain, 2, 3)  # a minute again, and another day's worth of upserts
    assert len(answers(store)["flow_by_type"]) == 4
    store.write_bars([MinuteBar("SPX", MINUTE + timedelta(days=9), 1.0, 1.0, 1.0, 1.0, 1, 1)])


def test_a_server_without_timescaledb_says_so_and_nothing_changes(database: DatabaseConfig) -> None:
    with connect(database) as connection:
        if connection.execute("SELECT FROM pg_available_extensions WHERE name = 'timescaledb'").fetchone():
            pytest.skip("this server has TimescaleDB")
    with pytest.raises(StoreUnavailable, match="has no TimescaleDB; nothing needs it"):
        timescale.convert(database)


@pytest.fixture
def hypertables() -> Iterator[DatabaseConfig]:
    """A fresh migrated database on the server with TimescaleDB."""
    given = conninfo_to_dict(DSN or "")
    config = DatabaseConfig(
        host=str(given.get("host", "localhost")), port=int(given.get("port") or 5432),
        user=str(given.get("user", "postgres")), password=given.get("password"),
        dbname=f"zerogex_test_{uuid4().hex[:12]}",
    )  # fmt: skip
    create_database(config)
    yield config
    with psycopg.connect(DSN or "", autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{config.dbname}" WITH (FORCE)')


@needs_timescale
def test_a_real_hypertable_answers_like_plain_partitions(
    hypertables: DatabaseConfig, store: PostgresStore, make_chain: MakeChain
) -> None:
    other = PostgresStore(hypertables)
    other.migrate()
    for each in (store, other):
        write(each, make_chain, 0, 1, 2)
    with other.writer_lock("SPX"), pytest.raises(LockHeld, match="stop it"):
        timescale.convert(hypertables)
    done = timescale.convert(hypertables, compress_after_days=1, keep_days=3650)
    assert set(done.tables) == set(timescale.COMPRESSION)
    for each in (store, other):
        write(each, make_chain, 2, 3)
    assert answers(other) == answers(store)
    with connect(hypertables, autocommit=True) as connection:
        found = connection.execute("SELECT hypertable_name FROM timescaledb_information.hypertables").fetchall()
        assert {name for (name,) in found} == set(timescale.COMPRESSION)
        if done.compressed:
            connection.execute("SELECT compress_chunk(c) FROM show_chunks('option_chains') AS c")
    assert answers(other) == answers(store)
    assert timescale.convert(hypertables).tables == []
    other.close()
