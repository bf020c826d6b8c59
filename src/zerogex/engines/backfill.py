"""Backfill: the minutes that are not stored are asked of the feed's history, and valued as live ones are.

    calendar ─► gaps ─► bars of the underlying ─► store
                 └────► trades of each contract ─► replayed minute by minute ─► IV, Greeks ─► store

What a feed remembers of an option is its trades: no bid, no ask.  A backfilled row therefore has `last`, the
day's volume so far and the open interest; its IV is solved from `last` and says so (`iv_source` last).  A
contract appears with its first trade of the day, and one that has expired since is listed no more.

Only minutes that are not stored are asked for and written, so that a second run does nothing, and an interrupted
one goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import TypeVar

from zerogex.clock import Clock
from zerogex.domain.calendar import minute_of, session_close, session_open, sessions, trading_date
from zerogex.domain.contract import OptionContract
from zerogex.engines.backfill_bars import FilledDay, fill_bars, read_bars
from zerogex.engines.backfill_options import DayReplay, OptionHistory
from zerogex.engines.backfill_progress import Progress
from zerogex.engines.ingest import feed_state_of
from zerogex.engines.threads import Backoff, in_thread
from zerogex.errors import BadPayload, RateLimited, SettingsError, Unavailable
from zerogex.pipeline import strikes
from zerogex.pipeline.bar_book import BarBook
from zerogex.pipeline.enrich import EnrichConfig
from zerogex.pipeline.gaps import Gap, expected_minutes
from zerogex.ports import MarketData, Store

log = logging.getLogger(__name__)

T = TypeVar("T")

SETTLED = timedelta(minutes=2)  # a minute younger than this is left to whoever follows the feed
SESSIONS_AT_ONCE = 5  # of one contract in one request; bounds what an interruption costs, and memory
REQUESTS_AT_ONCE = 4
TRIES_WHILE_AWAY = 6  # of one request while the feed is unavailable, the provider's own retries not counted
QUOTA_PAUSE_S = 30.0  # where the vendor does not say how long to wait


@dataclass(frozen=True, slots=True)
class BackfillConfig:
    """Plain values; `settings.py` and the command line say where each comes from."""

    underlyings: tuple[str, ...]
    lookback_days: int = 3  # calendar days before today, New York
    sample_every: int = 1  # of the option minutes every Nth is stored; bars are always whole
    expirations: int = 3  # dates, nearest first, as they were on each day
    strike_distance: str = "5%"  # dollars ("20") or percent of spot ("5%"), each side
    bucket_seconds: int = 60
    delay_between_bars_s: float = 0.0
    options: bool = True
    enrich: EnrichConfig = field(default_factory=EnrichConfig)

    def __post_init__(self) -> None:
        strikes.parse_distance(self.strike_distance)
        if self.lookback_days < 0 or self.sample_every < 1 or self.expirations < 1:
            raise SettingsError("lookback days must be 0 or more, sample every and expirations 1 or more")


@dataclass(slots=True)
class Backfilled:
    """What became of one underlying."""

    underlying: str
    bars: int = 0  # minutes of the underlying written
    chain_minutes: int = 0  # minutes of options written
    contract_rows: int = 0
    gaps: list[Gap] = field(default_factory=list)  # minutes of the underlying that the feed does not have either
    without_trades: int = 0  # option minutes in which no followed contract had traded yet
    problems: list[str] = field(default_factory=list)  # what the feed refused, a sentence each

    @property
    def complete(self) -> bool:
        """Whether nothing is missing that could have been there."""
        return not self.gaps and not self.problems


class BackfillEngine:
    """Fills what is missing, newest session first, then ends."""

    def __init__(
        self,
        market: MarketData,
        store: Store,
        clock: Clock,
        config: BackfillConfig,
        on_progress: Callable[[Progress], None] = lambda progress: None,
        followed_day: Callable[[], date | None] = lambda: None,
    ) -> None:
        """`followed_day`: the day whose bars an ingest in this process owns; they are read, not asked for."""
        self.market = market
        self.store = store
        self.clock = clock
        self.config = config
        self._on_progress = on_progress
        self._followed_day = followed_day
        self._distance = strikes.parse_distance(config.strike_distance)
        self._places = asyncio.Semaphore(1 if config.delay_between_bars_s > 0 else REQUESTS_AT_ONCE)

    async def run(self) -> list[Backfilled]:
        """Fill every underlying.  Raises what trying again cannot mend: NotAuthorized, UnknownSymbol, StoreError."""
        await in_thread(self.store.announce_feed, feed_state_of(self.market.name, self.clock))
        return [await self._fill(underlying) for underlying in self.config.underlyings]

    async def _fill(self, underlying: str) -> Backfilled:
        until = minute_of(self.clock.now()) - SETTLED
        today = trading_date(until)
        return await self.fill(underlying, sessions(today - timedelta(days=self.config.lookback_days), today), until)

    async def fill(self, underlying: str, wanted: Iterable[date], until: datetime) -> Backfilled:
        """Fill what some sessions of one underlying lack before `until`."""
        result = Backfilled(underlying)
        days = [day for day in sorted(wanted, reverse=True) if session_open(day) < until]
        for first in range(0, len(days), SESSIONS_AT_ONCE):
            await self._fill_days(days[first : first + SESSIONS_AT_ONCE], until, result)
        log.info(
            "backfill finished",
            extra={
                "underlying": underlying,
                "bars": result.bars,
                "chain_minutes": result.chain_minutes,
                "gaps": len(result.gaps),
            },
        )
        return result

    async def _fill_days(self, days: Sequence[date], until: datetime, result: Backfilled) -> None:
        """A few sessions, newest first."""
        books: dict[date, BarBook] = {}
        began = time.monotonic()
        for done, day in enumerate(days, 1):
            found = await self._bars(result.underlying, day, until)
            books[day] = found.book
            result.bars += found.written
            result.gaps += found.gaps
            result.gaps.sort()
            self._say(result.underlying, "bars", days, done, len(days), began)
            if found.asked:
                await asyncio.sleep(self.config.delay_between_bars_s)
        if not self.config.options:
            return
        replays = [replay for day in days if (replay := await self._replay_of(result.underlying, day, until, books))]
        if replays:
            await self._fill_options(replays, result)

    async def _bars(self, underlying: str, day: date, until: datetime) -> FilledDay:
        """A day's bars, complete where the feed can say them; another writer's are taken as they stand."""
        bucket = self.config.bucket_seconds
        if day == self._followed_day():
            return await read_bars(self.store, underlying, day, until, bucket)
        return await self._patiently(partial(fill_bars, self.market, self.store, underlying, day, until, bucket))

    async def _replay_of(
        self, underlying: str, day: date, until: datetime, books: dict[date, BarBook]
    ) -> DayReplay | None:
        """What is missing of a day's option minutes; None where nothing is."""
        opens, closes = session_open(day), session_close(day)
        bucket = self.config.bucket_seconds
        around = timedelta(seconds=bucket)  # a long bucket may begin before the open and end after the close
        minutes = expected_minutes(opens - around, min(closes + around, until), bucket)
        wanted = minutes[:: self.config.sample_every]
        if not wanted:
            return None
        stored = set(await in_thread(self.store.chain_minutes, underlying, wanted[0], closes))
        missing = frozenset(minute for minute in wanted if minute not in stored)
        if not missing:
            return None
        replay = DayReplay(underlying, day, minutes, missing, books[day], bucket, simulated=self.clock.simulated)
        return replay if replay.price_range is not None else None

    # -- options ---------------------------------------------------------------------------------

    async def _fill_options(self, replays: Sequence[DayReplay], result: Backfilled) -> None:
        """The missing option minutes of a few sessions, by one request a contract."""
        underlying, days = result.underlying, [replay.day for replay in replays]
        followed = await self._contracts(underlying, replays)
        contracts = sorted({contract for each in followed.values() for contract in each})
        start, end = session_open(min(days)), max(session_close(day) for day in days)
        history = OptionHistory()
        began, done = time.monotonic(), 0

        async def fetch(contract: OptionContract) -> None:
            nonlocal done
            async with self._places:
                bars = await self._patiently(partial(self.market.option_bars, contract, start, end))
                await asyncio.sleep(self.config.delay_between_bars_s)
            history.add(contract, bars)
            done += 1
            self._say(underlying, "options", days, done, len(contracts), began)

        outcomes = await asyncio.gather(*(fetch(contract) for contract in contracts), return_exceptions=True)
        failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        for outcome in failed:
            if not isinstance(outcome, Unavailable | RateLimited | BadPayload):
                raise outcome
        if failed:  # a chain without some of its contracts would never be completed: leave it to the next run
            result.problems.append(f"{len(failed)} of {len(contracts)} contracts gave no history: {failed[0]}")
            return
        for replay in replays:
            batches = replay.batches(history, followed[replay.day], self.config.enrich)
            while (batch := await in_thread(next, batches, None)) is not None:
                await in_thread(self.store.write_minute, batch)
                result.chain_minutes += 1
                result.contract_rows += len(batch.chain) if batch.chain is not None else 0
            result.without_trades += replay.empty

    async def _contracts(self, underlying: str, replays: Sequence[DayReplay]) -> dict[date, tuple[OptionContract, ...]]:
        """The contracts of each day: its first expirations, the strikes near any price of it."""
        listed = await self._patiently(partial(self.market.expirations, underlying))
        known: dict[strikes.Key, Sequence[OptionContract]] = {}
        found = {}
        for replay in replays:
            low, high = replay.price_range or (0.0, 0.0)
            width = self._distance.dollars((low + high) / 2)
            keys = strikes.first_expirations(listed, session_open(replay.day), self.config.expirations)
            near: list[OptionContract] = []
            for key in keys:
                if key not in known:
                    known[key] = await self._patiently(partial(self.market.contracts, underlying, *key))
                near += strikes.contracts_near(known[key], (low + high) / 2, width + (high - low) / 2)
            found[replay.day] = tuple(near)
        return found

    # -- patience --------------------------------------------------------------------------------

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """An answer, whatever quotas and a feed that is away ask of our patience."""
        backoff, away = Backoff(), 0
        while True:
            try:
                return await ask()
            except RateLimited as error:
                pause_s = error.retry_after_s or QUOTA_PAUSE_S
                log.info("backfill waits for the quota", extra={"wait_s": round(pause_s), "reason": str(error)})
                await asyncio.sleep(pause_s)
            except Unavailable:
                away += 1
                if away >= TRIES_WHILE_AWAY:
                    raise
                await backoff.pause()

    def _say(self, underlying: str, what: str, days: Sequence[date], done: int, total: int, began: float) -> None:
        self._on_progress(Progress(underlying, what, min(days), max(days), done, total, time.monotonic() - began))
