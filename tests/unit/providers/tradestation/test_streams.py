import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import pytest

from zerogex.clock import ManualClock
from zerogex.errors import NotAuthorized, ProviderError, UnknownSymbol
from zerogex.ports import FeedEvent

STREAM = "/v3/marketdata/stream/barcharts/SPY"
HEARTBEAT = {"Heartbeat": 1, "Timestamp": "2026-05-11T14:25:30Z"}


def bar(minute: int, close: float = 451.0, **fields: Any) -> dict[str, Any]:
    return {
        "Open": "451", "High": "452", "Low": "450", "Close": str(close), "TimeStamp": f"2026-05-11T14:{minute:02}:00Z",
        "UpVolume": 7, "DownVolume": 5, "IsRealtime": True, "IsEndOfHistory": False, "BarStatus": "Open", **fields,
    }  # fmt: skip


def script(*said: Any, hold: bool = True) -> Callable[..., Any]:
    """A connection that says these things, then stays silent (or closes)."""

    async def run(asked: Any, line: Any) -> None:
        for item in said:
            await (line.raw(item) if isinstance(item, bytes) else line.send(item))
        if hold:
            await line.hold()

    return run


async def first(feed: Any, wanted: int) -> list[int]:
    """The minutes of the first bars a feed brings."""
    found = []
    async with aclosing(feed.follow_bars("SPY")) as bars:
        async for item in bars:
            found.append(item.start.minute)
            if len(found) == wanted:
                break
    return found


async def until(reached: Callable[[], bool]) -> None:
    """Wait for what other tasks bring about."""
    async with asyncio.timeout(5):
        while not reached():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def kinds(feed: Any) -> list[str]:
    return [event.kind for event in feed.heard]


async def test_bars_flow_and_heartbeats_do_not_show(server: Any, connect: Any) -> None:
    server.on(STREAM, script(bar(25), HEARTBEAT, bar(26), b"\r\n\n", bar(27)))
    feed = connect()
    assert await first(feed, 3) == [24, 25, 26]
    asked = server.asked[-1]
    assert asked.query == {"interval": "1", "unit": "Minute", "barsback": "1", "sessiontemplate": "USEQPreAndPost"}
    assert kinds(feed) == ["connected"]


@pytest.mark.parametrize("size", [1, 7, 64])
async def test_chunk_boundaries_mean_nothing(server: Any, connect: Any, size: int) -> None:
    data = b"".join(json.dumps(bar(minute)).encode() + b"\r\n" for minute in (25, 26, 27))
    server.on(STREAM, script(*(data[at : at + size] for at in range(0, len(data), size))))
    assert await first(connect(), 3) == [24, 25, 26]


async def test_the_last_object_needs_no_newline(server: Any, connect: Any) -> None:
    server.on(STREAM, script(json.dumps(bar(25)).encode(), hold=False), script(bar(26)))
    assert await first(connect(), 2) == [24, 25]


async def test_a_connection_cut_in_an_object_loses_that_object_only(server: Any, connect: Any) -> None:
    async def cut(asked: Any, line: Any) -> None:
        await line.send(bar(25), bar(26))
        await line.raw(b'{"Open":"45')
        await asyncio.sleep(0.05)
        line.cut()

    server.on(STREAM, cut, script(bar(27)))
    feed = connect()
    assert await first(feed, 3) == [24, 25, 26]
    assert feed.counts["partial"] == 1
    assert feed.counts["reconnects"] == 1


@pytest.mark.parametrize(
    "word", [{"Error": "GoAway", "Message": "The server is about to shut down."}, {"StreamStatus": "GoAway"}]
)
async def test_goaway_in_either_form_reopens_at_once(server: Any, connect: Any, word: dict[str, str]) -> None:
    server.on(STREAM, script(bar(25), word), script(bar(26)))
    feed = connect(retry_delay_s=0.5)
    async with asyncio.timeout(3):
        assert await first(feed, 2) == [24, 25]
    assert kinds(feed) == ["connected", "goaway", "connected"]


