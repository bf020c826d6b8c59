import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from zerogex.clock import ManualClock
from zerogex.domain.contract import OptionContract, OptionKind
from zerogex.errors import BadPayload, ProviderError, UnknownSymbol
from zerogex.ports import ChainWindow, FeedEvent

MARKET = "/v3/marketdata"
QUOTES = f"{MARKET}/quotes/"
CHAINS = f"{MARKET}/stream/options/chains/"
DAY = date(2026, 5, 11)
CONTRACTS = [
    OptionContract("SPX", "SPXW", DAY, Decimal(strike), kind) for strike in (4500, 4505) for kind in OptionKind
]
WINDOW = ChainWindow("SPX", "SPXW", DAY, 4502.25, tuple(CONTRACTS))


def quoting(server: Any, refuse_over: int = 10_000) -> Callable[[Any], Any]:
    """Quotes of whatever is asked for; 414 when that is too long."""

    def answer(asked: Any) -> Any:
        symbols = asked.path.rpartition("/")[2].split(",")
        if len(symbols) > refuse_over:
            return server.says("<html>414</html>", 414)
        return server.says({"Quotes": [{"Symbol": symbol, "Last": "2", "Bid": "1", "Ask": "3"} for symbol in symbols]})

    return answer


def row(contract: OptionContract, **fields: Any) -> dict[str, Any]:
    return {"Bid": "1", "Ask": "2", **fields, "Legs": [{"Symbol": contract.symbol}]}


def sizes(server: Any) -> list[int]:
    return [len(asked.path.split(",")) for asked in server.asked if asked.path.startswith(QUOTES)]


async def test_snapshots_are_asked_for_in_batches(server: Any, connect: Any) -> None:
    server.on(QUOTES, quoting(server))
    contracts = [OptionContract("SPY", "SPY", DAY, Decimal(strike), OptionKind.CALL) for strike in range(1, 251)]
    quotes = await connect(option_batch_size=100).option_quotes(contracts)
    assert [quote.contract for quote in quotes] == contracts
    assert sizes(server) == [100, 100, 50]


async def test_a_batch_never_exceeds_the_vendors_own_limit(server: Any, connect: Any) -> None:
    server.on(QUOTES, quoting(server))
    await connect(quote_batch_size=500).quotes([f"S{number}" for number in range(150)])
    assert sizes(server) == [100, 50]


async def test_a_list_that_is_too_long_is_split_for_good(server: Any, connect: Any) -> None:
    server.on(QUOTES, quoting(server, refuse_over=30))
    feed = connect()
    names = [f"S{number}" for number in range(100)]
    assert [quote.symbol for quote in await feed.quotes(names)] == names
    assert sizes(server) == [100, 50, 25, 25, 25, 25]
    await feed.quotes(names)
    assert sizes(server)[6:] == [25, 25, 25, 25]


async def test_a_single_symbol_too_long_is_an_error(server: Any, connect: Any) -> None:
    server.on(QUOTES, quoting(server, refuse_over=0))
    with pytest.raises(ProviderError, match="414"):
        await connect().quotes(["SPY"])
    assert sizes(server) == [1]


async def test_one_bad_quote_costs_itself_only_and_what_is_missing_is_said(server: Any, connect: Any) -> None:
    server.on(
        QUOTES, server.says({"Quotes": [{"Symbol": "spy", "Last": "NaN"}, {"Symbol": "qqq", "Last": 5}, {"Symbol": 7}]})
    )
    feed = connect()
    assert [quote.symbol for quote in await feed.quotes(["SPY", "QQQ", "IWM"])] == ["QQQ"]
    assert [event.kind for event in feed.heard] == ["bad_payload", "bad_payload", "symbol_error"]
    assert feed.heard[-1].detail == "IWM: not answered"


async def test_listings_are_remembered_for_the_day_and_asked_once_however_many_wait(
    server: Any, connect: Any, clock: ManualClock
) -> None:
    strikes = f"{MARKET}/options/strikes/"
    server.on(strikes, server.says({"Strikes": [["4505"], ["4500.00"], ["4505.0"]]}))
    feed = connect()
    answers = await asyncio.gather(*(feed.contracts("SPX", "SPXW", DAY) for _ in range(10)))
    assert all(answer == CONTRACTS for answer in answers)
    assert server.count(strikes) == 1
    assert server.asked[-1].query == {"expiration": "05-11-2026", "spreadType": "Single"}
    assert server.asked[-1].raw_path.endswith("/%24SPXW.X")
    clock.current += timedelta(days=1)
    await feed.contracts("SPX", "SPXW", DAY)
    assert server.count(strikes) == 2


