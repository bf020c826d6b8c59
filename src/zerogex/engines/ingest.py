"""Ingest: the feed comes in, minutes with IV and Greeks go to the store."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

from zerogex.clock import Clock, ScaledClock
from zerogex.domain.gap import GapReason
from zerogex.engines.backfill_bars import fill_recent
from zerogex.engines.claims import Claims
from zerogex.engines.feed_trouble import FeedTrouble
from zerogex.engines.follow import StreamBudget
from zerogex.engines.ingest_config import IngestConfig
from zerogex.engines.ingest_figures import figures
from zerogex.engines.ingest_underlying import UnderlyingIngest
from zerogex.engines.threads import first_of, hurry_at_the_end, in_thread
from zerogex.errors import LockHeld, NotAuthorized, SettingsError, StoreUnavailable, UnknownSymbol
from zerogex.metrics import Meter
from zerogex.pipeline.minutes import check_bucket
from zerogex.pipeline.strikes import parse_distance
from zerogex.ports import FeedEvent, FeedState, MarketData, Store

__all__ = ["IngestConfig", "IngestEngine", "feed_state_of"]

log = logging.getLogger(__name__)

# A server notices within 25 s that a machine went away without a word, ours before it was reset among them.
_GHOST_REAL_S, _GHOST_LOOK_REAL_S = 30.0, 0.5

_LEVELS = dict.fromkeys(
    ("goaway", "dual_logon", "symbol_error", "silent", "rate_limited", "clock_skew"), logging.WARNING
) | {"not_authorized": logging.ERROR}

_REASONS = {
    "reconnecting": GapReason.UPSTREAM_DOWN,
    "goaway": GapReason.UPSTREAM_DOWN,
    "dual_logon": GapReason.UPSTREAM_DOWN,
    "rate_limited": GapReason.RATE_LIMITED,
    "silent": GapReason.SILENT,
}


class IngestEngine:
    """Follows every underlying of its configuration until cancelled."""

    def __init__(
        self, market: MarketData, store: Store, clock: Clock, config: IngestConfig, meter: Meter | None = None
    ) -> None:
        check_bucket(config.bucket_seconds)
        parse_distance(config.strike_distance)
        self.market = market
        self.store = store
        self.clock = clock
        self.config = config
        self.budget = StreamBudget(config.streams_max, () if config.standby else config.underlyings)
        self.followed: list[UnderlyingIngest] = []  # while it runs
        self._trouble = FeedTrouble(store)
        self.meter = meter or Meter()
        self.meter.watch(lambda: figures(self.followed, self.budget, self.clock.now(), self._trouble))

    async def run(self, on_started: Callable[[], None] = lambda: None) -> None:
        """Run until cancelled, then drain: no closed minute is lost, the open one is written as it stands.

        `on_started` is called once every underlying is ours to write; standing by, at once.
        Raises LockHeld where another process writes one of the underlyings (standing by, never), OriginConflict
        where simulated and live data would mix, NotAuthorized where the vendor refuses us; several errors
        at once come as a group.
        """
        self.market.on_event = self._say_event
        self.store.hurry(None)
        await in_thread(self.store.announce_feed, feed_state_of(self.market.name, self.clock))
        try:
            if self.config.standby:
                await self._share(on_started)
            else:
                await self._own(on_started)
        except (NotAuthorized, ExceptionGroup) as error:
            if (refused := first_of(error, NotAuthorized)) is not None:
                await self._trouble.tell(str(refused))
            raise
        log.info("ingest stopped")

    def writes(self, underlying: str) -> bool:
        """Whether an underlying is ours to write now."""
        return any(one.underlying == underlying for one in self.followed)

    async def _own(self, on_started: Callable[[], None]) -> None:
        """Write every underlying; all of them are ours, or none."""
        locks = ExitStack()
        try:
            for underlying in self.config.underlyings:
                await self._lock(locks, underlying)
            self._say_start()
            on_started()
            if self.config.backfill_on_startup:
                for underlying in self.config.underlyings:
                    await self._fill_gaps(underlying)
            await self._follow()
        finally:
            await in_thread(locks.close)

    async def _lock(self, locks: ExitStack, underlying: str) -> None:
        """Hold an underlying's lock; one that a dead process of this machine left behind is waited for."""
        deadline, said = time.monotonic() + _GHOST_REAL_S, False
        while True:
            try:
                return await in_thread(_enter, locks, self.store.writer_lock(underlying))
            except LockHeld as held:
                if not held.passing or time.monotonic() > deadline:
                    raise
                if not said:
                    log.info("lock of a dead process waited for", extra={"underlying": underlying, "reason": str(held)})
                said = True
            await asyncio.sleep(_GHOST_LOOK_REAL_S)

    async def _share(self, on_started: Callable[[], None]) -> None:
        """Write what is our share of the watch list, and more where another process dies."""
        self._say_start()
        on_started()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._trouble.keep_telling(), name="feed trouble")
            tasks.create_task(hurry_at_the_end(self.store), name="end")
            tasks.create_task(Claims(self.store, self.config.underlyings, self._hold).run(), name="claims")

    async def _hold(self, underlying: str) -> None:
        """Follow an underlying whose lock is ours, until cancelled."""
        self.budget.add(underlying)
        one = UnderlyingIngest(underlying, self.market, self.store, self.clock, self.config, self.budget)
        self.followed.append(one)
        try:
            if self.config.backfill_on_startup:
                await self._fill_gaps(underlying)
            if not await self._follow_if_known(one):
                await asyncio.Event().wait()  # nobody else can follow it either: the lock says that it is looked after
        finally:
            self.followed.remove(one)
            self.budget.remove(underlying)

    async def _fill_gaps(self, underlying: str) -> None:
        """The holes of the last days, before streaming; who is away, feed or database, does not keep us from that."""
        try:
            gaps = await fill_recent(self.market, self.store, self.clock, underlying, self.config.bucket_seconds)
        except StoreUnavailable as error:
            log.warning("gaps not filled", extra={"underlying": underlying, "error": str(error)})
            return
        if gaps:
            missing = {"gaps": len(gaps), "minutes": sum(gap.minutes for gap in gaps)}
            log.warning("gaps remain", extra={"underlying": underlying, **missing})

    async def _follow(self) -> None:
        self.followed = [
            UnderlyingIngest(underlying, self.market, self.store, self.clock, self.config, self.budget)
            for underlying in self.config.underlyings
        ]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._trouble.keep_telling(), name="feed trouble")
            tasks.create_task(hurry_at_the_end(self.store), name="end")
            for one in tuple(self.followed):
                tasks.create_task(self._follow_one(one), name=one.underlying)

    async def _follow_one(self, one: UnderlyingIngest) -> None:
        """Follow an underlying; one that the feed does not know leaves the others alone."""
        if await self._follow_if_known(one):
            return
        self.followed.remove(one)
        self.budget.remove(one.underlying)
        if not self.followed:
            names = ",".join(self.config.underlyings)
            raise SettingsError(f"the feed does not know {names}; check STREAM_UNDERLYING (or -u)")

    async def _follow_if_known(self, one: UnderlyingIngest) -> bool:
        """Follow until cancelled; False, and said once, where the feed has never heard of it.

        One that the feed forgets later is an error.
        """
        try:
            await one.run()
        except (UnknownSymbol, ExceptionGroup) as error:
            unknown = first_of(error, UnknownSymbol)
            if unknown is None or one.heard_at is not None:
                raise
            log.error("symbol not known", extra={"underlying": one.underlying, "reason": str(unknown)})
            return False
        return True

    def _say_start(self) -> None:
        config = self.config
        log.info(
            "ingest started",
            extra={
                "provider": self.market.name,
                "underlyings": ",".join(config.underlyings),
                "expirations": config.expirations,
                "strike_distance": config.strike_distance,
                "mode": "push" if config.push else "poll",
                "simulated": self.clock.simulated,
            },
        )
        log.info("IV calculation enabled" if config.enrich.iv_enabled else "IV calculation disabled")
        log.info("Greeks calculation enabled" if config.enrich.greeks_enabled else "Greeks calculation disabled")

    def _say_event(self, event: FeedEvent) -> None:
        self.meter.add("feed_events_total", 1, event.kind)
        level = _LEVELS.get(event.kind, logging.INFO)
        if event.kind in ("not_authorized", "authorized"):
            self._trouble.note(event.detail)
        if (reason := _REASONS.get(event.kind)) is not None:
            for one in self.followed:
                one.gaps.trouble(event.stream, self.clock.now(), reason)
        detail = {"detail": event.detail} if event.detail else {}
        log.log(level, "feed event", extra={"kind": event.kind, "stream": event.stream, **detail})


def feed_state_of(provider: str, clock: Clock) -> FeedState:
    """What a database is told of its feed: who, and by which clock."""
    if isinstance(clock, ScaledClock):
        return FeedState(provider, clock.simulated, clock.market_anchor, clock.wall_anchor, clock.speed)
    return FeedState(provider, clock.simulated)


def _enter(stack: ExitStack, lock: AbstractContextManager[None]) -> None:
    stack.enter_context(lock)
