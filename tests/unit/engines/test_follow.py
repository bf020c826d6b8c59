"""What a follower opens, hands over and closes."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from zerogex.clock import ManualClock
from zerogex.domain.contract import OptionContract, OptionKind
from zerogex.domain.quote import OptionQuote
from zerogex.engines import follow, threads
from zerogex.engines.follow import ChainFollower, StreamBudget
from zerogex.engines.ingest_config import IngestConfig
from zerogex.errors import NotAuthorized, Unavailable, UnknownSymbol

TEN = datetime(2026, 3, 10, 14, 0, tzinfo=UTC)
DAYS = [date(2026, 3, 10), date(2026, 3, 11), date(2026, 3, 12), date(2026, 3, 13)]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(follow, "_LOOK_REAL_S", 0.002)
    monkeypatch.setattr(follow, "POLL_FLOOR_REAL_S", 0.002)
    monkeypatch.setattr(threads, "FIRST_PAUSE_S", 0.002)


class ScriptedMarket:
    """Lists strikes a dollar apart; its streams speak when told to, and every opening and closing is recorded."""

    name = "scripted"

    def __init__(self):
        self.on_event = None
        self.failures = []  # raised by the next listings, one each
        self.refuses = {}  # expiration → error of its stream
        self.listed = 0
        self.may_speak = asyncio.Event()
        self.may_speak.set()
        self.open = []
        self.record = []
        self.polled = []

    async def expirations(self, underlying):
        self.listed += 1
        if self.failures:
            raise self.failures.pop(0)
        return [(underlying, day) for day in DAYS]

    async def contracts(self, underlying, root, expiration):
        return [
            OptionContract(underlying, root, expiration, Decimal(k), kind)
            for k in range(550, 651)
            for kind in OptionKind
        ]

    async def option_quotes(self, contracts):
        self.polled.append(list(contracts))
        return [quote(contract) for contract in contracts]

    async def follow_chain(self, window):
        if window.expiration in self.refuses:
            raise self.refuses[window.expiration]
        self.open.append(window)
        self.record.append(("open", window.expiration.day, window.center))
        try:
            await self.may_speak.wait()
            yield [quote(contract) for contract in window.contracts]
            await asyncio.Event().wait()
        finally:
            self.open.remove(window)
            self.record.append(("close", window.expiration.day, window.center))


def quote(contract):
    return OptionQuote(contract, 1.0, 1.1, None, 1, 1, TEN, TEN)


class Following:
    """A follower at work, and what it did."""

    def __init__(self, market=None, budget=None, underlying="SPY", **config):
        self.market = market or ScriptedMarket()
        self.clock = ManualClock(TEN)
        self.spot = 600.0
        self.delivered = []
        self.followed = []
        self.config = IngestConfig((underlying,), strike_distance="5", **config)
        self.budget = budget or StreamBudget(self.config.streams_max, (underlying,))
        self.follower = ChainFollower(
            underlying, self.market, self.clock, self.config, self.budget,
            spot=lambda: self.spot, deliver=self._deliver, retarget=self._retarget,
        )  # fmt: skip

    async def _deliver(self, quotes):
        self.delivered += quotes

    async def _retarget(self, contracts):
        self.followed.append(sorted(contracts))

    async def __aenter__(self):
        self.task = asyncio.ensure_future(self.follower.run())
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        await asyncio.wait([self.task])

    async def until(self, condition):
        async with asyncio.timeout(10):
            while True:
                if condition():
                    return
                assert not self.task.done(), self.task.exception()
                await asyncio.sleep(0.001)

    @property
    def days(self):
        return sorted(window.expiration.day for window in self.market.open)


async def test_the_first_expirations_are_followed_within_the_distance_of_spot():
    async with Following() as at_work:
        await at_work.until(lambda: at_work.days == [10, 11, 12] and len(at_work.delivered) == 66)
        strikes = {float(contract.strike) for contract in at_work.followed[-1]}
        assert (min(strikes), max(strikes)) == (595.0, 605.0)
    assert at_work.market.open == []  # every stream is closed with the follower
    assert at_work.budget.used == 1


async def test_nothing_is_followed_before_there_is_a_spot():
    waiting = Following()
    waiting.spot = None
    async with waiting as at_work:
        await asyncio.sleep(0.02)
        assert at_work.market.listed == 0
        at_work.spot = 600.0
        await at_work.until(lambda: at_work.days == [10, 11, 12])


async def test_a_small_move_re_opens_nothing_and_a_threshold_does():
    async with Following() as at_work:
        await at_work.until(lambda: at_work.days == [10, 11, 12])
        at_work.spot = 601.1  # under 1.2 dollars: PRICE_MOVE_THRESHOLD at 600
        await asyncio.sleep(0.02)
        assert len(at_work.followed) == 1
        at_work.spot = 601.3
        await at_work.until(lambda: {w.center for w in at_work.market.open} == {601.3})
        assert len(at_work.followed) == 2


async def test_the_new_window_speaks_before_the_old_one_is_closed():
    async with Following(expirations=1) as at_work:
        await at_work.until(lambda: len(at_work.delivered) == 22)
        at_work.market.may_speak.clear()
        at_work.spot = 603.0
        await at_work.until(lambda: len(at_work.market.open) == 2)
        await asyncio.sleep(0.02)
        assert len(at_work.market.open) == 2
        at_work.market.may_speak.set()
        await at_work.until(lambda: len(at_work.market.open) == 1)
    assert at_work.market.record[:3] == [("open", 10, 600.0), ("open", 10, 603.0), ("close", 10, 600.0)]


async def test_where_the_account_has_no_stream_left_the_old_window_closes_first():
    async with Following(expirations=1, streams_max=2) as at_work:
        await at_work.until(lambda: at_work.days == [10])
        at_work.spot = 603.0
        await at_work.until(lambda: len(at_work.market.record) == 3)
    assert at_work.market.record[:3] == [("open", 10, 600.0), ("close", 10, 600.0), ("open", 10, 603.0)]


async def test_windows_beyond_the_accounts_streams_are_polled():
    async with Following(expirations=4, streams_max=3) as at_work:
        await at_work.until(lambda: at_work.days == [10, 11] and at_work.market.polled)
        assert {contract.expiration.day for contract in at_work.market.polled[-1]} == {12, 13}
        await at_work.until(lambda: {q.contract.expiration.day for q in at_work.delivered} == {10, 11, 12, 13})


async def test_two_underlyings_share_the_streams_front_expirations_first():
    market, budget = ScriptedMarket(), StreamBudget(5, ("SPY", "QQQ"))
    async with Following(market, budget, "SPY") as spy:
        await spy.until(lambda: len(market.open) == 3)
        async with Following(market, budget, "QQQ") as qqq:
            await qqq.until(lambda: any(w.underlying == "QQQ" for w in market.open))
            spy.clock.advance(3600)  # its next look at what to follow
            await spy.until(lambda: len(market.open) <= 3)
            assert {(w.underlying, w.expiration.day) for w in market.open} >= {("SPY", 10), ("QQQ", 10)}


async def test_an_expiration_leaves_at_its_settlement_and_the_next_one_comes():
    async with Following() as at_work:
        await at_work.until(lambda: at_work.days == [10, 11, 12])
        at_work.clock.current = datetime(2026, 3, 10, 20, 0, tzinfo=UTC)
        await at_work.until(lambda: at_work.days == [11, 12, 13])
        assert {contract.expiration.day for contract in at_work.followed[-1]} == {11, 12, 13}


async def test_listings_are_asked_once_a_trading_day():
    async with Following() as at_work:
        await at_work.until(lambda: at_work.days == [10, 11, 12])
        at_work.spot = 610.0
        await at_work.until(lambda: len(at_work.followed) == 2)
        assert at_work.market.listed == 1
        at_work.clock.current = TEN + timedelta(days=1)
        await at_work.until(lambda: at_work.market.listed == 2)


async def test_a_listing_that_fails_is_tried_again():
    market = ScriptedMarket()
    market.failures = [Unavailable("away"), Unavailable("still away")]
    async with Following(market) as at_work:
        await at_work.until(lambda: at_work.days == [10, 11, 12])
    assert market.listed == 3


async def test_one_chain_the_vendor_does_not_know_costs_no_other(caplog):
    market = ScriptedMarket()
    market.refuses[DAYS[1]] = UnknownSymbol("no such chain")
    async with Following(market) as at_work:
        await at_work.until(lambda: at_work.days == [10, 12])
    assert "chain not followed" in caplog.messages


async def test_refused_credentials_end_the_follower():
    market = ScriptedMarket()
    market.refuses[DAYS[0]] = NotAuthorized("refused")
    async with Following(market) as at_work:
        with pytest.raises(ExceptionGroup) as raised:
            await at_work.task
    assert raised.group_contains(NotAuthorized)


async def test_without_push_everything_is_polled():
    async with Following(push=False) as at_work:
        await at_work.until(lambda: len(at_work.market.polled) >= 2)
        assert len(at_work.market.polled[-1]) == 66
        assert at_work.market.record == []
