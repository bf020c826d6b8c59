"""How fast a running server answers: summaries at a steady rate, then many WebSockets of which some never read.

    zerogex up --port 8642 &
    python bench/serve.py http://127.0.0.1:8642

Load comes from a process of its own that does no more than read the bytes, so that the one measured is the server.
HTTP latency counts from the moment a request was due, not from when it was sent: a server that falls behind is
charged for the queue.  A WebSocket's latency is how much later than the first client each of the others hears the
same change.  Where the server's process is named (--pid), its CPU time is given too: unlike latency it hardly
depends on what else the machine does.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import multiprocessing
import os
import socket
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SUMMARY_P99_MS, WEBSOCKET_P99_MS = 50.0, 250.0
TOPICS = ("summary", "strikes")
CONNECTIONS = 32
Heard = list[tuple[str, int, float]]  # topic, seq, when


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def figures(name: str, milliseconds: Sequence[float], limit: float, **more: Any) -> dict[str, Any]:
    """The distribution, and whether its 99th percentile keeps the limit."""
    p50, p99 = percentile(milliseconds, 0.50), percentile(milliseconds, 0.99)
    said = {
        "name": name,
        "samples": len(milliseconds),
        "mean_ms": statistics.fmean(milliseconds),
        "p50_ms": p50,
        "p99_ms": p99,
        "worst_ms": max(milliseconds),
        "p99_limit_ms": limit,
        "reached": p99 <= limit,
        **more,
    }
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in said.items()}


def cpu_seconds(pid: int | None) -> float:
    """CPU time a process has used so far; NaN where it is not known."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# -- summaries ---------------------------------------------------------------------------------------------------------


class Asker:
    """One connection that asks the same thing again and again."""

    def __init__(self, request: bytes) -> None:
        self._request = request

    async def connect(self, host: str, port: int) -> Asker:
        """Open it."""
        self._reader, self._writer = await asyncio.open_connection(host, port)
        return self

    async def ask(self) -> None:
        """Ask, and read the answer to its end; raises RuntimeError where it is not 200."""
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.split(b"\r\n")[0].decode())
        length = head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]
        await self._reader.readexactly(int(length))


async def summaries(address: str, symbol: str, rate: float, seconds: float) -> list[float]:
    """Latency in milliseconds of each of `rate` requests a second."""
    where = urlsplit(address)
    request = f"GET /api/v1/{symbol}/summary HTTP/1.1\r\nHost: {where.netloc}\r\nAccept-Encoding: gzip\r\n\r\n".encode()
    idle: asyncio.Queue[Asker] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        asker = await Asker(request).connect(str(where.hostname), where.port or 80)
        await asker.ask()
        idle.put_nowait(asker)
    begin = time.perf_counter() + 0.1

    async def one(due: float) -> float:
        await asyncio.sleep(max(due - time.perf_counter(), 0.0))
        asker = await idle.get()
        await asker.ask()
        idle.put_nowait(asker)
        return (time.perf_counter() - due) * 1000

    return list(await asyncio.gather(*(one(begin + n / rate) for n in range(int(rate * seconds)))))


# -- WebSockets --------------------------------------------------------------------------------------------------------


