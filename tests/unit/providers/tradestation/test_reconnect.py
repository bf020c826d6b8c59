from collections.abc import Callable

import pytest

from zerogex.providers.tradestation import TradeStationConfig
from zerogex.providers.tradestation.reconnect import Ending, Reconnect

CONFIG = TradeStationConfig("i", "s", "r")


def always(chance: float) -> Callable[[], float]:
    return lambda: chance


def test_an_outage_waits_longer_up_to_eight_seconds_and_later_thirty() -> None:
    reconnect = Reconnect(CONFIG, always(1.0))
    assert [reconnect.pause_s(Ending.TROUBLE, 0.0) for _ in range(5)] == [2.0, 4.0, 8.0, 8.0, 8.0]
    for _ in range(20):
        pause = reconnect.pause_s(Ending.TROUBLE, 0.0)
    assert pause == 30.0


@pytest.mark.parametrize("ending", [Ending.TROUBLE, Ending.EMPTY, Ending.CLOSED, Ending.SILENT])
def test_a_stream_is_opened_at_most_once_a_second(ending: Ending) -> None:
    reconnect = Reconnect(CONFIG, always(0.0))
    for _ in range(100):
        assert reconnect.pause_s(ending, 0.25) == 0.75


def test_streams_that_open_and_close_without_a_word_are_left_alone_longer_and_longer() -> None:
    reconnect = Reconnect(CONFIG, always(1.0))
    pauses = [reconnect.pause_s(Ending.EMPTY, 0.1) for _ in range(100)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 60.0


def test_a_connection_that_served_well_clears_the_record() -> None:
    reconnect = Reconnect(CONFIG, always(1.0))
    for _ in range(8):
        reconnect.pause_s(Ending.TROUBLE, 0.0)
    assert reconnect.pause_s(Ending.CLOSED, 600.0) == 2.0


def test_goaway_is_no_failure_until_it_becomes_a_habit() -> None:
    reconnect = Reconnect(CONFIG, always(1.0))
    assert [reconnect.pause_s(Ending.GO_AWAY, 1.0) for _ in range(4)] == [0.25, 0.25, 2.0, 4.0]
    assert reconnect.pause_s(Ending.GO_AWAY, 60.0) == 0.25


def test_a_dual_logon_waits_long() -> None:
    assert Reconnect(CONFIG, always(0.0)).pause_s(Ending.DUAL_LOGON, 0.0) == 30.0
    assert Reconnect(CONFIG, always(1.0)).pause_s(Ending.DUAL_LOGON, 0.0) == 45.0


def test_pauses_are_spread_over_the_whole_range() -> None:
    pauses = {Reconnect(CONFIG).pause_s(Ending.TROUBLE, 1.0) for _ in range(50)}
    assert len(pauses) > 40
    assert max(pauses) <= 2.0
