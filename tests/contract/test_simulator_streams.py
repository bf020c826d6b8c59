"""How the simulator's streams live and die, and every fault that can be switched on."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from zerogex.simulator import Faults, Simulator, SimulatorConfig

START = datetime(2026, 11, 23, 15, 0, 30, tzinfo=UTC)
DATA = "/v3/marketdata"
QUOTES = f"{DATA}/stream/quotes"
BARS = f"{DATA}/stream/barcharts"
CHAIN = f"{DATA}/stream/options/chains"
JSON = dict[str, Any]


@asynccontextmanager
async def connected(**changes: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """A client signed in to a simulator that runs fast and speaks often."""
    settings = {"port": 0, "start": START, "turn_s": 0.02, "heartbeat_s": 0.1, "speed": 60.0, **changes}
    async with (
        Simulator(SimulatorConfig(**settings)) as simulator,
        httpx2.AsyncClient(base_url=simulator.url, timeout=20) as client,
    ):
        form = {"grant_type": "refresh_token", "client_id": "a", "client_secret": "b", "refresh_token": "c"}
        client.headers["Authorization"] = (
            f"Bearer {(await client.post('/oauth/token', data=form)).json()['access_token']}"
        )
        yield client


async def lines(client: httpx2.AsyncClient, path: str, count: int = 10_000, beats: bool = True) -> list[str]:
    """The first lines of a stream (or all until it ends), heartbeats among them if wanted."""
    out: list[str] = []
    async with client.stream("GET", path) as answer:
        assert answer.status_code == 200, await answer.aread()
        async for line in answer.aiter_lines():
            if beats or not line.startswith('{"Heartbeat"'):
                out.append(line)
            if len(out) >= count:
                break
    return out


async def said(client: httpx2.AsyncClient, path: str, count: int = 10_000, beats: bool = False) -> list[JSON]:
    return [json.loads(line) for line in await lines(client, path, count, beats) if line.strip()]


async def switch(client: httpx2.AsyncClient, **faults: Any) -> None:
    answer = await client.post("/simulator/faults", json=faults)
    assert answer.status_code == 200, answer.text


async def ledger(client: httpx2.AsyncClient) -> JSON:
    answer: JSON = (await client.get("/simulator/ledger")).json()
    return answer


async def test_a_quote_stream_begins_full_and_goes_on_with_what_changed() -> None:
    async with connected() as client:
        objects = await said(client, f"{QUOTES}/SPY,$SPX.X,SPY 261127C775,NOPE", 30)
    assert {"Symbol": "NOPE", "Error": "FAILED, INVALID SYMBOL"} in objects[:4]
    by_symbol: dict[str, list[JSON]] = {}
    for one in objects:
        by_symbol.setdefault(one["Symbol"], []).append(one)
    assert set(by_symbol) == {"SPY", "$SPX.X", "SPY 261127C775", "NOPE"} and len(by_symbol["NOPE"]) == 1
    full, *deltas = by_symbol["SPY"]
    assert "PreviousVolume" in full and deltas
    for before, delta in zip([full, *deltas], deltas, strict=False):
        assert "PreviousVolume" not in delta and len(delta) > 1
        assert all(before.get(name) != value for name, value in delta.items() if name in before and name != "Symbol")


async def test_a_bar_stream_replays_history_then_forms_and_closes_each_minute_once() -> None:
    async with connected(speed=300.0) as client:
        bars = await said(client, f"{BARS}/SPY?unit=Minute&barsback=3&firstdate=2020-01-01", 75)
    history, live = bars[:3], bars[3:]
    assert [bar["IsEndOfHistory"] for bar in history] == [False, False, True]
    assert not any(bar["IsRealtime"] for bar in history) and all(bar["IsRealtime"] for bar in live)
    closed = [bar["TimeStamp"] for bar in bars if bar["BarStatus"] == "Closed"]
    assert len(closed) > 4 and closed == sorted(set(closed))
    minutes = [datetime.fromisoformat(stamp) for stamp in closed]
    assert {(b - a).total_seconds() for a, b in itertools.pairwise(minutes)} == {60.0}
    volume: dict[str, int] = {}
    for bar in live:
        assert int(bar["TotalVolume"]) >= volume.get(bar["TimeStamp"], 0)
        volume[bar["TimeStamp"]] = int(bar["TotalVolume"])


async def test_streamed_minutes_are_the_minutes_of_the_history() -> None:
    async with connected(speed=300.0) as client:
        live = {
            bar["TimeStamp"]: bar for bar in await said(client, f"{BARS}/SPY?unit=Minute", 40)
            if bar["BarStatus"] == "Closed" and bar["IsRealtime"]
        }  # fmt: skip
        asked = (await client.get(f"{DATA}/barcharts/SPY?unit=Minute&barsback=60")).json()["Bars"]
    later = {bar["TimeStamp"]: bar for bar in asked}
    assert live
    for stamp, bar in live.items():
        assert {**bar, "IsRealtime": False} == {**later[stamp], "IsEndOfHistory": False}


async def test_a_chain_stream_shows_its_whole_window_first_then_changes_as_whole_objects() -> None:
    async with connected() as client:
        objects = await said(client, f"{CHAIN}/SPY?expiration=11-27-2026&strikeProximity=8&riskFreeRate=0.03", 90)
    first = [one["Legs"][0]["Symbol"] for one in objects[:32]]
    assert len(set(first)) == 32 and {name[:10] for name in first} == {"SPY 261127"}
    assert {one["Legs"][0]["Symbol"] for one in objects} == set(first)
    assert len({frozenset(one) for one in objects}) == 1  # every object has the same fields
    for one in objects:
        assert float(one["Bid"]) <= float(one["Ask"]) and isinstance(one["Volume"], int)
        assert float(one["ExtrinsicValue"]) == pytest.approx(float(one["Ask"]) - float(one["IntrinsicValue"]), abs=1e-3)
        if float(one["ImpliedVolatility"]) > 0.01:
            assert float(one["TheoreticalValue_IV"]) == pytest.approx(float(one["Ask"]), abs=2e-3)
            assert float(one["Gamma"]) > 0 and float(one["Theta"]) < 0 and float(one["Vega"]) > 0
            assert (float(one["Delta"]) > 0) == (one["Side"] == "Call")


async def test_theta_of_the_last_day_is_that_of_a_whole_day() -> None:
    """An option with hours to live shows the theta of one with a day: a thirtieth of its vega times volatility."""
    async with connected(speed=1.0) as client:
        objects = await said(client, f"{CHAIN}/SPY?strikeProximity=2&expiration=2026-11-23", 8)
    for one in objects:
        hours = 6 / 24
        vega = float(one["Vega"]) * 100 / hours**0.5  # of one day instead of a quarter
        assert -float(one["Theta"]) == pytest.approx(vega * float(one["ImpliedVolatility"]) / 2, rel=0.35)


async def test_the_window_obeys_kind_range_centre_and_interval() -> None:
    async with connected() as client:
        puts = await said(client, f"{CHAIN}/SPY?optionType=Put&strikeRange=OTM&priceCenter=760&strikeProximity=4", 4)
        assert {one["Side"] for one in puts} == {"Put"} and all(float(one["Strikes"][0]) < 761 for one in puts)
        spaced = await said(client, f"{CHAIN}/SPY?strikeInterval=5&strikeProximity=2&optionType=Call", 4)
        strikes = sorted(float(one["Strikes"][0]) for one in spaced)
        assert {b - a for a, b in itertools.pairwise(strikes)} == {5.0}
        plain = await said(client, f"{CHAIN}/SPY?enableGreeks=false", 1)
        assert not {"Delta", "ImpliedVolatility", "ProbabilityITM"} & set(plain[0]) and "Bid" in plain[0]
        for bad in ("spreadType=Vertical", "strikeProximity=0", "expiration=soon"):
            assert (await client.get(f"{CHAIN}/SPY?{bad}")).status_code == 400
        assert (await client.get(f"{CHAIN}/SPY?expiration=2026-11-26")).status_code == 404  # Thanksgiving


async def test_both_series_of_an_index_stream_under_their_own_names() -> None:
    async with connected() as client:
        monthly = await said(client, f"{CHAIN}/$SPX.X?expiration=2026-12-18", 20)
        dated = await said(client, f"{CHAIN}/$SPXW.X?expiration=2026-12-18", 20)
    assert {one["Legs"][0]["Symbol"].split()[0] for one in monthly} == {"SPX"}
    assert {one["Legs"][0]["Symbol"].split()[0] for one in dated} == {"SPXW"}
    assert monthly[0]["Legs"][0]["AssetType"] == "IndexOption"


async def test_idle_streams_beat_and_count_their_beats() -> None:
    evening = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
    async with connected(start=evening, speed=1.0) as client:
        objects = await said(client, f"{QUOTES}/SPY", 4, beats=True)
    assert [one.get("Heartbeat") for one in objects] == [None, 1, 2, 3]
    assert objects[1]["Timestamp"].startswith("2026-11-24T02:00:0")


async def test_market_depth_is_a_whole_sorted_book() -> None:
    async with connected(depth_objects_per_s=50.0) as client:
        books = await said(client, f"{DATA}/stream/marketdepth/aggregates/SPY", 3)
        venues = await said(client, f"{DATA}/stream/marketdepth/quotes/SPY?maxlevels=5", 1)
        assert (await client.get(f"{DATA}/stream/marketdepth/quotes/$SPX.X")).status_code == 400
    bids, asks = ([float(entry["Price"]) for entry in books[0][side]] for side in ("Bids", "Asks"))
    assert len(bids) == len(asks) == 20 and bids == sorted(bids, reverse=True) and asks == sorted(asks)
    assert bids[0] < asks[0] and len(venues[0]["Bids"]) >= 5


async def test_the_ledger_counts_what_was_said() -> None:
    async with connected() as client:
        objects = await said(client, f"{QUOTES}/SPY,QQQ", 12)
        await switch(client, eof_after_s=0.5)
        bars = await said(client, f"{BARS}/SPY?unit=Minute")
        book = await ledger(client)
    stream = next(one for one in book["streams"] if one["kind"] == "barcharts")
    assert stream["objects"] == len(bars) == stream["by_symbol"]["SPY"] and stream["end"] == "eof"
    assert stream["closed_bars"] == len({bar["TimeStamp"] for bar in bars if bar["BarStatus"] == "Closed"})
    quoted = next(one for one in book["streams"] if one["kind"] == "quotes")
    assert quoted["objects"] >= len(objects) and book["token_requests"] == 1
    assert book["requests"]["quote-change-stream 200"] == 1


ENDINGS = [
    ({"goaway_after_s": 0.05}, {"Error": "GoAway", "Message": "The server is about to shut down."}),
    ({"goaway_after_s": 0.05, "goaway_as_status": True}, {"StreamStatus": "GoAway"}),
    ({"dual_logon_after_s": 0.05}, {"Symbol": "SPY", "Error": "DualLogon"}),
]


@pytest.mark.parametrize(("faults", "last"), ENDINGS, ids=lambda value: next(iter(value)))
async def test_a_stream_says_why_it_ends(faults: JSON, last: JSON) -> None:
    async with connected(faults=Faults(**faults)) as client:
        assert (await said(client, f"{QUOTES}/SPY"))[-1] == last


async def test_a_stream_can_end_without_a_word_or_with_a_bare_one() -> None:
    async with connected() as client:
        await switch(client, eof_after_s=0.05)
        assert all("Symbol" in one for one in await said(client, f"{QUOTES}/SPY"))
        await switch(client, reset=True, empty_200_close=True)
        assert await lines(client, f"{QUOTES}/SPY") == []
        await switch(client, reset=True, end_string=True)
        assert (await lines(client, f"{QUOTES}/SPY"))[-1] == "END"
        await switch(client, reset=True, error_string="Timed out")
        assert (await lines(client, f"{QUOTES}/SPY"))[-1] == "ERROR - Timed out"


async def test_a_cut_connection_breaks_in_the_middle_of_an_object() -> None:
    async with connected(faults=Faults(cut_after_bytes=700)) as client:
        received = b""
        with pytest.raises(httpx2.RemoteProtocolError):
            async with client.stream("GET", f"{QUOTES}/SPY") as answer:
                async for part in answer.aiter_raw():
                    received += part
        assert len(received) == 700 and not received.endswith(b"\n")


async def test_a_stalled_stream_is_silent_and_a_starved_one_only_beats() -> None:
    async with connected(faults=Faults(stall_after_s=0.001)) as client:
        with pytest.raises(httpx2.ReadTimeout):
            async with client.stream("GET", f"{QUOTES}/SPY", timeout=0.4) as answer:
                async for _ in answer.aiter_raw():
                    pass
        await switch(client, reset=True, stall_after_s=0.0, heartbeat_only=True)
        objects = await said(client, f"{BARS}/SPY?unit=Minute", 3, beats=True)
        assert all("Heartbeat" in one for one in objects)


async def test_a_muted_contract_falls_silent_while_the_others_go_on() -> None:
    async with connected(faults=Faults(mute=["spy"])) as client:
        objects = await said(client, f"{QUOTES}/SPY,QQQ", 6)
        assert {one["Symbol"] for one in objects} == {"QQQ"}


async def test_a_frozen_bar_comes_again_and_again() -> None:
    async with connected(faults=Faults(frozen_bar=True)) as client:
        bars = await said(client, f"{BARS}/SPY?unit=Minute", 6)
        assert len({json.dumps(bar) for bar in bars}) == 1


async def test_any_chunking_and_line_ending_carries_the_same_objects() -> None:
    async with connected(faults=Faults(rechunk=True, crlf=True, blank_lines=True)) as client:
        received, objects = [], []
        async with client.stream("GET", f"{CHAIN}/SPY?strikeProximity=20") as answer:
            async for part in answer.aiter_raw():
                received.append(part)
                objects = b"".join(received).split(b"\r\n")
                if len(objects) > 90:
                    break
    assert any(len(part) == 1 for part in received) and b"" in objects
    names = {json.loads(line)["Legs"][0]["Symbol"] for line in objects[:-1] if line}
    assert len(names) > 40


async def test_objects_can_come_twice_out_of_order_and_bent() -> None:
    async with connected() as client:
        await switch(client, duplicate=2)
        counts = Counter(json.dumps(one) for one in await said(client, f"{CHAIN}/SPY", 60))
        assert counts.most_common(1)[0][1] >= 3
        await switch(client, reset=True, reorder=20)
        strikes = [float(one["Strikes"][0]) for one in await said(client, f"{CHAIN}/SPY", 20)]
        assert strikes != sorted(strikes)
        await switch(client, reset=True, lower_case=True, extra_fields=True, delayed=True)
        (quote,) = await said(client, f"{QUOTES}/SPY", 1)
        assert quote["Symbol"] == "spy" and "Unheard" in quote and quote["MarketFlags"]["IsDelayed"] is True
        await switch(client, reset=True, float32_prices=True)
        quotes = [await said(client, f"{QUOTES}/{name}", 1) for name in ("SPY", "QQQ", "TSLA")]
        assert any(len(one[0][field].partition(".")[2]) > 2 for one in quotes for field in ("Last", "Open", "High"))
        await switch(client, reset=True, crossed=1.0)
        assert all(float(one["Bid"]) >= float(one["Ask"]) for one in await said(client, f"{CHAIN}/SPY", 20))
        await switch(client, reset=True, null_fields=True)
        assert any(one.get("Last", "") is None for one in await said(client, f"{QUOTES}/SPY", 5))


@pytest.mark.parametrize("kind", ["nan", "infinity", "text", "truncated", "missing", "deep", "huge", "null", "garbage"])
async def test_corrupt_objects_are_rare_and_wrong(kind: str) -> None:
    async with connected(faults=Faults(corrupt=kind), chain_objects_per_s=4000) as client:
        received = await lines(client, f"{CHAIN}/SPY?strikeProximity=60", 240, beats=False)
    whole = 0
    for line in received:
        try:
            whole += set(json.loads(line)) >= {"Bid", "Legs", "Ask"} and len(line) < 5000
        except (ValueError, RecursionError):
            continue
    wrong = sum(any(mark in line for mark in ('"NaN"', '"1e400"', '"--"', ":null")) for line in received)
    assert whole > 200 and (wrong > 0 or whole < 240)


async def test_symbols_without_entitlement_or_failing_for_now_say_so_and_the_rest_flows() -> None:
    async with connected(faults=Faults(not_entitled=["$VIX.X"], failing=["QQQ"])) as client:
        objects = await said(client, f"{QUOTES}/$VIX.X,QQQ,SPY", 3)
        assert {one["Symbol"]: one.get("Error") for one in objects} == {
            "$VIX.X": "FAILED, NOT ENTITLED", "QQQ": "FAILED", "SPY": None}  # fmt: skip
        await switch(client, reset=True, bars_error="Not entitled to data for this symbol", failing=[])
        answer = await client.get(f"{DATA}/barcharts/SPY")
        assert answer.status_code == 200 and answer.json()["Error"] == "Failed"


async def test_the_cap_on_streams_is_a_429_or_a_silent_close() -> None:
    async with connected(faults=Faults(stream_cap=1)) as client, client.stream("GET", f"{QUOTES}/SPY"):
        over = await client.get(f"{QUOTES}/QQQ")
        assert over.status_code == 429 and over.json()["Error"] == "TooManyRequests"
        await switch(client, cap_mode="close")
        assert await lines(client, f"{QUOTES}/QQQ") == []


async def test_the_documented_quota_ends_in_429_with_the_time_until_it_resets() -> None:
    async with connected(faults=Faults(quotas="documented")) as client:
        answers = [await client.get(f"{DATA}/options/spreadtypes") for _ in range(91)]
        assert [answer.status_code for answer in answers[:90]] == [200] * 90
        refused = answers[90]
        assert refused.status_code == 429
        assert refused.json() == {"Error": "TooManyRequests", "Message": "Rate quota exceeded"}
        assert refused.headers["X-RateLimit-Remaining"] == "0" and 1 <= int(refused.headers["X-RateLimit-Reset"]) <= 60
        assert (await client.get(f"{DATA}/quotes/SPY")).status_code == 200  # another resource
        await switch(client, quota_reset="-5", status_headers={"Retry-After": "soon"})
        absurd = await client.get(f"{DATA}/options/spreadtypes")
        assert absurd.headers["X-RateLimit-Reset"] == "-5" and absurd.headers["Retry-After"] == "soon"


async def test_requests_fail_as_often_and_where_they_are_told_to() -> None:
    async with connected() as client:
        await switch(client, status=503, status_count=2, status_path="quotes", html_errors=True)
        got = [(await client.get(f"{DATA}/{path}")).status_code for path in ("quotes/SPY", "symbols/SPY") * 3]
        assert got == [503, 200, 503, 200, 200, 200]
        await switch(client, reset=True, token_status=502, token_status_count=1, date_skew_s=-3600)
        form = {"grant_type": "refresh_token", "client_id": "a", "client_secret": "b", "refresh_token": "c"}
        answers = [await client.post("/oauth/token", data=form) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [502, 200]
        skewed = datetime.strptime(answers[0].headers["Date"], "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
        assert 3590 < (datetime.now(UTC) - skewed).total_seconds() < 3610


async def test_a_switch_that_does_not_exist_or_has_a_wrong_value_is_refused_by_name() -> None:
    async with connected() as client:
        for body, word in (({"goway": 1}, "goway"), ({"duplicate": "x"}, "duplicate")):
            answer = await client.post("/simulator/faults", json=body)
            assert answer.status_code == 400 and word in answer.json()["Message"]
        await switch(client, goaway_after_s=5)
        assert (await client.get("/simulator/faults")).json()["goaway_after_s"] == 5
        await switch(client, reset=True)
        assert (await client.get("/simulator/faults")).json()["goaway_after_s"] == 0


async def test_stopping_tells_every_stream_to_go_away() -> None:
    simulator = Simulator(SimulatorConfig(port=0, start=START, turn_s=0.02))
    await simulator.start()
    async with httpx2.AsyncClient(base_url=simulator.url) as client:
        form = {"grant_type": "refresh_token", "client_id": "a", "refresh_token": "c"}
        token = (await client.post("/oauth/token", data=form)).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        reading = asyncio.create_task(said(client, f"{QUOTES}/SPY"))
        while not simulator.exchange.ledger.totals:  # noqa: ASYNC110 - the ledger is no event
            await asyncio.sleep(0.01)
        await simulator.stop()
        assert (await reading)[-1]["Error"] == "GoAway"


async def test_what_a_cut_left_whole_is_what_the_ledger_counts() -> None:
    async with connected(faults=Faults(cut_after_bytes=5000)) as client:
        received = b""
        with pytest.raises(httpx2.TransportError):
            async with client.stream("GET", f"{CHAIN}/SPY?strikeProximity=20") as answer:
                async for part in answer.aiter_raw():
                    received += part
        await switch(client, reset=True, cut_after_bytes=0)
        (stream,) = (await ledger(client))["streams"]
    assert stream["end"] == "cut" and stream["objects"] == received.count(b"\n") and stream["bytes"] == 5000
