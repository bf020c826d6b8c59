"""The whole platform under load: a feed at a given rate, then a burst, and what becomes of every message.

    python bench/load.py                                  # a minute of 8,000 messages/s, ten seconds of 40,000/s
    python bench/load.py --seconds 600 -o load.json       # the ten minutes of docs/performance.md
    python bench/load.py --symbols SPY,QQQ,IWM,AAPL,NVDA,TSLA,MSFT,AMD,NDX,RUT

It starts the feed (bench/replay.py) and `zerogex up` with a PostgreSQL of its own in a temporary home, measures,
and removes everything.  Lag is the age of the newest merged message: how long ago it was due at the feed.  The way
from a message to the page is measured by recognisable messages among the others: from when one was due until a
WebSocket client of /ws hears of it.  The exit code is 1 where a limit of the table is broken or a message is
missing.  An account may hold ten streams: ten symbols take them all for their bars, so their chains are polled, and
the rate, the lag and the probes are those of nobody.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from platform_run import ENGINES, Platform, Usage, family, shared_mb, told, total, usage
from replay import Probe, Schedule, shares
from websockets.asyncio.client import connect

from zerogex.cli.benchmarks.measure import yardstick

SAMPLE_S = 0.25
SETTLED_S = 1.0  # lag below this is no backlog
LIMITS = {"recovered_s": 5.0, "page_p99_s": 1.5, "memory_mb": 600.0}
FLAT_MB_PER_MINUTE = 2.0  # over minutes, not hours: bench/soak_memory.py judges the slope of days
WARM_SHARE = 0.3  # of the steady time, before memory is expected to be flat


@dataclass(frozen=True, slots=True)
class Sample:
    """Everything at one moment."""

    at: float  # seconds since the schedule began
    due: float  # messages
    sent: int
    merged: float
    lag_s: float
    waiting: dict[str, float]  # ingest's buffers
    usage: dict[str, Usage]


@dataclass(slots=True)
class Heard:
    """What the WebSocket client saw: (when, {strike: call volume}) of each update, by symbol."""

    updates: dict[str, list[tuple[float, dict[float, int]]]] = field(default_factory=lambda: defaultdict(list))
    bytes: int = 0


class _Row(msgspec.Struct):
    strike: float
    call_volume: int = 0


class _Strikes(msgspec.Struct):
    by_strike: list[_Row] = []


class _Change(msgspec.Struct):
    type: str
    topic: str = ""
    data: _Strikes | None = None


async def watch(page: str, symbols: Sequence[str], heard: Heard) -> None:
    """Follow what the page follows, and note every update of the strikes; until cancelled."""
    decode = msgspec.json.Decoder(_Change).decode
    topics = [f"{kind}:{symbol}" for symbol in symbols for kind in ("strikes", "summary")]
    async with connect(page.replace("http", "ws", 1) + "/ws", max_size=None, open_timeout=60) as ws:
        await ws.send(json.dumps({"op": "subscribe", "topics": topics}))
        async for text in ws:
            now = time.time()
            heard.bytes += len(text)
            change = decode(text)
            kind, _, symbol = change.topic.partition(":")
            if kind == "strikes" and change.data is not None:
                rows = {row.strike: row.call_volume for row in change.data.by_strike}
                heard.updates[symbol].append((now, rows))


def page_delays(probes: Sequence[Probe], heard: Heard, begun_at: float) -> list[float]:
    """Seconds from when each recognisable message was due until the page knew of it; infinite if it never did."""
    delays = []
    for symbol in {probe.symbol for probe in probes}:
        updates = heard.updates[symbol]
        for probe in (one for one in probes if one.symbol == symbol):
            before = [rows[probe.strike] for at, rows in updates if at < begun_at and probe.strike in rows]
            wanted = (before[-1] if before else 0) + probe.number
            seen = (at for at, rows in updates if at >= probe.due and rows.get(probe.strike, 0) >= wanted)
            delays.append(next(seen, float("inf")) - probe.due)
    return delays


def rows(document: dict[str, Any], yard_s: float) -> list[dict[str, Any]]:
    """What bench/guard.py compares: CPU time of a message against the yardstick of `zerogex bench`, and memory.

    Latencies are left out: they tell more of the machine's other work than of a revision.
    """
    steady = document["cpu_us_per_message"]["steady"]
    found = [
        {"name": f"load.{name}_cpu_per_message", "unit": "us", "best": steady[name],
         "ratio": steady[name] * 1e-6 / yard_s}
        for name in (*ENGINES, "postgres") if steady.get(name)
    ]  # fmt: skip
    most = document["memory"]["by_process_mb"]
    sizes = {name: most[name] for name in ENGINES if name in most}
    return found + [
        {"name": f"load.{n}_memory", "unit": "MB", "best": mb, "ratio": mb / 100} for n, mb in sizes.items()
    ]


@contextmanager
def feed(contracts: int, symbols: Sequence[str], turn_s: float) -> Iterator[tuple[str, int]]:
    """The replay in a process of its own: its address and process."""
    here = Path(__file__).parent
    argv = [sys.executable, str(here / "replay.py"), "--contracts", str(contracts), "--symbols", ",".join(symbols)]
    argv += ["--turn", str(turn_s)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError("the feed did not start")
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


class Driver:
    """One run: samples while the schedule lasts, and the accounts after it."""

    def __init__(self, platform: Platform, feed_url: str, feed_pid: int, schedule: Schedule) -> None:
        self.platform, self.url, self.feed_pid, self.schedule = platform, feed_url, feed_pid, schedule
        self.samples: list[Sample] = []
        self._http = httpx2.AsyncClient(timeout=30, trust_env=False)

    async def ask(self, schedule: Schedule | None = None) -> dict[str, Any]:
        """The feed's progress; with a schedule: start it."""
        if schedule is None:
            return (await self._http.get(f"{self.url}/replay")).json()
        return (await self._http.post(f"{self.url}/replay", content=json.dumps(asdict(schedule)))).json()

    async def merged(self) -> float:
        """Option messages in their minutes."""
        metrics = await asyncio.to_thread(self.platform.metrics)
        return total(metrics, "messages_merged_total", "quotes")

    async def settle(self, contracts: int, streamed: bool, patience_s: float = 180.0) -> None:
        """Wait until every contract is followed and the streams' first pictures are merged."""
        deadline = time.monotonic() + patience_s
        while True:
            progress = await self.ask()
            merged = await self.merged()
            if merged >= contracts and (progress["contracts"] == contracts or not streamed):
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"{merged:.0f} of {contracts} contracts were heard of: {progress}")
            await asyncio.sleep(0.5)

    async def run(self) -> dict[str, Any]:
        """Sample until the schedule is over and everything that was sent is merged, or nothing moves any more."""
        pids = {**self.platform.pids(), "feed": self.feed_pid}
        begun = time.monotonic()
        before = (await self.ask(self.schedule))["before"]
        moved = time.monotonic()
        while True:
            await asyncio.sleep(SAMPLE_S)
            progress = await self.ask()
            metrics = await asyncio.to_thread(self.platform.metrics)
            at = time.monotonic() - begun
            merged = total(metrics, "messages_merged_total", "quotes") - before
            if not self.samples or merged > self.samples[-1].merged:
                moved = time.monotonic()
            lag = max(at - self.schedule.when(max(merged - len(progress["probes"]), 0.0)), 0.0)
            waiting = {
                name: total(metrics, "buffer_size", f'buffer="{name}"') for name in ("inbox", "outbox", "latest")
            }
            over = at > self.schedule.end_s
            self.samples.append(
                Sample(at, progress["due"], progress["sent"], merged, 0.0 if over else lag, waiting, _usages(pids))
            )
            done = merged >= progress["sent"] and progress["sent"] >= progress["due"]
            if over and (done or time.monotonic() - moved > 20):
                return await self.ask()

    def burst_recovered_s(self) -> float | None:
        """Seconds from the end of the burst until the lag was below a second for good; None where it never was."""
        end = self.schedule.seconds + self.schedule.burst_seconds
        after = [sample for sample in self.samples if end <= sample.at <= self.schedule.end_s]
        late = [sample.at for sample in after if sample.lag_s >= SETTLED_S]
        if not after or (late and late[-1] == after[-1].at):
            return None
        return round(next(sample.at for sample in after if not late or sample.at > late[-1]) - end, 2)


