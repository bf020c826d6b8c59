"""The whole road in one process: simulated market → provider → ingest → PostgreSQL, every word of it recorded.

The recorders stand at two ports: what the provider said to the engine, and what the engine gave to the
store.  `checks.py` compares them with the simulator's ledger on one side and the tables on the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import psycopg

from zerogex.domain.bar import UnderlyingBar
from zerogex.domain.calendar import minute_of
from zerogex.domain.quote import OptionQuote
from zerogex.engines.analyze import AnalyzeConfig, AnalyzeEngine
from zerogex.engines.ingest import IngestConfig, IngestEngine
from zerogex.ports import ChainWindow, FeedEvent, MinuteBatch
from zerogex.providers.tradestation import streams
from zerogex.providers.tradestation.client import TradeStation
from zerogex.providers.tradestation.clock import discover_clock
from zerogex.providers.tradestation.config import TradeStationConfig
from zerogex.providers.tradestation.gather import Gathered
from zerogex.simulator.config import SimulatorConfig
from zerogex.simulator.faults import Faults, changed
from zerogex.simulator.server import Simulator
from zerogex.store.config import DatabaseConfig
from zerogex.store.postgres import PostgresStore

MORNING = datetime(2026, 11, 20, 14, 45, tzinfo=UTC)  # 9:45 in New York, a Friday with a session
MINUTE = timedelta(minutes=1)
SPEED = 60.0  # a slow machine has six real minutes until the close
QUICK = {"retry_delay_s": 0.1, "poll_interval_s": 0.3, "dual_logon_wait_s": 0.5}
# A test of silence has no 25 s for it: its orders of magnitude are kept.  Elsewhere a machine that stops for two
# seconds is no silence: closing a connection for that would throw away what is on its way.
IMPATIENT = {"inactivity_timeout_s": 2.0, "object_timeout_s": 3.0, "silent_after_s": 1.5}
QUIET_S = 10.0  # without a word, until what is on its way is given up
PATIENCE_S = 300.0  # for any condition; what a fault may cost is measured elsewhere, on a quiet machine
# Windows that never move: a stream closed by us has words on its way that nobody can account for.
STILL = {"expirations": 1, "strike_distance": "8", "price_move_threshold": 1e6, "strike_recalc_interval": 10**6}


class RecordedMarket:
    """A provider, and everything it said to the engine."""

    def __init__(self, provider: TradeStation) -> None:
        self.provider = provider
        self.read = ReadBytes(provider._http._transport)
        provider._http._transport = self.read
        self.quotes_said: list[OptionQuote] = []
        self.bars_said: list[UnderlyingBar] = []
        self.snapshots_said = 0
        self.events: list[FeedEvent] = []
        self._heard: Callable[[FeedEvent], None] = lambda event: None
        provider.on_event = self._event

    def __getattr__(self, name: str) -> Any:
        return getattr(self.provider, name)

    @property
    def on_event(self) -> Callable[[FeedEvent], None]:
        return self._heard

    @on_event.setter
    def on_event(self, heard: Callable[[FeedEvent], None]) -> None:
        self._heard = heard

    def _event(self, event: FeedEvent) -> None:
        self.events.append(event)
        self._heard(event)

    def kinds(self) -> set[str]:
        return {event.kind for event in self.events}

    async def option_quotes(self, contracts: Sequence[Any]) -> Sequence[OptionQuote]:
        found = await self.provider.option_quotes(contracts)
        self.quotes_said += found
        self.snapshots_said += len(found)
        return found

    async def follow_chain(self, window: ChainWindow) -> AsyncGenerator[Sequence[OptionQuote], None]:
        async with aclosing(self.provider.follow_chain(window)) as batches:
            async for quotes in batches:
                self.quotes_said += quotes
                yield quotes

    async def follow_bars(self, underlying: str) -> AsyncGenerator[UnderlyingBar, None]:
        async with aclosing(self.provider.follow_bars(underlying)) as bars:
            async for bar in bars:
                self.bars_said.append(bar)
                yield bar


class ReadBytes(httpx2.AsyncBaseTransport):
    """Knows how far each simulated stream was read, whoever closed it: the receipts of the ledger.

    Read is what was taken to be decoded; what was gathered for it when the stream ended is not.
    """

    def __init__(self, below: httpx2.AsyncBaseTransport) -> None:
        self.below = below
        self.of_stream: dict[int, int] = {}

    @contextmanager
    def counting(self) -> Iterator[None]:
        """While the block lasts, every stream's bytes are counted as they are taken."""
        taken = self.of_stream

        class Counted(Gathered):
            number = 0

            def __init__(self, chunks: AsyncIterator[bytes]) -> None:
                super().__init__(self._numbered(chunks))

            async def _numbered(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
                async for chunk in chunks:
                    self.number = getattr(chunk, "stream", 0)
                    yield chunk

            async def take(self) -> bytes | None:
                data = await super().take()
                taken[self.number] = taken.get(self.number, 0) + len(data or b"")
                return data

        streams.Gathered = Counted  # type: ignore[misc]
        try:
            yield
        finally:
            streams.Gathered = Gathered  # type: ignore[misc]

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self.below.handle_async_request(request)
        number = answer.headers.get("X-Simulated-Stream")
        if number is not None:
            answer.stream = _Numbered(answer.stream, int(number))
        return answer

    async def aclose(self) -> None:
        await self.below.aclose()


class _Chunk(bytes):
    stream: int


class _Numbered(httpx2.AsyncByteStream):
    """The body of one stream; each chunk says of which."""

    def __init__(self, body: Any, number: int) -> None:
        self._body, self._number = body, number

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._body:
            numbered = _Chunk(chunk)
            numbered.stream = self._number
            yield numbered

    async def aclose(self) -> None:
        await self._body.aclose()


class RecordedStore:
    """A store, and every batch that it acknowledged, in order."""

    def __init__(self, store: PostgresStore) -> None:
        self.store = store
        self.acknowledged: list[MinuteBatch] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def keep_minute(self, batch: MinuteBatch) -> None:
        self.store.keep_minute(batch)
        self.acknowledged.append(batch)

    def write_minute(self, batch: MinuteBatch) -> None:
        self.store.write_minute(batch)
        self.acknowledged.append(batch)


@dataclass
class Rig:
    """What a test holds in its hands."""

    simulator: Simulator
    market: RecordedMarket
    store: RecordedStore
    database: DatabaseConfig
    clock: Any
    engine: IngestEngine
    config: IngestConfig
    begun: datetime
    tasks: list[asyncio.Future[Any]] = field(default_factory=list)
    faults: dict[str, Any] = field(default_factory=dict)

    @property
    def ledger(self) -> dict[str, Any]:
        """The simulator's ledger, told how far each stream was read."""
        book = self.simulator.exchange.ledger
        for number in range(1, book.next_number):  # an answer that never reached us was read to no byte
            book.read(number, self.market.read.of_stream.get(number, 0))
        return book.as_fields()

    @property
    def counts(self) -> Any:
        return self.market.provider.counts

    def switch(self, **changes: Any) -> None:
        """Throw switches of the simulator; those not named stay."""
        self.faults |= changes
        self.simulator.exchange.switch(changed(self.simulator.exchange.faults, changes))

    def calm(self) -> None:
        """The feed behaves again."""
        self.simulator.exchange.switch(Faults(seed=self.simulator.exchange.faults.seed))

    def minutes(self, underlying: str = "SPY") -> list[datetime]:
        """Labels of the stored chains, ascending."""
        with psycopg.connect(**self.database.parameters()) as connection:
            rows = connection.execute(
                "SELECT timestamp FROM chain_minutes WHERE underlying = %s ORDER BY 1", [underlying]
            ).fetchall()
        return [stamp for (stamp,) in rows]

    async def stored(self, count: int) -> None:
        """Wait until so many more chains are stored than there are now."""
        had = -1

        def enough() -> bool:
            nonlocal had
            try:
                now = len(self.minutes())
            except psycopg.OperationalError:  # the test took the database away
                return False
            had = now if had < 0 else had
            return now >= had + count

        await until(enough)

    async def market_time(self, passed: timedelta) -> None:
        """Wait for so much market time."""
        end = self.clock.now() + passed
        await until(lambda: self.clock.now() >= end)

    async def mended(self) -> None:
        """Wait until no minute is without its closing bar, of those that were over when this was asked."""
        overdue = minute_of(self.clock.now()) + MINUTE / 2  # when the last of them is asked for
        await until(lambda: all(one.mender.span(overdue) is None for one in self.engine.followed))

    async def quiet(self) -> None:
        """Let the feed fall silent without breaking, and wait until all that was sent has been merged, or is lost.

        Lost is what has not come although nothing came any more for a while: the law of conservation then says so.
        """
        self.switch(heartbeat_only=True)
        loop = asyncio.get_running_loop()
        before, since = -1, loop.time()
        while True:
            now = self.on_the_wire
            waits = any(one.buffers()["inbox"] for one in self.engine.followed)
            if now != before or waits:
                before, since = now, loop.time()
            elif now == 0 or loop.time() - since > QUIET_S:
                return
            await asyncio.sleep(0.3)

    def told_until(self, underlying: str) -> datetime:
        """The end of the newest bar that the feed said is closed."""
        return max(
            datetime.fromisoformat(stream["last_closed_bar"])
            for stream in self.ledger["streams"]
            if stream["kind"] == "barcharts" and underlying in stream["path"] and stream["last_closed_bar"]
        )

    @property
    def on_the_wire(self) -> int:
        """Objects sent that are neither heard nor left unread by us."""
        return int(self.sent - self.ledger["unread"] - self.heard)

    @property
    def sent(self) -> int:
        """Objects that left the simulator whole."""
        return int(sum(self.ledger["objects"].values()))

    @property
    def heard(self) -> int:
        """Objects of streams that reached us, whatever became of them."""
        return int(sum(self.counts[name] for name in ("messages", "undecodable", "quarantined")))

    async def stop(self) -> None:
        """End ingest as a signal would, and analysis when it has seen all that ingest left behind."""
        ingest, *analysis = self.tasks
        await _end(ingest)
        if analysis:
            await until(self.is_settled)
        for task in analysis:
            await _end(task)
        self.tasks.clear()

    def is_settled(self) -> bool:
        """Whether each analysis is of its minute's chain as it now stands."""
        versions = [each for name in self.config.underlyings for each in self.store.chain_versions(name)]
        return all(each.analysed in (None, each.stored) for each in versions)


async def _end(task: asyncio.Future[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error


@asynccontextmanager
async def rig(
    database: DatabaseConfig,
    spool: Path,
    *,
    seed: int = 1,
    start: datetime = MORNING,
    speed: float = SPEED,
    underlyings: Sequence[str] = ("SPY",),
    faults: dict[str, Any] | None = None,
    feed: dict[str, Any] | None = None,
    analyze: bool = True,
    proxy: str | None = None,
    direct: DatabaseConfig | None = None,
    **config: Any,
) -> AsyncIterator[Rig]:
    """Everything running, from `start` on; ended at the end of the block.

    `direct` is how the test itself asks the database where `database` leads through a broken wire.
    """
    switched = changed(Faults(seed=seed), faults or {})
    setup = SimulatorConfig(port=0, start=start, speed=speed, seed=seed + 6, faults=switched, heartbeat_s=0.3)
    async with Simulator(setup) as simulator:
        clock = await discover_clock(simulator.url)
        url = proxy or simulator.url
        patience = {**QUICK, **(feed or {})}
        account = TradeStationConfig("id", "secret", "token", api_url=url, auth_url=url, **patience)
        provider = TradeStation(account, clock)
        market, store = RecordedMarket(provider), RecordedStore(PostgresStore(database, spool=spool))
        settings = IngestConfig(tuple(underlyings), **{**STILL, "latest_interval_s": 0.3, **config})
        engine = IngestEngine(market, store, clock, settings)
        made = Rig(
            simulator,
            market,
            store,
            direct or database,
            clock,
            engine,
            settings,
            clock.now(),
            faults=dict(faults or {}),
        )
        made.tasks.append(asyncio.ensure_future(engine.run()))
        if analyze:
            made.tasks.append(asyncio.ensure_future(AnalyzeEngine(store, clock, AnalyzeConfig()).run()))
        try:
            with market.read.counting():
                yield made
                if made.tasks:
                    await made.stop()
        finally:
            for task in made.tasks:
                task.cancel()
            if made.tasks:
                await asyncio.wait(made.tasks)
            await provider.aclose()
            store.store.close()


async def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition asked in a thread, because it may ask a database."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if await asyncio.to_thread(condition):
                return
            await asyncio.sleep(0.05)


def again(batch: MinuteBatch, batch_id: Any) -> MinuteBatch:
    """The same minute under another batch."""
    return replace(batch, batch_id=batch_id)


def as_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
