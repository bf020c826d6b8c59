"""Three clocks, one meaning of now."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from zerogex.clock import ManualClock, ScaledClock, SystemClock
from zerogex.domain.contract import OptionContract, OptionKind
from zerogex.domain.quote import OptionQuote
from zerogex.feed_clock import clock_of
from zerogex.pipeline.live_chain import LiveChain
from zerogex.ports import FeedState

NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)


def test_the_machines_clock_is_aware_and_not_simulated() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert not clock.simulated
    assert clock.monotonic() <= clock.monotonic()


class Machine:
    """A machine whose wall clock and whose seconds diverge."""

    def __init__(self) -> None:
        self.wall, self.seconds = NOON, 1000.0

    def passes(self, seconds: float, step: float = 0.0) -> None:
        """So many seconds go by, and the wall clock is moved besides."""
        self.seconds += seconds
        self.wall += timedelta(seconds=seconds + step)


def test_a_machine_stepped_back_five_minutes_is_walked_off_at_half_speed() -> None:
    machine = Machine()
    clock = SystemClock(lambda: machine.wall, lambda: machine.seconds)
    said = [clock.now()]
    machine.passes(10.0, step=-300.0)
    for _ in range(700):
        said.append(clock.now())
        machine.passes(1.0)
    assert said == sorted(said) and len(set(said)) == len(said), "time goes on, and only forwards"
    assert said[1] == NOON + timedelta(seconds=5)
    assert said[101] == said[1] + timedelta(seconds=50)
    assert clock.now() == machine.wall, "ten minutes later it is the wall's time again"


def test_a_machine_stepped_forward_is_followed_at_once() -> None:
    machine = Machine()
    clock = SystemClock(lambda: machine.wall, lambda: machine.seconds)
    machine.passes(0.0, step=600.0)
    assert clock.now() == NOON + timedelta(seconds=600)
    assert clock.monotonic() == 1000.0, "intervals do not notice"


@pytest.mark.parametrize("step", [-600.0, -300.0, 0.0, 600.0])
def test_quotes_are_heard_whatever_the_machine_does_to_its_clock(step: float) -> None:
    """Options are stamped as they arrive: a stamp before the last one would say nothing new."""
    machine = Machine()
    clock = SystemClock(lambda: machine.wall, lambda: machine.seconds)
    contract = OptionContract("SPY", "SPY", date(2026, 11, 27), Decimal(600), OptionKind.CALL)
    live = LiveChain("SPY")
    live.follow([contract])
    for second in range(20):
        machine.passes(1.0, step=step if second == 10 else 0.0)
        at = clock.now()
        live.update([OptionQuote(contract, 1.0 + second, 2.0 + second, None, 10, 10, at, at)])
        assert live.snapshot(at, 600.0).bid.tolist() == [1.0 + second]


async def test_no_sleep_is_negative() -> None:
    await SystemClock().sleep(-300.0)
    await ScaledClock(NOON, NOON, speed=60).sleep(-300.0)


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
