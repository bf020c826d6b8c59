"""A feed that misbehaves (faults F01 to F14): nothing is lost, nothing is counted twice, the engine lives."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from faults.checks import check_all, declared
from faults.rig import IMPATIENT, MINUTE, rig, until
from zerogex.store.config import DatabaseConfig

NewDatabase = Callable[[], DatabaseConfig]


@pytest.mark.parametrize(
    "faults",
    [
        {},
        {"rechunk": True, "crlf": True, "blank_lines": True},
        {"duplicate": 3},
        {"reorder": 40},
        {"cut_after_bytes": 60_000},
        {"eof_after_s": 0.7},
        {"goaway_after_s": 0.8},
        {"goaway_after_s": 0.8, "goaway_as_status": True},
        {"dual_logon_after_s": 0.8},
        {"corrupt": "nan"},
        {"corrupt": "infinity"},
        {"corrupt": "text"},
        {"corrupt": "null"},
        {"corrupt": "negative"},
        {"corrupt": "empty"},
        {"corrupt": "missing"},
        {"corrupt": "truncated"},
        {"corrupt": "garbage"},
        {"corrupt": "deep"},
        {"float32_prices": True, "extra_fields": True, "lower_case": True},
        {"null_fields": True, "crossed": 0.3},
    ],
    ids=lambda faults: ",".join(f"{name}={value}" for name, value in faults.items()) or "none",
)
async def test_everything_sent_is_stored_merged_or_counted(
    faults: dict[str, Any], database: DatabaseConfig, new_database: NewDatabase, tmp_path: Path, seed: int
) -> None:
    async with rig(database, tmp_path / "spool", seed=seed) as run:
        await run.stored(1)
        run.switch(**faults)
        await run.stored(3)
        await check_all(run, new_database)


async def test_ten_streams_and_a_request_at_expiry_make_one_refresh(
    database: DatabaseConfig, new_database: NewDatabase, tmp_path: Path, seed: int
) -> None:
    """F01: the token dies under two underlyings of four expirations each while everything reconnects."""
    async with rig(database, tmp_path / "spool", seed=seed, underlyings=("SPY", "QQQ"), expirations=4) as run:
        await run.stored(1)
        await until(lambda: run.ledger["open_streams"] == 10)
        refreshes = run.ledger["token_requests"]
        run.switch(revoke_tokens=True, eof_after_s=0.01)
        await until(lambda: run.ledger["open_streams"] < 10)
        run.calm()
        await asyncio.gather(run.market.provider.quotes(["SPY"]), run.market.provider.quotes(["QQQ"]))
        await until(lambda: run.ledger["open_streams"] == 10)
        assert run.ledger["token_requests"] == refreshes + 1
        await run.stored(2)
        await check_all(run, new_database)


async def test_a_sign_in_host_in_trouble_stops_no_stream(
    database: DatabaseConfig, new_database: NewDatabase, tmp_path: Path, seed: int
) -> None:
    """F02: tokens live two seconds and the host answers 502 three times at each refresh."""
    async with rig(database, tmp_path / "spool", seed=seed, faults={"token_life_s": 2.0}) as run:
        await run.stored(1)
        run.switch(token_status=502, token_status_count=3, eof_after_s=0.6)
        await run.stored(3)
        await check_all(run, new_database)


@pytest.mark.parametrize("retry_after", ["2", "", "-5", "1000000000", "Fri, 20 Nov 2026 15:30:00 GMT"])
async def test_a_429_costs_no_minute_and_is_not_insisted_on(
    retry_after: str, database: DatabaseConfig, new_database: NewDatabase, tmp_path: Path, seed: int
) -> None:
    """F04: the chain stream is refused; its contracts are polled, and nobody knocks before the time is up."""
    async with rig(database, tmp_path / "spool", seed=seed) as run:
        await run.stored(1)
        refused = {
            "status": 429,
            "status_path": "stream/options/chains",
            "status_headers": {"Retry-After": retry_after},
        }
        knocks = _knocks(run)
        run.switch(eof_after_s=0.5, **refused)
        await until(lambda: "rate_limited" in run.market.kinds())
        run.calm()
        run.switch(**refused)
        await asyncio.sleep(1.5)  # real: somebody who does not wait would knock now
        assert all(later - earlier > 2.0 for earlier, later in pairwise(knocks)), knocks
        await run.stored(2)
        await check_all(run, new_database)
        assert run.counts["polled"] > 0


def _knocks(run: Any) -> list[float]:
    """When each request was refused, in real seconds, from now on; the client hears of it only later."""
    ledger, knocks = run.simulator.exchange.ledger, []
    answered = ledger.answered

    def noted(route: str, status: int) -> None:
        if status == 429:
            knocks.append(time.monotonic())
        answered(route, status)

    ledger.answered = noted
    return knocks


def _refused(run: Any) -> int:
    return sum(count for name, count in run.ledger["requests"].items() if name.endswith(" 429"))


@pytest.mark.parametrize("switches", [{"heartbeat_only": True}, {"stall_after_s": 0.01}], ids=["starved", "half-open"])
async def test_a_feed_without_data_is_noticed_declared_and_opened_again(
    switches: dict[str, Any], database: DatabaseConfig, new_database: NewDatabase, tmp_path: Path, seed: int
) -> None:
    """F09, F10: connections that live on heartbeats, or on nothing at all."""
    async with rig(database, tmp_path / "spool", seed=seed, feed=IMPATIENT) as run:
        await run.stored(1)
        run.switch(**switches)
        word = "silent" if "heartbeat_only" in switches else "reconnecting"
        await until(lambda: word in run.market.kinds())
        await run.market_time(3 * MINUTE)
        run.calm()
        await run.stored(4)
        await check_all(run, new_database)
        reasons = {reason for *_, reason, _ in declared(database, "SPY", "chains")}
        assert reasons & {"silent", "upstream_down"}


async def test_streams_over_the_cap_are_polled(
    database: DatabaseConfig, new_database: NewDatabase, tmp_path: Path, seed: int
) -> None:
    """F13: three streams granted, five wanted; the cap is never exceeded and no contract is left out."""
    cap = {"stream_cap": 3}
    async with rig(database, tmp_path / "spool", seed=seed, faults=cap, expirations=4, feed={"max_streams": 3}) as run:
        await run.stored(4)
        assert run.ledger["open_streams"] <= 3 and _refused(run) == 0
        await check_all(run, new_database)
        assert run.counts["polled"] > 0


async def test_a_server_that_closes_what_is_over_its_cap_is_polled(
    database: DatabaseConfig, new_database: NewDatabase, tmp_path: Path, seed: int
) -> None:
    """F12, F13: the server's cap is lower than ours and it closes without a word."""
    cap = {"stream_cap": 2, "cap_mode": "close"}
    async with rig(database, tmp_path / "spool", seed=seed, faults=cap, expirations=3) as run:
        await run.stored(4)
        await check_all(run, new_database)
        assert run.counts["polled"] > 0


async def test_the_law_holds_to_zero_where_we_close_what_still_speaks(
    database: DatabaseConfig, tmp_path: Path, seed: int
) -> None:
    """Four chain streams at full speed are cut off by us in mid-flow: what we left unread is counted, to the object."""
    async with rig(database, tmp_path / "spool", seed=seed, expirations=4, strike_distance="20", analyze=False) as run:
        await run.stored(2)
        await run.stop()
        await until(lambda: run.ledger["open_streams"] == 0)
        assert {stream["end"] for stream in run.ledger["streams"]} == {"client left"}
        assert run.heard > 1000
        assert run.on_the_wire == 0
