"""Keeps the right contracts coming: expirations roll, strikes move with spot.

One follower an underlying.  It decides by `pipeline.strikes`, holds one stream (or a share of
the poll) for each (root, expiration), and hands every batch of quotes on.  It never decides what a
quote means.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import date, datetime

from zerogex.clock import Clock
from zerogex.domain.calendar import session_at, settlement, trading_date
from zerogex.domain.contract import OptionContract
from zerogex.domain.quote import OptionQuote
from zerogex.engines.ingest_config import IngestConfig
from zerogex.engines.patience import passes, pause_s
from zerogex.engines.threads import Backoff
from zerogex.errors import ProviderError, Unavailable, UnknownSymbol
from zerogex.pipeline import strikes
from zerogex.pipeline.strikes import Key
from zerogex.ports import ChainWindow, MarketData

log = logging.getLogger(__name__)

_LOOK_REAL_S = 0.1  # how often spot and the clock are compared with what is followed
_HANDOVER_REAL_S = 10.0  # how long the old window waits for the new one's first quotes
POLL_FLOOR_REAL_S = 0.25  # a fast simulated clock does not make us hammer the feed

Deliver = Callable[[Sequence[OptionQuote]], Awaitable[None]]
Retarget = Callable[[Sequence[OptionContract]], Awaitable[None]]


class StreamBudget:
    """The account's streams, shared by all underlyings: one for the bars of each, then the nearest expirations."""

    def __init__(self, streams_max: int, underlyings: Sequence[str]) -> None:
        self.streams_max = streams_max
        self.underlyings = tuple(underlyings)
        self.used = len(self.underlyings)
        self._wanted: dict[str, Sequence[ChainWindow]] = {}

    def add(self, underlying: str) -> None:
        """One more underlying is followed."""
        self.underlyings = (*self.underlyings, underlying)
        self.used += 1

    def remove(self, underlying: str) -> None:
        """An underlying is not followed any more."""
        self.underlyings = tuple(name for name in self.underlyings if name != underlying)
        self.used -= 1
        self._wanted.pop(underlying, None)

    @property
    def has_room(self) -> bool:
        """Whether one more may be opened."""
        return self.used < self.streams_max

    def streamed(self, underlying: str, windows: Sequence[ChainWindow]) -> frozenset[Key]:
        """Which windows of an underlying get a stream, among all that are wanted; the others are polled."""
        self._wanted[underlying] = windows
        wanted = [window for each in self._wanted.values() for window in each]
        plan = strikes.plan_streams(wanted, self.underlyings, self.streams_max)
        return frozenset((w.root, w.expiration) for w in plan.streamed if w.underlying == underlying)


@dataclass(slots=True, eq=False)
class _Stream:
    window: ChainWindow
    task: asyncio.Task[None] | None = None
    spoke: asyncio.Event = field(default_factory=asyncio.Event)


