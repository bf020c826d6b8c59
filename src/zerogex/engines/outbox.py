"""Minutes that are over, on their way to the store.

    minutes ► IV, Greeks ► kept on the disk ► drained into the database ► valued anew where a late bar asks for it

Keeping takes milliseconds in a thread of its own, however long the database takes for the rest.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from zerogex.engines.ingest_diary import Diary
from zerogex.engines.threads import Backoff, OwnThread, in_thread
from zerogex.errors import StoreUnavailable
from zerogex.pipeline.enrich import EnrichConfig, enrich
from zerogex.pipeline.minutes import ClosedMinute
from zerogex.ports import MinuteBatch, Store

log = logging.getLogger(__name__)

MINUTES_MAX = 32  # waiting to be kept
_DRAINED_AT_ONCE = 20  # minutes; a stop waits for no more
_DRAIN_PAUSE_MAX_S = 4.0  # so that ten minutes of 8,000 contracts are written ten seconds after the database is back
_LAST_DRAIN_REAL_S = 10.0  # at the end; what takes longer waits in the spool for the next start


class Outbox:
    """The minutes of one underlying, kept and stored in their order."""

    def __init__(self, underlying: str, store: Store, config: EnrichConfig, diary: Diary) -> None:
        self.underlying = underlying
        self.store = store
        self.config = config
        self.stored_until: datetime | None = None  # end of the newest durable minute
        self.gave_up = False  # at the end: the database did not take what was kept
        self._diary = diary
        self._waiting: deque[ClosedMinute] = deque()
        self._kept = self._drained = 0  # minutes, since we began
        self._thread = OwnThread(f"{underlying} keeping")
        self._added, self._moved, self._undrained = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._to_reprice: dict[datetime, ClosedMinute] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, minutes: Iterable[ClosedMinute]) -> None:
        """Take what is over; it is kept next."""
        self._waiting.extend(minutes)
        self._added.set()

    async def room(self) -> None:
        """Wait while too many minutes wait: where the disk is slow, the feed waits."""
        await self._until(lambda: len(self._waiting) < MINUTES_MAX)

    async def all_kept(self, patience_s: float = 0.0) -> None:
        """Wait until every minute that was added before is durable; in the database, if that takes no longer."""
        count = self._kept + len(self._waiting)
        await self._until(lambda: self._kept >= count)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._until(lambda: self._drained >= count)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._moved.clear()
            await self._moved.wait()

    async def keep(self) -> None:
        """Make what is added durable, until cancelled."""
        while True:
            while self._waiting:
                await self._keep(self._waiting[0])
                self._waiting.popleft()
                self._kept += 1
                self._moved.set()
            self._added.clear()
            await self._added.wait()

    async def drain(self) -> None:
        """Bring what is kept into the database, until cancelled; a database that is away is asked again."""
        backoff, away, minutes = Backoff(_DRAIN_PAUSE_MAX_S), False, 0
        while True:
            await self._undrained.wait()
            self._undrained.clear()
            kept, more = self._kept, True
            try:
                while more:
                    drained, more = await self._drain_some()
                    minutes += drained
                self._drained = kept
                self._moved.set()
                await self._reprice()
            except StoreUnavailable as error:
                if not away:
                    self._say_away(error)
                away = True
                self._undrained.set()
                await backoff.pause()
                continue
            if away:
                log.info("spool recovered", extra={"underlying": self.underlying, "minutes": minutes})
            away, minutes = False, 0
            backoff.reset()

    async def close(self) -> int:
        """Keep what waits, write what the database takes soon; how many minutes waited.

        Call it when `keep` and `drain` have ended.  Raises StoreUnavailable if a minute could not be kept.
        """
        minutes, lost = len(self._waiting), None
        try:
            while self._waiting:
                try:
                    await self._keep(self._waiting.popleft(), attempts=1)
                except StoreUnavailable as error:
                    lost = error
            if lost is not None:
                raise lost
            await self._drain_for(_LAST_DRAIN_REAL_S)
        finally:
            self._thread.close()
        self._drained = self._kept  # nobody waits for more
        return minutes

    async def _drain_for(self, patience_s: float) -> None:
        began = time.monotonic()
        try:
            while (await self._drain_some())[1]:
                if time.monotonic() - began > patience_s:
                    return
            await self._reprice()
            await self._drain_some()
        except StoreUnavailable as error:
            self.gave_up = True
            self._say_away(error)

    async def _drain_some(self) -> tuple[int, bool]:
        """How many minutes the database took, and whether more may wait."""
        minutes = await in_thread(self.store.drain, self.underlying, _DRAINED_AT_ONCE)
        return minutes, minutes == _DRAINED_AT_ONCE

    def _say_away(self, error: StoreUnavailable) -> None:
        log.warning("minutes wait on disk", extra={"underlying": self.underlying, "reason": str(error)})

    async def _keep(self, minute: ClosedMinute, attempts: int | None = None) -> None:
        """Durable when it returns; waits for a store that cannot (`attempts`: gives up after so many)."""
        if minute.reprice:
            self._to_reprice[minute.timestamp] = replace(minute, gaps=())
            self._undrained.set()
            if not minute.gaps:
                return
        batch = await self._thread.run(self.batch, minute)
        backoff, tried = Backoff(), 0
        while True:
            try:
                await self._thread.run(self.store.keep_minute, batch)
                break
            except StoreUnavailable as error:
                tried += 1
                log.warning(
                    "store unavailable, minute waits", extra={"underlying": self.underlying, "error": str(error)}
                )
                if tried == attempts:
                    raise
                await backoff.pause()
        self._undrained.set()
        self.stored_until = max(minute.end, self.stored_until or minute.end)
        self._diary.stored(minute, batch)

    def batch(self, minute: ClosedMinute) -> MinuteBatch:
        """The minute as it is written: with IV and Greeks."""
        chain = enrich(minute.chain, self.config).chain if minute.chain is not None else None
        named = batch_id(minute.timestamp), self.underlying, minute.timestamp
        return MinuteBatch(*named, chain, minute.bars, minute.gaps)

    async def _reprice(self) -> None:
        """Value stored minutes at the close their bars turned out to have; all that was kept of them is drained."""
        for timestamp, minute in list(self._to_reprice.items()):
            chain = await in_thread(self.store.minute_chain, self.underlying, timestamp)
            if chain is not None and minute.spot is not None and chain.spot != minute.spot:
                chain = replace(chain, spot=minute.spot, spot_time=None)
                await self._keep(replace(minute, chain=chain, reprice=False))
            if self._to_reprice[timestamp] is minute:
                del self._to_reprice[timestamp]


def batch_id(timestamp: datetime) -> UUID:
    """A UUIDv7: the minute's time in milliseconds, then chance (RFC 9562 §5.7)."""
    milliseconds = int(timestamp.timestamp() * 1000)
    number = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    number = (number & ~(0xF << 76)) | (0x7 << 76)
    number = (number & ~(0x3 << 62)) | (0x2 << 62)
    return UUID(int=number)