def _usages(pids: dict[str, int]) -> dict[str, Usage]:
    found = {}
    for name, pid in pids.items():
        with suppress(OSError):
            found[name] = family(pid) if name == "postgres" else usage(pid)
    return found


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that `share` of all do not exceed; None where there is none, or it never came."""
    ordered = sorted(values)
    found = ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else float("inf")
    return None if found == float("inf") else round(found, 3)


def memory(samples: Sequence[Sample], schedule: Schedule) -> dict[str, Any]:
    """Resident memory of the engines: the most, and how it grew in the steady time after warming up."""
    sums = [(s.at, sum(s.usage[name].rss_mb for name in ENGINES if name in s.usage)) for s in samples]
    steady = [(at, mb) for at, mb in sums if WARM_SHARE * schedule.seconds <= at <= schedule.seconds]
    most = {
        name: round(max((s.usage[name].rss_mb for s in samples if name in s.usage), default=0.0), 1)
        for name in samples[-1].usage
    }
    return {
        "most_mb": round(max(mb for _, mb in sums), 1), "by_process_mb": most,
        "slope_mb_per_minute": round(slope(steady) * 60, 3) if len(steady) > 2 else None,
    }  # fmt: skip


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Least squares: how much the second grows with the first."""
    mean_x, mean_y = (sum(point[k] for point in points) / len(points) for k in (0, 1))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def cpu(samples: Sequence[Sample], since: float, until: float) -> dict[str, float]:
    """Cores each process used between two times of the schedule."""
    within = [sample for sample in samples if since <= sample.at <= until]
    if len(within) < 2:
        return {}
    first, last = within[0], within[-1]
    names = first.usage.keys() & last.usage.keys()
    return {n: round((last.usage[n].cpu_s - first.usage[n].cpu_s) / (last.at - first.at), 3) for n in sorted(names)}


