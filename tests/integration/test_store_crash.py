"""No closed minute is lost, and none is counted twice: killed processes, absent databases, damaged files."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import psycopg
import pytest

from zerogex.domain.bar import MinuteBar
from zerogex.domain.chain import OptionChain
from zerogex.errors import LockHeld, StoreError, StoreUnavailable
from zerogex.ports import MinuteBatch
from zerogex.store import connections
from zerogex.store.config import DatabaseConfig
from zerogex.store.connections import connect
from zerogex.store.embedded import EmbeddedServer
from zerogex.store.locks import WriterLocks, holder_name
from zerogex.store.postgres import PostgresStore
from zerogex.store.spool import Spool
from zerogex.store.sql import statement

MINUTE = datetime(2026, 2, 20, 14, 30, tzinfo=UTC)
STEPS = ("after_spool_fsync", "before_begin", "before_commit", "after_commit", "before_spool_trim", "after_trim")
# Only of this database: other workers share the server.
CUT_SESSIONS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name ~ %s AND pid <> pg_backend_pid()
"""
PRELUDE = """
    import os, signal, sys
    from datetime import UTC, datetime
    from pathlib import Path
    from uuid import UUID
    from zerogex.domain.bar import MinuteBar
    from zerogex.ports import MinuteBatch
    from zerogex.store.config import DatabaseConfig
    from zerogex.store.postgres import PostgresStore
    config = DatabaseConfig(host=sys.argv[1], port=int(sys.argv[2]), dbname=sys.argv[3], user="zerogex")
    start = datetime(2026, 2, 20, 14, 30, tzinfo=UTC)
    bar = MinuteBar("SPX", start, 1.0, 2.0, 0.5, 1.5, 10, 20)
    batch = MinuteBatch(UUID(int=7), "SPX", start, None, (bar,))
"""


def run(program: str, database: DatabaseConfig, *arguments: str, **options) -> subprocess.Popen[str]:
    """Another process, speaking to the same database."""
    command = [sys.executable, "-c", textwrap.dedent(PRELUDE) + textwrap.dedent(program)]
    where = [database.host, str(database.port), database.dbname, *arguments]
    return subprocess.Popen([*command, *where], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, **options)


def batch(minute: int = 0, chain: OptionChain | None = None) -> MinuteBatch:
    timestamp = MINUTE + timedelta(minutes=minute)
    return MinuteBatch(uuid4(), "SPX", timestamp, chain, (MinuteBar("SPX", timestamp, 1.0, 2.0, 0.5, 1.5, 10, 20),))


def stored(store: PostgresStore) -> int:
    return len(store.bars("SPX", MINUTE, MINUTE + timedelta(days=1)))


@pytest.mark.parametrize("step", STEPS)
def test_a_process_killed_at_any_step_loses_no_minute_and_doubles_none(
    step: str, store: PostgresStore, database: DatabaseConfig, tmp_path: Path
) -> None:
    program = """
        def step(name):
            if name == sys.argv[5]:
                os.kill(os.getpid(), signal.SIGKILL)
        PostgresStore(config, spool=Path(sys.argv[4]), on_step=step).write_minute(batch)
    """
    with run(program, database, str(tmp_path / "spool"), step) as process:
        assert process.wait() == -signal.SIGKILL
    assert store.recover("SPX") == (0 if step == "after_trim" else 1)
    assert store.recover("SPX") == 0
    assert stored(store) == 1
    with connect(database) as connection:
        assert connection.execute("SELECT count(*), min(batch_id::text) FROM ingest_batches").fetchone() == (
            1,
            "00000000-0000-0000-0000-000000000007",
        )


def test_a_held_lock_names_its_holder_and_ends_with_the_holder(store: PostgresStore, database: DatabaseConfig) -> None:
    program = """
        with PostgresStore(config).writer_lock("SPX"):
            print("held", flush=True)
            sys.stdin.read()
    """
    with run(program, database) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(LockHeld, match=rf"SPX is already being written by .*process {holder.pid} on "):
            store.writer_lock("SPX").__enter__()
        with store.writer_lock("SPY"):
            pass
        holder.kill()
    for _ in range(100):  # the server notices the closed socket by itself
        try:
            with store.writer_lock("SPX"), pytest.raises(LockHeld, match="by this process"):
                store.writer_lock("SPX").__enter__()
            return
        except LockHeld:
            pass
    pytest.fail("the lock outlived its holder")


