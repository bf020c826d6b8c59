"""What ingest does beside following: missing minutes are filled by themselves, and quality is written down."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from zerogex import app
from zerogex.clock import ManualClock
from zerogex.domain.bar import MinuteBar
from zerogex.domain.gap import DataGap, GapReason
from zerogex.engines import gap_filler
from zerogex.engines.backfill_bars import fill_bars
from zerogex.engines.gap_filler import GapFiller
from zerogex.engines.quality_watch import QualityWatch
from zerogex.engines.upkeep import PACE_S, Upkeep
from zerogex.errors import LockHeld
from zerogex.ports import MinuteBatch
from zerogex.simulator.config import SimulatorConfig
from zerogex.simulator.faults import changed
from zerogex.simulator.server import Simulator

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)  # 10:00 in New York, on a Friday
OPEN = NOW - timedelta(minutes=30)
STEP = timedelta(minutes=1)
TODAY, YESTERDAY = date(2026, 11, 20), date(2026, 11, 19)


class Rig:
    """A gap filler on a simulated market and a real database."""

    def __init__(self, simulator: Simulator, given: Any, store: Any) -> None:
        self.simulator = simulator
        loaded = given(TRADESTATION_API_URL=simulator.url, API_RETRY_ATTEMPTS=0)
        self.clock = ManualClock(NOW)
        self.market = app.market_data(loaded, self.clock)
        self.store = store
        config = app.backfill_config(loaded.settings, lookback_days=0, sample_every=1, options=True)
        self.config = replace(config, expirations=1, strike_distance="3")
        self.filled: list[tuple[str, date]] = []

    def filler(self, **options: Any) -> GapFiller:
        note = lambda underlying, day: self.filled.append((underlying, day))  # noqa: E731
        return GapFiller(self.market, self.store, self.clock, self.config, on_filled=note, **options)

    async def bars(self, day: date) -> None:
        await fill_bars(self.market, self.store, "SPY", day, NOW)

    def live(self, make_chain: Any, minute: datetime, *gaps: DataGap) -> None:
        """Ingest has just written this minute."""
        chain = make_chain(as_of=minute + STEP, underlying="SPY", strikes=2)
        self.store.write_minute(MinuteBatch(uuid4(), "SPY", minute, chain, (), gaps))

    def minutes(self) -> list[datetime]:
        return list(self.store.chain_minutes("SPY", OPEN - timedelta(days=5), NOW))

    def asked(self) -> Counter[str]:
        return Counter(self.simulator.exchange.ledger.as_fields()["requests"])


@pytest.fixture
async def rig(given: Any, store: Any) -> AsyncIterator[Rig]:
    async with Simulator(SimulatorConfig(port=0, start=NOW)) as simulator:
        rig = Rig(simulator, given, store)
        yield rig
        await rig.market.aclose()


async def test_what_was_missed_since_the_open_is_filled_and_not_asked_for_again(rig: Rig, make_chain) -> None:
    await rig.bars(TODAY)
    rig.live(make_chain, NOW - 2 * STEP)
    filler = rig.filler()
    await filler.look("SPY")
    found = rig.minutes()
    assert len(found) > 20
    assert set(found) <= {OPEN + k * STEP for k in range(29)}
    assert rig.filled == [("SPY", TODAY)]
    row = rig.store.minute_chain("SPY", found[0])
    assert set(row.iv_source.tolist()) <= {3, 4}  # from last prices, by the pipeline of live data
    await filler.look("SPY")
    asked = rig.asked()
    await filler.look("SPY")  # the feed knows no trade of what is still missing: asked twice, then left alone
    assert rig.asked() == asked


async def test_a_minute_that_ingest_may_still_write_is_left_to_it(rig: Rig, make_chain) -> None:
    await rig.bars(TODAY)
    asked = rig.asked()
    await rig.filler().look("SPY")
    rig.live(make_chain, OPEN)
    await rig.filler().look("SPY")
    assert rig.asked() == asked
    assert rig.minutes() == [OPEN]


async def test_what_another_process_writes_is_left_to_that_one(rig: Rig, make_chain, monkeypatch) -> None:
    monkeypatch.setattr(gap_filler, "FIRST_LOOK_REAL_S", 0.0)
    await rig.bars(TODAY)
    rig.live(make_chain, NOW - 2 * STEP)
    for ours in (False, True):
        filled = asyncio.Event()
        hooks = {"on_filled": lambda *_, filled=filled: filled.set(), "writes": lambda _, ours=ours: ours}
        looking = asyncio.ensure_future(GapFiller(rig.market, rig.store, rig.clock, rig.config, **hooks).run())
        with suppress(TimeoutError):
            await asyncio.wait_for(filled.wait(), 30.0 if ours else 0.3)
        looking.cancel()
        await asyncio.wait([looking])
        assert filled.is_set() is ours


async def test_a_feed_that_is_away_is_asked_again_at_the_next_look(rig: Rig, make_chain, monkeypatch) -> None:
    monkeypatch.setattr("zerogex.engines.backfill.TRIES_WHILE_AWAY", 1)
    await rig.bars(TODAY)
    rig.live(make_chain, NOW - 2 * STEP)
    filler = rig.filler()
    exchange = rig.simulator.exchange
    exchange.switch(changed(exchange.faults, {"status": 503, "status_path": "barcharts"}))
    await filler.look("SPY")
    assert rig.minutes() == [NOW - 2 * STEP]
    assert rig.filled == []
    exchange.switch(exchange.config.faults)
    await filler.look("SPY")
    assert len(rig.minutes()) > 20


async def test_a_gap_declared_yesterday_is_filled_with_its_bars(rig: Rig, make_chain) -> None:
    start = OPEN - timedelta(days=1) + 60 * STEP
    gaps = [DataGap(what, start, start + 20 * STEP, GapReason.STOPPED) for what in ("bars", "chains")]
    silent = DataGap("chains", OPEN, OPEN + 5 * STEP, GapReason.SILENT, "SPY 2026-11-20")
    await rig.bars(TODAY)
    rig.live(make_chain, OPEN, *gaps, silent)
    await rig.filler().look("SPY")
    assert rig.filled == [("SPY", YESTERDAY)]
    assert len(rig.store.bars("SPY", start, start + 20 * STEP)) == 20
    assert len([minute for minute in rig.minutes() if minute < OPEN]) > 300  # a day is filled whole


async def test_without_back_fill_at_start_only_what_comes_later_is_filled(rig: Rig, make_chain) -> None:
    await rig.bars(TODAY)
    filler = rig.filler(before_start=False)
    rig.live(make_chain, NOW - 2 * STEP)
    await filler.look("SPY")
    assert rig.minutes() == [NOW - 2 * STEP]


async def test_bars_of_today_belong_to_ingest(rig: Rig, make_chain) -> None:
    """Their volumes are sums over the day: two writers would not agree."""
    await rig.bars(TODAY)
    first, second = OPEN + 5 * STEP, OPEN + 9 * STEP
    before = {bar.timestamp: bar for bar in rig.store.bars("SPY", OPEN, NOW)}
    changed = MinuteBar("SPY", second, 1.0, 1.0, 1.0, 1.0, 1, 1)
    rig.store.write_bars([changed])
    rig.live(make_chain, NOW - 2 * STEP, DataGap("bars", first, first + STEP, GapReason.SILENT))
    await rig.filler().look("SPY")
    after = {bar.timestamp: bar for bar in rig.store.bars("SPY", OPEN, NOW)}
    assert after == before | {second: changed}


def test_each_session_is_looked_at_every_quarter_of_an_hour_and_after_its_close(store) -> None:
    clock = ManualClock(NOW)
    watch = QualityWatch(store, clock, ("SPY", "QQQ"))
    looks = []
    for _ in range(24 * 60):
        looks += [(name, day, clock.now().strftime("%H:%M")) for name, day in watch.due() if name == "SPY"]
        clock.current += STEP
    today = [at for _, day, at in looks if day == TODAY]
    assert today[:3] == ["15:00", "15:15", "15:30"]
    assert today[-1] == "21:05"  # five minutes after the close; then never again
    assert len(today) == 25 + 1
    watch.look_again("SPY", YESTERDAY)
    assert watch.due() == [("SPY", YESTERDAY)]
    assert watch.due() == []


async def test_findings_are_written_without_anybody_asking(store) -> None:
    store.write_bars([MinuteBar("SPY", OPEN + k * STEP, 1.0, 1.0, 1.0, 1.0, k, k) for k in range(30) if k != 7])
    watch = QualityWatch(store, ManualClock(NOW), ("SPY",))
    await watch.look("SPY", TODAY)
    columns, rows = store.query("findings")
    assert [row[columns.index("message")] for row in rows] == [
        "30 minutes are missing from chains, 09:30 to 10:00 ET",
        "1 minute is missing from bars, 09:37 to 09:38 ET",
    ]


async def test_upkeep_lasts_as_long_as_the_work_beside_it(rig: Rig) -> None:
    upkeep = Upkeep(rig.market, rig.store, rig.clock, rig.config)
    assert upkeep.gaps.config.delay_between_bars_s == PACE_S  # following keeps a part of the quota
    done = []

    async def work() -> None:
        await asyncio.sleep(0)
        done.append(True)

    await upkeep.beside(work)
    assert done

    async def refused() -> None:
        raise LockHeld("taken")

    with pytest.raises(ExceptionGroup) as caught:
        await upkeep.beside(refused)
    assert isinstance(caught.value.exceptions[0], LockHeld)
