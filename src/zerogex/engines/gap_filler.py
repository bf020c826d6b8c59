"""Minutes that following missed are filled while following goes on.

    today's option minutes, from the open ┐
    gaps that ingest declared, five days  ┴► not stored, and past what ingest still writes ─► backfill

Today's bars are not touched here: their volumes are cumulative, so they belong to the one book that ingest
keeps, and its `BarMender` asks for those that lack.  A minute that the feed's history does not know either
(nobody traded) is asked for twice and then left alone until the next start.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta

from zerogex.clock import Clock
from zerogex.domain.calendar import is_session, previous_session, session_close, session_open, trading_date
from zerogex.engines.backfill import BackfillConfig, BackfillEngine
from zerogex.engines.threads import in_thread
from zerogex.errors import ZerogexError
from zerogex.pipeline.gaps import expected_minutes
from zerogex.ports import MarketData, Store

log = logging.getLogger(__name__)

FIRST_LOOK_REAL_S = 60.0  # following comes first
LOOK_EVERY_S, LOOK_FLOOR_REAL_S = 60.0, 10.0  # market seconds; real ones, which bound what a fast market asks
REACH = timedelta(days=5)
TRIES = 2
_MINUTE = timedelta(minutes=1)
WRITTEN_AFTER_CLOSE = timedelta(minutes=30)  # ingest writes no more of a session then

Minute = tuple[str, str, datetime]  # underlying, bars or chains, start


class GapFiller:
    """Looks for missing minutes once a minute and fills them; `run` ends only by cancellation."""

    def __init__(
        self,
        market: MarketData,
        store: Store,
        clock: Clock,
        config: BackfillConfig,
        *,
        before_start: bool = True,
        on_filled: Callable[[str, date], None] = lambda underlying, day: None,
        writes: Callable[[str], bool] = lambda underlying: True,
    ) -> None:
        """`before_start`: also what was missed before we began; `on_filled` is told each day that was filled.

        `writes` says whose writer we are: what others write, they fill.
        """
        self.store = store
        self.clock = clock
        self.config = config
        self._backfill = BackfillEngine(market, store, clock, config, followed_day=self._today)
        self._on_filled = on_filled
        self._writes = writes
        self._since = None if before_start else clock.now()
        self._tried: Counter[Minute] = Counter()
        self._stored: set[Minute] = set()  # known to be stored, so that they are not asked for at each look

    async def run(self) -> None:
        """Look, fill, wait, for ever."""
        await asyncio.sleep(FIRST_LOOK_REAL_S)
        while True:
            for underlying in filter(self._writes, self.config.underlyings):
                await self.look(underlying)
            await asyncio.gather(self.clock.sleep(LOOK_EVERY_S), asyncio.sleep(LOOK_FLOOR_REAL_S))

    async def look(self, underlying: str) -> None:
        """Fill what one underlying lacks now; a feed or database that is away is asked again at the next look."""
        try:
            await in_thread(self.store.recover, underlying)  # minutes on disk are not missing
            until = await self._written_until(underlying)
            missing = {} if until is None else await self._missing(underlying, until)
            if until is None or not missing:
                return
            minutes = sum(len(found) for found in missing.values())
            log.info("gaps found", extra={"underlying": underlying, "days": len(missing), "minutes": minutes})
            result = await self._backfill.fill(underlying, missing, until)
        except ZerogexError as error:
            log.warning("gaps not filled", extra={"underlying": underlying, "error": str(error)})
            return
        if result.problems:
            log.warning("gaps not filled", extra={"underlying": underlying, "error": result.problems[0]})
            return
        self._tried.update(minute for found in missing.values() for minute in found)
        log.info(
            "gaps filled",
            extra={"underlying": underlying, "bars": result.bars, "chain_minutes": result.chain_minutes},
        )
        for day in missing:
            self._on_filled(underlying, day)

    # -- what is missing -------------------------------------------------------------------------

    def _today(self) -> date:
        """The New York date: the day whose bars ingest owns."""
        return trading_date(self.clock.now())

    async def _written_until(self, underlying: str) -> datetime | None:
        """Before which minute ingest has written all it will; None where it has written nothing yet."""
        now = self.clock.now()
        today = self._today()
        stored = await in_thread(self.store.chain_minutes, underlying, now - REACH, now)
        if not stored:
            return None
        over = session_close(today if is_session(today) else previous_session(today))
        return max(stored[-1], over) if now >= over + WRITTEN_AFTER_CLOSE else stored[-1]

    async def _missing(self, underlying: str, until: datetime) -> dict[date, list[Minute]]:
        """By session, the minutes that are worth asking for."""
        wanted = await self._wanted(underlying, until)
        if not wanted:
            return {}
        first, last = min(minute for _, _, minute in wanted), max(minute for _, _, minute in wanted) + _MINUTE
        chains = await in_thread(self.store.chain_minutes, underlying, first, last)
        bars = await in_thread(self.store.bars, underlying, first, last)
        self._stored |= wanted & {(underlying, "chains", minute) for minute in chains}
        self._stored |= wanted & {(underlying, "bars", bar.timestamp) for bar in bars}
        found: dict[date, list[Minute]] = {}
        for missing in sorted(wanted - self._stored):
            found.setdefault(trading_date(missing[2]), []).append(missing)
        return found

    async def _wanted(self, underlying: str, until: datetime) -> set[Minute]:
        """Minutes that should be stored and are not known to be; those asked for often enough are left out."""
        now, today = self.clock.now(), self._today()
        begin = max(self._since or now - REACH, now - REACH)
        spans = [(gap.what, gap.started_at, gap.ended_at)
                 for gap in await in_thread(self.store.declared_gaps, underlying, begin)
                 if not gap.subject and not (gap.what == "bars" and trading_date(gap.started_at) == today)]  # fmt: skip
        if is_session(today):
            spans.append(("chains", session_open(today), until))
        self._stored = {known for known in self._stored if known[2] >= begin}
        wanted = {
            (underlying, what, minute)
            for what, start, end in spans
            for minute in expected_minutes(max(start, begin), min(end, until), self.config.bucket_seconds)
        }
        return {minute for minute in wanted - self._stored if self._tried[minute] < TRIES}
