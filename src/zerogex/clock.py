"""The only "now".

Everything that asks for the time is handed a `Clock`.  There are three: the machine's, a
scaled one that follows a simulated market (any start, any speed), and one that tests move
by hand.  Wall time stamps data; `monotonic` measures durations and never steps back.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What time it is in the market that feeds us, and how to wait in it."""

    @property
    def simulated(self) -> bool:
        """Whether this time is invented; everything shown must then say so."""

    def now(self) -> datetime:
        """The market's time, UTC, aware."""

    def monotonic(self) -> float:
        """Seconds of market time since an arbitrary point; never decreases."""

    async def sleep(self, seconds: float) -> None:
        """Wait for this much market time; nothing for zero or less."""


class SystemClock:
    """The machine's own time, which never runs backwards.

    Options are stamped as they arrive, and a stamp older than the last one says nothing new: after a step back
    the feed would seem silent until the old time is reached again.  So a step back is walked off at half speed;
    a step forward (a machine that slept) is followed at once.
    """

    simulated = False

    def __init__(
        self, wall: Callable[[], datetime] = lambda: datetime.now(UTC), monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._guard = threading.Lock()
        self._last, self._last_at = wall(), monotonic()

    def now(self) -> datetime:
        with self._guard:
            at = self._monotonic()
            least = self._last + timedelta(seconds=max(at - self._last_at, 0.0) / 2.0)
            self._last, self._last_at = max(self._wall(), least), at
            return self._last

    def monotonic(self) -> float:
        return self._monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0.0))


@dataclass(frozen=True, slots=True)
class ScaledClock:
    """A market that was at `market_anchor` when the machine was at `wall_anchor`, running `speed` times as fast."""

    market_anchor: datetime
    wall_anchor: datetime
    speed: float = 1.0
    simulated: bool = True

    def now(self) -> datetime:
        return self.market_anchor + (datetime.now(UTC) - self.wall_anchor) * self.speed

    def monotonic(self) -> float:
        return time.monotonic() * self.speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0.0) / self.speed)


@dataclass(slots=True)
class ManualClock:
    """A clock that moves only when told to (or slept on): for tests."""

    current: datetime
    simulated: bool = False
    elapsed: float = field(default=0.0, init=False)

    def now(self) -> datetime:
        return self.current

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        self.advance(max(seconds, 0.0))
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Move time forward."""
        self.current += timedelta(seconds=seconds)
        self.elapsed += seconds
