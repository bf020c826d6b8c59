import json
from datetime import UTC, datetime, timedelta
from typing import Any

from zerogex.providers.tradestation import wire
from zerogex.providers.tradestation.bars import MOST_BARS_BACK, BarMerge

NOW = datetime(2026, 5, 11, 14, 25, 30, tzinfo=UTC)


def frame(end: str = "2026-05-11T14:26:00Z", close: str = "451", **fields: Any) -> wire.Bar:
    bar = {"Open": "451", "High": "452", "Low": "450", "Close": close, "TimeStamp": end, "BarStatus": "Open", **fields}
    return wire.decode(wire.BAR, json.dumps(bar).encode())


def test_bars_come_out_in_order_and_bad_ones_are_refused() -> None:
    merge = BarMerge("SPY")
    bars = merge.bars([frame("2026-05-11T14:25:00Z"), frame(close="NaN"), frame(BarStatus="Closed")], NOW)
    assert [(bar.start.minute, bar.closed) for bar in bars] == [(24, False), (25, True)]
    assert len(merge.refused) == 1


def test_a_bar_silent_on_volume_keeps_its_own_and_no_other_bars() -> None:
    merge = BarMerge("SPY")
    merge.bars([frame(UpVolume=7, DownVolume=5)], NOW)
    (same,) = merge.bars([frame(close="450.5")], NOW)
    assert (same.up_volume, same.down_volume) == (7, 5)
    (other,) = merge.bars([frame("2026-05-11T14:27:00Z")], NOW)
    assert (other.up_volume, other.down_volume) == (0, 0)


def test_a_reopened_stream_asks_for_the_minutes_it_missed() -> None:
    merge = BarMerge("SPY")
    assert merge.bars_back(NOW) == 1
    merge.bars([frame()], NOW)
    assert merge.bars_back(NOW) == 1
    assert merge.bars_back(NOW + timedelta(minutes=10)) == 11
    assert merge.bars_back(NOW + timedelta(days=30)) == MOST_BARS_BACK


def test_a_replayed_bar_is_no_proof_of_life() -> None:
    merge = BarMerge("SPY")
    yesterday = frame("2026-05-08T20:00:00Z")
    assert not merge.is_alive([yesterday], NOW)
    assert merge.is_alive([frame()], NOW)
    assert not merge.is_alive([frame()], NOW), "the same bar again says nothing new"
    assert merge.is_alive([frame(close="451.5")], NOW)
    assert not merge.is_alive([], NOW)
    assert not merge.is_alive([frame(end="garbled")], NOW)
