"""A database, a spool and a process that fail (faults F23, F26, F27, F41 to F48): no closed minute is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg
import pytest

from faults.checks import check_all, stored_options, table_hashes
from faults.rig import MINUTE, rig, until
from served import cut_off
from zerogex.errors import LockHeld
from zerogex.ports import MinuteBatch
from zerogex.store.config import DatabaseConfig
from zerogex.store.embedded import EmbeddedServer
from zerogex.store.postgres import PostgresStore

NewDatabase = Callable[[], DatabaseConfig]


class Wire:
    """A TCP relay in front of PostgreSQL that can break, swallow or hold back what passes."""

    def __init__(self, server: DatabaseConfig) -> None:
        self._target = f"{server.host}/.s.PGSQL.{server.port}"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.hold = threading.Event()  # set: bytes pass
        self.hold.set()
        self.cut_after = b""  # cut when the client has sent this, before any answer
        self._open: list[socket.socket] = []
        self._made: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break every connection."""
        while self._open:
            one = self._open.pop()
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hold.set()
        self.cut()
        for one in self._made:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
            except OSError:
                return
            self._open += [client, server]
            self._made += [client, server]
            threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, asks: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self.hold.wait()
                sink.sendall(data)
                if asks and self.cut_after and self.cut_after in data:
                    self.cut_after = b""
                    time.sleep(0.1)  # the server has time to do it; its answer meets a closed door
                    source.shutdown(socket.SHUT_RDWR)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextmanager
def wired(database: DatabaseConfig, **changes: object) -> Iterator[tuple[Wire, DatabaseConfig]]:
    wire = Wire(database)
    try:
        password = _password(database)
        yield wire, replace(database, host="127.0.0.1", port=wire.port, password=password, sslmode="disable", **changes)  # type: ignore[arg-type]
    finally:
        wire.close()


def _password(database: DatabaseConfig) -> str:
    return (Path(database.host).parent / "postgres.password").read_text().strip()


async def test_a_database_away_costs_nothing(
    database: DatabaseConfig, new_database: NewDatabase, tmp_path: Path, seed: int
) -> None:
    """F43: refused for ten market minutes; the minutes drain in order after its return."""
    async with rig(database, tmp_path / "spool", seed=seed) as run:
        await run.stored(1)
        await asyncio.to_thread(cut_off, database)
        await run.market_time(10 * MINUTE)
        spooled = len(run.store.acknowledged)
        await asyncio.to_thread(cut_off, database, False)
        await run.stored(5)
        assert spooled > 5
        await check_all(run, new_database)


async def test_sessions_killed_at_any_moment_cost_nothing(
    database: DatabaseConfig, new_database: NewDatabase, tmp_path: Path, seed: int
) -> None:
    """F42: all our sessions are terminated, ten times, whatever they are doing."""
    async with rig(database, tmp_path / "spool", seed=seed) as run:
        await run.stored(1)
        for _ in range(10):
            await asyncio.to_thread(_kill_sessions, database)
            await asyncio.sleep(0.17)
        await run.stored(2)
        await check_all(run, new_database)


