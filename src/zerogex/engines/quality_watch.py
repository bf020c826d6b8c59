"""data_quality_log on a schedule: each underlying's session is looked at every quarter of an hour, and after its close.

A look reads a day's contract rows, so it is cheap only when it is rare: after each one the watch rests fifty
times as long as it took.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from zerogex.clock import Clock
from zerogex.domain.calendar import is_session, previous_session, session_close, session_open, trading_date
from zerogex.engines.session_report import report
from zerogex.engines.threads import in_thread
from zerogex.errors import StoreError
from zerogex.pipeline.gaps import MINUTE_S
from zerogex.ports import Store

log = logging.getLogger(__name__)

FIRST_LOOK_REAL_S = 45.0
TURN_S, TURN_FLOOR_REAL_S = 60.0, 10.0  # between two thoughts about what is due: market, at least real seconds
EVERY = timedelta(minutes=15)
AFTER_CLOSE = timedelta(minutes=5)
REST = 50


class QualityWatch:
    """Writes what is wrong with each session while it runs; `run` ends only by cancellation."""

    def __init__(self, store: Store, clock: Clock, underlyings: Sequence[str], bucket_seconds: int = MINUTE_S) -> None:
        self.store = store
        self.clock = clock
        self.underlyings = underlyings
        self.bucket_seconds = bucket_seconds
        self._looked: dict[str, tuple[date, datetime]] = {}  # the newest session looked at, and the market time then
        self._again: set[tuple[str, date]] = set()

    def look_again(self, underlying: str, day: date) -> None:
        """A day has changed: look at it at the next turn."""
        self._again.add((underlying, day))

    async def run(self) -> None:
        """Look at what is due, for ever."""
        await asyncio.sleep(FIRST_LOOK_REAL_S)
        while True:
            for underlying, day in self.due():
                began = time.monotonic()
                await self.look(underlying, day)
                await asyncio.sleep(REST * (time.monotonic() - began))
            await asyncio.gather(self.clock.sleep(TURN_S), asyncio.sleep(TURN_FLOOR_REAL_S))

    def due(self) -> list[tuple[str, date]]:
        """What deserves a look now."""
        again, self._again = self._again, set()
        return sorted(again | {(name, day) for name in self.underlyings if (day := self._due_day(name)) is not None})

    async def look(self, underlying: str, day: date) -> None:
        """Look at one session and write down what is wrong with it."""
        now = self.clock.now()
        try:
            found = await in_thread(report, self.store, underlying, day, now, self.bucket_seconds)
        except StoreError as error:
            log.warning("quality not looked at", extra={"underlying": underlying, "day": day, "error": str(error)})
            return
        log.info(
            "quality looked at",
            extra={"underlying": underlying, "day": day, "verdict": found.verdict, "findings": len(found.findings)},
        )

    def _due_day(self, underlying: str) -> date | None:
        now = self.clock.now()
        today = trading_date(now)
        day = today if is_session(today) and now > session_open(today) + AFTER_CLOSE else previous_session(today)
        known = self._looked.get(underlying)
        over = session_close(day) + AFTER_CLOSE
        if known is not None and known[0] == day and (known[1] >= over or (now < over and now - known[1] < EVERY)):
            return None
        self._looked[underlying] = day, now
        return day
