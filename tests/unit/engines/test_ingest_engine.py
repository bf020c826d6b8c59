"""Ingest against ports in this process: what reaches the store, in which order, whatever the feed and the store do."""

import asyncio
import threading
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from zerogex.clock import ManualClock, ScaledClock
from zerogex.domain.bar import MinuteBar, UnderlyingBar
from zerogex.domain.contract import OptionContract, OptionKind
from zerogex.domain.quote import OptionQuote, UnderlyingQuote
from zerogex.engines import disk_checkpoint, follow, follow_bars, ingest, ingest_underlying, outbox, patience, threads
from zerogex.engines.ingest import IngestConfig, IngestEngine, feed_state_of
from zerogex.engines.outbox import batch_id
from zerogex.errors import LockHeld, NotAuthorized, SettingsError, StoreUnavailable, Unavailable, UnknownSymbol
from zerogex.pipeline.enrich import enrich
from zerogex.pipeline.live_chain import LiveChain
from zerogex.ports import FeedState

TEN = datetime(2026, 3, 10, 14, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CONTRACTS = [
    OptionContract("SPY", "SPY", date(2026, 3, 20), Decimal(k), kind) for k in range(590, 611, 5) for kind in OptionKind
]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    for module, name, seconds in (
        (follow, "_LOOK_REAL_S", 0.002),
        (threads, "FIRST_PAUSE_S", 0.005),
        (ingest_underlying, "_TICK_REAL_S", 0.005),
        (ingest_underlying, "_LATEST_FLOOR_REAL_S", 0.005),
        (follow_bars, "_MEND_FLOOR_REAL_S", 0.005),
    ):
        monkeypatch.setattr(module, name, seconds)


class Clock(ManualClock):
    """Moved by the test alone."""

    async def sleep(self, seconds):
        until = self.current + timedelta(seconds=seconds)
        while True:
            await asyncio.sleep(0.002)
            if self.current >= until:
                return


class Market:
    """A feed whose words are put into two queues."""

    name = "scripted"
    clock_skew_s = 0.0

    def __init__(self, clock):
        self.clock = clock
        self.on_event = None
        self.bars_said, self.quotes_said = asyncio.Queue(), asyncio.Queue()
        self.history = []
        self.asked = []
        self.answers_late = timedelta()  # market time that the first answer about bars takes

    async def expirations(self, underlying):
        return [("SPY", date(2026, 3, 20))]

    async def contracts(self, underlying, root, expiration):
        return CONTRACTS

    async def quotes(self, underlyings):
        now = self.clock.now()
        return [UnderlyingQuote(name, 600.0, 599.9, 600.1, 0, now, now, is_delayed=True) for name in underlyings]

    async def option_quotes(self, contracts):
        return [self.quote(contract) for contract in contracts]

    async def bars(self, underlying, start, end, *, unit="Minute", interval=1):
        self.asked.append((start, end))
        answer = [bar for bar in self.history if start <= bar.start < end]
        self.clock.current, self.answers_late = self.clock.current + self.answers_late, timedelta()
        return answer

    async def follow_bars(self, underlying):
        while True:
            said = await self.bars_said.get()
            if isinstance(said, Exception):
                raise said
            yield said

    async def follow_chain(self, window):
        while True:
            yield await self.quotes_said.get()

    def quote(self, contract, at=None, **fields):
        at = at or self.clock.now()
        away = abs(float(contract.strike) - 600.0)
        intrinsic = max(0.0, contract.kind.sign * (600.0 - float(contract.strike)))
        known = {"bid": round(intrinsic + 8 / (1 + away / 5), 2), "ask": round(intrinsic + 8 / (1 + away / 5) + 0.1, 2)}
        return OptionQuote(contract, **{**known, "last": None, "volume": 10, "open_interest": 100, **fields},
                           event_time=at, received_time=at)  # fmt: skip

    def say_chain(self, **fields):
        self.quotes_said.put_nowait([self.quote(contract, **fields) for contract in CONTRACTS])

    def say_bar(self, minute, close, *, closed=True, up=10):
        start = TEN + minute * MINUTE
        bar = UnderlyingBar("SPY", start, 600.0, max(600.0, close), min(600.0, close), close, up, 5, self.clock.now(),
                            closed, True)  # fmt: skip
        self.bars_said.put_nowait(bar)


class Memory:
    """A store that remembers calls, and is away when told so."""

    def __init__(self):
        self.minutes, self.bars_written, self.latest, self.forgotten = [], [], [], []
        self.known_bars, self.known_latest, self.known_minute = [], None, None
        self.recovered = self.away = 0
        self.state, self.troubles = None, []
        self.locked, self.held_elsewhere = [], ()
        self.on_disk, self.latest_away = None, False

    def announce_feed(self, state):
        self.state = state

    def hurry(self, most_s):
        self.most_s = most_s

    def note_feed_trouble(self, trouble):
        self.troubles.append(trouble)

    @contextmanager
    def writer_lock(self, underlying):
        if underlying in self.held_elsewhere:
            raise LockHeld(f"{underlying} is already being written by process 7")
        self.locked.append(underlying)
        try:
            yield
        finally:
            self.locked.remove(underlying)

    def recover(self, underlying):
        self.recovered += 1
        return 0

    def keep_minute(self, batch):
        if self.away > 0:
            self.away -= 1
            raise StoreUnavailable("away")
        self.minutes.append(batch)

    write_minute = keep_minute

    def drain(self, underlying, most=None):
        return 0

    def keep_checkpoint(self, chain):
        self.on_disk = chain

    def kept_checkpoint(self, underlying):
        return self.on_disk

    def drop_checkpoint(self, underlying):
        self.on_disk = None

    def write_bars(self, bars):
        self.bars_written += bars

    def write_latest(self, chain, changed):
        if self.latest_away:
            raise StoreUnavailable("away")
        self.latest.append((chain, changed))

    def forget_latest(self, underlying, symbols):
        self.forgotten += symbols

    def latest_chain(self, underlying):
        return self.known_latest

    def minute_chain(self, underlying, timestamp=None):
        if timestamp is None:
            return self.known_minute
        stored = [batch.chain for batch in self.minutes if batch.timestamp == timestamp and batch.chain is not None]
        return stored[-1] if stored else None

    def last_bar(self, symbol):
        return max(
            self.bars(symbol, TEN - 9 * 60 * MINUTE, TEN + 24 * 60 * MINUTE), key=lambda b: b.timestamp, default=None
        )

    def bars(self, symbol, start, end):
        return [bar for bar in self.known_bars if start <= bar.timestamp < end]


class Running:
    """An engine at work on them."""

    def __init__(self, **config):
        self.clock = Clock(TEN)
        self.market = Market(self.clock)
        self.store = Memory()
        self.config = IngestConfig(
            **{"underlyings": ("SPY",), "strike_distance": "30", "latest_interval_s": 0.005, **config}
        )

    @asynccontextmanager
    async def __call__(self):
        self.engine = IngestEngine(self.market, self.store, self.clock, self.config)
        self.task = asyncio.ensure_future(self.engine.run())
        try:
            yield self
        finally:
            self.task.cancel()
            await asyncio.wait([self.task])

    async def until(self, condition):
        async with asyncio.timeout(60):
            while True:
                if condition():
                    return
                assert not self.task.done(), self.task.exception()
                await asyncio.sleep(0.002)

    async def stop(self):
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task

    async def chain_heard(self):
        self.market.say_chain()
        await self.until(lambda: self.store.latest and len(self.store.latest[-1][0]) == len(CONTRACTS))

    @property
    def chains(self):
        """(label, rows, spot) of the option minutes, in the order they were written."""
        return [(b.timestamp, len(b.chain), b.chain.spot) for b in self.store.minutes if b.chain is not None]


async def test_minutes_are_written_in_order_valued_at_their_end_and_at_their_close():
    async with Running()() as at_work:
        await at_work.chain_heard()
        for minute, close in enumerate([600.5, 601.0, 600.0]):
            at_work.clock.current = TEN + (minute + 1) * MINUTE
            at_work.market.say_bar(minute, close)
            at_work.clock.advance(3)
            # written at its end, and once more if its close is heard only after that
            await at_work.until(lambda told=(TEN + minute * MINUTE, 10, close): told in at_work.chains)
    labels = [label for label, _, _ in at_work.chains]
    assert labels == sorted(labels)
    final = {batch.timestamp: batch for batch in at_work.store.minutes if batch.chain is not None}
    three = [final[TEN + k * MINUTE] for k in range(3)]  # a fourth is what was open when the engine ended
    assert [(len(batch.chain), batch.chain.spot) for batch in three] == [(10, 600.5), (10, 601.0), (10, 600.0)]
    for batch in three:
        assert batch.chain.as_of == batch.timestamp + MINUTE
        assert batch.bars[-1].close == batch.chain.spot
        assert np.isfinite(batch.chain.gamma).all()
        assert batch.chain.delayed
    assert [batch.bars[-1].up_volume for batch in three] == [10, 20, 30]


async def test_a_closing_price_that_comes_late_revalues_the_stored_minute():
    async with Running()() as at_work:
        await at_work.chain_heard()
        at_work.market.say_bar(0, 600.5, closed=False)
        at_work.clock.advance(63)
        await at_work.until(lambda: (TEN, 10, 600.5) in at_work.chains)
        at_work.market.say_bar(0, 602.5, up=20)
        await at_work.until(lambda: (TEN, 10, 602.5) in at_work.chains)
        for minute in (1, 2, 3):
            at_work.clock.advance(60)
            at_work.market.say_bar(minute, 600.0)
            await at_work.until(lambda m=minute: any(label == TEN + m * MINUTE for label, _, _ in at_work.chains))
        at_work.market.say_bar(0, 605.0, up=21)  # by now only the store remembers its options
        await at_work.until(lambda: (TEN, 10, 605.0) in at_work.chains)


async def test_a_store_that_is_away_delays_minutes_and_loses_none(caplog):
    async with Running()() as at_work:
        await at_work.chain_heard()
        at_work.store.away = 4
        for minute in range(3):
            at_work.market.say_bar(minute, 600.0)
            at_work.clock.advance(61)
        at_work.clock.advance(2)
        await at_work.until(lambda: len(at_work.chains) == 3)
    assert [label for label, *_ in at_work.chains[:3]] == [TEN, TEN + MINUTE, TEN + 2 * MINUTE]
    assert "store unavailable, minute waits" in caplog.messages


async def test_the_latest_rows_of_a_minute_wait_until_the_one_before_is_durable():
    """Killed in between, the rows of the minute before are all there is of it."""
    async with Running()() as at_work:
        await at_work.chain_heard()
        disk, order, one = threading.Event(), [], at_work.engine.followed[0]
        keep, write = at_work.store.keep_minute, at_work.store.write_latest
        at_work.store.keep_minute = lambda batch: (disk.wait(60), order.append(batch.timestamp), keep(batch))
        at_work.store.write_latest = lambda chain, changed: (order.append(chain.as_of), write(chain, changed))
        at_work.clock.advance(61)
        at_work.market.say_chain(volume=77)
        await at_work.until(lambda: one.builder.counts.quotes == 20 and not one.live.dirty_count)  # a checkpoint waits
        await asyncio.sleep(0.1)
        assert not [at for at in order if at > TEN + MINUTE]
        disk.set()
        await at_work.until(lambda: at_work.store.latest[-1][0].volume.tolist() == [77] * 10)
    after = next(place for place, at in enumerate(order) if at > TEN + MINUTE)
    assert TEN in order[:after]


async def test_cancellation_writes_the_open_minute_as_it_stands_and_frees_the_lock():
    async with Running()() as at_work:
        await at_work.chain_heard()
        at_work.market.say_bar(0, 600.7, closed=False)
        await at_work.until(lambda: at_work.store.latest[-1][0].spot == 600.7)
        assert at_work.store.locked == ["SPY"]
        await at_work.stop()
    assert at_work.chains == [(TEN, 10, 600.7)]
    assert at_work.store.minutes[-1].bars[-1].close == 600.7
    assert at_work.store.locked == []


async def test_what_is_still_queued_at_cancellation_is_merged_before_the_last_write():
    async with Running()() as at_work:
        await at_work.chain_heard()
        at_work.market.say_chain(volume=77)
        await asyncio.sleep(0)
        await at_work.until(lambda: at_work.market.quotes_said.empty())
        await at_work.stop()
    assert at_work.store.minutes[-1].chain.volume.tolist() == [77] * 10


async def test_a_minute_that_is_over_keeps_the_contracts_that_are_followed_no_more():
    async with Running()() as at_work:
        await at_work.chain_heard()
        at_work.clock.advance(60)
        await at_work.engine.followed[0]._retarget([])  # before the merge heard that time had passed
        await at_work.until(lambda: any(label == TEN for label, *_ in at_work.chains))
    assert next(len(batch.chain) for batch in at_work.store.minutes if batch.chain is not None) == 10


async def test_minutes_that_wait_behind_a_slow_store_are_written_at_cancellation(monkeypatch):
    monkeypatch.setattr(outbox, "MINUTES_MAX", 1)
    async with Running()() as at_work:
        await at_work.chain_heard()
        at_work.store.away = 10**9
        at_work.clock.advance(10 * 60)  # ten minutes end at once: there is room for one
        await at_work.until(lambda: at_work.engine.followed[0].buffers()["outbox"] >= 10)
        at_work.store.away = 0
        await at_work.stop()
    assert sorted({label for label, *_ in at_work.chains}) == [TEN + k * MINUTE for k in range(11)]


async def test_minutes_that_pass_while_following_is_prepared_are_fetched_and_counted():
    """No stream says them again, and every later volume of the day rests on them."""
    at_work = Running()
    flat = (600.0, 600.0, 600.0, 600.0)
    at_work.market.history = [UnderlyingBar("SPY", TEN + k * MINUTE, *flat, 10, 5, TEN) for k in range(3)]
    at_work.market.answers_late = 3 * MINUTE
    async with at_work():
        await at_work.chain_heard()
        at_work.market.say_bar(3, 600.0)
        at_work.clock.advance(61)
        told = lambda: {bar.timestamp: bar.up_volume for batch in at_work.store.minutes for bar in batch.bars}  # noqa: E731
        await at_work.until(lambda: (at_work.clock.advance(1), told().get(TEN + 3 * MINUTE) == 40)[1])
    assert [told()[TEN + k * MINUTE] for k in range(4)] == [10, 20, 30, 40]


async def test_today_is_filled_from_the_last_stored_bar_and_volumes_go_on():
    at_work = Running()
    at_work.store.known_bars = [MinuteBar("SPY", TEN - 5 * MINUTE, 600.0, 600.0, 600.0, 600.0, 1000, 500)]
    at_work.market.history = [
        UnderlyingBar("SPY", TEN - k * MINUTE, 600.0, 600.0, 600.0, 600.0, 10, 5, TEN) for k in (5, 4, 3, 2, 1)
    ]
    at_work.market.history[0] = UnderlyingBar("SPY", TEN - 5 * MINUTE, 600.0, 600.0, 600.0, 600.0, 1000, 500, TEN)
    async with at_work():
        await at_work.chain_heard()
    assert at_work.market.asked[0] == (TEN - 5 * MINUTE, TEN)
    assert [(bar.timestamp, bar.up_volume) for bar in at_work.store.bars_written] == [
        (TEN - 4 * MINUTE, 1010), (TEN - 3 * MINUTE, 1020), (TEN - 2 * MINUTE, 1030), (TEN - MINUTE, 1040)
    ]  # fmt: skip


async def test_a_database_that_goes_away_while_following_is_prepared_is_waited_for(monkeypatch, caplog):
    """The lock is ours already: to end now would cost every minute of the outage, and those of our other symbols."""
    caplog.set_level("INFO")
    at_work = Running()
    at_work.market.history = [
        UnderlyingBar("SPY", TEN - k * MINUTE, 600.0, 600.0, 600.0, 600.0, 10, 5, TEN) for k in (2, 1)
    ]
    away, calls = {}, ("recover", "bars", "write_bars", "latest_chain", "kept_checkpoint", "minute_chain", "last_bar")

    def absent(name, call):
        def answer(*args):
            away[name] = away.get(name, 0) + 1
            if away[name] % 3:
                raise StoreUnavailable("away")
            return call(*args)

        return answer

    for name in calls:
        monkeypatch.setattr(at_work.store, name, absent(name, getattr(at_work.store, name)))
    async with at_work():
        await at_work.chain_heard()
    assert {name for name in calls if away[name] >= 3} == set(calls)
    assert [bar.timestamp for bar in at_work.store.bars_written] == [TEN - 2 * MINUTE, TEN - MINUTE]
    assert {"store unavailable, following waits", "store available again"} <= set(caplog.messages)


async def test_back_fill_can_be_switched_off():
    at_work = Running(backfill_on_startup=False)
    async with at_work():
        await at_work.chain_heard()
    assert at_work.market.asked == []


def checkpoint(at, spot=600.3):
    """The latest rows as a killed process left them."""
    market = Market(ManualClock(at))
    live = LiveChain("SPY")
    live.follow(CONTRACTS)
    live.update([market.quote(contract, volume=42) for contract in CONTRACTS])
    return enrich(live.snapshot(at, spot)).chain


async def test_the_minute_a_killed_process_had_open_is_stored_from_its_checkpoint_at_its_close():
    at_work = Running()
    at_work.store.known_latest = checkpoint(TEN - timedelta(seconds=80))
    at_work.market.history = [UnderlyingBar("SPY", TEN - 2 * MINUTE, 600.0, 601.0, 599.0, 600.9, 10, 5, TEN)]
    async with at_work():
        await at_work.until(lambda: at_work.chains)
        assert at_work.chains == [(TEN - 2 * MINUTE, 10, 600.9)]
        assert at_work.store.minutes[0].chain.as_of == TEN - MINUTE
        await at_work.until(lambda: at_work.store.latest)  # memory starts from the checkpoint
        assert at_work.store.latest[0][0].volume.tolist() == [42] * 10


async def test_the_minute_open_while_the_database_was_away_is_stored_from_the_disk():
    at_work = Running()
    at_work.store.known_latest = checkpoint(TEN - timedelta(seconds=140), spot=590.0)
    at_work.store.on_disk = checkpoint(TEN - timedelta(seconds=80))
    async with at_work():
        await at_work.until(lambda: at_work.chains)
        assert at_work.chains == [(TEN - 2 * MINUTE, 10, 600.3)]
        await at_work.until(lambda: at_work.store.latest)
    assert at_work.store.on_disk is None


@pytest.mark.parametrize("at", [TEN - timedelta(seconds=140), TEN + 5 * MINUTE], ids=["older", "of another market"])
async def test_a_checkpoint_on_the_disk_that_is_not_the_newest_is_not_used(at):
    at_work = Running()
    at_work.store.known_latest = checkpoint(TEN - timedelta(seconds=80))
    at_work.store.on_disk = checkpoint(at, spot=590.0)
    async with at_work():
        await at_work.until(lambda: at_work.chains)
        assert at_work.chains == [(TEN - 2 * MINUTE, 10, 600.3)]
        await at_work.until(lambda: at_work.store.on_disk is None)


async def test_the_disk_has_the_live_chain_while_the_database_does_not_take_it(monkeypatch):
    for name in ("_LOOK_REAL_S", "_PATIENCE_REAL_S", "_EVERY_REAL_S"):
        monkeypatch.setattr(disk_checkpoint, name, 0.05)
    async with Running()() as at_work:
        await at_work.chain_heard()
        at_work.store.latest_away = True
        at_work.market.say_chain(volume=77)
        await at_work.until(lambda: at_work.store.on_disk and at_work.store.on_disk.volume.tolist() == [77] * 10)
        at_work.store.latest_away = False
        await at_work.until(lambda: at_work.store.on_disk is None)
        assert at_work.store.latest[-1][0].volume.tolist() == [77] * 10


async def test_what_died_before_a_checkpoint_is_declared_with_it_should_the_next_start_be_cut_off_too():
    at_work = Running()
    at_work.store.known_minute = replace(checkpoint(TEN - 8 * MINUTE), as_of=TEN - 7 * MINUTE)
    at_work.store.known_latest = checkpoint(TEN - timedelta(seconds=80))
    async with at_work():
        await at_work.until(lambda: at_work.store.minutes)
        await at_work.stop()
    first = at_work.store.minutes[0]
    assert first.timestamp == TEN - 2 * MINUTE
    assert [(gap.started_at, gap.ended_at) for gap in first.gaps] == [(TEN - 7 * MINUTE, TEN - 2 * MINUTE)]


async def test_a_checkpoint_of_a_minute_that_is_stored_or_still_open_is_not_stored():
    stored, still_open = Running(), Running()
    stored.store.known_latest = checkpoint(TEN - timedelta(seconds=80))
    stored.store.known_minute = checkpoint(TEN - MINUTE)
    still_open.store.known_latest = checkpoint(TEN)
    for at_work in (stored, still_open):
        async with at_work():
            await at_work.until(lambda at_work=at_work: at_work.store.latest)
            assert at_work.chains == []


async def test_the_latest_rows_are_written_whole_when_spot_moves_and_in_part_when_it_stands():
    async with Running()() as at_work:
        at_work.market.say_bar(0, 600.1, closed=False)
        await at_work.chain_heard()
        written = len(at_work.store.latest)
        at_work.clock.advance(1)
        at_work.market.quotes_said.put_nowait([at_work.market.quote(CONTRACTS[3], bid=0.5)])
        await at_work.until(lambda: len(at_work.store.latest) > written)
        chain, changed = at_work.store.latest[written]
        assert chain.symbol[changed].tolist() == [CONTRACTS[3].symbol]
        at_work.market.say_bar(0, 600.2, closed=False, up=11)
        await at_work.until(lambda: at_work.store.latest[-1][1].all())
        assert at_work.store.latest[-1][0].spot == 600.2


async def test_contracts_out_of_the_window_are_forgotten_in_the_latest_rows():
    async with Running(strike_distance="5")() as at_work:
        at_work.market.say_chain()
        await at_work.until(lambda: at_work.store.latest and len(at_work.store.latest[-1][0]) == 6)
        at_work.market.say_bar(0, 605.0, closed=False)
        await at_work.until(lambda: at_work.store.forgotten)
        assert at_work.store.forgotten == ["SPY 260320C595", "SPY 260320P595"]


async def test_a_long_bucket_is_written_as_it_stands_by_the_flush_interval():
    async with Running(bucket_seconds=300, flush_interval_s=60.0)() as at_work:
        await at_work.chain_heard()
        at_work.market.say_bar(0, 600.4)
        await at_work.until(lambda: at_work.store.latest[-1][0].spot == 600.4)
        at_work.clock.advance(70)
        await at_work.until(lambda: (TEN, 10, 600.4) in at_work.chains)
        at_work.market.say_bar(4, 601.4)
        at_work.clock.advance(240)
        await at_work.until(lambda: (TEN, 10, 601.4) in at_work.chains)


async def test_polling_asks_by_the_interval_of_the_session():
    async with Running(push=False, regular_poll_s=5.0)() as at_work:
        await at_work.until(lambda: at_work.store.latest and len(at_work.store.latest[-1][0]) == 10)
        asked = len(at_work.market.asked)
        await asyncio.sleep(0.03)
        assert len(at_work.market.asked) == asked
        at_work.clock.advance(5)
        await at_work.until(lambda: len(at_work.market.asked) == asked + 1)


async def test_one_impossible_message_costs_no_other():
    async with Running()() as at_work:
        bad = at_work.market.quote(CONTRACTS[0], bid=float("nan"))
        at_work.market.quotes_said.put_nowait([bad, *(at_work.market.quote(c) for c in CONTRACTS[1:])])
        await at_work.until(lambda: at_work.store.latest and len(at_work.store.latest[-1][0]) == 9)


async def test_bars_interrupted_by_the_vendor_are_opened_again():
    async with Running()() as at_work:
        at_work.market.bars_said.put_nowait(Unavailable("gone"))
        at_work.market.say_bar(0, 600.6, closed=False)
        await at_work.chain_heard()
        await at_work.until(lambda: at_work.store.latest[-1][0].spot == 600.6)


async def test_credentials_refused_while_it_runs_are_waited_out(monkeypatch):
    """F02: only the operator can mend that, but what was heard is written, and the feed is asked again."""
    monkeypatch.setattr(patience, "REFUSED_PAUSE_REAL_S", 0.01)
    async with Running()() as at_work:
        at_work.market.say_bar(0, 600.5, closed=False)
        await at_work.chain_heard()
        at_work.market.bars_said.put_nowait(NotAuthorized("refused"))
        at_work.market.say_bar(0, 600.6, closed=False)
        await at_work.until(lambda: at_work.store.latest[-1][0].spot == 600.6)


async def test_credentials_refused_from_the_start_end_the_engine():
    at_work = Running()
    at_work.market.bars_said.put_nowait(NotAuthorized("refused"))
    async with at_work():
        with pytest.raises(ExceptionGroup) as raised:
            await at_work.task
    assert raised.group_contains(NotAuthorized)
    assert at_work.store.troubles == ["refused"], "other processes are told why"
    assert at_work.store.locked == []


async def test_what_only_the_operator_can_mend_ends_the_engine_after_a_drain():
    async with Running()() as at_work:
        await at_work.chain_heard()
        at_work.market.bars_said.put_nowait(UnknownSymbol("no such symbol"))
        with pytest.raises(ExceptionGroup) as raised:
            await at_work.task
    assert raised.group_contains(UnknownSymbol)
    assert at_work.chains == [(TEN, 10, 600.0)]
    assert at_work.store.locked == []


async def test_a_lock_that_a_dead_process_left_behind_is_waited_for_but_not_for_ever(monkeypatch, caplog):
    monkeypatch.setattr(ingest, "_GHOST_LOOK_REAL_S", 0.005)
    at_work, tried = Running(), []
    hold = at_work.store.writer_lock

    def haunted(underlying):
        tried.append(underlying)
        if len(tried) < 4:
            raise LockHeld("SPY is already being written by process 7", passing=True)
        return hold(underlying)

    at_work.store.writer_lock = haunted
    caplog.set_level("INFO")
    async with at_work():
        await at_work.chain_heard()
    assert len(tried) == 4
    assert caplog.messages.count("lock of a dead process waited for") == 1
    tried.clear()
    monkeypatch.setattr(ingest, "_GHOST_REAL_S", 0.0)
    with pytest.raises(LockHeld):
        await IngestEngine(at_work.market, at_work.store, at_work.clock, at_work.config).run()
    assert len(tried) < 4


async def test_a_lock_held_elsewhere_stops_before_anything_is_followed():
    at_work = Running(underlyings=("SPY", "QQQ"))
    at_work.store.held_elsewhere = ("QQQ",)
    with pytest.raises(LockHeld, match="QQQ is already being written by process 7"):
        await IngestEngine(at_work.market, at_work.store, at_work.clock, at_work.config).run()
    assert at_work.store.locked == []
    assert at_work.store.recovered == 0


@pytest.mark.parametrize("wrong", [{"bucket_seconds": 7}, {"strike_distance": "far"}])
def test_wrong_settings_are_refused_before_the_start(wrong):
    with pytest.raises(SettingsError):
        IngestEngine(None, None, ManualClock(TEN), IngestConfig(("SPY",), **wrong))


def test_the_feed_state_carries_the_anchors_of_a_simulated_clock_only():
    clock = ScaledClock(TEN, TEN - MINUTE, 60.0)
    assert feed_state_of("tradestation", clock) == FeedState("tradestation", True, TEN, TEN - MINUTE, 60.0)
    assert feed_state_of("tradestation", ManualClock(TEN)) == FeedState("tradestation", False)


def test_a_batch_id_is_a_version_7_uuid_of_the_minute():
    one, other = batch_id(TEN), batch_id(TEN)
    assert one != other
    assert one.version == 7 and one.variant == "specified in RFC 4122"
    assert one.int >> 80 == int(TEN.timestamp() * 1000)
