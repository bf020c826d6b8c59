"""What ingest does beside following, in the same process: fill gaps, and write down how good the data is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from zerogex.clock import Clock
from zerogex.engines.backfill import BackfillConfig
from zerogex.engines.gap_filler import GapFiller
from zerogex.engines.quality_watch import QualityWatch
from zerogex.ports import MarketData, Store

PACE_S = 0.75  # between two requests for history: four fifths of the vendor's quota; the rest is for following


class Upkeep:
    """Gap filling and the quality log of some underlyings."""

    def __init__(
        self,
        market: MarketData,
        store: Store,
        clock: Clock,
        config: BackfillConfig,
        *,
        before_start: bool = True,
        writes: Callable[[str], bool] = lambda underlying: True,
    ) -> None:
        """`before_start`, `writes`: see `GapFiller`."""
        paced = replace(config, delay_between_bars_s=max(config.delay_between_bars_s, PACE_S))
        self.quality = QualityWatch(store, clock, config.underlyings, config.bucket_seconds)
        self.gaps = GapFiller(
            market, store, clock, paced, before_start=before_start, on_filled=self.quality.look_again, writes=writes
        )

    async def beside(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run until the work ends."""
        async with asyncio.TaskGroup() as tasks:
            mine = [tasks.create_task(each(), name=name)
                    for name, each in (("gaps", self.gaps.run), ("quality", self.quality.run))]  # fmt: skip
            try:
                await work()
            finally:
                for task in mine:
                    task.cancel()