@pytest.mark.parametrize("alive", [True, False])
def test_a_lock_says_whether_its_holder_was_a_process_of_this_machine_that_is_dead(
    alive: bool, store: PostgresStore, database: DatabaseConfig
) -> None:
    with run("sys.stdin.read()", database) as other:
        with connect(database, holder_name(other.pid), autocommit=True) as session:
            session.execute(statement("try_writer_lock"), {"underlying": "SPX"})
            if not alive:
                other.kill()
                other.wait()
            with pytest.raises(LockHeld, match=rf"process {other.pid} on ") as held:
                store.writer_lock("SPX").__enter__()
        other.kill()
    assert held.value.passing is not alive


def test_a_writer_that_lost_its_lock_to_another_is_fenced_off(
    store: PostgresStore, database: DatabaseConfig, tmp_path: Path
) -> None:
    def cut_lock_session(connection: psycopg.Connection) -> None:
        connection.execute(CUT_SESSIONS, ["zerogex-writer"])

    second = PostgresStore(database, spool=tmp_path / "second")
    with connect(database, autocommit=True) as admin, store.writer_lock("SPX"):
        store.write_minute(batch(0))
        cut_lock_session(admin)
        store.write_minute(batch(1))  # nobody was faster: the lock is taken again
        cut_lock_session(admin)
        with second.writer_lock("SPX"):
            second.write_minute(batch(2))
            with pytest.raises(LockHeld, match="already being written"):
                store.write_minute(batch(3))
            with pytest.raises(LockHeld, match="lost its lock"):
                store._journal.write_batch(batch(4))
        assert stored(store) == 3
    assert store.recover("SPX") == 1  # the refused minute waited in the spool
    assert stored(store) == 4
    second.close()