async def test_what_came_with_goaway_is_not_lost(server: Any, connect: Any) -> None:
    both = b"".join(json.dumps(item).encode() + b"\n" for item in (bar(25), {"Error": "GoAway"}, bar(26)))
    server.on(STREAM, script(both), script(bar(27)))
    assert await first(connect(), 3) == [24, 25, 26]


async def test_a_login_in_use_elsewhere_is_said_and_waited_for(server: Any, connect: Any) -> None:
    server.on(STREAM, script({"Symbol": "SPY", "Error": "DualLogon"}), script(bar(25)))
    feed = connect(dual_logon_wait_s=0.05)
    assert await first(feed, 1) == [24]
    assert kinds(feed) == ["connected", "dual_logon", "connected"]


@pytest.mark.parametrize(
    "said", [{"Error": "InternalServerError"}, {"Error": "Failed", "Message": "timed out"}, b"ERROR - x\n", b"END\n"]
)
async def test_other_errors_reconnect(server: Any, connect: Any, said: Any) -> None:
    server.on(STREAM, script(said), script(bar(25)))
    feed = connect()
    assert await first(feed, 1) == [24]
    assert kinds(feed) == ["connected", "reconnecting", "connected"]


async def test_a_symbol_error_of_another_symbol_leaves_the_stream_flowing(server: Any, connect: Any) -> None:
    server.on(STREAM, script({"Symbol": "X", "Error": "FAILED, INVALID SYMBOL"}, bar(25)))
    feed = connect()
    assert await first(feed, 1) == [24]
    assert feed.heard[-1] == FeedEvent("symbol_error", "bars SPY", "X: FAILED, INVALID SYMBOL")


async def test_a_bare_failure_of_our_symbol_passes_and_one_with_a_reason_is_final(server: Any, connect: Any) -> None:
    server.on(
        STREAM, script({"Symbol": "spy", "Error": "FAILED"}), script({"Symbol": "spy", "Error": "FAILED, NOT ENTITLED"})
    )
    with pytest.raises(UnknownSymbol, match=r"SPY.*NOT ENTITLED"):
        await first(connect(), 1)
    assert server.count(STREAM) == 2


async def test_a_bad_request_in_the_stream_is_final(server: Any, connect: Any) -> None:
    server.on(STREAM, script({"Error": "BadRequest", "Message": "unit"}))
    with pytest.raises(ProviderError, match="unit"):
        await first(connect(), 1)


async def test_a_line_that_is_nonsense_is_counted_and_passed_over(server: Any, connect: Any) -> None:
    deep = b"[" * 100_000 + b"\n"
    server.on(
        STREAM, script(b"nonsense\n", deep, {**bar(25), "High": "--"}, {**bar(25), "Low": "-3"}, b"{}\n", bar(26))
    )
    feed = connect()
    assert await first(feed, 1) == [25]
    assert feed.counts["bad_payload"] == 5
    assert kinds(feed).count("bad_payload") == 5


async def test_what_came_is_counted_while_the_connection_is_open(server: Any, connect: Any) -> None:
    server.on(STREAM, script(bar(25), HEARTBEAT, bar(26)))
    feed = connect()
    async with aclosing(feed.follow_bars("SPY")) as bars:
        await anext(bars)
        await until(lambda: feed.counts["messages"] == 2 and feed.counts["heartbeats"] == 1)
        assert feed.counts["reconnects"] == 0
    assert (feed.counts["messages"], feed.counts["heartbeats"]) == (2, 1)  # and not twice when it has ended


async def test_an_endless_object_is_dropped_and_the_stream_goes_on(server: Any, connect: Any) -> None:
    server.on(STREAM, script(*[b'{"a":"' + b"x" * 300_000] * 5, b"\n", bar(25)))
    feed = connect()
    assert await first(feed, 1) == [24]
    await until(lambda: feed.counts["quarantined"] == 1)


