"""Settings of ingest that only show with time: what is held back, looked at again, tidied up."""

import asyncio
from contextlib import asynccontextmanager
from datetime import date, timedelta
from itertools import pairwise

import pytest

from unit.engines.test_ingest_engine import TEN, Running, _quick  # noqa: F401
from zerogex.engines.ingest import IngestEngine
from zerogex.pipeline.enrich import enrich


@pytest.fixture(scope="module", autouse=True)
def _compiled(make_chain):
    """Kernels compile when they are first needed, which may take longer than these tests wait."""
    enrich(make_chain(strikes=4))


class Watched(Running):
    """An engine at work that can be looked into."""

    @asynccontextmanager
    async def __call__(self):
        self.engine = IngestEngine(self.market, self.store, self.clock, self.config)
        self.task = asyncio.ensure_future(self.engine.run())
        try:
            await self.until(lambda: self.engine.followed and self.one.follower.windows)
            yield self
        finally:
            self.task.cancel()
            await asyncio.wait([self.task])

    @property
    def one(self):
        return self.engine.followed[0]

    @property
    def center(self):
        return self.one.follower.windows["SPY", date(2026, 3, 20)].center

    async def price(self, value):
        self.market.say_bar(0, value, closed=False, up=int(value * 10))
        await self.until(lambda: self.one.builder.book.spot_now()[0] == value)
        await asyncio.sleep(0.02)  # ten looks of the follower


async def test_max_buffer_size_is_how_many_changes_wait_for_the_interval():
    for size, waits in ((10, False), (1000, True)):
        async with Watched(max_buffer=size, latest_interval_s=60.0)() as at_work:
            await at_work.until(lambda at_work=at_work: not at_work.one._latest_wanted.is_set())
            at_work.market.say_chain(volume=5)
            await at_work.until(lambda at_work=at_work: at_work.market.quotes_said.empty())
            if waits:
                await asyncio.sleep(0.05)
                assert not at_work.store.latest
            else:
                await at_work.until(lambda at_work=at_work: at_work.store.latest)


async def test_price_move_threshold_re_centres_at_once_and_strike_recalc_interval_after_a_while():
    async with Watched(price_move_threshold=4.0, strike_recalc_interval=3, regular_poll_s=5.0)() as at_work:
        assert at_work.center == 600.0
        await at_work.price(603.0)
        assert at_work.center == 600.0
        at_work.clock.advance(14)
        await asyncio.sleep(0.02)
        assert at_work.center == 600.0
        at_work.clock.advance(1)  # three polls are over: half of the threshold is enough now
        await at_work.until(lambda: at_work.center == 603.0)
        await at_work.price(608.5)
        await at_work.until(lambda: at_work.center == 608.5)


async def test_strike_cleanup_interval_is_how_long_contracts_out_of_the_window_stay_in_memory():
    options = {"strike_distance": "5", "strike_cleanup_interval": 4, "regular_poll_s": 5.0}
    async with Watched(**options)() as at_work:
        at_work.market.say_chain()
        await at_work.price(605.0)
        await at_work.until(lambda: at_work.center == 605.0)
        assert at_work.one.live.rows == 8
        at_work.clock.advance(20)
        await at_work.until(lambda: at_work.one.live.rows == len(at_work.one.live) == 6)


async def test_buffer_flush_interval_writes_a_long_bucket_before_its_end():
    async with Watched(bucket_seconds=300, flush_interval_s=40.0)() as at_work:
        await at_work.chain_heard()
        for _ in range(3):
            await at_work.price(600.0 + len(at_work.chains))
            at_work.clock.advance(41)
            before = len(at_work.chains)
            await at_work.until(lambda before=before: len(at_work.chains) > before)
    assert {label for label, *_ in at_work.chains} == {TEN}
    assert all(sooner != later for sooner, later in pairwise(spot for *_, spot in at_work.chains[:3]))
    assert at_work.clock.current - TEN < timedelta(minutes=5)
