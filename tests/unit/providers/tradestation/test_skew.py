"""F38: how far the vendor's clock is from ours."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from zerogex.clock import SystemClock
from zerogex.ports import FeedEvent
from zerogex.providers.tradestation.client import TradeStation
from zerogex.providers.tradestation.config import TradeStationConfig
from zerogex.providers.tradestation.skew import SkewWatch
from zerogex.simulator import Faults, Simulator, SimulatorConfig

NOON = datetime(2026, 11, 20, 17, 0, 0, 400_000, tzinfo=UTC)


class Heard:
    """A watch over a wall clock and seconds that a test moves."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.wall, self.seconds = NOON, 0.0
        self.watch = SkewWatch(self.said.append, lambda: self.wall, lambda: self.seconds)

    def answer(self, true_time: datetime, took_s: float = 0.01) -> None:
        self.watch.heard({"Date": format_datetime(true_time, usegmt=True)}, took_s)


def test_a_clock_that_is_right_is_within_half_a_second() -> None:
    heard = Heard()
    for tenth in range(100):
        heard.wall = NOON + timedelta(seconds=tenth / 10)
        heard.answer(heard.wall)
        assert abs(heard.watch.skew_s) <= 0.51
    assert heard.said == []


@pytest.mark.parametrize(
    ("skew_s", "side"), [(3.0, "behind"), (600.0, "behind"), (-3.0, "ahead of"), (-600.0, "ahead of")]
)
def test_a_clock_that_is_wrong_is_said_once_in_five_minutes(skew_s: float, side: str) -> None:
    heard = Heard()
    for second in range(301):
        heard.seconds = float(second)
        heard.answer(heard.wall + timedelta(seconds=skew_s))
    assert abs(heard.watch.skew_s - skew_s) <= 0.51
    assert len(heard.said) == 2
    assert f"s {side} the feed's" in heard.said[0] and "NTP" in heard.said[0]


def test_one_odd_date_a_slow_answer_and_nonsense_are_no_alarm() -> None:
    heard = Heard()
    for _ in range(3):
        heard.answer(heard.wall)
    heard.answer(heard.wall + timedelta(hours=1))
    heard.answer(heard.wall + timedelta(hours=1), took_s=30.0)
    for words in ({"Date": "yesterday"}, {"Date": ""}, {}):
        heard.watch.heard(words, 0.01)
    assert abs(heard.watch.skew_s) <= 0.51 and heard.said == []


def test_a_step_of_the_wall_shows_within_three_answers() -> None:
    heard = Heard()
    for _ in range(5):
        heard.answer(heard.wall)
    true_time, heard.wall = heard.wall, heard.wall - timedelta(minutes=5)
    for _ in range(3):
        heard.answer(true_time)
    assert 299.0 < heard.watch.skew_s < 301.0 and len(heard.said) == 1


async def test_the_client_measures_every_answer_and_reports_once() -> None:
    events: list[FeedEvent] = []
    async with Simulator(SimulatorConfig(port=0, faults=Faults(date_skew_s=5.0))) as simulator:
        account = TradeStationConfig("id", "secret", "token", api_url=simulator.url, auth_url=simulator.url)
        market = TradeStation(account, SystemClock())
        market.on_event = events.append
        assert market.clock_skew_s == 0.0
        for _ in range(6):
            await market.quotes(["SPY"])
        assert 4.0 < market.clock_skew_s < 6.0
        await market.aclose()
    assert [event.kind for event in events] == ["clock_skew"]
    assert "behind the feed's" in events[0].detail