def cpu_us(samples: Sequence[Sample], since: float, until: float) -> dict[str, float]:
    """CPU microseconds each process spent for each message that was merged between two times of the schedule."""
    within = [sample for sample in samples if since <= sample.at <= until]
    messages = within[-1].merged - within[0].merged if within else 0
    if not messages:
        return {}
    seconds = within[-1].at - within[0].at
    return {name: round(cores * seconds / messages * 1e6, 2) for name, cores in cpu(samples, since, until).items()}


async def measure(asked: argparse.Namespace, symbols: Sequence[str]) -> dict[str, Any]:
    """Run everything once and say what was found."""
    share = shares(asked.contracts, symbols)
    contracts = sum(count for count, _ in share.values())
    streamed = len(symbols) < 10
    before = yardstick()
    schedule = Schedule(asked.rate, asked.seconds, asked.burst_rate, asked.burst_seconds, asked.after)
    with feed(asked.contracts, symbols, asked.turn) as (url, feed_pid):
        settings = {
            "TRADESTATION_API_URL": url, "STREAM_UNDERLYING": ",".join(symbols), "STREAM_STRIKE_DISTANCE": "99%",
            "STREAM_EXPIRATIONS": str(max(count for _, count in share.values())), "BACKFILL_ON_STARTUP": "false",
            # Windows that never move: a stream closed by us has words on its way that nobody can account for.
            "PRICE_MOVE_THRESHOLD": "1000000", "STRIKE_RECALC_INTERVAL": "10000",
        }  # fmt: skip
        with Platform(settings) as platform:
            page = platform.page
            driver, heard = Driver(platform, url, feed_pid, schedule), Heard()
            await driver.settle(contracts, streamed)
            watching = asyncio.create_task(watch(page, symbols, heard))
            await asyncio.sleep(asked.warm)
            end = await driver.run()
            await asyncio.sleep(3.0)
            watching.cancel()
            metrics = platform.metrics()
            calls = {engine: store_calls(platform.metrics(engine)) for engine in ENGINES}
            pids = platform.pids()
            engines_shared = shared_mb([pids[name] for name in ENGINES if name in pids])
    document = report(driver, end, heard, metrics, engines_shared, streamed, contracts, asked)
    return {**document, "store_calls": calls, "rows": rows(document, min(before, yardstick())) if streamed else []}


def store_calls(metrics: Mapping[tuple[str, str], float]) -> dict[str, dict[str, float]]:
    """How often an engine called the store, and how long a call took, by the call's name."""
    counts = {labels: value for (name, labels), value in metrics.items() if name == "store_seconds_count"}
    return {
        labels.split('"')[1]: {
            "calls": count,
            "mean_ms": round(metrics["store_seconds_sum", labels] / count * 1000, 2),
        }
        for labels, count in sorted(counts.items())
        if count
    }