def upgrade(netloc: str) -> bytes:
    """The request that makes a connection a WebSocket."""
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET /ws HTTP/1.1\r\nHost: {netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def subscribe(symbol: str, kinds: Sequence[str]) -> bytes:
    """A frame that asks for topics."""
    text = json.dumps({"op": "subscribe", "topics": [f"{kind}:{symbol}" for kind in kinds]}).encode()
    return bytes([0x81, 0x80 | 126]) + len(text).to_bytes(2, "big") + bytes(4) + text


class Listener(asyncio.Protocol):
    """A client that notes when each change came, without unpacking it."""

    def __init__(self, hello: bytes, ask: bytes, heard: Heard) -> None:
        self._hello, self._ask, self._heard = hello, ask, heard
        self._waiting = bytearray()
        self._upgraded = False
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade and, without waiting for it, for the topics."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._hello)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the server ended it."""
        self.lost = True

    def data_received(self, data: bytes) -> None:
        """Take whole frames off what has come."""
        self._waiting += data
        if not self._upgraded:
            end = self._waiting.find(b"\r\n\r\n")
            if end < 0:
                return
            assert self._waiting.startswith(b"HTTP/1.1 101"), bytes(self._waiting[:200])
            self._upgraded = True
            del self._waiting[: end + 4]
            self._transport.write(self._ask)
        while (frame := self._frame()) is not None:
            code, head = frame
            if code == 9:
                self._transport.write(bytes([0x8A, 0x80 | len(head)]) + bytes(4) + head)
            elif head.startswith(b'{"type":"change"'):
                topic, seq = head.split(b'"topic":"')[1].split(b'","seq":')
                self._heard.append((topic.decode(), int(seq.split(b",")[0]), time.perf_counter()))

    def _frame(self) -> tuple[int, bytes] | None:
        """Opcode and first bytes of the next whole frame."""
        waiting = self._waiting
        if len(waiting) < 2:
            return None
        size, start = waiting[1] & 0x7F, 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(waiting[2:start], "big")
        if len(waiting) < start + size:
            return None
        found = waiting[0] & 0x0F, bytes(waiting[start : start + min(size, 125)])
        del waiting[: start + size]
        return found


async def listen(address: str, symbol: str, clients: int, seconds: float) -> tuple[Heard, int]:
    """(topic, seq, when) of every change each client hears, and how many clients were cut off."""
    where = urlsplit(address)
    loop = asyncio.get_running_loop()
    heard: Heard = []
    listeners = []
    for _ in range(clients):
        made = await loop.create_connection(
            lambda: Listener(upgrade(where.netloc), subscribe(symbol, TOPICS), heard), where.hostname, where.port
        )
        listeners.append(made[1])
        await asyncio.sleep(0.005)
    await asyncio.sleep(1.0)
    heard.clear()  # while clients still come, changes are not the same for all
    await asyncio.sleep(seconds)
    return list(heard), sum(listener.lost for listener in listeners)


def stall(address: str, symbol: str, clients: int) -> list[socket.socket]:
    """WebSockets that subscribe to everything and never read a byte; they live as long as the list."""
    where = urlsplit(address)
    sockets = []
    for _ in range(clients):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((where.hostname, where.port))
        sock.sendall(upgrade(where.netloc))
        sock.recv(1024)
        sock.sendall(subscribe(symbol, (*TOPICS, "profile", "bars")))
        sockets.append(sock)
    return sockets


def delays(heard: Heard) -> list[float]:
    """Milliseconds each client heard a change after the first one did."""
    by_change: dict[tuple[str, int], list[float]] = defaultdict(list)
    for topic, seq, when in heard:
        by_change[topic, seq].append(when)
    return [(when - min(times)) * 1000 for times in by_change.values() if len(times) > 1 for when in times]


# -- both --------------------------------------------------------------------------------------------------------------


def _in_process(work: str, pipe: Any, *arguments: Any) -> None:
    pipe.send(asyncio.run({"summaries": summaries, "listen": listen}[work](*arguments)))


def apart(work: str, *arguments: Any) -> Any:
    """Run a coroutine in a process of its own; what it gave."""
    mine, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_in_process, args=(work, theirs, *arguments))
    process.start()
    theirs.close()
    try:
        return mine.recv()
    finally:
        process.join()


def measure(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Both measurements."""
    before = cpu_seconds(asked.pid)
    latency = apart("summaries", asked.address, asked.symbol, asked.rate, asked.seconds)
    used = (cpu_seconds(asked.pid) - before) / len(latency) * 1000
    rows = [figures(f"summary at {asked.rate:g}/s", latency, SUMMARY_P99_MS, server_cpu_ms_each=used)]
    stalled = stall(asked.address, asked.symbol, asked.stalled)
    reading = asked.clients - len(stalled)
    before = cpu_seconds(asked.pid)
    heard, lost = apart("listen", asked.address, asked.symbol, reading, asked.seconds)
    used = (cpu_seconds(asked.pid) - before) / max(len(heard), 1) * 1000
    for sock in stalled:
        sock.close()
    late = delays(heard)
    if not late:
        raise SystemExit("no change was heard; is the feed running?")
    name = f"{reading} WebSockets beside {len(stalled)} stalled"
    rows.append(figures(name, late, WEBSOCKET_P99_MS, clients_lost=lost, server_cpu_ms_each=used))
    rows[-1]["reached"] = rows[-1]["reached"] and not lost
    return rows


def main() -> int:
    """Measure, print JSON, and fail where a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", nargs="?", default="http://127.0.0.1:8642")
    parser.add_argument("--symbol", default="SPY")
    parser.add_argument("--rate", type=float, default=200.0, help="summaries a second")
    parser.add_argument("--clients", type=int, default=500, help="WebSockets, the stalled ones among them")
    parser.add_argument("--stalled", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each of the two")
    parser.add_argument("--pid", type=int, help="of the server, to give its CPU time")
    rows = measure(parser.parse_args())
    machine = {"cores": os.cpu_count(), "load": [round(value, 2) for value in os.getloadavg()]}
    for row in rows:  # NaN is not JSON
        row.update({key: None for key, value in row.items() if value != value})
    json.dump({"machine": machine, "rows": rows}, sys.stdout, indent=2, allow_nan=False)
    print()
    return 0 if all(row["reached"] for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
