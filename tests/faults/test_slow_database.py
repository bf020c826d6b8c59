"""A database that is slow, or does not answer, while minutes end, and a kill in the middle of it: P1 holds."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from faults.checks import check_all
from faults.processes import Feed, Ingest, chain_beyond, check_chains, feed, labels
from faults.rig import MINUTE, rig, until
from zerogex.domain.calendar import Session, session_at
from zerogex.store.config import DatabaseConfig
from zerogex.store.embedded import EmbeddedServer
from zerogex.store.postgres import PostgresStore

SLOWLY = 6.0  # market seconds in one: a minute takes ten
LOST_S = 3.0  # of a checkpoint a second, on a busy machine
ENDS_S = 25.0  # five less than systemd waits for (F47)
MINUTES = 5  # that end while the database does not answer


@pytest.fixture
def own(tmp_path: Path) -> Iterator[DatabaseConfig]:
    """A database of a server that this test may stop."""
    with EmbeddedServer(tmp_path / "server", settings={"max_connections": "40"}) as server:
        database = server.config("test_slow")
        PostgresStore(database).migrate()
        yield database


@asynccontextmanager
async def locked(database: DatabaseConfig) -> AsyncIterator[None]:
    """History lets nobody in; the latest rows go on."""
    connection = await asyncio.to_thread(psycopg.connect, **database.parameters())
    try:
        await asyncio.to_thread(connection.execute, "LOCK TABLE option_chains IN ACCESS EXCLUSIVE MODE")
        yield
    finally:
        connection.close()


@asynccontextmanager
async def hanging(database: DatabaseConfig) -> AsyncIterator[None]:
    """The server and all it started stand still; connections stay open, and new ones are never answered."""
    postmaster = int((Path(database.host).parent / "postgres" / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGSTOP)
    pids = [postmaster, *_children(postmaster)]
    for pid in pids[1:]:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)


def _children(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def over_and_kept(market: Feed, ingest: Ingest, since: datetime) -> bool:
    """Whether some minutes ended since an instant, and the newest that is over is acknowledged."""
    kept = ingest.stored.get("SPY", [])
    return sum(label >= since for label in kept) >= MINUTES and market.clock.now() < max(kept) + 2 * MINUTE


@pytest.mark.parametrize("slow", [locked, pytest.param(hanging, marks=pytest.mark.skipif(
    sys.platform != "linux", reason="finds the server's processes by /proc"))])  # fmt: skip
async def test_killed_while_the_database_does_not_answer_no_minute_that_was_over_is_missing(
    slow: Callable[[DatabaseConfig], AsyncIterator[None]], own: DatabaseConfig, tmp_path: Path, seed: int
) -> None:
    async with feed(seed) as market:
        async with Ingest(market, own, tmp_path / "home") as first:
            await chain_beyond(own, "SPY", market.begun, 2)
            async with slow(own):
                since = market.clock.now()
                await until(lambda: over_and_kept(market, first, since))
                first.process.send_signal(signal.SIGKILL)
                assert await first.ended() == -signal.SIGKILL
        kept = first.stored["SPY"]
        began = time.monotonic()
        async with Ingest(market, own, tmp_path / "home") as second:
            await chain_beyond(own, "SPY", market.clock.now(), 2)
            sys.stdout.write(
                f"{slow.__name__}: two minutes after the start stored in {time.monotonic() - began:.1f} s\n"
            )
            assert await second.stop() == 0, second.words
        found = set(labels(own, "SPY"))
        label = min(found)
        while label <= max(kept):
            assert label in found or session_at(label) is not Session.REGULAR, f"{label} was over, and is missing"
            label += MINUTE
        check_chains(own, "SPY", [*kept, *second.stored["SPY"]])


@pytest.mark.skipif(sys.platform != "linux", reason="finds the server's processes by /proc")
async def test_killed_while_the_database_is_away_the_open_minute_loses_its_last_seconds_alone(
    own: DatabaseConfig, tmp_path: Path, seed: int
) -> None:
    async with feed(seed, SLOWLY) as market:
        async with Ingest(market, own, tmp_path / "home") as first:
            await chain_beyond(own, "SPY", market.begun, 1)
            async with hanging(own):
                known = len(first.stored["SPY"])
                await until(lambda: len(first.stored["SPY"]) > known and market.clock.now().second >= 45)
                killed = market.clock.now()
                first.process.send_signal(signal.SIGKILL)
                await first.ended()
        opened = killed.replace(second=0, microsecond=0)
        await until(lambda: market.clock.now() >= opened + MINUTE)  # nobody hears the rest of it
        async with Ingest(market, own, tmp_path / "home") as second:
            await chain_beyond(own, "SPY", opened + MINUTE, 1)
            assert await second.stop() == 0, second.words
        with psycopg.connect(**own.parameters()) as connection:
            asked = "SELECT max(event_time) FROM option_chains WHERE underlying = 'SPY' AND timestamp = %s"
            (newest,) = connection.execute(asked, [opened]).fetchone() or (None,)
        assert newest is not None, f"{opened} was open, and is missing"
        lost_s = (killed - newest).total_seconds() / SLOWLY
        sys.stdout.write(f"{lost_s:.2f} s of the open minute were lost\n")
        assert 0 <= lost_s < LOST_S
        assert "checkpoint found on disk" in {line["event"] for line in second.said}


@pytest.mark.skipif(sys.platform != "linux", reason="finds the server's processes by /proc")
async def test_asked_to_end_while_the_server_hangs_ingest_ends_by_itself_and_the_open_minute_is_on_the_disk(
    own: DatabaseConfig, tmp_path: Path, seed: int
) -> None:
    async with feed(seed) as market:
        async with Ingest(market, own, tmp_path / "home") as first:
            await chain_beyond(own, "SPY", market.begun, 1)
            async with hanging(own):
                known = len(first.stored["SPY"])
                await until(lambda: len(first.stored["SPY"]) > known)
                asked = market.clock.now()
                first.process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(ENDS_S):
                    assert await first.ended() == 0, first.words
        opened = asked.replace(second=0, microsecond=0)
        assert opened in first.stored["SPY"], f"{opened} was open, and is missing"
        async with Ingest(market, own, tmp_path / "home") as second:
            await chain_beyond(own, "SPY", market.clock.now(), 1)
            assert await second.stop() == 0, second.words
        check_chains(own, "SPY", [*first.stored["SPY"], *second.stored["SPY"]])


async def test_minutes_go_on_being_kept_while_the_database_is_slow(
    database: DatabaseConfig, new_database: Callable[[], DatabaseConfig], tmp_path: Path, seed: int
) -> None:
    """Held up for longer than a statement is waited for; then everything drains, and nothing is lost or doubled."""
    async with rig(database, tmp_path / "spool", seed=seed) as run:
        await run.stored(1)
        async with locked(database):
            before = len(run.store.acknowledged)
            await until(lambda: len(run.store.acknowledged) > before + MINUTES)
            stuck = run.minutes()
        await until(lambda: len(run.minutes()) > len(stuck) + MINUTES)
        await check_all(run, new_database)
