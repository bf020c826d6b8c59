"""The database stands still for ten minutes while the feed goes on: what waits, what it costs, how soon it is made up.

    python bench/outage.py                                # two minutes, ten of outage, one: 8,000 contracts
    python bench/outage.py --outage 120 --rate 2000 -o outage.json

`zerogex up` runs against bench/replay.py as in bench/load.py.  After a while all processes of its PostgreSQL are
stopped (SIGSTOP: connections are accepted and nothing is answered, the worst way to be away), and let go on later.
Exit code 1 where a limit of the list of faults (F43) is broken: ingest's memory grew by 100 MB, what waited on the
disk took longer than 10 s to be written, or a message, a minute or a contract of one is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from load import Driver, feed
from platform_run import ENGINES, Platform, descendants, told, total, usage
from replay import Schedule, shares

LIMITS = {"grown_mb": 100.0, "drained_s": 10.0}
EVERY_S = 0.5
BEFORE_S, AFTER_S = 120.0, 60.0
MINUTES = """
    SELECT count(*) AS minutes, min(contracts) AS fewest,
           (extract(epoch FROM max(timestamp) - min(timestamp)) / 60 + 1)::int AS expected
    FROM (SELECT timestamp, count(*) AS contracts FROM option_chains WHERE underlying = 'SPX' GROUP BY 1) AS chains
"""


@dataclass(slots=True)
class Watched:
    """What was seen of the platform, second by second."""

    before_mb: dict[str, float] = field(default_factory=dict)
    most_mb: dict[str, float] = field(default_factory=dict)
    spool_mb: float = 0.0
    outage_s: float = 0.0
    drained_s: float | None = None


@contextmanager
def standing_still(postmaster: int) -> Iterator[None]:
    """Every process of a server stopped, and let go on at the end."""
    stopped = [postmaster, *descendants(postmaster)]
    for pid in stopped:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(stopped):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


class Outage:
    """The watch over one platform."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.pids = platform.pids()
        self.seen = Watched()

    async def watch(self, outage_s: float) -> None:
        """Let some time pass, stop the server, let it go on, and wait until nothing waits any more."""
        await asyncio.sleep(BEFORE_S)
        self.seen.before_mb = self._memory()
        began = time.monotonic()
        with standing_still(self.pids["postgres"]):
            while time.monotonic() - began < outage_s:
                await asyncio.sleep(EVERY_S)
                await self._look()
        self.seen.outage_s, back = time.monotonic() - began, time.monotonic()
        waiting = await self._look()
        while waiting:
            await asyncio.sleep(EVERY_S / 5)
            waiting = await self._look()
        self.seen.drained_s = time.monotonic() - back

    async def _look(self) -> float:
        """Note sizes; the bytes that wait (an ingest that does not answer counts as one that has some)."""
        for name, mb in self._memory().items():
            self.seen.most_mb[name] = max(mb, self.seen.most_mb.get(name, 0.0))
        metrics = await asyncio.to_thread(self.platform.metrics)
        waiting = total(metrics, "spool_bytes") if metrics else 1.0
        self.seen.spool_mb = max(self.seen.spool_mb, waiting / 1e6)
        return waiting

    def _memory(self) -> dict[str, float]:
        return {name: usage(self.pids[name]).rss_mb for name in ENGINES}


async def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Run everything once and say what was found."""
    share = shares(asked.contracts, ["SPX"])
    contracts = sum(count for count, _ in share.values())
    seconds = BEFORE_S + asked.outage + AFTER_S
    with feed(asked.contracts, ["SPX"], 0.02) as (url, feed_pid):
        settings = {
            "TRADESTATION_API_URL": url, "STREAM_UNDERLYING": "SPX", "STREAM_STRIKE_DISTANCE": "99%",
            "STREAM_EXPIRATIONS": str(max(count for _, count in share.values())), "BACKFILL_ON_STARTUP": "false",
            "PRICE_MOVE_THRESHOLD": "1000000", "STRIKE_RECALC_INTERVAL": "10000",
        }  # fmt: skip
        with Platform(settings) as platform:
            page = platform.page
            driver = Driver(platform, url, feed_pid, Schedule(asked.rate, seconds))
            await driver.settle(contracts, streamed=True)
            outage = Outage(platform)
            watching = asyncio.create_task(outage.watch(asked.outage))
            end = await driver.run()
            async with asyncio.timeout(300):
                await watching
            kept = stored(platform)
            restarted = [name for name in ENGINES if platform.pids().get(name) != outage.pids[name]]
            metrics = platform.metrics()
    heard = total(metrics, "messages_merged_total", "quotes") + total(metrics, "messages_rejected_total")
    seen = outage.seen
    document: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "load_average": os.getloadavg(), "page": page,
        "asked": {name: value for name, value in vars(asked).items() if name != "output"}, "contracts": contracts,
        "messages": {"sent": end["sent"], "missing": int(end["told"] - heard)}, "minutes": kept, "restarted": restarted,
        "outage_s": round(seen.outage_s, 1), "drained_s": round(seen.drained_s or 0.0, 2),
        "spool_mb": round(seen.spool_mb, 1),
        "memory_mb": {name: [round(seen.before_mb[name], 1), round(seen.most_mb[name], 1)] for name in ENGINES},
    }  # fmt: skip
    return {**document, "broken": broken(document)}


def stored(platform: Platform) -> dict[str, int]:
    """How many minutes the database has, how many it should have, and the contracts of the poorest."""
    argv = [sys.executable, "-m", "zerogex", "query", MINUTES, "-o", "json"]
    env = {**os.environ, "ZEROGEX_HOME": str(platform.home), "ZEROGEX_ENV_FILE": str(platform.home / "none")}
    told = subprocess.run(argv, env=env, cwd=platform.home, capture_output=True, text=True, check=True).stdout
    found: dict[str, int] = json.loads(told)[0]
    return found


def broken(document: dict[str, Any]) -> list[str]:
    """One sentence for each thing that must not be."""
    before, most = document["memory_mb"]["ingest"]
    minutes, sentences = document["minutes"], [f"{name} was started again" for name in document["restarted"]]
    if most - before > LIMITS["grown_mb"]:
        sentences.append(f"ingest grew by {most - before:.0f} MB, allowed are {LIMITS['grown_mb']:g}")
    if document["drained_s"] > LIMITS["drained_s"]:
        sentences.append(f"draining took {document['drained_s']} s, allowed are {LIMITS['drained_s']:g}")
    if document["messages"]["missing"]:
        sentences.append(f"{document['messages']['missing']} messages are missing")
    if minutes["minutes"] != minutes["expected"] or minutes["fewest"] < document["contracts"]:
        sentences.append(f"minutes or contracts are missing: {minutes} of {document['contracts']} contracts")
    return sentences


def main() -> int:
    """Measure, write JSON, and say what is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contracts", type=int, default=8000)
    parser.add_argument("--rate", type=float, default=8000.0, help="messages a second")
    parser.add_argument("--outage", type=float, default=600.0, help="seconds")
    parser.add_argument("-o", "--output", type=Path, help="a file for the JSON; left out: stdout")
    asked = parser.parse_args()
    document = asyncio.run(measure(asked))
    return told(document, asked.output)


if __name__ == "__main__":
    sys.exit(main())