async def test_a_connection_without_a_word_is_given_up(server: Any, connect: Any) -> None:
    server.on(STREAM, script(), script(HEARTBEAT), script(bar(25)))
    feed = connect(inactivity_timeout_s=0.05)
    assert await first(feed, 1) == [24]
    assert server.count(STREAM) == 3


async def test_an_object_that_trickles_is_given_up(server: Any, connect: Any) -> None:
    async def trickle(asked: Any, line: Any) -> None:
        await line.send(bar(25))
        while True:
            await line.raw(b"{")
            await asyncio.sleep(0.01)

    server.on(STREAM, trickle, script(bar(26)))
    assert await first(connect(object_timeout_s=0.1), 2) == [24, 25]


async def test_heartbeats_alone_in_the_regular_session_restart_the_stream(server: Any, connect: Any) -> None:
    async def starved(asked: Any, line: Any) -> None:
        while True:
            await line.send(HEARTBEAT, bar(0, TimeStamp="2026-05-08T20:00:00Z"))
            await asyncio.sleep(0.02)

    server.on(STREAM, starved, script(bar(26)))
    feed = connect(silent_after_s=0.1)
    async with aclosing(feed.follow_bars("SPY")) as bars:
        async for item in bars:
            if item.start.minute == 25:
                break
    assert kinds(feed) == ["connected", "silent", "connected"]


async def test_quiet_hours_owe_no_data(server: Any, connect: Any, clock: ManualClock) -> None:
    clock.current = datetime(2026, 5, 11, 2, tzinfo=UTC)
    seen = asyncio.Event()

    async def quiet(asked: Any, line: Any) -> None:
        for _ in range(10):
            await line.send(HEARTBEAT)
            await asyncio.sleep(0.01)
        seen.set()
        await line.send(bar(25))
        await line.hold()

    server.on(STREAM, quiet)
    feed = connect(silent_after_s=0.03)
    assert await first(feed, 1) == [24]
    assert seen.is_set()
    assert kinds(feed) == ["connected"]


async def test_streams_closed_without_a_word_are_called_degraded(server: Any, connect: Any) -> None:
    server.on(STREAM, script(hold=False), script(hold=False), script(bar(25)))
    feed = connect()
    assert await first(feed, 1) == [24]
    degraded = [event for event in feed.heard if "upstream degraded" in event.detail]
    assert len(degraded) == 2


async def test_refused_openings_are_tried_again_and_a_quota_is_waited_for(server: Any, connect: Any) -> None:
    server.on(
        STREAM,
        server.says("<html>", 502),
        server.says({"Error": "TooManyRequests"}, 429, {"X-RateLimit-Reset": "0"}),
        script(bar(25)),
    )
    server.on("/v3/marketdata/barcharts/SPY", server.says({"Message": "No data available."}, 404))
    feed = connect()
    assert await first(feed, 1) == [24]
    assert kinds(feed) == ["reconnecting", "rate_limited", "polling", "connected"]


async def test_a_stream_the_server_will_not_keep_open_is_polled_for_a_while(server: Any, connect: Any) -> None:
    server.on(STREAM, *[script(hold=False)] * 3, script(bar(26)))
    server.on("/v3/marketdata/barcharts/SPY", server.says({"Bars": [bar(25)]}))
    feed = connect()
    async with aclosing(feed.follow_bars("SPY")) as bars:
        assert (await anext(bars)).start.minute == 24
        assert server.count(STREAM) == 3
        async for item in bars:
            if item.start.minute == 25:
                break
    assert kinds(feed).count("polling") == 1
    assert kinds(feed)[-1] == "connected"


async def test_an_expired_token_at_the_opening_is_renewed_once(server: Any, connect: Any) -> None:
    server.on(STREAM, server.says({"Error": "Unauthorized"}, 401), script(bar(25)))
    assert await first(connect(), 1) == [24]
    assert server.count("/oauth/token") == 2


