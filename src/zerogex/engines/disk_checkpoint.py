"""The live chain on our own disk while the database does not take it: a kill then costs seconds of the open minute."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from zerogex.domain.chain import OptionChain
from zerogex.engines.threads import OwnThread, in_thread
from zerogex.ports import Store

_LOOK_REAL_S = 0.25
_PATIENCE_REAL_S = 1.2  # since the database last had everything
_EVERY_REAL_S = 0.9


class DiskCheckpoint:
    """Of one underlying: written once a second while the latest rows cannot be."""

    def __init__(
        self,
        underlying: str,
        store: Store,
        snapshot: Callable[[], OptionChain | None],
        all_kept: Callable[[], Awaitable[None]],
    ) -> None:
        self.underlying = underlying
        self.store = store
        self._snapshot = snapshot
        self._all_kept = all_kept
        self._thread = OwnThread(f"{underlying} checkpoint")
        self._taken_at = time.monotonic()
        self._there = False

    async def taken(self) -> None:
        """The database has the live chain."""
        self._taken_at = time.monotonic()
        if self._there:
            self._there = False
            await in_thread(self.store.drop_checkpoint, self.underlying)

    async def run(self) -> None:
        """Keep the chain on the disk while the database is behind, until cancelled."""
        kept_at = float("-inf")
        try:
            while True:
                await asyncio.sleep(_LOOK_REAL_S)
                now = time.monotonic()
                if now - self._taken_at < _PATIENCE_REAL_S or now - kept_at < _EVERY_REAL_S:
                    continue
                chain = self._snapshot()
                if chain is not None:
                    await self._all_kept()  # what the checkpoint completes is the minute after those
                    await self._thread.run(self.store.keep_checkpoint, chain)
                    self._there, kept_at = True, now
        finally:
            self._thread.close()
