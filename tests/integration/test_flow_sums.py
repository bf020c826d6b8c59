"""What each minute's flow adds up to is written with the minute: always what option_chains says, whatever the order."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import psycopg
import pytest

from zerogex.domain.chain import OptionChain
from zerogex.ports import MinuteBatch
from zerogex.store import migrate, upkeep
from zerogex.store.config import DatabaseConfig
from zerogex.store.embedded import EmbeddedServer
from zerogex.store.postgres import PostgresStore

MakeChain = Callable[..., OptionChain]
MINUTE = timedelta(minutes=1)
OPEN = datetime(2026, 2, 20, 14, 30, tzinfo=UTC)  # a Friday, 09:30 in New York
NEXT_OPEN = OPEN + timedelta(days=3)
SUMS = {"flow_totals": "totals", "flow_strikes": "strikes", "flow_expirations": "expirations", "flow_prints": "prints"}
VIEWS = ("flow_by_type", "flow_by_strike", "flow_by_expiration", "flow_smart_money")
Rows = dict[str, list[str]]


def ask(database: DatabaseConfig, text: str, *given: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(**database.parameters(), autocommit=True) as connection:
        return connection.execute(text, given or None).fetchall()  # type: ignore[call-overload,no-any-return]


def kept(database: DatabaseConfig) -> Rows:
    """Every row of the sums, as text: to the last digit."""
    return {table: [row for (row,) in ask(database, f"SELECT t::text FROM {table} AS t ORDER BY 1")] for table in SUMS}


def recomputed(database: DatabaseConfig) -> Rows:
    """What option_chains says now."""
    every = "flow_minutes AS m CROSS JOIN LATERAL flow_of_minute(m.underlying, m.timestamp) AS c"
    return {
        table: [row for (row,) in ask(database, f"SELECT one::text FROM {every}, unnest(c.{part}) AS one ORDER BY 1")]
        for table, part in SUMS.items()
    }


def views(database: DatabaseConfig) -> Rows:
    return {view: [row for (row,) in ask(database, f"SELECT v::text FROM {view} AS v ORDER BY 1")] for view in VIEWS}


def all_summed(database: DatabaseConfig) -> bool:
    (row,) = ask(database, "SELECT coalesce(bool_and(summed), true) FROM flow_minutes")
    return bool(row[0])


def batch(
    make_chain: MakeChain, when: datetime, reading: int = 0, underlying: str = "SPX", strikes: int = 6
) -> MinuteBatch:
    """A minute whose volumes grow with the day; a later reading of it says more."""
    seed = int(when.timestamp()) + reading
    start = NEXT_OPEN if when >= NEXT_OPEN else OPEN
    count = 4 * strikes
    grown = np.random.default_rng(7).integers(0, 90, count) * (int((when - start) / MINUTE) + 2)
    volume = grown + np.random.default_rng(seed).integers(0, 60, count)
    end = when + MINUTE
    chain = make_chain(
        as_of=end, seed=seed, underlying=underlying, roots=(underlying, f"{underlying}W"), strikes=strikes,
        volume=volume, received_time=np.full(count, end.timestamp() + reading),
    )  # fmt: skip
    return MinuteBatch(uuid4(), underlying, when, chain, ())


def write(database: DatabaseConfig, batches: Sequence[MinuteBatch]) -> None:
    store = PostgresStore(database)
    try:
        for one in batches:
            store.write_minute(one)
    finally:
        store.close()


@pytest.fixture
def session(make_chain: MakeChain) -> list[MinuteBatch]:
    """Ten minutes at the open, with a hole of seven in them, and the turn to the next day; two underlyings."""
    stamps = [OPEN + k * MINUTE for k in (0, 1, 2, 3, 10, 11)]
    stamps += [NEXT_OPEN + k * MINUTE for k in (-2, -1, 0, 1)]
    return [batch(make_chain, when, underlying=symbol) for when in stamps for symbol in ("SPX", "NDX")]


def test_the_sums_are_what_the_rows_say_and_the_views_show_them(
    database: DatabaseConfig, session: list[MinuteBatch]
) -> None:
    write(database, session)
    sums = kept(database)
    assert sums == recomputed(database)
    assert all(sums.values())
    assert all_summed(database)
    shown = views(database)
    assert [len(shown[view]) for view in VIEWS[1:]] == [len(sums[table]) for table in list(SUMS)[1:]]
    totals = ask(database, "SELECT call_volume, put_volume, unplaced_volume FROM flow_by_type")
    deltas = ask(database, "SELECT sum(volume_delta) FROM option_chains_with_deltas")
    assert sum(map(sum, totals)) == deltas[0][0]


@pytest.mark.parametrize("seed", range(4))
def test_minutes_in_any_order_with_prefixes_again_end_in_the_same_bytes(
    new_database: Callable[[], DatabaseConfig], session: list[MinuteBatch], seed: int
) -> None:
    once = new_database()
    write(once, session)
    shuffled = random.Random(seed).sample(session, len(session))
    again = [*shuffled[: seed * 4], *(MinuteBatch(uuid4(), b.underlying, b.timestamp, b.chain, ()) for b in shuffled)]
    other = new_database()
    write(other, [*shuffled, *again])
    assert kept(other) == kept(once) == recomputed(other)
    assert views(other) == views(once)


def test_a_late_reading_replaces_the_sums_of_its_minute_and_of_the_next(
    new_database: Callable[[], DatabaseConfig], make_chain: MakeChain
) -> None:
    stamps = [OPEN + k * MINUTE for k in range(5)]
    first, late = [batch(make_chain, when) for when in stamps], batch(make_chain, stamps[2], reading=9)
    revised = new_database()
    write(revised, first)
    before = {row[0]: row[1:] for row in ask(revised, "SELECT timestamp, xmin::text, t::text FROM flow_totals AS t")}
    write(revised, [late])
    after = {row[0]: row[1:] for row in ask(revised, "SELECT timestamp, xmin::text, t::text FROM flow_totals AS t")}
    assert [when for when in stamps if before[when] != after[when]] == stamps[2:4]
    direct = new_database()
    write(direct, [*first[:2], late, *first[3:]])
    assert kept(revised) == kept(direct) == recomputed(revised)
    write(revised, [MinuteBatch(uuid4(), "SPX", stamps[2], first[2].chain, ())])  # an earlier reading comes after it
    assert kept(revised) == kept(direct) == recomputed(revised)


def test_a_minute_between_two_stored_ones_takes_its_part_from_the_second(
    database: DatabaseConfig, make_chain: MakeChain
) -> None:
    stamps = [OPEN + k * MINUTE for k in range(3)]
    whole = [batch(make_chain, when) for when in stamps]
    write(database, [whole[0], whole[2]])
    both = ask(database, "SELECT sum(call_volume + put_volume) FROM flow_by_type WHERE timestamp > %s", stamps[0])
    write(database, [whole[1]])
    rows = ask(database, "SELECT call_volume + put_volume FROM flow_by_type WHERE timestamp > %s ORDER BY timestamp",
               stamps[0])  # fmt: skip
    assert len(rows) == 2
    assert rows[1][0] < both[0][0]
    assert kept(database) == recomputed(database)


def test_minutes_filled_in_before_the_stored_ones_leave_nothing_old_behind(
    new_database: Callable[[], DatabaseConfig], make_chain: MakeChain
) -> None:
    whole = [batch(make_chain, OPEN + k * MINUTE) for k in range(8)]
    ordered, filled = new_database(), new_database()
    write(ordered, whole)
    write(filled, whole[5:])
    (late,) = ask(filled, "SELECT unplaced_volume FROM flow_by_type ORDER BY timestamp LIMIT 1")
    assert late[0] > 0  # followed from 09:35: the volume before it has no minute
    write(filled, whole[:5])
    assert kept(filled) == kept(ordered)
    assert ask(filled, "SELECT sum(unplaced_volume) FROM flow_by_type") == [(0,)]


def test_the_turn_of_the_day_is_no_neighbourhood(database: DatabaseConfig, make_chain: MakeChain) -> None:
    last, first = batch(make_chain, NEXT_OPEN - MINUTE), batch(make_chain, NEXT_OPEN)
    write(database, [first])
    alone = ask(database, "SELECT t::text, xmin::text FROM flow_totals AS t")
    write(database, [last])
    rows = ask(database, "SELECT t::text, xmin::text FROM flow_totals AS t ORDER BY timestamp")
    assert rows[1:] == alone
    assert ask(database, "SELECT trading_day, previous_timestamp FROM flow_totals WHERE timestamp = %s", NEXT_OPEN) == [
        (NEXT_OPEN.date(), None)
    ]


def test_the_same_minute_again_touches_no_row_of_the_sums(database: DatabaseConfig, session: list[MinuteBatch]) -> None:
    write(database, session)
    versions = [ask(database, f"SELECT t::text, xmin::text, ctid::text FROM {table} AS t ORDER BY 1") for table in SUMS]
    write(database, [MinuteBatch(uuid4(), b.underlying, b.timestamp, b.chain, ()) for b in session])
    assert versions == [
        ask(database, f"SELECT t::text, xmin::text, ctid::text FROM {table} AS t ORDER BY 1") for table in SUMS
    ]


def test_a_minute_read_anew_without_contracts_leaves_the_day(database: DatabaseConfig, make_chain: MakeChain) -> None:
    whole = [batch(make_chain, OPEN + k * MINUTE) for k in range(3)]
    write(database, whole)
    assert whole[1].chain is not None
    nothing = whole[1].chain.select(np.zeros(len(whole[1].chain), bool))
    write(database, [MinuteBatch(uuid4(), "SPX", whole[1].timestamp, nothing, ())])
    assert ask(database, "SELECT timestamp FROM flow_totals ORDER BY 1") == [
        (whole[0].timestamp,),
        (whole[2].timestamp,),
    ]
    assert kept(database) == recomputed(database)


def test_sums_that_are_missing_or_rest_on_another_minute_are_computed_when_asked(
    database: DatabaseConfig, session: list[MinuteBatch]
) -> None:
    write(database, session)
    true = views(database)
    ask_nothing = "DELETE FROM {} WHERE timestamp < '2026-02-20 14:33Z' RETURNING 1"
    for table in SUMS:  # as a database of an older program is: rows, and no sums
        assert ask(database, ask_nothing.format(table))
    assert not all_summed(database)
    assert views(database) == true
    ask(
        database,
        "UPDATE flow_totals SET previous_timestamp = timestamp - interval '9 minutes', net_flow = 1 RETURNING 1",
    )
    ask(database, "UPDATE flow_strikes SET net_flow = 1 RETURNING 1")
    assert views(database) == true


@pytest.mark.parametrize("view", VIEWS)
def test_only_the_minutes_asked_for_are_computed(
    database: DatabaseConfig, session: list[MinuteBatch], view: str
) -> None:
    write(database, session)
    ask(database, "DELETE FROM flow_totals WHERE timestamp <> %s RETURNING 1", OPEN + MINUTE)
    day = f"SELECT count(*) FROM {view} WHERE underlying = 'SPX' AND trading_day = %s AND timestamp >= %s"
    with psycopg.connect(**database.parameters()) as connection:
        connection.execute("SET track_functions = 'all'")
        connection.execute(day, [OPEN.date(), OPEN + 3 * MINUTE])  # type: ignore[arg-type]
        calls = connection.execute(
            "SELECT calls FROM pg_stat_xact_user_functions WHERE funcname = 'flow_of_minute'"
        ).fetchone()
    assert calls == (3,)  # 09:33, 09:40 and 09:41


def test_summing_anew_gives_what_was_summed_with_each_minute(
    database: DatabaseConfig, session: list[MinuteBatch]
) -> None:
    write(database, session)
    incremental, shown = kept(database), views(database)
    for table in SUMS:
        ask(database, f"UPDATE {table} SET confidence = 0.123 RETURNING 1")
    ask(database, "DELETE FROM flow_prints WHERE timestamp = %s RETURNING 1", OPEN)
    later = "underlying, trading_day, timestamp + interval '3 hours', NULL, 1, spot, 0, 0, 0, 0, NULL, 0, 0, 0"
    ask(database, f"INSERT INTO flow_totals SELECT {later} FROM flow_totals WHERE trading_day = %s RETURNING 1",
        OPEN.date())  # fmt: skip
    wrong = views(database)
    assert all(wrong[view] != shown[view] for view in VIEWS)  # views show the sums, they do not add up again
    done = list(upkeep.refresh_views(database))
    assert len(done) == len(session) + 12  # twelve sums had no minute
    assert (kept(database), views(database)) == (incremental, shown)
    assert upkeep.unsummed(database) == 0


def test_a_database_of_the_version_before_has_its_newest_day_summed_and_earlier_ones_computed(
    database: DatabaseConfig,
    postgres_server: EmbeddedServer,
    session: list[MinuteBatch],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(database, session)
    known = migrate.migrations()
    older = postgres_server.config("version_5")
    monkeypatch.setattr(migrate, "migrations", lambda: known[:5])
    migrate.migrate(older)
    for day in {one.timestamp.date() for one in session}:
        ask(older, "SELECT ensure_day('option_chains', %s)", day)
    for table in ("chain_minutes", "option_chains"):
        copy(database, older, table)
    monkeypatch.undo()
    assert "0006_flow_sums" in migrate.migrate(older)
    days = "SELECT DISTINCT trading_day FROM flow_totals ORDER BY 1"
    assert ask(older, days) == ask(database, days)[-1:] == [(NEXT_OPEN.date(),)]
    assert upkeep.unsummed(older) == len(session) - 4
    assert views(older) == views(database)
    assert len(list(upkeep.refresh_views(older))) == len(session)
    assert kept(older) == kept(database)


def copy(source: DatabaseConfig, target: DatabaseConfig, table: str) -> None:
    """The rows of a table into the same table of another database."""
    with (
        psycopg.connect(**source.parameters()) as out,
        psycopg.connect(**target.parameters()) as into,
        out.cursor().copy(f"COPY (SELECT * FROM {table}) TO STDOUT") as reading,
        into.cursor().copy(f"COPY {table} FROM STDIN") as writing,
    ):
        for data in reading:
            writing.write(data)


def test_forgetting_and_clearing_leave_no_sums(
    database: DatabaseConfig, store: PostgresStore, session: list[MinuteBatch]
) -> None:
    write(database, session)
    store.forget_after(OPEN + 2 * MINUTE)
    assert {row[0] for row in ask(database, "SELECT timestamp FROM flow_totals")} == {OPEN, OPEN + MINUTE}
    assert kept(database) == recomputed(database)
    upkeep.clear(database, upkeep.Part.OPTIONS)
    assert not any(kept(database).values())


def test_what_the_spool_kept_is_summed_when_it_is_drained(
    database: DatabaseConfig, session: list[MinuteBatch], tmp_path: Path
) -> None:
    away = PostgresStore(replace(database, port=1, host="127.0.0.1"), spool=tmp_path)
    for one in session[:6]:
        away.write_minute(one)
    away.close()
    assert not any(kept(database).values())
    store = PostgresStore(database, spool=tmp_path)
    assert store.recover("SPX") + store.recover("NDX") == 6
    store.close()
    assert kept(database) == recomputed(database)
    assert len(kept(database)["flow_totals"]) == 6
