"""Analyze: stored chains become GEX, levels and flow, whatever feeds them and at any hour.

Two rhythms an underlying.  The *live* one answers each change of the latest rows, at most twice a
second, and replaces one row.  The *minute* one writes history: a row a stored minute, never closer
together than its interval.  Neither asks whether the market is open: what is there is analysed, and
every answer says how old it is.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec

from zerogex import __version__
from zerogex.analytics.analysis import analyze
from zerogex.analytics.config import AnalysisConfig
from zerogex.analytics.document import document
from zerogex.clock import Clock
from zerogex.domain.exposure import Analysis
from zerogex.engines.analyze_history import AnalysisHistory
from zerogex.engines.threads import Absence, hurry_at_the_end, in_thread
from zerogex.errors import StoreUnavailable
from zerogex.metrics import Meter
from zerogex.ports import ChainVersion, Notice, Store

log = logging.getLogger(__name__)

_LIVE_FASTEST_REAL_S, _LIVE_SLOWEST_REAL_S = 0.5, 1.0  # between two live answers of an underlying
_LIVE_SHARE = 0.25  # of the time is what live answers may take before they come less often
_LISTEN_REAL_S = 0.5
_LOOK_FOR_NEW_REAL_S = 5.0
_CATCH_UP_MAX = 30  # stored minutes analysed in one go after a pause
_HISTORY_EVERY_REAL_S = 20.0  # a look for stored minutes without an analysis, where the last one found none
_HISTORY_PAUSE_REAL_S = 1.0  # between two looks that found some
_HISTORY_REACH = timedelta(days=5)

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class AnalyzeConfig:
    """Plain values; `settings.py` says where each comes from."""

    underlyings: tuple[str, ...] | None = None  # None: every underlying in the store
    interval_s: float = 60.0  # market seconds between two rows of history
    bucket_seconds: int = 60  # length of a stored minute: AGGREGATION_BUCKET_SECONDS
    analysis: AnalysisConfig = field(default_factory=AnalysisConfig)


class _Watch:
    """One underlying: what was heard of it."""

    def __init__(self) -> None:
        self.latest = asyncio.Event()
        self.minute = asyncio.Event()
        self.newest: datetime | None = None  # the newest minute analysed since we started
        # What is stored already when we start deserves an answer too.
        self.latest.set()
        self.minute.set()


class AnalyzeEngine:
    """Analyses what the store holds until cancelled, or once."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        config: AnalyzeConfig,
        meter: Meter | None = None,
        on_live: Callable[[dict[str, Any]], None] = lambda document: None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.config = config
        self.meter = meter or Meter()
        self.meter.watch(self._ages)
        self._on_live = on_live  # told of each live answer, in a thread
        self._newest: dict[str, datetime] = {}  # underlying to the time of the data last analysed
        self._watches: dict[str, _Watch] = {}
        self._absence = Absence(log, "store unavailable, analysis waits")
        self._stopping = threading.Event()

    async def once(self) -> list[Analysis]:
        """Analyse the newest stored minute of each underlying (the latest rows where no minute is stored yet)."""
        answers = [await in_thread(self._once, underlying) for underlying in await self._underlyings()]
        return [answer for answer in answers if answer is not None]

    async def fill(self, start: datetime) -> dict[str, list[datetime]]:
        """Analyse every stored minute from `start` on that has no analysis yet; which ones, by underlying."""
        filled: dict[str, list[datetime]] = {}
        try:
            for underlying in await self._underlyings():
                history, end = self._history_of(underlying), self.clock.now() + timedelta(days=1)
                done = filled[underlying] = []
                while found := await in_thread(history.fill, start, end, self._stopping):
                    done += found
        finally:
            self._stopping.set()
        return filled

    async def run(self, on_started: Callable[[], None] = lambda: None) -> None:
        """Analyse on notices and on the interval, until cancelled; `on_started` is called when that begins."""
        log.info("analyze started", extra={"interval_s": self.config.interval_s})
        self.store.hurry(None)
        on_started()
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                tasks.create_task(hurry_at_the_end(self.store), name="end")
                tasks.create_task(self._listen(), name="listen")
                tasks.create_task(self._look_for_new(), name="look for new")
        finally:
            self._stopping.set()
            log.info("analyze stopped")

    # -- who to watch ----------------------------------------------------------------------------

    async def _underlyings(self) -> Sequence[str]:
        if self.config.underlyings is not None:
            return self.config.underlyings
        return await in_thread(self.store.underlyings)

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            hearing = asyncio.ensure_future(asyncio.to_thread(self._hear, loop))
            try:
                await asyncio.shield(hearing)
            finally:
                if not hearing.done():
                    self._stopping.set()
                    await asyncio.wait([hearing])

    def _hear(self, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread: pass notices on, until a pause in them or the end."""
        try:
            for notice in self.store.notices(_LISTEN_REAL_S):
                if self._stopping.is_set():
                    return
                with suppress(RuntimeError):  # the loop closed under us
                    loop.call_soon_threadsafe(self._wake, notice)
        except StoreUnavailable:
            self._stopping.wait(_LISTEN_REAL_S)

    def _wake(self, notice: Notice) -> None:
        if self.config.underlyings is None or notice.underlying in self.config.underlyings:
            watch = self._watch(notice.underlying)
            if notice.channel == "latest":
                watch.latest.set()
            elif notice.channel == "minute":
                watch.minute.set()

    def _watch(self, underlying: str) -> _Watch:
        watch = self._watches.get(underlying)
        if watch is None and not self._stopping.is_set():
            watch = self._watches[underlying] = _Watch()
            self._tasks.create_task(self._live(underlying, watch), name=f"{underlying} live")
            self._tasks.create_task(self._minutes(underlying, watch), name=f"{underlying} minutes")
            self._tasks.create_task(self._history(underlying, watch), name=f"{underlying} history")
        return watch or _Watch()

    async def _look_for_new(self) -> None:
        """Underlyings that were in the store before we listened, or that nobody announces."""
        while True:
            with suppress(StoreUnavailable):
                for underlying in await self._underlyings():
                    self._watch(underlying)
            await asyncio.sleep(_LOOK_FOR_NEW_REAL_S)

    # -- two rhythms -----------------------------------------------------------------------------

    async def _live(self, underlying: str, watch: _Watch) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await watch.latest.wait()
            watch.latest.clear()
            began = loop.time()
            await self._absence.outlast(self._write_live, underlying)
            took = loop.time() - began
            await asyncio.sleep(live_pause_s(took, len(self._watches)) - took)

    async def _minutes(self, underlying: str, watch: _Watch) -> None:
        while True:
            watch.minute.clear()
            await self._absence.outlast(self._write_minutes, underlying, watch)
            interval = asyncio.ensure_future(self.clock.sleep(max(self.config.interval_s, 1.0)))
            heard = asyncio.ensure_future(watch.minute.wait())
            try:
                await asyncio.wait([interval, heard], return_when=asyncio.FIRST_COMPLETED)
            finally:
                interval.cancel()
                heard.cancel()

    async def _history(self, underlying: str, watch: _Watch) -> None:
        """Analyse what the two rhythms passed over, a little at a time."""
        history, found = self._history_of(underlying), False
        while True:
            await asyncio.sleep(_HISTORY_PAUSE_REAL_S if found else _HISTORY_EVERY_REAL_S)
            newest, found = watch.newest, False
            if newest is None:
                continue
            with suppress(StoreUnavailable):  # what comes after the newest is the minute rhythm's business
                found = bool(await in_thread(history.fill, newest - _HISTORY_REACH, newest, self._stopping))

    def _history_of(self, underlying: str) -> AnalysisHistory:
        return AnalysisHistory(self.store, underlying, self._step, partial(self._write_minute, underlying))

    @property
    def _step(self) -> timedelta:
        """Market time between two rows of history: whole minutes, because those are what is stored."""
        bucket = self.config.bucket_seconds
        return timedelta(seconds=max(math.ceil(self.config.interval_s / bucket), 1) * bucket)

    # -- in threads ------------------------------------------------------------------------------

    def _once(self, underlying: str) -> Analysis | None:
        stored = self.store.chain_versions(underlying)
        answer = self._write_minute(underlying, stored[-1]) if stored else None
        live = self._write_live(underlying)
        return answer or live

    def _write_live(self, underlying: str) -> Analysis | None:
        """Analyse the latest rows and replace the live answer."""
        with self.meter.timed("analysis_seconds", "live"):
            chain = self.store.latest_chain(underlying)
            if chain is None or not len(chain):
                return None
            analysis = analyze(chain, self.config.analysis)
            answer = live_document(analysis, self.clock.now())
            self.store.write_live(analysis, _encode(answer))
        self._on_live(answer)
        return self._done(analysis, "live")

    def _write_minutes(self, underlying: str, watch: _Watch) -> None:
        """Write the stored minutes that are due: new ones an interval apart, and those stored again since."""
        stored = {minute.timestamp: minute for minute in self.store.chain_versions(underlying)}
        if not stored:
            return
        due = {
            stamp for stamp, minute in stored.items() if minute.analysed is not None and minute.analysed < minute.stored
        }
        newest = max(stored)
        last = max((stamp for stamp, minute in stored.items() if minute.analysed is not None), default=None)
        if last is None:
            due.add(newest)
        else:
            missed = int((newest - last) / self._step)
            due |= {last + k * self._step for k in range(max(1, missed - _CATCH_UP_MAX + 1), missed + 1)}
            if watch.newest is None:
                due.add(last)  # another program, or another configuration, may have analysed it
        for stamp in sorted(due & stored.keys()):
            self._write_minute(underlying, stored[stamp])
        watch.newest = max(due & stored.keys(), default=last)

    def _write_minute(self, underlying: str, minute: ChainVersion) -> Analysis | None:
        # Its chain is read after its version: if it was stored once more in between, it is analysed once more.
        chain = self.store.minute_chain(underlying, minute.timestamp)
        if chain is None or not len(chain):
            return None
        with self.meter.timed("analysis_seconds", "minute"):
            analysis = analyze(chain, self.config.analysis)
            self.store.write_analysis(analysis, minute.timestamp, minute.stored)
        log.info(
            "analysis stored",
            extra={
                "underlying": chain.underlying,
                "minute": minute.timestamp,
                "net_gex": round(float(analysis.totals.net_gex)),
                "gamma_flip": None if analysis.flip.price is None else round(float(analysis.flip.price), 2),
                "contracts": analysis.coverage.used,
            },
        )
        return self._done(analysis, "minute")

    def _done(self, analysis: Analysis, kind: str) -> Analysis:
        self.meter.add("analyses_total", 1, analysis.underlying, kind)
        newest = self._newest.get(analysis.underlying, analysis.data_timestamp)
        self._newest[analysis.underlying] = max(newest, analysis.data_timestamp)
        return analysis

    def _ages(self) -> list[tuple[str, float, tuple[str, ...]]]:
        now = self.clock.now()
        return [("analysis_age_seconds", (now - at).total_seconds(), (who,)) for who, at in self._newest.copy().items()]


def live_pause_s(took_s: float, underlyings: int) -> float:
    """Real seconds from the beginning of a live answer that took so long to the next one of that underlying.

    Half a second keeps the way from a message to the page short; who watches many symbols, or a machine that is
    busy, gets them once a second.
    """
    return min(max(_LIVE_FASTEST_REAL_S, took_s * underlyings / _LIVE_SHARE), _LIVE_SLOWEST_REAL_S)


def live_document(analysis: Analysis, now: datetime) -> dict[str, Any]:
    """An analysis as plain values, with when and by which program it was computed."""
    computed_at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {**document(analysis), "computed_at": computed_at, "code_version": __version__}
