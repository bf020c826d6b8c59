"""The clock of whatever feeds a database, for processes that only read it.

Ingest announces its clock in `feed_state`; a simulated one is an affine map of machine time.
Readers follow it, and follow a new one when ingest is started again with another.
"""

from __future__ import annotations

import logging
import threading
from datetime import datetime
from types import TracebackType
from typing import Self

from zerogex.clock import Clock, ScaledClock, SystemClock
from zerogex.errors import StoreError
from zerogex.ports import FeedState, Store

log = logging.getLogger(__name__)
REFRESH_S = 1.0
_MACHINE = SystemClock()  # one, because it remembers what it said: it never runs backwards


def clock_of(state: FeedState | None) -> Clock:
    """The clock a feed announced; the machine's where it announced none."""
    if state is None or state.market_anchor is None or state.wall_anchor is None:
        return _MACHINE
    return ScaledClock(state.market_anchor, state.wall_anchor, state.speed)


def is_other_market(state: FeedState | None, clock: Clock) -> bool:
    """Whether a simulated clock is not the one that a database's feed announced: each market has anchors of its own."""
    known = clock_of(state)
    if not isinstance(known, ScaledClock) or not isinstance(clock, ScaledClock):
        return False
    return any(getattr(known, name) != getattr(clock, name) for name in ("market_anchor", "wall_anchor", "speed"))


class FeedClock:
    """A Clock that asks the store once a second, in a thread of its own, which clock to be.

    While the store is away the last known clock goes on.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._current: Clock = _MACHINE
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="feed-clock", daemon=True)

    def __enter__(self) -> Self:
        self._refresh()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(timeout=10)

    def _follow(self) -> None:
        while not self._ended.wait(REFRESH_S):
            self._refresh()

    def _refresh(self) -> None:
        try:
            self._current = clock_of(self._store.feed_state())
        except StoreError as error:
            log.debug("feed clock not refreshed", extra={"reason": str(error)})

    @property
    def simulated(self) -> bool:
        return self._current.simulated

    @property
    def speed(self) -> float:
        """Seconds of market time in a second of machine time."""
        return float(getattr(self._current, "speed", 1.0))

    def now(self) -> datetime:
        return self._current.now()

    def monotonic(self) -> float:
        return self._current.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._current.sleep(seconds)
