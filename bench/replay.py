"""A feed for load: the simulated market, its option chains spoken from bytes that are ready before they are due.

    python bench/replay.py --contracts 8000 --symbols SPX

Everything but the chain streams is the simulator itself: sign-in, listings, snapshots, bars, clock.  A chain
stream begins with the simulator's own picture of its window, keeps it as encoded lines in several versions, and
then says them round and round, by a schedule that does not wait for whoever listens: messages have a time at
which they are due, and what a slow reader holds up is said later, never left out.

POST /replay {"rate": 8000, "seconds": 60, "burst_rate": 40000, "burst_seconds": 10, "after_seconds": 20} starts
the schedule; GET /replay says how far it is, with the probes: messages whose volume is one higher than ever
before, so that whoever sees the number knows which message it has seen.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from zerogex.domain.calendar import NEW_YORK, next_session
from zerogex.domain.chain import OptionChain, build_chain
from zerogex.domain.contract import OptionContract, OptionKind
from zerogex.simulator import streams
from zerogex.simulator.config import SimulatorConfig
from zerogex.simulator.exchange import reply
from zerogex.simulator.instruments import INSTRUMENTS
from zerogex.simulator.server import Simulator
from zerogex.simulator.speech import CONTENT_TYPE
from zerogex.simulator.wire import encode

START = datetime(2026, 11, 23, 10, 30, tzinfo=NEW_YORK)  # a Monday with a session
VERSIONS = 8  # of each contract's message, told in turn
TURN_S = 0.02  # what is due in so long is written at once
IDLE_S = 5.0  # before the schedule a stream says a message so often: heartbeats alone would be a feed gone silent
AT_ONCE = 500  # messages in one write at most
STREAMS_MAX = 10  # of an account


@dataclass(frozen=True, slots=True)
class Schedule:
    """How many messages are due by a time: steady, burst, and steady again; nothing after the end."""

    rate: float  # messages a second, all streams together
    seconds: float
    burst_rate: float = 0.0
    burst_seconds: float = 0.0
    after_seconds: float = 0.0

    @property
    def end_s(self) -> float:
        """Seconds from the beginning to the last message."""
        return self.seconds + self.burst_seconds + self.after_seconds

    def due(self, elapsed_s: float) -> float:
        """Messages due `elapsed_s` after the beginning."""
        total, left = 0.0, max(elapsed_s, 0.0)
        for rate, length in self._pieces():
            total += rate * min(left, length)
            left = max(left - length, 0.0)
        return total

    def when(self, messages: float) -> float:
        """The time, in seconds from the beginning, by which so many messages are due."""
        elapsed, left = 0.0, messages
        for rate, length in self._pieces():
            if left <= rate * length:
                return elapsed + (left / rate if rate else 0.0)
            elapsed, left = elapsed + length, left - rate * length
        return elapsed

    def _pieces(self) -> tuple[tuple[float, float], ...]:
        return (
            (self.rate, self.seconds),
            (self.burst_rate, self.burst_seconds),
            (self.rate, self.after_seconds),
        )


@dataclass(frozen=True, slots=True)
class Probe:
    """A message that can be recognised: `number` more contracts traded at a strike than before any probe."""

    symbol: str
    strike: float
    number: int
    due: float  # seconds since the epoch


@dataclass(slots=True)
class Stream:
    """One chain stream: its lines, and how far it is."""

    symbol: str
    lines: list[bytes]
    contracts: int
    probed: dict[str, Any]  # the message that probes are made of
    sent: int = 0
    probes: int = 0
    urgent: list[bytes] = field(default_factory=list)  # probes that are due


class Feed:
    """The schedule, and the streams that keep it."""

    def __init__(self, contracts: int, probe_every_s: float, turn_s: float = TURN_S) -> None:
        self.contracts = contracts
        self.probe_every_s = probe_every_s
        self.turn_s = turn_s
        self.streams: list[Stream] = []
        self.schedule: Schedule | None = None
        self.begun = 0.0  # monotonic
        self.begun_at = 0.0  # seconds since the epoch
        self.told = 0  # messages of all streams: first pictures, idle ones, the schedule's, probes
        self.before = 0  # of those, what was told before the schedule began
        self.left = 0  # streams whose listener went away
        self.probes: list[Probe] = []

    def due(self, stream: Stream) -> int:
        """Messages this stream owes by now, its share of the schedule."""
        if self.schedule is None:
            return 0
        whole = self.schedule.due(time.monotonic() - self.begun)
        return int(whole * stream.contracts / self.contracts)

    def start(self, schedule: Schedule) -> None:
        """Begin to owe messages."""
        self.begun, self.begun_at, self.schedule = time.monotonic(), time.time(), schedule
        self.before = self.told

    async def probe(self) -> None:
        """While the schedule runs, let one stream after the other say a recognisable message."""
        turn = 0
        while True:
            await asyncio.sleep(self.probe_every_s)
            running = self.schedule is not None and time.monotonic() - self.begun < self.schedule.end_s
            if not running or not self.streams:
                continue
            stream, turn = self.streams[turn % len(self.streams)], turn + 1
            stream.probes += 1
            message = {**stream.probed, "Volume": stream.probed["Volume"] + stream.probes}
            strike = float(message["Legs"][0]["StrikePrice"])
            self.probes.append(Probe(stream.symbol, strike, stream.probes, time.time()))
            stream.urgent.append(encode(message) + b"\n")

    def progress(self) -> dict[str, Any]:
        """Everything a driver wants to know."""
        return {
            "streams": len(self.streams), "contracts": sum(stream.contracts for stream in self.streams),
            "told": self.told, "before": self.before, "sent": sum(stream.sent for stream in self.streams),
            "left": self.left,
            "due": sum(self.due(stream) for stream in self.streams) + len(self.probes),
            "begun_at": self.begun_at, "schedule": asdict(self.schedule) if self.schedule else None,
            "probes": [asdict(probe) for probe in self.probes],
        }  # fmt: skip


class ChainReplay(Response):
    """A chain stream from ready bytes."""

    def __init__(self, feed: Feed, asked: streams.StreamResponse) -> None:
        self.feed, self.asked = feed, asked
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        source = self.asked.source
        said = await asyncio.to_thread(source.first)
        stream = await asyncio.to_thread(_stream, source.one.symbol, [fields for _, fields in said], self.feed.streams)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", CONTENT_TYPE)]})
        gone = asyncio.create_task(_gone(receive))
        self.feed.streams.append(stream)
        try:
            await self._speak(stream, send, gone)
        finally:
            gone.cancel()
            self.feed.streams.remove(stream)
            self.feed.left += 1

    async def _speak(self, stream: Stream, send: Send, gone: asyncio.Task[None]) -> None:
        async def write(lines: Sequence[bytes]) -> None:
            self.feed.told += len(lines)
            await send({"type": "http.response.body", "body": b"".join(lines), "more_body": True})

        await write(stream.lines[: stream.contracts])
        place, owed, spoke = 0, 0, time.monotonic()
        while not gone.done():
            if stream.urgent:
                probes, stream.urgent = stream.urgent, []
                await write(probes)
                stream.sent += len(probes)
            owing = min(self.feed.due(stream) - owed, AT_ONCE)
            if owing > 0:
                end = min(place + owing, len(stream.lines))
                await write(stream.lines[place:end])
                owed += end - place
                stream.sent += end - place
                place, spoke = end % len(stream.lines), time.monotonic()
            if owing < AT_ONCE:
                if self.feed.schedule is None and time.monotonic() - spoke > IDLE_S:
                    await write(stream.lines[:1])
                    spoke = time.monotonic()
                await asyncio.wait({gone}, timeout=self.feed.turn_s)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _stream(symbol: str, said: list[dict[str, Any]], others: Sequence[Stream]) -> Stream:
    """The lines of a window: every contract once, then again with other prices, and so on."""
    lines = [encode(_version(fields, turn)) + b"\n" for turn in range(VERSIONS) for fields in said]
    calls = [fields for fields in said if fields["Side"] == "Call"]
    taken = {stream.probed["Strikes"][0] for stream in others if stream.symbol == symbol}
    probed = next((fields for fields in calls if fields["Strikes"][0] not in taken), calls[0])
    return Stream(symbol, lines, len(said), probed)


def _version(fields: dict[str, Any], turn: int) -> dict[str, Any]:
    """A message with its prices a few ticks away: a market that moves and comes back."""
    step = 0.05 * (turn % 4)
    return {**fields, "Bid": f"{float(fields['Bid']) + step:g}", "Ask": f"{float(fields['Ask']) + step:g}"}


def crowded(symbol: str, contracts: int, expirations: int) -> OptionChain:
    """A chain of exactly so many contracts: strikes about the money, expirations on consecutive sessions."""
    one = INSTRUMENTS[symbol]
    assert one.options is not None
    root = one.options.roots[-1][0]
    days: list[date] = []
    day = START.date()
    while len(days) < expirations:
        day = next_session(day)
        days.append(day)
    strikes = -(-contracts // (2 * expirations))
    width = max(round(0.4 * one.anchor / strikes, 1), 0.5)
    center = round(one.anchor / width)
    prices = [Decimal(str(round((center + k) * width, 3))) for k in range(-(strikes // 2), strikes - strikes // 2)]
    listed = [OptionContract(symbol, root, end, price, kind) for end in days for price in prices for kind in OptionKind]
    listed = listed[:contracts]
    bare = build_chain(symbol, one.anchor, START, listed)
    moneyness = np.log(bare.strike / one.anchor)
    return build_chain(
        symbol, one.anchor, START, listed, iv=0.16 - 0.3 * moneyness + 1.5 * moneyness**2,
        volume=np.full(len(listed), 500), open_interest=1000 + np.arange(len(listed)) % 5000,
    )  # fmt: skip


def shares(contracts: int, symbols: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Symbol to (contracts, expirations): all contracts in as many streams as an account may hold.

    Each symbol takes one stream for its bars; a symbol for which none is left is listed with three
    expirations, and polled.
    """
    each = max((STREAMS_MAX - len(symbols)) // len(symbols), 0) or 3
    return {symbol: (contracts // len(symbols), each) for symbol in symbols}


def simulator(
    port: int, contracts: int, symbols: Sequence[str], probe_every_s: float, turn_s: float
) -> tuple[Simulator, Feed]:
    """The server, not yet started, and the feed behind its chain streams."""
    chains = [crowded(symbol, *share) for symbol, share in shares(contracts, symbols).items()]
    feed = Feed(sum(map(len, chains)), probe_every_s, turn_s)

    async def chain(request: Request) -> Response:
        asked = await streams.chains(request)
        assert isinstance(asked, streams.StreamResponse)
        return ChainReplay(feed, asked)

    async def replay(request: Request) -> Response:
        if request.method == "POST":
            feed.start(msgspec.json.decode(await request.body(), type=Schedule))
        return reply(feed.progress())

    routes = [
        Route("/v3/marketdata/stream/options/chains/{underlying}", chain),
        Route("/replay", replay, methods=["GET", "POST"]),
    ]
    config = SimulatorConfig(port=port, start=START, chains=chains)
    return Simulator(config, routes), feed


async def serve(port: int, contracts: int, symbols: Sequence[str], probe_every_s: float, turn_s: float) -> None:
    """Say the address on stdout, then serve until SIGTERM."""
    server, feed = simulator(port, contracts, symbols, probe_every_s, turn_s)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with server:
        print(server.url, flush=True)
        probing = asyncio.create_task(feed.probe())
        await stop.wait()
        probing.cancel()


def main() -> int:
    """Serve the feed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0: any free one; the address is printed")
    parser.add_argument("--contracts", type=int, default=8000, help="of all symbols together")
    parser.add_argument("--symbols", default="SPX", help="comma separated")
    parser.add_argument("--probe-every", type=float, default=0.25, help="seconds between two probes")
    parser.add_argument("--turn", type=float, default=TURN_S, help="seconds of messages in a write; 0.001: one by one")
    asked = parser.parse_args()
    symbols = [name.strip().upper() for name in asked.symbols.split(",") if name.strip()]
    asyncio.run(serve(asked.port, asked.contracts, symbols, asked.probe_every, asked.turn))
    return 0


if __name__ == "__main__":
    sys.exit(main())