def _kill_sessions(database: DatabaseConfig) -> None:
    with psycopg.connect(**database.parameters(), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


async def test_a_server_that_stops_at_once_comes_back_with_everything(
    new_database: NewDatabase, tmp_path: Path, seed: int
) -> None:
    """F41: SIGQUIT (an immediate stop) while minutes are written; drained after its return."""
    with EmbeddedServer(tmp_path / "home", settings={"max_connections": "40"}) as server:
        database = server.config("test_stops")
        PostgresStore(database).migrate()
        async with rig(database, tmp_path / "spool", seed=seed) as run:
            await run.stored(2)
            pid = int((tmp_path / "home" / "postgres" / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGQUIT)
            await run.stored(3)
            await check_all(run, new_database)


async def test_a_wire_that_goes_dead_holds_no_minute_back(
    database: DatabaseConfig, new_database: NewDatabase, tmp_path: Path, seed: int
) -> None:
    """F43: packets vanish without an error; minutes go to the spool after the statement's patience."""
    with wired(database, connect_timeout_s=1.0, statement_timeout_s=1.0) as (wire, slow):
        async with rig(slow, tmp_path / "spool", seed=seed, direct=database) as run:
            await run.stored(1)
            wire.hold.clear()
            before = len(run.store.acknowledged)
            await until(lambda: len(run.store.acknowledged) > before)
            wire.cut()
            wire.hold.set()
            await run.stored(3)
            await check_all(run, new_database)


async def test_an_ambiguous_commit_is_applied_once(
    database: DatabaseConfig, new_database: NewDatabase, tmp_path: Path, seed: int
) -> None:
    """F23: the connection breaks after COMMIT was sent and before its answer came, five times."""
    with wired(database) as (wire, relayed):
        async with rig(relayed, tmp_path / "spool", seed=seed, direct=database) as run:
            await run.stored(1)
            for _ in range(5):
                wire.cut_after = b"COMMIT"
                await until(lambda: not wire.cut_after)
            await run.stored(2)
            await check_all(run, new_database)
        with psycopg.connect(**database.parameters()) as connection:
            rows = connection.execute("SELECT count(*), count(DISTINCT batch_id) FROM ingest_batches").fetchone()
        assert rows is not None and rows[0] == rows[1]


@pytest.mark.parametrize("poison", [np.nan, np.inf, -1.0, 1e12])
def test_a_poison_row_in_a_thousand_costs_itself(
    poison: float, store: PostgresStore, database: DatabaseConfig, make_chain: Callable, seed: int
) -> None:
    """F24, F26: 999 rows of a batch are stored."""
    chain = make_chain(strikes=250)
    row = seed * 37 % len(chain)
    strike = chain.strike.copy()
    strike[row] = poison
    bad = replace(chain, strike=strike)
    store.write_minute(MinuteBatch(_uuid(1), "SPX", chain.as_of - MINUTE, bad, ()))
    assert len(stored_options(database, "SPX")) == len(chain) - 1


def test_the_same_contract_twice_in_a_batch_is_one_row(
    store: PostgresStore, database: DatabaseConfig, make_chain: Callable
) -> None:
    """F27: an upsert may not touch a row twice."""
    chain = make_chain(strikes=50)
    doubled = chain.select(np.arange(len(chain)).repeat(2))
    store.write_minute(MinuteBatch(_uuid(2), "SPX", chain.as_of - MINUTE, doubled, ()))
    assert len(stored_options(database, "SPX")) == len(chain)


def test_gammas_of_the_last_second_are_stored(
    store: PostgresStore, database: DatabaseConfig, make_chain: Callable
) -> None:
    """F25: 124 and 289 are numbers; what overflows is blank, and no batch is lost for it."""
    chain = make_chain(strikes=50)
    gamma = chain.gamma.copy()
    gamma[:4] = 124.0, 289.0, 1e301, np.inf
    store.write_minute(MinuteBatch(_uuid(3), "SPX", chain.as_of - MINUTE, replace(chain, gamma=gamma), ()))
    assert len(stored_options(database, "SPX")) == len(chain)
    back = store.minute_chain("SPX")
    assert back is not None
    known = dict(zip(back.symbol.tolist(), back.gamma.tolist(), strict=True))
    assert [known[symbol] for symbol in chain.symbol[:2]] == [124.0, 289.0]
    assert all(np.isnan(known[symbol]) for symbol in chain.symbol[2:4])


def _uuid(number: int):
    from uuid import UUID

    return UUID(int=number)


def test_every_call_to_the_disk_may_fail_once(
    database: DatabaseConfig, tmp_path: Path, make_chain: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F44: each write, fsync and truncate of the spool fails in turn; the minute is stored all the same."""
    chain = make_chain(strikes=20)
    for name in ("write", "fsync", "ftruncate"):
        for nth in (1, 2, 3):
            store = PostgresStore(database, spool=tmp_path / f"{name}{nth}")
            calls = iter(range(1, 100))
            real = getattr(os, name)

            def failing(*arguments, real=real, calls=calls, nth=nth):
                if next(calls) == nth:
                    raise OSError(28, "No space left on device")
                return real(*arguments)

            batch = MinuteBatch(_uuid(hash((name, nth)) & 0xFFFF), "SPX", chain.as_of - MINUTE * nth, chain, ())
            with monkeypatch.context() as patched:
                patched.setattr(os, name, failing)
                with suppress(OSError):
                    store.write_minute(batch)
            store.recover("SPX")
            stored = store.minute_chain("SPX", batch.timestamp)
            assert stored is not None and len(stored) == len(chain), (name, nth)
            store.close()


async def test_the_second_writer_leaves_at_once_and_the_first_keeps_its_lock(
    database: DatabaseConfig, new_database: NewDatabase, tmp_path: Path, seed: int
) -> None:
    """F48: LockHeld within two seconds, naming the holder; the first one's lost session is taken again."""
    async with rig(database, tmp_path / "spool", seed=seed) as run:
        await run.stored(1)
        other = PostgresStore(database)
        began = time.monotonic()
        with pytest.raises(LockHeld, match=f"process {os.getpid()}"), other.writer_lock("SPY"):
            pass
        assert time.monotonic() - began < 2.0
        await asyncio.to_thread(_kill_sessions, database)
        await run.stored(2)
        with pytest.raises(LockHeld), other.writer_lock("SPY"):
            pass
        other.close()
        await check_all(run, new_database)


def test_replaying_a_minute_changes_no_byte(
    store: PostgresStore, database: DatabaseConfig, make_chain: Callable
) -> None:
    """P5 on the smallest scale, with a gap in the batch."""
    batch = MinuteBatch(_uuid(9), "SPX", make_chain().as_of - MINUTE, make_chain(), ())
    store.write_minute(batch)
    once = table_hashes(database)
    for number in range(3):
        store.write_minute(replace(batch, batch_id=_uuid(100 + number)))
        store.write_minute(batch)
    assert table_hashes(database) == once