async def test_an_empty_listing_is_not_remembered(server: Any, connect: Any) -> None:
    path = f"{MARKET}/options/expirations/SPY"
    listed = server.says({"Expirations": [{"Date": "2026-05-15T00:00:00Z", "Type": "Monthly", "Root": "SPY"}]})
    server.on(path, server.says({"Expirations": []}), server.says({"Message": "No data available."}, 404), listed)
    feed = connect()
    known = [("SPY", date(2026, 5, 15))]
    assert [await feed.expirations("SPY") for _ in range(4)] == [[], [], known, known]
    assert server.count(path) == 3


async def test_adjusted_roots_are_not_followed_and_a_missing_second_listing_is_no_error(
    server: Any, connect: Any
) -> None:
    expirations = f"{MARKET}/options/expirations/"
    listed = [{"Date": "2026-05-15T00:00:00Z", "Type": "Monthly", "Root": root} for root in ("SPX", "SPX1")]
    server.on(f"{expirations}$SPX.X", server.says({"Expirations": listed}))
    server.on(f"{expirations}$SPXW.X", server.says({"Error": "BadRequest", "Message": "Invalid symbol"}, 400))
    assert await connect().expirations("SPX") == [("SPX", date(2026, 5, 15))]


@pytest.mark.parametrize("strike", ["abc", "-5", "NaN", "1e9"])
async def test_a_strike_that_is_none_is_a_bad_payload(server: Any, connect: Any, strike: str) -> None:
    server.on(f"{MARKET}/options/strikes/", server.says({"Strikes": [[strike]]}))
    with pytest.raises(BadPayload, match="Strikes"):
        await connect().contracts("SPY", "SPY", DAY)


async def test_long_histories_are_asked_for_in_pieces(server: Any, connect: Any) -> None:
    bars = f"{MARKET}/barcharts/"
    server.on(bars, server.says({"Message": "No data available."}, 404))
    start = datetime(2026, 1, 5, tzinfo=UTC)
    await connect().bars("SPY", start, start + timedelta(days=90))
    spans = [
        (asked.query["firstdate"], asked.query["lastdate"]) for asked in server.asked if asked.path.startswith(bars)
    ]
    assert spans == [
        ("2026-01-05T00:00:00Z", "2026-02-14T00:01:00Z"),
        ("2026-02-14T00:00:00Z", "2026-03-26T00:01:00Z"),
        ("2026-03-26T00:00:00Z", "2026-04-05T00:01:00Z"),
    ]


async def test_an_index_is_asked_for_its_cash_session_and_a_share_for_all_hours(server: Any, connect: Any) -> None:
    server.on(f"{MARKET}/barcharts/", server.says({"Bars": []}))
    feed, now = connect(), datetime(2026, 5, 11, 14, tzinfo=UTC)
    await feed.bars("SPX", now - timedelta(hours=1), now)
    assert "sessiontemplate" not in server.asked[-1].query
    await feed.bars("SPY", now - timedelta(hours=1), now, unit="daily")
    assert "sessiontemplate" not in server.asked[-1].query
    assert server.asked[-1].query["unit"] == "Daily"
    await feed.bars("SPY", now - timedelta(hours=1), now)
    assert server.asked[-1].query["sessiontemplate"] == "USEQPreAndPost"


async def test_a_bad_bar_is_left_out_and_reported(server: Any, connect: Any) -> None:
    good = {"Open": 1, "High": 2, "Low": 1, "Close": 2, "TimeStamp": "2026-05-11T13:31:00Z", "BarStatus": "Closed"}
    server.on(f"{MARKET}/barcharts/", server.says({"Bars": [good, {**good, "High": "NaN"}, {**good, "Low": []}, good]}))
    feed, opening = connect(), datetime(2026, 5, 11, 13, 30, tzinfo=UTC)
    assert [bar.start for bar in await feed.bars("SPY", opening, opening + timedelta(hours=1))] == [opening]
    assert [event.kind for event in feed.heard] == ["bad_payload", "bad_payload"]
    assert feed.counts["bad_payload"] == 2


