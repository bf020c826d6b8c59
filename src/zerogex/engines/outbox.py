"""Minutes that are over, on their way to the store."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from zerogex.engines.ingest_diary import Diary
from zerogex.engines.threads import Backoff, in_thread
from zerogex.errors import StoreUnavailable
from zerogex.pipeline.enrich import EnrichConfig, enrich
from zerogex.pipeline.minutes import ClosedMinute
from zerogex.ports import MinuteBatch, Store

log = logging.getLogger(__name__)

MINUTES_MAX = 32  # minutes waiting to be written


class Outbox:
    """Writes the minutes of one underlying in their order; bounded: where the store is slow, `put` waits."""

    def __init__(self, underlying: str, store: Store, config: EnrichConfig, diary: Diary) -> None:
        self.underlying = underlying
        self.store = store
        self.config = config
        self.stored_until: datetime | None = None  # end of the newest durable minute
        self._diary = diary
        self._waiting: asyncio.Queue[ClosedMinute] = asyncio.Queue(MINUTES_MAX)
        self._writing: ClosedMinute | None = None

    def __len__(self) -> int:
        return self._waiting.qsize()

    @property
    def is_written(self) -> bool:
        """Whether every minute that was put is in the store."""
        return self._writing is None and self._waiting.empty()

    async def put(self, minute: ClosedMinute) -> None:
        """Wait for a place, and take it."""
        await self._waiting.put(minute)

    async def run(self) -> None:
        """Write what comes, until cancelled."""
        while True:
            self._writing = await self._waiting.get()
            await self.write(self._writing)
            self._writing = None

    def unwritten(self) -> list[ClosedMinute]:
        """Take out what `run` did not come to."""
        minutes = [self._writing] if self._writing is not None else []
        while not self._waiting.empty():
            minutes.append(self._waiting.get_nowait())
        return minutes

    async def write(self, minute: ClosedMinute, attempts: int | None = None) -> None:
        """Durable when it returns; waits for a store that is away (`attempts`: gives up after so many)."""
        if minute.reprice:
            minute = await self._reprice(minute)
            if minute.chain is None and not minute.gaps:
                return
        batch = await in_thread(self.batch, minute)
        backoff, tried = Backoff(), 0
        while True:
            try:
                await in_thread(self.store.write_minute, batch)
                break
            except StoreUnavailable as error:
                tried += 1
                log.warning(
                    "store unavailable, minute waits", extra={"underlying": self.underlying, "error": str(error)}
                )
                if tried == attempts:
                    raise
                await backoff.pause()
        self.stored_until = max(minute.end, self.stored_until or minute.end)
        self._diary.stored(minute, batch)

    def batch(self, minute: ClosedMinute) -> MinuteBatch:
        """The minute as it is written: with IV and Greeks."""
        chain = enrich(minute.chain, self.config).chain if minute.chain is not None else None
        named = batch_id(minute.timestamp), self.underlying, minute.timestamp
        return MinuteBatch(*named, chain, minute.bars, minute.gaps)

    async def _reprice(self, minute: ClosedMinute) -> ClosedMinute:
        """With the stored rows of the minute, at the close its bar turned out to have, where that changes them."""
        try:
            chain = await in_thread(self.store.minute_chain, self.underlying, minute.timestamp)
        except StoreUnavailable as error:  # its rows keep the spot they were valued at, and say so
            log.warning("minute not repriced", extra={"underlying": self.underlying, "error": str(error)})
            return minute
        if chain is None or minute.spot is None or chain.spot == minute.spot:
            return minute
        return replace(minute, chain=replace(chain, spot=minute.spot, spot_time=None), reprice=False)


def batch_id(timestamp: datetime) -> UUID:
    """A UUIDv7: the minute's time in milliseconds, then chance (RFC 9562 §5.7)."""
    milliseconds = int(timestamp.timestamp() * 1000)
    number = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    number = (number & ~(0xF << 76)) | (0x7 << 76)
    number = (number & ~(0x3 << 62)) | (0x2 << 62)
    return UUID(int=number)
