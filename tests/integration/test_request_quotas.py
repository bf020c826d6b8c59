"""F05: what all processes of a vendor account send is counted together, and the vendor never has to say no."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import psycopg
import pytest

from served import cut_off
from zerogex.errors import RateLimited
from zerogex.ports import Turn
from zerogex.providers.tradestation.quota import Governor, SharedQuota, account_of
from zerogex.simulator import Faults, Simulator, SimulatorConfig
from zerogex.store.config import DatabaseConfig
from zerogex.store.postgres import PostgresStore

PROCESS = Path(__file__).with_name("quota_process.py")


@pytest.fixture
def stores(database: DatabaseConfig) -> Iterator[tuple[PostgresStore, PostgresStore]]:
    """Two processes' worth of stores on one database."""
    both = PostgresStore(database), PostgresStore(database)
    yield both
    for store in both:
        store.close()


def test_of_all_who_ask_at_once_so_many_pass_and_the_others_hear_how_long(
    stores: tuple[PostgresStore, PostgresStore],
) -> None:
    def take(turn: int) -> Turn:
        return stores[turn % 2].request_quotas.take("account", "options/strikes", 90, 60.0)

    with ThreadPoolExecutor(8) as pool:
        turns = list(pool.map(take, range(120)))
    assert sum(turn.granted_at is not None for turn in turns) == 90
    waits = [turn.wait_s for turn in turns if turn.granted_at is None]
    assert all(30.0 < wait <= 60.0 for wait in waits)
    assert stores[0].request_quotas.take("account", "options/expirations", 90, 60.0).granted_at
    assert stores[0].request_quotas.take("another", "options/strikes", 90, 60.0).granted_at


def test_a_window_slides(stores: tuple[PostgresStore, PostgresStore]) -> None:
    """What is older than the window makes room; nothing else does."""
    assert all(store.request_quotas.take("account", "quotes", 2, 3600.0).granted_at for store in stores)
    assert not stores[0].request_quotas.take("account", "quotes", 2, 3600.0).granted_at
    assert stores[0].request_quotas.take("account", "quotes", 2, 1e-6).granted_at


def test_a_place_in_the_window_counts_from_the_answer_on(
    stores: tuple[PostgresStore, PostgresStore], database: DatabaseConfig
) -> None:
    """A request that was slow on its way arrives late: the window must not forget it before."""
    quotas = stores[0].request_quotas
    first = quotas.take("account", "quotes", 1, 3600.0).granted_at
    assert first is not None
    quotas.settle("account", "quotes", first)
    with psycopg.connect(**database.parameters()) as connection:
        ((sent,),) = connection.execute("SELECT sent FROM vendor_requests").fetchall()
    assert len(sent) == 1 and sent[0] > first


def test_a_ban_holds_everybody_and_a_shorter_one_does_not_shorten_it(
    stores: tuple[PostgresStore, PostgresStore],
) -> None:
    stores[0].request_quotas.ban("account", "quotes", 900.0)
    stores[1].request_quotas.ban("account", "quotes", 5.0)
    turn = stores[1].request_quotas.take("account", "quotes", 500, 300.0)
    assert turn.granted_at is None and 800.0 < turn.banned_s <= 900.0


async def test_a_429_of_one_process_is_known_to_the_other(stores: tuple[PostgresStore, PostgresStore]) -> None:
    one, other = (Governor(30.0, shared=SharedQuota(store.request_quotas, "account")) for store in stores)
    one.ban("quotes", 900.0)
    await one.aclose()
    with pytest.raises(RateLimited) as caught:
        await other.admit("quotes")
    assert 800.0 < (caught.value.retry_after_s or 0.0) <= 900.0


async def test_while_the_database_is_away_each_process_counts_alone(
    stores: tuple[PostgresStore, PostgresStore], database: DatabaseConfig, caplog: pytest.LogCaptureFixture
) -> None:
    governor = Governor(30.0, shared=SharedQuota(stores[0].request_quotas, "account"))
    cut_off(database)
    for _ in range(5):
        await governor.admit("quotes")
    cut_off(database, away=False)
    said = [record for record in caplog.records if record.message == "requests are counted by this process alone"]
    assert len(said) == 1
    with psycopg.connect(**database.parameters()) as connection:
        assert connection.execute("SELECT count(*) FROM vendor_requests").fetchone() == (0,)


async def test_two_processes_at_the_open_break_no_quota(database: DatabaseConfig) -> None:
    """Together they want more than twice what a window grants; the server, which enforces it, counts no violation."""
    faults = Faults(quotas="documented", quota_period_s=2)  # 90 requests, but in 2 s, so that three windows are short
    async with Simulator(SimulatorConfig(port=0, faults=faults)) as simulator:
        where = json.dumps(asdict(database))
        command = [sys.executable, str(PROCESS), simulator.url, where, "SPY", "QQQ", "IWM"]
        pipe = asyncio.subprocess.PIPE
        both = [await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe) for _ in range(2)]
        said = [await process.communicate() for process in both]
        assert [process.returncode for process in both] == [0, 0], said
        for out, _ in said:
            listed, answered = map(int, out.split())
            assert listed == answered > 45
        ledger = simulator.exchange.ledger.as_fields()
        assert ledger["quota_violations"] == {}
        wanted = sum(int(out.split()[0]) for out, _ in said)
        assert ledger["requests"]["option-strikes 200"] == wanted > 90
        assert not any(name.endswith(" 429") for name in ledger["requests"])
    with psycopg.connect(**database.parameters()) as connection:
        rows = connection.execute("SELECT account, resource FROM vendor_requests").fetchall()
    assert {account for account, _ in rows} == {account_of("id", command[2])}


def test_an_account_is_stored_as_a_digest_that_tells_nothing_of_it() -> None:
    named = account_of("my-client-id", "https://api.tradestation.com")
    assert len(named) == 32 and "my-client-id" not in named
    assert named != account_of("my-client-id", "https://sim-api.tradestation.com")
