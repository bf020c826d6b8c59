"""The load bench judges rightly, and its feed speaks so that the real client understands every message."""

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from zerogex.ports import ChainWindow
from zerogex.providers.tradestation.client import TradeStation
from zerogex.providers.tradestation.clock import discover_clock
from zerogex.providers.tradestation.config import TradeStationConfig

BENCH = Path(__file__).resolve().parents[3] / "bench"


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    """The modules of bench/, which import one another by their plain names."""
    sys.path.insert(0, str(BENCH))
    try:
        import load
        import soak_memory  # noqa: F401 - found as an attribute of sys.modules below

        yield load
    finally:
        sys.path.remove(str(BENCH))


@pytest.fixture(scope="module")
def replay(bench: ModuleType) -> Any:
    return sys.modules["replay"]


@pytest.fixture(scope="module")
def soak(bench: ModuleType) -> Any:
    return sys.modules["soak_memory"]


def test_a_schedule_knows_what_is_due_and_when(replay: Any) -> None:
    schedule = replay.Schedule(100.0, 10.0, 1000.0, 2.0, 5.0)
    assert schedule.end_s == 17.0
    assert [schedule.due(at) for at in (-1.0, 0.0, 10.0, 11.0, 12.0, 17.0, 99.0)] == [
        0,
        0,
        1000,
        2000,
        3000,
        3500,
        3500,
    ]
    assert [schedule.when(count) for count in (0, 1000, 2000, 3500)] == [0.0, 10.0, 11.0, 17.0]


def test_a_probe_is_seen_by_the_first_update_with_its_volume(bench: ModuleType, replay: Any) -> None:
    probes = [replay.Probe("SPX", 100.0, number, due) for number, due in ((1, 10.0), (2, 10.5), (3, 12.0))]
    heard = bench.Heard()
    heard.updates["SPX"] = [
        (9.0, {100.0: 500}),
        (10.4, {100.0: 501}),
        (11.5, {100.0: 502, 105.0: 900}),
        (13.0, {100.0: 502}),
    ]
    assert bench.page_delays(probes, heard, begun_at=9.5) == [pytest.approx(0.4), pytest.approx(1.0), float("inf")]
    assert bench.percentile([0.4, 1.0], 0.99) == 1.0
    assert bench.percentile([0.4, float("inf")], 0.99) is None


def test_every_limit_that_is_broken_is_named(bench: ModuleType) -> None:
    good: dict[str, Any] = {
        "asked": {"burst_seconds": 10.0, "seconds": 600.0},
        "messages": {"missing": 0},
        "lag_s": {"recovered_s": 0.4},
        "page_s": {"p99": 1.2},
        "memory": {"most_mb": 580.0, "slope_mb_per_minute": 0.1},
    }
    assert bench.broken(good, streamed=True) == []
    bad = {
        **good,
        "messages": {"missing": 3},
        "lag_s": {"recovered_s": None},
        "page_s": {"p99": None},
        "memory": {"most_mb": 650.0, "slope_mb_per_minute": 9.0},
    }
    assert len(bench.broken(bad, streamed=True)) == 5


def test_rows_for_the_guard_follow_cpu_time_and_memory(bench: ModuleType) -> None:
    document = {
        "cpu_us_per_message": {"steady": {"ingest": 20.0, "feed": 3.0}},
        "memory": {"by_process_mb": {"ingest": 220.0, "up": 60.0}},
    }
    found = {row["name"]: row["ratio"] for row in bench.rows(document, 0.002)}
    assert found == {"load.ingest_cpu_per_message": pytest.approx(0.01), "load.ingest_memory": pytest.approx(2.2)}


def test_a_leak_of_two_megabytes_an_hour_is_named_and_a_single_jump_is_not(soak: Any) -> None:
    def samples(growth: float, jump: float) -> list[Any]:
        found = []
        for hour in range(72):
            sizes = dict.fromkeys(soak.ENGINES, 200.0 + (jump if hour > 40 else 0.0))
            sizes["ingest"] += growth * hour
            used = {name: soak.Usage(size, 0.0, 7, 20) for name, size in sizes.items()}
            found.append((float(hour), used, {"inbox": 3.0}))
        return found

    assert soak.judged(samples(0.0, 30.0), 24.0)["broken"] == []
    assert soak.judged(samples(2.0, 0.0), 24.0)["broken"] == ["ingest grows by 2.00 MB an hour, allowed are 1"]
    assert soak.judged(samples(0.0, 0.0), 24.0, ["serve"])["broken"] == ["serve was started again"]


async def test_the_real_client_hears_every_message_that_the_feed_says(replay: Any) -> None:
    server, feed = replay.simulator(0, 60, ["SPX"], 0.05, 0.01)
    async with server:
        clock = await discover_clock(server.url)
        assert clock is not None
        provider = TradeStation(TradeStationConfig("i", "s", "t", api_url=server.url, auth_url=server.url), clock)
        probing = asyncio.create_task(feed.probe())
        try:
            ((root, day), *_) = await provider.expirations("SPX")
            contracts = await provider.contracts("SPX", root, day)
            window = ChainWindow("SPX", root, day, 7715.0, tuple(contracts))
            heard = 0
            async with asyncio.timeout(60), aclosing(provider.follow_chain(window)) as batches:
                async for quotes in batches:
                    heard += len(quotes)
                    if feed.schedule is None:
                        feed.start(replay.Schedule(600.0, 1.0))
                    told = feed.progress()
                    over = feed.schedule.end_s < time.monotonic() - feed.begun
                    if over and told["sent"] >= told["due"] and heard == told["told"]:
                        break
            told = feed.progress()
            assert told["before"] == len(contracts)
            assert heard == told["told"] == told["before"] + told["sent"]
        finally:
            probing.cancel()
            await provider.aclose()
