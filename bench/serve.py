"""How fast a running server answers: summaries at a steady rate, then many WebSockets of which some never read.

    zerogex up --port 8642 &
    python bench/serve.py http://127.0.0.1:8642

Load comes from processes of its own, so that the one measured is the server.  HTTP latency counts from the
moment a request was due, not from when it was sent: a server that falls behind is charged for the queue.
A WebSocket's latency is how much later than the first client each of the others hears the same change.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import socket
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx2
from websockets.asyncio.client import connect

SUMMARY_P99_MS, WEBSOCKET_P99_MS = 50.0, 250.0
TOPICS = ("summary", "strikes")


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def report(name: str, milliseconds: Sequence[float], limit: float) -> bool:
    """Print the distribution; whether its 99th percentile keeps the limit."""
    p50, p99 = percentile(milliseconds, 0.50), percentile(milliseconds, 0.99)
    worst, mean = max(milliseconds), statistics.fmean(milliseconds)
    word = "ok" if p99 <= limit else "TOO SLOW"
    print(f"{name}: {len(milliseconds)} samples, mean {mean:.1f} ms, p50 {p50:.1f}, p99 {p99:.1f} "
          f"(limit {limit:.0f}), worst {worst:.1f}: {word}")  # fmt: skip
    return p99 <= limit


async def summaries(address: str, symbol: str, rate: float, seconds: float) -> list[float]:
    """Latency in milliseconds of each of `rate` requests a second."""
    limits = httpx2.Limits(max_connections=32, max_keepalive_connections=32)
    async with httpx2.AsyncClient(base_url=address, limits=limits, timeout=30) as client:
        path = f"/api/v1/{symbol}/summary"
        (await client.get(path)).raise_for_status()
        begin = time.perf_counter() + 0.1

        async def one(due: float) -> float:
            await asyncio.sleep(max(due - time.perf_counter(), 0.0))
            (await client.get(path)).raise_for_status()
            return (time.perf_counter() - due) * 1000

        return list(await asyncio.gather(*(one(begin + n / rate) for n in range(int(rate * seconds)))))


async def listen(address: str, symbol: str, clients: int, seconds: float) -> list[tuple[str, int, float]]:
    """(topic, seq, when heard) of every change each client hears."""
    heard: list[tuple[str, int, float]] = []
    url = address.replace("http", "ws", 1) + "/ws"
    until = time.perf_counter() + seconds

    async def one(number: int) -> None:
        await asyncio.sleep(number * 0.01)
        async with connect(url, max_size=None, open_timeout=60) as ws:
            await ws.send(json.dumps({"op": "subscribe", "topics": [f"{kind}:{symbol}" for kind in TOPICS]}))
            while (left := until - time.perf_counter()) > 0:
                with contextlib.suppress(TimeoutError):
                    text = await asyncio.wait_for(ws.recv(), left)
                    now = time.time()
                    if text.startswith('{"type":"change"'):
                        topic, seq = text[: text.index(',"data"')].split('"topic":"')[1].split('","seq":')
                        heard.append((topic, int(seq.split(",")[0]), now))

    await asyncio.gather(*(one(number) for number in range(clients)))
    return heard


def stall(address: str, symbol: str, clients: int) -> list[socket.socket]:
    """WebSockets that subscribe to everything and never read a byte; they live as long as the list."""
    where = urlsplit(address)
    sockets = []
    for _ in range(clients):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((where.hostname, where.port))
        sock.sendall(
            f"GET /ws HTTP/1.1\r\nHost: {where.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        sock.recv(1024)
        ask = json.dumps({"op": "subscribe", "topics": [f"{kind}:{symbol}" for kind in (*TOPICS, "profile", "bars")]})
        mask = bytes(4)
        sock.sendall(bytes([0x81, 0x80 | 126]) + len(ask).to_bytes(2, "big") + mask + ask.encode())
        sockets.append(sock)
    return sockets


def _in_process(work: str, pipe: Any, *arguments: Any) -> None:
    pipe.send(asyncio.run({"summaries": summaries, "listen": listen}[work](*arguments)))


def apart(work: str, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Run coroutines in processes of their own; what each gave."""
    running = []
    for arguments in calls:
        mine, theirs = multiprocessing.Pipe()
        process = multiprocessing.Process(target=_in_process, args=(work, theirs, *arguments))
        process.start()
        running.append((process, mine))
    results = [pipe.recv() for _, pipe in running]
    for process, _ in running:
        process.join()
    return results


def delays(heard: list[tuple[str, int, float]]) -> list[float]:
    """Milliseconds each client heard a change after the first one did."""
    by_change: dict[tuple[str, int], list[float]] = defaultdict(list)
    for topic, seq, when in heard:
        by_change[topic, seq].append(when)
    return [(when - min(times)) * 1000 for times in by_change.values() if len(times) > 1 for when in times]


def main() -> int:
    """Measure both, print, and fail where a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", nargs="?", default="http://127.0.0.1:8642")
    parser.add_argument("--symbol", default="SPY")
    parser.add_argument("--rate", type=float, default=200.0, help="summaries a second")
    parser.add_argument("--clients", type=int, default=500, help="WebSockets, the stalled ones among them")
    parser.add_argument("--stalled", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each of the two")
    asked = parser.parse_args()
    (latency,) = apart("summaries", [(asked.address, asked.symbol, asked.rate, asked.seconds)])
    fast = report(f"summary at {asked.rate:g}/s", latency, SUMMARY_P99_MS)
    stalled = stall(asked.address, asked.symbol, asked.stalled)
    reading = asked.clients - len(stalled)
    seconds = asked.seconds + reading * 0.01
    (heard,) = apart("listen", [(asked.address, asked.symbol, reading, seconds)])
    for sock in stalled:
        sock.close()
    late = delays(heard)
    if not late:
        print("no change was heard; is the feed running?")
        return 1
    alive = report(f"{reading} WebSockets beside {len(stalled)} stalled", late, WEBSOCKET_P99_MS)
    return 0 if fast and alive else 1


if __name__ == "__main__":
    raise SystemExit(main())