class ChainFollower:
    """Follows the option chains of one underlying until cancelled."""

    def __init__(
        self,
        underlying: str,
        market: MarketData,
        clock: Clock,
        config: IngestConfig,
        budget: StreamBudget,
        *,
        spot: Callable[[], float | None],
        deliver: Deliver,
        retarget: Retarget,
        passes: Callable[[ProviderError], bool] = lambda error: passes(error, heard=False),
    ) -> None:
        self.underlying = underlying
        self.market = market
        self.clock = clock
        self.config = config
        self.budget = budget
        self.distance = strikes.parse_distance(config.strike_distance)
        self.windows: dict[Key, ChainWindow] = {}
        self.polled: list[ChainWindow] = []
        self._spot = spot
        self._deliver = deliver
        self._retarget = retarget
        self._passes = passes
        self._streams: dict[Key, _Stream] = {}
        self._center: float | None = None
        self._reviewed_at: float | None = None  # by the clock's monotonic seconds
        self._listed: tuple[date, Sequence[Key]] | None = None
        self._contracts: dict[Key, tuple[date, Sequence[OptionContract]]] = {}

    async def run(self) -> None:
        """Review what to follow whenever it may have changed."""
        backoff = Backoff()
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self._poll())
            while True:
                spot = self._spot()
                if spot is not None and self._is_due(spot):
                    try:
                        await self._review(spot)
                        backoff.reset()
                    except ProviderError as error:
                        if not self._passes(error):
                            raise
                        log.warning(
                            "listing failed, trying again", extra={"underlying": self.underlying, "error": str(error)}
                        )
                        await backoff.pause(pause_s(error))
                await asyncio.sleep(_LOOK_REAL_S)

    @property
    def streamed(self) -> dict[Key, ChainWindow]:
        """The windows that have a stream of their own."""
        return {key: stream.window for key, stream in self._streams.items()}

    async def reopen(self, key: Key) -> None:
        """Open the stream of a window anew; the old one goes on until the new one speaks."""
        if (old := self._streams.get(key)) is not None:
            await self._open(old.window, anew=True)

    # -- what to follow --------------------------------------------------------------------------

    def _is_due(self, spot: float) -> bool:
        """Whether spot moved, something settled, or the interval is over."""
        if self._center is None or self._reviewed_at is None:
            return True
        now = self.clock.now()
        if any(settlement(root, expiration) <= now for root, expiration in self.windows):
            return True
        if strikes.should_recenter(self._center, spot, self.distance, self.config.price_move_threshold):
            return True
        every_s = self.config.strike_recalc_interval * self.config.poll_s(session_at(now))
        return self.clock.monotonic() - self._reviewed_at >= every_s

    async def _review(self, spot: float) -> None:
        now = self.clock.now()
        keys = strikes.first_expirations(await self._listing(now), now, self.config.expirations)
        if not keys:
            raise Unavailable(f"{self.market.name} lists no option expirations of {self.underlying} after {now:%F}")
        center = self._center
        # At the regular look a smaller move is enough: half the threshold keeps the swing from re-opening.
        threshold = self.config.price_move_threshold
        if center is None or 2 * abs(spot - center) >= strikes.move_threshold(spot, self.distance, threshold):
            center = spot
        windows = {}
        for key in keys:
            listed = await self._listed_contracts(key, now)
            if listed:
                windows[key] = strikes.plan_window(self.underlying, key, listed, center, self.distance)
        self._reviewed_at, self._center = self.clock.monotonic(), center
        await self._apply(windows)

    async def _listing(self, now: datetime) -> Sequence[Key]:
        """The vendor's expirations, asked once a trading day; an empty answer is never kept."""
        today = trading_date(now)
        if self._listed is None or self._listed[0] != today:
            listed = await self.market.expirations(self.underlying)
            if not listed:
                return []
            self._listed = (today, listed)
        return self._listed[1]

    async def _listed_contracts(self, key: Key, now: datetime) -> Sequence[OptionContract]:
        """The vendor's strikes of one expiration, asked once a trading day; an empty answer is never kept."""
        today = trading_date(now)
        known = self._contracts.get(key)
        if known is None or known[0] != today:
            listed = await self.market.contracts(self.underlying, *key)
            if not listed:
                return known[1] if known else ()
            self._contracts = {k: v for k, v in self._contracts.items() if v[0] == today}
            known = self._contracts[key] = (today, listed)
        return known[1]

    # -- carrying it out -------------------------------------------------------------------------

    async def _apply(self, windows: dict[Key, ChainWindow]) -> None:
        before, self.windows = self.windows, windows
        if {k: w.contracts for k, w in before.items()} != {k: w.contracts for k, w in windows.items()}:
            await self._retarget([contract for window in windows.values() for contract in window.contracts])
            self._say(before, windows)
        streamed = self.budget.streamed(self.underlying, list(windows.values())) if self.config.push else frozenset()
        self.polled = [window for key, window in windows.items() if key not in streamed]
        for key in [key for key in self._streams if key not in streamed]:
            await self._stop(self._streams.pop(key))
        for key in windows:
            if key in streamed:
                await self._open(windows[key])

    def _say(self, before: dict[Key, ChainWindow], windows: dict[Key, ChainWindow]) -> None:
        diary = {
            "underlying": self.underlying,
            "center": self._center,
            "expirations": [f"{root} {expiration}" for root, expiration in windows],
            "contracts": sum(len(window.contracts) for window in windows.values()),
        }
        if not before:
            log.info("chains followed", extra=diary)
        elif before.keys() != windows.keys():
            log.info("expiration rolled", extra=diary)
        else:
            log.info("strikes re-centred", extra=diary)

    async def _open(self, window: ChainWindow, *, anew: bool = False) -> None:
        key = (window.root, window.expiration)
        old = self._streams.get(key)
        if old is not None and old.window.contracts == window.contracts and not anew:
            return
        if old is not None and not self.budget.has_room:
            await self._stop(old)
            old = None
        new = self._streams[key] = _Stream(window)
        self.budget.used += 1
        new.task = self._tasks.create_task(self._listen(new))
        if old is not None:
            self._tasks.create_task(self._hand_over(old, new))

    async def _hand_over(self, old: _Stream, new: _Stream) -> None:
        """Close the old window once the new one speaks: the contracts of both are never without a stream."""
        try:
            await asyncio.wait_for(new.spoke.wait(), _HANDOVER_REAL_S)
        except TimeoutError:
            log.warning("re-centred stream is silent", extra={"underlying": self.underlying})
        await self._stop(old)

    async def _stop(self, stream: _Stream) -> None:
        if stream.task is not None and not stream.task.done():
            stream.task.cancel()
            await asyncio.wait([stream.task])

    async def _listen(self, stream: _Stream) -> None:
        backoff = Backoff()
        names = {"underlying": self.underlying, "expiration": str(stream.window.expiration)}
        try:
            while True:
                try:
                    async with aclosing(self.market.follow_chain(stream.window)) as batches:  # type: ignore[type-var]
                        async for quotes in batches:
                            stream.spoke.set()
                            backoff.reset()
                            await self._deliver(quotes)
                    await backoff.pause()
                except ProviderError as error:
                    if isinstance(error, UnknownSymbol):
                        log.error("chain not followed", extra={**names, "error": str(error)})
                        return
                    if not self._passes(error):
                        raise
                    log.warning("chain stream ended, opening again", extra={**names, "error": str(error)})
                    await backoff.pause(pause_s(error))
        finally:
            self.budget.used -= 1

    async def _poll(self) -> None:
        """Ask for every contract without a stream, by the interval of the session."""
        backoff = Backoff()
        while True:
            contracts = [contract for window in self.polled for contract in window.contracts]
            if not contracts:
                await asyncio.sleep(_LOOK_REAL_S)
                continue
            try:
                await self._deliver(await self.market.option_quotes(contracts))
                backoff.reset()
            except ProviderError as error:
                if not self._passes(error):
                    raise
                log.warning("option poll failed", extra={"underlying": self.underlying, "error": str(error)})
                await backoff.pause(pause_s(error))
            await poll_pause(self.clock, self.config)


async def poll_pause(clock: Clock, config: IngestConfig) -> None:
    """Wait for the poll interval of the session, in market time, and never less than a floor of real time."""
    await asyncio.gather(clock.sleep(config.poll_s(session_at(clock.now()))), asyncio.sleep(POLL_FLOOR_REAL_S))
