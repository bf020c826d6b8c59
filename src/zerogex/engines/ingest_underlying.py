"""One underlying, from the feed to the store.

    bars ┐                    ┌► at each minute's end: IV, Greeks → outbox → history
    chains ┴► inbox ► merge ──┤
                              └► every second, once the minutes before are durable: IV, Greeks → the latest rows

The live chain and the minutes belong to the event loop; blocking work happens in threads, in order.
Every queue is bounded: where the disk is slow, the feed waits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from zerogex.clock import Clock
from zerogex.domain.bar import UnderlyingBar
from zerogex.domain.calendar import Session, minute_of, session_at
from zerogex.domain.chain import Bools, OptionChain
from zerogex.domain.contract import OptionContract
from zerogex.domain.quote import OptionQuote, UnderlyingQuote
from zerogex.engines.bar_mender import BarMender
from zerogex.engines.contract_audit import ContractAudit
from zerogex.engines.disk_checkpoint import DiskCheckpoint
from zerogex.engines.follow import ChainFollower, StreamBudget
from zerogex.engines.follow_bars import BarFollower
from zerogex.engines.ingest_config import IngestConfig
from zerogex.engines.ingest_diary import Diary
from zerogex.engines.outbox import Outbox
from zerogex.engines.patience import passes
from zerogex.engines.threads import Absence, Backoff, in_thread, to_its_end
from zerogex.errors import BadPayload, ProviderError, RateLimited, StoreUnavailable, Unavailable
from zerogex.pipeline.bar_book import day_start
from zerogex.pipeline.enrich import enrich
from zerogex.pipeline.gap_watch import GapWatch
from zerogex.pipeline.live_chain import LiveChain
from zerogex.pipeline.minutes import ClosedMinute, MinuteBuilder
from zerogex.pipeline.validate import Validator
from zerogex.ports import MarketData, Store

log = logging.getLogger(__name__)

_INBOX_MAX = 1000  # network reads waiting to be merged
_MERGE_MAX = 256  # reads merged in one go
_GATHER_REAL_S = 0.01  # between two merges: neighbouring messages share the price of one
_TICK_REAL_S = 0.1
_LATEST_FLOOR_REAL_S = 0.25
_MINUTES_FIRST_REAL_S = 0.5  # for a minute on our disk to reach the database: who takes over sees only that
_REJECTED_EVERY_REAL_S = 60.0
_GRACE_REAL_S = 0.25  # what a fast simulated minute gets at least

Event = UnderlyingBar | UnderlyingQuote | Sequence[OptionQuote]


class UnderlyingIngest:
    """Follows one underlying until cancelled, then drains."""

    def __init__(
        self,
        underlying: str,
        market: MarketData,
        store: Store,
        clock: Clock,
        config: IngestConfig,
        budget: StreamBudget,
    ) -> None:
        self.underlying = underlying
        self.market = market
        self.store = store
        self.clock = clock
        self.config = config
        self.live = LiveChain(underlying)
        grace_s = max(config.grace_s, _GRACE_REAL_S * getattr(clock, "speed", 1.0))
        self.builder = MinuteBuilder(self.live, bucket_seconds=config.bucket_seconds, grace_s=grace_s)
        self.builder.simulated = clock.simulated
        self.validator = Validator(underlying)
        self.gaps = GapWatch(underlying, config.bucket_seconds)
        self.mender = BarMender(self.builder.book)
        self.follower = ChainFollower(
            underlying, market, clock, config, budget,
            spot=lambda: self.builder.book.spot_now()[0], deliver=self._receive_quotes, retarget=self._retarget,
            passes=self._passes,
        )  # fmt: skip
        self.audit = ContractAudit(
            market, clock, self.live, self.follower, bucket_seconds=config.bucket_seconds,
            deliver=self._receive_quotes, declare=self.gaps.note, passes=self._passes,
        )  # fmt: skip
        self._inbox: asyncio.Queue[Event | None] = asyncio.Queue(_INBOX_MAX)
        self.bars = BarFollower(
            underlying, market, clock, config, self.mender, deliver=self._inbox.put, passes=self._passes
        )
        self._gone: list[str] = []  # contracts to forget in the latest rows
        self._latest_wanted = asyncio.Event()
        self._latest_spot: float | None = None
        self.heard_at: datetime | None = None  # market time at which the feed last spoke
        self._diary = Diary(underlying)
        self.outbox = Outbox(underlying, store, config.enrich, self._diary)
        self._absence = Absence(log, "store unavailable, following waits", underlying=underlying)
        self._on_disk = DiskCheckpoint(underlying, store, self._as_it_stands, self.outbox.all_kept)

    async def run(self) -> None:
        """Recover, catch up, follow; on cancellation write what is open and return.

        The lock is ours: a database that goes away before following has begun is waited for.
        """
        await self._prepare()
        try:
            async with asyncio.TaskGroup() as tasks:
                for work in self._work():
                    tasks.create_task(work(), name=f"{self.underlying} {work.__name__}")
        finally:
            await to_its_end(self._drain())

    def _work(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        streamed = (self.bars.run, self.bars.mend, self.follower.run, self.audit.run)
        return (
            *streamed,
            self._merge,
            self._tick,
            self.outbox.keep,
            self.outbox.drain,
            self._latest,
            self._on_disk.run,
        )

    def buffers(self) -> dict[str, int]:
        """What waits: network reads, closed minutes, changed contracts."""
        return {"inbox": self._inbox.qsize(), "outbox": len(self.outbox), "latest": self.live.dirty_count}

    # -- start -----------------------------------------------------------------------------------

    async def _prepare(self) -> None:
        ask = self._absence.outlast
        if drained := await ask(self.store.recover, self.underlying):
            log.info("spool recovered", extra={"underlying": self.underlying, "minutes": drained})
        now = self.clock.now()
        stored = await ask(self.store.bars, self.underlying, day_start(now), now + timedelta(minutes=1))
        self.builder.book.anchor(stored)
        filled = minute_of(now)
        if self.config.backfill_on_startup:
            since = stored[-1].timestamp if stored else day_start(now)
            filled = await self._fill_bars(since, filled)
        latest = await self._last_checkpoint(self.clock.now())
        last = await ask(self.store.minute_chain, self.underlying)
        stored_until = None if last is None else last.as_of
        stored_until = await self._store_checkpoint(latest, stored_until, self.clock.now())
        await ask(self.store.drop_checkpoint, self.underlying)
        known = latest or last
        if known is not None:
            self.live.seed(known)
        await self._first_price()
        # From here on what is missing is declared, the time since the last stored minute included.
        bar = await ask(self.store.last_bar, self.underlying)
        bar_end = None if bar is None else bar.timestamp + timedelta(seconds=60)
        self.mender.begin(filled, self.clock.now())
        self.gaps.begin(self.clock.now(), stored_until, bar_end)
        self.builder.start(self.clock.now())

    async def _fill_bars(self, since: datetime, until: datetime) -> datetime:
        """Today's bars that are not stored yet; where those begin that are still to be asked for."""
        try:
            bars = await self.market.bars(self.underlying, since, until)
        except ProviderError as error:
            log.warning("today's bars not filled", extra={"underlying": self.underlying, "error": str(error)})
            return since
        for bar in bars:
            if self.validator.bar(bar, until):
                self.builder.book.add(bar)
        minutes = self.builder.book.changes(until)
        if minutes:
            await self._absence.outlast(self.store.write_bars, minutes)
            self.builder.book.mark(minutes)
            log.info("today's bars filled", extra={"underlying": self.underlying, "minutes": len(minutes)})
        return until

    async def _last_checkpoint(self, now: datetime) -> OptionChain | None:
        """The newest latest rows: the database's, or those on the disk, where it took no more."""
        latest = await self._absence.outlast(self.store.latest_chain, self.underlying)
        kept = await self._absence.outlast(self.store.kept_checkpoint, self.underlying)
        if kept is None or kept.as_of > now or (latest is not None and latest.as_of >= kept.as_of):
            return latest
        log.info("checkpoint found on disk", extra={"underlying": self.underlying, "as_of": kept.as_of})
        return kept

    async def _store_checkpoint(
        self, latest: OptionChain | None, stored_until: datetime | None, now: datetime
    ) -> datetime | None:
        """Store the minute a killed process had open, from its last checkpoint, if it has ended since.

        What died with that process before it is declared in the same batch: we may be killed next.  Returns
        the end of the newest stored minute.
        """
        if latest is None:
            return stored_until
        bucket = self.config.bucket_seconds
        start = int(latest.as_of.timestamp()) // bucket * bucket
        timestamp = datetime.fromtimestamp(start, latest.as_of.tzinfo)
        end = timestamp + timedelta(seconds=bucket)
        heard = bool(np.any(latest.event_time >= start)) or session_at(timestamp) is Session.REGULAR
        if end > now or not heard or (stored_until is not None and stored_until >= end):
            return stored_until
        bar = self.builder.book.handed(start)
        chain = replace(latest, as_of=end, spot=bar.close if bar else latest.spot)
        chain = chain.select(chain.settlement > start)
        gaps = tuple(self.gaps.before(stored_until, timestamp))
        batch = await in_thread(self.outbox.batch, ClosedMinute(timestamp, end, chain, (), gaps=gaps))
        await self._absence.outlast(self.store.write_minute, batch)
        log.info("unfinished minute recovered", extra={"underlying": self.underlying, "minute": timestamp})
        return end

    async def _first_price(self) -> None:
        """A spot to plan by before the first bar says one."""
        try:
            for quote in await self.market.quotes([self.underlying]):
                self._take_quote(quote)
        except (Unavailable, RateLimited, BadPayload) as error:
            log.warning("no first quote", extra={"underlying": self.underlying, "error": str(error)})

    # -- the feed --------------------------------------------------------------------------------

    def _passes(self, error: ProviderError) -> bool:
        return passes(error, heard=self.heard_at is not None)

    async def _receive_quotes(self, quotes: Sequence[OptionQuote]) -> None:
        await self._inbox.put(quotes)

    async def _retarget(self, contracts: Sequence[OptionContract]) -> None:
        """Follow these contracts from now on; the latest rows forget the others at the next write."""
        # Minutes that are over end before: they keep the contracts that settled with them.
        self._end_minutes(self.clock.now())
        self._gone += [contract.symbol for contract in self.live.follow(contracts)]
        self._latest_wanted.set()

    # -- merging ---------------------------------------------------------------------------------

    async def _merge(self) -> None:
        while True:
            await asyncio.sleep(_GATHER_REAL_S)
            events = [await self._inbox.get()]
            while len(events) < _MERGE_MAX and not self._inbox.empty():
                events.append(self._inbox.get_nowait())
            self._take(events)
            self._end_minutes(self.clock.now())
            await self.outbox.room()
            if self.live.dirty_count >= self.config.max_buffer:
                self._latest_wanted.set()

    def _end_minutes(self, now: datetime) -> None:
        """Hand out the minutes that are over at an instant."""
        self.outbox.add(map(self._declaring, self.builder.advance(now)))

    def _declaring(self, minute: ClosedMinute) -> ClosedMinute:
        """The minute, with what those before it lack."""
        gaps = self.gaps.noted()
        if minute.chain is not None:
            gaps += self.gaps.chain(minute.timestamp, minute.chain, self.live.contracts)
        book = self.builder.book
        gaps += self.gaps.bars(minute.end, lambda at: book.handed(int(at.timestamp())) is not None)
        return replace(minute, gaps=tuple(gaps))

    def _take(self, events: Sequence[Event | None]) -> None:
        """Merge events in the order they came; neighbouring batches of quotes become one."""
        now = self.clock.now()
        self.validator.ahead_s = max(self.market.clock_skew_s, 0.0)
        quotes: list[OptionQuote] = []
        for event in events:
            if event is None:
                continue
            self.heard_at = now
            if not isinstance(event, UnderlyingBar | UnderlyingQuote):
                quotes += event
                continue
            if quotes:
                self.builder.add_quotes(self.validator.option_quotes(quotes, now))
                quotes = []
            if isinstance(event, UnderlyingQuote):
                self._take_quote(event)
            elif self.validator.bar(event, now):
                self.builder.add_bar(event)
                self._diary.once("first underlying price received", price=event.close)
        if quotes:
            self.builder.add_quotes(self.validator.option_quotes(quotes, now))

    def _take_quote(self, quote: UnderlyingQuote) -> None:
        if not self.validator.underlying_quote(quote, self.clock.now()):
            return
        self.builder.delayed = quote.is_delayed
        self.builder.book.note_price(quote.last, quote.event_time)
        self._diary.once("first underlying price received", price=quote.last)

    async def _tick(self) -> None:
        """Market time passes also where nothing is said: minutes close, sessions turn, memory is tidied."""
        session = session_at(self.clock.now())
        cleaned = flushed = self.clock.monotonic()
        rejected_said, rejected = time.monotonic(), self.validator.rejected.copy()
        while True:
            await asyncio.sleep(_TICK_REAL_S)
            await self._inbox.put(None)
            now = self.clock.now()
            if session_at(now) is not session:
                session = session_at(now)
                log.info("session changed", extra={"underlying": self.underlying, "session": session.value})
            passed = self.clock.monotonic()
            if passed - cleaned >= self.config.strike_cleanup_interval * self.config.poll_s(session):
                cleaned = passed
                self.live.compact()
            longest = self.config.flush_interval_s
            if longest < self.config.bucket_seconds and passed - flushed >= longest:
                flushed = passed
                self.outbox.add(self.builder.open_minute())
            if time.monotonic() - rejected_said >= _REJECTED_EVERY_REAL_S:
                self._diary.rejected(self.validator.rejected - rejected)
                rejected_said, rejected = time.monotonic(), self.validator.rejected.copy()

    # -- the store -------------------------------------------------------------------------------

    async def _latest(self) -> None:
        backoff, absence = Backoff(), Absence(log, "latest rows not written", underlying=self.underlying)
        while True:
            began = time.monotonic()
            now = self.clock.now()
            self._end_minutes(now)
            try:
                await self._write_latest(now)
                await self._on_disk.taken()
                backoff.reset()
                absence.is_over()
            except StoreUnavailable as error:
                self._latest_spot = None  # whatever was changed then is written whole next time
                absence.goes_on(error)
                await backoff.pause()
            took = time.monotonic() - began
            # A write that takes long is done less often: the database keeps at least half of its time.
            await asyncio.sleep(max(_LATEST_FLOOR_REAL_S, took))
            wait_s = self.config.latest_interval_s - (time.monotonic() - began)
            if wait_s > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._latest_wanted.wait(), wait_s)
            self._latest_wanted.clear()

    async def _write_latest(self, now: datetime) -> None:
        """Checkpoint the live chain, once every minute before is durable: after a kill it completes history."""
        gone, checkpoint = tuple(self._gone), self._checkpoint(now)
        if not gone and checkpoint is None:
            return
        await self.outbox.all_kept(_MINUTES_FIRST_REAL_S)
        if gone:
            await in_thread(self.store.forget_latest, self.underlying, gone)
            del self._gone[: len(gone)]
        if checkpoint is None:
            return
        chain, changed = checkpoint
        enriched = (await in_thread(enrich, chain, self.config.enrich)).chain
        await in_thread(self.store.write_latest, enriched, changed)
        self._latest_spot = chain.spot
        self._diary.greeks(enriched)

    def _checkpoint(self, now: datetime) -> tuple[OptionChain, Bools] | None:
        """The live chain and what to write of it: all rows where spot moved (each Greek did too), else what changed."""
        spot, _ = self.builder.book.spot_now()
        if spot is None or not len(self.live):
            return None
        changed = self.live.dirty(now)
        if spot != self._latest_spot:
            changed = np.ones_like(changed)
        if not changed.any():
            return None
        chain = self._snapshot(now)
        assert chain is not None
        self.live.mark_clean()
        return chain, changed

    def _as_it_stands(self) -> OptionChain | None:
        """The live chain, once the minutes that are over are handed out."""
        now = self.clock.now()
        self._end_minutes(now)
        return self._snapshot(now)

    def _snapshot(self, now: datetime) -> OptionChain | None:
        spot, spot_time = self.builder.book.spot_now()
        if spot is None or not len(self.live):
            return None
        return self.live.snapshot(
            now, spot, spot_time=spot_time, simulated=self.clock.simulated, delayed=self.builder.delayed
        )

    async def _drain(self) -> None:
        """Write every minute that is not stored, the open one as it stands, and the latest rows."""
        events = []
        while not self._inbox.empty():
            events.append(self._inbox.get_nowait())
        self._take(events)
        now = self.clock.now()
        self.outbox.add(map(self._declaring, self.builder.drain(now)))
        minutes = await self.outbox.close()
        self._latest_spot = None  # whatever a write that was cut short had taken is written whole
        if not self.outbox.gave_up:
            with suppress(StoreUnavailable):  # history is safe; the latest rows are a mirror of memory
                await self._write_latest(now)
        log.info("ingest drained", extra={"underlying": self.underlying, "minutes": minutes})
