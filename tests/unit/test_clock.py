"""Three clocks, one meaning of now."""

from datetime import UTC, datetime, timedelta

from zerogex.clock import ManualClock, ScaledClock, SystemClock
from zerogex.feed_clock import clock_of
from zerogex.ports import FeedState

NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)


def test_the_machines_clock_is_aware_and_not_simulated() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert not clock.simulated
    assert clock.monotonic() <= clock.monotonic()


def test_a_scaled_clock_runs_speed_times_as_fast_from_its_anchor() -> None:
    wall = datetime.now(UTC) - timedelta(seconds=10)
    clock = ScaledClock(NOON, wall, speed=60)
    ahead = (clock.now() - NOON).total_seconds()
    assert 600 <= ahead < 660
    assert clock.simulated


async def test_a_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(NOON)
    await clock.sleep(90)
    clock.advance(30)
    assert clock.now() == NOON + timedelta(minutes=2)
    assert clock.monotonic() == 120


def test_the_stored_feed_decides_the_clock() -> None:
    assert isinstance(clock_of(None), SystemClock)
    assert isinstance(clock_of(FeedState("tradestation", simulated=False)), SystemClock)
    state = FeedState("tradestation", simulated=True, market_anchor=NOON, wall_anchor=datetime.now(UTC), speed=2.0)
    clock = clock_of(state)
    assert clock.simulated
    assert abs((clock.now() - NOON).total_seconds()) < 5
