"""Who writes what, when several processes share a watch list."""

import asyncio
from contextlib import asynccontextmanager, contextmanager

import pytest

from zerogex.engines import claims
from zerogex.engines.claims import Claims, share_of
from zerogex.errors import LockHeld, StoreUnavailable

LIST = ("IWM", "QQQ", "SPY")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(claims, "_LOOK_REAL_S", 0.002)


class Database:
    """Locks and sessions that all processes of a test see."""

    def __init__(self):
        self.locked, self.alive = {}, []

    def process(self, name):
        self.alive.append(name)
        return Process(self, name)


class Process:
    """One process's store, and its claims."""

    def __init__(self, database, name):
        self.database, self.name = database, name
        self.recovered, self.lose = [], set()
        self.claims = Claims(self, LIST, self._hold)
        self.task = asyncio.ensure_future(self.claims.run())

    def place_among(self, group):
        assert group == "IWM,QQQ,SPY"
        if self.name not in self.database.alive:
            raise StoreUnavailable("away")
        return self.database.alive.index(self.name), len(self.database.alive)

    @contextmanager
    def writer_lock(self, underlying):
        if underlying in self.database.locked:
            raise LockHeld(f"{underlying} is already being written")
        self.database.locked[underlying] = self.name
        try:
            yield
        finally:
            del self.database.locked[underlying]

    def recover(self, underlying):
        self.recovered.append(underlying)
        return 0

    async def _hold(self, underlying):
        await until(lambda: underlying in self.lose, None)
        self.lose.remove(underlying)
        raise ExceptionGroup("tasks", [LockHeld("somebody was faster")])

    async def die(self):
        self.database.alive.remove(self.name)
        self.task.cancel()
        await asyncio.wait([self.task])


@asynccontextmanager
async def processes(database, *names):
    made = [database.process(name) for name in names]
    try:
        yield made
    finally:
        for each in made:
            each.task.cancel()
        await asyncio.wait([each.task for each in made])


async def until(condition, patience_s=60):
    async with asyncio.timeout(patience_s):
        while True:
            if condition():
                return
            await asyncio.sleep(0.002)


def parts(database):
    return sorted(list(database.locked.values()).count(name) for name in database.alive)


@pytest.mark.parametrize("underlyings", range(8))
@pytest.mark.parametrize("processes", range(1, 6))
def test_shares_cover_the_list_and_differ_by_one_at_most(underlyings, processes):
    shares = [share_of(underlyings, rank, processes) for rank in range(processes)]
    assert sum(shares) == underlyings
    assert max(shares) - min(shares) <= 1


async def test_a_list_is_shared_given_back_and_taken_over():
    database = Database()
    async with processes(database, "one") as [one]:
        await until(lambda: parts(database) == [3])
        assert one.recovered == list(LIST)  # what a spool of an earlier life may hold, whoever writes it now
        async with processes(database, "two", "three", "four") as [two, three, _]:
            await until(lambda: parts(database) == [0, 1, 1, 1])
            await two.die()
            await until(lambda: parts(database) == [1, 1, 1])
            await three.die()
            await until(lambda: parts(database) == [1, 2])
            database.alive.remove("four")
        await until(lambda: database.locked == dict.fromkeys(LIST, "one"))


async def test_what_others_hold_is_waited_for_and_what_is_lost_is_claimed_again():
    database = Database()
    database.locked["SPY"] = "a plain ingest"
    async with processes(database, "one") as [one]:
        await until(lambda: set(one.claims.held) == {"IWM", "QQQ"})
        del database.locked["SPY"]
        await until(lambda: set(one.claims.held) == set(LIST))
        first = one.claims.held["QQQ"]
        one.lose.add("QQQ")
        await until(lambda: one.claims.held.get("QQQ") not in (None, first))
        assert one.recovered[3:] == ["QQQ"]  # a minute that was refused waited in the spool


async def test_while_the_database_is_away_everything_is_kept():
    database = Database()
    async with processes(database, "one") as [one]:
        await until(lambda: parts(database) == [3])
        database.alive.remove("one")
        await asyncio.sleep(0.05)
        assert set(one.claims.held) == set(LIST)