async def test_a_token_refused_within_the_stream_is_renewed(server: Any, connect: Any) -> None:
    server.on(STREAM, script({"Error": "Unauthorized", "Message": "token expired"}), script(bar(25)))
    assert await first(connect(), 1) == [24]
    assert server.asked[-1].headers["authorization"] == "Bearer access-2"


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (401, {"Error": "Unauthorized"}, NotAuthorized),
        (403, {"Error": "Forbidden", "Message": "scope"}, NotAuthorized),
        (404, {"Error": "NotFound", "Message": "Symbol unknown"}, UnknownSymbol),
        (414, "<html>", ProviderError),
    ],
)
async def test_what_trying_again_cannot_mend_ends_the_stream(
    server: Any, connect: Any, status: int, said: Any, kind: type[Exception]
) -> None:
    server.on(STREAM, server.says(said, status))
    with pytest.raises(kind, match="SPY"):
        await first(connect(), 1)
    assert server.count(STREAM) == (2 if status == 401 else 1)


async def test_after_an_outage_the_missed_minutes_are_asked_for(server: Any, connect: Any, clock: ManualClock) -> None:
    async def leave(asked: Any, line: Any) -> None:
        await line.send(bar(25))
        await asyncio.sleep(0.02)
        clock.advance(300)

    server.on(STREAM, leave, script(bar(30)))
    await first(connect(), 2)
    assert server.asked[-1].query["barsback"] == "7"


async def test_never_more_streams_than_the_cap_and_places_are_given_in_order(server: Any, connect: Any) -> None:
    server.on("/v3/marketdata/stream/barcharts", script(bar(25)))
    server.on("/v3/marketdata/barcharts", server.says({"Bars": [bar(24)]}))
    feed = connect(max_streams=3)
    streaming: list[str] = []

    async def follow(symbol: str, stop: asyncio.Event) -> None:
        async with aclosing(feed.follow_bars(symbol)) as bars:
            async for item in bars:
                if item.start.minute == 24:
                    streaming.append(symbol)
                if stop.is_set():
                    return
                if item.start.minute == 24:
                    await stop.wait()
                    return

    stops = [asyncio.Event() for _ in range(6)]
    tasks = []
    for number, stop in enumerate(stops):
        tasks.append(asyncio.create_task(follow(f"S{number}", stop)))
        await asyncio.sleep(0.01)
    await until(lambda: len(streaming) == 3 and kinds(feed).count("polling") == 3)
    stops[0].set()
    await until(lambda: len(streaming) == 4)
    assert sorted(streaming[:3]) == ["S0", "S1", "S2"]
    assert streaming[3] == "S3"
    for stop in stops:
        stop.set()
    await asyncio.gather(*tasks)
    assert server.most_streams <= 3


async def test_closing_ends_every_stream_wherever_it_waits(server: Any, connect: Any) -> None:
    server.on("/v3/marketdata/stream/barcharts", script(bar(25)))
    server.on("/v3/marketdata/stream/barcharts/DOWN", server.says("", 503))
    server.on("/v3/marketdata/barcharts", server.says({"Message": "No data available."}, 404))
    feed = connect(max_streams=2, retry_delay_s=30.0, poll_interval_s=30.0)

    async def drain(symbol: str) -> int:
        return len([item async for item in feed.follow_bars(symbol)])

    tasks = []
    for symbol in ("SPY", "DOWN", "WAITING"):
        tasks.append(asyncio.create_task(drain(symbol)))
        await asyncio.sleep(0.01)
    await until(lambda: sorted(kinds(feed)) == ["connected", "polling", "reconnecting"])
    async with asyncio.timeout(5):
        await feed.aclose()
        assert await asyncio.gather(*tasks) == [1, 0, 0]


async def test_secrets_stay_out_of_the_log_of_a_stream(
    server: Any, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.on(STREAM, script({"Error": "InternalServerError"}), server.says("", 500), script(bar(25)))
    feed = connect()
    await first(feed, 1)
    for text in (caplog.text, repr(feed.heard), *(str(record.__dict__) for record in caplog.records)):
        assert "canary" not in text
        assert "access-1" not in text