async def test_a_chain_is_opened_around_the_windows_centre(server: Any, connect: Any) -> None:
    async def chain(asked: Any, line: Any) -> None:
        await line.send(
            *(row(contract) for contract in CONTRACTS),
            row(OptionContract("SPX", "SPXW", DAY, Decimal(9), OptionKind.CALL)),
        )
        await line.hold()

    server.on(CHAINS, chain)
    async with aclosing(connect().follow_chain(WINDOW)) as batches:
        quotes = await anext(batches)
    assert [quote.contract for quote in quotes] == CONTRACTS
    assert server.asked[-1].raw_path == f"{CHAINS}%24SPXW.X"
    assert server.asked[-1].query == {
        "expiration": "05-11-2026", "strikeProximity": "2", "priceCenter": "4502.25",
        "spreadType": "Single", "enableGreeks": "true",
    }  # fmt: skip


async def test_bad_rows_of_a_chain_are_reported_and_the_others_flow(server: Any, connect: Any) -> None:
    async def chain(asked: Any, line: Any) -> None:
        await line.send(row(CONTRACTS[0], Bid="-1"), {"Bid": "1"}, b"garbage", row(CONTRACTS[1]))
        await line.hold()

    server.on(CHAINS, chain)
    feed = connect()
    async with aclosing(feed.follow_chain(WINDOW)) as batches:
        assert [quote.contract for quote in await anext(batches)] == [CONTRACTS[1]]
    assert feed.counts["bad_payload"] == 3
    assert [event.kind for event in feed.heard].count("bad_payload") == 3


async def test_a_chain_that_is_not_served_now_is_asked_for_again(server: Any, connect: Any) -> None:
    async def chain(asked: Any, line: Any) -> None:
        await line.send(row(CONTRACTS[0]))
        await line.hold()

    server.on(
        CHAINS, server.says({"Message": "closed"}, 404), server.says({"Message": "No data available."}, 404), chain
    )
    async with aclosing(connect().follow_chain(WINDOW)) as batches:
        assert len(await anext(batches)) == 1


async def test_a_chain_without_a_free_stream_is_polled_until_one_is_free(server: Any, connect: Any) -> None:
    async def chain(asked: Any, line: Any) -> None:
        await line.send(row(CONTRACTS[0], Bid="7", Volume=9, ImpliedVolatility="0.2"))
        await line.hold()

    server.on(CHAINS, chain)
    server.on(QUOTES, server.says("", 503), quoting(server))
    feed = connect(max_streams=1, retry_attempts=0)
    async with aclosing(feed.follow_chain(WINDOW)) as first:
        await anext(first)
        second = feed.follow_chain(WINDOW)
        polled = await anext(second)
        assert ([quote.contract for quote in polled], polled[0].bid) == (CONTRACTS, 1.0)
        assert [event.kind for event in feed.heard] == ["connected", "polling", "reconnecting"]
        assert FeedEvent("polling", "chain SPXW 2026-05-11", "all 1 streams are taken") in feed.heard
    async with aclosing(second), asyncio.timeout(5):
        async for quotes in second:
            if quotes[0].bid == 7.0:
                break
    assert server.most_streams == 1
    assert (quotes[0].last, quotes[0].volume) == (None, 9), "prices of before the stream are forgotten"


async def test_bars_without_a_free_stream_are_polled(server: Any, connect: Any) -> None:
    bar = {"Open": 1, "High": 2, "Low": 1, "Close": 2, "TimeStamp": "2026-05-11T14:25:00Z", "BarStatus": "Closed"}
    server.on(f"{MARKET}/barcharts/", server.says({"Bars": [bar]}))
    server.on(f"{MARKET}/stream/barcharts/NOSUCH", server.says({"Message": "Symbol unknown"}, 404))
    feed = connect(max_streams=1)
    async with feed.streams.place() as place:
        assert await place.granted(1.0)
        async with aclosing(feed.follow_bars("SPY")) as bars:
            assert (await anext(bars)).start == datetime(2026, 5, 11, 14, 24, tzinfo=UTC)
    with pytest.raises(UnknownSymbol, match="NOSUCH"):
        await anext(feed.follow_bars("NOSUCH"))


async def test_a_deaf_listener_is_no_requirement(server: Any, config: Any, clock: ManualClock) -> None:
    from zerogex.providers.tradestation import TradeStation

    server.on(QUOTES, server.says({"Quotes": [], "Errors": [{"Symbol": "X", "Error": "FAILED"}]}))
    feed = TradeStation(config(), clock)
    assert await feed.quotes(["X"]) == []
    assert "canary" not in json.dumps([repr(vars(feed)), repr(feed)])
    await feed.aclose()
