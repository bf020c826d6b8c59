"""Rules, outbox and channels over a real database and a real receiver."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from receiver import Receiver, receiving
from served import cut_off
from zerogex.alerts.health import alerting
from zerogex.alerts.words import parse_rule
from zerogex.clock import ManualClock
from zerogex.domain.alert import Standing
from zerogex.engines import postman, watch
from zerogex.engines.watch import Watch
from zerogex.notify.channels import Ntfy, Target, Webhook
from zerogex.ports import AlertChannel, FeedState
from zerogex.store.config import DatabaseConfig
from zerogex.store.postgres import PostgresStore

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "RULES_REAL_S", 0.05)
    monkeypatch.setattr(watch, "LOOK_REAL_S", 0.05)
    monkeypatch.setattr(postman, "LOOK_REAL_S", 0.05)
    monkeypatch.setattr(postman, "FIRST_PAUSE_S", 0.1)
    monkeypatch.setattr(postman, "LONGEST_PAUSE_S", 0.2)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


def document(at: datetime, spot: float, **changed: Any) -> dict[str, Any]:
    """An analysis as analyze leaves it."""
    whole = {"underlying": "SPY", "spot": spot, "gamma_flip": 500.0, "net_gex": 1e9, "gross_gex": 3e9,
             "data_timestamp": at.isoformat(), "coverage": {"pct": 99.0}}  # fmt: skip
    return whole | changed


@asynccontextmanager
async def watching(
    store: PostgresStore, clock: ManualClock, *channels: AlertChannel, followed: tuple[str, ...] = ()
) -> AsyncIterator[Watch]:
    """A watch that runs while the block lasts."""
    one = Watch(store, clock, channels, followed=followed)
    task = asyncio.ensure_future(one.run())
    try:
        yield one
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(holds: Callable[[], Any], patience_s: float = 20.0) -> Any:
    """What `holds` says once it is true."""
    async with asyncio.timeout(patience_s):
        while not (found := await asyncio.to_thread(holds)):  # noqa: ASYNC110 - other processes' doing has no event
            await asyncio.sleep(0.02)
        return found


def hook(receiver: Receiver) -> Webhook:
    return Webhook(Target(f"{receiver.address}/hook", allow_lan=True))


def ids(receiver: Receiver) -> list[str]:
    return [body["alert_id"] for body in receiver.taken]


async def cross(one: Watch, store: PostgresStore, clock: ManualClock, *spots: float) -> None:
    """Let spot be at these prices, ten minutes apart, each seen before the next."""
    for spot in spots:
        clock.advance(600)
        side = 1 if spot > 500 else -1
        one.take(document(clock.now(), spot))
        await until(lambda side=side: [s.side for s in store.alerts.standings().values() if s.side == side])


async def test_a_crossing_reaches_every_channel_once(
    store: PostgresStore, clock: ManualClock, receiver: Receiver
) -> None:
    rule = store.alerts.add_rule(parse_rule("SPY spot crosses gamma_flip", ""))
    phone = Ntfy(Target(f"{receiver.address}/topic", allow_lan=True))
    async with watching(store, clock, hook(receiver), phone) as one:
        await cross(one, store, clock, 495.0, 505.0, 495.0)
        await until(lambda: len(receiver.taken) == 4)
        await asyncio.sleep(0.3)
    by_hook = [body for body in receiver.taken if "alert_id" in body]
    assert [body["alert_id"] for body in by_hook] == [f"{rule}#1", f"{rule}#2"]
    assert [body["title"] for body in by_hook] == [
        "SPY spot rose above the gamma flip", "SPY spot fell below the gamma flip",
    ]  # fmt: skip
    assert [body["title"] for body in receiver.taken if "topic" in body] == [body["title"] for body in by_hook]
    assert alerting(store.alerts.channels()) == "ok"
    assert all(sent["delivered_at"] for row in store.alerts.log(10) for sent in row["deliveries"])


async def test_a_channel_that_is_away_costs_time_and_no_alert(
    store: PostgresStore, clock: ManualClock, receiver: Receiver
) -> None:
    receiver.status = 500
    rule = store.alerts.add_rule(parse_rule("SPY spot crosses gamma_flip", ""))
    async with watching(store, clock, hook(receiver)) as one:
        await cross(one, store, clock, 495.0, 505.0, 495.0, 505.0)
        state = await until(lambda: [each for each in store.alerts.channels() if each.failing_since])
        assert (state[0].pending, state[0].last_error) == (3, "127.0.0.1 answered 500: no [31m")
        assert alerting(state) == "failing"
        await until(lambda: len(receiver.heard) >= 4)  # tried again and again, the oldest first
        assert {each.body["alert_id"] for each in receiver.heard} == {f"{rule}#1"}
        receiver.status = 200
        await until(lambda: len(receiver.taken) == 3)
    assert ids(receiver) == [f"{rule}#1", f"{rule}#2", f"{rule}#3"]
    assert alerting(store.alerts.channels()) == "ok"


async def test_what_a_killed_process_left_is_delivered_by_the_next(
    store: PostgresStore, clock: ManualClock, receiver: Receiver
) -> None:
    rule = store.alerts.add_rule(parse_rule("SPY spot crosses gamma_flip", ""))
    receiver.status = 0
    async with watching(store, clock, hook(receiver)) as one:
        await cross(one, store, clock, 495.0, 505.0)
        await until(lambda: receiver.heard)
    receiver.status = 200
    async with watching(store, clock, hook(receiver)) as one:
        await until(lambda: ids(receiver) == [f"{rule}#1"])
        one.take(document(clock.now(), 506.0))  # the side is remembered: no second alert of the same crossing
        await asyncio.sleep(0.3)
    assert ids(receiver) == [f"{rule}#1"]


async def test_a_crossing_while_nobody_watched_is_told(
    store: PostgresStore, clock: ManualClock, receiver: Receiver
) -> None:
    rule = store.alerts.add_rule(parse_rule("SPY spot above gamma_flip", ""))
    async with watching(store, clock, hook(receiver)) as one:
        await cross(one, store, clock, 495.0)
    clock.advance(3600)
    async with watching(store, clock, hook(receiver)) as one:
        one.take(document(clock.now(), 505.0))
        await until(lambda: ids(receiver) == [f"{rule}#1"])


async def test_two_processes_tell_a_crossing_once(store: PostgresStore, clock: ManualClock, receiver: Receiver) -> None:
    rule = store.alerts.add_rule(parse_rule("SPY spot crosses gamma_flip", "", cooldown="0s"))
    async with watching(store, clock, hook(receiver)) as one, watching(store, clock, hook(receiver)) as other:
        for spot in (495.0, 505.0, 495.0, 505.0):
            clock.advance(600)
            for each in (one, other):
                each.take(document(clock.now(), spot))
            side = 1 if spot > 500 else -1
            await until(lambda side=side: store.alerts.standings().get(rule, Standing()).side == side)
        await until(lambda: len(receiver.taken) >= 3)
        await asyncio.sleep(0.3)
    assert ids(receiver) == [f"{rule}#1", f"{rule}#2", f"{rule}#3"]


async def test_a_message_refused_for_good_lets_the_next_pass(
    store: PostgresStore, clock: ManualClock, receiver: Receiver
) -> None:
    receiver.status = 400
    rule = store.alerts.add_rule(parse_rule("SPY spot crosses gamma_flip", ""))
    async with watching(store, clock, hook(receiver)) as one:
        await cross(one, store, clock, 495.0, 505.0)
        await until(lambda: store.alerts.log(1)[0]["deliveries"][0]["given_up_at"])
        receiver.status = 200
        await cross(one, store, clock, 495.0)
        await until(lambda: ids(receiver) == [f"{rule}#2"])
    given_up = store.alerts.log(2)[1]["deliveries"][0]
    assert given_up["last_error"].startswith("127.0.0.1 answered 400")


async def test_a_database_that_goes_away_loses_no_alert_and_doubles_none(
    store: PostgresStore, database: DatabaseConfig, clock: ManualClock, receiver: Receiver
) -> None:
    rule = store.alerts.add_rule(parse_rule("SPY spot crosses gamma_flip", ""))
    receiver.hold_s = 0.4
    async with watching(store, clock, hook(receiver)) as one:
        await cross(one, store, clock, 495.0, 505.0)
        await until(lambda: not store.alerts.claim("webhook", 0.0))  # it is on its way
        await asyncio.to_thread(cut_off, database)
        await until(lambda: ids(receiver) == [f"{rule}#1"])
        clock.advance(600)
        one.take(document(clock.now(), 495.0))
        await asyncio.to_thread(cut_off, database, False)
        await until(lambda: ids(receiver) == [f"{rule}#1", f"{rule}#2"], 40.0)


async def test_old_data_and_a_refused_feed_are_told_without_a_rule_and_told_when_over(
    store: PostgresStore, clock: ManualClock, receiver: Receiver
) -> None:
    store.announce_feed(FeedState("tradestation", False))
    async with watching(store, clock, hook(receiver), followed=("SPY",)) as one:
        one.take(document(clock.now(), 505.0))
        await until(lambda: "SPY:data_stale" in store.alerts.standings())
        clock.advance(90)  # and nothing new
        await until(lambda: ids(receiver) == ["SPY:data_stale#1"])
        one.take(document(clock.now(), 505.0))
        await until(lambda: ids(receiver)[1:] == ["SPY:data_stale#2"])
        await asyncio.to_thread(store.note_feed_trouble, "invalid_grant")
        await until(lambda: ids(receiver)[2:] == ["feed_refused#1"])
        await asyncio.to_thread(store.note_feed_trouble, None)
        await until(lambda: ids(receiver)[3:] == ["feed_refused#2"])
    titles = [body["title"] for body in receiver.taken]
    assert titles == [
        "SPY data are old", "SPY data are fresh again", "The feed is refused", "The feed is accepted again",
    ]  # fmt: skip


async def test_three_closed_days_are_no_news(store: PostgresStore, clock: ManualClock, receiver: Receiver) -> None:
    clock.current = datetime(2026, 11, 25, 20, 59, tzinfo=UTC)  # the evening before Thanksgiving
    async with watching(store, clock, hook(receiver), followed=("SPY",)) as one:
        one.take(document(clock.now(), 505.0))
        await until(lambda: "SPY:data_stale" in store.alerts.standings())
        for _ in range(20):
            clock.advance(3600)  # Thanksgiving; nothing comes
            await asyncio.sleep(0.03)
        assert clock.now() < datetime(2026, 11, 27, 14, 30, tzinfo=UTC)
    assert receiver.heard == []
    assert store.alerts.log(10) == []


async def test_a_removed_channel_does_not_wait_for_ever(
    store: PostgresStore, clock: ManualClock, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 503
    store.alerts.add_rule(parse_rule("SPY spot crosses gamma_flip", ""))
    with caplog.at_level(logging.WARNING):
        async with watching(store, clock, hook(receiver)) as one:
            await cross(one, store, clock, 495.0, 505.0)
            await until(lambda: receiver.heard)
    assert "alert not delivered" in caplog.text
    async with watching(store, clock):
        await until(lambda: store.alerts.log(1)[0]["deliveries"][0]["given_up_at"])
    assert store.alerts.channels() == []
    assert store.alerts.log(1)[0]["deliveries"][0]["last_error"] == "the channel is no longer configured"


def test_rules_come_and_go(store: PostgresStore) -> None:
    made = [store.alerts.add_rule(parse_rule(text, "")) for text in ("SPY spot above 500", "SPX net_gex below -1bn")]
    assert [rule.rule_id for rule in store.alerts.rules()] == made
    assert store.alerts.rules()[1].threshold == -1e9
    moved = Standing(None, 0, None)
    assert store.alerts.stand(made[0], Standing(), moved, None, [])
    assert store.alerts.remove_rule(made[0])
    assert not store.alerts.remove_rule(made[0])
    assert not store.alerts.remove_rule("'; DROP TABLE alerts")
    assert store.alerts.standings() == {}


def test_a_rule_moves_only_from_where_it_was(store: PostgresStore) -> None:
    first = Standing(None, 1, NOON)
    assert store.alerts.stand("1", Standing(), first, None, [])
    assert not store.alerts.stand("1", Standing(), Standing(None, 1, NOON + timedelta(1)), None, [])
    assert store.alerts.standings() == {"1": first}
