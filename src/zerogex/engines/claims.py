"""Several ingest processes, one watch list: each underlying has one writer, and another when that one dies.

A process knows the others by their sessions in the database, so a dead one is missed as soon as its session
is.  Everybody computes the same shares (the list evenly, the longest connected first); who has too much gives
one back, who has too little claims what is free.  The right to write is the writer lock, whoever wants it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any

from zerogex.engines.threads import in_thread
from zerogex.errors import LockHeld, StoreError, StoreUnavailable
from zerogex.ports import Store

log = logging.getLogger(__name__)

_LOOK_REAL_S = 1.0
_SAME_LOOKS = 3  # a database that restarts loses every session at once: nobody is dead before three looks agree

Hold = Callable[[str], Coroutine[Any, Any, None]]


def share_of(underlyings: int, rank: int, processes: int) -> int:
    """How many of a list belong to one of several processes."""
    return underlyings // processes + (rank < underlyings % processes)


class Claims:
    """Holds our share of a watch list until cancelled; `hold` writes one underlying until cancelled."""

    def __init__(self, store: Store, underlyings: Sequence[str], hold: Hold) -> None:
        self.store = store
        self.underlyings = tuple(underlyings)
        self.held: dict[str, asyncio.Task[None]] = {}  # in the order of claiming
        self._hold = hold
        self._seen = (0, 0)  # rank and processes
        self._looks = 0
        self._waiting: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Look, claim, give back."""
        for underlying in self.underlyings:
            await self._hand_in(underlying)
        async with asyncio.TaskGroup() as tasks:
            while True:
                with suppress(StoreUnavailable):  # what we hold, we keep: its minutes go to the spool
                    await self._look(tasks)
                await asyncio.sleep(_LOOK_REAL_S)

    async def _look(self, tasks: asyncio.TaskGroup) -> None:
        seen = await in_thread(self.store.place_among, ",".join(sorted(self.underlyings)))
        self._looks = self._looks + 1 if seen == self._seen else 1
        self._seen = seen
        if self._looks < _SAME_LOOKS:
            return
        rank, processes = seen
        share = share_of(len(self.underlyings), rank, processes)
        if len(self.held) > share:
            await self._give_back()
        else:
            await self._claim(tasks, share, rank)

    async def _give_back(self) -> None:
        """End the newest of our claims: its open minute is written, then its lock is free."""
        underlying, task = next(reversed(self.held.items()))
        log.info("underlying given back", extra={"underlying": underlying, "processes": self._seen[1]})
        task.cancel()
        await asyncio.wait([task])

    async def _claim(self, tasks: asyncio.TaskGroup, share: int, rank: int) -> None:
        taken = set()
        start = rank % len(self.underlyings)
        for underlying in (*self.underlyings[start:], *self.underlyings[:start]):
            if len(self.held) >= share:
                break
            if underlying in self.held:
                continue
            lock = self.store.writer_lock(underlying)
            try:
                await in_thread(lock.__enter__)
            except LockHeld as error:
                taken.add(underlying)
                if underlying not in self._waiting:
                    log.info("standing by", extra={"underlying": underlying, "reason": str(error)})
                continue
            log.info("underlying claimed", extra={"underlying": underlying, "processes": self._seen[1]})
            self.held[underlying] = tasks.create_task(self._tenure(underlying, lock), name=f"{underlying} claimed")
        self._waiting = frozenset(taken)

    async def _tenure(self, underlying: str, lock: AbstractContextManager[None]) -> None:
        try:
            await self._hold(underlying)
        except* LockHeld as lost:
            log.warning("underlying lost", extra={"underlying": underlying, "reason": str(lost.exceptions[0])})
        finally:
            await in_thread(lock.__exit__, None, None, None)
            del self.held[underlying]
            await self._hand_in(underlying)

    async def _hand_in(self, underlying: str) -> None:
        """What our spool holds of an underlying that others may write now."""
        with suppress(StoreError):
            await in_thread(self.store.recover, underlying)