def report(
    driver: Driver,
    end: dict[str, Any],
    heard: Heard,
    metrics: dict[tuple[str, str], float],
    engines_shared: float,
    streamed: bool,
    contracts: int,
    asked: argparse.Namespace,
) -> dict[str, Any]:
    """The document, with what was broken."""
    schedule, samples = driver.schedule, driver.samples
    probes = [Probe(**probe) for probe in end["probes"]]
    delays = page_delays(probes, heard, end["begun_at"])
    merged = samples[-1].merged
    rejected = total(metrics, "messages_rejected_total")
    sent, told = end["sent"], end["told"]
    lags = [sample.lag_s for sample in samples if sample.at <= schedule.seconds]
    burst_end = schedule.seconds + schedule.burst_seconds
    document: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "load_average": os.getloadavg(),
        "asked": {name: value for name, value in vars(asked).items() if name != "output"},
        "contracts": contracts, "streams": end["streams"],
        "messages": {"due": end["due"], "sent": sent, "merged": int(merged), "rejected": int(rejected),
                     "missing": int(told - total(metrics, "messages_merged_total", "quotes") - rejected),
                     "streams_opened_again": end["left"]} if streamed else
                    {"merged": int(merged), "rejected": int(rejected)},
        "lag_s": {"steady_p50": percentile(lags, 0.5), "steady_p99": percentile(lags, 0.99),
                  "burst_most": round(max((s.lag_s for s in samples if s.at > schedule.seconds), default=0.0), 2),
                  "recovered_s": driver.burst_recovered_s() if schedule.burst_seconds else None}
                 if streamed else None,
        "page_s": {"probes": len(delays), "never_seen": sum(delay == float("inf") for delay in delays),
                   "p50": percentile(delays, 0.5), "p99": percentile(delays, 0.99),
                   "steady_p99": percentile([d for d, p in zip(delays, _ordered(probes), strict=True)
                                             if p.due - end["begun_at"] < schedule.seconds], 0.99),
                   "updates": {symbol: len(updates) for symbol, updates in heard.updates.items()}},
        "memory": {**memory(samples, schedule), "engines_shared_once_mb": round(engines_shared, 1)},
        "cpu_cores": {"steady": cpu(samples, 0.0, schedule.seconds),
                      "burst": cpu(samples, schedule.seconds, burst_end)},
        "cpu_us_per_message": {"steady": cpu_us(samples, 0.0, schedule.seconds),
                               "burst": cpu_us(samples, schedule.seconds, burst_end)},
        "waiting_most": {name: max(s.waiting[name] for s in samples) for name in ("inbox", "outbox", "latest")},
        "series": [[round(s.at, 2), round(s.lag_s, 2) if streamed else None, int(s.merged)] for s in samples],
    }  # fmt: skip
    document["broken"] = broken(document, streamed)
    return document


def _ordered(probes: Sequence[Probe]) -> list[Probe]:
    """The probes in the order in which `page_delays` tells of them."""
    return [one for symbol in {probe.symbol for probe in probes} for one in probes if one.symbol == symbol]


def broken(document: dict[str, Any], streamed: bool) -> list[str]:
    """One sentence for each limit that does not hold."""
    sentences = []
    messages, lag, page, used = (document[name] for name in ("messages", "lag_s", "page_s", "memory"))
    if streamed and messages["missing"]:
        sentences.append(f"{messages['missing']} messages are missing")
    if streamed and document["asked"]["burst_seconds"]:
        recovered = lag["recovered_s"]
        if recovered is None or recovered > LIMITS["recovered_s"]:
            sentences.append(f"the lag is back after {recovered} s, allowed are {LIMITS['recovered_s']:g} s")
    if streamed and (page["p99"] is None or page["p99"] > LIMITS["page_p99_s"]):
        sentences.append(f"message to page takes {page['p99']} s (p99), allowed are {LIMITS['page_p99_s']:g} s")
    if used["most_mb"] > LIMITS["memory_mb"]:
        sentences.append(f"the engines took {used['most_mb']} MB, allowed are {LIMITS['memory_mb']:g} MB")
    growth = used["slope_mb_per_minute"]
    if growth is not None and document["asked"]["seconds"] >= 300 and growth > FLAT_MB_PER_MINUTE:
        sentences.append(f"memory grows by {growth} MB a minute, allowed are {FLAT_MB_PER_MINUTE:g}")
    return sentences


def main() -> int:
    """Measure, write JSON, and say what is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contracts", type=int, default=8000, help="of all symbols together")
    parser.add_argument("--symbols", default="SPX", help="comma separated, of the simulator's")
    parser.add_argument("--rate", type=float, default=8000.0, help="messages a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the steady rate, before the burst")
    parser.add_argument("--burst-rate", type=float, default=40_000.0)
    parser.add_argument("--burst-seconds", type=float, default=10.0, help="0: no burst")
    parser.add_argument("--after", type=float, default=30.0, help="seconds of the steady rate after the burst")
    parser.add_argument("--warm", type=float, default=10.0, help="seconds between the first picture and the schedule")
    parser.add_argument("--turn", type=float, default=0.02, help="seconds of messages in a write; 0.001: one by one")
    parser.add_argument("-o", "--output", type=Path, help="a file for the JSON; left out: stdout")
    asked = parser.parse_args()
    symbols = [name.strip().upper() for name in asked.symbols.split(",") if name.strip()]
    document = asyncio.run(measure(asked, symbols))
    return told(document, asked.output)


if __name__ == "__main__":
    sys.exit(main())
