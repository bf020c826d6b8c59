from datetime import UTC, date, datetime
from typing import Any

import pytest

from zerogex.clock import ManualClock
from zerogex.domain.calendar import Session
from zerogex.errors import NotAuthorized, Unavailable
from zerogex.providers.tradestation.extras import market_depth, market_hours, symbol_details, symbol_search

DEPTH = "/v3/marketdata/stream/marketdepth/"


async def test_a_search_asks_version_two_and_answers_its_rows(server: Any, connect: Any) -> None:
    server.on("/v2/data/symbols/suggest/", server.says([{"Name": "SPY", "Root": "SPY"}, {"Name": "SPYG"}]))
    assert await symbol_search(connect(), "S P/Y", limit=1) == [{"Name": "SPY", "Root": "SPY"}]
    assert server.asked[-1].raw_path == "/v2/data/symbols/suggest/S%20P%2FY"
    assert server.asked[-1].query == {"$top": "1"}


async def test_details_are_asked_for_fifty_at_a_time_in_the_vendors_spelling(server: Any, connect: Any) -> None:
    server.on(
        "/v3/marketdata/symbols/", server.says({"Symbols": [{"Symbol": "SPY", "AssetType": "STOCK"}], "Errors": []})
    )
    found = await symbol_details(connect(), ["SPX"] + ["SPY"] * 59)
    assert found == [{"Symbol": "SPY", "AssetType": "STOCK"}] * 2
    paths = [asked.path for asked in server.asked if "symbols" in asked.path]
    assert [path.count(",") + 1 for path in paths] == [50, 10]
    assert paths[0].startswith("/v3/marketdata/symbols/$SPX.X,SPY")


@pytest.mark.parametrize(("aggregates", "kind"), [(True, "aggregates"), (False, "quotes")])
async def test_depth_is_the_first_book_of_its_stream(server: Any, connect: Any, aggregates: bool, kind: str) -> None:
    async def book(asked: Any, line: Any) -> None:
        await line.send({"Heartbeat": 1}, {"Bids": [{"Price": "1.0"}], "Asks": None})
        await line.hold()

    server.on(f"{DEPTH}{kind}/SPY", book)
    depth = await market_depth(connect(), "SPY", levels=5, aggregates=aggregates)
    assert (depth.symbol, depth.bids, depth.asks) == ("SPY", [{"Price": "1.0"}], [])
    assert server.asked[-1].query == {"maxlevels": "5"}


async def test_depth_without_its_scope_says_so(server: Any, connect: Any) -> None:
    server.on(DEPTH, server.says({"Error": "Forbidden", "Message": "no"}, 403))
    with pytest.raises(NotAuthorized, match="scope"):
        await market_depth(connect(), "SPY")


async def test_depth_waits_for_a_stream_only_so_long(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zerogex.providers.tradestation.extras.OPENING_S", 0.02)
    feed = connect(max_streams=1)
    async with feed.streams.place() as place:
        assert await place.granted(1.0)
        with pytest.raises(Unavailable, match="taken"):
            await market_depth(feed, "SPY")


def test_hours_are_those_of_the_day_or_of_the_next_session() -> None:
    saturday = ManualClock(datetime(2026, 5, 9, 15, tzinfo=UTC))
    hours = market_hours(saturday)
    assert (hours.session, hours.day) == (Session.CLOSED, date(2026, 5, 11))
    assert hours.opens == datetime(2026, 5, 11, 13, 30, tzinfo=UTC)
    half_day = market_hours(saturday, date(2026, 11, 27))
    assert half_day.early_close
    assert half_day.closes == datetime(2026, 11, 27, 18, tzinfo=UTC)
