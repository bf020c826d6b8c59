"""The bytes of an endless answer, gathered.

A feed may write each message by itself.  Read as they come, eight thousand messages a second would be as many turns
of the event loop, decodings and merges, each with a price of its own that is ten times the message's.  So bytes are
read for a moment, then left to gather for a moment, except where there is so much that nothing need be waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

SLICE_S = 0.002  # reading goes on for so long from the first bytes on ...
PAUSE_S = 0.02  # ... then bytes gather for so long: what a message's way to the page is lengthened by at most ...
ENOUGH = 32 << 10  # ... unless a slice brought as many bytes as this
ROOM = 256 << 10  # bytes that wait to be taken; with more the server has to wait


class Gathered:
    """Reads in a task of its own.  Use as a context, so that the task ends with it."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._waiting: list[bytes] = []
        self._size = 0
        self._over = False
        self._failure: Exception | None = None
        self._news, self._room = asyncio.Event(), asyncio.Event()

    async def __aenter__(self) -> Gathered:
        self._task = asyncio.create_task(self._read(), name="tradestation read")
        return self

    async def __aexit__(self, *failure: object) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})

    async def take(self) -> bytes | None:
        """Everything that has come since; None at the end.  Raises what reading raised, once all else is taken.

        Safe to cancel: nothing is lost.
        """
        while not self._waiting and not self._over:
            self._news.clear()
            await self._news.wait()
        if self._waiting:
            data = self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)
            self._waiting.clear()
            self._size = 0
            self._room.set()
            return data
        if self._failure is not None:
            raise self._failure
        return None

    async def _read(self) -> None:
        now = asyncio.get_running_loop().time
        began, brought = now(), ENOUGH
        try:
            async for chunk in self._chunks:
                self._waiting.append(chunk)
                self._size += len(chunk)
                self._news.set()
                while self._size >= ROOM:
                    self._room.clear()
                    await self._room.wait()
                brought += len(chunk)
                if now() - began >= SLICE_S:
                    if brought < ENOUGH:
                        await asyncio.sleep(PAUSE_S)
                    began, brought = now(), 0
        except Exception as error:
            self._failure = error
        finally:
            self._over = True
            self._news.set()
