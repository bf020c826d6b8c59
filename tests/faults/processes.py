"""`zerogex ingest` as real processes on one database and one simulated feed, and what must hold of what they left."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from faults.checks import bar_troubles, covered, declared
from faults.rig import MINUTE, MORNING, QUICK, SPEED, until
from zerogex.domain.calendar import Session, session_at
from zerogex.providers.tradestation.client import TradeStation
from zerogex.providers.tradestation.clock import discover_clock
from zerogex.providers.tradestation.config import TradeStationConfig
from zerogex.simulator.config import SimulatorConfig
from zerogex.simulator.server import Simulator
from zerogex.store.config import DatabaseConfig
from zerogex.store.postgres import PostgresStore

FOLLOWED = {"STREAM_EXPIRATIONS": "1", "STREAM_STRIKE_DISTANCE": "8", "LOG_LEVEL": "INFO", "LOG_FORMAT": "json"}


class Ingest:
    """One process in a home of its own, as if it were another machine; what it logged."""

    def __init__(self, feed: Feed, database: DatabaseConfig, home: Path, *options: str, **environment: str) -> None:
        home.mkdir(exist_ok=True)
        clean = {
            name: value
            for name, value in os.environ.items()
            if not re.match(r"(TRADESTATION|DB|STREAM|SERVE|ZEROGEX)_", name)
        }
        where = {"DB_HOST": database.host, "DB_PORT": str(database.port), "DB_NAME": database.dbname}
        mine = {"ZEROGEX_HOME": str(home), "ZEROGEX_ENV_FILE": str(home / "none"), "DB_USER": database.user}
        self.argv = [sys.executable, "-m", "zerogex", "ingest", *options]
        self.env = {**clean, **where, **mine, **FOLLOWED, "TRADESTATION_API_URL": feed.url, **environment}
        self.home, self.said = home, list[dict[str, Any]]()
        self.words = ""

    async def __aenter__(self) -> Ingest:
        pipes = {"stdout": asyncio.subprocess.DEVNULL, "stderr": asyncio.subprocess.PIPE}
        self.process = await asyncio.create_subprocess_exec(*self.argv, env=self.env, cwd=self.home, **pipes)
        self._reader = asyncio.ensure_future(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.ended()

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            try:
                self.said.append(json.loads(line))
            except ValueError:
                self.words += line.decode()

    @property
    def stored(self) -> dict[str, list[datetime]]:
        """Minutes with options that were acknowledged, by underlying."""
        found: dict[str, list[datetime]] = {}
        for line in self.said:
            if line["event"] == "minute stored" and line["contracts"]:
                found.setdefault(line["underlying"], []).append(datetime.fromisoformat(line["minute"]))
        return found

    async def ended(self) -> int:
        """Its exit code."""
        code = await self.process.wait()
        await self._reader
        return code

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()


class Feed:
    """A simulated market in this process, and a provider of ours to ask it for the truth."""

    def __init__(self, simulator: Simulator, market: TradeStation, clock: Any) -> None:
        self.simulator, self.market, self.clock, self.url = simulator, market, clock, simulator.url
        self.begun = clock.now()

    async def settled(self, database: DatabaseConfig, underlyings: Sequence[str], end: datetime) -> None:
        """Wait until every bar before an instant is stored as the feed tells it, or declared."""
        troubles: list[str] = ["not looked yet"]
        try:
            while troubles:
                await asyncio.sleep(0.3)
                troubles = [each for name in underlyings for each in await self.troubles(database, name, end)]
        except asyncio.CancelledError:
            raise AssertionError(f"never settled: {troubles[:3]}") from None

    async def troubles(self, database: DatabaseConfig, underlying: str, end: datetime) -> list[str]:
        """What is wrong with the stored bars before an instant."""
        truth = await self.market.bars(underlying, self.begun - timedelta(hours=12), end)
        return await asyncio.to_thread(bar_troubles, database, underlying, truth)


@asynccontextmanager
async def feed(seed: int, speed: float = SPEED) -> AsyncIterator[Feed]:
    setup = SimulatorConfig(port=0, start=MORNING, speed=speed, seed=seed + 6, heartbeat_s=0.3)
    async with Simulator(setup) as simulator:
        clock = await discover_clock(simulator.url)
        account = TradeStationConfig("id", "secret", "token", api_url=simulator.url, auth_url=simulator.url, **QUICK)
        market = TradeStation(account, clock)
        try:
            yield Feed(simulator, market, clock)
        finally:
            await market.aclose()


def labels(database: DatabaseConfig, underlying: str) -> list[datetime]:
    """Labels of the stored chains, ascending."""
    with psycopg.connect(**database.parameters()) as connection:
        asked = "SELECT timestamp FROM chain_minutes WHERE underlying = %s ORDER BY 1"
        return [stamp for (stamp,) in connection.execute(asked, [underlying]).fetchall()]


def check_chains(database: DatabaseConfig, underlying: str, acknowledged: Sequence[datetime]) -> None:
    """P1, P3: every acknowledged minute is stored; the minutes follow one another, or a declared gap says why not."""
    stored, gaps = labels(database, underlying), declared(database, underlying, "chains")
    assert set(acknowledged) <= set(stored), f"lost after ack: {sorted(set(acknowledged) - set(stored))}"
    label = stored[0]
    while label <= stored[-1]:
        owed = session_at(label) is Session.REGULAR and label not in stored
        assert not owed or covered(label, gaps), f"{underlying} {label} is neither stored nor declared: {gaps}"
        label += MINUTE


def replay(database: DatabaseConfig, spool: Path, underlying: str) -> None:
    """Write once more what a spool file holds."""
    store = PostgresStore(database, spool=spool)
    try:
        store.recover(underlying)
    finally:
        store.close()


async def chain_beyond(database: DatabaseConfig, underlying: str, instant: datetime, count: int = 1) -> None:
    """Wait until so many minutes from an instant on are stored."""
    await until(lambda: sum(label >= instant for label in labels(database, underlying)) >= count)
