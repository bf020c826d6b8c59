"""The bars of one underlying: streamed or polled, and asked for again where one did not close."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import timedelta

from zerogex.clock import Clock
from zerogex.domain.bar import UnderlyingBar
from zerogex.domain.calendar import minute_of
from zerogex.domain.quote import UnderlyingQuote
from zerogex.engines.bar_mender import BarMender
from zerogex.engines.follow import poll_pause
from zerogex.engines.ingest_config import IngestConfig
from zerogex.engines.patience import pause_s
from zerogex.engines.threads import Backoff
from zerogex.errors import ProviderError
from zerogex.ports import MarketData

log = logging.getLogger(__name__)

_MEND_EVERY_S = 30.0  # market seconds
_MEND_FLOOR_REAL_S = 0.5


class BarFollower:
    """Delivers bars (and, polling, quotes) of one underlying; `passes` says which errors are waited out."""

    def __init__(
        self,
        underlying: str,
        market: MarketData,
        clock: Clock,
        config: IngestConfig,
        mender: BarMender,
        *,
        deliver: Callable[[UnderlyingBar | UnderlyingQuote], Awaitable[None]],
        passes: Callable[[ProviderError], bool],
    ) -> None:
        self._underlying = underlying
        self._market = market
        self._clock = clock
        self._config = config
        self._mender = mender
        self._deliver = deliver
        self._passes = passes

    async def run(self) -> None:
        """Stream or poll, as configured, until cancelled; ends where an error will not pass by waiting."""
        backoff = Backoff()
        while True:
            try:
                if self._config.push:
                    await self._stream(backoff)
                else:
                    await self._poll()
                    backoff.reset()
                    continue
                await backoff.pause()
            except ProviderError as error:
                if not self._passes(error):
                    raise
                log.warning("bars interrupted", extra={"underlying": self._underlying, "error": str(error)})
                await backoff.pause(pause_s(error))

    async def _stream(self, backoff: Backoff) -> None:
        async with aclosing(self._market.follow_bars(self._underlying)) as bars:  # type: ignore[type-var]
            async for bar in bars:
                backoff.reset()
                await self._deliver(bar)

    async def _poll(self) -> None:
        now = self._clock.now()
        for quote in await self._market.quotes([self._underlying]):
            await self._deliver(quote)
        recent = minute_of(now) - timedelta(minutes=2)
        for bar in await self._market.bars(self._underlying, recent, now + timedelta(minutes=1)):
            await self._deliver(bar)
        await poll_pause(self._clock, self._config)

    async def mend(self) -> None:
        """Ask again for minutes whose closing bar did not come."""
        while True:
            await asyncio.gather(self._clock.sleep(_MEND_EVERY_S), asyncio.sleep(_MEND_FLOOR_REAL_S))
            span = self._mender.span(self._clock.now())
            if span is None:
                continue
            try:
                bars = await self._market.bars(self._underlying, *span)
            except ProviderError as error:
                if not self._passes(error):
                    raise
                log.info("bars not mended", extra={"underlying": self._underlying, "error": str(error)})
                continue
            for bar in bars:
                if bar.closed:
                    await self._deliver(bar)
                    self._mender.mended += 1
            self._mender.asked(span)
