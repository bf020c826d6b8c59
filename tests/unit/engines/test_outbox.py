"""Minutes reach the disk in their order at once, and the database when it lets them."""

import asyncio
import threading
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from zerogex.domain.bar import MinuteBar
from zerogex.domain.gap import DataGap, GapReason
from zerogex.engines import outbox, threads
from zerogex.engines.ingest_diary import Diary
from zerogex.engines.outbox import Outbox
from zerogex.errors import LockHeld, StoreUnavailable
from zerogex.pipeline.enrich import EnrichConfig
from zerogex.pipeline.minutes import ClosedMinute

TEN = datetime(2026, 3, 10, 14, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(threads, "FIRST_PAUSE_S", 0.002)


class Journal:
    """A store with a disk and a database, which can be made to wait, or to be away."""

    def __init__(self):
        self.disk, self.database = [], []
        self.disk_turns, self.database_turns = threading.Event(), threading.Event()
        self.disk_turns.set()
        self.database_turns.set()
        self.trouble = None
        self.asked = 0

    def keep_minute(self, batch):
        assert self.disk_turns.wait(60)
        self.disk.append(batch)

    def drain(self, underlying, most=None):
        self.asked += 1
        assert self.database_turns.wait(60)
        if self.trouble is not None:
            raise self.trouble
        taken, self.disk = self.disk[:most], self.disk[most:] if most else []
        self.database += taken
        return len(taken)

    def minute_chain(self, underlying, timestamp):
        self.drain(underlying, 0)
        return next((one.chain for one in reversed(self.database) if one.timestamp == timestamp and one.chain), None)

    @property
    def labels(self):
        return [batch.timestamp for batch in self.database]


def minute(number, **fields):
    start = TEN + number * MINUTE
    bar = MinuteBar("SPX", start, 600.0, 601.0, 599.0, 600.5, 10, 5)
    return ClosedMinute(start, start + MINUTE, fields.pop("chain", None), fields.pop("bars", (bar,)), **fields)


@asynccontextmanager
async def at_work(store):
    made = Outbox("SPX", store, EnrichConfig(), Diary("SPX"))
    tasks = [asyncio.ensure_future(made.keep()), asyncio.ensure_future(made.drain())]
    try:
        yield made
    finally:
        store.disk_turns.set()
        store.database_turns.set()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def until(condition):
    async with asyncio.timeout(60):
        while True:
            if condition():
                return
            await asyncio.sleep(0.002)


async def test_a_database_that_hangs_keeps_no_minute_from_the_disk():
    store = Journal()
    async with at_work(store) as box:
        store.database_turns.clear()
        box.add([minute(0)])
        await until(lambda: store.asked)
        others = [asyncio.to_thread(store.database_turns.wait, 60) for _ in range(40)]
        hanging = asyncio.gather(*others)  # every thread that asyncio has waits for the database
        for number in range(1, 6):
            box.add([minute(number)])
            await asyncio.wait_for(box.all_kept(), 30)
        assert [batch.timestamp for batch in store.disk] == [TEN + k * MINUTE for k in range(6)]
        assert box.stored_until == TEN + 6 * MINUTE
        store.database_turns.set()
        await hanging
        await until(lambda: len(store.database) == 6)
        assert store.labels == [TEN + k * MINUTE for k in range(6)]


async def test_a_minute_that_is_kept_is_waited_for_in_the_database_as_long_as_patience_lasts():
    store = Journal()
    async with at_work(store) as box:
        box.add([minute(0)])
        await box.all_kept(60)
        assert store.labels == [TEN]
        store.database_turns.clear()
        box.add([minute(1)])
        await box.all_kept(0.01)
        assert store.labels == [TEN]
        assert [batch.timestamp for batch in store.disk] == [TEN + MINUTE]


async def test_there_is_room_until_too_many_wait_for_a_slow_disk(monkeypatch):
    monkeypatch.setattr(outbox, "MINUTES_MAX", 3)
    store = Journal()
    async with at_work(store) as box:
        store.disk_turns.clear()
        box.add(minute(number) for number in range(2))
        await box.room()
        box.add([minute(2)])
        waiting = asyncio.ensure_future(box.room())
        kept = asyncio.ensure_future(box.all_kept())
        await asyncio.sleep(0.01)
        assert not waiting.done() and not kept.done()
        store.disk_turns.set()
        await waiting
        await kept
        assert len(box) == 0


async def test_a_database_that_is_away_is_asked_until_it_is_back_and_said_once(caplog):
    caplog.set_level("INFO", "zerogex.engines")
    store = Journal()
    async with at_work(store) as box:
        store.trouble = StoreUnavailable("away")
        box.add(minute(number) for number in range(3))
        await until(lambda: store.asked > 5)
        store.trouble = None
        await until(lambda: len(store.database) == 3)
        await until(lambda: "spool recovered" in caplog.messages)
    assert caplog.messages.count("minutes wait on disk") == 1


async def test_a_minute_is_valued_anew_once_its_rows_are_in_the_database(make_chain):
    store = Journal()
    chain = replace(make_chain(as_of=TEN + MINUTE), spot=5000.0)
    gap = DataGap("chains", TEN - MINUTE, TEN, GapReason.STOPPED)
    async with at_work(store) as box:
        store.trouble = StoreUnavailable("away")
        box.add([minute(0, chain=chain)])
        box.add([minute(0, bars=(), reprice=True, revision=True, spot=5010.0, gaps=(gap,))])
        await box.all_kept()
        assert [batch.gaps for batch in store.disk] == [(), (gap,)]  # what is missing waits for no value
        store.trouble = None
        await until(lambda: len(store.database) == 3)
    assert [batch.chain.spot for batch in store.database if batch.chain] == [5000.0, 5010.0]
    assert store.database[-1].gaps == ()


async def test_at_the_end_what_waits_is_kept_and_a_database_that_is_away_is_no_error(caplog):
    store = Journal()
    store.trouble = StoreUnavailable("away")
    box = Outbox("SPX", store, EnrichConfig(), Diary("SPX"))
    box.add(minute(number) for number in range(4))
    assert await box.close() == 4
    assert len(store.disk) == 4
    assert "minutes wait on disk" in caplog.messages


async def test_a_long_spool_does_not_hold_the_end_up(monkeypatch):
    monkeypatch.setattr(outbox, "_LAST_DRAIN_REAL_S", 0.0)
    monkeypatch.setattr(outbox, "_DRAINED_AT_ONCE", 2)
    store = Journal()
    box = Outbox("SPX", store, EnrichConfig(), Diary("SPX"))
    box.add(minute(number) for number in range(6))
    await box.close()
    assert len(store.database) == 2 and len(store.disk) == 4


async def test_another_writer_ends_the_draining():
    store = Journal()
    store.trouble = LockHeld("SPX is now written by process 7")
    box = Outbox("SPX", store, EnrichConfig(), Diary("SPX"))
    with pytest.raises(ExceptionGroup) as raised:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(box.keep())
            tasks.create_task(box.drain())
            box.add([minute(0)])
    assert raised.group_contains(LockHeld, match="process 7")
    assert len(store.disk) == 1
