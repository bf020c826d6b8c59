"""Several ingest processes (F48): one writer an underlying; others share, stand by, and take over from the dead."""

from __future__ import annotations

import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

import psycopg

from faults.processes import Ingest, chain_beyond, check_chains, feed, labels
from faults.rig import until
from zerogex.store.config import DatabaseConfig

WATCHED = ("SPY", "QQQ", "IWM")
SHARED = {"STREAM_UNDERLYING": ",".join(WATCHED), "STREAM_STRIKE_DISTANCE": "4"}


def writers(database: DatabaseConfig) -> dict[str, int]:
    """Which process holds which underlying now."""
    with psycopg.connect(**database.parameters()) as connection:
        rows = connection.execute(
            "SELECT w.underlying, a.application_name FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid "
            "JOIN writers AS w ON l.objid::bigint = hashtext(w.underlying)::bigint & 4294967295 "
            "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND a.datname = current_database()"
        ).fetchall()
    return {underlying: int(name.split()[2]) for underlying, name in rows if name.startswith("zerogex-writer")}


def held_by(database: DatabaseConfig, *processes: Ingest) -> list[int]:
    """How many underlyings each of some processes writes."""
    found = list(writers(database).values())
    return [found.count(each.process.pid) for each in processes]


async def test_processes_share_a_watch_list_and_a_killed_ones_part_is_taken_over(
    database: DatabaseConfig, tmp_path: Path, seed: int
) -> None:
    async with feed(seed, speed=30.0) as market, Ingest(market, database, tmp_path / "a", "--standby", **SHARED) as one:
        await until(lambda: held_by(database, one) == [3])
        async with Ingest(market, database, tmp_path / "b", INGEST_STANDBY="true", **SHARED) as two:
            await until(lambda: held_by(database, one, two) == [2, 1])  # the newcomer gets its part
            for underlying in WATCHED:
                await chain_beyond(database, underlying, market.clock.now())
            lost = [name for name, pid in writers(database).items() if pid == one.process.pid]
            one.process.send_signal(signal.SIGKILL)
            await one.ended()
            killed_at = market.clock.now()
            began = time.monotonic()
            await until(lambda: held_by(database, two) == [3])
            claimed = time.monotonic() - began
            for underlying in lost:
                await chain_beyond(database, underlying, killed_at)
            sys.stdout.write(f"claimed in {claimed:.1f} s, a minute stored in {time.monotonic() - began:.1f} s\n")
            async with Ingest(market, database, tmp_path / "a", "--standby", **SHARED) as again:
                await until(lambda: held_by(database, two, again) == [2, 1])
                end = market.clock.now() - timedelta(minutes=3)
                await market.settled(database, WATCHED, end)
                assert await again.stop() == 0, again.words
            assert await two.stop() == 0, two.words
        for underlying in WATCHED:
            heard = [stamp for each in (one, two, again) for stamp in each.stored.get(underlying, [])]
            check_chains(database, underlying, heard)
            assert not await market.troubles(database, underlying, end)
    assert len(lost) == 2
    assert writers(database) == {}


async def test_a_standby_takes_over_and_a_third_one_leaves_at_once(
    database: DatabaseConfig, tmp_path: Path, seed: int
) -> None:
    async with feed(seed) as market, Ingest(market, database, tmp_path / "a") as holder:
        await until(lambda: labels(database, "SPY"))
        async with Ingest(market, database, tmp_path / "b", "--standby") as standby:
            await until(lambda: any(line["event"] == "standing by" for line in standby.said))
            async with Ingest(market, database, tmp_path / "c") as third:
                assert await third.ended() == 75
            assert f"by zerogex-writer process {holder.process.pid} on " in third.words
            holder.process.send_signal(signal.SIGKILL)
            await holder.ended()
            killed_at = market.clock.now()
            await chain_beyond(database, "SPY", killed_at, 2)
            end = market.clock.now() - timedelta(minutes=3)
            await market.settled(database, ["SPY"], end)
            assert await standby.stop() == 0, standby.words
        assert any(line["event"] == "underlying claimed" for line in standby.said)
        check_chains(database, "SPY", [*holder.stored["SPY"], *standby.stored["SPY"]])
        assert not await market.troubles(database, "SPY", end)
