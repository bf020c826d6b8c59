"""Days of market in hours: what memory, threads and open files do while strikes move and expirations roll.

    python bench/soak_memory.py                       # a week of SPY, 240 times as fast: half an hour
    python bench/soak_memory.py --days 2 --speed 400
    python bench/soak_memory.py --underlying SPX --expirations 10 --strike-distance 15% --speed 30    # 8,000 contracts

`zerogex up` runs on the simulator with a PostgreSQL of its own in a temporary home, a WebSocket client listens, and
every simulated hour the resident memory, threads and descriptors of each engine are noted.  The first simulated day
warms up.  From then on each engine's memory may grow by at most 1 MB an hour of market time, because what can leak
is done so many times an hour of the market: minutes stored, streams opened, contracts listed.  The slope is the
median of the slopes between any two samples (Theil and Sen), which a single jump does not move.  Exit code 1 where
an engine grows faster, where threads or descriptors grow, or where an engine was started again.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

from load import Heard, watch
from platform_run import ENGINES, Platform, Usage, told, total, usage

MONDAY = datetime(2026, 11, 16, 8, 0)  # noqa: DTZ001 - New York, as `zerogex up --start` takes it
MOST_MB_PER_HOUR = 1.0
SPARE_THREADS, SPARE_FILES = 2, 4  # more than at the end of the warm-up: pools that were not full then
WARM_HOURS = 24.0
BUFFERS = {"inbox": 1000, "outbox": 32}  # what ingest lets wait at most

Sample = tuple[float, dict[str, Usage], dict[str, float]]  # simulated hours, engine to usage, buffers and counts


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The median slope between any two points."""
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x2 > x1]
    return statistics.median(slopes) if slopes else 0.0


def judged(samples: Sequence[Sample], warm_hours: float, restarted: Sequence[str] = ()) -> dict[str, Any]:
    """What each engine did after warming up, and one sentence for each thing that must not be."""
    settled = [sample for sample in samples if sample[0] >= warm_hours]
    engines: dict[str, Any] = {}
    broken = [f"{name} was started again" for name in restarted]
    for name in ENGINES:
        seen = [(hour, used[name]) for hour, used, _ in settled if name in used]
        if len(seen) < 3:
            broken.append(f"{name} was seen only {len(seen)} times after the warm-up")
            continue
        rss = [(hour, one.rss_mb) for hour, one in seen]
        per_hour = slope(rss)
        threads, files = ([getattr(one, field) for _, one in seen] for field in ("threads", "files"))
        engines[name] = {
            "mb_per_hour": round(per_hour, 4), "first_mb": round(rss[0][1], 1), "last_mb": round(rss[-1][1], 1),
            "most_mb": round(max(mb for _, mb in rss), 1), "threads": [threads[0], max(threads)],
            "files": [files[0], max(files)],
        }  # fmt: skip
        if per_hour > MOST_MB_PER_HOUR:
            broken.append(f"{name} grows by {per_hour:.2f} MB an hour, allowed are {MOST_MB_PER_HOUR:g}")
        if min(threads[-3:]) > threads[0] + SPARE_THREADS:
            broken.append(f"{name} has {threads[-1]} threads, {threads[0]} after the warm-up")
        if min(files[-3:]) > files[0] + SPARE_FILES:
            broken.append(f"{name} has {files[-1]} open files, {files[0]} after the warm-up")
    for buffer, most in BUFFERS.items():
        if (found := max((counts.get(buffer, 0.0) for _, _, counts in samples), default=0.0)) > most:
            broken.append(f"{found:.0f} items waited in {buffer}, its bound is {most}")
    return {"engines": engines, "broken": broken}


async def soak(platform: Platform, asked: argparse.Namespace) -> tuple[list[Sample], list[str]]:
    """Sample every simulated hour until the days are over."""
    page, heard = platform.page, Heard()
    watching = asyncio.create_task(keep_watching(page, asked.underlying.split(","), heard))
    pids = {name: pid for name, pid in platform.pids().items() if name in ENGINES}
    begun, hour_s = time.monotonic(), 3600 / asked.speed
    samples: list[Sample] = []
    restarted: list[str] = []
    while (hours := (time.monotonic() - begun) / hour_s) < 24 * asked.days:
        now = {name: pid for name, pid in platform.pids().items() if name in ENGINES}
        restarted += [name for name in ENGINES if now.get(name) != pids.get(name) and name not in restarted]
        used = {}
        for name, pid in now.items():
            with suppress(OSError):
                used[name] = usage(pid)
        metrics = await asyncio.to_thread(platform.metrics)
        counts = {name: total(metrics, "buffer_size", f'buffer="{name}"') for name in ("inbox", "outbox")}
        counts["contracts"] = total(metrics, "contracts_followed")
        counts["minutes"] = total(metrics, "minutes_stored_total")
        heard.updates.clear()
        samples.append((hours, used, counts))
        at = MONDAY + timedelta(hours=hours)
        sizes = " ".join(f"{name} {one.rss_mb:.1f}" for name, one in used.items())
        print(f"{at:%a %H:%M}  {sizes}  {counts}", file=sys.stderr, flush=True)
        await asyncio.sleep(max(hour_s - (time.monotonic() - begun) % hour_s, 0.05))
    watching.cancel()
    return samples, restarted


async def keep_watching(page: str, symbols: Sequence[str], heard: Heard) -> None:
    """A browser that stays: connects again where the page closed."""
    while True:
        with suppress(Exception):
            await watch(page, symbols, heard)
        await asyncio.sleep(1.0)


def main() -> int:
    """Run, write JSON, and say what must not be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=float, default=5.0, help="simulated, from a Monday morning on")
    parser.add_argument("--speed", type=float, default=240.0, help="market seconds in a second")
    parser.add_argument("--underlying", default="SPY")
    parser.add_argument("--expirations", type=int, default=3)
    parser.add_argument("--strike-distance", default="5%")
    parser.add_argument("--warm-hours", type=float, default=WARM_HOURS, help="simulated, not judged")
    parser.add_argument("-o", "--output", type=Path, help="a file for the JSON; left out: stdout")
    asked = parser.parse_args()
    options = ["--simulate", "--speed", f"{asked.speed:g}", "--start", f"{MONDAY:%Y-%m-%dT%H:%M}",
               "--underlying", asked.underlying, "--expirations", str(asked.expirations),
               "--strike-distance", asked.strike_distance]  # fmt: skip
    with Platform({}, options) as platform:
        samples, restarted = asyncio.run(soak(platform, asked))
    document = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "asked": {name: value for name, value in vars(asked).items() if name != "output"},
        **judged(samples, asked.warm_hours, restarted),
        "series": [
            [round(hours, 2), {name: round(one.rss_mb, 1) for name, one in used.items()}, counts]
            for hours, used, counts in samples
        ],
    }
    return told(document, asked.output)


if __name__ == "__main__":
    sys.exit(main())
