"""Topics, sequence numbers, conflation and resuming, without a network."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from zerogex.clock import ManualClock
from zerogex.domain.bar import MinuteBar
from zerogex.serving.board import Board
from zerogex.serving.config import ServingConfig
from zerogex.serving.hub import REPLAY_LENGTH, Hub, Subscriber
from zerogex.serving.problems import Problem

NOON = datetime(2026, 2, 20, 17, 0, tzinfo=UTC)


@pytest.fixture
def hub() -> Hub:
    board = Board(ServingConfig(symbols=("SPY",)), lambda: ManualClock(NOON))
    board.database = board.scanned = True
    return Hub(board)


def publish(hub: Hub, spot: float, symbol: str = "SPY") -> None:
    stamp = "2026-02-20T16:59:59Z"
    hub.on_analysis(symbol, {"underlying": symbol, "spot": spot, "data_timestamp": stamp, "by_strike": []}, f"v{spot}")


def bar(n: int) -> MinuteBar:
    return MinuteBar("SPY", NOON + timedelta(minutes=n), 1.0, 2.0, 0.5, 1.5, 10, 20)


def follow(hub: Hub, *topics: str, last_seq: int | None = None, epoch: str | None = None) -> Subscriber:
    subscriber = Subscriber()
    hub.subscribers.add(subscriber)
    for topic in topics:
        hub.subscribe(subscriber, topic, last_seq, epoch)
    return subscriber


def read(hub: Hub, subscriber: Subscriber) -> list[dict[str, Any]]:
    said = []
    while (text := hub.next_message(subscriber)) is not None:
        said.append(json.loads(text))
    return said


def test_a_subscriber_gets_an_ack_the_snapshot_and_then_changes(hub: Hub) -> None:
    publish(hub, 690.0)
    subscriber = follow(hub, "summary:SPY")
    ack, snapshot = read(hub, subscriber)
    assert (ack["type"], ack["resumed"], ack["gap"], ack["seq"]) == ("ack", False, False, 1)
    assert (snapshot["type"], snapshot["seq"], snapshot["data"]["spot"]) == ("snapshot", 1, 690.0)
    publish(hub, 691.0)
    (change,) = read(hub, subscriber)
    assert (change["type"], change["seq"], change["skipped"], change["data"]["spot"]) == ("change", 2, 0, 691.0)


def test_a_topic_without_data_is_acknowledged_and_speaks_when_there_is_some(hub: Hub) -> None:
    subscriber = follow(hub, "summary:SPY")
    ack, problem = read(hub, subscriber)
    assert (ack["type"], ack["seq"], problem["type"], problem["code"]) == ("ack", 0, "problem", "waiting_for_data")
    publish(hub, 690.0)
    assert [message["seq"] for message in read(hub, subscriber)] == [1]


def test_the_same_numbers_computed_again_are_no_change(hub: Hub) -> None:
    publish(hub, 690.0)
    subscriber = follow(hub, "summary:SPY")
    read(hub, subscriber)
    publish(hub, 690.0)
    assert read(hub, subscriber) == []


def test_a_slow_client_gets_the_latest_and_is_told_what_it_missed(hub: Hub) -> None:
    publish(hub, 690.0)
    subscriber = follow(hub, "summary:SPY", "strikes:SPY")
    read(hub, subscriber)
    for step in range(50):
        publish(hub, 691.0 + step)
    said = read(hub, subscriber)
    assert [(message["topic"], message["seq"], message["skipped"]) for message in said] == [
        ("summary:SPY", 51, 49),
        ("strikes:SPY", 51, 49),
    ]
    assert said[0]["data"]["spot"] == 740.0


def test_who_resumes_within_reach_is_given_every_change_it_missed(hub: Hub) -> None:
    for step in range(10):
        publish(hub, 690.0 + step)
    subscriber = follow(hub, "summary:SPY", last_seq=7, epoch=hub.epoch)
    ack, *changes = read(hub, subscriber)
    assert (ack["resumed"], ack["gap"]) == (True, False)
    assert [change["seq"] for change in changes] == [8, 9, 10]
    publish(hub, 800.0)
    assert [(m["seq"], m["skipped"]) for m in read(hub, subscriber)] == [(11, 0)]


def test_who_missed_nothing_is_told_nothing_again(hub: Hub) -> None:
    publish(hub, 690.0)
    assert [m["type"] for m in read(hub, follow(hub, "strikes:SPY", last_seq=1, epoch=hub.epoch))] == ["ack"]


@pytest.mark.parametrize("last_seq", [1, 10**6])
def test_who_resumes_out_of_reach_is_told_of_the_gap_and_gets_a_snapshot(hub: Hub, last_seq: int) -> None:
    for step in range(REPLAY_LENGTH + 5):
        publish(hub, 600.0 + step)
    ack, snapshot = read(hub, follow(hub, "summary:SPY", last_seq=last_seq, epoch=hub.epoch))
    assert (ack["resumed"], ack["gap"], snapshot["type"]) == (False, True, "snapshot")


def test_numbers_of_another_run_of_the_server_are_a_gap(hub: Hub) -> None:
    publish(hub, 690.0)
    ack, snapshot = read(hub, follow(hub, "summary:SPY", last_seq=1, epoch="another"))
    assert (ack["gap"], snapshot["type"]) == (True, "snapshot")


def test_whoever_skipped_bars_gets_them_all(hub: Hub) -> None:
    hub.on_bars("SPY", [bar(n) for n in range(20)])
    subscriber = follow(hub, "bars:SPY")
    assert len(read(hub, subscriber)[1]["data"]["bars"]) == 20
    for n in range(20, 30):
        hub.on_bars("SPY", [bar(n)])
    (message,) = read(hub, subscriber)
    assert (message["type"], message["skipped"], len(message["data"]["bars"])) == ("snapshot", 9, 30)


def test_a_bars_change_has_the_last_minutes_only(hub: Hub) -> None:
    hub.on_bars("SPY", [bar(n) for n in range(20)])
    subscriber = follow(hub, "bars:SPY")
    read(hub, subscriber)
    hub.on_bars("SPY", [bar(20)])
    (message,) = read(hub, subscriber)
    assert (message["type"], len(message["data"]["bars"])) == ("change", 5)


def test_bars_read_again_unchanged_are_no_change(hub: Hub) -> None:
    hub.on_bars("SPY", [bar(0)])
    subscriber = follow(hub, "bars:SPY")
    read(hub, subscriber)
    hub.on_bars("SPY", [bar(0)])
    assert read(hub, subscriber) == []


@pytest.mark.parametrize("topic", ["summary:NOPE", "nonsense:SPY", "summary", "", ":SPY"])
def test_a_topic_that_does_not_exist_is_a_problem(hub: Hub, topic: str) -> None:
    with pytest.raises(Problem) as caught:
        follow(hub, topic)
    assert caught.value.code in ("unknown_symbol", "unknown_topic")


def test_who_unsubscribes_hears_no_more(hub: Hub) -> None:
    publish(hub, 690.0)
    subscriber = follow(hub, "summary:SPY")
    read(hub, subscriber)
    hub.unsubscribe(subscriber, "summary:SPY")
    publish(hub, 691.0)
    assert read(hub, subscriber) == []


def test_a_heartbeat_says_the_state_of_the_symbols_followed(hub: Hub) -> None:
    publish(hub, 690.0)
    subscriber = follow(hub, "summary:SPY")
    read(hub, subscriber)
    hub.on_database(False)
    (beat,) = read(hub, subscriber)
    assert (beat["type"], beat["database"], beat["session"]) == ("heartbeat", "down", "regular")
    assert beat["symbols"]["SPY"]["state"] == "live"
    assert beat["symbols"]["SPY"]["stale"] is True


def test_a_client_that_asks_without_reading_is_an_overrun(hub: Hub) -> None:
    subscriber = Subscriber()
    for _ in range(1000):
        subscriber.say("{}")
    assert subscriber.overrun
    assert len(subscriber.control) < 1000
