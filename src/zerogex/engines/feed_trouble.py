"""Why the feed cannot be heard, where only the operator can mend it: told to every process by the database."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from zerogex.engines.threads import Backoff, in_thread
from zerogex.errors import StoreError
from zerogex.ports import Store

log = logging.getLogger(__name__)


class FeedTrouble:
    """Notes what the feed's events say; a task of its own writes it, with patience for the database."""

    def __init__(self, store: Store) -> None:
        self.now = ""  # empty: the feed can be heard
        self._store = store
        self._news = asyncio.Event()

    def note(self, trouble: str) -> None:
        """The feed refuses us, for this reason; an empty one: no longer."""
        self.now = trouble
        self._news.set()

    async def keep_telling(self) -> None:
        """Write each change until cancelled."""
        backoff = Backoff()
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await in_thread(self._store.note_feed_trouble, self.now or None)
                backoff.reset()
            except StoreError as error:
                log.info("feed trouble not written yet", extra={"reason": str(error)})
                self._news.set()
                await backoff.pause()

    async def tell(self, trouble: str) -> None:
        """Write it once, before the end."""
        self.now = trouble
        with suppress(StoreError):
            await in_thread(self._store.note_feed_trouble, trouble)