def test_a_lock_that_is_being_taken_again_does_not_fence_off_its_own_holder(
    store: PostgresStore, database: DatabaseConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads of one process: one renews the lock, the other writes the moment the epoch is higher."""
    raised, go_on = threading.Event(), threading.Event()
    acquire = WriterLocks._acquire

    def slowly(self: WriterLocks, *args: Any, **named: Any) -> Any:
        held = acquire(self, *args, **named)
        raised.set()
        assert go_on.wait(10)
        return held

    with connect(database, autocommit=True) as admin, store.writer_lock("SPX"), ThreadPoolExecutor(2) as threads:
        monkeypatch.setattr(WriterLocks, "_acquire", slowly)
        admin.execute(CUT_SESSIONS, ["zerogex-writer"])
        renewal = threads.submit(store._locks.renew)
        assert raised.wait(10)
        write = threads.submit(store._journal.write_batch, batch(0))
        threading.Timer(0.3, go_on.set).start()
        assert renewal.result(10) is None and write.result(10) is None
    assert stored(store) == 1


def test_while_the_server_keeps_the_session_that_was_cut_minutes_wait_and_the_lock_is_not_given_up(
    store: PostgresStore,
) -> None:
    """A wire that went dead: our end is closed, and the server has not heard of that yet."""
    with store.writer_lock("SPX"), Path(os.devnull).open("rb") as nothing:
        wire = store._locks._held["SPX"].session.fileno()
        other_end = os.dup(wire)
        os.dup2(nothing.fileno(), wire)
        store.keep_minute(batch(0))
        with pytest.raises(StoreUnavailable, match="still keeps SPX for a session of ours"):
            store.drain("SPX")
        assert stored(store) == 0
        os.close(other_end)
        for _ in range(100):
            with suppress(StoreUnavailable):
                store.drain("SPX")
            if stored(store):
                break
            time.sleep(0.05)
        assert stored(store) == 1


def test_what_a_spool_holds_of_an_underlying_that_others_write_never_undoes_their_fuller_bars(
    store: PostgresStore, database: DatabaseConfig, tmp_path: Path
) -> None:
    """A killed process comes back while another one writes its underlying."""
    away = PostgresStore(replace(database, host="127.0.0.1", port=1), spool=tmp_path / "left")
    for minute in range(3):
        away.write_minute(batch(minute))
    fuller = MinuteBar("SPX", MINUTE, 1.0, 2.0, 0.5, 1.6, 30, 40)
    store.write_bars([fuller, MinuteBar("SPX", MINUTE + timedelta(minutes=1), 1.0, 1.0, 1.0, 1.0, 1, 1)])
    back = PostgresStore(database, spool=tmp_path / "left")
    assert back.recover("SPX") == 3
    bars = store.bars("SPX", MINUTE, MINUTE + timedelta(days=1))
    assert [bar.up_volume for bar in bars] == [30, 10, 10]
    assert bars[0].close == 1.6
    back.close()
    away.close()


def test_what_was_heard_takes_the_place_of_trades_from_the_history_whichever_comes_first(
    store: PostgresStore, make_chain: Callable[..., OptionChain]
) -> None:
    """Minutes that wait on a disk are older than what a backfill fetched of them meanwhile."""
    heard = replace(make_chain(), spot=6010.0)
    nothing = np.full(len(heard), np.nan)
    fetched = replace(heard, spot=6000.0, bid=nothing, ask=nothing, received_time=heard.received_time + 3600.0)
    kept = np.arange(len(heard)) > 2  # the history knows more contracts
    for minute, (first, second) in enumerate([("heard", "fetched"), ("fetched", "heard")]):
        written = {"heard": batch(minute, heard.select(kept)), "fetched": batch(minute, fetched)}
        written["fetched"] = replace(written["fetched"], trades_only=True, bars=())
        for name in (first, second):
            store.write_minute(written[name])
        stored_chain = store.minute_chain("SPX", MINUTE + timedelta(minutes=minute))
        assert stored_chain.spot == 6010.0
        assert set(stored_chain.symbol) == set(heard.symbol)
        quoted = np.isfinite(stored_chain.bid)
        assert set(stored_chain.symbol[quoted]) == set(heard.symbol[kept & np.isfinite(heard.bid)])
    store.write_minute(replace(batch(2, fetched), trades_only=True, bars=()))
    assert store.minute_chain("SPX", MINUTE + timedelta(minutes=2)).spot == 6000.0


def test_a_machine_that_was_cut_off_does_not_hand_in_its_frozen_spot(
    store: PostgresStore, database: DatabaseConfig, tmp_path: Path, make_chain: Callable[..., OptionChain]
) -> None:
    """Feed and database out of reach, it went on with the last price it had heard; another one took over."""
    true = replace(make_chain(as_of=MINUTE + timedelta(minutes=1)), spot=6010.0)
    frozen = replace(true, spot=5900.0, spot_time=MINUTE - timedelta(minutes=5))
    away = PostgresStore(replace(database, host="127.0.0.1", port=1), spool=tmp_path / "cut-off")
    for minute in range(2):
        away.write_minute(batch(minute, replace(frozen, as_of=MINUTE + timedelta(minutes=minute + 1))))
    store.write_minute(batch(0, true))
    back = PostgresStore(database, spool=tmp_path / "cut-off")
    assert back.recover("SPX") == 2
    chains = [store.minute_chain("SPX", MINUTE + timedelta(minutes=minute)) for minute in range(2)]
    assert [chain.spot for chain in chains] == [6010.0, 5900.0]  # the second minute nobody else has
    assert [chain.spot_time for chain in chains] == [true.spot_time, frozen.spot_time]
    for closing in (back, away):
        closing.close()


def test_a_commit_cut_off_before_its_answer_is_applied_once(
    store: PostgresStore, database: DatabaseConfig, tmp_path: Path
) -> None:
    """The session dies right before COMMIT, and right after it: the batch's id tells which."""
    for step in ("before_commit", "after_commit"):
        cut = []

        def on_step(name: str, step: str = step, cut: list[str] = cut) -> None:
            if name == step and not cut:
                cut.append(name)
                raise psycopg.OperationalError("server closed the connection unexpectedly")

        cutting = PostgresStore(database, spool=tmp_path / "cut", on_step=on_step)
        cutting.write_minute(batch(len(step)))
        assert cut
        cutting.close()
    assert stored(store) == 2
    with connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM ingest_batches").fetchone() == (2,)


def test_a_disk_that_turned_read_only_keeps_its_minutes_and_the_database_takes_the_others(
    store: PostgresStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store.keep_minute(batch(0))
    [file] = tmp_path.rglob("SPX.spool")
    turn, refuses = file.with_suffix(".draining"), OSError(errno.EROFS, "Read-only file system")
    turn.unlink(missing_ok=True)
    turn.mkdir()  # nothing can be opened for writing: the tests' user may do everything, so a mode would not stop us

    def refuse(*_: object) -> None:
        raise refuses

    with monkeypatch.context() as readonly:
        for call in ("append", "put_checkpoint", "drop_checkpoint"):
            readonly.setattr(Spool, call, refuse)
        store.keep_minute(batch(1))
        store.drop_checkpoint("SPX")
        assert store.recover("SPX") == 0
        with pytest.raises(StoreUnavailable, match=r"the spool .*SPX\.spool cannot be worked on"):
            store.drain("SPX")
    assert stored(store) == 1
    assert {"spool not writable", "checkpoint not removed", "spool not recovered"} <= set(caplog.messages)
    turn.rmdir()
    assert store.drain("SPX") == 1
    assert stored(store) == 2


def test_while_the_database_is_away_minutes_wait_in_the_spool_in_order(
    store: PostgresStore, database: DatabaseConfig, tmp_path: Path, make_chain: Callable[..., OptionChain]
) -> None:
    spool = tmp_path / "away"
    away = PostgresStore(replace(database, host="127.0.0.1", port=1), spool=spool)
    batches = [batch(minute, make_chain(seed=minute)) for minute in range(5)]
    for each in batches:
        away.write_minute(each)
    with pytest.raises(StoreUnavailable):
        away.recover("SPX")
    with pytest.raises(StoreUnavailable, match="cannot reach"):
        away.write_latest(make_chain(), make_chain().is_call)
    with Spool(spool).draining("SPX") as file:
        assert [kept.batch_id for _, kept in file.pending()] == [each.batch_id for each in batches]

    back = PostgresStore(database, spool=spool)
    back.write_minute(batch(5))  # the next success drains what waited
    assert stored(back) == 6
    assert back.recover("SPX") == 0
    back.close()


def test_without_a_spool_an_absent_database_is_an_error(database: DatabaseConfig) -> None:
    with pytest.raises(StoreUnavailable, match="cannot reach"):
        PostgresStore(replace(database, host="127.0.0.1", port=1)).write_minute(batch())


def test_a_full_spool_disk_is_no_loss_while_the_database_is_there(
    store: PostgresStore, database: DatabaseConfig, tmp_path: Path
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "SPX.spool").symlink_to(full)
    there = PostgresStore(database, spool=tmp_path / "full")
    there.write_minute(batch())
    assert stored(there) == 1
    there.close()
    away = PostgresStore(replace(database, host="127.0.0.1", port=1), spool=tmp_path / "full")
    with pytest.raises(StoreError, match=r"neither in the spool .*No space left.* nor in the database") as caught:
        away.write_minute(batch())
    assert caught.value.exit_code == 74


def test_a_minute_the_database_refuses_for_good_steps_aside(
    store: PostgresStore, database: DatabaseConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with connect(database) as connection:  # a rule that our own validation does not know
        connection.execute("ALTER TABLE underlying_quotes ADD CHECK (extract(minute FROM timestamp) <> 31)")
    for minute in range(3):
        store.write_minute(batch(minute))
    assert stored(store) == 2
    assert store.recover("SPX") == 0
    assert (tmp_path / "spool" / "SPX.refused").stat().st_size > 0
    assert "minute refused" in caplog.messages


@pytest.mark.skipif(sys.platform != "linux", reason="finds backends by /proc")
def test_a_server_that_hangs_does_not_hold_a_minute_back(
    store: PostgresStore, database: DatabaseConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_PATIENCE_S", -9.0)  # a second, without waiting for the server's own timeout
    hasty = PostgresStore(replace(database, statement_timeout_s=10.0), spool=tmp_path / "hang")
    assert hasty.underlyings() == []
    text = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with connect(database, autocommit=True) as admin:
        pids = [pid for (pid,) in admin.execute(text)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        hasty.write_minute(batch())  # cut off, and written by another session or kept in the spool
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    hasty.recover("SPX")
    assert stored(store) == 1
    hasty.close()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path / "own", grace_s=0.0) as server:
        yield server
        server.stop(wait_s=20)


def test_a_server_killed_in_the_middle_comes_back_and_the_minutes_with_it(
    own_server: EmbeddedServer, tmp_path: Path, make_chain: Callable[..., OptionChain]
) -> None:
    store = PostgresStore(own_server.config("crash"), spool=tmp_path / "spool")
    store.migrate()
    with store.writer_lock("SPX"):
        chain = make_chain()
        store.write_minute(batch(0, chain))
        store.write_latest(chain, chain.is_call)
        postmaster = int((own_server.data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(postmaster, signal.SIGKILL)
        for minute in range(1, 4):
            store.write_minute(batch(minute, chain))  # each is durable, wherever it went
        own_server.start()
        store.write_minute(batch(4, chain))
        assert stored(store) == 5
        assert store.latest_chain("SPX") is None  # unlogged, so emptied
        store.write_latest(chain, ~chain.is_call)
        assert len(store.latest_chain("SPX")) == len(chain)
    store.close()
